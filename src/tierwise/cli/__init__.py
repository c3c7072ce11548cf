"""The `tierwise` command: each verb calls a room of the house and shows what came of it.

One file a family of commands. Knows how to print, and nothing of how anything is done.
"""

from __future__ import annotations

from tierwise.cli import certify, compare, gateway, keys, label, offline, plan, prices, queue, reconcile, report, screen
from tierwise.cli.door import app

app.add_typer(gateway.commands)
app.add_typer(offline.commands)
app.add_typer(certify.commands)
app.add_typer(compare.commands)
app.add_typer(label.commands)
app.add_typer(report.commands)
app.add_typer(plan.commands)
app.add_typer(reconcile.commands)
app.add_typer(screen.commands)
app.add_typer(certify.certificate, name="certificate")
app.add_typer(keys.commands, name="keys")
app.add_typer(prices.commands, name="prices")
app.add_typer(queue.commands, name="queue")

__all__ = ["app"]
