"""Certificates: by hand, and that they hold as often as they say."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.stats.bounds import binomial_tail, hoeffding_bentkus, upper, upper_mean
from tierwise.stats.certify import Vector, certify, conformal, grid, parity

ALPHA, DELTA = 0.03, 0.05


def traffic(n: int, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Scores of a verifier that knows something, and whether accepting would do harm: 12 % of all rows."""
    score = np.round(rng.random(n), 2)
    harmful = (rng.random(n) < 0.36 * (1 - score) ** 2).astype(np.float64)
    return score, harmful


def test_walk_by_hand() -> None:
    """100 rows, harm only below 0.5: the walk stops at the first failing threshold, and the last good one wins."""
    scores = np.linspace(0, 0.99, 100)
    harmful = (scores < 0.5).astype(float)
    found = certify(scores, harmful, [0.9, 0.5, 0.3], ALPHA, DELTA)
    assert found == (0.5, 100, 0.0, upper(0, 100, DELTA), binomial_tail(100, ALPHA, 0), 0.5)
    assert certify(scores, harmful, [0.9], ALPHA, DELTA).kept == pytest.approx(0.1)


def test_escalated_rows_count_as_unharmed() -> None:
    """n is all rows: 99 of them certify 3 % even where only one is accepted, and 98 don't."""
    for rows, threshold in ((99, 0.5), (98, None)):
        scores = np.zeros(rows)
        scores[0] = 1
        found = certify(scores, 1 - scores, [0.5], ALPHA, DELTA)
        assert found.threshold == threshold
        assert found.n == rows


def test_nothing_certified() -> None:
    """Where the strictest threshold fails nothing is kept, and its own figures say by how much it failed."""
    found = certify([0.9] * 100, [1.0] * 10 + [0.0] * 90, [0.8, 0.1], ALPHA, DELTA)
    assert (found.threshold, found.kept, found.failures, found.n) == (None, 0, 10, 100)
    assert found.p_value == binomial_tail(100, ALPHA, 10) > DELTA
    assert found.harm_bound == upper(10, 100, DELTA) > ALPHA


def test_no_rows_certify_nothing() -> None:
    """Without calibration rows there is no certificate, graded or not."""
    for graded in (False, True):
        assert certify([], [], [0.5], ALPHA, DELTA, graded) == (None, 0, 0, 1, 1, 0)


def test_a_later_pass_after_a_failure_is_not_looked_at() -> None:
    """The sequence is fixed: it stops at the first threshold that fails, whatever would come after."""
    scores = np.array([0.9] * 3 + [0.5] * 997)
    assert certify(scores, np.zeros(1000), [0.9, 0.5], ALPHA, DELTA).threshold == 0.5
    harmful = np.array([0.0] * 3 + [1.0] * 200 + [0.0] * 797)
    assert certify(scores, harmful, [0.9, 0.5, 0.4], ALPHA, DELTA).threshold == 0.9


def test_unscored_rows_are_never_accepted() -> None:
    """A NaN score escalates: its harm doesn't count, the row does."""
    found = certify([nan] * 50 + [0.9] * 100, [1.0] * 50 + [0.0] * 100, [0.5, -inf], ALPHA, DELTA)
    assert (found.threshold, found.failures, found.kept) == (-inf, 0, 100 / 150)


def test_graded_harm_takes_hoeffding_bentkus() -> None:
    """Fractional harm is tested as a mean; whole harm too where the caller says that it could be graded."""
    scores, harm = np.ones(400), np.array([0.5, 0.25] + [0.0] * 398)
    found = certify(scores, harm, [0.5], ALPHA, DELTA)
    assert (found.threshold, found.failures) == (0.5, 0.75)
    assert found.p_value == hoeffding_bentkus(0.75 / 400, 400, ALPHA)
    assert found.harm_bound == upper_mean(0.75 / 400, 400, DELTA)
    whole = certify(scores, np.round(harm), [0.5], ALPHA, DELTA, graded=True)
    assert whole.p_value == hoeffding_bentkus(0, 400, ALPHA)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=300), st.floats(0.01, 0.5))
def test_what_is_claimed_is_what_was_tested(rows: list[tuple[int, bool]], alpha: float) -> None:
    """At the threshold found the exact test passes, and the bound is at most alpha; else it fails at the first."""
    scores, harmful = np.array(rows, dtype=np.float64).T
    found = certify(scores, harmful, np.arange(9.0, -1, -1), alpha, 0.1)
    if found.threshold is None:
        assert found.p_value > 0.1
        assert found.failures == harmful[scores >= 9].sum()
        assert found.harm_bound >= alpha
    else:
        accepted = scores >= found.threshold
        assert found.failures == harmful[accepted].sum()
        assert found.kept == accepted.mean()
        assert found.p_value <= 0.1
        assert found.harm_bound <= alpha + 1e-9


def violations(resplits: int, graded: bool) -> tuple[float, float]:
    """The share of certificates whose harm on the whole population is above alpha, and the mean share kept."""
    rng = np.random.default_rng(11)
    scores, harmful = traffic(40_000, rng)
    if graded:
        harmful = harmful * rng.random(harmful.size)
    broken, kept = [], []
    for _ in range(resplits):
        rows = rng.choice(scores.size, 600, replace=False)
        others, rows = rows[:200], rows[200:]
        found = certify(scores[rows], harmful[rows], grid(scores[others], 20), ALPHA, DELTA)
        threshold = inf if found.threshold is None else found.threshold
        broken.append(harmful[scores >= threshold].sum() / scores.size > ALPHA)
        kept.append(found.kept)
    return float(np.mean(broken)), float(np.mean(kept))


@pytest.mark.unmeasured
@pytest.mark.parametrize("graded", [False, True])
def test_certificates_hold(graded: bool) -> None:
    """Over 400 fresh samples the claim is wrong in at most delta of them, and still keeps much."""
    broken, kept = violations(400, graded)
    assert broken <= DELTA + 3 * sqrt(DELTA * (1 - DELTA) / 400)
    assert kept > 0.25


def test_the_violation_test_can_fail() -> None:
    """Thresholds picked by the sample's own harm, without a test, break the claim far more often."""
    rng = np.random.default_rng(11)
    scores, harmful = traffic(40_000, rng)
    broken = 0
    for _ in range(100):
        rows = rng.choice(scores.size, 400, replace=False)
        harm = [float((harmful[rows] * (scores[rows] >= t)).mean()) for t in np.arange(0, 1, 0.01)]
        naive = next(t for t, mean in zip(np.arange(0, 1, 0.01), harm, strict=True) if mean <= ALPHA)
        broken += bool((harmful * (scores >= naive)).mean() > ALPHA)
    assert broken > 20


def test_grid_by_hand() -> None:
    """Quantiles from strict to loose, each a score that was seen; the last keeps all, and equal ones are one."""
    assert grid([0.1, 0.2, 0.3, 0.4, nan], 2).tolist() == [0.3, 0.1]
    assert grid([0.1, 0.2, 0.3], 10).tolist() == [0.3, 0.2, 0.1]
    assert grid([0.5, 0.5, 1.0, 0.0], 4).tolist() == [1.0, 0.5, 0.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 40))
def test_grid_keeps_what_it_says(scores: list[float], m: int) -> None:
    """Thresholds fall strictly, number at most m, and the i-th of m distinct ones keeps a share of i / m."""
    found = grid(scores, m)
    assert 1 <= found.size <= m
    assert (np.diff(found) < 0).all()
    assert found[-1] == min(scores)
    assert set(found) <= set(scores)
    if found.size == m:
        kept = [(np.array(scores) >= threshold).sum() for threshold in found]
        assert all(have * m >= (i + 1) * len(scores) for i, have in enumerate(kept))


def test_parity_holds_for_an_equal_policy() -> None:
    """A policy as good as premium is at parity; one that is clearly worse is not."""
    rng = np.random.default_rng(0)
    premium = (rng.random(1500) < 0.9).astype(np.float64)
    assert parity(premium, premium, 0.97, DELTA).holds
    assert not parity(premium * (rng.random(1500) < 0.95), premium, 0.97, DELTA).holds


def test_parity_credits_cheap_wins() -> None:
    """Where cheap wins as often as it loses parity holds, although harm at the same size can't be certified."""
    rng = np.random.default_rng(0)
    draw = rng.random(4000)
    policy, premium = (draw >= 0.05).astype(np.float64), ((draw < 0.05) | (draw >= 0.10)).astype(np.float64)
    found = parity(policy, premium, 0.97, DELTA)
    assert found.holds
    assert found.p_value <= DELTA
    assert certify(np.ones(4000), premium > policy, [0.5], ALPHA, DELTA).threshold is None


def test_parity_is_rarely_wrong() -> None:
    """At exactly rho it is claimed in at most delta of the samples."""
    rng = np.random.default_rng(2)
    premium = (rng.random((400, 500)) < 0.9).astype(np.float64)
    policy = premium * (rng.random((400, 500)) < 0.97)
    claimed = [parity(a, b, 0.97, 0.1).holds for a, b in zip(policy, premium, strict=True)]
    assert np.mean(claimed) <= 0.1 + 3 * sqrt(0.09 / 400)


def test_parity_has_power() -> None:
    """Cheap loses 5 % and wins 4 %, 4 % slack, 1,390 rows: parity is shown in most samples."""
    rng = np.random.default_rng(3)
    draw = rng.random((200, 1390))
    policy, premium = (draw >= 0.05).astype(np.float64), ((draw < 0.05) | (draw >= 0.09)).astype(np.float64)
    shown = [parity(a, b, 0.96, DELTA).holds for a, b in zip(policy, premium, strict=True)]
    assert np.mean(shown) > 0.7


def test_parity_without_rows() -> None:
    """No rows show nothing."""
    assert parity([], [], 0.97, DELTA) == (False, 1)


def test_conformal_by_hand() -> None:
    """The lowest score with (harm + 1) / (n + 1) <= alpha; tied scores stand or fall together."""
    scores, harmful = [0.9, 0.8, 0.7, 0.7, 0.6, nan, 0.1, 0.1, 0.1], [0, 1, 0, 0, 0, 1, 1, 0, 0]
    assert conformal(scores, harmful, 0.2) == 0.6
    assert conformal(scores, harmful, 0.1) == 0.9
    assert conformal(scores, harmful, 0.05) is None
    assert conformal([0.9, 0.1, 0.1], [0, 0, 1], 0.25) == 0.9
    assert conformal([], [], 0.5) is None
    assert conformal([nan], [0], 0.5) is None


@pytest.mark.parametrize(("rows", "threshold"), [(32, None), (33, 1.0)])
def test_conformal_needs_33_rows_at_3_percent(rows: int, threshold: float | None) -> None:
    """(1 - alpha) / alpha rows without harm are the least."""
    assert conformal([1.0] * rows, [0] * rows, ALPHA) == threshold


def test_conformal_holds_on_average() -> None:
    """The mean harm over samples is at most alpha, and it keeps more than the certificate does."""
    rng = np.random.default_rng(4)
    scores, harmful = traffic(40_000, rng)
    harm = []
    for _ in range(300):
        rows = rng.choice(scores.size, 200, replace=False)
        threshold = conformal(scores[rows], harmful[rows], ALPHA)
        harm.append(float((harmful * (scores >= (inf if threshold is None else threshold))).mean()))
    assert np.mean(harm) <= ALPHA + 3 * np.std(harm) / sqrt(300)
    assert np.mean(harm) > ALPHA / 2


def test_wrong_input_is_refused() -> None:
    """Uneven columns, harm that is no harm, thresholds that don't fall and impossible levels are errors."""
    for scores, harmful in (([1], [0, 1]), ([1], [2]), ([1], [nan]), ([[1]], [[1]])):
        with pytest.raises(ValueError):
            certify(scores, harmful, [0.5], ALPHA, DELTA)
    for thresholds in ([], [0.1, 0.5], [0.5, 0.5], [nan], [[0.5]]):
        with pytest.raises(ValueError, match="thresholds must fall"):
            certify([1], [0], thresholds, ALPHA, DELTA)
    for alpha, delta in ((0, 0.05), (1, 0.05), (0.03, 0), (0.03, 1), (nan, 0.05)):
        with pytest.raises(ValueError, match="alpha and delta"):
            certify([1], [0], [0.5], alpha, delta)
    for policy, rho in (([1.5], 0.9), ([nan], 0.9), ([1], 0), ([1], 1.1)):
        with pytest.raises(ValueError):
            parity(policy, [1], rho, DELTA)
    for m, known in ((0, [0.5]), (5, []), (5, [nan])):
        with pytest.raises(ValueError, match="a grid needs"):
            grid(known, m)
