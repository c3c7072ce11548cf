"""Files and batches: many requests at once, by the doors that single ones come in by."""
