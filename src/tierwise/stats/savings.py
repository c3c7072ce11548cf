"""What a route has saved: always-premium's price, less everything that was paid.

    net = baseline - spent - aside

`spent` is all that was paid to answer clients: drafts, those that were dropped too, second opinions, judges, premium.
`aside` is what the proof cost: audits, observation, and judges of them. Sums are exact integers of nano-dollars.

Knows nothing of prices, or of how premium's price for an answer that it never gave is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tierwise.proof import Day
from tierwise.stats import bootstrap

LEAST_DAYS = 7  # a week: fewer say nothing of how days differ


class Savings(NamedTuple):
    """Nano-dollars."""

    baseline: int = 0
    spent: int = 0
    aside: int = 0

    @property
    def net(self) -> int:
        """Below 0 where the route cost more than premium alone would have."""
        return self.baseline - self.spent - self.aside

    @property
    def share(self) -> float | None:
        """Of the baseline, at most 1; None where there is none to compare with."""
        return self.net / self.baseline if self.baseline > 0 else None


def saved(days: Iterable[Day]) -> Savings:
    """All days together."""
    return Savings(*(sum(column) for column in zip((0, 0, 0), *map(_of, days), strict=True)))


def growing(days: Sequence[Day]) -> list[Savings]:
    """From the first day to each."""
    sums, whole = list[Savings](), Savings()
    for day in days:
        whole = Savings(*(sum(pair) for pair in zip(whole, _of(day), strict=True)))
        sums.append(whole)
    return sums


def interval(days: Sequence[Day], rng: np.random.Generator, rounds: int = 2000) -> tuple[float, float] | None:
    """How far the share saved would move if other days like these had come: 95 %, by a bootstrap over days.

    What was saved in these days is known to the nano-dollar; this is about what to expect. Days are taken to be
    independent, so a trend or weekends make it a guide only. None with fewer than LEAST_DAYS days or where no sample
    has a share.
    """
    if len(days) < LEAST_DAYS:
        return None
    money = np.array([_of(day) for day in days], dtype=np.float64)

    def share(rows: bootstrap.Rows) -> float:
        baseline, spent, aside = money[rows].sum(axis=0)
        return float((baseline - spent - aside) / baseline) if baseline > 0 else float("nan")

    found = bootstrap.interval(share, len(days), rng, rounds)
    return (found.low, found.high) if found.defined else None


def _of(day: Day) -> tuple[int, int, int]:
    return day.baseline_nanos, day.nanos, day.aside_nanos
