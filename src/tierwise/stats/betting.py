"""Tests and bounds of the mean of values in [0, 1] by betting, and the wealth of a bettor who may start at any row.

Waudby-Smith and Ramdas, arXiv 2010.09686. Whoever bets against a claim that holds gets rich with little probability:
wealth W >= 1 / delta is ever reached with probability at most delta (Ville). Where values are graded and vary little
this needs far fewer rows than `bounds.hoeffding_bentkus`; where they are 0 or 1 the exact binomial tail is better.
A bet knows only rows before its own, and rows come in an order that has nothing to do with their values.

Knows nothing of what the values mean. Of two tests of the same rows, choose beforehand, not by the smaller p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp, log
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Side = Literal["below", "above"]

BOLD = 0.75  # of the bet that one row could ruin
VARIANCE = 0.25  # assumed before the first row: the largest that [0, 1] allows
STEPS = 50  # of a bisection

CASH = 0.5  # of the first wealth: kept for bets that start later
EARLY = 10  # rows after which these begin to be spread thin
MOST = 1e100  # wealth beyond this isn't counted: it only settles what is settled


def p_value(values: ArrayLike, mean: float, delta: float, side: Side = "below") -> float:
    """Of "the expected value is not `side` the mean": small where it is. 1 over the largest wealth on the way.

    `values`: in [0, 1], independent, or such that each has the same expected value given those before. The bets aim
    at this `delta` and number of rows; the p-value holds for any. It is meant for one look: more rows change the
    bets. 1 without rows.
    Raises ValueError for values outside [0, 1] or NaN, mean or delta outside (0, 1).
    """
    value = _checked(values, delta)
    if not 0 < mean < 1:
        raise ValueError("a mean to be tested lies between 0 and 1")
    if side == "above":
        value, mean = 1 - value, 1 - mean
    return exp(-_largest(value, _aimed(value, delta), mean))


def upper_mean(values: ArrayLike, delta: float) -> float:
    """The least mean that `p_value` refutes at delta: the expected value is above with probability at most `delta`.

    1 where nothing is refuted, without rows for one. Arguments and errors as of `p_value`.
    """
    value = _checked(values, delta)
    return _least(value, _aimed(value, delta), delta)


def interval(values: ArrayLike, delta: float, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """Bounds of the expected value of values in [low, high], at 1 - delta for all looks together.

    It may be asked for again after each row, and the values so far be reported whenever one likes. Bets do not know
    how many rows will come (arXiv 2010.09686, the predictable mixture of section 4.2), so it's a little wider than
    for a fixed number; it never widens as rows come. (low, high) without rows.
    Raises ValueError for values outside [low, high] or NaN, low >= high, or delta outside (0, 1).
    """
    if not low < high:
        raise ValueError("an interval needs low < high")
    value = _checked((np.asarray(values, dtype=np.float64) - low) / (high - low), delta)
    half = delta / 2
    most = _least(value, _patient(value, half), half)
    least = 1 - _least(1 - value, _patient(1 - value, half), half)
    return low + (high - low) * min(least, most), low + (high - low) * most


def _checked(values: ArrayLike, delta: float) -> Vector:
    value = np.asarray(values, dtype=np.float64)
    if value.ndim != 1 or not ((value >= 0) & (value <= 1)).all():
        raise ValueError("a vector of values within their range is needed")
    if not 0 < delta < 1:
        raise ValueError("delta must lie between 0 and 1")
    return value


def _before(value: Vector) -> Vector:
    """For each row, the variance of those before it."""
    rows = np.arange(1, value.size + 1)
    mean = np.cumsum(value) / rows
    variance = (VARIANCE + np.cumsum((value - mean) ** 2)) / (rows + 1)
    return np.concatenate(([VARIANCE], variance))[:-1]


def _aimed(value: Vector, delta: float) -> Vector:
    """Bets that get to 1 / delta at the last row, if they can."""
    return np.sqrt(-2 * log(delta) / (_before(value) * max(value.size, 1)))


def _patient(value: Vector, delta: float) -> Vector:
    """Bets that fall with the number of rows, whatever it will be."""
    rows = np.arange(1, value.size + 1)
    return np.sqrt(-2 * log(delta) / (_before(value) * rows * np.log1p(rows)))


def _largest(value: Vector, bets: Vector, mean: float) -> float:
    """The largest logarithm of the wealth of one who bets that the expected value is below the mean."""
    with np.errstate(divide="ignore"):  # no limit at a mean of 1, where no row loses
        limited = np.minimum(bets, BOLD / np.float64(1 - mean))
    return float(np.cumsum(np.log1p(limited * (mean - value))).max(initial=0.0))


def _least(value: Vector, bets: Vector, delta: float) -> float:
    """The least mean that is refuted: wealth rises with the mean, as bets depend on it only by their limit."""
    return _bisect(lambda mean: _largest(value, bets, mean) >= -log(delta))


def _bisect(refuted: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if refuted(middle):
            high = middle
        else:
            low = middle
    return high


class Wealth(NamedTuple):
    """What a bettor owns who splits it over several bets and over the rows at which each of them starts.

    An e-process: as long as a claim holds, under which every factor's expected value is at most 1 given all rows
    before, `total` ever reaches 1 / delta with probability at most delta, at whatever rows it is looked at. A part is
    laid out at once and the rest bit by bit, in cash until then. So a claim that held for long, when bets lost, and
    then fails, is still refuted soon: what counts is the evidence since, at a price that grows as the logarithm of the
    rows before (a mixture over change points, as in e-detectors, Shin et al., arXiv 2203.03532).

    `owned`: by each bet that has started, in parts of the first wealth. `shares`: of what is laid out, for each bet.
    `peak`: the largest `total` so far.
    """

    owned: tuple[float, ...]
    shares: tuple[float, ...]
    rows: int = 0
    peak: float = 1.0

    @classmethod
    def start(cls, shares: Iterable[float]) -> Wealth:
        """The first wealth of 1. Raises ValueError unless the shares are positive and sum to 1."""
        parts = tuple(shares)
        if not all(part > 0 for part in parts) or abs(sum(parts) - 1) > 1e-9:
            raise ValueError("shares must be positive and sum to 1")
        return cls(tuple((1 - CASH) * part for part in parts), parts)

    @property
    def total(self) -> float:
        return min(sum(self.owned) + _cash(self.rows), MOST)

    @property
    def p_value(self) -> float:
        """Valid at any look."""
        return 1 / self.peak

    def grown(self, factors: Iterable[float]) -> Wealth:
        """After one more row, which multiplies each bet by its factor, at least 0."""
        laid = _cash(self.rows) - _cash(self.rows + 1)
        owned = tuple(
            min((own + laid * share) * factor, MOST)
            for own, share, factor in zip(self.owned, self.shares, factors, strict=True)
        )
        after = Wealth(owned, self.shares, self.rows + 1, self.peak)
        return after._replace(peak=max(self.peak, after.total))


def _cash(rows: int) -> float:
    """Of the first wealth, what is not yet laid out after so many rows."""
    return CASH * log(EARLY) / log(rows + EARLY)
