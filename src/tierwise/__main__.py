"""`python -m tierwise` is the `tierwise` command."""

from __future__ import annotations

from tierwise.cli import app

if __name__ == "__main__":
    app()
