"""`tierwise train --screen`: an operator's labelled texts to heads of their own, and what is shown of them."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
import typer

from tierwise.cli.show import console, plain, print_json, stages
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.offline.screening.screen_labels import Measured
    from tierwise.offline.screening.screen_training import Aim, Line, Report
    from tierwise.screens.own import Shown

Screen = Literal["moderation", "injection", "risk"]
ScreenOption = Annotated[
    Screen | None, typer.Option("--screen", help="Instead: learn a screen's classes from texts.", show_default=False)
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMNS",
        help="For --screen: the column that names classes, or a yes/no column a class.",
        show_default="columns called like its classes",
    ),
]
RecallOption = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="For --screen: find at least so many of a class.", show_default=False),
]
FalseBlocksOption = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="For --screen: flag at most so many of the others.", show_default="0.02"),
]


class Given(NamedTuple):
    """What was asked for on the command line."""

    data: Path
    out: Path | None
    text: str
    labels: str | None
    recall: float | None
    false_blocks: float | None
    seed: int


def train_screen(screen: Screen, given: Given, *, json: bool) -> None:
    from tierwise.cli.results import placed, write
    from tierwise.offline.screening.screen_training import Wanted, learn, read
    from tierwise.screens.taught import dump

    out = given.out or given.data.with_suffix(f".{screen}.npz")
    placed(out)
    wanted = Wanted(given.data, screen, _aim(given), given.text, given.labels, given.seed)
    found = read(wanted)
    with stages() as tell:
        learnt, report = learn(found, wanted, tell)
    write(dump(learnt), out)
    if json:
        return print_json({"out": str(out)} | msgspec.to_builtins(report))
    return _told(report, out)


def _aim(given: Given) -> Aim:
    from tierwise.offline.screening.screen_training import Aim

    if given.recall is not None and given.false_blocks is not None:
        raise ConfigError("a threshold is set by --recall or by --false-blocks, not by both")
    aim = Aim("false_blocks", 0.02 if given.false_blocks is None else given.false_blocks)
    if given.recall is not None:
        aim = Aim("recall", given.recall)
    if not 0.0005 <= aim.errs <= 0.9995:
        raise ConfigError("--recall and --false-blocks are shares between 0.0005 and 0.9995, such as 0.95 or 0.02")
    return aim


def _told(report: Report, out: Path) -> None:
    from rich.table import Table

    screen = console()
    left_out = f", {report.left_out:,} rows left out" if report.left_out else ""
    screen.print(
        f"{report.rows:,} labelled texts{left_out}; {report.aside:,} of them were set aside, and these say how good it "
        "is. Bounds hold with 95 % confidence each, for texts like these.",
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("class")
    for title in ("rows", "threshold", *SHOWN, "certified"):
        table.add_column(title, justify="right")
    for line in report.classes:
        head = line.head
        shown = "[green]yes[/]" if head.certified else "[yellow]not yet[/]"
        table.add_row(
            plain(head.name),
            f"{line.positives:,}",
            f"{head.threshold:.4f}",
            rate(head.recall),
            rate(head.false_blocks),
            shown,
        )
    screen.print(table)
    for line in report.classes:
        if line.more:
            screen.print(f"[yellow]{plain(_lacking(report, line))}[/]", soft_wrap=True)
    if report.few:
        screen.print(
            f"[yellow]Too few rows to learn from:[/] {plain(', '.join(report.few[:8]))}. A screen goes on with its own "
            "word for them, where it has one.",
            soft_wrap=True,
        )
    languages(report.languages)
    screen.print(
        f'Wrote {plain(str(out))}. trained = "{plain(out.name)}" under \\[routes.NAME.screens], or tierwise screen '
        f"--trained {plain(str(out))}, takes it.",
        soft_wrap=True,
    )


def _lacking(report: Report, line: Line) -> str:
    goal, rows = ("recall", "of it") if report.goal == "recall" else ("false blocks", "that are not of it")
    bound = ">=" if report.goal == "recall" else "<="
    return (
        f"{line.head.name}: {goal} {bound} {report.share:.1%} is not certifiable yet: {line.more:,} more rows {rows}, "
        "at least."
    )


SHOWN = ("recall (at least)", "false blocks (at most)")  # the titles of two `rate`s


def rate(shown: Shown) -> str:
    """A rate, its bound, and of how many rows."""
    return f"{shown.k / shown.n:.1%} ({shown.bound:.1%}) of {shown.n:,}" if shown.n else "no rows"


def languages(measured: Sequence[Measured]) -> None:
    """Classes by language, where there are several."""
    from rich.table import Table

    if len({one.language for one in measured}) < 2:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("class", "language", *SHOWN):
        table.add_column(title, justify="left" if title in ("class", "language") else "right")
    for one in measured:
        table.add_row(plain(one.name), plain(one.language), rate(one.recall), rate(one.false_blocks))
    console().print(table)
