"""The config's `[prices]` table: price lists of the operator's own, which count before every other, and discounts.

A list from an address counts after the operator's files and before those that ship (`price_feed.py` fetches it).

Knows what can be wrong with it, and nothing of what a price is (`price_lists.py`) or when one is looked up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Annotated

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.prices.price_lists import PriceList, read
from tierwise.gateway.tables.model_table import web_address
from tierwise.gateway.tables.route_table import Table
from tierwise.gateway.tables.toml_check import Problems, nearest
from tierwise.tariffs import ONE

MAX_OVERLAYS = 100
MAX_MULTIPLIER = 10


class Terms(msgspec.Struct, frozen=True):
    """What an operator has agreed: lists in their order, and what list prices are multiplied by, in millionths."""

    lists: tuple[PriceList, ...] = ()
    multipliers: Mapping[str, int] = {}  # by a configured model's name, or by a provider

    def factor(self, name: str, provider: str) -> int:
        """The model's own before its provider's."""
        return self.multipliers.get(name, self.multipliers.get(provider, ONE))


class PricesTable(Table, frozen=True):
    overlays: tuple[str, ...] = ()  # files, from the config's folder; of two that know a model the closer name counts
    # by a model or provider, of list prices: 0.9 is a discount of 10 %, 1.1 a region's surcharge
    multipliers: dict[str, Decimal] = msgspec.field(default_factory=dict)
    url: str = ""  # of a price list that a gateway fetches while it runs; "": none
    refresh_hours: Annotated[float, msgspec.Meta(ge=0.01, le=8760)] = 24.0

    def terms(self, folder: Path, fetched: PriceList | None = None) -> Terms:
        """Lists are read anew, and `fetched` counts behind them. Raises ConfigError."""
        lists = [read(folder / Path(name).expanduser()) for name in self.overlays]
        return Terms(
            lists=tuple(lists if fetched is None else [*lists, fetched]),
            multipliers={
                name: int((value * ONE).to_integral_value(ROUND_CEILING)) for name, value in self.multipliers.items()
            },
        )


def check_prices(table: PricesTable, folder: Path, known: Collection[str], problems: Problems) -> None:
    """Every list is read whole when the config is, so that a running gateway never meets a wrong one.

    `known` are the configured models and the providers with list prices.
    """
    for name, value in table.multipliers.items():
        path = ("prices", "multipliers", name)
        if name not in known:
            problems.add(path, f"neither a model of this config nor a provider; {nearest(name, known)}")
        if not (value.is_finite() and 0 < value <= MAX_MULTIPLIER):
            problems.add(path, f"must be above 0 and at most {MAX_MULTIPLIER}; 0.9 is a discount of 10 %")
    if table.url and web_address(table.url) is None:
        problems.add(("prices", "url"), "expected an http:// or https:// address without a user")
    if len(table.overlays) > MAX_OVERLAYS:
        problems.add(("prices", "overlays"), f"at most {MAX_OVERLAYS} files")
        return
    for name in table.overlays:
        try:
            read(folder / Path(name).expanduser())
        except ConfigError as error:
            for problem in error.problems:
                problems.add(("prices", "overlays"), problem)
