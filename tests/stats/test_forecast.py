"""The forecast: it covers what comes, knows weekdays and growth, and says when it has seen too little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tierwise.stats.forecast import LEAST_DAYS, MOST_DAYS, Forecast, forecast

WEEK = np.array([1.0, 1.1, 1.05, 1.0, 0.9, 0.3, 0.25])
Floats = NDArray[np.float64]
Days = Callable[[int, np.random.Generator], Floats]


def steady(n: int, rng: np.random.Generator) -> Floats:
    return np.resize(WEEK, n) * rng.lognormal(-0.02, 0.2, n)


def drifting(n: int, rng: np.random.Generator) -> Floats:
    return np.resize(WEEK, n) * np.exp(np.cumsum(rng.normal(0, 0.05, n))) * rng.lognormal(0, 0.1, n)


def growing(n: int, rng: np.random.Generator) -> Floats:
    trend: Floats = np.exp(0.01 * np.arange(n))
    return np.resize(WEEK, n) * trend * rng.lognormal(0, 0.1, n)


def office(n: int, rng: np.random.Generator) -> Floats:
    """Nothing at all on two days a week."""
    return np.resize([1.0, 1, 1, 1, 1, 0, 0], n) * rng.lognormal(0, 0.15, n)


def told(days: Floats, ahead: int) -> Forecast:
    found = forecast(days.tolist(), ahead)
    assert found is not None
    return found


@pytest.mark.unmeasured
@pytest.mark.parametrize("days", [steady, drifting, growing, office], ids=lambda days: days.__name__)
@pytest.mark.parametrize(("seen", "ahead"), [(14, 20), (30, 5), (50, 12)])
def test_it_covers(days: Days, seen: int, ahead: int) -> None:
    """At least nine in ten intervals of 95 % hold what comes, of four kinds of days, from few and from many."""
    rng, hits = np.random.default_rng(seen), 0
    for _ in range(25):
        drawn = days(seen + ahead, rng)
        found = told(drawn[:seen], ahead)
        hits += found.low <= drawn[seen:].sum() <= found.high
    assert hits >= 22


def test_it_is_no_wider_than_it_must() -> None:
    """Seven weeks of steady days tell the next two weeks to a third."""
    found = told(steady(49, np.random.default_rng(1)), 14)
    assert (found.high - found.low) / 2 < found.value / 3


def test_more_days_tell_more() -> None:
    """The interval from six weeks is narrower than that from two."""
    days = steady(42, np.random.default_rng(2))
    few, many = told(days[-14:], 10), told(days, 10)
    assert many.high - many.low < few.high - few.low


def test_it_knows_weekdays() -> None:
    """After a Friday come two quiet days, after a Sunday two busy ones."""
    days = steady(50, np.random.default_rng(3))
    assert told(days[:47], 2).value < 0.5 * told(days[:49], 2).value


def test_it_knows_growth() -> None:
    """What has doubled in ten weeks is not taken for its mean."""
    days = growing(56, np.random.default_rng(4))
    assert told(days, 7).value > 1.05 * days[-14:].sum() / 2


@given(st.lists(st.floats(-5, 1e6), max_size=70), st.integers(1, 31))
@example([0.0] * 20, 3)
@example([1e-9] * 14, 31)
@example([0.0] * 13 + [1e6], 1)
@settings(max_examples=40, deadline=None)
def test_it_is_in_order(days: list[float], ahead: int) -> None:
    """None with too few days, else low <= value <= high, none below 0 and all finite."""
    found = forecast(days, ahead)
    if len(days) < LEAST_DAYS:
        assert found is None
    else:
        assert found is not None
        assert 0 <= found.low <= found.value <= found.high < float("inf")
        assert found.days == min(len(days), MOST_DAYS)


@given(st.integers(0, 1000), st.floats(1e-3, 1e12))
@settings(max_examples=10, deadline=None)
def test_it_has_no_unit(seed: int, unit: float) -> None:
    """Nano-dollars or dollars: the same forecast."""
    days = steady(30, np.random.default_rng(seed))
    one, other = told(days, 9), told(days * unit, 9)
    assert np.allclose(np.array(one[:3]) * unit, other[:3], rtol=1e-6)


def test_only_the_last_weeks_count() -> None:
    """What was before them is as if it had never been."""
    days = steady(MOST_DAYS, np.random.default_rng(5))
    assert told(np.concatenate(([1e9, 5.0], days)), 4) == told(days, 4)


def test_at_least_a_day() -> None:
    """A forecast of no day is none."""
    with pytest.raises(ValueError, match="at least one day"):
        forecast([1.0] * 20, 0)
