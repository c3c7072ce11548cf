"""Certificates: thresholds at which harm is bounded, from a finite sample and without assumptions on the scores.

Harm of a row: the draft was accepted (score >= threshold), was not good enough, and premium's answer would
have been. An escalated row has none. All rows of the sample count, escalated or not, so the claim is about the
route's whole traffic. It holds for independent rows of the traffic that is to come, scored by a verifier and
tested at thresholds that both come from other rows.

Knows nothing of models, judges or what made a row harmful; a label's own error is the caller's to state.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tierwise.stats.bounds import binomial_tail, hoeffding_bentkus, upper, upper_mean

Vector = NDArray[np.float64]

LARGEST_BET = 0.75  # of the bet that one row could ruin
VARIANCE = 0.25  # assumed before the first row: the largest that [0, 1] allows
ROUNDING = 1e-9  # of a sum of harm


class Certified(NamedTuple):
    """What `certify` found. `threshold` None: nothing is certified, every draft must escalate.

    `failures` is the sum of harm over the n rows, `kept` the share that is accepted at the threshold,
    `harm_bound` the one-sided upper confidence bound of harm there. It stands for that threshold taken alone,
    not corrected for the choice; what is claimed with confidence 1 - delta is harm <= alpha. Where threshold
    is None, kept is 0 and the other figures are those of the strictest threshold, the one that failed.
    """

    threshold: float | None
    n: int
    failures: float
    harm_bound: float
    p_value: float
    kept: float


class Parity(NamedTuple):
    """`holds` where `p_value`, 1 over the largest wealth that was reached, is at most delta."""

    holds: bool
    p_value: float


def grid(scores: ArrayLike, m: int = 25) -> Vector:
    """At most m thresholds, strict to loose, that keep 1/m, 2/m, ... all of the given rows' scores.

    Of rows that don't calibrate: thresholds must not depend on the rows that test them. NaN scores are left
    out; equal thresholds are one. Raises ValueError without scores, or for m < 1.
    """
    known = np.asarray(scores, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size or m < 1:
        raise ValueError("a grid needs scores, and at least one threshold")
    keep = np.ceil(np.arange(1, m + 1) * known.size / m).astype(np.int64)
    return np.unique(np.sort(known)[::-1][keep - 1])[::-1]


def certify(
    scores: ArrayLike, harmful: ArrayLike, thresholds: ArrayLike, alpha: float, delta: float, graded: bool = False
) -> Certified:
    """The loosest threshold with harm <= alpha at confidence 1 - delta: fixed-sequence Learn-then-Test.

    Angelopoulos et al., arXiv 2110.01052. Thresholds are tested from strict to loose, each at delta, up to the
    first that fails; the one before it is the answer. Valid at any n; harm need not rise as thresholds fall.
    `scores` are the verifier's on the calibration rows (NaN is never accepted). `harmful`, for every row, is
    what harm it would do if accepted: 0 or 1, tested by the exact binomial tail, or graded in between, by
    Hoeffding-Bentkus; say `graded` where it could have been graded but these rows happen not to be.
    `thresholds`: strictly falling, and from other rows (`grid`).
    Raises ValueError for unequal lengths, harm outside [0, 1], thresholds that don't fall, alpha or delta outside
    (0, 1).
    """
    score, harm = _rows(scores, harmful)
    steps = np.asarray(thresholds, dtype=np.float64)
    if steps.ndim != 1 or not steps.size or np.isnan(steps[0]) or not (steps[1:] < steps[:-1]).all():
        raise ValueError("thresholds must fall, from the strictest to the loosest")
    _check(alpha, delta)
    binary = not graded and bool(np.isin(harm, (0.0, 1.0)).all())
    chosen = None
    for threshold in steps:
        tested = _test(score >= threshold, harm, alpha, binary)
        if tested.p_value > delta:
            break
        chosen = tested._replace(threshold=float(threshold))
    found = chosen or tested._replace(kept=0.0)
    return found._replace(harm_bound=bound(found.failures, harm.size, delta, binary=binary))


def _test(accepted: NDArray[np.bool_], harm: Vector, alpha: float, binary: bool) -> Certified:
    n, failures = harm.size, float(harm[accepted].sum())
    rows = max(n, 1)
    p_value = binomial_tail(n, alpha, round(failures)) if binary else hoeffding_bentkus(failures / rows, n, alpha)
    return Certified(None, n, failures, 1.0, p_value, float(accepted.sum()) / rows)


def bound(failures: float, n: int, delta: float, *, binary: bool) -> float:
    """The upper confidence bound of mean harm that comes to `failures` over n rows: exact where each is 0 or 1."""
    return upper(round(failures), n, delta) if binary else upper_mean(failures / max(n, 1), n, delta)


def parity(policy: ArrayLike, premium: ArrayLike, rho: float, delta: float) -> Parity:
    """Whether the policy's mean score is above `rho` times premium's, at confidence 1 - delta.

    Where cheap sometimes beats premium this credits it, which harm does not. A betting martingale
    (Waudby-Smith and Ramdas, arXiv 2010.09686): X = (policy - rho * premium + rho) / (1 + rho) lies in [0, 1], and its
    mean is at most m = rho / (1 + rho) if parity does not hold. Wealth is multiplied by 1 + b (X - m) for each row;
    the bet b aims at this delta and n, from the variance of the rows before. Valid at any n.
    `policy` and `premium`: scores in [0, 1] of the same rows, in an order that has nothing to do with them, at a
    threshold that comes from other rows. Raises ValueError for other scores, unequal lengths, rho outside
    (0, 1] or delta outside (0, 1).
    """
    served, reference = _rows(policy, premium)
    if not ((served >= 0) & (served <= 1)).all():
        raise ValueError("scores must lie in [0, 1]")
    _check(delta, delta)
    if not 0 < rho <= 1:
        raise ValueError("rho must be above 0 and at most 1")
    margin = (served - rho * reference) / (1 + rho)  # X - m
    rows = np.arange(1, margin.size + 1)
    mean = np.cumsum(margin) / (rows + 1)
    variance = (VARIANCE + np.cumsum((margin - mean) ** 2)) / (rows + 1)
    before = np.concatenate(([VARIANCE], variance))[:-1]
    bets = np.minimum(np.sqrt(-2 * log(delta) / (before * rows.size)), LARGEST_BET * (1 + rho) / rho)
    log_wealth = np.cumsum(np.log1p(bets * margin))
    p_value = exp(-float(log_wealth.max(initial=0.0)))  # Ville: the largest wealth on the way counts
    return Parity(p_value <= delta, p_value)


def conformal(scores: ArrayLike, harmful: ArrayLike, alpha: float) -> float | None:
    """The loosest threshold with *expected* harm <= alpha: conformal risk control (arXiv 2208.02814).

    A weaker promise than `certify`'s: on average over calibration samples, with no confidence about this one. It
    needs no other rows for the grid, and (1 - alpha) / alpha rows instead of a hundred. The lowest score t seen
    with (sum of harm at t + 1) / (n + 1) <= alpha; None where there is none. Errors as of `certify`.
    """
    score, harm = _rows(scores, harmful)
    _check(alpha, alpha)
    seen = ~np.isnan(score)
    order = np.argsort(-score[seen], kind="stable")
    score, n = score[seen][order], harm.size
    if not score.size:
        return None
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # equal scores are accepted together
    within = ends[np.cumsum(harm[seen][order])[ends] + 1 <= alpha * (n + 1) + ROUNDING]
    return float(score[within[-1]]) if within.size else None


def _rows(scores: ArrayLike, unit: ArrayLike) -> tuple[Vector, Vector]:
    """Both as vectors of one length, the second within [0, 1]; raises ValueError otherwise."""
    score, value = np.asarray(scores, dtype=np.float64), np.asarray(unit, dtype=np.float64)
    if score.ndim != 1 or score.shape != value.shape:
        raise ValueError(f"two vectors of one length are needed, not {score.shape} and {value.shape}")
    if not ((value >= 0) & (value <= 1)).all():
        raise ValueError("harm and scores must lie in [0, 1]")
    return score, value


def _check(alpha: float, delta: float) -> None:
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise ValueError("alpha and delta must lie between 0 and 1")
