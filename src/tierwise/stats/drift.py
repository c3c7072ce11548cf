"""Whether traffic has changed, without any label: the mean of verifier scores, and the shares of clusters of requests.

An alarm says only that more should be audited, as what was certified was another traffic. It never says that harm is
low, so nothing is ever loosened by it. References are rows that were certified, and their own error is allowed for:
an alarm that has no cause ever comes with probability at most delta, over the reference's rows and all looks.

Rows are taken to be independent. Knows nothing of requests; cycles within a day or a week are changes like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tierwise.stats.betting import Wealth, upper_mean
from tierwise.stats.bounds import upper

SHIFTS = (0.02, 0.05, 0.15)  # of a mean score: those at which each bet grows fastest
STAKES = (0.2, 1.0)  # of the wealth of each bet that is put on the clusters to come
SPLIT = (0.5, 0.5)  # of all wealth, on these two
BOLD = 0.9  # of the bet that one row could ruin
LEAST_VARIANCE = 1e-6  # of scores, where all are equal
MEMORY = 500  # rows: what comes is guessed from about so many before
PRIOR = 50  # rows that the reference is worth in this guess


class ScoreDrift(NamedTuple):
    """Whether the mean of scores in [0, 1] has left [low, high]. Start with `ScoreDrift.start`.

    `rising`, `falling`: of who bets that it is above `high`, or below `low`. `variance`: the reference's.
    """

    low: float
    high: float
    delta: float
    variance: float
    rising: Wealth
    falling: Wealth

    @classmethod
    def start(cls, reference: ArrayLike, delta: float) -> ScoreDrift:
        """From scores of certified rows, in random order. Half of delta is for the bounds of their mean.

        NaN ones are left out. Raises ValueError without scores, for others outside [0, 1], or delta outside (0, 1).
        """
        scores = np.asarray(reference, dtype=np.float64)
        scores = scores[~np.isnan(scores)]
        if not scores.size:
            raise ValueError("a reference needs scores")
        high, low = upper_mean(scores, delta / 4), 1 - upper_mean(1 - scores, delta / 4)
        return cls.within(low, high, float(scores.var()), delta)

    @classmethod
    def within(cls, low: float, high: float, variance: float, delta: float) -> ScoreDrift:
        """From what `start` made of a reference, with the same delta."""
        fresh = Wealth.start([1 / len(SHIFTS)] * len(SHIFTS))
        return cls(low, high, delta, max(variance, LEAST_VARIANCE), fresh, fresh)

    def step(self, score: float) -> ScoreDrift:
        """After one more request's score; a NaN one tells nothing (make "unscored" a cluster to watch their share).

        Raises ValueError for a score outside [0, 1].
        """
        if isnan(score):
            return self
        if not 0 <= score <= 1:
            raise ValueError("a score lies in [0, 1]")
        return self._replace(
            rising=self.rising.grown(self._factors(score - self.high, self.high)),
            falling=self.falling.grown(self._factors(self.low - score, 1 - self.low)),
        )

    def _factors(self, gain: float, most_lost: float) -> Iterable[float]:
        limit = BOLD / max(most_lost, LEAST_VARIANCE)
        return (1 + min(shift / self.variance, limit) * gain for shift in SHIFTS)

    @property
    def alarm(self) -> bool:
        """Whether the mean was seen to have moved, at some row; it stays so."""
        return min(self.rising.p_value, self.falling.p_value) <= self.delta / 4


class ClusterDrift(NamedTuple):
    """Whether some cluster's share is above what the reference allows. Start with `ClusterDrift.start`.

    The shares of what comes next are guessed from the rows before, of which old ones are forgotten, and a row gains
    what the guess gave its cluster over what the nearest shares give it that the reference allows (`odds`).

    `most`: for each cluster, the upper confidence bound of its share. `recent`: how often each has come of late,
    together with PRIOR rows that are like the reference.
    """

    most: tuple[float, ...]
    recent: tuple[float, ...]
    delta: float
    wealth: Wealth

    @classmethod
    def start(cls, counts: ArrayLike, delta: float) -> ClusterDrift:
        """From how many of the certified rows each cluster has, 0 allowed. Half of delta is for the bounds of shares.

        Raises ValueError without clusters, for negative or broken counts, no rows, or delta outside (0, 1).
        """
        count = np.asarray(counts, dtype=np.float64)
        if count.ndim != 1 or not (count >= 0).all() or not (count == np.floor(count)).all() or not count.sum() > 0:
            raise ValueError("a reference needs the number of rows of each cluster")
        if not 0 < delta < 1:
            raise ValueError("delta must lie between 0 and 1")
        n = int(count.sum())
        return cls.within(tuple(upper(int(k), n, delta / 2 / count.size) for k in count), delta)

    @classmethod
    def within(cls, most: tuple[float, ...], delta: float) -> ClusterDrift:
        """From what `start` made of a reference, with the same delta."""
        return cls(most, tuple(PRIOR * share / sum(most) for share in most), delta, Wealth.start(SPLIT))

    def step(self, cluster: int) -> ClusterDrift:
        """After one more request, which is in this cluster, counted from 0. Raises ValueError for one there is not."""
        if not 0 <= cluster < len(self.most):
            raise ValueError(f"there are {len(self.most)} clusters, and no number {cluster}")
        odd = odds(self.recent, self.most)[cluster]
        fresh = PRIOR / MEMORY / sum(self.most)
        recent = [count * (1 - 1 / MEMORY) + fresh * share for count, share in zip(self.recent, self.most, strict=True)]
        recent[cluster] += 1
        wealth = self.wealth.grown(1 - stake + stake * odd for stake in STAKES)
        return self._replace(wealth=wealth, recent=tuple(recent))

    @property
    def alarm(self) -> bool:
        """Whether the shares were seen to have changed, at some row; it stays so."""
        return self.wealth.p_value <= self.delta / 2


def odds(guess: Sequence[float], most: Sequence[float]) -> list[float]:
    """What a bet on each cluster pays for 1: at most 1 on average, if no share is above its `most`.

    The guess, positive and in any unit, over the nearest shares that are allowed: reverse information projection
    (Gruenwald, de Heide and Koolen, arXiv 1906.07801). These are the guess times one factor, cut off at `most`, and the
    factor is found from below by Newton's steps. `most` sums to at least 1.
    """
    whole = sum(guess)
    share = [count / whole for count in guess]
    factor = 1.0
    for _ in share:
        cut = [part * factor > limit for part, limit in zip(share, most, strict=True)]
        allowed = sum(limit for limit, is_cut in zip(most, cut, strict=True) if is_cut)
        left = sum(part for part, is_cut in zip(share, cut, strict=True) if not is_cut)
        if left <= 0 or (1 - allowed) / left <= factor:
            break
        factor = (1 - allowed) / left
    return [max(part / limit, 1 / factor) for part, limit in zip(share, most, strict=True)]
