"""Cost against quality: the exact curve of a ranking between two models, and the figures read off it.

Queries go to premium in the order of their escalation score, the highest first. Queries of one score go in
random order, and the curve is the expectation over that order: a straight line across the group. So no figure
here depends on how ties happen to be sorted, or on anything but the order of the scores.

PGR, APGR and CPT are RouteLLM's (arXiv 2406.18665), AIQ is RouterBench's (arXiv 2403.12031). RouteLLM's code
integrates over ten quantiles of the score, which distorts tied scores; here the integral is exact.

Every figure takes weights, so a bootstrap is the same code with random weights. Knows nothing of models,
prompts or where a score comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tierwise.stats.zero_router import Point, area, zero_router

Vector = NDArray[np.float64]

LEAST_GAP = 1e-12  # of two mean scores; what is smaller is rounding
ROUNDING = 1e-9  # of a PGR that is reached


class Curve(NamedTuple):
    """`share` of queries on premium, 0 to 1, and the mean `quality` there; one point more than groups of scores."""

    share: Vector
    quality: Vector


class CostCurve(NamedTuple):
    """`cost`: all dollars spent over always-premium's dollars, rising, may pass 1; and the mean `quality` there."""

    cost: Vector
    quality: Vector


class Ranking:
    """Queries in the order of their escalation, sorted once; a curve for any weights of the queries."""

    def __init__(self, cheap: ArrayLike, premium: ArrayLike, escalation: ArrayLike) -> None:
        """Scores of n queries each, fractional ones too. Raises ValueError for NaN, no queries or unequal lengths."""
        score = column("escalation", escalation)
        low, high = column("cheap", cheap, score.size), column("premium", premium, score.size)
        self._order = np.argsort(-score, kind="stable")
        ranked = score[self._order]
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._cheap = low[self._order]
        self._gain = high[self._order] - self._cheap

    @property
    def size(self) -> int:
        return self._order.size

    def curve(self, weights: ArrayLike | None = None) -> Curve:
        """Quality over the share of queries on premium. `weights`, one a query and >= 0, count it that often."""
        weight = self._weights(weights)
        total = weight.sum()
        return Curve(self._steps(weight) / total, self._quality(weight, total))

    def cost_curve(
        self, cheap_costs: ArrayLike, premium_costs: ArrayLike, weights: ArrayLike | None = None
    ) -> CostCurve:
        """Quality over dollars. Every query pays its cheap path, escalated ones their premium call on top.

        `cheap_costs`: per query, the draft and every opinion and judge that was asked; `premium_costs`: what
        premium alone would cost. From sum(cheap) / sum(premium), nothing escalated, to 1 more than that.
        NaN costs where premium costs nothing. Raises ValueError for negative ones.
        """
        weight = self._weights(weights)
        spent = np.dot(costs("cheap_costs", cheap_costs, self.size)[self._order], weight)
        added = self._steps(costs("premium_costs", premium_costs, self.size)[self._order] * weight)
        always = added[-1]
        cost = (spent + added) / always if always > 0 else np.full(added.size, nan)
        return CostCurve(cost, self._quality(weight, weight.sum()))

    def _quality(self, weight: Vector, total: float) -> Vector:
        quality: Vector = (np.dot(self._cheap, weight) + self._steps(self._gain * weight)) / total
        return quality

    def _steps(self, values: Vector) -> Vector:
        """0, and the running sum of `values` at the end of every group."""
        return np.concatenate(([0.0], np.cumsum(values)[self._ends]))

    def _weights(self, weights: ArrayLike | None) -> Vector:
        if weights is None:
            return np.ones(self.size)
        weight = column("weights", weights, self.size)
        if weight.min() < 0 or weight.max() <= 0:
            raise ValueError("weights must be >= 0, and one of them above")
        return weight[self._order]


def column(name: str, values: ArrayLike, size: int | None = None) -> Vector:
    """`values` as a vector of floats. Raises ValueError where it is empty, holds NaN or has not `size` entries."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"{name} must be a vector with at least one entry")
    if size is not None and vector.size != size:
        raise ValueError(f"{name} has {vector.size} entries, not {size}")
    if np.isnan(vector).any():
        raise ValueError(f"{name} holds NaN")
    return vector


def costs(name: str, values: ArrayLike, size: int) -> Vector:
    """A `column` of dollars. Raises ValueError for negative ones too."""
    vector = column(name, values, size)
    if vector.min() < 0:
        raise ValueError(f"{name} holds a negative cost")
    return vector


def curve(cheap: ArrayLike, premium: ArrayLike, escalation: ArrayLike, weights: ArrayLike | None = None) -> Curve:
    """The curve of one ranking; see `Ranking`."""
    return Ranking(cheap, premium, escalation).curve(weights)


def pgr(quality: Vector) -> Vector:
    """The performance gap recovered, (q - A_w) / (A_s - A_w), A_w the first and A_s the last of a curve's qualities.

    0 at the start and 1 at the end, above 1 where the mixture beats premium. All NaN where premium is not
    better than cheap: there is no gap to recover.
    """
    gap = quality[-1] - quality[0]
    if gap <= LEAST_GAP:
        return np.full(quality.size, nan)
    recovered: Vector = (quality - quality[0]) / gap
    return recovered


def apgr(curve: Curve) -> float:
    """The integral of PGR over the share, 0 to 1. Random order has 0.5; NaN where there is no gap."""
    return float(np.trapezoid(pgr(curve.quality), curve.share))


def cpt(curve: Curve, x: float) -> float:
    """The call-performance threshold: the smallest share, in percent, at which PGR reaches `x` (0.5 for CPT50).

    NaN if it never does, or where there is no gap. The first crossing of a curve that goes up and down comes
    early: on few queries random order has a little less than x, most of all for large x.
    """
    recovered = pgr(curve.quality)
    reached = np.flatnonzero(recovered >= x - ROUNDING)
    if not reached.size:
        return nan
    at = int(reached[0])
    if at == 0:
        return 0.0
    low, high = recovered[at - 1], recovered[at]
    part = min((x - low) / (high - low), 1.0)
    return float(100 * (curve.share[at - 1] + part * (curve.share[at] - curve.share[at - 1])))


def cost_curve(
    cheap: ArrayLike, premium: ArrayLike, escalation: ArrayLike, cheap_costs: ArrayLike, premium_costs: ArrayLike
) -> CostCurve:
    """The curve of one ranking over dollars; see `Ranking.cost_curve`."""
    return Ranking(cheap, premium, escalation).cost_curve(cheap_costs, premium_costs)


def cost_apgr(curve: CostCurve) -> float:
    """The integral over x from 0 to 1 of the PGR that x buys, x the dollars spent over always-premium's.

    Let c0 be the cost with nothing escalated. For x < c0 nothing can be bought, and the PGR is 0. From there it
    is the curve's value at the largest share that x affords, straight lines between its points. At x = 1 that
    is a share short of everything, since drafts have been paid too: money spent on drafts and opinions lowers
    the figure, and with c0 >= 1 it is 0. It is APGR where the cheap path is free and premium calls cost alike.
    NaN where there is no gap, or premium costs nothing.
    """
    recovered = pgr(curve.quality)
    if np.isnan(recovered[0]) or np.isnan(curve.cost[0]):
        return nan
    inside = curve.cost < 1
    if not inside.any():
        return 0.0
    cost = np.append(curve.cost[inside], 1.0)
    return float(np.trapezoid(np.append(recovered[inside], np.interp(1.0, curve.cost, recovered)), cost))


def aiq(points: Sequence[Point], most: float | None = None) -> float:
    """Average improvement in quality: the area under the points' non-decreasing hull, flat up to `most`, over `most`.

    As RouterBench's code has it: what is cheaper than the cheapest point counts 0. `most`, in the points' cost,
    is the highest cost of all that is compared; without it, of these points. NaN where that is 0.
    """
    bound = max(cost for cost, _ in points) if most is None else most
    return area(zero_router(points), bound) / bound if bound > 0 else nan


def oracle(cheap: ArrayLike, premium: ArrayLike) -> float:
    """The mean score of whoever knows, for every query, which of the two answers is the better."""
    low = column("cheap", cheap)
    return float(np.maximum(low, column("premium", premium, low.size)).mean())
