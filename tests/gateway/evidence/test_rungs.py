"""What a route may do at each rung of its ladder."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core import plans
from tierwise.gateway.evidence.rungs import Rung, Rungs
from tierwise.types import Route, Thresholds

LIMITS = Thresholds(accept=0.6, consult=0.3, unheard=0.8)
ROUTE = plans.route(thresholds=LIMITS, certified="valid", certificate="aa")
TIGHTER, UP = Rung(1, 0.9, "suspended: tighter"), Rung(2, None, "suspended: up")


def moved(*rungs: Rung, route: str = "r") -> Rungs:
    table = Rungs()
    for rung in rungs:
        table.move(route, rung)
    return table


def route(**changes: Any) -> Route:
    return msgspec.structs.replace(ROUTE, **changes)


def test_without_an_alarm() -> None:
    """A route is served as it is certified; and so it is after an alarm of another route."""
    assert Rungs().served(ROUTE) is ROUTE
    assert moved(TIGHTER, route="other").served(ROUTE) is ROUTE


def test_a_stricter_step() -> None:
    """Only better drafts are served, and only better ones unheard; who is asked at all stays as it was, and so does
    the rest of the route. Clients are told."""
    served = moved(TIGHTER).served(ROUTE)
    assert served.thresholds == Thresholds(accept=0.9, consult=0.3, unheard=0.9)
    assert served == route(thresholds=served.thresholds, certified="suspended: tighter", rung=1)
    between = msgspec.structs.replace(TIGHTER, accept=0.7)
    assert moved(between).served(ROUTE).thresholds == Thresholds(accept=0.7, consult=0.3, unheard=0.8)


def test_an_empty_band_stays_empty() -> None:
    """Where nobody is asked, a draft below the stricter threshold is not uncertain: it escalates."""
    alone = route(thresholds=Thresholds(0.6, 0.6, 0.6))
    assert moved(TIGHTER).served(alone).thresholds == Thresholds(0.9, 0.9, 0.9)


def test_a_step_never_loosens() -> None:
    """Whatever stands in the table."""
    looser = msgspec.structs.replace(TIGHTER, accept=0.1)
    assert moved(looser).served(ROUTE).thresholds == LIMITS


def test_the_last_rung() -> None:
    """Premium answers everything, and clients are told why; the certificate stays named, for what is drawn there."""
    served = moved(TIGHTER, UP).served(ROUTE)
    assert served == route(mode="premium", certified="suspended: up", rung=2)
    assert moved(UP).served(route(mode="observe")).mode == "premium"


def test_the_last_move_counts() -> None:
    """Who moves it knows the whole audit."""
    assert moved(UP, TIGHTER).served(ROUTE).rung == 1


@pytest.mark.parametrize("uncertified", ["checks", "agreement", "observe"])
def test_an_expired_certificate_does_not_lead_down(uncertified: Any) -> None:
    """What a route may do without one would be looser than what its audit has refuted."""
    expired = route(thresholds=None, certificate="", certified="expired", uncertified=uncertified)
    served = moved(TIGHTER).served(expired)
    assert served == msgspec.structs.replace(expired, mode="premium", rung=1)
    assert moved(UP).served(expired) == msgspec.structs.replace(
        expired, mode="premium", certified="suspended: up", rung=2
    )


UNIT = st.floats(0, 1)


@given(st.lists(UNIT, min_size=3, max_size=3).map(sorted), UNIT | st.just(1.5))
def test_any_rung_leaves_thresholds_in_order(limits: list[float], accept: float) -> None:
    """consult <= accept <= unheard, and nothing is served that the rung or the certificate would not serve."""
    low, mid, high = limits
    served = moved(Rung(1, accept, "s")).served(route(thresholds=Thresholds(mid, low, high))).thresholds
    assert served is not None
    assert low <= served.consult <= served.accept <= served.unheard
    assert served.accept >= max(mid, accept)
    assert served.unheard >= high
