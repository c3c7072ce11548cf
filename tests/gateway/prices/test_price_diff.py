"""Two price lists against each other."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tierwise.gateway.prices.price_diff import Change, diff, rates
from tierwise.gateway.prices.price_lists import Entry, Long, Period, PriceList, Service, Window, shipped

NOVEMBER = 1_795_824_000  # 2026-11-28
FULL = Period(
    source="s",
    input=Decimal("2.50"),
    output=Decimal(10),
    per_request=Decimal("0.010"),
    long=(Long(over=272_000, input=Decimal(5), output=Decimal(15)),),
    windows=(
        Window(start="16:30", end="00:30", multiplier=Decimal("0.50")),
        Window(start="00:00", end="00:00", days=("sat", "sun"), multiplier=Decimal("0.5")),
    ),
    services={
        "batch": Service(multiplier=Decimal("0.5")),
        "fast": Service(input=Decimal(5), long=(Long(over=272_000, input=Decimal(9)),)),
    },
)


def one(name: str, period: Period, **over: str) -> Entry:
    return Entry(provider="openai", name=name, periods=(period,), **over)  # type: ignore[arg-type]


def test_rates() -> None:
    """All that a period says, each by where it holds."""
    assert rates(FULL) == {
        "input": "2.5",
        "output": "10",
        "input over 272000": "5",
        "output over 272000": "15",
        "input fast": "5",
        "input fast over 272000": "9",
        "batch": "x 0.5",
        "16:30-00:30 UTC, every day": "x 0.5",
        "all day, sat sun": "x 0.5",
        "a request": "0.01",
    }


def test_rates_of_places_and_sounds() -> None:
    """Each by its name."""
    said = msgspec.structs.replace(FULL, regions={"us": Decimal("1.10")}, audio=Decimal(40), speech=Decimal(80))
    found = rates(said)
    assert (found["in us"], found["audio"], found["speech"]) == ("x 1.1", "40", "80")


def test_changes() -> None:
    """A rate that moved, came or went; a model that only one list has; nothing of what is the same."""
    dearer = msgspec.structs.replace(FULL, input=Decimal(3), cache_read=Decimal("0.30"), windows=(), services={})
    old = PriceList(models=(one("same", FULL), one("moved", FULL), one("gone", FULL)))
    new = PriceList(models=(one("moved", dearer), one("same", FULL), one("same", FULL, host="h")))
    assert diff(old, new, NOVEMBER) == (
        Change("openai", "gone", "", "the model", "listed", None),
        Change("openai", "moved", "", "input", "2.5", "3"),
        Change("openai", "moved", "", "input fast", "5", None),
        Change("openai", "moved", "", "input fast over 272000", "9", None),
        Change("openai", "moved", "", "batch", "x 0.5", None),
        Change("openai", "moved", "", "16:30-00:30 UTC, every day", "x 0.5", None),
        Change("openai", "moved", "", "all day, sat sun", "x 0.5", None),
        Change("openai", "moved", "", "cache_read", None, "0.3"),
        Change("openai", "same", "h", "the model", None, "listed"),
    )
    assert diff(old, old, NOVEMBER) == ()


def test_lists_are_compared_as_of_a_moment() -> None:
    """A period that is over is not there."""
    for prices in shipped():
        assert diff(prices, prices, NOVEMBER) == ()
    deepseek = next(prices for prices in shipped() if prices.models[0].provider == "deepseek")
    gone = msgspec.structs.replace(deepseek, models=deepseek.models[1:])
    assert [change.model for change in diff(deepseek, gone, NOVEMBER)] == ["deepseek-flash"]
    assert diff(deepseek, gone, NOVEMBER - 100 * 86_400) == ()
