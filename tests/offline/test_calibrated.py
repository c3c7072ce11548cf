"""A tier's certificate: what it is made of, in which order, and whether it holds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.offline.synthetic import bare, measured, side, world
from tierwise.offline.calibrated import (
    MARGINAL,
    SHARE,
    STEPS,
    Calibrated,
    calibrate,
    climbing,
    opinion_ratio,
    settled,
    thresholds,
)
from tierwise.offline.learn import ALWAYS, at, band, harm, reached, scores
from tierwise.offline.measured import Measured
from tierwise.offline.outcomes import Pairs
from tierwise.scorers.artefact import Order
from tierwise.stats.bounds import upper_mean
from tierwise.stats.certify import certify
from tierwise.types import Thresholds

Rows = NDArray[np.intp]

CLAIM = (0.1, 0.1)
SPLITS = 30


def first_limits(found: Calibrated, pairs: Pairs, alpha: float = CLAIM[0]) -> Thresholds:
    """The band as it was before anything was tested."""
    return band(found.seen, harm(pairs)[found.train], alpha, opinion_ratio(pairs.take(found.train)))


def held_of(found: Calibrated, rows: Rows) -> Rows:
    return np.setdiff1d(rows, found.train)


def certified(
    known: Measured, pairs: Pairs, rows: Rows, seed: int = 1, claim: tuple[float, float] = CLAIM
) -> Calibrated:
    return calibrate(known, pairs, rows, claim, np.random.default_rng(seed))


@pytest.mark.parametrize("opinion_cost", [None, 0.3], ids=["alone", "consulted"])
def test_the_parts(opinion_cost: float | None) -> None:
    """A third certifies, the rest learns; the threshold is one of a grid of the learning rows' scores."""
    known, pairs = world(600, 5, opinion_cost=opinion_cost)
    rows = np.arange(100, 500)
    found = certified(known, pairs, rows)
    assert found.certified.n == len(rows) // SHARE
    assert set(found.train.tolist()) < set(rows.tolist())
    assert len(found.train) + found.certified.n == len(rows)
    limits = first_limits(found, pairs)
    assert found.certified.threshold in thresholds(reached(found.seen, limits))
    assert found.limits == settled(limits, found.certified.threshold or 0)
    assert (found.limits.consult < found.limits.unheard) == (opinion_cost is not None)
    held = held_of(found, rows)
    kept = reached(scores(found.learned, known, held), limits) >= (found.certified.threshold or 0)
    assert found.certified.kept == kept.mean() > 0
    assert found.certified.failures == harm(pairs)[held][kept].sum()
    assert found.certified.p_value <= CLAIM[1]
    assert (found.certified.threshold or 0) >= 0.5 - MARGINAL * CLAIM[0] / 2


def test_calibration_rows_shape_nothing() -> None:
    """Their labels, answers' costs and order of harm decide between the thresholds, and change nothing else."""
    known, pairs = world(450, 5, opinion_cost=0.3)
    rows = np.arange(450)
    before = certified(known, pairs, rows)
    held = held_of(before, rows)
    cheap, premium, other = pairs.cheap.score.copy(), pairs.premium.score.copy(), pairs.opinions[0].cost.copy()
    cheap[held], premium[held], other[held] = 0, 1, 90  # every draft of theirs now does harm, every opinion is dear
    turned = bare(
        replace(pairs.cheap, score=cheap),
        replace(pairs.premium, score=premium),
        replace(pairs.opinions[0], cost=other),
    )
    after = certified(known, turned, rows)
    assert after.certified.failures == round(after.certified.kept * len(held))
    assert after.certified.kept < before.certified.kept
    limits = first_limits(before, pairs)
    assert first_limits(after, turned) == limits
    for found in (before, after):
        assert found.limits == at(limits, found.certified.threshold or 0)
    assert (after.train == before.train).all()
    for name in ("router", "alone", "consulted"):
        assert (getattr(after.seen, name) == getattr(before.seen, name)).all()
    one, other_scores = (scores(found.learned, known, held).best for found in (before, after))
    assert (one == other_scores).all()


def test_shuffled_harm_changes_the_threshold_not_the_grid() -> None:
    """Where harm has nothing to do with the score any more, less can be kept, at another step of the same grid."""
    known, pairs = world(450, 5)
    rows = np.arange(450)
    before = certified(known, pairs, rows)
    held = held_of(before, rows)
    mixed = np.random.default_rng(9).permutation(held)
    cheap, premium = pairs.cheap.score.copy(), pairs.premium.score.copy()
    cheap[held], premium[held] = cheap[mixed], premium[mixed]
    turned = bare(replace(pairs.cheap, score=cheap), replace(pairs.premium, score=premium))
    after = certified(known, turned, rows)
    grid = thresholds(reached(before.seen, first_limits(before, pairs)))
    assert (thresholds(reached(after.seen, first_limits(after, turned))) == grid).all()
    assert before.certified.threshold != after.certified.threshold
    assert {before.certified.threshold, after.certified.threshold} <= {*grid, None}
    assert after.certified.kept < before.certified.kept


@pytest.mark.unmeasured
@pytest.mark.parametrize("opinion_cost", [None, 0.3], ids=["alone", "consulted"])
def test_the_certificate_holds(opinion_cost: float | None) -> None:
    """On fresh rows harm exceeds alpha in no more of 30 splits than delta allows; the best guess often does."""
    known, pairs = world(2000, 1, opinion_cost=opinion_cost)
    losses = harm(pairs)
    broken, guessed, kept = 0, 0, []
    for seed in range(SPLITS):
        mixed = np.random.default_rng(seed).permutation(len(pairs))
        rows, fresh = mixed[:420], mixed[420:]
        found = certified(known, pairs, rows, seed)
        limits = first_limits(found, pairs)
        there = reached(scores(found.learned, known, fresh), limits)
        served = there >= (found.certified.threshold or math.inf)
        broken += float((losses[fresh] * served).mean()) > CLAIM[0]
        kept.append(float(served.mean()))
        held = held_of(found, rows)
        here = reached(scores(found.learned, known, held), limits)
        steps = thresholds(reached(found.seen, limits))
        fits = [step for step in steps if (losses[held] * (here >= step)).mean() <= CLAIM[0]]
        guessed += float((losses[fresh] * (there >= fits[-1])).mean()) > CLAIM[0]
    allowed = CLAIM[1] * SPLITS + 3 * math.sqrt(SPLITS * CLAIM[1] * (1 - CLAIM[1]))
    assert broken <= allowed < guessed
    assert np.mean(kept) > 0.15


def test_nothing_can_be_certified() -> None:
    """From too few rows for the claim: the limits stay what they were, and nothing is kept."""
    known, pairs = world(60, 5)
    found = certified(known, pairs, np.arange(60), claim=(0.01, 0.01))
    assert (found.certified.threshold, found.certified.kept, found.certified.n) == (None, 0.0, 20)
    assert found.limits == first_limits(found, pairs, 0.01)
    with pytest.raises(ValueError, match="too few to fit anything to"):
        certified(known, pairs, np.arange(12))


def test_a_threshold_that_keeps_nothing_is_none() -> None:
    """Harmless as it is: drafts would be paid for, and all dropped."""
    known = measured(np.zeros((240, 1)))
    pairs = bare(side("cheap", np.zeros(240)), side("premium", np.ones(240)))
    found = certified(known, pairs, np.arange(240))
    assert (found.certified.threshold, found.certified.kept) == (None, 0.0)


def test_graded_scores() -> None:
    """Are certified by a bound that holds for means of any harm."""
    known, pairs = world(449, 5)
    half = bare(*(replace(one, score=one.score * 0.9 + 0.05) for one in (pairs.cheap, pairs.premium)))
    rows = np.arange(449)
    found = certified(known, half, rows).certified
    assert found.kept > 0
    assert found.failures != round(found.failures)
    assert found.harm_bound == upper_mean(found.failures / found.n, found.n, CLAIM[1])


def test_a_seed_gives_the_same_again() -> None:
    """And another seed another split."""
    known, pairs = world(200, 5)
    rows = np.arange(200)
    one, again, other = (certified(known, pairs, rows, seed) for seed in (1, 1, 2))
    assert one.certified == again.certified
    assert one.limits == again.limits
    assert (one.train == again.train).all()
    assert (one.train != other.train).any()


def test_no_threshold_is_nothing() -> None:
    """0 is the score of a blocked draft, so it is never a threshold: even where they do no harm, all escalate."""
    assert thresholds(np.array([0.0, 0.0, 0.5, 0.9])).tolist() == [0.9, 0.5]
    assert thresholds(np.zeros(4)).tolist() == [1 + ALWAYS]  # above every `reached`
    assert len(thresholds(np.linspace(0.1, 0.9, 1000))) == STEPS
    rng = np.random.default_rng(0)
    stopped = np.arange(200) % 5 == 0
    known = measured(rng.normal(size=(200, 1)), blocked=stopped)
    pairs = bare(side("cheap", np.ones(200)), side("premium", np.ones(200)))
    found = certified(known, pairs, np.arange(200))
    held = held_of(found, np.arange(200))
    assert found.limits.accept > 0
    assert found.certified.kept == (~stopped[held]).mean()


def test_the_band_that_is_empty() -> None:
    """Where nobody is asked it stays so, on both sides of where it was: no draft is taken for an uncertain one."""
    empty, wide = Thresholds(0.6, 0.6, 0.6), Thresholds(0.6, 0.3, 0.8)
    for threshold in (0.4, 0.6, 0.7):
        assert settled(empty, threshold) == Thresholds(threshold, threshold, threshold)
        assert settled(wide, threshold) == at(wide, threshold) == Thresholds(threshold, 0.3, 0.8)
    assert settled(wide, 1.9) == at(wide, 1.9)


def test_where_an_alarm_leads() -> None:
    """To the next stricter threshold of the order, then to the safe one, both as the gateway accepts by them."""
    order = Order(Thresholds(0.6, 0.3, 0.8), (1.95, 1.9, 0.9, 0.7, 0.6, 0.5))
    assert climbing(order, 0.6, 0.9) == (0.7, 0.9)
    assert climbing(order, 0.9, 0.9) == (None, None)
    assert climbing(order, 0.5, 1.95) == (0.6, None)
    assert climbing(order, 0.5, None) == (0.6, None)
    assert climbing(order, 0.5, 0.5) == (0.6, None)
    stricter, safe = climbing(order, 1.9, 1.95)
    assert stricter == safe == pytest.approx(0.95)
    assert climbing(order, 1.95, None) == (None, None)
    assert climbing(Order(Thresholds(0.6, 0.3, 0.8), (1.75, 1.7)), 1.7, 1.75) == (None, None)  # both below `unheard`


@pytest.mark.parametrize("opinion_cost", [None, 0.3], ids=["alone", "consulted"])
def test_a_threshold_to_fall_back_on(opinion_cost: float | None) -> None:
    """It is what the same rows certify at half of alpha, which is stricter."""
    known, pairs = world(900, 5, opinion_cost=opinion_cost)
    found = certified(known, pairs, np.arange(900))
    assert found.safe is not None
    assert found.certified.threshold is not None
    assert found.safe > found.certified.threshold
    worth, losses = reached(found.tested, found.order.band), harm(pairs)[found.held]
    alone = certify(worth, losses, np.array(found.order.steps), CLAIM[0] / 2, CLAIM[1])
    assert found.safe == alone.threshold


def test_what_opinions_cost() -> None:
    """All of them over premium; a twentieth each where nobody knows."""
    one, two = side("o", [1, 1], 0.1), side("p", [1, 1], 0.3)
    cheap, premium = side("cheap", [1, 1], 0.1), side("premium", [1, 1], 2.0)
    assert opinion_ratio(bare(cheap, premium, one, two)) == pytest.approx(0.2)
    assert opinion_ratio(bare(cheap, premium)) == 0.0
    unknown = side("p", [1, 1], math.nan)
    assert opinion_ratio(bare(cheap, premium, one, unknown)) == pytest.approx(0.1)
    for nothing in (0.0, math.nan):
        assert opinion_ratio(bare(cheap, side("premium", [1, 1], nothing), one)) == pytest.approx(0.05)
