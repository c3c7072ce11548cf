"""`tierwise screen`: what the texts of a file hold, by local classifiers and, where these are in doubt, a model."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them
# ruff: noqa: PLR0913, PLR0917  a command's parameters are its options

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.options import JsonOption, dollars, load_config
from tierwise.cli.screen_training import SHOWN, languages, rate
from tierwise.cli.show import bar, console, plain, print_json
from tierwise.core.budget import usd
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.cli.screen_rules import Chosen
    from tierwise.gateway.screening.screener import Screener
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.screening.screened import Report

commands = typer.Typer()
FileArgument = Annotated[Path | None, typer.Argument(metavar="FILE", help="JSONL, CSV or parquet.", show_default=False)]
TextOption = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Where the text is.", show_default="text, prompt, content ...")
]
ScreensOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Of moderation, privacy, injection, risk, with commas.",
        show_default="the route's; or all",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="JSONL, a line a row; goes on with it.", show_default=False),
]
ReviewOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSONL, with texts: what is flagged or in doubt, the most doubtful first.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="By a route of it, whose screener is asked in doubt.", show_default=False
    ),
]
RouteOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of the config.", show_default="the only one with screens")
]
CapOption = Annotated[str, typer.Option(metavar="USD", help="The most that asking may cost.")]
TrainedOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What `tierwise train --screen` wrote.", show_default="the route's"),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMNS",
        help="What rows are of: says how much is found, and wrongly flagged.",
        show_default=False,
    ),
]


ListOption = Annotated[
    bool, typer.Option("--list", help="Instead: say how good each head is, and what it learnt from.")
]


@commands.command(epilog="Example: tierwise screen comments.csv --text comment --out screened.jsonl")
def screen(
    file: FileArgument = None,
    text: TextOption = None,
    screens: ScreensOption = None,
    out: OutOption = None,
    review: ReviewOption = None,
    labels: LabelsOption = None,
    trained: TrainedOption = None,
    config: ConfigOption = None,
    route: RouteOption = None,
    cap: CapOption = "5",
    listing: ListOption = False,
    json: JsonOption = False,
) -> None:
    """Screen a file's texts: moderation, personal data, injection, risk. Without --config no model is asked.

    Local classifiers decide. With a config its route's thresholds count, and its screener is asked where they are in
    doubt. Scores are for sorting and for people to check, in English: docs/models.md says how good each is.
    """
    from tierwise.cli.results import placed
    from tierwise.cli.screen_list import listed
    from tierwise.offline.screening.screen_lines import Rules, Wanted
    from tierwise.offline.screening.screened import screen as run
    from tierwise.screens.panel import NAMES

    if listing:
        return listed(trained, json=json)
    if file is None:
        raise ConfigError("FILE is missing: the texts to screen; --list says what they are screened by")
    placed(out, review)
    if review is not None and review in (out, file):
        raise ConfigError("--review names a file of its own")
    most = dollars(cap)
    with _by(config, route, most) as (found, asker):
        named = screens.split(",") if screens is not None else found.screens if found is not None else NAMES
        names = tuple(dict.fromkeys(name.strip() for name in named if name.strip()))
        heads = trained if trained is not None or found is None else found.trained
        rules = Rules() if found is None else found.rules
        with bar("screening") as tell:
            report = run(Wanted(file, text, names, out, review, labels, heads, rules), tell, asker)
    return print_json(report) if json else _told(report, found, "" if asker is None else asker.ended)


@contextmanager
def _by(config: Path | None, route: str | None, cap: int) -> Iterator[tuple[Chosen | None, Screener | None]]:
    """What a config's route says, and whom it asks."""
    from tierwise.cli.screen_rules import chosen

    if config is None:
        if route is not None:
            raise ConfigError("--route is one of a config: --config FILE")
        yield None, None
        return
    settings, environment = load_config(config)
    found = chosen(settings, route)
    if found is None or not found.screener:
        yield found, None
        return
    with _open(settings, environment, found, cap) as asker:
        yield found, asker


@contextmanager
def _open(settings: Config, environment: Environment, found: Chosen, cap: int) -> Iterator[Screener]:
    from tierwise.gateway.screening.screener import screener

    with screener(settings, environment, found.route, found.screener, cap) as asker:
        yield asker


def _told(report: Report, found: Chosen | None, ended: str) -> None:
    screen = console()
    share = f" ({report.flagged / report.rows:.1%})" if report.rows else ""
    screen.print(
        f"Flagged {report.flagged:,} of {report.rows:,} rows{share} by their column {plain(report.column)}.",
        soft_wrap=True,
    )
    if report.resumed:
        screen.print(f"{report.resumed:,} of them were there from an earlier run.")
    _why(report)
    _doubts(report, found, ended)
    _measured(report)
    if report.out is not None:
        screen.print(f"Wrote {plain(report.out)}.", soft_wrap=True)
    if report.review is not None:
        screen.print(
            f"Wrote {plain(report.review)}: {report.waiting:,} rows for people, the most doubtful first.",
            soft_wrap=True,
        )


def _why(report: Report) -> None:
    from rich.table import Table

    from tierwise.offline.screening.screen_lines import UNREAD

    if report.why:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("why")
        table.add_column("rows", justify="right")
        table.add_column("share", justify="right")
        for reason, rows in report.why.items():
            named = "no text in the row" if reason == UNREAD else reason.replace(":", ": ", 1)
            table.add_row(plain(named), f"{rows:,}", f"{rows / report.rows:.1%}")
        console().print(table)


def _doubts(report: Report, found: Chosen | None, ended: str) -> None:
    """Who has decided what classifiers did not know."""
    if not report.doubtful:
        return
    said = f"Classifiers were in doubt about {report.doubtful:,} rows ({report.doubtful / report.rows:.1%})"
    if found is not None and found.screener:
        said += f". {plain(found.screener)} was asked about {report.asked:,} for {usd(report.nanos)}"
        said += f"; {plain(ended)}" if ended else ""
        said += f"; {report.undecided:,} are undecided" if report.undecided else ""
    console().print(f"{said}.", soft_wrap=True)


def _measured(report: Report) -> None:
    """Beside labels."""
    from rich.table import Table

    if report.strange:
        names = ", ".join(report.strange[:8])
        console().print(f"[yellow]Labels that are no class of these screens:[/] {plain(names)}.", soft_wrap=True)
    if not report.measured:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("class", *SHOWN):
        table.add_column(title, justify="left" if title == "class" else "right")
    for one in report.measured:
        if not one.language:
            table.add_row(plain(one.name), rate(one.recall), rate(one.false_blocks))
    console().print(table)
    languages([one for one in report.measured if one.language])
    console().print("Bounds hold with 95 % confidence each, for rows like these.")
