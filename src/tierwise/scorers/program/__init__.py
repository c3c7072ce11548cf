"""A small Python program, worked out node by node without running anything."""
