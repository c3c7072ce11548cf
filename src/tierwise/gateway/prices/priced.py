"""What models cost and where that is from, for the person who has to answer for the bill.

Knows the order in which prices count (`snapshot.py`, `catalogue.py`) and only repeats it with its reasons.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import msgspec

from tierwise.gateway.prices import price_lists
from tierwise.gateway.prices.catalogue import Listing, catalogue, ceiling, entry_of, find
from tierwise.gateway.prices.price_lists import Entry, Long, Period, PriceList, shipped
from tierwise.gateway.settings import Config
from tierwise.gateway.snapshot import price_of, tariffs_for, terms_of
from tierwise.gateway.tables.model_table import BASE_URLS, ModelTable
from tierwise.gateway.tables.price_table import Terms
from tierwise.types import Price


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """`counts_as` is what an attempt is charged by: the price, or the ceiling where there is none."""

    name: str
    provider: str
    model: str
    price: Price | None  # pico-dollars a token
    counts_as: Price
    source: str
    checked: date | None  # None: no such day is known
    varies: bool  # a long input, a service tier or an hour costs otherwise


def priced(config: Config, moment: int) -> tuple[Priced, ...]:
    """In the config's order, as a gateway that started at `moment` (Unix seconds) would have it."""
    terms = terms_of(config)
    return tuple(_priced(name, table, terms, moment) for name, table in config.models.items())


def listed(name: str, config: Config | None) -> tuple[Entry, ...]:
    """All that lists say of a configured model, of "provider/model", or of a model of any provider; no multipliers."""
    table = config.models.get(name) if config else None
    own = terms_of(config).lists if config else ()
    if table is not None:
        return tuple(_of_table(table, own))
    provider, slash, model = name.partition("/")
    if not slash or provider not in BASE_URLS:
        return tuple(entry for provider in BASE_URLS for entry in _of_name(provider, name, own))
    return tuple(_of_name(provider, model, own))


def _priced(name: str, table: ModelTable, terms: Terms, moment: int) -> Priced:
    price = price_of(table, tariffs_for(name, table, terms), moment)
    entry = None if table.price else entry_of(table.provider, table.model, table.base_url, terms.lists)
    period = entry.at(moment) if entry and price else None
    return Priced(
        name=name,
        provider=table.provider,
        model=table.model,
        price=price,
        counts_as=price or ceiling(),
        source=price.source if price else "unknown",
        checked=period.checked if period else None,
        varies=bool(period and (period.long or period.windows or period.services or period.regions)),
    )


def _of_table(table: ModelTable, own: tuple[PriceList, ...]) -> Iterator[Entry]:
    if table.price is not None:
        said = table.price.price()
        period = Period(
            source=said.source,
            input=_usd(said.input),
            output=_usd(said.output),
            cache_read=_usd(said.cache_read),
            cache_write_5m=_usd(said.cache_write),
        )
        yield Entry(provider=table.provider, name=table.model, periods=(period,))
        return
    entry = entry_of(table.provider, table.model, table.base_url, own)
    listing = find(table.provider, table.model)
    if entry is not None:
        yield entry
    elif listing is not None and tariffs_for("", table, Terms(own)):
        yield _as_entry(listing)


def _of_name(provider: str, model: str, own: tuple[PriceList, ...]) -> Iterator[Entry]:
    hosts = {entry.host for prices in own for entry in prices.models} - {""}
    elsewhere = (price_lists.find(own, provider, model, host) for host in sorted(hosts))
    yield from (entry for entry in elsewhere if entry is not None)
    entry = price_lists.find(own, provider, model) or price_lists.find(shipped(), provider, model)
    listing = find(provider, model)
    if entry is not None:
        yield entry
    elif listing is not None:
        yield _as_entry(listing)


def _usd(pico: int) -> Decimal:
    """Per million tokens, of pico-dollars a token; exact."""
    return Decimal(pico) / 1_000_000


def _as_entry(listing: Listing) -> Entry:
    """What only the snapshot knows. It has no dates, and of prices by the hour the dearest."""
    period = Period(
        source=f"{catalogue().source}, {catalogue().prices_checked}",
        input=listing.input,
        output=listing.output,
        cache_read=listing.cache_read,
        cache_write_5m=listing.cache_write,
        long=tuple(
            Long(
                over=tier.over,
                input=tier.input,
                output=tier.output,
                cache_read=tier.cache_read,
                cache_write_5m=tier.cache_write,
            )
            for tier in listing.tiers
        ),
    )
    return Entry(provider=listing.provider, name=listing.id, periods=(period,))
