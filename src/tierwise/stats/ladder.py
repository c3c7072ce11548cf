"""What follows an alarm: a route climbs, one rung at a time, to where less is served, and never comes down by itself.

One step tighter than certified; then the last threshold that is certified to be safe; then premium answers everything.
Each rung is audited anew. Only a fresh certificate starts a new ladder.

Knows nothing of labels, models or of how thresholds were certified.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tierwise.stats.audit import Audit

PREMIUM = inf  # no score is as high


class Ladder(NamedTuple):
    """The state after some rows; `step` gives the next. Start with `Ladder.start`.

    `thresholds`: rising, the last is PREMIUM; the route is at `thresholds[at]`. The audit of the first one has
    delta / 2, of the second delta / 4, and so on: whichever of them keep harm within alpha, that one of these is left
    wrongly has probability at most delta in all.
    """

    thresholds: tuple[float, ...]
    at: int
    delta: float
    audit: Audit

    @classmethod
    def start(cls, thresholds: Iterable[float], alpha: float, delta: float, least: float = 1.0) -> Ladder:
        """From the certified threshold on; see `rungs`. PREMIUM is added. Other arguments as of `Audit.start`.

        Raises ValueError for no thresholds or such that don't rise, and as `Audit.start`.
        """
        steps = tuple(thresholds)
        if not steps or any(not low < high for low, high in zip(steps, (*steps[1:], PREMIUM), strict=True)):
            raise ValueError("thresholds must rise, from the certified one up")
        return cls((*steps, PREMIUM), 0, delta, Audit.start(alpha, delta / 2, least))

    @property
    def threshold(self) -> float:
        """A draft is accepted if its score is at least this; none is at PREMIUM."""
        return self.thresholds[self.at]

    def step(self, loss: float, propensity: float, at: int) -> Ladder:
        """After a row that was drawn and labelled, and was served when the route was `at` that rung; on an alarm, up.

        A label that comes late, from a looser rung, tells nothing of the present one and is left out. At PREMIUM
        nothing is left to audit. Errors as of `Audit.step`.
        """
        audit = self.audit.step(loss, propensity)
        if at != self.at or self.threshold == PREMIUM:
            return self
        if not audit.alarm:
            return self._replace(audit=audit)
        at = self.at + 1
        return self._replace(at=at, audit=Audit.start(audit.alpha, self.delta / 2 ** (at + 1), audit.least))

    def passed(self, rows: int = 1) -> Ladder:
        """After so many more accepted rows, at this rung, that were not drawn."""
        return self._replace(audit=self.audit.passed(rows))

    def escalated(self, rows: int = 1) -> Ladder:
        """After so many more rows, at this rung, that were not accepted."""
        return self._replace(audit=self.audit.escalated(rows))


def rungs(certified: float, grid: ArrayLike, safe: float | None = None) -> tuple[float, ...]:
    """The certified threshold, the next stricter one of a grid, and the safe one, where each is above the one before.

    `safe`: a threshold that another certificate holds for, for a smaller alpha or of rows that are still believed in;
    None if there is none. Raises ValueError if `certified` is NaN.
    """
    if np.isnan(certified):
        raise ValueError("the certified threshold must be a number")
    steps = np.asarray(grid, dtype=np.float64)
    stricter = steps[(steps > certified) & (steps < PREMIUM)]
    climbed = [certified, *([float(stricter.min())] if stricter.size else [])]
    if safe is not None and climbed[-1] < safe < PREMIUM:
        climbed.append(safe)
    return tuple(climbed)
