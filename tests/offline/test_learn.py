"""Models from labelled pairs, and the uncertain band: what is learnt from what, and what a threshold means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.offline.synthetic import bare, measured, side, world
from tierwise.offline.fit import FEW, SEVERAL, predict
from tierwise.offline.learn import (
    ALWAYS,
    MOST,
    NEVER,
    Scores,
    asked,
    at,
    band,
    cross_scores,
    deploy,
    effects_of,
    harm,
    labels,
    learn,
    reached,
    scores,
)
from tierwise.offline.measured import Measured
from tierwise.offline.outcomes import Pairs
from tierwise.offline.played import Recorded, models_of, play
from tierwise.types import Route, Thresholds, Verdict

Floats = NDArray[np.float64]

UNITS = st.integers(0, 64).map(lambda number: number / 64)  # exact in binary, and often equal
ROWS = st.lists(st.tuples(UNITS, UNITS), min_size=1, max_size=30)
LOSSES = st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0]), min_size=30, max_size=30)


def seen_of(rows: list[tuple[float, float]]) -> Scores:
    alone, consulted = np.array(rows).T
    return Scores(np.zeros(len(rows)), alone, consulted)


def noise(n: int = 120) -> tuple[Measured, Pairs]:
    """Labels that have nothing to do with the columns, of which there are many."""
    rng = np.random.default_rng(3)
    cheap, premium = rng.random(n) < 0.5, rng.random(n) < 0.5
    return measured(rng.normal(size=(n, 100))), bare(side("cheap", cheap), side("premium", premium))


# ------------------------------------------------------------------ models


def test_labels_and_effects() -> None:
    """Benefit is what only the cheap answer is good for, harm what only premium's is; graded too."""
    pairs = bare(side("cheap", [1, 0, 1, 0.25]), side("premium", [0, 1, 1, 0.75]))
    assert {name: values.tolist() for name, values in labels(pairs).items()} == {
        "cheap": [1, 0, 1, 0.25],
        "premium": [0, 1, 1, 0.75],
    }
    assert {name: values.tolist() for name, values in effects_of(pairs).items()} == {
        "benefit": [1, 0, 0, 0],
        "harm": [0, 1, 0, 0.5],
    }
    assert harm(pairs).tolist() == [0, 1, 0, 0.5]


@pytest.mark.parametrize("rows", [FEW - 1, FEW, SEVERAL - 1, SEVERAL])
def test_words_tell_the_gain_where_there_are_several_rows(rows: int) -> None:
    """The router's alone: a verifier reads the draft. Served, it has the same models of words."""
    known, pairs = world(1300, 5)
    every = np.arange(rows)
    learned = learn(known, pairs, every, np.random.default_rng(0))
    assert learned.under is not None
    assert learned.alone is not None
    several, few = rows >= SEVERAL, rows < FEW
    assert (("gain", "prompt") in learned.under.reads) == several
    assert len(learned.router.bases) == (0 if few else 2 + several)
    assert [base.reads for base in learned.alone.bases] == ([] if few else ["prompt", "prompt", "draft"])
    seen = (every, cross_scores(known, pairs, every, np.random.default_rng(1)))
    served = deploy(learned, known, pairs, seen, Thresholds(0.5, 0.5, 0.5)).router
    assert [base.bias for base in served.bases] == [base.bias for base in learned.router.bases]


@pytest.mark.parametrize("opinion_cost", [None, 0.02], ids=["alone", "consulted"])
def test_scores_rank_what_they_were_fitted_to(opinion_cost: float | None) -> None:
    """On rows that they have not seen; more evidence ranks better, and all lie in [0, 1]."""
    known, pairs = world(1200, 5, opinion_cost=opinion_cost)
    learned = learn(known, pairs, np.arange(200), np.random.default_rng(0))
    fresh = np.arange(200, 1200)
    found = scores(learned, known, fresh)
    gain = (pairs.cheap.score - pairs.premium.score)[fresh]
    assert found.alone is not None
    ranked = [np.corrcoef(values, gain)[0, 1] for values in (found.alone, found.best)]
    assert ranked[0] > 0.2
    assert (found.consulted is None) == (opinion_cost is None)
    if found.consulted is not None:
        assert found.best is found.consulted
        assert ranked[1] > ranked[0] + 0.1
    for values in (found.router, found.alone, found.best):
        assert values.min() >= 0
        assert values.max() <= 1


def test_a_score_is_benefit_less_harm() -> None:
    """(1 + benefit - harm) / 2 of the verifier's heads, (1 + cheap - premium) / 2 of the router's."""
    known, pairs = world(150, 5)
    rows = np.arange(100, 150)
    learned = learn(known, pairs, np.arange(100), np.random.default_rng(0))
    found = scores(learned, known, rows)
    assert known.alone is not None
    assert learned.alone is not None
    assert (learned.router.targets, learned.alone.targets) == (("cheap", "premium"), ("benefit", "harm"))
    odds = predict(learned.alone, known.alone, rows).astype(float)
    assert found.alone == pytest.approx((1 + odds[:, 0] - odds[:, 1]) / 2)
    odds = predict(learned.router, known.router, rows).astype(float)
    assert found.router == pytest.approx((1 + odds[:, 0] - odds[:, 1]) / 2)


def test_a_blocked_draft_scores_nothing() -> None:
    """Whatever the model would say of it; the router, which has not seen it, does not know."""
    known, pairs = world(150, 5, opinion_cost=0.1)
    stopped = np.arange(150) % 3 == 0
    found = scores(
        learn(known, pairs, np.arange(100), np.random.default_rng(0)), replace(known, blocked=stopped), np.arange(150)
    )
    for values in (found.alone, found.consulted):
        assert values is not None
        assert (values[stopped] == 0).all()
        assert (values[~stopped] > 0).all()
    assert (found.router > 0).all()


def test_without_responses_there_is_a_router() -> None:
    """And nothing to verify, which can't be deployed."""
    known, pairs = world(100, 5)
    known = replace(known, alone=None)
    rows, rng = np.arange(100), np.random.default_rng(0)
    learned = learn(known, pairs, rows, rng)
    found = cross_scores(known, pairs, rows, rng)
    assert (learned.alone, learned.consulted, found.alone, found.consulted) == (None, None, None, None)
    assert found.best is found.router
    with pytest.raises(ValueError, match="no responses of the cheap model"):
        deploy(learned, known, pairs, (rows, found), Thresholds(0.5, 0.5, 0.5))


def test_cross_scores_come_from_other_rows() -> None:
    """What can only be learnt by heart is not known of rows that were left out."""
    known, pairs = noise()
    rows, rng = np.arange(len(pairs)), np.random.default_rng(0)
    gain = pairs.cheap.score - pairs.premium.score
    by_heart = scores(learn(known, pairs, rows, rng), known, rows).best
    crossed = cross_scores(known, pairs, rows, rng).best
    assert np.corrcoef(by_heart, gain)[0, 1] > 0.6
    assert abs(np.corrcoef(crossed, gain)[0, 1]) < 0.25


def test_few_and_many_rows() -> None:
    """Nine are too few to learn from; of very many a sample is enough."""
    known, pairs = world(MOST + 500, 5)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="9 labelled queries are too few to fit anything to; 10 are the least"):
        learn(known, pairs, np.arange(9), rng)
    under = learn(replace(known, alone=None), pairs, np.arange(MOST + 500), rng).under
    assert under is not None
    rows = under.rows
    assert len(rows) == len(set(rows.tolist())) == MOST
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("opinion_cost", [None, 0.3], ids=["alone", "consulted"])
def test_what_is_deployed(opinion_cost: float | None) -> None:
    """The router also tells how often a draft will be accepted, and asked about."""
    known, pairs = world(900, 5, opinion_cost=opinion_cost)
    rows, rng = np.arange(250), np.random.default_rng(0)
    learned = learn(known, pairs, rows, rng)
    seen = cross_scores(known, pairs, rows, rng)
    limits = band(seen, harm(pairs)[rows], 0.1, 0.3)
    model = deploy(learned, known, pairs, (rows, seen), limits)
    assert model.router.targets == ("cheap", "premium", "accept", "consult")
    assert (model.alone, model.consulted) == (learned.alone, learned.consulted)
    fresh = np.arange(250, 900)
    odds = predict(model.router, known.router, fresh)
    true = scores(learned, known, fresh)
    assert odds[:, 2].mean() == pytest.approx((reached(true, limits) >= limits.accept).mean(), abs=0.12)
    assert odds[:, 3].mean() == pytest.approx(asked(true, limits).mean(), abs=0.12)
    assert odds[:, 2].std() > 0.1


# ------------------------------------------------------------------ the band


@settings(max_examples=100, deadline=None)
@given(ROWS, LOSSES, UNITS.filter(bool), st.sampled_from([0.0, 0.05, 0.3, 2.0]))
def test_the_band(rows: list[tuple[float, float]], losses: list[float], alpha: float, ratio: float) -> None:
    """consult <= accept <= unheard; the guess at `accept` keeps its share of harm; below `consult` few are lifted."""
    seen, lost = seen_of(rows), np.array(losses[: len(rows)])
    limits = band(seen, lost, alpha, ratio)
    assert limits.consult <= limits.accept <= limits.unheard
    assert seen.alone is not None
    assert seen.consulted is not None
    kept = seen.consulted >= limits.accept
    assert lost[kept].sum() <= 0.75 * alpha * len(rows) + 1e-9
    for looser in seen.consulted[~kept]:
        assert lost[seen.consulted >= looser].sum() > 0.75 * alpha * len(rows)
    below = seen.alone < limits.consult
    if below.any() and NEVER < limits.consult < limits.accept:  # below NEVER there are only blocked drafts
        assert (seen.consulted >= limits.accept)[below].mean() <= ratio
    unheard = seen.alone >= limits.unheard
    if ratio <= 0.1:
        assert limits.unheard == ALWAYS
        assert not unheard.any()
    elif unheard.any() and limits.unheard > limits.accept:
        assert lost[unheard].mean() <= 0.25 * alpha


def test_without_opinions_there_is_no_band() -> None:
    """One threshold, with nobody to ask."""
    worth = np.array([0.2, 0.4, 0.6, 0.8])
    losses = np.array([1.0, 1.0, 0.0, 0.0])
    for seen in (Scores(worth, None, None), Scores(np.zeros(4), worth, None)):
        assert band(seen, losses, 0.3, 0.0) == Thresholds(0.6, 0.6, 0.6)
        assert not asked(seen, Thresholds(0.1, 0.1, 0.9)).any()


def test_nothing_may_be_kept() -> None:
    """Where the best draft of all does too much harm, and so that none is accepted."""
    found = band(Scores(np.array([0.9, 0.5]), None, None), np.ones(2), 0.3, 0.0)
    assert found.accept > 0.9


def test_hopeless_drafts_are_not_asked_about() -> None:
    """A blocked draft scores 0 with and without opinions: asking costs and saves nothing."""
    seen = Scores(np.zeros(4), np.array([0.0, 0.0, 0.5, 0.8]), np.array([0.0, 0.0, 0.7, 0.9]))
    limits = band(seen, np.array([1.0, 1.0, 0.0, 0.0]), 0.2, 0.05)
    assert asked(seen, limits).tolist() == [False, False, True, True]


def plan_keeps(rows: list[tuple[float, float]], limits: Thresholds) -> tuple[list[bool], list[bool]]:
    """What the live plan keeps, and asks about, by those limits."""
    size = np.ones(len(rows))
    pairs = bare(side("cheap", size), side("premium", size), side("other", size))
    tiers, opinions = models_of(pairs)
    route = Route("r", tiers, thresholds=limits, opinions=opinions)
    fate = play(pairs, route, Recorded(lambda row, heard: Verdict(rows[row][heard]), lambda row: Verdict(0.0)))
    return fate.kept.tolist(), fate.asked.tolist()


@settings(max_examples=60, deadline=None)
@given(ROWS, st.tuples(UNITS, UNITS, UNITS), st.data())
def test_a_threshold_is_the_whole_policy(
    rows: list[tuple[float, float]], limits: tuple[float, float, float], data: st.DataObject
) -> None:
    """A row is served by the plan at `at(limits, t)` iff its `reached` is at least t: asked about, or unheard."""
    consult, accept, unheard = sorted(limits)
    unheard += 1 / 64
    band_ = Thresholds(accept, consult, unheard)
    found = reached(seen_of(rows), band_)
    threshold = data.draw(st.sampled_from([value for value in found.tolist() if value > 0] + [0.5, 1.5]))
    kept, heard = plan_keeps(rows, at(band_, threshold))
    assert kept == (found >= threshold).tolist()
    if threshold <= 1:
        assert heard == asked(seen_of(rows), band_).tolist()
    else:
        assert not any(heard)


def test_the_unheard_region() -> None:
    """The strictest thresholds keep only what is served unheard, the strictest of those the best of it."""
    rows = [(0.95, 0.1), (0.9, 0.99), (0.5, 0.9), (0.5, 0.4), (0.1, 1.0)]
    limits = Thresholds(0.6, 0.3, 0.9)
    assert reached(seen_of(rows), limits).tolist() == [1.95, 1.9, 0.9, 0.4, 0.0]
    assert plan_keeps(rows, at(limits, 1.95))[0] == [True, False, False, False, False]
    assert plan_keeps(rows, at(limits, 0.9)) == ([True, True, True, False, False], [False, False, True, True, False])
    assert plan_keeps(rows, at(limits, 0.4))[0] == [True, True, True, True, False]
