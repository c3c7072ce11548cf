"""Percentile bootstrap over queries: how far a figure would move with other queries of the same kind.

The figures of a frontier are taken with the numbers of times that each query was drawn as weights, on an order
that is sorted once: the same code as the figure itself, and linear in the queries for each round.

Knows nothing of what is measured; the generator comes from outside, so a seed gives the same interval again.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tierwise.stats.frontier import Ranking, Vector, apgr, column, cost_apgr, costs, cpt

Rows = NDArray[np.int64]
T = TypeVar("T", float, Vector)

LEVEL = 0.95
DRAWS = 50_000_000  # about a second on one core: more queries get fewer rounds ...
LEAST_ROUNDS = 200  # ... but not fewer than these


class Interval(NamedTuple, Generic[T]):
    """A figure on all queries, its percentile interval, and the share of rounds in which it was `defined`.

    Rounds without a value (NaN) are left out: with a `defined` below 1 the interval speaks only of samples
    that have one. NaN bounds where no round has.
    """

    value: T
    low: T
    high: T
    defined: T


@overload
def interval(
    statistic: Callable[[Rows], float], n: int, rng: np.random.Generator, rounds: int = ..., level: float = ...
) -> Interval[float]: ...
@overload
def interval(
    statistic: Callable[[Rows], Vector], n: int, rng: np.random.Generator, rounds: int = ..., level: float = ...
) -> Interval[Vector]: ...
def interval(
    statistic: Callable[[Rows], float] | Callable[[Rows], Vector],
    n: int,
    rng: np.random.Generator,
    rounds: int = 1000,
    level: float = LEVEL,
) -> Interval[float] | Interval[Vector]:
    """The interval of a statistic of row indices: on all of 0..n-1, and on `rounds` samples with replacement.

    A statistic with several values gets an interval for each. Raises ValueError for n, rounds < 1.
    """
    if n < 1 or rounds < 1:
        raise ValueError("a bootstrap needs at least one query and one round")
    value = np.asarray(statistic(np.arange(n)), dtype=np.float64)
    drawn = np.array([statistic(rng.integers(0, n, n)) for _ in range(rounds)], dtype=np.float64)
    low, high, defined = _percentiles(drawn, level)
    if value.ndim == 0:
        return Interval(float(value), float(low), float(high), float(defined))
    return Interval(value, low, high, defined)


def _percentiles(drawn: Vector, level: float) -> tuple[Vector, Vector, Vector]:
    """Low, high and the share that is defined, over the first axis."""
    known = ~np.isnan(drawn)
    some = known.any(axis=0)
    tail = (1 - level) / 2
    low, high = np.nanquantile(np.where(some, drawn, 0.0), [tail, 1 - tail], axis=0)
    return np.where(some, low, nan), np.where(some, high, nan), known.mean(axis=0)


def frontier_intervals(
    cheap: ArrayLike,
    premium: ArrayLike,
    escalation: ArrayLike,
    rng: np.random.Generator,
    rounds: int = 1000,
    dollars: tuple[ArrayLike, ArrayLike] | None = None,
) -> dict[str, Interval[float]]:
    """95 % intervals of `apgr`, `cpt50`, `cpt80` and `cpt95`; with `dollars`, of `cost_apgr` too.

    `dollars` are the cheap path's and premium's costs, one a query (`Ranking.cost_curve`). From 50,000 queries
    on there are fewer rounds, DRAWS / n but at least LEAST_ROUNDS. Errors as of `Ranking`.
    """
    ranking = Ranking(cheap, premium, escalation)
    n = ranking.size
    paid = None if dollars is None else (costs("cheap_costs", dollars[0], n), costs("premium_costs", dollars[1], n))

    def figures(weights: Vector | None) -> list[float]:
        line = ranking.curve(weights)
        found = [apgr(line), cpt(line, 0.5), cpt(line, 0.8), cpt(line, 0.95)]
        return found if paid is None else [*found, cost_apgr(ranking.cost_curve(*paid, weights))]

    rounds = min(rounds, max(LEAST_ROUNDS, DRAWS // n))
    drawn = np.array([figures(counts(n, rng)) for _ in range(rounds)], dtype=np.float64)
    columns = zip(figures(None), *_percentiles(drawn, LEVEL), strict=True)
    names = ("apgr", "cpt50", "cpt80", "cpt95", "cost_apgr")
    return {name: Interval(*map(float, row)) for name, row in zip(names, columns, strict=False)}


def counts(n: int, rng: np.random.Generator) -> Vector:
    """How often each of n queries comes in one sample of n with replacement: multinomial, as weights."""
    return column("counts", np.bincount(rng.integers(0, n, n, dtype=np.int32), minlength=n))
