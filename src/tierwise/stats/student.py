"""Quantiles of Student's t distribution, for intervals from few rows.

By the expansion of Cornish and Fisher (Abramowitz and Stegun, 26.7.5): within 0.2 % of the exact ones from 4 degrees
of freedom on, for shares from 0.9 to 0.995. Knows nothing of what is estimated.
"""

from __future__ import annotations

from statistics import NormalDist

LEAST = 4.0  # degrees of freedom


def quantile(share: float, freedom: float) -> float:
    """The value that a t with so many degrees of freedom is below with probability `share`.

    Raises ValueError for fewer degrees of freedom than LEAST, or a share outside (0, 1).
    """
    if not freedom >= LEAST or not 0 < share < 1:
        raise ValueError(f"quantiles of t need {LEAST:g} degrees of freedom and a share between 0 and 1")
    z = NormalDist().inv_cdf(share)
    steps = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(step / freedom**power for power, step in enumerate(steps, 1))
