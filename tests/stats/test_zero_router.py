"""The hull of single models: by hand, and against its definition."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.stats.zero_router import area, value_at, zero_router

points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12)


def test_hull_by_hand() -> None:
    """Dominated models, models under a mixture's line, and models past the best one are no part of it."""
    models = [(1.0, 0.5), (2.0, 0.55), (3.0, 0.9), (3.0, 0.7), (4.0, 0.85), (9.0, 0.9)]
    assert zero_router(models) == [(1.0, 0.5), (3.0, 0.9)]


def test_values_by_hand() -> None:
    """Between two models it is a mixture; below the cheapest nothing can be bought; above the best nothing more."""
    hull = [(1.0, 0.5), (3.0, 0.9)]
    assert isnan(value_at(hull, 0.99))
    assert [value_at(hull, cost) for cost in (1.0, 2.0, 3.0, 50.0)] == [0.5, 0.7, 0.9, 0.9]


def test_area_by_hand() -> None:
    """The area runs from the first point to the bound, inside the hull or beyond it."""
    hull = [(1.0, 0.0), (3.0, 1.0)]
    assert [area(hull, most) for most in (0.5, 1.0, 2.0, 3.0, 5.0)] == [0.0, 0.0, 0.25, 1.0, 3.0]


@given(points)
def test_hull_is_the_best_mixture_of_two(models: list[tuple[float, float]]) -> None:
    """At every cost the hull gives what the best mixture of any two models gives, and its slope never rises."""
    hull = zero_router(models)
    for cost in range(21):
        mixtures = [
            low[1] + (high[1] - low[1]) * (cost - low[0]) / (high[0] - low[0])
            for low in models
            for high in models
            if low[0] <= cost < high[0]
        ]
        singles = [quality for price, quality in models if price <= cost]
        if singles:
            assert value_at(hull, cost) == pytest.approx(max(mixtures + singles))
        else:
            assert isnan(value_at(hull, cost))
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(hull)]
    assert all(slope > 0 for slope in slopes)
    assert slopes == sorted(slopes, reverse=True)


@pytest.mark.parametrize("models", [[], [(inf, 1.0)], [(1.0, float("nan"))]])
def test_no_hull_of_nothing(models: list[tuple[float, float]]) -> None:
    """No models, or one that is not finite, is an error and no number."""
    with pytest.raises(ValueError):
        zero_router(models)
