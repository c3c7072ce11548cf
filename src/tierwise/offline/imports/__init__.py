"""Logs of other tools as outcomes."""
