"""Quantiles of t, against an exact implementation."""

from __future__ import annotations

import pytest
from scipy import stats

from tierwise.stats.student import LEAST, quantile


@pytest.mark.parametrize("freedom", [LEAST, 5, 6.5, 12, 40, 1e6])
@pytest.mark.parametrize("share", [0.9, 0.95, 0.975, 0.995, 0.025])
def test_they_are_nearly_exact(freedom: float, share: float) -> None:
    """Within the error that is stated, on both sides."""
    assert quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=0.0025)


@pytest.mark.parametrize(("share", "freedom"), [(0.975, 3.9), (0.975, float("nan")), (0.0, 10), (1.0, 10)])
def test_what_it_can_not_tell(share: float, freedom: float) -> None:
    """Too few degrees of freedom, and no share."""
    with pytest.raises(ValueError, match="degrees of freedom"):
        quantile(share, freedom)
