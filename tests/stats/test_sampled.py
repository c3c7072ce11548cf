"""The mean of all rows from the drawn ones: unbiased, within its interval at every look, and no wider than it must."""

from __future__ import annotations

from math import exp, isnan, log, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.stats.sampled import BETS, Estimate, mean

LEAST, DELTA = 0.05, 0.1


def stream(rows: int, rng: np.random.Generator, harm: tuple[float, float] = (0.0, 0.2)) -> tuple[np.ndarray, ...]:
    """Rows of which the second half does more harm, most of it where more is drawn: values, propensities, drawn."""
    doubt = rng.random(rows) < 0.3
    rate = np.where(doubt, 0.4, LEAST)
    chance = np.repeat(harm, rows // 2) * np.where(doubt, 2.0, 4 / 7)
    value = (rng.random(rows) < chance).astype(np.float64) - (rng.random(rows) < 0.05)
    return value, rate, rng.random(rows) < rate


def at(look: int, value: np.ndarray, rate: np.ndarray, drawn: np.ndarray) -> Estimate:
    seen = drawn[:look]
    return mean(value[:look][seen], rate[:look][seen], look, DELTA, LEAST)


def test_it_is_unbiased() -> None:
    """Though the rows that do harm are drawn oftener, and harm changes halfway."""
    rng = np.random.default_rng(1)
    found = [at(2000, *stream(2000, rng)).value for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.006)


@pytest.mark.unmeasured
def test_it_covers_at_every_look() -> None:
    """A look after each hundred rows, harm changing on the way: seldom outside even once."""
    rng, missed = np.random.default_rng(2), 0
    looks = range(100, 4001, 100)
    for _ in range(60):
        rows = stream(4000, rng)
        expected = np.cumsum(np.repeat((0.0, 0.2), 2000) - 0.05)
        found = [at(look, *rows) for look in looks]
        truth = [expected[look - 1] / look for look in looks]
        missed += not all(one.low <= mid <= one.high for one, mid in zip(found, truth, strict=True))
    assert missed <= 60 * DELTA


def test_a_normal_interval_is_found_out() -> None:
    """The mutant, two standard errors, is outside at some look in far more streams than it says."""
    rng, missed = np.random.default_rng(3), 0
    for _ in range(60):
        value = (rng.random(3000) < 0.05).astype(np.float64)
        rows = np.arange(1, 3001)
        middle = np.cumsum(value) / rows
        error = np.sqrt(middle * (1 - middle) / rows)
        missed += bool((np.abs(middle - 0.05) > 1.65 * error)[50:].any())
    assert missed > 60 * DELTA * 2


def test_how_wide_it_is() -> None:
    """Nothing found in 500 drawn rows; and of many rows at most twice the width for one look."""
    none = mean(np.zeros(500), np.full(500, LEAST), 10_000, DELTA, LEAST)
    assert (none.value, none.drawn) == (0.0, 500)
    assert 0 < none.high <= 0.016
    assert none.low == -none.high
    many = mean(np.repeat((1.0, 0.0), 5000), np.full(10_000, 0.5), 20_000, DELTA, 0.5)
    assert many.value == 0.5
    assert many.high - 0.5 >= (2 * 5000 * log(2 / DELTA)) ** 0.5 / 10_000  # what no bet that is right can be below
    assert many.high - 0.5 <= 2 * 1.65 * (5000**0.5 / 10_000)


def test_more_rows_that_are_known_to_be_0() -> None:
    """They need not be drawn, and make the mean and its interval smaller alike."""
    few, many = (mean([1.0, 0.0, 1.0], [0.5] * 3, rows, DELTA, 0.5) for rows in (1000.0, 4000.0))
    assert many.value == pytest.approx(few.value / 4)
    assert many.high == pytest.approx(few.high / 4)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(0.01, 1), st.floats(1, 50))
@settings(max_examples=60, deadline=None)
def test_signs_are_alike(values: list[float], rate: float, more: float) -> None:
    """Turned round, the mean is turned round; and it is always within."""
    rates, rows = [rate] * len(values), len(values) * more
    one, other = mean(values, rates, rows, DELTA, 0.01), mean([-value for value in values], rates, rows, DELTA, 0.01)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert -1 <= one.low <= one.value <= one.high <= 1


@given(st.sampled_from(BETS), st.floats(0, 1), st.floats(0, 1))
def test_no_bet_is_expected_to_grow(bet: float, bad: float, good: float) -> None:
    """Over a row of which the mean is what was expected: the inequality that all of it rests on."""
    assume = bad + good
    if assume > 1:
        bad, good = bad / assume, good / assume
    expected = good - bad
    grown = sum(
        chance * exp(bet * (value - expected) - (-log(1 - bet) - bet) * value**2)
        for value, chance in ((-1, bad), (1, good), (0, 1 - bad - good))
    )
    assert grown <= 1 + 1e-9


def test_without_rows_nothing_is_known() -> None:
    """And what can't be used is refused."""
    empty = mean([], [], 100, DELTA, LEAST)
    assert isnan(empty.value)
    assert empty[1:] == (-1.0, 1.0, 0)
    for values, rates, rows, delta, least in (
        ([0.0], [0.5, 0.5], 9, DELTA, LEAST), ([0.0, 0.0], [0.5, 0.5], 1, DELTA, LEAST),
        ([1.1], [0.5], 9, DELTA, LEAST),
        ([nan], [0.5], 9, DELTA, LEAST), ([0.0], [0.01], 9, DELTA, LEAST), ([0.0], [1.1], 9, DELTA, LEAST),
        ([0.0], [0.5], 9, 0.0, LEAST), ([0.0], [0.5], 9, DELTA, 0.0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"need|lie"):
            mean(values, rates, rows, delta, least)
