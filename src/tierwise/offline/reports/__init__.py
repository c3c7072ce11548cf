"""The report of one route: savings, certificate, audits."""
