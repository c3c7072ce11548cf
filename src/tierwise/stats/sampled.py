"""The mean over all rows from those that were drawn, with an interval that holds at every look and under any change.

Each drawn row counts for 1 / propensity rows (Horvitz and Thompson, 1952). The interval is an empirical-Bernstein
confidence sequence (Howard et al., arXiv 1810.08240, theorem 4): it may be looked at, and reported, whenever one likes,
and rows need not have one mean that never changes. It is about the mean of what was to be expected of the rows so far.

Knows nothing of what values mean, and not whether rows were drawn at these propensities.
"""

from __future__ import annotations

from math import exp, log, log1p
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

BETS = tuple(0.9 * 2.0**-step for step in range(11))  # each is best for some number of rows, up to a million drawn ones
STEPS = 60  # of a bisection


class Estimate(NamedTuple):
    """`value`, within [low, high]; NaN, and the widest interval, without rows. `drawn`: how many rows it is from."""

    value: float
    low: float
    high: float
    drawn: int


def mean(values: ArrayLike, propensities: ArrayLike, rows: float, delta: float, least: float) -> Estimate:
    """Of values in [-1, 1], over `rows` rows, at 1 - delta for all looks together.

    `values`, `propensities`: of the drawn rows, in the order in which they were drawn. `rows`: all of them, also those
    that were not drawn or are known to be 0 without being drawn. `least`: fixed beforehand, no propensity is below.
    Raises ValueError for unequal lengths, values or propensities out of range, fewer rows than drawn ones, or delta
    outside (0, 1).
    """
    value, rate = np.asarray(values, dtype=np.float64), np.asarray(propensities, dtype=np.float64)
    if value.ndim != 1 or value.shape != rate.shape or rows < value.size:
        raise ValueError("drawn rows need a value and a propensity each, and are at most all")
    if not ((np.abs(value) <= 1).all() and (rate >= least).all() and (rate <= 1).all() and least > 0):
        raise ValueError("values lie in [-1, 1], propensities between the least one and 1")
    if not 0 < delta < 1:
        raise ValueError("delta must lie between 0 and 1")
    if not value.size:
        return Estimate(float("nan"), -1.0, 1.0, 0)
    weighted = value * least / rate
    whole = rows * least
    middle, reach = float(weighted.sum()) / whole, _reach(float((weighted**2).sum()), delta / 2) / whole
    middle = min(max(middle, -1.0), 1.0)
    return Estimate(middle, max(middle - reach, -1.0), min(middle + reach, 1.0), value.size)


def _reach(square: float, delta: float) -> float:
    """How far a sum of values in [-1, 1], with this sum of squares, ever gets above what is expected.

    For each bet b, exp(b * (sum - expected) - (-log(1 - b) - b) * squares) is expected not to grow (Fan, Grama and Liu,
    arXiv 1311.6273, lemma 4.1), nor is the mean of these. So it ever reaches 1 / delta with probability at most delta.
    """
    low, high = 0.0, (-log(delta) + log(len(BETS)) + BETS[0] * square * 4) / BETS[-1]
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _grown(middle, square) >= -log(delta):
            high = middle
        else:
            low = middle
    return high


def _grown(above: float, square: float) -> float:
    """The logarithm of the mean over all bets."""
    powers = [bet * above - (-log1p(-bet) - bet) * square for bet in BETS]
    most = max(powers)
    return most + log(sum(exp(power - most) for power in powers) / len(BETS))
