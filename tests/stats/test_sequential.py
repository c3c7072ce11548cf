"""Buying labels one by one: by hand, that what is claimed holds as often as it says, and that the rules matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import inf, log, log1p, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.stats.bounds import binomial_tail
from tierwise.stats.certify import Vector, certify, grid
from tierwise.stats.sequential import (
    Bought,
    LabelOf,
    Rows,
    _betting,
    _limits,
    accuracy_cascade,
    capped,
    precision_target,
    recall_target,
    sequential,
    sequential_graded,
)

ALPHA, DELTA = 0.03, 0.05
Form = Callable[[Vector, LabelOf, Vector, float, float, Rows], Bought]
FINITE = (accuracy_cascade, precision_target, recall_target)


def of(labels: Vector) -> LabelOf:
    return lambda row: float(labels[row])


def within(share: float, runs: int, delta: float = DELTA) -> bool:
    return share <= delta + 3 * sqrt(delta * (1 - delta) / runs)


def traffic(n: int, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Scores of a verifier that knows something, and harm: 12 % of all rows."""
    score = np.round(rng.random(n), 2)
    return score, (rng.random(n) < 0.36 * (1 - score) ** 2).astype(np.float64)


# ------------------------------------------------------------------ traffic to come


def test_stops_at_the_first_row_that_settles_it() -> None:
    """Without any harm labels are bought up to the first row at which that is enough, of accepted rows only."""
    n = 400
    scores = np.tile([0.9, 0.1], n // 2)
    asked: list[int] = []

    def label_of(row: int) -> float:
        asked.append(row)
        return 0.0

    found = sequential(scores, label_of, [0.5], ALPHA, DELTA, np.arange(n))
    limits = _limits(n, ALPHA, DELTA)
    rows = limits.most.index(0) + 1
    assert asked == [row for row in range(rows) if row % 2 == 0] == list(found.rows)
    assert found.labels == len(asked) < n / 4
    assert tuple(found) == (0.5, n, 0.5, (limits.spent[rows - 1],), found.rows, "loosest")


def test_a_label_is_bought_once_for_all_thresholds() -> None:
    """The looser threshold asks for the rows that it adds, not again for those that it shares."""
    scores, harm = traffic(600, np.random.default_rng(3))
    asked: list[int] = []

    def label_of(row: int) -> float:
        asked.append(row)
        return float(harm[row])

    found = sequential(scores, label_of, [0.9, 0.8, 0.7, 0.6], ALPHA, DELTA, np.arange(600))
    assert found.threshold is not None
    assert len(asked) == len(set(asked)) == found.labels
    assert len(found.p_values) > 1


def test_limits_spend_what_they_say() -> None:
    """Over all outcomes of nine rows the chance of ever being within a limit is what is said, and at most delta."""
    n, alpha, delta = 9, 0.3, 0.2
    limits = _limits(n, alpha, delta)
    chance = 0.0
    for outcome in product((0, 1), repeat=n):
        if any(failures <= most for failures, most in zip(np.cumsum(outcome), limits.most, strict=True)):
            chance += alpha ** sum(outcome) * (1 - alpha) ** (n - sum(outcome))
    assert limits.spent[-1] == pytest.approx(chance)
    assert 0.5 * delta < chance <= delta
    assert all(spent <= delta * (row + 1) / n + 1e-12 for row, spent in enumerate(limits.spent))


@given(st.integers(1, 400), st.floats(0.005, 0.5), st.floats(0.001, 0.5))
@settings(max_examples=40, deadline=None)
def test_limits_stay_below_those_of_one_look(n: int, alpha: float, delta: float) -> None:
    """No limit ever allows more failures than an exact test at that row alone would."""
    limits = _limits(n, alpha, delta)
    assert list(limits.most) == sorted(limits.most)
    for row, most in enumerate(limits.most):
        assert most < 0 or binomial_tail(row + 1, alpha, most) <= delta + 1e-9


def test_too_few_rows_buy_nothing() -> None:
    """Where not even flawless rows would do, no label is bought; no rows certify nothing."""
    for n in (0, 50):
        found = sequential(np.ones(n), of(np.zeros(n)), [0.5], ALPHA, DELTA, np.arange(n))
        assert found == (None, n, 0.0, (1.0,), (), "hopeless")
    assert sequential_graded([], of(np.zeros(0)), [0.5], ALPHA, DELTA, []).threshold is None


def test_a_hopeless_threshold_is_given_up_early() -> None:
    """Where half of all accepted rows do harm a few labels are enough to see it."""
    rng = np.random.default_rng(0)
    harm = (rng.random(2000) < 0.5).astype(np.float64)
    for form in (sequential, sequential_graded):
        found = form(np.ones(2000), of(harm), [0.5], ALPHA, DELTA, np.arange(2000))
        assert (found.threshold, found.p_values, found.ended) == (None, (1.0,), "hopeless")
        assert found.labels < 200


def test_no_more_labels_end_the_search_and_keep_what_was_certified() -> None:
    """The strict threshold stands; the loose one, whose labels were never bought, is not claimed."""
    scores = np.where(np.arange(1000) % 10 == 0, 0.9, 0.5)
    order = np.random.default_rng(1).permutation(1000)
    free = sequential(scores, of(np.zeros(1000)), [0.8, 0.4], ALPHA, DELTA, order)
    assert (free.threshold, free.ended) == (0.4, "loosest")
    cut = sequential(scores, capped(of(np.zeros(1000)), free.labels - 1), [0.8, 0.4], ALPHA, DELTA, order)
    assert (cut.threshold, cut.ended, cut.labels) == (0.8, "unlabelled", free.labels - 1)
    assert len(cut.p_values) == 1
    none = sequential(scores, capped(of(np.zeros(1000)), 0), [0.8, 0.4], ALPHA, DELTA, order)
    assert (none.threshold, none.labels, none.kept, none.p_values) == (None, 0, 0.0, ())


def test_unscored_rows_are_never_accepted() -> None:
    """A NaN score escalates: no label is bought for it, and its harm can't count."""
    scores = np.array([nan, 0.9] * 300)
    found = sequential(scores, of(np.isnan(scores).astype(np.float64)), [-inf], ALPHA, DELTA, np.arange(600))
    assert (found.threshold, found.kept) == (-inf, 0.5)
    assert all(row % 2 for row in found.rows)


def passes(form: Form, rate: float, runs: int, rows: int = 300, graded: bool = False) -> float:
    """How often "harm <= ALPHA" is certified where the true harm is `rate`."""
    rng = np.random.default_rng(5)
    count = 0
    for _ in range(runs):
        harm = (rng.random(rows) < rate).astype(np.float64)
        if graded:
            harm = np.where(rng.random(rows) < 2 * rate, rng.random(rows), 0.0)
        count += form(np.ones(rows), of(harm), np.array([0.5]), ALPHA, DELTA, np.arange(rows)).threshold is not None
    return count / runs


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("form", "graded"), [(sequential, False), (sequential_graded, False), (sequential_graded, True)]
)
def test_looking_after_every_row_is_allowed(form: Form, graded: bool) -> None:
    """Just above alpha the claim is made in at most delta of the samples; far below, in most."""
    assert within(passes(form, ALPHA * 1.0001, 800, graded=graded), 800)
    assert passes(form, ALPHA / 10, 60, 500, graded) > 0.8


def peeking(scores: Vector, label_of: LabelOf, thresholds: Vector, alpha: float, delta: float, order: Rows) -> Bought:
    """The mutant: the exact test of one look, taken after every row."""
    failures, passed = 0.0, None
    for row in range(len(scores)):
        failures += label_of(row) or 0.0
        if binomial_tail(row + 1, alpha, round(failures)) <= delta:
            passed = 0.5
            break
    return Bought(passed, len(scores), 1.0, (), (), "loosest")


@pytest.mark.unmeasured
def test_the_peeking_test_can_fail() -> None:
    """The exact test, looked at after each row as if it were the only look, claims what is false too often."""
    assert not within(passes(peeking, ALPHA * 1.0001, 300), 300)


def foresight(values: Iterator[float], delta: float, rows: int, null: float) -> float:
    """The mutant: a bet that looks at the row that it is made on."""
    wealth = 0.0
    for value in values:
        wealth += log1p((0.9 if value < null else 0.0) * (null - value))
        if wealth >= -log(delta):
            return 0.0
    return 1.0


def test_the_betting_test_can_fail() -> None:
    """On the same rows, at a mean of alpha, bets that know the present row win always, and those that don't rarely."""
    rng = np.random.default_rng(2)
    runs = (rng.random((300, 400)) < ALPHA).astype(np.float64)
    assert within(float(np.mean([_betting(iter(run.tolist()), DELTA, 400, ALPHA) <= DELTA for run in runs])), 300)
    assert np.mean([foresight(iter(run.tolist()), DELTA, 400, ALPHA) <= DELTA for run in runs]) > 0.9


def walks(runs: int, order_of: Callable[[np.random.Generator, Vector], Rows]) -> tuple[float, float, float, float]:
    """Share of false claims, share of labels bought, and the kept shares of `sequential` and of `certify`."""
    rng = np.random.default_rng(11)
    scores, harm = traffic(40_000, rng)
    found = []
    for _ in range(runs):
        rows = rng.choice(scores.size, 1200, replace=False)
        others, rows = rows[:200], rows[200:]
        steps = grid(scores[others], 20)
        order = order_of(rng, harm[rows])
        one = sequential(scores[rows], of(harm[rows]), steps, ALPHA, DELTA, order)
        least = inf if one.threshold is None else one.threshold
        fixed = certify(scores[rows], harm[rows], steps, ALPHA, DELTA).kept
        found.append((harm[scores >= least].sum() / scores.size > ALPHA, one.labels / 1000, one.kept, fixed))
    broken, labels, kept, fixed = np.mean(found, axis=0).tolist()
    return broken, labels, kept, fixed


@pytest.mark.unmeasured
def test_claims_hold_and_labels_are_saved() -> None:
    """Over fresh samples at most delta of the claims are false; as much is kept as with every row's label."""
    broken, labels, kept, fixed = walks(300, lambda rng, harm: rng.permutation(harm.size))
    assert within(broken, 300)
    assert kept > fixed - 0.02
    assert labels < 0.6


def test_the_walk_test_can_fail() -> None:
    """Rows that are read in an order that knows of harm, known good ones first, certify nearly anything."""
    broken, *_ = walks(40, lambda rng, harm: np.argsort(harm, kind="stable"))
    assert broken > 0.9


# ------------------------------------------------------------------ a finite set


def batch(n: int, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Proxy scores in steps, and labels that are 1 more often the higher they are."""
    score = np.round(rng.random(n), 2)
    return score, (rng.random(n) < 0.55 + 0.45 * score).astype(np.float64)


def achieved(form: Form, scores: Vector, labels: Vector, threshold: float | None) -> float:
    """What the threshold that was returned achieves on the set."""
    if form is recall_target:
        accepted = scores >= (-inf if threshold is None else threshold)
        return float(labels[accepted].sum() / labels.sum()) if labels.any() else 1.0
    accepted = scores >= (inf if threshold is None else threshold)
    if form is accuracy_cascade:
        return 1 - float((1 - labels)[accepted].sum()) / max(scores.size, 1)
    return float(labels[accepted].mean()) if accepted.any() else 1.0


@pytest.mark.unmeasured
@pytest.mark.parametrize("form", FINITE)
def test_finite_claims_hold(form: Form) -> None:
    """The target is missed in at most delta of the runs, not all is labelled, and much is kept."""
    rng = np.random.default_rng(7)
    missed, kept, labels = [], [], []
    for _ in range(200):
        scores, truth = batch(1500, rng)
        target = 0.9
        found = form(scores, of(truth), grid(scores, 15), target, 0.1, rng.permutation(1500))
        missed.append(achieved(form, scores, truth, found.threshold) < target - 1e-9)
        kept.append(found.kept)
        labels.append(found.labels)
    assert within(float(np.mean(missed)), 200, 0.1)
    assert np.mean(labels) < 900
    assert 0.1 < np.mean(kept) < 0.95


@pytest.mark.parametrize("form", [accuracy_cascade, precision_target])
def test_the_finite_test_can_fail(form: Form) -> None:
    """Drawn by falling score instead of at random, the good rows come first, and the target is missed."""
    rng = np.random.default_rng(7)
    missed = []
    for _ in range(40):
        scores = np.sort(rng.random(1000))[::-1]
        truth = (scores > 0.4).astype(np.float64)
        found = form(scores, of(truth), np.array([0.0]), 0.9, 0.1, np.arange(1000))
        missed.append(achieved(form, scores, truth, found.threshold) < 0.9)
    assert np.mean(missed) > 0.9


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40),
    st.floats(0.05, 0.95),
    st.sampled_from(FINITE),
    st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_what_is_certain_is_true(rows: list[tuple[int, bool]], target: float, form: Form, seed: int) -> None:
    """Where a p-value is 0 the set was labelled so far that nothing is left to chance; at this delta it always is."""
    scores, truth = np.array(rows, dtype=np.float64).T
    order = np.random.default_rng(seed).permutation(len(rows))
    found = form(scores, of(truth), np.arange(5.0, -1, -1), target, 1e-30, order)
    assert set(found.p_values) <= {0.0, 1.0}
    assert achieved(form, scores, truth, found.threshold) >= target - 1e-6
    assert found.kept == (0.0 if found.threshold is None else (scores >= found.threshold).mean())


def test_a_pure_set_takes_few_labels() -> None:
    """Where every cheap answer is right a small sample shows it, and a set within the allowance needs none."""
    order = np.random.default_rng(0).permutation(5000)
    found = accuracy_cascade(np.ones(5000), of(np.ones(5000)), [0.5], 0.95, DELTA, order)
    assert found.threshold == 0.5
    assert found.labels < 100
    scores = np.where(np.arange(1000) < 40, 1.0, 0.0)
    assert accuracy_cascade(scores, of(np.zeros(1000)), [0.5], 0.95, DELTA, np.arange(1000)).labels == 0


def test_recall_accepts_all_without_a_label() -> None:
    """Nothing is below the lowest score, so nothing is missed; an unscored row is below every threshold."""
    free = recall_target([0.1, 0.9], of(np.ones(2)), [0.1], 0.9, DELTA, [0, 1])
    assert (free.threshold, free.labels, free.p_values) == (0.1, 0, (0.0,))
    assert recall_target([nan, 0.9], of(np.ones(2)), [-inf], 0.9, DELTA, [0, 1]).threshold is None


def test_what_cannot_be_used_is_refused() -> None:
    """Orders, thresholds, labels and levels that would make the claim void."""
    scores, harmless, order = np.ones(200), of(np.zeros(200)), np.arange(200)
    for bad in (np.zeros(200, int), np.arange(199)):
        with pytest.raises(ValueError, match="order"):
            sequential(scores, harmless, [0.5], ALPHA, DELTA, bad)
    for steps in ([0.5, 0.5], [], [nan], [0.1, 0.2]):
        with pytest.raises(ValueError, match="fall"):
            sequential(scores, harmless, steps, ALPHA, DELTA, order)
    for alpha, delta in ((1.0, DELTA), (ALPHA, 0.0), (nan, DELTA)):
        with pytest.raises(ValueError, match="between"):
            sequential(scores, harmless, [0.5], alpha, delta, order)
    with pytest.raises(ValueError, match="0 or 1"):
        sequential(scores, of(np.full(200, 0.5)), [0.5], ALPHA, DELTA, order)
    for label in (-1.0, 2.0, nan):
        with pytest.raises(ValueError, match="row"):
            sequential_graded(scores, of(np.full(200, label)), [0.5], ALPHA, DELTA, order)
