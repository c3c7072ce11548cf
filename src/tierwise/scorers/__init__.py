"""Routers and verifiers: (request, draft or None) -> score in [0, 1]."""
