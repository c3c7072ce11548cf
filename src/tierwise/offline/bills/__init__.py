"""Providers' own counts and charges, against the ledger."""
