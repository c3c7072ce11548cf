"""`tierwise plan`: what the ledger's volumes would cost under other terms, and from which volume on that pays."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them
# ruff: noqa: PLR0913, PLR0917  a command's parameters are its options

from __future__ import annotations

import asyncio
import time
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.options import ConfigOption, JsonOption, dollars, load_config
from tierwise.cli.prices import day
from tierwise.cli.show import console, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tierwise.gateway.settings import Config
    from tierwise.money import Spend
    from tierwise.offline.costs.plans import Commitment, Gpus, Plan, Terms, Volume
    from tierwise.tariffs import Tariff

commands = typer.Typer()
HOUR, DAYS = 3600, 30


def share(text: str) -> Fraction:
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter("expected a share, such as 0.2") from error
    if not (found.is_finite() and 0 <= found <= 1):
        raise typer.BadParameter("expected a share from 0 to 1")
    return Fraction(found)


def commitment(text: str) -> tuple[int, int]:
    """(nano-dollars a month, tokens a minute)."""
    money, _, tokens = text.partition(":")
    if not tokens.isdigit() or not int(tokens):
        raise typer.BadParameter("expected USD_PER_MONTH:TOKENS_PER_MINUTE, such as 2000:50000")
    return dollars(money), int(tokens)


SinceOption = Annotated[
    int | None,
    typer.Option(
        "--since", metavar="DATE", parser=day, help="From this day or time on, UTC.", show_default="30 days ago"
    ),
]
UntilOption = Annotated[
    int | None, typer.Option("--until", metavar="DATE", parser=day, help="Up to this day or time.", show_default="now")
]


@commands.command(
    epilog="Example: tierwise plan --model deepseek-flash --gpu-usd-per-hour 2.5 --tokens-per-second 3000"
)
def plan(
    config: ConfigOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the config; alone.", show_default="every one")
    ] = None,
    gpu_usd_per_hour: Annotated[
        int | None, typer.Option(metavar="USD", parser=dollars, help="What one of your own costs.", show_default=False)
    ] = None,
    tokens_per_second: Annotated[
        float | None,
        typer.Option(metavar="N", help="Measured, in and out together.", show_default=False, min=0.001),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many.", show_default="what the busiest hour needs", min=1, max=100_000),
    ] = None,
    committed: Annotated[
        str | None,
        typer.Option(metavar="USD:TPM", help="A commitment: USD a month for tokens a minute.", show_default=False),
    ] = None,
    batch_share: Annotated[
        Fraction | None,
        typer.Option(
            metavar="SHARE", parser=share, help="Of the requests, those that can wait for a day.",
            show_default="what no client waits for",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Compare paying as you go with batch, off-peak hours, a commitment and GPUs of your own, at your volumes."""
    from tierwise.offline.costs.plans import Terms, plans

    now = int(time.time())
    own = _gpus(gpu_usd_per_hour, tokens_per_second, gpus)
    terms = Terms(waits=batch_share, gpus=own, commitment=_committed(committed))
    settings, _ = load_config(config)
    volumes, hours = _volumes(settings, model, _hours(since, until, now))
    if (own or committed) and len(volumes) > 1:
        names = ", ".join(volume.model for volume in volumes)
        raise ConfigError(f"a commitment or GPUs are for one model: say --model, one of {names}")
    found = [plans(volume, _tariff(settings, volume.model, now), now, terms) for volume in volumes]
    (_json if json else _told)(volumes, found, terms, hours)


def _hours(since: int | None, until: int | None, now: int) -> tuple[int, int]:
    """Whole ones; the running hour is not over. Raises ConfigError."""
    last = min(now // HOUR, now // HOUR if until is None else -(-until // HOUR))
    first = last - DAYS * 24 if since is None else since // HOUR
    if first >= last:
        raise ConfigError("--since: must be before --until, and at least an hour ago")
    return first, last


def _gpus(nanos: int | None, per_second: float | None, units: int | None) -> Gpus | None:
    from tierwise.offline.costs.plans import Gpus

    if nanos is None and per_second is None and units is None:
        return None
    if nanos is None or per_second is None:
        raise ConfigError("GPUs: --gpu-usd-per-hour and --tokens-per-second are needed together")
    return Gpus(nanos, max(int(Decimal(str(per_second)) * HOUR), 1), units)


def _committed(text: str | None) -> Commitment | None:
    from tierwise.offline.costs.plans import Commitment

    if text is None:
        return None
    nanos, per_minute = commitment(text)
    return Commitment(nanos, per_minute * 60)


def _volumes(config: Config, model: str | None, hours: tuple[int, int]) -> tuple[list[Volume], tuple[int, int]]:
    """Of the model, or of all; and the hours since the ledger's first in the window. Raises ConfigError, StoreError."""
    from tierwise.offline.costs.plan_words import window
    from tierwise.offline.costs.plans import volumes

    rows = asyncio.run(_read(config, hours))
    if not rows:
        raise ConfigError(f"the ledger has no entries from {window(*hours)}")
    hours = max(hours[0], min(row.hour for row in rows)), hours[1]
    found = [volume for volume in volumes(rows, *hours) if model is None or volume.model == model]
    if not found:
        names = ", ".join(sorted({row.model for row in rows}))
        raise ConfigError(f"--model: no entries of {model!r} from {window(*hours)}; there are of {names}")
    return found, hours


async def _read(config: Config, hours: tuple[int, int]) -> Sequence[Spend]:
    from tierwise.gateway.setup.first_run import opened

    if config.store.embedded and not config.store_path.exists():
        raise ConfigError(f"{config.store_path}: no such file; a gateway with this config has never run")
    async with opened(config) as store:
        return await store.sums.spend(*hours)


def _tariff(config: Config, name: str, moment: int) -> Tariff | None:
    """What the price lists say of a model's services and hours, if they know it."""
    from tierwise.gateway.prices.priced import listed

    if name not in config.models:
        return None
    entries = listed(name, config)
    period = entries[0].at(moment) if entries else None
    return period.tariff() if period else None


def _json(volumes: list[Volume], found: list[list[Plan]], terms: Terms, hours: tuple[int, int]) -> None:
    from tierwise.offline.costs import plan_words as words
    from tierwise.offline.costs.plans import day

    print_json(
        {
            "since": hours[0] * HOUR,
            "until": hours[1] * HOUR,
            "assumptions": [
                *words.assumptions(volumes, found, terms),
                *(note for volume in volumes for note in words.notes(volume)),
            ],
            "models": [
                {
                    "model": volume.model,
                    "tokens": volume.tokens,
                    "nanos": volume.nanos,
                    "tokens_a_month": round(volume.month),
                    "tokens_by_hour_of_day": day(volume),
                    "plans": plans,
                }
                for volume, plans in zip(volumes, found, strict=True)
            ],
        }
    )


def _told(volumes: list[Volume], found: list[list[Plan]], terms: Terms, hours: tuple[int, int]) -> None:
    from tierwise.offline.costs import plan_words as words

    screen = console()
    screen.print(f"[bold]Volumes from {words.window(*hours)}[/]", soft_wrap=True)
    for volume, plans in zip(volumes, found, strict=True):
        screen.print(f"\n{plain(words.headline(volume))}")
        screen.print(words.profile(volume))
        _table(plans)
        screen.print(words.verdict(plans))
    screen.print()
    for text in (*words.assumptions(volumes, found, terms), *(t for volume in volumes for t in words.notes(volume))):
        screen.print(f"[dim]- {plain(text)}[/]")


def _table(plans: list[Plan]) -> None:
    from rich.table import Table

    from tierwise.offline.costs import plan_words as words

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place, title in enumerate(words.TITLES):
        table.add_column(title, justify="right" if 1 <= place <= 3 else "left", overflow="fold", no_wrap=place < 3)
    for plan, row in zip(plans, words.rows(plans), strict=True):
        table.add_row(*map(plain, row), style="green" if plan.cheapest else None)
    console().print(table)
