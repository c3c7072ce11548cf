"""Savings: exact sums, everything subtracted, and an interval only where days can tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.proof import Day
from tierwise.stats.savings import LEAST_DAYS, Savings, growing, interval, saved

NANOS = st.integers(0, 10**18)


@st.composite
def days(draw: st.DrawFn) -> list[Day]:
    money = draw(st.lists(st.tuples(NANOS, NANOS, NANOS), max_size=12))
    return [day(number, *parts) for number, parts in enumerate(money)]


def day(number: int, baseline: int, spent: int, aside: int) -> Day:
    return Day(day=number, requests=1, drafts=1, nanos=spent, aside_nanos=aside, baseline_nanos=baseline)


def even(count: int) -> list[Day]:
    """Of each day's 100, 40 were spent and 5 went aside."""
    return [day(number, 100, 40, 5) for number in range(count)]


@given(days())
def test_sums_are_exact(some: list[Day]) -> None:
    """To the nano-dollar, however large; the last of the growing sums is the whole."""
    found = saved(some)
    assert found.baseline == sum(one.baseline_nanos for one in some)
    assert found.spent == sum(one.nanos for one in some)
    assert found.aside == sum(one.aside_nanos for one in some)
    assert found.net + found.spent + found.aside == found.baseline
    sums = growing(some)
    assert len(sums) == len(some)
    assert [*sums, found][-1] == found == (sums[-1] if sums else Savings())


@given(days(), days())
def test_periods_add_up(first: list[Day], second: list[Day]) -> None:
    """Two periods save together what they save apart."""
    assert saved([*first, *second]).net == saved(first).net + saved(second).net


def test_shares_by_hand() -> None:
    """Of always-premium's price; below 0 for a route that costs more; none where there is nothing to compare with."""
    assert Savings(100, 40, 5).share == pytest.approx(0.55)
    assert Savings(100, 140, 5).share == pytest.approx(-0.45)
    assert Savings(0, 3, 0).share is None
    assert Savings(0, 3, 0).net == -3


def test_the_interval_needs_a_week() -> None:
    """Of equal days the interval is a point; of few there is none, nor of days without a baseline."""
    rng = np.random.default_rng(1)
    assert interval(even(LEAST_DAYS - 1), rng) is None
    assert interval([day(number, 0, 1, 1) for number in range(9)], rng) is None
    assert interval(even(LEAST_DAYS), rng) == pytest.approx((0.55, 0.55))


def test_the_interval_is_about_other_days() -> None:
    """It covers what further days of the same kind save, in most samples; large days weigh more."""
    rng, covered = np.random.default_rng(2), 0
    for _ in range(60):
        spent = rng.uniform(10, 90, 40)
        some = [day(number, 100, round(part), 0) for number, part in enumerate(spent)]
        low, high = interval(some, rng, 300) or (0.0, 0.0)
        covered += low <= 0.5 <= high
    assert covered >= 50
    uneven = [*even(7), day(7, 10**6, 0, 0)]
    _, high = interval(uneven, rng) or (0.0, 0.0)
    assert high > 0.99


def test_days_in_which_nothing_was_spent() -> None:
    """A sample of days without a baseline is left out; the others have a share."""
    some = [day(number, 100 * (number == 0), 10, 0) for number in range(7)]
    low, high = interval(some, np.random.default_rng(3)) or (0.0, 0.0)
    assert low < high <= 1
