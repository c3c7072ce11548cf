"""Personal data goes only to models that are said to be where, and to do what, the operator wants."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from tests.core.plans import CHEAP, MIDDLE, OTHER, PREMIUM, SMALL, request, route
from tierwise.core import policy, price
from tierwise.core.cascade import Call, Reserve, cascade
from tierwise.errors import Forbidden
from tierwise.gateway.booking import Attempt, Subject
from tierwise.gateway.prices.catalogue import ceiling
from tierwise.gateway.screening.residence import Residence, allowed
from tierwise.money import Record, Tenant
from tierwise.ports import Batch
from tierwise.types import Chunk, Decision, Escalations, Model, Route, Thresholds, Usage

EU = Residence(regions=("eu",))


def at(model: Model, region: str = "", **more: Any) -> Model:
    return msgspec.structs.replace(model, region=region, **more)


@pytest.mark.parametrize(
    ("rule", "said", "may"),
    [
        (Residence(), {}, True),
        (EU, {"region": "eu"}, True),
        (EU, {"region": "EU-west-1"}, True),
        (Residence(regions=("ch", "EU")), {"region": "eu"}, True),
        (EU, {"region": "europe"}, False),
        (EU, {"region": "us"}, False),
        (EU, {}, False),
        (Residence(open_weights=False), {}, False),
        (Residence(open_weights=False), {"open_weights": False}, True),
        (Residence(open_weights=False), {"open_weights": True}, False),
        (Residence(open_weights=False), {"provider": "local"}, False),
        (Residence(retention_days=30), {"retention_days": 30}, True),
        (Residence(retention_days=0), {"retention_days": 0}, True),
        (Residence(retention_days=30), {"retention_days": 31}, False),
        (Residence(retention_days=30), {}, False),
        (Residence(("eu",), retention_days=0), {"region": "eu", "retention_days": 1}, False),
    ],
)
def test_a_model_meets_all_conditions_or_gets_nothing(rule: Residence, said: dict[str, Any], may: bool) -> None:
    """What nobody has said of it does not meet them."""
    only = route(tiers=(msgspec.structs.replace(CHEAP, **said),))
    if may:
        assert allowed(only, rule, personal=True) is only
    else:
        with pytest.raises(Forbidden):
            allowed(only, rule, personal=True)
    assert allowed(only, rule, personal=False) is only


def test_a_refusal_names_each_rule() -> None:
    """And what to do; as an error that no retry mends."""
    tiers = at(CHEAP, "us", open_weights=True), at(PREMIUM, retention_days=30, open_weights=False)
    with pytest.raises(Forbidden) as told:
        allowed(route(tiers=tiers), Residence(("eu", "ch"), open_weights=False, retention_days=0), personal=True)
    assert told.value.message == (
        "This request holds personal data, and no model of r may have it: "
        "cheap runs in us (regions = eu, ch) and has open weights (open_weights = false)"
        " and does not say how long texts are kept (retention_days = 0); "
        "premium does not say where it runs (regions = eu, ch) and keeps texts for 30 days (retention_days = 0). "
        "Leave the personal data out, or ask the operator to have it masked."
    )
    assert (told.value.status, told.value.code) == (403, "personal_data")


def certified(**changes: Any) -> Route:
    """A route in full use, with all that others may be told by."""
    values: dict[str, Any] = {
        "tiers": (at(CHEAP, "eu"), at(MIDDLE, "eu"), at(PREMIUM, "us")),
        "opinions": (at(OTHER, "eu"), at(SMALL, "us")),
        "judge": at(SMALL, "us"),
        "screener": at(SMALL, "us"),
        "thresholds": Thresholds(0.5, 0.4, 0.6),
        "certificate": "c0ffee",
        "certified": "valid",
        "planned": True,
        "aside_nanos": 10**9,
        "keep_days": 30,
        "holdout": 0.1,
        "uncertified": "observe",
        "floor": frozenset({"legal"}),
    }
    return route(**(values | changes))


def test_who_may_not_have_it_is_not_asked() -> None:
    """Neither for an answer nor for an opinion of one."""
    left = allowed(certified(), EU, personal=True)
    assert [model.name for model in left.tiers] == ["cheap", "middle"]
    assert [model.name for model in left.opinions] == ["other"]
    assert (left.judge, left.screener) == (None, None)
    assert left.reference == left.yardstick == at(PREMIUM, "us")
    kept = allowed(certified(judge=at(SMALL, "eu"), screener=at(SMALL, "eu")), EU, personal=True)
    assert (kept.judge, kept.screener) == (at(SMALL, "eu"), at(SMALL, "eu"))


@pytest.mark.parametrize(
    "changes", [{"tiers": (at(CHEAP, "eu"), at(PREMIUM, "eu"))}, {"opinions": ()}, {"judge": None}]
)
def test_what_lacks_a_model_is_not_certified(changes: dict[str, Any]) -> None:
    """Whoever it is: another policy was tested. Nothing of it is drawn, stored or sent to others."""
    left = allowed(certified(**changes), EU, personal=True)
    assert (left.thresholds, left.certificate, left.certified, left.planned) == (None, "", "none: personal data", False)
    assert (left.aside_nanos, left.keep_days, left.holdout) == (0, 0, 0.0)
    assert policy.path(request(), left) == ((left.premium,), "uncertified")


def test_the_reference_is_the_premium_that_was_left_out() -> None:
    """Not one that stays, and not the last of those that stay; also when a route is asked about twice."""
    stays = allowed(certified(tiers=(at(CHEAP, "us"), at(PREMIUM, "eu"))), EU, personal=True)
    assert (stays.tiers, stays.yardstick) == ((at(PREMIUM, "eu"),), at(PREMIUM, "eu"))
    assert policy.path(request(), stays) == (stays.tiers, "residence")
    assert booked(stays, at(PREMIUM, "eu")).entries[0].role == "premium"
    twice = allowed(
        allowed(certified(), EU, personal=True), Residence(retention_days=None, regions=("eu",)), personal=True
    )
    assert twice.yardstick == at(PREMIUM, "us")


def test_the_last_allowed_tier_answers_finally() -> None:
    """With every other one before it as a draft, where the route serves drafts at all."""
    left = allowed(certified(uncertified="checks", opinions=(), judge=None), EU, personal=True)
    plan = cascade(request(), left)
    assert next(plan) == Reserve(left.tiers)
    call = plan.send(None)
    assert isinstance(call, Call)
    assert (call.model.name, call.decision) == ("cheap", None)
    only = allowed(certified(tiers=(at(CHEAP, "eu"), at(PREMIUM, "us"))), EU, personal=True)
    plan = cascade(request(), only)
    assert next(plan) == Reserve(only.tiers)
    assert plan.send(None) == Call(at(CHEAP, "eu"), "none", Decision("serve", "residence"))


def test_a_class_s_floor_is_refused_rather_than_lowered() -> None:
    """What premium has to answer, and may not have, nobody answers."""
    for tiers in ((at(CHEAP, "eu"), at(PREMIUM, "us")), (at(CHEAP, "eu"), at(MIDDLE, "eu"), at(PREMIUM, "us"))):
        left = allowed(certified(tiers=tiers), EU, personal=True)
        with pytest.raises(Forbidden, match="class legal are answered by premium on r"):
            next(cascade(request(tags=frozenset({"legal"})), left))
    stays = allowed(certified(tiers=(at(CHEAP, "us"), at(MIDDLE, "eu"), at(PREMIUM, "eu"))), EU, personal=True)
    only = allowed(certified(tiers=(at(CHEAP, "us"), at(PREMIUM, "eu"))), EU, personal=True)
    for left in (stays, only):
        assert policy.path(request(tags=frozenset({"legal"})), left) == ((at(PREMIUM, "eu"),), "floor:legal")


def test_only_premium_counts_as_an_escalation() -> None:
    """What answers in its place is no premium."""
    limited = certified(escalations=Escalations(share=0.1), uncertified="checks")
    left = allowed(limited, EU, personal=True)
    assert policy.escalates(limited, limited.premium, "checks")
    assert not policy.escalates(left, left.premium, "checks")


async def nothing() -> AsyncGenerator[Batch, None]:
    return
    yield ()


def booked(here: Route, model: Model) -> Record:
    attempt = Attempt(model, nothing(), 0.0, chunks=[Chunk("four", finish="stop", usage=Usage(100, 10))])
    attempt.settle("served", "residence")
    return Subject(request(), here, Tenant("k", "n"), 7).record([attempt], 200, Decision("serve", "r"), 5.0, ceiling())


def test_savings_are_over_the_premium_that_was_left_out() -> None:
    """The only tier that is left is no premium, and what it costs is no baseline."""
    whole = certified(tiers=(at(CHEAP, "eu"), at(PREMIUM, "us")), opinions=())
    record = booked(allowed(whole, EU, personal=True), at(CHEAP, "eu"))
    assert record.entries[0].role == "draft"
    assert (record.baseline_nanos, record.baseline_state) == (price.cost(Usage(100, 10), PREMIUM.price), "estimated")  # type: ignore[arg-type]
    middle = booked(allowed(certified(), EU, personal=True), at(MIDDLE, "eu"))
    assert (middle.entries[0].role, middle.baseline_nanos) == ("draft", record.baseline_nanos)
    named = booked(route(tiers=(CHEAP,)), CHEAP)
    assert (named.entries[0].role, named.baseline_nanos) == ("direct", named.nanos)
