"""`tierwise reconcile`: a provider's export of usage or costs against the ledger."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them
# ruff: noqa: PLR0913, PLR0917  a command's parameters are its options

from __future__ import annotations

import asyncio
import hashlib
import time
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
import typer

from tierwise.cli.door import FOUND
from tierwise.cli.options import ConfigOption, JsonOption, load_config
from tierwise.cli.prices import day
from tierwise.cli.show import console, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tierwise.gateway.settings import Config
    from tierwise.money import Correction
    from tierwise.offline.bills.billed import Invoice, Provider
    from tierwise.offline.bills.reconcile import Found, Names
    from tierwise.ports import Store

commands = typer.Typer()
SHOWN = 40  # rows


def tolerance(text: str) -> Fraction:
    """Of "0.5", "0.5%" or "0.5 %": the share."""
    try:
        found = Decimal(text.removesuffix("%").strip())
    except InvalidOperation as error:
        raise typer.BadParameter("expected a percentage, such as 0.5") from error
    if not (found.is_finite() and 0 <= found <= 100):
        raise typer.BadParameter("expected a percentage from 0 to 100")
    return Fraction(found) / 100


@commands.command(epilog="Example: tierwise reconcile cost_2026-10-01_2026-10-31.csv --tolerance 1")
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON, or DeepSeek's ZIP.", show_default=False)],
    config: ConfigOption = None,
    provider: Annotated[
        Literal["openai", "anthropic", "deepseek"] | None,
        typer.Option(metavar="NAME", help="openai, anthropic or deepseek.", show_default="by the file"),
    ] = None,
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="DATE", parser=day, help="The first day.", show_default="the file's first"),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            "--until", metavar="DATE", parser=day, help="The day after the last.", show_default="after the file's last"
        ),
    ] = None,
    within: Annotated[
        Fraction,
        typer.Option("--tolerance", metavar="PERCENT", parser=tolerance, help="Up to which figures match."),
    ] = "0.5",  # type: ignore[assignment]  # typer parses it
    book: Annotated[bool, typer.Option("--book", help="Book the difference in dollars as corrections.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare what a provider counted and charged with the ledger, by day and model. Exit code 1 where they differ."""
    from tierwise.offline.bills.invoices import read

    invoice = read(file, provider)
    settings, _ = load_config(config)
    names, days = _names(settings, invoice.provider), _days(invoice, file, since, until)
    if book and all(line.nanos is None for line in invoice.lines):
        raise ConfigError(f"{file}: says nothing of money, so there is nothing to book; a costs export does")
    reason = f"invoice: {file.name}, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    found, booked = asyncio.run(_compare(settings, invoice, names, days, within, reason if book else None))
    (_json if json else _told)(found, invoice, days, booked)
    if not found.matched:
        raise typer.Exit(FOUND)


def _days(invoice: Invoice, file: Path, since: int | None, until: int | None) -> tuple[int, int]:
    """The first and the last. Raises ConfigError."""
    from tierwise.offline.bills.billed import SECONDS

    first = invoice.first if since is None else since // SECONDS
    last = invoice.last if until is None else -(-until // SECONDS) - 1
    if first > last:
        raise ConfigError("--since: must be before --until, and not after the file's last day")
    if not invoice.lines:
        raise ConfigError(f"{file}: {'; '.join(invoice.notes) or 'a file without any use'}: nothing to compare")
    return first, last


def _names(config: Config, provider: Provider) -> Names:
    """A provider bills its models at its own address alone."""
    from tierwise.gateway.tables.model_table import BASE_URLS
    from tierwise.offline.bills.reconcile import Names

    own = urlsplit(BASE_URLS[provider]).hostname
    here = {
        name: table.model
        for name, table in config.models.items()
        if table.provider == provider and urlsplit(table.base_url).hostname in (None, own)
    }
    return Names(here, frozenset(config.models) - here.keys())


async def _compare(
    config: Config, invoice: Invoice, names: Names, days: tuple[int, int], within: Fraction, reason: str | None
) -> tuple[Found, Sequence[Correction]]:
    """And books what is missing, where there is a `reason`. Raises ConfigError, StoreError."""
    from tierwise.gateway.setup.first_run import opened
    from tierwise.offline.bills.reconcile import corrections, hours, reconcile

    if config.store.embedded and not config.store_path.exists():
        raise ConfigError(f"{config.store_path}: no such file; a gateway with this config has never run")
    async with opened(config) as store:
        found = reconcile(invoice, await store.sums.spend(*hours(invoice, *days)), names, days, within)
        booked = [] if reason is None else list(corrections(found, invoice, names, reason))
        await _book(store, booked)
    return found, booked


async def _book(store: Store, booked: Sequence[Correction]) -> None:
    """Each for itself: booking again after a crash books the rest. The trail has a line of it."""
    from tierwise.proof import Event

    for correction in booked:
        await store.correct(correction)
    if booked:
        body = {
            "reason": booked[0].reason,
            "corrections": len(booked),
            "nanos": sum(correction.nanos for correction in booked),
        }
        text = msgspec.json.encode(body).decode()
        await store.proof.note(Event(at_ns=time.time_ns(), route="", what="invoice", body=text))


def _json(found: Found, invoice: Invoice, days: tuple[int, int], booked: Sequence[Correction]) -> None:
    from tierwise.offline.bills import reconcile_words as words

    print_json(
        {
            "provider": invoice.provider,
            "shape": invoice.shape,
            "first": words.day(days[0]),
            "last": words.day(days[1]),
            "matched": found.matched,
            "rows": [
                {
                    "day": words.day(row.day),
                    "model": row.model,
                    "state": row.state,
                    "ledger": {
                        "input_tokens": row.ours.input_tokens,
                        "output_tokens": row.ours.output_tokens,
                        "nanos": row.ours.nanos,
                    },
                    "file": {
                        "input_tokens": row.theirs.input_tokens,
                        "output_tokens": row.theirs.output_tokens,
                        "nanos": row.theirs.nanos,
                    },
                }
                for row in found.rows
            ],
            "notes": list(words.notes(found, invoice)),
            "booked": booked,
        }
    )


def _told(found: Found, invoice: Invoice, days: tuple[int, int], booked: Sequence[Correction]) -> None:
    from rich.table import Table

    from tierwise.offline.bills import reconcile_words as words
    from tierwise.offline.costs.plan_words import usd

    screen = console()
    screen.print(f"[bold]{plain(words.headline(invoice, days))}[/]", soft_wrap=True)
    differ = [row for row in found.rows if row.state != "matched"]
    if differ:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for place, title in enumerate(words.TITLES):
            table.add_column(title, justify="right" if place in (3, 4) else "left", overflow="fold", no_wrap=place != 1)
        for cells in words.rows(differ[:SHOWN]):
            table.add_row(*map(plain, cells))
        screen.print(table)
    if len(differ) > SHOWN:
        screen.print(f"... and {len(differ) - SHOWN:,} more; --json has all of them")
    screen.print(f"[{'green' if found.matched else 'yellow'}]{words.verdict(found)}[/]", soft_wrap=True)
    for text in words.total(found):
        screen.print(f"In sum, {plain(text)}", soft_wrap=True)
    for text in words.notes(found, invoice):
        screen.print(f"[yellow]note:[/] {plain(text)}", soft_wrap=True)
    if booked:
        nanos = sum(correction.nanos for correction in booked)
        screen.print(
            f"Booked {len(booked):,} correction{'' if len(booked) == 1 else 's'}, {usd(nanos)} in sum.", soft_wrap=True
        )
