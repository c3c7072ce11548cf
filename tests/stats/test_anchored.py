"""Judges corrected by people: the bound covers what people would say, however the judge errs."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.stats.anchored import Vector, p_value, upper
from tierwise.stats.bounds import upper_mean

DELTA = 0.1
ROWS, ANCHORS = 1500, 300
Judge = Callable[[Vector, np.random.Generator], Vector]


def fair(human: Vector, rng: np.random.Generator) -> Vector:
    return np.where(rng.random(human.size) < 0.02, 1 - human, human)


def kind(human: Vector, rng: np.random.Generator) -> Vector:
    """Sees a third of the harm."""
    return human * (rng.random(human.size) < 1 / 3)


def strict(human: Vector, rng: np.random.Generator) -> Vector:
    """Sees all of it, and a tenth of the rest too."""
    return np.maximum(human, rng.random(human.size) < 0.1)


def shading(human: Vector, rng: np.random.Generator) -> Vector:
    """Gives grades in between."""
    return np.clip(human * 0.7 + rng.random(human.size) * 0.1, 0, 1)


def sample(harm: float, judge: Judge, rng: np.random.Generator) -> tuple[Vector, Vector, Vector]:
    human = (rng.random(ROWS + ANCHORS) < harm).astype(np.float64)
    judged = judge(human, rng).astype(np.float64)
    return judged[:ROWS], human[ROWS:], judged[ROWS:]


@pytest.mark.unmeasured
@pytest.mark.parametrize("judge", [fair, kind, strict, shading])
@pytest.mark.parametrize("harm", [0.02, 0.15])
def test_the_bound_covers_human_harm(judge: Judge, harm: float) -> None:
    """It is below the true harm in at most delta of the samples, and never absurdly far above."""
    rng = np.random.default_rng(4)
    bounds = np.array([upper(*sample(harm, judge, rng), DELTA).bound for _ in range(200)])
    assert (bounds < harm).mean() <= DELTA + 3 * sqrt(DELTA * (1 - DELTA) / 200)
    assert bounds.mean() < harm + 0.12


@pytest.mark.unmeasured
@pytest.mark.parametrize("judge", [fair, kind, strict])
def test_p_values_are_rarely_small_where_the_claim_is_false(judge: Judge) -> None:
    """At a harm just above alpha "harm <= alpha" is claimed in at most delta of the samples."""
    rng = np.random.default_rng(5)
    claimed = [p_value(*sample(0.0501, judge, rng), 0.05) <= DELTA for _ in range(40)]
    assert np.mean(claimed) <= DELTA + 3 * sqrt(DELTA * (1 - DELTA) / 40)


def test_the_coverage_test_can_fail() -> None:
    """The judge's own bound, uncorrected, is below what people would say nearly always if the judge is kind."""
    rng = np.random.default_rng(4)
    bounds = [upper_mean(float(sample(0.15, kind, rng)[0].mean()), ROWS, DELTA) for _ in range(50)]
    assert np.mean(np.array(bounds) < 0.15) > 0.9


def test_it_pays_where_the_judge_is_nearly_right() -> None:
    """With much harm, a judge that hardly errs and many rows, the bound is below that of the anchors alone."""
    rng = np.random.default_rng(6)
    human = (rng.random(20_000) < 0.25).astype(np.float64)
    judged = np.where(rng.random(human.size) < 0.002, 1 - human, human)
    alone = upper_mean(float(human[:400].mean()), 400, DELTA)
    assert upper(judged, human[:400], judged[:400], DELTA).bound < alone - 0.01


def test_it_has_power() -> None:
    """A judge that never errs, no harm, and enough of both: a small harm is shown."""
    none = np.zeros(600)
    assert upper(none, none, none, DELTA).bound < 0.015
    assert p_value(none, none, none, 0.03) < 0.01


def test_without_rows_nothing_is_claimed() -> None:
    """No judged rows or no anchors: the bound is 1, or as good as none."""
    zeros = np.zeros(1000)
    assert upper([], zeros, zeros, DELTA).judged == 1
    assert upper(zeros, [], [], DELTA) == (1.0, upper(zeros, [], [], DELTA).judged, 1.0)
    assert p_value(zeros, [], [], 0.05) == 1
    assert upper([], [], [], DELTA).bound == 1


def test_a_kind_judge_is_shifted_up_and_a_strict_one_down() -> None:
    """The shift tells the judge's bias."""
    human = np.tile([1.0, 0.0], 500)
    assert upper(human, human, np.zeros(1000), DELTA).shift > 0.5
    assert upper(human, np.zeros(1000), human, DELTA).shift < -0.4


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60),
    st.floats(0.001, 0.5),
    st.floats(0.01, 0.99),
)
@settings(max_examples=40, deadline=None)
def test_p_values_invert_the_bound(rows: list[tuple[bool, float]], delta: float, alpha: float) -> None:
    """The bound falls as delta rises, and the claim is made at delta exactly where the p-value is below it."""
    human, judged = np.array(rows, dtype=np.float64).T
    found, looser = upper(judged, human, judged, delta), upper(judged, human, judged, delta / 2)
    assert 0 <= found.bound <= looser.bound + 1e-9
    p = p_value(judged, human, judged, alpha)
    if abs(p - delta) > 1e-6:
        assert (p < delta) == (found.bound <= alpha)


def test_what_cannot_be_used_is_refused() -> None:
    """Labels outside [0, 1], anchors of two lengths, and levels that are none."""
    good = np.zeros(5)
    for labels in ((good + 2, good, good), (good, good - 1, good), (good, good, good[:3]), (good, good, good + np.nan)):
        with pytest.raises(ValueError, match="label"):
            upper(*labels, DELTA)
    with pytest.raises(ValueError, match="between"):
        upper(good, good, good, 0)
    with pytest.raises(ValueError, match="between"):
        p_value(good, good, good, 1)
