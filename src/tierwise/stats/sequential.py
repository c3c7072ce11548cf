"""Certification that buys labels one at a time, and stops when the statement holds or can't be reached.

Two statements. `sequential` bounds harm on traffic that is to come, from independent rows of it, as `certify` does.
`accuracy_cascade`, `precision_target` and `recall_target` are about one finite set of rows, a batch job: what they
say is true of that very set. All of them walk through thresholds in an order that labels had no part in, test each
at delta and stop at the first that fails (fixed-sequence testing, Learn then Test, arXiv 2110.01052). Every test may
be looked at after each label. A label is bought once and serves every threshold, but each test reads its rows in the
same fixed order from the first on, so what it sees doesn't depend on what was bought for another.

Knows nothing of who labels, of money, or of what a label means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import exp, floor, log, log1p, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tierwise.stats.bounds import binomial_tail

Vector = NDArray[np.float64]
Rows = NDArray[np.int64]
LabelOf = Callable[[int], float | None]  # what a row's label says; None: no more labels are to be had
Ended = Literal["loosest", "hopeless", "unlabelled"]

HORIZON = 20_000  # rows that one exact test looks at: further ones would change little
LUCKY = 0.5  # of alpha: the rate of harm that futility grants the rows to come
UNLIKELY = 0.05  # chance of passing, even so, below which a test is hopeless
LUCK = 2.0  # standard errors that a betting test's futility grants the rows to come
BOLD = 0.9  # of the bet that one row could ruin
ROUNDING = 1e-9  # of a number of bad rows


class Bought(NamedTuple):
    """`threshold` None: nothing was shown. `kept`: the share of the n rows that is accepted at it.

    `p_values`: of the thresholds tested, in the order of the tests; 1 for one that was given up. `rows`: those whose
    label was bought, in that order. `ended`: all thresholds passed; a test became hopeless; or no more labels came.
    """

    threshold: float | None
    n: int
    kept: float
    p_values: tuple[float, ...]
    rows: tuple[int, ...]
    ended: Ended

    @property
    def labels(self) -> int:
        return len(self.rows)


def sequential(
    scores: ArrayLike, label_of: LabelOf, thresholds: ArrayLike, alpha: float, delta: float, order: ArrayLike
) -> Bought:
    """The loosest threshold with harm <= alpha on all traffic, at confidence 1 - delta; for harm that is 0 or 1.

    A row that isn't accepted does no harm and needs no label. The test of a threshold is a truncated sequential
    binomial test, exact by dynamic programming (Armitage's; delta is spent evenly over the rows, as of Lan and
    DeMets, 1983): after every row it passes if harm is at most a limit, such that with a true rate of alpha or more it
    ever passes with probability at most delta. It is given up when it would pass with probability below 5 % even if
    the rows to come did half of alpha; giving up can only certify less.
    `scores`: a verifier's, NaN is never accepted. `label_of` is asked for the harm of accepted rows only, at most
    once each; None ends the search, and what was certified before stands. `thresholds`: strictly falling, from
    other rows (`certify.grid`). `order`: the rows' numbers, each once, in an order that has nothing to do with harm;
    of more than HORIZON only the first are read.
    Raises ValueError for an order that is no permutation, thresholds that don't fall, harm other than 0 or 1,
    alpha or delta outside (0, 1).
    """
    score, steps, rows = _checked(scores, thresholds, order, alpha, delta)
    limits = _limits(min(rows.size, HORIZON), alpha, delta)
    return _traffic(score, label_of, (steps, rows[:HORIZON]), delta, lambda harms: _exact(harms, limits, alpha))


def sequential_graded(
    scores: ArrayLike, label_of: LabelOf, thresholds: ArrayLike, alpha: float, delta: float, order: ArrayLike
) -> Bought:
    """The same for harm anywhere in [0, 1], by a betting martingale (Waudby-Smith and Ramdas, arXiv 2010.09686).

    Needs more rows than `sequential` where harm is in fact 0 or 1. p-values are 1 over the largest wealth. Errors
    as there, for harm outside [0, 1].
    """
    score, steps, rows = _checked(scores, thresholds, order, alpha, delta)
    return _traffic(score, label_of, (steps, rows), delta, lambda harms: _betting(harms, delta, rows.size, alpha))


def accuracy_cascade(
    scores: ArrayLike, right_of: LabelOf, thresholds: ArrayLike, target: float, delta: float, order: ArrayLike
) -> Bought:
    """The loosest threshold from which on the cheap answers may stand, if the oracle answers all rows below it.

    Of all the rows at least a share of `target` is then right, with probability 1 - delta over the order, which must
    be drawn uniformly. After BARGAIN (arXiv 2509.02896), with bets for sampling without replacement (arXiv 2010.09686,
    section 5). Only accepted rows are labelled. `right_of`: 1 where the cheap answer is as good as the oracle's, down
    to 0. `thresholds` strictly fall, and may come from these very scores. Errors as of `sequential_graded`.
    """
    score, steps, rows = _checked(scores, thresholds, order, 1 - target, delta)
    return _set(score, right_of, (steps, rows), delta, lambda accepted: (1 - target) * rows.size)


def precision_target(
    scores: ArrayLike, positive_of: LabelOf, thresholds: ArrayLike, target: float, delta: float, order: ArrayLike
) -> Bought:
    """The loosest threshold of which at least a share of `target` of the accepted rows is positive.

    Source, arguments and errors as of `accuracy_cascade`. The strictest thresholds have few rows, and with those
    nothing is shown short of labelling most of them: leave such thresholds out.
    """
    score, steps, rows = _checked(scores, thresholds, order, 1 - target, delta)
    return _set(score, positive_of, (steps, rows), delta, lambda accepted: (1 - target) * accepted)


def recall_target(
    scores: ArrayLike, positive_of: LabelOf, thresholds: ArrayLike, target: float, delta: float, order: ArrayLike
) -> Bought:
    """The strictest threshold that accepts at least a share of `target` of all positive rows; loose ones come first.

    Labels are of all rows, not of accepted ones: it's among the others that positives may hide. Where positives are
    rare that takes many. With no positive at all the statement holds. Source, arguments and errors as of
    `accuracy_cascade`; positives are 0 or 1. p-values and tests go from the loosest threshold to the strictest.
    """
    score, steps, rows = _checked(scores, thresholds, order, 1 - target, delta)
    labels, missed = _Labels(positive_of), 1 - target

    def test(threshold: float) -> float:
        below = ~(score >= threshold)
        if not below.any():
            return 0.0
        # Positives below are 1, above 0, and negatives at what would neither help nor hurt; recall falls short
        # where the mean is above 1 - target.
        found = ((float(below[row]) if _whole(labels(row)) else missed) for row in rows.tolist())
        return _betting(found, delta, rows.size, missed, finite=True)

    return _walk(score, steps[::-1], delta, test, labels)


def capped(label_of: LabelOf, most: int) -> LabelOf:
    """The same labels, but at most so many of them."""
    left = iter(range(most))
    return lambda row: None if next(left, None) is None else label_of(row)


# ------------------------------------------------------------------ the walk


class _Unlabelled(Exception):
    """No more labels are to be had; never leaves this module."""


class _Labels:
    """Every label that was bought."""

    def __init__(self, label_of: LabelOf) -> None:
        self.label_of, self.known = label_of, dict[int, float]()

    def __call__(self, row: int) -> float:
        if row not in self.known:
            label = self.label_of(row)
            if label is None:
                raise _Unlabelled
            if not 0 <= label <= 1:
                raise ValueError(f"a label must lie in [0, 1], and row {row} has {label}")
            self.known[row] = float(label)
        return self.known[row]


def _traffic(
    score: Vector,
    label_of: LabelOf,
    walk: tuple[Vector, Rows],
    delta: float,
    passes: Callable[[Iterator[float]], float],
) -> Bought:
    """A row that isn't accepted comes in its turn, as one that did no harm."""
    labels, (steps, rows) = _Labels(label_of), walk

    def test(threshold: float) -> float:
        accepted = score[rows] >= threshold
        return passes(
            labels(row) if taken else 0.0 for row, taken in zip(rows.tolist(), accepted.tolist(), strict=True)
        )

    return _walk(score, steps, delta, test, labels)


def _set(
    score: Vector, label_of: LabelOf, walk: tuple[Vector, Rows], delta: float, most_bad: Callable[[int], float]
) -> Bought:
    """`most_bad` of so many accepted rows may be bad. The accepted ones are drawn in the order of all: at random."""
    labels, (steps, rows) = _Labels(label_of), walk

    def test(threshold: float) -> float:
        drawn = rows[score[rows] >= threshold]
        bad = (1 - labels(row) for row in drawn.tolist())
        return _betting(bad, delta, drawn.size, most_bad(drawn.size) / max(drawn.size, 1), finite=True)

    return _walk(score, steps, delta, test, labels)


def _walk(score: Vector, steps: Vector, delta: float, test: Callable[[float], float], labels: _Labels) -> Bought:
    chosen, p_values = None, list[float]()
    ended: Ended = "loosest"
    for threshold in steps.tolist():
        try:
            p_values.append(test(threshold))
        except _Unlabelled:
            ended = "unlabelled"
            break
        if p_values[-1] > delta:
            ended = "hopeless"
            break
        chosen = threshold
    kept = 0.0 if chosen is None else float((score >= chosen).mean())
    return Bought(chosen, score.size, kept, tuple(p_values), tuple(labels.known), ended)


def _whole(label: float) -> bool:
    if label not in {0, 1}:
        raise ValueError(f"a label must be 0 or 1, not {label}")
    return label == 1


def _checked(
    scores: ArrayLike, thresholds: ArrayLike, order: ArrayLike, alpha: float, delta: float
) -> tuple[Vector, Vector, Rows]:
    score, steps = np.asarray(scores, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    rows = np.asarray(order, dtype=np.int64)
    if score.ndim != 1 or score.shape != rows.shape or not (np.sort(rows) == np.arange(score.size)).all():
        raise ValueError("the order must name every row once")
    if steps.ndim != 1 or not steps.size or np.isnan(steps[0]) or not (steps[1:] < steps[:-1]).all():
        raise ValueError("thresholds must fall, from the strictest to the loosest")
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise ValueError("alpha (or the target) and delta must lie between 0 and 1")
    return score, steps, rows


# ------------------------------------------------------------------ tests: a p-value, 1 where given up


class _Limits(NamedTuple):
    """After k + 1 rows the test passes at `most[k]` failures or fewer, -1: not yet; `spent`: its chance by then."""

    most: tuple[int, ...]
    spent: tuple[float, ...]


@lru_cache(maxsize=64)
def _limits(n: int, alpha: float, delta: float) -> _Limits:
    """Limits that failures at rate alpha ever keep within, over n rows, with probability at most delta.

    The chances of all counts that have not passed are carried from row to row. A limit is raised whenever the chance
    of the next count fits into what may be spent by then. At a rate above alpha failures only come earlier.
    """
    chances = np.zeros(floor(n * alpha) + 2)  # counts above the mean never pass
    chances[0], limit, gone = 1.0, -1, 0.0
    most, spent = [], []
    for row in range(1, n + 1):
        moved = chances * (1 - alpha)
        moved[1:] += chances[:-1] * alpha
        while limit + 1 < moved.size - 1 and limit + 1 <= row and gone + moved[limit + 1] <= delta * row / n:
            limit += 1
            gone += float(moved[limit])
            moved[limit] = 0.0
        chances = moved
        most.append(limit)
        spent.append(gone)
    return _Limits(tuple(most), tuple(spent))


def _exact(harms: Iterator[float], limits: _Limits, alpha: float) -> float:
    failures, n = 0, len(limits.most)
    if not n or limits.most[-1] < 0:
        return 1.0  # not even without any failure
    for row, harm in enumerate(harms):
        failed = _whole(harm)
        failures += failed
        if failures <= limits.most[row]:
            return limits.spent[row]
        if failed and binomial_tail(n - row - 1, LUCKY * alpha, limits.most[-1] - failures) < UNLIKELY:
            return 1.0
    return 1.0


def _betting(values: Iterator[float], delta: float, rows: int, null: float, finite: bool = False) -> float:
    """Whether the mean of values in [0, 1] is at most `null`: each multiplies wealth by 1 + bet * (mean - value).

    `mean` is what the next value's would be if the claim just failed to hold: `null` for independent rows; in a
    `finite` set of so many rows what is left of the bad ones over what is left of the rows, until that settles it.
    The bet aims at the largest growth, by the values before (half a row's worth is assumed at first). Given up
    when even two standard errors luckier than seen the rows left would not do.
    """
    bar, most = -log(delta), null * rows + ROUNDING
    bad = wealth = 0.0
    drift = spread = 0.5  # sums of mean - value, and of its square
    for row in range(rows):
        left = rows - row
        mean = (most - bad) / left if finite else null
        if finite and mean >= 1:
            return 0.0
        if mean <= 0 or _hopeless((drift, spread), (mean, left), (row + 1 / null, bar - wealth), finite):
            return 1.0
        bet = min(max(drift, 0.0) / spread, BOLD / (1 - mean))
        gain = mean - next(values)
        bad += mean - gain
        wealth += log1p(bet * gain)
        drift, spread = drift + gain, spread + gain * gain
        if wealth >= bar:
            return exp(-wealth)
    return 0.0 if finite and bad <= most else 1.0


def _hopeless(seen: tuple[float, float], ahead: tuple[float, int], so_far: tuple[float, float], finite: bool) -> bool:
    (drift, spread), (mean, left), (rows, missing) = seen, ahead, so_far
    lucky = drift + LUCK * sqrt(spread)
    if lucky <= 0:
        return True
    flawless = log1p(BOLD / (1 - mean) * mean)
    growth = min(lucky * lucky / (2 * spread * rows), flawless)
    too_few = flawless * left < missing  # then only a finite set that is labelled to the end can show it
    return growth * left < missing and not (finite and too_few)
