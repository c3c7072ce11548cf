"""Both differences: right by hand, covering in simulations, and refused where there is too little to say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tierwise.stats.experiment import (
    LEAST_HOURS,
    LEAST_WORTH,
    Hour,
    Rating,
    cost_difference,
    rating_difference,
    worth,
)


def summed(costs: np.ndarray, hours: np.ndarray) -> list[Hour]:
    found = []
    for hour in np.unique(hours):
        part = costs[hours == hour]
        found.append(Hour(int(hour), part.size, float(part.sum()), float((part**2).sum())))
    return found


def arm(n: int, level: float, rng: np.random.Generator, spread: float = 1.0, hours: int = 100) -> list[Hour]:
    return summed(rng.lognormal(level, spread, n), rng.integers(0, hours, n))


def ratings(scores: np.ndarray, weights: np.ndarray | None = None) -> list[Rating]:
    each = np.ones(scores.size) if weights is None else weights
    return [Rating(float(score), float(weight)) for score, weight in zip(scores, each, strict=True)]


# ------------------------------------------------------------------ costs


def test_it_is_welchs_where_requests_are_independent() -> None:
    """One request an hour would be that too; here the larger of both, which for such costs is nearly Welch's."""
    rng = np.random.default_rng(1)
    one, other = rng.lognormal(0, 0.5, 400), rng.lognormal(-1, 0.5, 4000)
    found = cost_difference(summed(one, rng.integers(0, 200, 400)), summed(other, rng.integers(0, 200, 4000)))
    exact = stats.ttest_ind(one, other, equal_var=False)
    low, high = exact.confidence_interval(0.95)
    assert found is not None
    assert found.value == pytest.approx(one.mean() - other.mean())
    assert found.high - found.low >= (high - low) * 0.9999
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)


@pytest.mark.unmeasured
@pytest.mark.parametrize("spread", [0.5, 1.0, 1.3])
def test_it_covers_costs_with_heavy_tails(spread: float) -> None:
    """Of the intervals that are given, at least 92 % hold the truth, few held out or many."""
    rng, hits, given_ = np.random.default_rng(2), 0, 0
    truth = np.exp(spread**2 / 2) * (1 - np.exp(-1))
    for _ in range(200):
        found = cost_difference(arm(1000, 0.0, rng, spread), arm(8000, -1.0, rng, spread))
        if found is not None:
            given_ += 1
            hits += found.low <= truth <= found.high
    assert given_ >= 150
    assert hits >= 0.92 * given_


def test_hours_that_go_together_widen_it() -> None:
    """Where an hour's requests cost alike, they say little more than one."""
    rng = np.random.default_rng(3)
    hours = np.repeat(np.arange(60), 50)
    alike = np.repeat(rng.lognormal(0, 0.7, 60), 50)
    other = arm(3000, -1.0, rng, 0.5)
    together = cost_difference(summed(alike, hours), other)
    apart = cost_difference(summed(rng.permutation(alike), hours), other)
    assert together is not None
    assert apart is not None
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_what_moves_both_arms_cancels() -> None:
    """An hour in which everything is dear moves no difference: the arms are compared within it."""
    rng = np.random.default_rng(4)
    level, hours = np.repeat(rng.lognormal(0, 1, 60), 50), np.repeat(np.arange(60), 50)
    found = cost_difference(summed(level + 0.1, hours), summed(level, hours))
    assert found is not None
    assert found.value == pytest.approx(0.1)
    welch = stats.ttest_ind(level + 0.1, level, equal_var=False).confidence_interval(0.95)
    assert found.high - found.low == pytest.approx(welch[1] - welch[0], rel=1e-3)


@pytest.mark.parametrize("n", [0, 5, int(LEAST_WORTH) - 1])
def test_too_few_requests(n: int) -> None:
    """In either arm: no interval."""
    rng = np.random.default_rng(5)
    few, many = arm(n, 0.0, rng, 0.01), arm(3000, 0.0, rng, 0.01)
    assert cost_difference(few, many) is None
    assert cost_difference(many, few) is None


def test_one_request_that_costs_most_of_all() -> None:
    """Thousands of requests are worth few where one makes up the sum, and say nothing of the next such one."""
    hours = [Hour(hour, 100, 1.0, 0.01) for hour in range(20)]
    assert worth(hours) == pytest.approx(2000)
    hours[3] = Hour(3, 101, 51.0, 2500.01)
    assert worth(hours) < 3
    assert cost_difference(hours, [Hour(hour, 100, 1.0, 0.01) for hour in range(20)]) is None


def test_too_few_hours() -> None:
    """However many requests: they may be one conversation."""
    many = [Hour(hour, 1000, 10.0 + hour, 0.2) for hour in range(LEAST_HOURS)]
    assert cost_difference(many, many) is not None
    assert cost_difference(many[:-1], many[:-1]) is None


def test_what_costs_nothing_is_worth_nothing() -> None:
    """A model of one's own without a price: no claim from zeros."""
    assert worth([Hour(1, 500, 0.0, 0.0)]) == 0
    assert worth([]) == 0


# ------------------------------------------------------------------ ratings


@pytest.mark.unmeasured
@pytest.mark.parametrize(("one", "other"), [(0.95, 0.95), (0.99, 0.97), (0.8, 0.9), (1.0, 1.0)])
@pytest.mark.parametrize("n", [30, 150])
def test_it_covers_ratings(one: float, other: float, n: int) -> None:
    """Thumbs up or down, near 1 too."""
    rng, hits = np.random.default_rng(6), 0
    for _ in range(150):
        found = rating_difference(ratings(rng.random(n) < one), ratings(rng.random(3 * n) < other))
        assert found is not None
        hits += found.low <= one - other <= found.high
    assert hits >= 0.93 * 150


def test_perfect_ratings_prove_nothing() -> None:
    """Thirty good ones on both sides leave room for a bad one."""
    found = rating_difference([Rating(1.0)] * 30, [Rating(1.0)] * 30)
    assert found is not None
    assert found.value == 0
    assert found.high == pytest.approx(-found.low)
    assert found.high > 0.05


def test_weights_undo_an_uneven_draw() -> None:
    """Bad ones were drawn ten times as often: the weighted mean is that of all."""
    rng, values = np.random.default_rng(7), []
    for _ in range(200):
        scores = (rng.random(2000) < 0.9).astype(float)
        rate = np.where(scores < 1, 0.5, 0.05)
        drawn = rng.random(2000) < rate
        found = rating_difference(ratings(scores[drawn], 1 / rate[drawn]), [Rating(1.0)] * 100)
        assert found is not None
        values.append(found.value)
    assert np.mean(values) == pytest.approx(-0.1, abs=0.01)


def test_too_few_ratings() -> None:
    """Fewer than thirty, or thirty of which one stands for nearly all."""
    many = [Rating(1.0)] * 50
    assert rating_difference([Rating(1.0)] * 29, many) is None
    assert rating_difference(many, []) is None
    assert rating_difference([Rating(1.0)] * 40 + [Rating(0.0, 1e4)], many) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 10)), min_size=60, max_size=90), st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_it_is_fair(pairs: list[tuple[float, float]], extra: int) -> None:
    """Swapping the arms changes the sign alone; the value lies inside, and all within [-1, 1]."""
    one, other = [Rating(*pair) for pair in pairs], [Rating(0.5)] * (30 + extra)
    found, back = rating_difference(one, other), rating_difference(other, one)
    assert (found is None) == (back is None)
    if found is not None and back is not None:
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert (found.value, found.low, found.high) == pytest.approx((-back.value, -back.high, -back.low))


@pytest.mark.parametrize("rating", [Rating(1.1), Rating(-0.1), Rating(float("nan")), Rating(1.0, 0.0)])
def test_what_is_no_rating(rating: Rating) -> None:
    """A score or a weight out of range."""
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        rating_difference([rating] * 50, [Rating(1.0)] * 50)
