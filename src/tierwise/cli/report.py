"""`tierwise report`: of a route, what is certified of it and what it saved; without one, all money of the gateway."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them
# ruff: noqa: PLR0913, PLR0917  a command's parameters are its options

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tierwise.cli.options import ConfigOption, JsonOption, dollars, load_config
from tierwise.cli.prices import day
from tierwise.cli.show import console, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.costs.sums import By
    from tierwise.offline.reports.report import Read, Report

commands = typer.Typer()
DAYS, EVENTS = 90, 5
COLOURS = {"good": "green", "open": "yellow", "bad": "red"}
MONEY = "Money, without --route"


def option(name: str, metavar: str, text: str, **more: Any) -> Any:
    """Of the money report alone."""
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=MONEY, **({"show_default": False} | more))


def table(text: str) -> str:
    """What its rows are of."""
    from tierwise.offline.costs.sums import BY

    if text not in BY:
        raise typer.BadParameter(f"expected {', '.join(BY[:-1])} or {BY[-1]}")
    return text


OfRoute = Annotated[
    str | None, typer.Option("--route", metavar="NAME", help="Of this route: certificate, audits.", show_default=False)
]
HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="A page.", show_default=False)]
DaysOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="The last N days.", min=1, max=3650, show_default=f"{DAYS}; without --route the month"
    ),
]
SinceOption = Annotated[
    int | None,
    option("--since", "DATE", "From this day or time on, UTC.", parser=day, show_default="the first of the month"),
]
UntilOption = Annotated[
    int | None, option("--until", "DATE", "Up to this day or time.", parser=day, show_default="now")
]
ByOption = Annotated[
    list[str] | None,
    option(
        "--by", "WHAT", "The whole table of: route, team, key, model, day. May be repeated.",
        parser=table, show_default="each, shortened",
    ),
]  # fmt: skip
CsvOption = Annotated[str | None, option("--csv", "FILE", "The tables, for a spreadsheet; - prints them.")]
FocusOption = Annotated[str | None, option("--focus", "FILE", "All spend by day, as FOCUS 1.2; - prints it.")]
RunningOption = Annotated[
    int | None,
    option("--running-cost", "USD", "What a year of running Tierwise costs, to tell its return.", parser=dollars),
]


@commands.command(epilog="Example: tierwise report --route support --html support.html")
def report(
    route: OfRoute = None,
    config: ConfigOption = None,
    html: HtmlOption = None,
    days: DaysOption = None,
    json: JsonOption = False,
    since: SinceOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    csv: CsvOption = None,
    focus: FocusOption = None,
    running_cost: RunningOption = None,
) -> None:
    """What was spent and saved, and what is to come; with --route, what is certified of one, for who answers for it."""
    from tierwise.cli.results import placed
    from tierwise.cli.spending import Places, Wanted, of_money

    if route is None:
        tables = cast("tuple[By, ...]", tuple(dict.fromkeys(by or ())))
        wanted = Wanted(days, since, until, tables, running_cost)
        of_money(load_config(config)[0], wanted, Places(html, csv, focus, json))
        return
    others = {"since": since, "until": until, "by": by, "csv": csv, "focus": focus, "running-cost": running_cost}
    for name, value in others.items():
        if value is not None:
            raise ConfigError(f"--{name} is of the report on money, which is of all routes: leave out it, or --route")
    placed(html)
    _of_route(asyncio.run(_read(*load_config(config), route, days or DAYS)), html, json)


def _of_route(read: Read, html: Path | None, json: bool) -> None:
    from tierwise.cli.spending import write
    from tierwise.offline.reports.report import jsonable, reported
    from tierwise.offline.reports.report_page import page

    found = reported(read)
    if html is not None:
        write(page(found), html)
    if json:
        print_json(jsonable(found))
    elif html is None:
        _told(found)
    else:
        console().print(f"Wrote {plain(str(html))}", soft_wrap=True)


async def _read(config: Config, environment: Environment, name: str, days: int) -> Read:
    """Labels before samples: no label is without its sample then. Raises ConfigError, StoreError."""
    from tierwise.cli.results import route_of
    from tierwise.gateway.evidence.certified import own_key, standing
    from tierwise.gateway.setup.first_run import opened
    from tierwise.gateway.snapshot import build
    from tierwise.offline.reports.report import Read
    from tierwise.store.trail import broken

    table, now_ns = route_of(config, name), time.time_ns()
    stands = standing(build(config, environment).routes[name], table, own_key(config, environment), now_ns // 10**9)
    if config.store.embedded and not config.store_path.exists():
        raise ConfigError(f"{config.store_path}: no such file; a gateway with this config has never run")
    async with opened(config) as store:
        proof = store.proof
        labels, samples = await proof.labels(name), await proof.samples(name)
        trail, spend = await proof.trail(), await proof.days(name)
    at = broken(trail)
    return Read(
        route=name, tiers=table.tiers, now_ns=now_ns, days=days, samples=samples, labels=labels, trail=trail,
        spend=spend, broken="" if at is None else f"at line {at}", standing=stands.said, signed=stands.signed,
        planned=table.audit, delta=round(1 - table.confidence, 12),
    )  # fmt: skip


def _told(found: Report) -> None:
    from tierwise.offline.reports import report_words as words

    screen, (said, mood) = console(), words.state(found)
    screen.print(f"[bold]{plain(words.title(found))}[/]  [{COLOURS[mood]}]{plain(said)}[/]", soft_wrap=True)
    for text in (words.headline(found), words.subtracted(found), words.quality(found)):
        if text:
            screen.print(plain(text), soft_wrap=True)
    for text in words.missing(found):
        screen.print(f"[yellow]note:[/] {plain(text)}", soft_wrap=True)
    if rows := list(words.qualities(found)):
        screen.print(_table(("", "estimate", "interval"), rows, 1))
    if found.audit is not None and found.audit.points:
        screen.print(words.ladder(found.audit), soft_wrap=True)
    if labels := list(words.sources(found)):
        screen.print(_table(("labels from", "", "by"), labels, 1))
    if found.feedback.up + found.feedback.down:
        screen.print(f"{words.feedback(found)} It is not used in the guarantee.", soft_wrap=True)
    for event in found.trail[-EVENTS:]:
        text = f"{words.moment(event.at_ns // 10**9)}, {event.what}: {words.line(event)}"
        screen.print(plain(text), soft_wrap=True)


def _table(titles: tuple[str, ...], rows: list[tuple[str, str, str]], right: int) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place >= right and title != "by" else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    return table
