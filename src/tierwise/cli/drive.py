"""`tierwise drive`: a file of requests through a route, and what came of it."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.options import ConfigOption, JsonOption, load_config
from tierwise.cli.show import bar, console, plain, print_json

if TYPE_CHECKING:
    from tierwise.gateway.setup.driver import Report

commands = typer.Typer()


@commands.command(epilog="Example: tierwise drive traffic.jsonl --route support")
def drive(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help='JSONL: {"text": ..., "expected": ..., "tags": [...]}, or "messages".',
            show_default=False,
        ),
    ],
    route: Annotated[str, typer.Option(metavar="NAME", help="A route, or a model.")] = "default",
    at_once: Annotated[int, typer.Option(metavar="N", help="Requests at once.", min=1, max=1000)] = 8,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first N.", min=1, show_default="all")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Send a file of requests: who answers, why, what it costs, what premium alone would have. Needs no gateway."""
    from tierwise.gateway.setup.driver import drive as run
    from tierwise.gateway.setup.driver import read

    settings, environment = load_config(config)
    lines = read(file)[:limit]
    with bar("asking") as tell:
        report = run(settings, environment, lines, route, at_once, tell)
    print_json(report) if json else _told(report)


def _told(report: Report) -> None:
    from rich.table import Table

    from tierwise.gateway.said import dollars

    screen = console()
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("answered by")
    for column in ("requests", "share", "right"):
        table.add_column(column, justify="right")
    for share in report.models:
        right = f"{share.right / share.judged:.1%}" if share.judged else "-"
        table.add_row(plain(share.name), f"{share.requests:,}", f"{share.requests / report.requests:.1%}", right)
    lost = report.requests - report.answered
    if lost:
        table.add_row("nobody", f"{lost:,}", f"{lost / report.requests:.1%}", "-")
    screen.print(table)
    screen.print()
    why = Table(box=None, padding=(0, 3, 0, 0))
    why.add_column("decision")
    why.add_column("requests", justify="right")
    for rule, count in report.rules.items():
        why.add_row(plain(rule), f"{count:,}")
    screen.print(why)
    screen.print()
    money = f"Spent ${dollars(report.nanos)}, premium alone ${dollars(report.baseline_nanos)}"
    screen.print(money + ("." if report.saved is None else f": saved {report.saved:.1%}."), soft_wrap=True)
    if report.judged:
        screen.print(f"Of {report.judged:,} answers that can be checked {report.right / report.judged:.1%} are right.")
