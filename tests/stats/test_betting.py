"""Bets: claims are false as rarely as they say, the rules matter, and fewer rows than by Hoeffding-Bentkus do."""

from __future__ import annotations

from math import exp, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.stats.betting import CASH, Side, Vector, Wealth, _cash, interval, p_value, upper_mean
from tierwise.stats.bounds import hoeffding_bentkus
from tierwise.stats.bounds import upper_mean as hoeffding_bentkus_bound
from tierwise.stats.certify import parity

ALPHA, DELTA = 0.03, 0.05
SIDES: tuple[Side, ...] = ("below", "above")
UNIT = st.lists(st.floats(0, 1), max_size=30)


def within(share: float, runs: int, delta: float = DELTA) -> bool:
    return share <= delta + 3 * sqrt(delta * (1 - delta) / runs)


def harm(mean: float, runs: int, rows: int, rng: np.random.Generator) -> Vector:
    """Graded harm: most rows have none, the others anything."""
    return np.where(rng.random((runs, rows)) < 2 * mean, rng.random((runs, rows)), 0.0)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("graded", [True, False])
def test_small_p_values_are_rare_where_the_claim_is_false(side: Side, graded: bool) -> None:
    """At the very mean that is tested p <= delta comes in at most delta of the samples, on both sides."""
    rng = np.random.default_rng(1)
    for mean in (ALPHA, 0.4):
        samples = harm(mean, 500, 300, rng) if graded else (rng.random((500, 300)) < mean).astype(np.float64)
        assert within(float(np.mean([p_value(sample, mean, DELTA, side) <= DELTA for sample in samples])), 500)


def foresight(value: Vector, mean: float) -> float:
    """The mutant: a bet that looks at the row that it is made on."""
    bets = np.where(value < mean, 0.75 / (1 - mean), 0.0)
    return exp(-float(np.cumsum(np.log1p(bets * (mean - value))).max(initial=0)))


def test_bets_that_know_their_row_are_found_out() -> None:
    """The test above fails for them, and for rows that come in an order that knows of harm."""
    samples = harm(ALPHA, 100, 300, np.random.default_rng(1))
    assert np.mean([foresight(sample, ALPHA) <= DELTA for sample in samples]) > 0.9
    assert np.mean([p_value(np.sort(sample), ALPHA, DELTA) <= DELTA for sample in samples]) > 0.9


def test_graded_harm_needs_fewer_rows_than_with_hoeffding_bentkus() -> None:
    """Of half steps, 300 rows show 1 % < 3 % nearly always, Hoeffding-Bentkus not in half of the samples."""
    rng = np.random.default_rng(2)
    for rows, mean in ((300, 0.01), (600, 0.015)):
        for samples, gain in (
            (np.where(rng.random((200, rows)) < 2 * mean, 0.5, 0.0), 0.25),
            (harm(mean, 200, rows, rng), 0.12),
        ):
            bets = np.mean([p_value(sample, ALPHA, DELTA) <= DELTA for sample in samples])
            fixed = np.mean([hoeffding_bentkus(float(sample.mean()), rows, ALPHA) <= DELTA for sample in samples])
            assert bets > fixed + gain
    near = rng.beta(2, 6, (20, 400))  # varies little around 1/4
    wider = [hoeffding_bentkus_bound(float(sample.mean()), 400, DELTA) - 0.25 for sample in near]
    assert np.mean([upper_mean(sample, DELTA) - 0.25 for sample in near]) < 0.7 * np.mean(wider)


def test_few_clean_rows_are_better_left_to_the_binomial() -> None:
    """Without any harm 99 rows are enough for the exact tail; by betting it takes some 30 more."""
    needed = next(rows for rows in range(80, 200) if p_value(np.zeros(rows), ALPHA, DELTA) <= DELTA)
    assert 99 < needed < 140


@given(UNIT, st.floats(0.001, 0.5), st.floats(0.01, 0.99))
@settings(max_examples=80, deadline=None)
def test_the_bound_inverts_the_test(values: list[float], delta: float, mean: float) -> None:
    """What is below the bound isn't refuted, what is above is; the p-value falls as the mean rises."""
    bound = upper_mean(values, delta)
    assert 0 <= bound <= 1
    if abs(bound - mean) > 1e-9:
        assert (p_value(values, mean, delta) <= delta) == (bound < mean)
    assert p_value(values, min(mean + 0.005, 0.995), delta) <= p_value(values, mean, delta) + 1e-12


@given(UNIT, st.floats(0.01, 0.99))
def test_the_two_sides_mirror_each_other(values: list[float], mean: float) -> None:
    """Above is below, of what is missing to 1."""
    mirrored = [1 - value for value in values]
    assert p_value(values, mean, DELTA, "above") == pytest.approx(p_value(mirrored, 1 - mean, DELTA, "below"))


def test_bounds_cover() -> None:
    """They are below the true mean in at most delta of the samples."""
    samples = harm(0.1, 200, 150, np.random.default_rng(3))
    assert within(float(np.mean([upper_mean(sample, 0.1) < 0.1 for sample in samples])), 200, 0.1)


def naive(values: Vector, level: float) -> bool:
    """The mutant: whether the usual interval of one look leaves out 0 at any of many looks."""
    rows = np.arange(20, values.size + 1)
    mean, square = np.cumsum(values)[19:] / rows, np.cumsum(values**2)[19:] / rows
    return bool((np.abs(mean) > level * np.sqrt((square - mean**2) / rows)).any())


@pytest.mark.unmeasured
def test_intervals_hold_at_all_looks_together() -> None:
    """Differences of quality in [-1, 1]: the last of the intervals, which holds all, leaves out the mean seldom."""
    runs = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], (200, 400), p=[0.1, 0.8, 0.1])
    found = [interval(run, 0.2, -1, 1) for run in runs]
    assert within(float(np.mean([not low <= 0 <= high for low, high in found])), 200, 0.2)
    assert not within(float(np.mean([naive(run, 1.2816) for run in runs])), 200, 0.2)


@given(st.lists(st.floats(-1, 1), max_size=20), st.floats(0.01, 0.5))
@settings(max_examples=30, deadline=None)
def test_intervals_only_narrow(values: list[float], delta: float) -> None:
    """Each row keeps or narrows them; they are never inside out, or wider than the range."""
    before = (-1.0, 1.0)
    for rows in range(len(values) + 1):
        low, high = interval(values[:rows], delta, -1, 1)
        assert before[0] - 1e-9 <= low <= high <= before[1] + 1e-9
        before = low, high


def test_intervals_get_close() -> None:
    """2,000 rows that nearly always tie leave a few hundredths."""
    values = np.random.default_rng(5).choice([-1.0, 0.0, 1.0], 2000, p=[0.02, 0.96, 0.02])
    low, high = interval(values, DELTA, -1, 1)
    assert -0.03 < low < 0 < high < 0.03


def test_edges() -> None:
    """No rows say nothing, constant ones as much as they can."""
    assert p_value([], ALPHA, DELTA) == 1
    assert upper_mean([], DELTA) == 1
    assert interval([], DELTA, -1, 1) == (-1, 1)
    assert upper_mean(np.ones(500), DELTA) == 1
    assert upper_mean(np.zeros(500), DELTA) < 0.01
    assert p_value(np.full(500, ALPHA), ALPHA, DELTA) == pytest.approx(1)
    assert 0 < p_value(np.zeros(50), 1e-9, DELTA) <= 1
    low, high = interval(np.full(500, 3.0), DELTA, 3, 5)
    assert low == pytest.approx(3)
    assert high < 3.1


def test_parity_is_nearly_this_test() -> None:
    """`certify.parity` says that (policy - rho * premium + rho) / (1 + rho) is above rho / (1 + rho), by like bets."""
    rng = np.random.default_rng(6)
    for rho in (0.9, 0.97, 1.0):
        served, premium = (rng.random(300) < 0.85).astype(np.float64), (rng.random(300) < 0.8).astype(np.float64)
        margin = (served - rho * premium + rho) / (1 + rho)
        found = p_value(margin, rho / (1 + rho), DELTA, "above")
        assert found == pytest.approx(parity(served, premium, rho, DELTA).p_value, rel=0.5)


def test_what_cannot_be_used_is_refused() -> None:
    """Values out of their range, levels that are none, and shares that are not."""
    for values in ([1.1], [-0.1], [nan], [[0.5]]):
        for use in (lambda v: p_value(v, ALPHA, DELTA), lambda v: upper_mean(v, DELTA), lambda v: interval(v, DELTA)):
            with pytest.raises(ValueError, match="range"):
                use(values)
    for mean, delta in ((0.0, DELTA), (1.0, DELTA), (nan, DELTA), (ALPHA, 0.0), (ALPHA, 1.0)):
        with pytest.raises(ValueError, match="between"):
            p_value([0.5], mean, delta)
    with pytest.raises(ValueError, match="low < high"):
        interval([0.5], DELTA, 1, 1)
    for shares in ((), (0.5,), (1.5, -0.5)):
        with pytest.raises(ValueError, match="shares"):
            Wealth.start(shares)


# ------------------------------------------------------------------ wealth


def coin(rate: float, rows: int, rng: np.random.Generator) -> list[bool]:
    return [bool(hit) for hit in rng.random(rows) < rate]


def bet(wealth: Wealth, hit: bool) -> Wealth:
    """Two bets that a coin comes up more often than in one of ten tosses."""
    return wealth.grown((1 + 1.0 * (hit - 0.1), 1 + 4.0 * (hit - 0.1)))


@given(st.lists(st.booleans(), max_size=40))
def test_a_fair_row_leaves_the_expected_wealth_as_it_is(hits: list[bool]) -> None:
    """After any history; and the wealth is what the definition says, start by start."""
    wealth = Wealth.start((0.3, 0.7))
    for hit in hits:
        wealth = bet(wealth, hit)
    assert 0.1 * bet(wealth, True).total + 0.9 * bet(wealth, False).total == pytest.approx(wealth.total)
    by_hand = _cash(len(hits))
    for start in range(len(hits) + 1):
        laid = (1 - CASH) if start == 0 else _cash(start - 1) - _cash(start)
        since = hits[max(start - 1, 0) :]
        for share, size in ((0.3, 1.0), (0.7, 4.0)):
            by_hand += laid * share * float(np.prod([1 + size * (hit - 0.1) for hit in since]))
    assert wealth.total == pytest.approx(by_hand)


def test_wealth_is_found_by_a_late_change() -> None:
    """After 1,000 rows on which every bet loses, it takes few more to refute; one who bet it all at once needs more."""
    rng = np.random.default_rng(7)
    hits = coin(0.02, 1000, rng) + coin(0.3, 1000, rng)
    wealth, at_once, found = Wealth.start((0.5, 0.5)), 0.0, list[int]()
    for row, hit in enumerate(hits):
        wealth = bet(wealth, hit)
        at_once += log(1 + 1.0 * (hit - 0.1))
        if len(found) == 0 and wealth.p_value <= DELTA:
            found.append(row)
        if len(found) == 1 and at_once >= -log(DELTA):
            found.append(row)
    assert len(found) == 2
    assert 1000 < found[0] < 1150 < found[1]


def test_wealth_neither_overflows_nor_dies() -> None:
    """Ten thousand rows that all win, or that all ruin, then others."""
    wealth = Wealth.start((1.0,))
    for _ in range(10_000):
        wealth = wealth.grown((30.0,))
    assert wealth.peak == wealth.total > 1e99
    for _ in range(500):
        wealth = wealth.grown((0.0,))
    assert 0 < wealth.total < 1
    assert wealth.p_value == 1e-100
    for _ in range(50):
        wealth = wealth.grown((2.0,))
    assert wealth.total > 1e3
