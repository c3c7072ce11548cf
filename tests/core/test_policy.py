"""Rules that need no score."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.plans import CHEAP, MIDDLE, OTHER, PREMIUM, request, route
from tierwise.core import policy
from tierwise.errors import Forbidden
from tierwise.types import Estimate, Message, Model, Thresholds, Tool


@pytest.mark.parametrize(
    ("changes", "tags", "tiers", "rule"),
    [
        ({}, (), (CHEAP, PREMIUM), "checks"),
        ({"mode": "premium"}, (), (PREMIUM,), "mode:premium"),
        ({"mode": "observe"}, (), (PREMIUM,), "mode:observe"),
        ({"uncertified": "observe"}, (), (PREMIUM,), "uncertified"),
        ({"floor": frozenset({"legal", "medical"})}, ("medical", "x"), (PREMIUM,), "floor:medical"),
        ({"floor": frozenset({"legal"})}, ("x",), (CHEAP, PREMIUM), "checks"),
        ({"tiers": (CHEAP,), "mode": "premium"}, (), (CHEAP,), "direct"),
        ({"uncertified": "agreement"}, (), (CHEAP, PREMIUM), "agreement"),
        ({"uncertified": "observe", "thresholds": Thresholds(0.8, 0.4, 0.8)}, (), (CHEAP, PREMIUM), "verifier"),
        ({"mode": "observe", "thresholds": Thresholds(0.8, 0.4, 0.8)}, (), (PREMIUM,), "mode:observe"),
    ],
)
def test_path(changes: dict[str, Any], tags: tuple[str, ...], tiers: tuple[Any, ...], rule: str) -> None:
    """Modes, floors and missing certificates only ever lead upwards."""
    assert policy.path(request(tags=frozenset(tags)), route(**changes)) == (tiers, rule)


def test_a_route_that_lacks_models() -> None:
    """It says so; and where premium may not have a request that has to go there, nobody answers."""
    lacks = route(tiers=(CHEAP,), reference=PREMIUM, floor=frozenset({"legal"}))
    assert policy.path(request(), lacks) == ((CHEAP,), "residence")
    with pytest.raises(Forbidden, match="class legal are answered by premium on r, which may not"):
        policy.path(request(tags=frozenset({"legal"})), lacks)
    kept = route(tiers=(PREMIUM,), reference=PREMIUM, floor=frozenset({"legal"}))
    assert policy.path(request(tags=frozenset({"legal"})), kept) == ((PREMIUM,), "floor:legal")


def test_a_lower_tier_that_is_named() -> None:
    """Answers whatever has no floor; what has one it gets neither by its name nor by what it lacks."""
    named = route(tiers=(CHEAP,), floor=frozenset({"legal"}), below=True)
    assert policy.path(request(tags=frozenset({"x"})), named) == ((CHEAP,), "direct")
    for each in (named, msgspec.structs.replace(named, reference=CHEAP)):
        with pytest.raises(Forbidden, match="class legal are not for cheap: name a route") as refused:
            policy.path(request(tags=frozenset({"legal"})), each)
        assert refused.value.code == "floor"
    alone = msgspec.structs.replace(named, below=False)
    assert policy.path(request(tags=frozenset({"legal"})), alone) == ((CHEAP,), "direct")


@pytest.mark.parametrize(
    ("asked", "hold", "changes", "expected"),
    [
        ({"stream": True}, "window", {}, "window"),
        ({"stream": True}, "none", {}, "none"),
        ({"stream": True}, "draft", {}, "draft"),
        ({}, "none", {}, "draft"),
        ({"stream": True, "json_answer": True}, "window", {}, "draft"),
        ({"stream": True, "tools": (Tool("f"),)}, "window", {}, "draft"),
        ({"stream": True, "n": 2}, "window", {}, "draft"),
        ({"stream": True}, "window", {"opinions": (OTHER,)}, "draft"),
        ({"stream": True}, "window", {"judge": OTHER}, "draft"),
        ({"stream": True}, "none", {"opinions": (OTHER,)}, "none"),
    ],
)
def test_hold(asked: dict[str, Any], hold: str, changes: dict[str, Any], expected: str) -> None:
    """Only what can be judged by its beginning, and is shown to nobody else, is held by a window."""
    assert policy.hold(request(**asked), route(hold=hold, **changes)) == expected


# ------------------------------------------------------------------ plans


def planned(*accepted: float, seconds: float = 0.0, consult: float = 0.0, **changes: Any) -> list[str]:
    """The tiers that are tried, where each draft is served with its probability; 100 tokens come of every call."""
    here = route(**changes)
    estimates = tuple(Estimate(share, share, consult, 100.0, seconds) for share in accepted)
    tiers, rule = policy.plan(request(), here, here.tiers, estimates, "verifier")
    assert rule == ("plan:premium" if len(tiers) == 1 else "verifier")
    assert tiers[-1] == here.premium
    return [model.name for model in tiers]


SHARE = 600 / 10_000  # what CHEAP costs of what PREMIUM does, by output; input is as cheap


@pytest.mark.parametrize(("accept", "first"), [(SHARE - 0.01, "premium"), (SHARE + 0.01, "cheap")])
def test_cheap_first_where_it_pays(accept: float, first: str) -> None:
    """A draft is tried if and only if it is likelier to be served than its price is a share of premium's."""
    assert planned(accept, 1.0)[0] == first


def test_pairs_before_chains() -> None:
    """A tier that adds nothing to its neighbours is left out; all are kept where each earns its place."""
    tiers = (CHEAP, MIDDLE, PREMIUM)
    assert planned(0.9, 0.1, 1.0, tiers=tiers) == ["cheap", "premium"]
    assert planned(0.01, 0.9, 1.0, tiers=tiers) == ["middle", "premium"]
    assert planned(0.5, 0.6, 1.0, tiers=tiers) == ["cheap", "middle", "premium"]
    assert planned(0.01, 0.01, 1.0, tiers=tiers) == ["premium"]


def test_opinions_and_time_have_a_price() -> None:
    """What pays by itself need not pay with what is asked about it, or with who waits for it."""
    dear = Model("dear", "scripted", "d-1", PREMIUM.price)
    assert planned(0.2, 1.0) == ["cheap", "premium"]
    assert planned(0.2, 1.0, consult=1.0, opinions=(dear,)) == ["premium"]
    assert planned(0.2, 1.0, consult=0.05, opinions=(dear,)) == ["cheap", "premium"]
    judge = Model("judge", "scripted", "j-1", PREMIUM.price)
    assert planned(0.2, 1.0, consult=0.05, judge=judge) == ["cheap", "premium"]
    assert planned(0.2, 1.0, consult=1.0, judge=judge) == ["premium"]
    assert planned(0.2, 1.0, seconds=5.0, nanos_per_second=10_000_000) == ["premium"]


def test_without_the_numbers_nothing_is_left_out() -> None:
    """Estimates of other tiers, or a price that nobody knows: the route's own order."""
    unpriced = Model("odd", "scripted", "x")
    hopeless = Estimate(0.0, 0.0)
    for here, estimates in (
        (route(), ()),
        (route(), (hopeless,)),
        (route(tiers=(unpriced, PREMIUM)), (hopeless, hopeless)),
        (route(opinions=(unpriced,)), (hopeless, hopeless)),
        (route(judge=unpriced), (hopeless, hopeless)),
    ):
        assert policy.plan(request(), here, here.tiers, estimates, "verifier") == (here.tiers, "verifier")


def test_a_prompt_cache_keeps_a_conversation() -> None:
    """Where premium holds the conversation so far, a draft that otherwise paid does not."""
    turns = (Message("user", "x" * 40_000), Message("assistant", "ok"), Message("user", "And now?"))
    here = route()
    estimates = (Estimate(0.2, 0.2, 0.0, 10.0), Estimate(1.0, 1.0, 0.0, 10.0))
    fresh, _ = policy.plan(request(messages=turns), here, here.tiers, estimates, "verifier")
    kept, rule = policy.plan(request(messages=turns, last_model="premium"), here, here.tiers, estimates, "verifier")
    assert [model.name for model in fresh] == ["cheap", "premium"]
    assert ([model.name for model in kept], rule) == (["premium"], "plan:premium")
