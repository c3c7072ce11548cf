"""Keys and the ledger."""
