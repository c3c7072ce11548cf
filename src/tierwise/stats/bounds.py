"""Exact bounds for rates and means in [0, 1], at any sample size.

Everything rests on one sum, the binomial tail. No normal approximation, but for Wilson's interval, which is
for display only. Knows nothing of harm, thresholds or routes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist

import numpy as np

MOST_ROWS = 100_000  # that `samples_needed` will ask for
ROUNDING = 1e-9  # of n * mean, before it is rounded up


def binomial_tail(n: int, p: float, k: int) -> float:
    """P(X <= k) for X ~ Bin(n, p), to 1e-7 of itself or better for n up to a million.

    The smaller tail is summed, from its largest term outwards, and stops where the terms vanish: O(sqrt n).
    """
    if k < 0:
        return 0.0
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    if k > n * p:
        return 1 - _beyond(n, k + 1, p, 1 - p)
    return _beyond(n, n - k, 1 - p, p)  # as many misses, or more


def _beyond(n: int, k: int, p: float, q: float) -> float:
    """P(X >= k) for X ~ Bin(n, p), q = 1 - p, where k is at or above the mean: the terms only fall."""
    first = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(q))
    reach = int(40 * sqrt(n * p * q)) + 200  # Bernstein: e^-300 and less lies further out
    at = np.arange(k, min(n, k + reach), dtype=np.float64)
    return min(1.0, first * (1 + float(np.cumprod((n - at) / (at + 1) * (p / q)).sum())))


def upper(k: int, n: int, delta: float) -> float:
    """The one-sided exact upper bound of a rate, k of n seen: it is exceeded with probability at most `delta`.

    Clopper-Pearson: the rate at which k or fewer have probability `delta`. 1 without rows.
    """
    if k >= n:
        return 1.0
    return _least(lambda rate: binomial_tail(n, rate, k), delta)


def upper_mean(mean: float, n: int, delta: float) -> float:
    """The same for the mean of n values in [0, 1], by Hoeffding-Bentkus. 1 without rows."""
    return _least(lambda rate: hoeffding_bentkus(mean, n, rate), delta)


def _least(p_value: Callable[[float], float], delta: float) -> float:
    """The smallest rate with a p-value, falling in the rate, of at most `delta`; from above, so it still bounds."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if p_value(middle) > delta:
            low = middle
        else:
            high = middle
    return high


def clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The two-sided exact interval of a rate, k of n seen. (0, 1) without rows."""
    tail = (1 - level) / 2
    return (1 - upper(n - k, n, tail) if k else 0.0), upper(k, n, tail)


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate, k of n seen: narrower than the exact one, and only nearly `level`.

    (0, 1) without rows. For display; never for a guarantee.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate = k / n
    centre, half = rate + z * z / (2 * n), z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def hoeffding_bentkus(mean: float, n: int, alpha: float) -> float:
    """A p-value of "the expected value is above `alpha`", from the mean of n independent values in [0, 1].

    The smaller of Hoeffding's and Bentkus's (Bates et al., arXiv 2101.02703, and Learn then Test, arXiv
    2110.01052). 1 without rows.
    """
    if n == 0 or mean >= alpha:
        return 1.0
    hoeffding = exp(-n * _divergence(mean, alpha))
    bentkus = exp(1) * binomial_tail(n, alpha, ceil(n * mean - ROUNDING))
    return min(1.0, hoeffding, bentkus)


def _divergence(a: float, b: float) -> float:
    """Kullback-Leibler, of two coins that come up with a and b, in nats; a < b <= 1."""
    if b >= 1:
        return inf
    return (a * log(a / b) if a > 0 else 0.0) + (1 - a) * (log1p(-a) - log1p(-b))


def samples_needed(alpha: float, delta: float, rate: float = 0.0, power: float = 0.8) -> int:
    """The fewest rows with which "rate <= alpha" is certified at 1 - delta, with probability `power`.

    `rate` is the true one. At 0 it is ln(delta) / ln(1 - alpha), rounded up. Failures come in whole numbers, so
    the power falls a little after each step: a few rows more than these may have slightly less.
    Raises ValueError unless 0 <= rate < alpha < 1 and 0 < delta, power < 1, or where more than MOST_ROWS are needed.
    """
    if not (0 <= rate < alpha < 1 and 0 < delta < 1 and 0 < power < 1):
        raise ValueError("samples need 0 <= rate < alpha < 1 and delta and power between 0 and 1")
    failures, rows = 0, 1
    while True:
        rows = _rows(failures, rows, alpha, delta)
        if rows > MOST_ROWS:
            raise ValueError(f"more than {MOST_ROWS} rows: the rate is too close to alpha")
        if binomial_tail(rows, rate, failures) >= power:
            return rows
        failures += 1


def _rows(failures: int, low: int, alpha: float, delta: float) -> int:
    """The fewest rows, at least `low`, of which so many failures still certify; above MOST_ROWS where none do."""
    step = 1
    while binomial_tail(low + step, alpha, failures) > delta and low + step <= MOST_ROWS:
        step *= 2
    high = low + step
    while low < high:
        middle = (low + high) // 2
        if binomial_tail(middle, alpha, failures) > delta:
            low = middle + 1
        else:
            high = middle
    return low
