"""What models cost by their providers' list prices: a vendored snapshot, looked up by name.

Knows only providers at their own address; the same model at another host has that host's price, so it gets none here.
Of a model whose price depends on the length of the input this gives the base price (the file keeps the tiers), and of
one whose price depends on the hour the dearest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tierwise.gateway.settings import BASE_URLS
from tierwise.types import Price

_FILE = Path(__file__).parent.parent / "data" / "prices" / "genai-prices.json"
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


class Tier(Rates, frozen=True, kw_only=True):
    """The whole request's rates once its input is longer than `over` tokens."""

    over: int


class Listing(Rates, frozen=True, kw_only=True):
    provider: str
    id: str
    match: Rules
    off_peak: Rates | None = None
    tiers: tuple[Tier, ...] = ()


class Catalogue(msgspec.Struct, frozen=True):
    source: str  # the package and its version
    source_url: str
    prices_checked: str  # the day for which dated prices were resolved, YYYY-MM-DD
    urls: dict[str, tuple[str, ...]]  # provider -> its price pages
    models: tuple[Listing, ...]


def pico(usd_per_million: Decimal) -> int:
    """Pico-dollars a token; what is finer is rounded up."""
    return int((usd_per_million * 1_000_000).to_integral_value(ROUND_CEILING))


@cache
def catalogue() -> Catalogue:
    """The vendored file. Read once."""
    return msgspec.json.decode(_FILE.read_bytes(), type=Catalogue)


def lookup(provider: str, model: str, base_url: str = "") -> Price | None:
    """The list price of a provider's model at the provider's own address ("" means that too); else None."""
    own = BASE_URLS.get(provider)
    if own is None or (base_url and urlsplit(base_url).hostname != urlsplit(own).hostname):
        return None
    listing = find(provider, model)
    return listing.price(f"{catalogue().source}, {catalogue().prices_checked}") if listing else None


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
    """The dearest known price of each kind of token, tiers included: what an unknown price counts as."""
    rates: Iterable[Rates] = (rate for listing in catalogue().models for rate in (listing, *listing.tiers))
    prices = [rate.price("") for rate in rates]
    return Price(
        input=max(price.input for price in prices),
        output=max(price.output for price in prices),
        cache_read=max(price.cache_read for price in prices),
        cache_write=max(price.cache_write for price in prices),
        source=f"the dearest of {catalogue().source}, {catalogue().prices_checked}",
    )
