"""What the next days will come to, from the days so far: a level that drifts, a trend, and the pattern of the week.

    log of a day = level (a random walk) + slope * days + what its weekday has more or less + noise

It is the basic structural model (Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989), as
a Gaussian process (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, 2.2 and 2.7). How much days
vary and how much the level drifts is not chosen but weighed: each pair of a grid counts by how likely it makes the days
so far. So few days, or restless ones, make the interval wide. A slope is believed as far as the days show it. In
logarithms growth is a straight line, and a busy day varies more than a quiet one; the sum of such days is taken for
lognormal, with its own mean and variance (Fenton, 1960).

It knows of no holidays and no launches: what has never happened in these days is not in the interval. Knows nothing of
money, months or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WEEK = 7
LEAST_DAYS = 2 * WEEK  # what was seen once is no pattern
MOST_DAYS = 8 * WEEK  # older ones tell little of the next
LEVEL = 0.95
SHIFT = 0.1  # of the mean day, added to each before its logarithm is taken: there are days without any

# Standard deviations, of logarithms.
NOISES = np.geomspace(0.01, 2.0, 14)  # of a day
DRIFTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # of the level, from one day to the next
SLOPE = 0.01  # of the growth a day: what is thought of it before the days are seen
WEEKDAY = 1.0  # so too, of what a weekday has more or less
START = 10.0  # and of the level on the first day

Floats = NDArray[np.float64]


class Forecast(NamedTuple):
    """A sum, and where it will lie with probability LEVEL; `days`: from how many. The value is as likely too low."""

    value: float
    low: float
    high: float
    days: int


class _Told(NamedTuple):
    """What one pair of the grid says of the logarithm of the sum, and the logarithm of how likely it makes the days."""

    likely: float
    mean: float
    deviation: float


def forecast(days: Sequence[float], ahead: int) -> Forecast | None:
    """The sum of the `ahead` days that follow `days`, of which the last comes last. None: too few to say.

    A day below 0 counts as 0. Raises ValueError for `ahead` < 1.
    """
    if ahead < 1:
        raise ValueError("a forecast is of at least one day")
    if len(days) < LEAST_DAYS:
        return None
    seen = np.maximum(np.array(days[-MOST_DAYS:], dtype=np.float64), 0.0)
    unit = float(seen.mean())
    if unit == 0:
        return Forecast(0.0, 0.0, 0.0, seen.size)
    told = _told(np.log(seen / unit + SHIFT), ahead)
    most = max(one.likely for one in told)
    weights = [exp(one.likely - most) for one in told]
    mixed = [(weight / sum(weights), one) for weight, one in zip(weights, told, strict=True) if weight > 1e-9]
    low, value, high = (
        max(exp(_quantile(mixed, share)) - ahead * SHIFT, 0.0) * unit
        for share in ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
    )
    return Forecast(value, low, high, seen.size)


def _told(seen: Floats, ahead: int) -> list[_Told]:
    """Every pair of the grid; the covariances of all days that do not depend on it are made once."""
    every = np.arange(seen.size + ahead)
    time, weekday = every - float(seen.size), every % WEEK
    known = START**2 + SLOPE**2 * np.outer(time, time) + WEEKDAY**2 * (weekday[:, None] == weekday)
    walk, apart = np.minimum(every[:, None], every), np.eye(every.size)
    return [
        _conditioned(seen, known + drift**2 * walk + noise**2 * apart) for drift in DRIFTS for noise in NOISES.tolist()
    ]


def _conditioned(seen: Floats, covariance: Floats) -> _Told:
    """The days after those seen, given them (all have mean 0 before); then the sum of their exponentials."""
    n = seen.size
    root = np.linalg.cholesky(covariance[:n, :n])
    whitened = np.linalg.solve(root, np.column_stack((seen, covariance[:n, n:])))
    past, rest = whitened[:, 0], whitened[:, 1:]
    likely = -float(past @ past) / 2 - float(np.log(np.diag(root)).sum())
    means, between = rest.T @ past, covariance[n:, n:] - rest.T @ rest
    sizes = means + np.diag(between) / 2  # logarithms of the means of the exponentials
    top = float(sizes.max())
    shares = np.exp(sizes - top)
    whole = float(shares.sum())
    spread = log1p(max(float(shares @ np.expm1(between) @ shares), 0.0) / whole**2)
    return _Told(likely, top + log(whole) - spread / 2, sqrt(spread))


def _quantile(mixed: Sequence[tuple[float, _Told]], share: float) -> float:
    """Of a mixture of normals, by bisection."""
    parts = [(weight, NormalDist(one.mean, max(one.deviation, 1e-12))) for weight, one in mixed]
    low = min(part.inv_cdf(share) for _, part in parts)
    high = max(part.inv_cdf(share) for _, part in parts)
    for _ in range(60):
        middle = (low + high) / 2
        if sum(weight * part.cdf(middle) for weight, part in parts) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
