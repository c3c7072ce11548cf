"""What an experiment says of a route: arms apart, hours together, audits subtracted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.spendings import lived, spend, traffic
from tierwise.money import Traffic
from tierwise.offline.costs.experiments import Experiment, Quality, experiments, held_out, tried
from tierwise.stats.experiment import Estimate


def arms(each: int = 200, hours: int = 10, route: str = "support") -> list[Traffic]:
    """Held out: 3 cents a request; treated: 1 cent; both with some spread."""
    rng, found = np.random.default_rng(1), []
    for hour in range(hours):
        for arm, level, n in (("holdout", 0.03, each // hours), ("treated", 0.01, each)):
            costs = level * rng.uniform(0.8, 1.2, n)
            found.append(
                traffic(
                    hour,
                    route=route,
                    arm=arm,
                    requests=n,
                    nanos=round(costs.sum() * 1e9),
                    squares=float((costs**2).sum()),
                )
            )
    return found


def one(*found: Experiment) -> Experiment:
    assert len(found) == 1
    return found[0]


def test_what_a_request_saves_and_all_of_them() -> None:
    """Two cents each; of two thousand requests forty dollars, less what the route's audits cost."""
    aside = [spend(1, 5 * 10**9, key_id="aside"), spend(1, 10**12, key_id="aside", route="x"), spend(1, 10**12)]
    found = one(*experiments(aside, arms(), {}))
    assert (found.treated.requests, found.holdout.requests) == (2000, 200)
    assert found.each is not None
    assert found.saved is not None
    assert found.each.value == pytest.approx(2e7, rel=0.03)
    assert found.each.low < 2e7 < found.each.high
    assert found.aside_nanos == 5 * 10**9
    assert found.saved == tuple(round(nanos * 2000) - 5 * 10**9 for nanos in found.each)
    assert found.saved[1] < found.saved[0] < found.saved[2]
    assert found.quality == Quality()


def test_an_arm_alone_is_no_experiment() -> None:
    """Nor is traffic outside of any, nor an arm in which nobody was answered."""
    assert tried([item for item in arms() if item.arm == "treated"]) == {}
    assert tried([item for item in arms() if item.arm == "holdout"]) == {}
    assert held_out([*arms(), traffic(1, route="x"), traffic(1, route="y", arm="treated")]) == ["support"]
    assert tried([traffic(1), traffic(2, arm="treated"), traffic(2, arm="holdout", requests=0, failed=3)]) == {}


def test_hours_of_several_keys_are_one() -> None:
    """Keys and teams of an hour are summed up; routes are not."""
    parts = [
        traffic(7, arm=arm, key_id=key, nanos=10**9, squares=0.5) for arm in ("treated", "holdout") for key in "ab"
    ]
    found = tried([*parts, *arms(route="other")])
    assert list(found) == ["other", "support"]
    assert found["support"] == {arm: [(7, 2, 2.0, 1.0)] for arm in ("treated", "holdout")}


def test_too_few() -> None:
    """Nothing is claimed; how far it is from enough is told."""
    found = one(*experiments([], arms(each=50), {"support": Quality("audits", Estimate(0.0, -0.1, 0.1), 9)}))
    assert (found.each, found.saved) == (None, None)
    assert 45 < found.holdout.worth < 50
    assert found.quality.source == "audits"


def test_the_truth_is_in_the_interval() -> None:
    """A made-up life of fifty days: the treated cost what their draws say they do."""
    found = one(*experiments([], lived().traffic, {}))
    big, small = 3e-3 * np.exp(0.8**2 / 2), 2e-4 * np.exp(0.5**2 / 2)
    assert found.each is not None
    assert found.each.low < 0.7 * (big - small) * 1e9 < found.each.high
