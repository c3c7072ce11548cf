"""`tierwise report`: what a route saved and what is certified of it, in the terminal, as a page, or as figures."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.options import ConfigOption, JsonOption, RouteOption, load_config
from tierwise.cli.show import console, plain, print_json

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.report import Read, Report

commands = typer.Typer()
DAYS, EVENTS = 90, 5
COLOURS = {"good": "green", "open": "yellow", "bad": "red"}


@commands.command(epilog="Example: tierwise report --route support --html support.html")
def report(
    route: RouteOption,
    config: ConfigOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option(metavar="N", help="The last N days, today included.", min=1, max=3650)] = DAYS,
    json: JsonOption = False,
) -> None:
    """Savings, certificate and audits of a route, for whoever has to answer for them."""
    from tierwise.cli.results import placed
    from tierwise.offline.report import jsonable, reported
    from tierwise.offline.report_page import page

    placed(html)
    found = reported(asyncio.run(_read(*load_config(config), route, days)))
    if html is not None:
        _written(page(found), html)
    if json:
        print_json(jsonable(found))
    elif html is None:
        _told(found)
    else:
        console().print(f"Wrote {plain(str(html))}", soft_wrap=True)


async def _read(config: Config, environment: Environment, name: str, days: int) -> Read:
    """Labels before samples: no label is without its sample then. Raises ConfigError, StoreError."""
    from tierwise.cli.results import route_of
    from tierwise.errors import ConfigError
    from tierwise.gateway.certified import own_key, standing
    from tierwise.gateway.first_run import opened
    from tierwise.gateway.snapshot import build
    from tierwise.offline.report import Read
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


def _written(text: str, path: Path) -> None:
    """Whole or not at all. Raises ConfigError."""
    from tierwise.offline.outcomes import aside

    with aside(path) as part:
        part.write_text(text, encoding="utf-8")


def _told(found: Report) -> None:
    from tierwise.offline import report_words as words

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
