"""The zero router: what mixing single models at random reaches, with no look at any request.

The bar that a router has to clear before it has earned its place (RouterBench, arXiv 2403.12031). A point is
`(cost, quality)`: cost in any one unit, such as dollars for all requests, quality the mean score. Knows
nothing of what the points are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, nan

Point = tuple[float, float]


def zero_router(points: Sequence[Point]) -> list[Point]:
    """The non-decreasing upper convex hull of the points, by rising cost; cost and quality both rise strictly.

    It starts at the cheapest point and ends at the best one. Raises ValueError without points, or where one
    of them is not finite.
    """
    if not points:
        raise ValueError("a hull needs at least one point")
    if not all(isfinite(cost) and isfinite(quality) for cost, quality in points):
        raise ValueError("costs and qualities must be finite")
    hull: list[Point] = []
    for point in sorted(points, key=lambda at: (at[0], -at[1])):
        if hull and point[1] <= hull[-1][1]:  # no better than something that costs no more
            continue
        while len(hull) > 1 and not _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(a: Point, b: Point, c: Point) -> bool:
    """Whether b lies above the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) > (c[1] - a[1]) * (b[0] - a[0])


def value_at(hull: Sequence[Point], cost: float) -> float:
    """The quality that a hull of `zero_router` buys for `cost`; NaN below its first point, flat above its last."""
    after = bisect_right(hull, cost, key=lambda at: at[0])
    if after == 0:
        return nan
    left = hull[after - 1]
    if after == len(hull):
        return left[1]
    right = hull[after]
    return left[1] + (right[1] - left[1]) * (cost - left[0]) / (right[0] - left[0])


def area(hull: Sequence[Point], most: float) -> float:
    """The area under a hull from its first cost to `most`; 0 where it starts beyond."""
    inside = [point for point in hull if point[0] < most]
    if not inside:
        return 0.0
    inside.append((most, value_at(hull, most)))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(inside))
