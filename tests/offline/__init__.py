"""Import, outcomes and what stands on them."""
