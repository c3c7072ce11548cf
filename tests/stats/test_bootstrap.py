"""Intervals: the same again for a seed, right in width, and safe where a sample has no value."""

from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
import pytest

from tierwise.stats.bootstrap import LEAST_ROUNDS, Interval, Rows, counts, frontier_intervals, interval
from tierwise.stats.frontier import Vector, apgr, cost_apgr, cost_curve, cpt, curve


def sample(n: int, seed: int = 0) -> tuple[Vector, Vector, Vector]:
    """Outcomes of a fair verifier with few distinct scores, so with many ties."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    cheap = (rng.random(n) > hard).astype(np.float64)
    premium = (rng.random(n) > hard / 4).astype(np.float64)
    return cheap, premium, np.round(hard + rng.normal(0, 0.2, n), 1)


def test_a_mean_has_its_textbook_interval() -> None:
    """For a mean the percentile interval is 1.96 standard errors wide to either side."""
    values = np.random.default_rng(0).random(2000)
    found = interval(lambda rows: float(values[rows].mean()), 2000, np.random.default_rng(1), 2000)
    half = 1.96 * values.std() / sqrt(2000)
    assert found.value == values.mean()
    assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=0.1)
    assert found.defined == 1


def test_several_values_at_once() -> None:
    """A statistic with several values gets an interval for each."""
    values = np.arange(10.0)

    def both(rows: Rows) -> Vector:
        return np.array([values[rows].min(), values[rows].mean()])

    found = interval(both, 10, np.random.default_rng(0), 200, 0.9)
    assert found.value.tolist() == [0, 4.5]
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()


def test_rounds_without_a_value_are_left_out_and_told() -> None:
    """NaN rounds don't spoil the interval, and `defined` says how many there were."""
    found = interval(lambda rows: nan if 0 in rows else 2.0, 3, np.random.default_rng(0), 400)
    assert isnan(found.value)
    assert (found.low, found.high) == (2, 2)
    assert found.defined == pytest.approx((2 / 3) ** 3, abs=0.08)
    nothing = interval(lambda rows: nan, 3, np.random.default_rng(0), 10)
    assert isnan(nothing.low)
    assert isnan(nothing.high)
    assert nothing.defined == 0


def test_a_seed_gives_the_same_interval() -> None:
    """The generator is the only randomness."""
    table = sample(200)
    first, again = (frontier_intervals(*table, np.random.default_rng(7), 50) for _ in range(2))
    assert first == again
    assert first != frontier_intervals(*table, np.random.default_rng(8), 50)


def test_values_are_the_figures_themselves() -> None:
    """Every value is what the frontier says of all queries, and lies within its bounds."""
    cheap, premium, escalation = sample(400)
    dollars = np.full(400, 0.1), np.linspace(1, 2, 400)
    found = frontier_intervals(cheap, premium, escalation, np.random.default_rng(0), 200, dollars)
    line = curve(cheap, premium, escalation)
    paid = cost_curve(cheap, premium, escalation, *dollars)
    values = {name: figure.value for name, figure in found.items()}
    assert values == {
        "apgr": apgr(line),
        "cpt50": cpt(line, 0.5),
        "cpt80": cpt(line, 0.8),
        "cpt95": cpt(line, 0.95),
        "cost_apgr": cost_apgr(paid),
    }
    assert all(figure.low <= figure.value <= figure.high for figure in found.values())
    assert "cost_apgr" not in frontier_intervals(cheap, premium, escalation, np.random.default_rng(0), 2)


def test_weights_and_indices_agree() -> None:
    """Resampling by weights gives the interval that resampling rows gives."""
    cheap, premium, escalation = sample(500)
    fast = frontier_intervals(cheap, premium, escalation, np.random.default_rng(0), 600)["apgr"]
    plain = interval(
        lambda rows: apgr(curve(cheap[rows], premium[rows], escalation[rows])), 500, np.random.default_rng(1), 600
    )
    assert fast.value == plain.value
    width = plain.high - plain.low
    assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high), abs=0.15 * width)


@pytest.mark.unmeasured
def test_intervals_cover() -> None:
    """Of 95 % intervals of APGR from samples of one population, about 95 % hold the population's."""
    truth = apgr(curve(*sample(200_000, 99)))
    held = [
        found.low <= truth <= found.high
        for seed in range(100)
        for found in [frontier_intervals(*sample(300, seed), np.random.default_rng(seed), 150)["apgr"]]
    ]
    assert 0.87 <= np.mean(held) <= 1


def test_counts_are_a_sample() -> None:
    """n draws from n queries, with replacement."""
    drawn = counts(1000, np.random.default_rng(0))
    assert drawn.sum() == 1000
    assert (drawn == 0).mean() == pytest.approx(1 / np.e, abs=0.05)


@pytest.mark.unmeasured
def test_many_queries_get_fewer_rounds() -> None:
    """Beyond the limit of draws the rounds shrink to the least, which the granularity of `defined` shows."""
    n = 250_001
    cheap, premium = np.zeros(n), np.zeros(n)
    premium[0] = 1  # drawn in about 63 % of the samples; the others have no gap
    found = frontier_intervals(cheap, premium, np.zeros(n), np.random.default_rng(0), 1000)["apgr"]
    assert found.defined * LEAST_ROUNDS == pytest.approx(round(found.defined * LEAST_ROUNDS))
    assert found.defined == pytest.approx(1 - 1 / np.e, abs=0.12)
    assert found == Interval(0.5, 0.5, 0.5, found.defined)


@pytest.mark.parametrize(("n", "rounds"), [(0, 10), (10, 0)])
def test_nothing_to_draw(n: int, rounds: int) -> None:
    """No queries or no rounds is an error."""
    with pytest.raises(ValueError):
        interval(lambda rows: 0.0, n, np.random.default_rng(0), rounds)
