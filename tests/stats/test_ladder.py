"""The ladder: up on alarms, one rung at a time, never down, and seldom without cause."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.stats.ladder import PREMIUM, Ladder, rungs

ALPHA, DELTA = 0.03, 0.05
STEPS = (0.5, 0.6, 0.9)


def climb(ladder: Ladder, harm: float, rows: int, rng: np.random.Generator) -> Ladder:
    """Harm is the same at all rungs."""
    for loss in (rng.random(rows) < harm).tolist():
        ladder = ladder.step(float(loss), 1.0, ladder.at)
    return ladder


def test_it_climbs_to_premium_and_stays() -> None:
    """Where everything is bad: each rung in turn, audited anew at half the delta of the one before."""
    ladder, seen = Ladder.start(STEPS, ALPHA, DELTA), list[tuple[float, float]]()
    for _ in range(60):
        if not seen or seen[-1][0] != ladder.threshold:
            seen.append((ladder.threshold, ladder.audit.delta))
            assert ladder.audit.drawn == 0
        ladder = ladder.step(1.0, 1.0, ladder.at)
    assert seen == [(0.5, DELTA / 2), (0.6, DELTA / 4), (0.9, DELTA / 8), (PREMIUM, DELTA / 16)]
    for loss in (0.0, 1.0) * 50:
        assert ladder.step(loss, 1.0, ladder.at) == ladder


def test_it_stops_where_harm_is_within_alpha() -> None:
    """Drafts below 0.6 are bad, and the others good: one rung up, and no further."""
    rng, ladder = np.random.default_rng(1), Ladder.start(STEPS, ALPHA, DELTA)
    for score in rng.uniform(0.5, 1, 3000).tolist():
        accepted = score >= ladder.threshold
        ladder = ladder.step(float(score < 0.6), 1.0, ladder.at) if accepted else ladder.escalated()
    assert ladder.at == 1


@pytest.mark.unmeasured
def test_it_seldom_climbs_without_cause() -> None:
    """At a harm of alpha on every rung any climb is a false alarm."""
    rng = np.random.default_rng(2)
    climbed = [climb(Ladder.start(STEPS, ALPHA, 0.2), ALPHA, 800, rng).at > 0 for _ in range(150)]
    assert np.mean(climbed) <= 0.2 + 3 * sqrt(0.2 * 0.8 / 150)


def test_all_deltas_together_are_delta() -> None:
    """However many rungs, what all audits may spend sums to no more."""
    ladder, spent = Ladder.start(np.linspace(0, 1, 20).tolist(), ALPHA, DELTA), 0.0
    while ladder.threshold < PREMIUM:
        spent, at = spent + ladder.audit.delta, ladder.at
        while ladder.at == at:
            ladder = ladder.step(1.0, 1.0, ladder.at)
    assert DELTA * 0.9 < spent <= DELTA


def test_labels_of_a_looser_rung_tell_nothing_of_this_one() -> None:
    """They come late, and are left out. Rows that pass and rows that escalate are the audit's."""
    ladder = Ladder.start(STEPS, ALPHA, DELTA)
    while ladder.at == 0:
        ladder = ladder.step(1.0, 1.0, 0)
    assert ladder.step(1.0, 1.0, 0) == ladder
    assert ladder.step(1.0, 1.0, 1).audit.drawn == 1
    assert ladder.passed(7).escalated(2).audit == ladder.audit.passed(7).escalated(2)


def test_rungs_by_hand() -> None:
    """The next stricter one of the grid and the safe one, where they are stricter."""
    grid = [0.9, 0.7, 0.5, 0.3]
    assert rungs(0.5, grid, 0.95) == (0.5, 0.7, 0.95)
    assert rungs(0.5, grid, 0.7) == (0.5, 0.7)
    assert rungs(0.5, grid, 0.4) == rungs(0.5, grid) == (0.5, 0.7)
    assert rungs(0.9, grid) == (0.9,)
    assert rungs(0.9, [nan, inf], 0.95) == (0.9, 0.95)
    assert rungs(0.9, [], inf) == (0.9,)
    with pytest.raises(ValueError, match="number"):
        rungs(nan, grid)


@given(st.floats(-1, 2), st.lists(st.floats(-1, 2), max_size=8), st.none() | st.floats(-1, 2))
def test_rungs_make_a_ladder(certified: float, grid: list[float], safe: float | None) -> None:
    """Whatever they come from."""
    ladder = Ladder.start(rungs(certified, grid, safe), ALPHA, DELTA)
    assert ladder.threshold == certified
    assert 2 <= len(ladder.thresholds) <= 4
    assert ladder.thresholds[-1] == PREMIUM


def test_what_cannot_be_used_is_refused() -> None:
    """No thresholds, such that do not rise, NaN or premium among them, and rows as of the audit."""
    for steps in ((), (0.5, 0.5), (0.6, 0.5), (nan,), (0.5, nan), (0.5, inf)):
        with pytest.raises(ValueError, match="rise"):
            Ladder.start(steps, ALPHA, DELTA)
    with pytest.raises(ValueError, match="loss"):
        Ladder.start(STEPS, ALPHA, DELTA).step(2.0, 1.0, 0)
