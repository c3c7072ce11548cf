"""The values of a replay's JSON."""

from __future__ import annotations

import math

from tierwise.offline.figures import Metric, cost_ranking, metric, ranking
from tierwise.stats.bootstrap import Interval


def test_what_is_not_defined_is_null() -> None:
    """JSON has no NaN."""
    assert metric(Interval(0.5, 0.25, 0.75, 1.0)) == Metric(0.5, 0.25, 0.75)
    assert metric(Interval(math.nan, math.nan, math.nan, 0.0)) == Metric(None, None, None)


def test_rankings() -> None:
    """Figures by their names; the one over dollars is null where costs are not known."""
    names = ("apgr", "cpt50", "cpt80", "cpt95")
    found = {name: Interval(float(at), at - 0.5, at + 0.5, 1.0) for at, name in enumerate(names)}
    assert ranking(found).cpt80 == Metric(2.0, 1.5, 2.5)
    assert cost_ranking(found).cost_apgr == Metric(None, None, None)
    more = found | {"cost_apgr": Interval(4.0, 3.0, 5.0, 1.0)}
    assert cost_ranking(more).cost_apgr == Metric(4.0, 3.0, 5.0)
    assert cost_ranking(more).apgr == ranking(more).apgr
