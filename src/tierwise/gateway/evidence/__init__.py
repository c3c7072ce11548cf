"""Evidence off every client's path: draws, audits, labels, certificates that hold or no longer do."""
