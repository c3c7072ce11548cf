"""The house rules as functions over source text, and their allow-lists."""
