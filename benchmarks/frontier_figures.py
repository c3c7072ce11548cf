"""The figures of one escalation score: shares and dollars, each with its bootstrap interval.

A method that decides before any call pays the cheap model for what it keeps and premium for the rest; one that
reads drafts pays for all of them first; one that hears opinions pays those too. Knows no method and no benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.offline.learn import Floats, harm
from tierwise.offline.outcomes import Pairs
from tierwise.offline.played import Fate
from tierwise.stats.bootstrap import counts, interval
from tierwise.stats.frontier import CostCurve, Curve, apgr, cost_apgr, cpt, pgr
from tierwise.stats.zero_router import value_at, zero_router

POINTS = 120  # of a curve that is kept
SMALL = 0.99  # of premium's quality: what most would not notice


@dataclass(frozen=True)
class Paid:
    """Dollars of each query: before it is decided, and what escalating adds. NaN: unknown."""

    first: Floats
    then: Floats

    def take(self, rows: NDArray[np.intp]) -> Paid:
        return Paid(self.first[rows], self.then[rows])

    @property
    def known(self) -> bool:
        return not (np.isnan(self.first).any() or np.isnan(self.then).any())


def paths(pairs: Pairs) -> dict[str, Paid]:
    """How decisions are paid for, by when they are taken; `opinions` alone too."""
    cheap, premium = pairs.cheap.cost, pairs.premium.cost
    opinions = sum((side.cost for side in pairs.opinions), np.zeros(len(pairs)))
    return {
        "before": Paid(cheap, premium - cheap),
        "after": Paid(cheap, premium),
        "heard": Paid(cheap + opinions, premium),
        "opinions": Paid(opinions, premium),
    }


class Lines:
    """The curves of one score over shares and over dollars, sorted once, for any weights of the queries."""

    def __init__(self, table: Pairs, escalation: Floats, paid: Paid) -> None:
        order = np.argsort(-escalation, kind="stable")
        ranked = escalation[order]
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._cheap, self._premium = table.cheap.score[order], table.premium.score[order]
        self._first, self._then = paid.first[order], paid.then[order]
        self._always = table.premium.cost[order]
        self._order = order

    def curves(self, weights: Floats | None = None) -> tuple[Curve, CostCurve]:
        weight = np.ones(len(self._order)) if weights is None else weights[self._order]
        total = weight.sum()
        quality = (self._cheap @ weight + self._steps((self._premium - self._cheap) * weight)) / total
        spent = self._first @ weight + self._steps(self._then * weight)
        cost = np.maximum.accumulate(spent / (self._always @ weight))  # some escalations save money: not relied on
        return Curve(self._steps(weight) / total, quality), CostCurve(cost, quality)

    def _steps(self, values: Floats) -> Floats:
        return np.concatenate(([0.0], np.cumsum(values)[self._ends]))


def figures(
    table: Pairs, escalation: Floats, paid: Paid, rng: np.random.Generator, rounds: int
) -> dict[str, list[float]]:
    """[value, low, high] each; without `rounds` low and high are the value. Dollars only where they are known."""
    lines = Lines(table, escalation, paid)
    names = ["apgr", "cpt50", "cpt80", "cpt95"]
    if paid.known:
        names += ["cost_apgr", "cost99"]

    def read(weights: Floats | None) -> list[float]:
        share, dollars = lines.curves(weights)
        found = [apgr(share), cpt(share, 0.5), cpt(share, 0.8), cpt(share, 0.95)]
        return [*found, cost_apgr(dollars), cost_of(dollars, SMALL)] if paid.known else found

    value = read(None)
    drawn = np.array([read(counts(len(table), rng)) for _ in range(rounds)] or [value])
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return {name: [value[at], float(low[at]), float(high[at])] for at, name in enumerate(names)}


def cost_of(dollars: CostCurve, part: float) -> float:
    """The least money, over always-premium's, for `part` of premium's quality; 1 where that is asking premium."""
    reached = np.flatnonzero(dollars.quality >= part * dollars.quality[-1] - 1e-12)
    return min(float(dollars.cost[reached[0]]), 1.0)


def line(table: Pairs, escalation: Floats, paid: Paid) -> dict[str, list[float]]:
    """The curve, thinned: shares, PGR and quality, and dollars where known."""
    share, dollars = Lines(table, escalation, paid).curves()
    at = np.unique(np.linspace(0, len(share.share) - 1, POINTS).astype(int))
    found = {"share": share.share, "pgr": pgr(share.quality), "quality": share.quality}
    if paid.known:
        found["cost"] = dollars.cost
    return {name: [round(float(value), 5) for value in values[at]] for name, values in found.items()}


def means(fate: Fate, more: dict[str, Any], table: Pairs, rng: np.random.Generator, rounds: int) -> dict[str, Any]:
    """A policy's figures: what it kept, asked about, spent and lost. [value, low, high] each."""
    premium, always, losses = table.premium.score, table.premium.cost, np.where(fate.kept, harm(table), 0.0)
    wanted: dict[str, Callable[[NDArray[np.int64]], float]] = {
        "kept": lambda rows: float(fate.kept[rows].mean()),
        "retention": lambda rows: float(fate.quality[rows].mean() / max(premium[rows].mean(), 1e-9)),
        "harm": lambda rows: float(losses[rows].mean()),
        "asked": lambda rows: float(fate.asked[rows].mean()),
    }
    if not (np.isnan(fate.dollars).any() or np.isnan(always).any()):
        wanted["cost_ratio"] = lambda rows: float(fate.dollars[rows].sum() / always[rows].sum())
    found = {
        name: [float(value) for value in interval(statistic, len(table), rng, rounds)[:3]]
        for name, statistic in wanted.items()
    }
    return found | more


def hull(table: Pairs) -> dict[str, Any] | None:
    """The zero router, single models mixed blindly: its points (dollars over premium's, quality) and its cost-APGR."""
    always = float(table.premium.cost.mean())
    sides = (table.cheap, table.premium, *table.opinions)
    points = [(float(side.cost.mean()) / always, float(side.score.mean())) for side in sides]
    if np.isnan(points).any():
        return None
    corners = zero_router(points)
    low, high = float(table.cheap.score.mean()), float(table.premium.score.mean())
    at = np.linspace(0, 1, 2001)
    bought = np.array([value_at(corners, float(x)) for x in at])
    recovered = np.where(np.isnan(bought), 0.0, (bought - low) / (high - low))
    models = {side.model: list(point) for side, point in zip(sides, points, strict=True)}
    return {
        "points": models,
        "corners": [list(corner) for corner in corners],
        "cost_apgr": float(np.trapezoid(recovered, at)),
    }
