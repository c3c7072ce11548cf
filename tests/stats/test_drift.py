"""Drift without labels: rarely seen where there is none, soon where there is; a reference's error is allowed for."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.stats.bounds import upper
from tierwise.stats.drift import ClusterDrift, ScoreDrift, odds

DELTA = 0.1
SHARES = (0.4, 0.3, 0.15, 0.1, 0.05, 0.0)


def scores_seen(shift: float, rows: int, rng: np.random.Generator, reference: int = 1000) -> int:
    """Rows until the alarm; 0 if there was none."""
    drift = ScoreDrift.start(rng.beta(6, 2, reference), DELTA)
    for score in np.clip(rng.beta(6, 2, rows) + shift, 0, 1).tolist():
        drift = drift.step(score)
        if drift.alarm:
            return drift.rising.rows
    return 0


def clusters_seen(shares: tuple[float, ...], rows: int, rng: np.random.Generator, reference: int = 1000) -> int:
    drift = ClusterDrift.start(rng.multinomial(reference, SHARES), DELTA)
    for cluster in rng.choice(len(shares), rows, p=shares).tolist():
        drift = drift.step(cluster)
        if drift.alarm:
            return drift.wealth.rows
    return 0


@pytest.mark.unmeasured
def test_no_drift_is_rarely_seen() -> None:
    """Small and larger references, of which the sampling error is far larger than that of the rows that follow."""
    rng = np.random.default_rng(1)
    limit = DELTA + 3 * sqrt(DELTA * (1 - DELTA) / 40)
    for reference in (50, 400):
        assert np.mean([scores_seen(0, 1000, rng, reference) > 0 for _ in range(40)]) <= limit
        assert np.mean([clusters_seen(SHARES, 1000, rng, reference) > 0 for _ in range(40)]) <= limit


@pytest.mark.unmeasured
def test_a_reference_taken_for_the_truth_is_found_out() -> None:
    """The mutant: shares and means as they happen to be in 50 rows, without their own error, soon seem to be left."""
    rng, alarms = np.random.default_rng(2), []
    for _ in range(15):
        sample = rng.beta(6, 2, 50)
        scores = ScoreDrift.start(sample, DELTA)._replace(low=float(sample.mean()), high=float(sample.mean()))
        counts = rng.multinomial(50, SHARES)
        clusters = ClusterDrift.start(counts, DELTA)._replace(most=tuple((counts / 50 + 1e-9).tolist()))
        for score, cluster in zip(rng.beta(6, 2, 2000).tolist(), rng.choice(6, 2000, p=SHARES).tolist(), strict=True):
            scores, clusters = scores.step(score), clusters.step(cluster)
        alarms += [scores.alarm, clusters.alarm]
    assert np.mean(alarms) > 0.5


def test_drift_is_seen_soon() -> None:
    """A mean that moves by 0.05 either way, a cluster that triples, one that is new: within a few hundred rows."""
    rng = np.random.default_rng(3)
    for shift in (-0.05, 0.05):
        seen = [scores_seen(shift, 1500, rng) for _ in range(10)]
        assert min(seen) > 0
        assert np.median(seen) < 300
    for shares in ((0.3, 0.3, 0.15, 0.1, 0.15, 0.0), (0.35, 0.3, 0.15, 0.1, 0.05, 0.05)):
        seen = [clusters_seen(shares, 1500, rng) for _ in range(10)]
        assert min(seen) > 0
        assert np.median(seen) < 350


def test_drift_that_begins_late_is_seen() -> None:
    """After 3,000 rows like the reference, and it stays seen when it is over."""
    rng = np.random.default_rng(4)
    scores = ScoreDrift.start(rng.beta(6, 2, 1000), DELTA)
    clusters = ClusterDrift.start(rng.multinomial(1000, SHARES), DELTA)
    for phase, (shift, other) in enumerate(((0.0, SHARES), (-0.1, SHARES[::-1]), (0.0, SHARES))):
        for score in np.clip(rng.beta(6, 2, 3000 // (1 + 9 * phase)) + shift, 0, 1).tolist():
            scores = scores.step(score)
        for cluster in rng.choice(6, 3000 // (1 + 9 * phase), p=other).tolist():
            clusters = clusters.step(cluster)
        assert scores.alarm == clusters.alarm == (phase > 0)


@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)), min_size=1, max_size=8))
@settings(max_examples=200)
def test_no_bet_on_clusters_is_expected_to_gain(rows: list[tuple[float, float]]) -> None:
    """For any guess, and those allowed shares at which it gains most: the best paid first, each up to its limit."""
    guess, limits = (list(part) for part in zip(*rows, strict=True))
    most = [limit / min(1.0, sum(limits)) for limit in limits]
    paid, left, expected = odds(guess, most), 1.0, 0.0
    for cluster in sorted(range(len(most)), key=lambda cluster: -paid[cluster]):
        share = min(most[cluster], left)
        left -= share
        expected += share * paid[cluster]
    assert expected == pytest.approx(1)


def test_odds_by_hand() -> None:
    """A guess that is allowed bets nothing; one that isn't bets on what is too often."""
    assert odds([3, 1], [0.8, 0.5]) == [1, 1]
    assert odds([6, 4], [0.4, 0.9]) == pytest.approx([1.5, 0.4 / 0.6])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.lists(st.floats(0, 1), max_size=30))
@settings(max_examples=50, deadline=None)
def test_scores_keep_wealth_in_bounds(reference: list[float], scores: list[float]) -> None:
    """All equal, at the ends or anything: wealth is never negative, and rows without a score change nothing."""
    drift = ScoreDrift.start([*reference, nan], DELTA)
    assert 0 <= drift.low <= drift.high <= 1
    for score in scores:
        drift = drift.step(score)
        assert min(*drift.rising.owned, *drift.falling.owned) >= 0
    assert drift.step(nan) == drift


def test_one_cluster_cannot_drift() -> None:
    """All rows are in it, before and after; and limits are those of exact bounds."""
    drift = ClusterDrift.start([10], DELTA)
    for _ in range(100):
        drift = drift.step(0)
    assert drift.wealth.peak == 1
    assert ClusterDrift.start([0, 40], DELTA).most == (upper(0, 40, DELTA / 4), 1.0)


def test_what_cannot_be_used_is_refused() -> None:
    """No reference, scores or counts that are none, clusters that aren't there."""
    for reference in ([], [nan], [1.1]):
        with pytest.raises(ValueError, match=r"scores|range"):
            ScoreDrift.start(reference, DELTA)
    with pytest.raises(ValueError, match="score"):
        ScoreDrift.start([0.5], DELTA).step(1.5)
    for counts in ([], [0, 0], [-1, 2], [0.5], [[1]], [nan]):
        with pytest.raises(ValueError, match="reference"):
            ClusterDrift.start(counts, DELTA)
    with pytest.raises(ValueError, match="delta"):
        ClusterDrift.start([1], 0)
    for cluster in (-1, 2):
        with pytest.raises(ValueError, match="cluster"):
            ClusterDrift.start([1, 2], DELTA).step(cluster)
