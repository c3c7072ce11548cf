"""Screens over files: scanning, labels, training, sorting."""
