"""Harm by human standards, where most labels come from a judge and people labelled a small sample.

Harm = the judge's mean harm on many rows + the mean of (human - judge) on the anchors, which both have labelled:
prediction-powered inference (Angelopoulos et al., arXiv 2301.09633), but with bounds that hold at any number of rows.
However kind or strict the judge is, the claim is about what people would say.

Knows nothing of thresholds or of who the judge is. It doesn't know whether the anchors were drawn at random from the
same traffic: the caller must have done that, before the judge or a person looked at them.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tierwise.stats.bounds import upper_mean

Vector = NDArray[np.float64]

JUDGED = 0.25  # share of delta for the judge's many rows; the few anchors need the larger one
AIM = 0.05  # the delta that bets aim at: the same at every level, so that bounds only widen as delta falls
BOLD = 0.9  # of the bet that one anchor could ruin
VARIANCE = 0.25  # of a difference, assumed before the first
STEPS = 40  # of a bisection


class Anchored(NamedTuple):
    """`bound`: of human harm, in [0, 1], at 1 - delta. It is the sum of the other two, kept within [0, 1].

    `judged`: upper bound of the judge's mean harm. `shift`: upper bound of the mean of human - judge, in [-1, 1];
    above 0 where the judge may be too kind.
    """

    bound: float
    judged: float
    shift: float


def upper(judged: ArrayLike, anchors_human: ArrayLike, anchors_judged: ArrayLike, delta: float) -> Anchored:
    """The upper bound of mean harm by human standards, exceeded with probability at most `delta`.

    `judged`: the judge's harm of n rows, 0 for those not accepted. `anchors_human`, `anchors_judged`: of the same m
    rows, by people and by the judge, in an order that has nothing to do with harm. All in [0, 1], 0/1 or graded;
    anchors may be among the n rows or not. A quarter of delta goes to the judge's mean, by Hoeffding-Bentkus, the
    rest to the differences, by betting (Waudby-Smith and Ramdas, arXiv 2010.09686). The bound is 1 without anchors.
    Where harm is rare the anchors alone (`bounds.upper` of people's labels) may give the lower bound: it pays where the
    judge disagrees with people far less often than there is harm. Choose between the two beforehand, not by the result.
    Raises ValueError for labels outside [0, 1], unequal anchors, or delta outside (0, 1).
    """
    harm, shift = _checked(judged, anchors_human, anchors_judged)
    _check(delta)
    return _upper(harm, shift, delta)


def p_value(judged: ArrayLike, anchors_human: ArrayLike, anchors_judged: ArrayLike, alpha: float) -> float:
    """Of "mean harm by human standards is above alpha": the least delta with `upper` at most alpha; 1 if there's none.

    One for each threshold of a fixed sequence, with the labels of rows that it doesn't accept at 0. Errors as of
    `upper`, for alpha.
    """
    harm, shift = _checked(judged, anchors_human, anchors_judged)
    _check(alpha)
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle > 0 and _upper(harm, shift, middle).bound <= alpha:
            high = middle
        else:
            low = middle
    return high


def _upper(harm: Vector, shift: Vector, delta: float) -> Anchored:
    mean = float(harm.mean()) if harm.size else 1.0
    first = upper_mean(min(mean, 1.0), harm.size, JUDGED * delta)
    second = _shift(shift, (1 - JUDGED) * delta)
    return Anchored(min(1.0, max(0.0, first + second)), first, second)


def _shift(differences: Vector, delta: float) -> float:
    """The least mean of differences in [-1, 1] that a bettor's wealth refutes; 1 where none is.

    Against the claim "the mean is at least m" wealth is multiplied by 1 + bet * (m - difference). Bets are made from
    the variance of the differences before, so wealth rises with m, and the largest on the way counts (Ville).
    """
    if not differences.size:
        return 1.0
    rows = np.arange(1, differences.size + 1)
    mean = np.cumsum(differences) / (rows + 1)
    variance = (VARIANCE + np.cumsum((differences - mean) ** 2)) / (rows + 1)
    before = np.concatenate(([VARIANCE], variance))[:-1]
    bets = np.sqrt(-2 * log(AIM) / (before * rows.size))
    low, high = -1.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        bet = np.minimum(bets, BOLD / (1 - middle)) if middle < 1 else bets
        wealth = np.cumsum(np.log1p(bet * (middle - differences)))
        if wealth.max() >= -log(delta):
            high = middle
        else:
            low = middle
    return high


def _checked(judged: ArrayLike, human: ArrayLike, by_judge: ArrayLike) -> tuple[Vector, Vector]:
    harm, people, judge = (np.asarray(labels, dtype=np.float64) for labels in (judged, human, by_judge))
    if harm.ndim != 1 or people.ndim != 1 or people.shape != judge.shape:
        raise ValueError("anchors need a person's and the judge's label each, in two vectors of one length")
    for labels in (harm, people, judge):
        if not ((labels >= 0) & (labels <= 1)).all():
            raise ValueError("labels must lie in [0, 1]")
    return harm, people - judge


def _check(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError("alpha and delta must lie between 0 and 1")
