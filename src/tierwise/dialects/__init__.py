"""Wire formats: bytes to types and back, one file each, pure."""
