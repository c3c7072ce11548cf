"""What models cost by list price: an operator's lists first, then a vendored snapshot with our dated lists over it.

Knows providers at their own address; the same model at another host has that host's price, so it gets none here but
from an operator's list that names the host. Of a model whose hours the snapshot alone knows, the dearest counts always.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tierwise.core.tariff import dearest, dearest_in, dearest_out, most, valid
from tierwise.gateway.prices import price_lists
from tierwise.gateway.prices.price_lists import Entry, PriceList, pico, shipped
from tierwise.gateway.tables.model_table import BASE_URLS
from tierwise.tariffs import Rates as Rated
from tierwise.tariffs import Step, Tariff
from tierwise.types import Price

_FILE = Path(__file__).parents[2] / "data" / "prices" / "genai-prices.json"
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])([0-2]\d|3[01])$")


class Rules(msgspec.Struct, frozen=True):
    """A name matches if any rule does; names are compared in lower case."""

    equals: tuple[str, ...] = ()
    starts_with: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()

    def match(self, name: str) -> bool:
        return (
            name in self.equals
            or name.startswith(self.starts_with)
            or any(part in name for part in self.contains)
            or any(re.search(pattern, name) for pattern in self.regex)
        )


class Rates(msgspec.Struct, frozen=True):
    """USD per million tokens; None where the list says nothing of it."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None

    def price(self, source: str) -> Price:
        """In pico-dollars a token. What is not listed costs what fresh input costs."""
        return Price(
            input=pico(self.input),
            output=pico(self.output),
            cache_read=pico(self.input if self.cache_read is None else self.cache_read),
            cache_write=pico(self.input if self.cache_write is None else self.cache_write),
            source=source,
        )

    def rated(self) -> Rated:
        """As tariffs have it; a cache for an hour is not listed here."""
        price = self.price("")
        written = price.cache_write
        return Rated(
            price.input, price.output, price.cache_read, written, written, price.output, price.input, price.input,
            price.output,
        )  # fmt: skip


class Tier(Rates, frozen=True, kw_only=True):
    """The whole request's rates once its input is longer than `over` tokens."""

    over: int


class Listing(Rates, frozen=True, kw_only=True):
    provider: str
    id: str
    match: Rules
    off_peak: Rates | None = None
    tiers: tuple[Tier, ...] = ()

    def tariff(self) -> Tariff:
        """Without dates: the snapshot has none."""
        return Tariff(
            self.rated(),
            tuple([Step(tier.over, tier.rated()) for tier in sorted(self.tiers, key=lambda tier: tier.over)]),
            source=f"{catalogue().source}, {catalogue().prices_checked}",
        )


class Catalogue(msgspec.Struct, frozen=True):
    source: str  # the package and its version
    source_url: str
    prices_checked: str  # the day for which dated prices were resolved, YYYY-MM-DD
    urls: dict[str, tuple[str, ...]]  # provider -> its price pages
    models: tuple[Listing, ...]


@cache
def catalogue() -> Catalogue:
    """The vendored file. Read once."""
    return msgspec.json.decode(_FILE.read_bytes(), type=Catalogue)


def lookup(
    provider: str, model: str, base_url: str = "", own: Iterable[PriceList] = (), moment: int | None = None
) -> Price | None:
    """The list price of a provider's model at an address ("": the provider's own), or None.

    That of a short text at the dearest hour. `own` are an operator's lists; `moment` is Unix seconds, None is now.
    """
    held = valid(tariffs_of(provider, model, base_url, own), int(time.time()) if moment is None else moment)
    return None if held is None else dearest(held)


def tariffs_of(provider: str, model: str, base_url: str = "", own: Iterable[PriceList] = ()) -> tuple[Tariff, ...]:
    """All that is listed of a model, in the order in which it counts: of these the first that holds at a moment."""
    host = _host(provider, base_url)
    if host is None:
        return ()
    entries = [price_lists.find(own, provider, model, host)]
    if not host:
        entries.append(price_lists.find(shipped(), provider, model))
    found = [period.tariff() for entry in entries if entry is not None for period in entry.periods]
    listing = None if host else find(provider, model)
    return (*found, *(() if listing is None else (listing.tariff(),)))


def entry_of(provider: str, model: str, base_url: str = "", own: Iterable[PriceList] = ()) -> Entry | None:
    """Everything that the lists say of a model: the operator's, or else ours; None where only the snapshot knows it."""
    host = _host(provider, base_url)
    if host is None:
        return None
    found = price_lists.find(own, provider, model, host)
    return found if found or host else price_lists.find(shipped(), provider, model)


def _host(provider: str, base_url: str) -> str | None:
    """ "" at the provider's own address; None for what has no list prices at all."""
    own = BASE_URLS.get(provider)
    if own is None:
        return None
    host = urlsplit(base_url).hostname or ""
    return "" if host == urlsplit(own).hostname else host


def find(provider: str, model: str) -> Listing | None:
    """The first listing whose rules match, as the source orders them; `-20251211` is tried as `-2025-12-11` too."""
    name = model.lower()
    for candidate in dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name))):
        for listing in catalogue().models:
            if listing.provider == provider and listing.match.match(candidate):
                return listing
    return None


@cache
def ceiling() -> Price:
    """The dearest known price of each kind of token, at any length, hour, service and day, for what has none."""
    rates: Iterable[Rates] = (rate for listing in catalogue().models for rate in (listing, *listing.tiers))
    prices = [rate.price("") for rate in rates]
    for entry in (entry for prices_of in shipped() for entry in prices_of.models):
        for period in entry.periods:
            top = most(period.tariff())
            dear = dearest_in(top)
            prices.append(Price(dear, dearest_out(top), top.cache_read, dear))
    return Price(
        input=max(price.input for price in prices),
        output=max(price.output for price in prices),
        cache_read=max(price.cache_read for price in prices),
        cache_write=max(price.cache_write for price in prices),
        source=f"the dearest of {catalogue().source}, {catalogue().prices_checked}",
    )
