"""The money report of the whole gateway: read from a store's sums by the hour, and shown or written."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tierwise.cli.show import console, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tierwise.gateway.settings import Config
    from tierwise.offline.costs.spending import Read, Spending
    from tierwise.offline.costs.sums import By

HOUR, DAY = 3600, 86_400
SHORT, LAST_DAYS = 5, 7  # rows of a table that nobody asked for, of days and of all others
STDOUT = "-"


class Wanted(NamedTuple):
    """Unix seconds, [since, until). `by`: the tables to show whole; empty: all, shortened."""

    days: int | None
    since: int | None
    until: int | None
    by: tuple[By, ...]
    running_nanos: int | None


class Places(NamedTuple):
    """Where to write; "-" prints."""

    html: Path | None
    csv: str | None
    focus: str | None
    json: bool

    @property
    def files(self) -> list[str]:
        return [str(place) for place in self[:3] if place is not None and place != STDOUT]


def of_money(config: Config, wanted: Wanted, places: Places) -> None:
    """The whole command. Raises ConfigError, StoreError."""
    from tierwise.cli.results import placed
    from tierwise.offline.costs.spending import jsonable, spending
    from tierwise.offline.costs.sums import BY

    placed(*map(Path, places.files))
    if places.json + (places.csv == STDOUT) + (places.focus == STDOUT) > 1:
        raise ConfigError("only one of --json, --csv - and --focus - can be printed; give the others a FILE")
    read = asyncio.run(_read(config, wanted, time.time_ns()))
    found = spending(read)
    for place, text in _texts(config, read, found, places, wanted.by or BY):
        if place == STDOUT:
            sys.stdout.write(text)
        else:
            write(text, Path(place))
    if places.json:
        print_json(jsonable(found, wanted.by or BY))
    elif not places.files and STDOUT not in places:
        _told(found, wanted.by)
    elif STDOUT not in places:
        console().print(f"Wrote {plain(', '.join(places.files))}", soft_wrap=True)


def _texts(
    config: Config, read: Read, found: Spending, places: Places, tables: tuple[By, ...]
) -> Iterator[tuple[str, str]]:
    """(place, what goes there)."""
    from tierwise.offline.costs import exports
    from tierwise.offline.costs.spending_page import page

    if places.html is not None:
        yield str(places.html), page(found, tables)
    if places.csv is not None:
        yield places.csv, exports.tables(found, tables)
    if places.focus is not None:
        models = {name: exports.Model(table.provider, table.model or name) for name, table in config.models.items()}
        yield places.focus, exports.focus(found.folded, models, {key.id: key.name for key in read.keys})


async def _read(config: Config, wanted: Wanted, now_ns: int) -> Read:
    """Of the period, and of the days before it that a forecast needs. Raises ConfigError, StoreError."""
    from tierwise.gateway.setup.first_run import opened
    from tierwise.offline.costs.experiments import held_out
    from tierwise.offline.costs.spending import Read, history
    from tierwise.offline.ratings import quality

    since, until = _hours(wanted, now_ns)
    if config.store.embedded and not config.store_path.exists():
        raise ConfigError(f"{config.store_path}: no such file; a gateway with this config has never run")
    async with opened(config) as store:
        spend = await store.sums.spend(history(since, until, now_ns), until)
        traffic = await store.sums.traffic(since, until)
        rated = {route: await quality(store, route, (since, until)) for route in held_out(traffic)}
        return Read(since, until, now_ns, spend, traffic, await store.keys(), rated, wanted.running_nanos)


def _hours(wanted: Wanted, now_ns: int) -> tuple[int, int]:
    """Whole ones, the running one included where the period has not ended. Raises ConfigError."""
    from tierwise.core.window import SECOND_NS, window

    now = now_ns // SECOND_NS
    until = now // HOUR + 1 if wanted.until is None else min(-(-wanted.until // HOUR), now // HOUR + 1)
    if wanted.days is not None:
        if wanted.since is not None or wanted.until is not None:
            raise ConfigError("--days is the last days; leave it out with --since and --until")
        since = (now // DAY - wanted.days + 1) * DAY // HOUR
    elif wanted.since is not None:
        since = wanted.since // HOUR
    else:
        month = window("month", (until - 1) * HOUR * SECOND_NS)
        since = 0 if month is None else month.start_ns // SECOND_NS // HOUR
    if since >= until:
        raise ConfigError("--since must be before --until, and not in the future")
    return since, until


def write(text: str, path: Path) -> None:
    """Whole or not at all. Raises ConfigError."""
    from tierwise.offline.outcomes import aside

    with aside(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def _told(found: Spending, by: tuple[By, ...]) -> None:
    from rich.table import Table

    from tierwise.offline.costs import spending_words as words
    from tierwise.offline.costs.sums import BY

    screen = console()
    screen.print(f"[bold]{plain(words.title(found))}[/]", soft_wrap=True)
    summary = Table.grid(padding=(0, 2, 0, 0))
    for about, text in words.told(found):
        summary.add_row(f"[bold]{plain(about)}[/]", plain(text))
    screen.print(summary)
    for which in by or BY:
        most = None if by else LAST_DAYS if which == "day" else SHORT
        if rows := list(words.rows(found, which, most)):
            screen.print()
            screen.print(_table(words.titles(which), rows))


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place else "left", overflow="fold", no_wrap=place > 0)
    for row in rows:
        table.add_row(*map(plain, row))
    return table
