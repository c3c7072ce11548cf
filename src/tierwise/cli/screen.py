"""`tierwise screen`: what a file's texts hold that a rule or the law cares for, without a call to any model."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.options import JsonOption, load_config
from tierwise.cli.show import bar, console, plain, print_json

if TYPE_CHECKING:
    from tierwise.offline.screened import Report

commands = typer.Typer()


@commands.command(epilog="Example: tierwise screen comments.csv --text comment --out screened.jsonl")
def screen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, CSV or parquet.", show_default=False)],
    text: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Where the text is.", show_default="text, prompt, content ...")
    ] = None,
    screens: Annotated[
        str, typer.Option(metavar="NAMES", help="Which of them, with commas.")
    ] = "moderation,privacy,injection,risk",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="JSONL, a line a row; goes on with it.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="A config; checked, and changes nothing yet.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Screen a file's texts: moderation, personal data, injection, risk. Local classifiers decide; no model is asked.

    Scores are for sorting and for people to check, in English: docs/models.md says how good each is and which
    categories have none.
    """
    from tierwise.offline.screen_lines import Wanted
    from tierwise.offline.screened import screen as run

    if config is not None:
        load_config(config)
    names = tuple(dict.fromkeys(name.strip() for name in screens.split(",") if name.strip()))
    with bar("screening") as tell:
        report = run(Wanted(file, text, names, out), tell)
    print_json(report) if json else _told(report)


def _told(report: Report) -> None:
    from rich.table import Table

    from tierwise.offline.screen_lines import UNREAD
    from tierwise.screens.moderation import UNTRAINED

    screen = console()
    share = f" ({report.flagged / report.rows:.1%})" if report.rows else ""
    screen.print(
        f"Flagged {report.flagged:,} of {report.rows:,} rows{share} by their column {plain(report.column)}.",
        soft_wrap=True,
    )
    if report.resumed:
        screen.print(f"{report.resumed:,} of them were there from an earlier run.")
    if report.why:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("why")
        table.add_column("rows", justify="right")
        table.add_column("share", justify="right")
        for reason, rows in report.why.items():
            named = "no text in the row" if reason == UNREAD else reason.replace(":", ": ", 1)
            table.add_row(named, f"{rows:,}", f"{rows / report.rows:.1%}")
        screen.print(table)
    if "moderation" in report.screens:
        screen.print(
            f"[yellow]Never flagged, as nothing was learnt of them:[/] {', '.join(UNTRAINED)}.", soft_wrap=True
        )
    if report.out is not None:
        screen.print(f"Wrote {plain(report.out)}.", soft_wrap=True)
