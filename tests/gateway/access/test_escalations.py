"""Escalations of a key within an hour: what fits, when there is room again, and what clients see at the door."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.store import entry, record
from tests.core import plans
from tests.gateway.test_terms import Desk, desk
from tierwise.errors import RateLimited
from tierwise.gateway.access.escalations import LEAST, MINUTE, SPAN, Hour, Hours
from tierwise.money import Record
from tierwise.providers.scripted import Rule, ScriptedProvider
from tierwise.types import Duty, Escalations

HALF = Escalations(0.5)
DOLLAR = Escalations(None, 10**9)
USUAL = plans.route(escalations=HALF)


def answered(number: int, nanos: int = 0, role: Duty = "premium", status: int = 200) -> Record:
    line = msgspec.structs.replace(entry(nanos), model="premium", role=role)
    return msgspec.structs.replace(record(f"r{number}", line, key_id="k"), status=status)


def kept(hours: Hours, count: int, route: Any = USUAL, now_ms: float = 0.0) -> None:
    """So many requests that cheap tiers answered."""
    for number in range(count):
        hours.settle(answered(number), route, now_ms)


def escalated(hours: Hours, count: int, route: Any = USUAL, now_ms: float = 0.0) -> None:
    for number in range(count):
        hours.escalate("k", route, f"e{number}-{now_ms}", 1, now_ms)


# ------------------------------------------------------------------ the share


def test_up_to_the_share() -> None:
    """30 of 60 may; the next may once another was kept."""
    hours = Hours()
    kept(hours, 30)
    escalated(hours, 30)
    with pytest.raises(RateLimited) as told:
        escalated(hours, 1)
    assert told.value.message == (
        "On route r 50% of a key's requests in an hour may go to its premium model, and 30 of 60 did. "
        "Try again in 3660 s."
    )
    assert (told.value.status, told.value.code, told.value.retry_after) == (429, "escalations_exceeded", 3660)
    kept(hours, 1)
    escalated(hours, 1)


def test_of_few_requests_no_share_is_taken() -> None:
    """The first twenty of an hour may all go up."""
    hours = Hours()
    escalated(hours, LEAST)
    with pytest.raises(RateLimited):
        escalated(hours, 1)
    hours.escalate("other", USUAL, "x", 1, 0.0)
    hours.escalate("k", plans.route(name="s", escalations=HALF), "x", 1, 0.0)


def test_an_hour_later_there_is_room_again() -> None:
    """Exactly when it was said, and not before; what was kept meanwhile counts."""
    hours = Hours()
    escalated(hours, 10, now_ms=0.0)
    escalated(hours, 10, now_ms=10 * MINUTE)
    with pytest.raises(RateLimited) as told:
        escalated(hours, 1, now_ms=30 * MINUTE)
    wait = told.value.retry_after
    assert wait == 31 * 60
    with pytest.raises(RateLimited):
        escalated(hours, 1, now_ms=30 * MINUTE + wait * 1000 - 1)
    escalated(hours, 1, now_ms=30 * MINUTE + wait * 1000)


def test_what_was_refused_is_no_request() -> None:
    """Or hostile clients could make room by asking."""
    hours = Hours()
    escalated(hours, LEAST)
    for number in range(100):
        with pytest.raises(RateLimited):
            hours.escalate("k", USUAL, f"x{number}", 1, 0.0)
        hours.settle(answered(number, status=429), USUAL, 0.0)
    with pytest.raises(RateLimited, match=f"{LEAST} of {LEAST} did"):
        escalated(hours, 1)


def test_a_route_without_limits_remembers_nothing() -> None:
    """It costs nothing."""
    hours = Hours()
    for _ in range(100):
        hours.escalate("k", plans.route(), "x", 10**12, 0.0)
    kept(hours, 100, plans.route())
    escalated(hours, LEAST)
    with pytest.raises(RateLimited):
        escalated(hours, 1)


# ------------------------------------------------------------------ the dollars


def test_dollars_are_held_then_spent() -> None:
    """A running request counts at its bound, an ended one at what premium cost."""
    hours, route = Hours(), plans.route(escalations=DOLLAR)
    hours.escalate("k", route, "r1", 900_000_000, 0.0)
    with pytest.raises(RateLimited) as told:
        hours.escalate("k", route, "r2", 200_000_000, 0.0)
    assert "for $1.00 in an hour: $0.90 is spent or held by running requests" in told.value.message
    assert "this one may need $0.20. Try again in 3660 s" in told.value.message
    hours.settle(answered(1, 100_000_000), route, 0.0)
    hours.escalate("k", route, "r2", 900_000_000, 0.0)
    with pytest.raises(RateLimited, match=r"\$1\.00 is spent or held"):
        hours.escalate("k", route, "r3", 1, 0.0)


def test_only_premium_s_own_calls_count() -> None:
    """Not a draft's, and not premium as a judge or an opinion."""
    hours, route = Hours(), plans.route(escalations=DOLLAR)
    others = [msgspec.structs.replace(entry(10**9), model="premium", role=role) for role in ("judge", "opinion")]
    draft = msgspec.structs.replace(entry(10**9), model="cheap", role="draft")
    hours.escalate("k", route, "r1", 10**9, 0.0)
    hours.settle(record("r1", draft, *others, key_id="k"), route, 0.0)
    hours.escalate("k", route, "r2", 10**9, 0.0)


def test_more_than_all_of_it_never_fits() -> None:
    """Waiting would not help."""
    with pytest.raises(RateLimited, match="Ask for a shorter answer") as told:
        Hours().escalate("k", plans.route(escalations=DOLLAR), "r1", 10**9 + 1, 0.0)
    assert told.value.retry_after is None


def test_a_bill_that_comes_an_hour_later_changes_nothing() -> None:
    """The minute that it began in does not count any more."""
    hours, route, later = Hours(), plans.route(escalations=DOLLAR), SPAN * MINUTE
    hours.escalate("k", route, "r1", 10**9, 0.0)
    hours.escalate("k", route, "r2", 10**9, later)
    hours.settle(answered(1, 5), route, later)
    with pytest.raises(RateLimited):
        hours.escalate("k", route, "r3", 1, later)


steps = st.lists(st.tuples(st.integers(0, 1_200), st.booleans(), st.integers(0, 50)), max_size=80)


@given(steps, st.sampled_from([Escalations(0.3), Escalations(0.5, 200), Escalations(None, 120), Escalations(0.0)]))
def test_limits_hold_in_every_hour(asked: list[tuple[int, bool, int]], limits: Escalations) -> None:
    """By what counts when it is let in; and when it is told to wait it fits just then, or in no time."""
    hour, now = Hour(), 0.0
    for gap, up, nanos in asked:
        now += gap / 60
        wait = hour.wait(limits, nanos, now) if up else 0.0
        kept, escalated, spent = hour.told()
        if not up:
            hour.at(now).kept += 1
        elif not wait:
            assert limits.nanos is None or spent + nanos <= limits.nanos
            few = kept + escalated < LEAST
            assert limits.share is None or few or (escalated + 1) / (kept + escalated + 1) <= limits.share
            hour.at(now).escalated += 1
            hour.at(now).nanos += nanos
        elif wait == inf:
            assert limits.nanos is not None
            assert nanos > limits.nanos
        else:
            assert 0 < wait <= SPAN


# ------------------------------------------------------------------ at the door

REFUSAL = Rule(text="I'm sorry, but I can't help with that request.", input_tokens=20, output_tokens=30)


async def ask(at: Desk, **extra: Any) -> tuple[int, str, Any]:
    """(status, the decision or the error's code, headers)."""
    status, body, headers = await at.ask(**extra)
    return status, headers.get("x-tierwise-decision") or body["error"]["code"], headers


def limited(at: Desk, **limits: Any) -> None:
    """The cheap model refuses everything from now on, and the route has these limits."""
    snapshot = at.engine.snapshot
    route = msgspec.structs.replace(snapshot.routes["support"], escalations=Escalations(**limits))
    routes: Any = snapshot.routes
    routes["support"] = route
    providers: Any = at.engine.providers
    providers["cheap"] = ScriptedProvider((REFUSAL,))


@pytest.mark.parametrize("stream", [False, True])
async def test_one_too_many_is_told_when_to_come_again(tmp_path: Path, stream: bool) -> None:
    """429 with retry-after; premium is not called, the draft is paid for."""
    async with desk(tmp_path) as at:
        limited(at, share=0.5)
        for _ in range(LEAST):
            assert (await ask(at, stream=stream))[:2] == (200, "escalated:check:refusal")
        called = len(at.provider.calls)
        status, code, headers = await ask(at, stream=stream)
        assert (status, code) == (429, "escalations_exceeded")
        assert 3600 <= int(headers["retry-after"]) <= 3660
        assert len(at.provider.calls) == called
        found = await at.settled(headers["x-request-id"])
        assert [(line.model, line.outcome, line.nanos > 0) for line in found.entries] == [("cheap", "rejected", True)]
        at.clock.advance(3_660)
        assert (await ask(at, stream=stream))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_one_too_many_gets_its_draft(tmp_path: Path, stream: bool) -> None:
    """Where the route says so; marked, for whoever reads the ledger too."""
    async with desk(tmp_path) as at:
        limited(at, nanos=1, over="draft")
        status, rule, headers = await ask(at, stream=stream)
        assert (status, rule, headers["x-tierwise-model"]) == (200, "degraded:escalations", "cheap")
        found = await at.settled(headers["x-request-id"])
        assert [(line.model, line.outcome, line.rule) for line in found.entries] == [("cheap", "served", rule)]
        assert not at.provider.calls


async def test_a_client_that_insists_is_counted(tmp_path: Path) -> None:
    """Premium mode and the tags of a floor are a way to premium like any other."""
    async with desk(tmp_path) as at:
        limited(at, nanos=1)
        found = await ask(at, said={"x-tierwise-mode": "premium"})
        assert found[:2] == (429, "escalations_exceeded")
        assert not at.provider.calls


async def test_an_operator_s_premium_mode_is_not(tmp_path: Path) -> None:
    """Nobody is refused for what the operator has decided."""
    async with desk(tmp_path) as at:
        limited(at, nanos=1)
        routes: Any = at.engine.snapshot.routes
        routes["support"] = msgspec.structs.replace(routes["support"], mode="premium")
        assert (await ask(at))[:2] == (200, "mode:premium")


async def test_what_has_ended_is_corrected(tmp_path: Path) -> None:
    """A premium answer counts at what it cost, so more of them fit than their bounds would."""
    async with desk(tmp_path) as at:
        limited(at, nanos=3_500_000)  # a bound is above two million, a bill 800,000
        assert [(await ask(at))[0] for _ in range(4)] == [200, 200, 429, 429]
        assert at.provider.calls[-1].request.max_output == 50
