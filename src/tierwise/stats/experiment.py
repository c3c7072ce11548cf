"""What an experiment says: by how much two arms differ, that requests were given to at random.

Two figures, each with a 95 % interval: the difference of mean costs, from sums by the hour alone, and the difference
of mean ratings, from the requests that somebody has rated.

Costs. The difference of means, and the larger of two variances: Welch's, which takes requests to be independent, and
one that takes only hours to be (the linearised ratio estimator, Cochran, Sampling Techniques, 1977, 6.4 and 11.8),
because requests of one hour may be one long conversation. Costs have heavy tails: where a few requests make up most of
a sum, the costliest kind may not have been seen yet, and an interval would be too narrow. So there is none where an arm
is worth fewer than LEAST_WORTH requests of equal cost: the square of what they cost together, over the sum of their
squared costs (Kish, Survey Sampling, 1965).

Ratings lie in [0, 1]. One of 0 and one of 1 is added to each arm (Agresti and Caffo, 2000), so that thirty perfect ones
don't prove that none is bad. Rated requests that were drawn with unequal probabilities are weighed by their inverse.

Knows nothing of routes and money; costs are plain numbers of one unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from tierwise.stats.student import LEAST, quantile

LEVEL = 0.95
LEAST_WORTH = 100.0
LEAST_HOURS = 6
LEAST_RATINGS = 30.0


class Hour(NamedTuple):
    """Requests of one arm in one hour: how many, what they cost, and the sum of their squared costs."""

    hour: int
    requests: int
    cost: float
    squares: float


class Estimate(NamedTuple):
    """Within [low, high] at LEVEL."""

    value: float
    low: float
    high: float


class Rating(NamedTuple):
    """Of one request, in [0, 1]; `weight`: how many requests it stands for."""

    score: float
    weight: float = 1.0


def cost_difference(one: Sequence[Hour], other: Sequence[Hour]) -> Estimate | None:
    """Mean cost of a request of `one` less that of `other`; None with too few requests or hours to say."""
    if min(worth(one), worth(other)) < LEAST_WORTH:
        return None
    hours = _residuals(one, other)
    if len(hours) < LEAST_HOURS:
        return None
    (first, first_variance), (second, second_variance) = _mean(one), _mean(other)
    welch = first_variance + second_variance
    by_hour = len(hours) / (len(hours) - 1) * sum(value**2 for value in hours)
    freedom = len(hours) - 1.0
    if welch > by_hour:
        parts = ((first_variance, _requests(one)), (second_variance, _requests(other)))
        freedom = welch**2 / sum(variance**2 / (n - 1) for variance, n in parts)
    reach = quantile((1 + LEVEL) / 2, max(freedom, LEAST)) * sqrt(max(welch, by_hour))
    return Estimate(first - second, first - second - reach, first - second + reach)


def worth(hours: Sequence[Hour]) -> float:
    """How many requests of equal cost would say as much; 0 where nothing cost anything."""
    squares = sum(hour.squares for hour in hours)
    return min(sum(hour.cost for hour in hours) ** 2 / squares, _requests(hours)) if squares > 0 else 0.0


def _requests(hours: Iterable[Hour]) -> int:
    return sum(hour.requests for hour in hours)


def _mean(hours: Sequence[Hour]) -> tuple[float, float]:
    """And its variance, of independent requests."""
    n = _requests(hours)
    mean = sum(hour.cost for hour in hours) / n
    return mean, max(sum(hour.squares for hour in hours) / n - mean**2, 0.0) / (n - 1)


def _residuals(one: Sequence[Hour], other: Sequence[Hour]) -> list[float]:
    """What each hour moves the difference by."""
    moved = defaultdict[int, float](float)
    for sign, arm in ((1, one), (-1, other)):
        n, (mean, _) = _requests(arm), _mean(arm)
        for hour in arm:
            moved[hour.hour] += sign * (hour.cost - mean * hour.requests) / n
    return list(moved.values())


def rating_difference(one: Sequence[Rating], other: Sequence[Rating]) -> Estimate | None:
    """Mean rating of `one` less that of `other`; None where either has too few to say.

    Raises ValueError for a score outside [0, 1] or a weight that is not above 0.
    """
    if any(not (0 <= rating.score <= 1 and rating.weight > 0) for rating in (*one, *other)):
        raise ValueError("ratings lie in [0, 1], and their weights above 0")
    if min(_worth(one), _worth(other)) < LEAST_RATINGS:
        return None
    (first, first_middle, first_variance), (second, second_middle, second_variance) = _rated(one), _rated(other)
    middle, reach = first_middle - second_middle, _reach(first_variance + second_variance)
    value = first - second
    return Estimate(value, max(min(middle - reach, value), -1.0), min(max(middle + reach, value), 1.0))


def _reach(variance: float) -> float:
    return NormalDist().inv_cdf((1 + LEVEL) / 2) * sqrt(variance)


def _worth(ratings: Sequence[Rating]) -> float:
    """How many ratings of equal weight would say as much (Kish)."""
    squares = sum(rating.weight**2 for rating in ratings)
    return sum(rating.weight for rating in ratings) ** 2 / squares if squares else 0.0


def _rated(ratings: Sequence[Rating]) -> tuple[float, float, float]:
    """The mean, and with a 0 and a 1 added the mean and its variance."""
    weight, n = sum(rating.weight for rating in ratings), _worth(ratings)
    mean = sum(rating.weight * rating.score for rating in ratings) / weight
    square = sum(rating.weight * rating.score**2 for rating in ratings) / weight
    middle, spread = (mean * n + 1) / (n + 2), (square * n + 1) / (n + 2)
    return mean, middle, max(spread - middle**2, 0.0) / (n + 2)
