"""How one request is answered, as a plan with no I/O in it.

`cascade` yields the steps that it wants done and is sent back their results, so the same code serves live
traffic, replays a log and runs in a test. What a step's performer can't do comes back as an error thrown in at
the `yield`. Theory of operation:

- A draft is called with its text held back. It is verified, and either served or dropped for the next tier.
- With a window the call comes back while the draft is still growing (`answer.complete` is False); the plan
  then says release (`Resume` with a decision), hold on (`Resume` without), or `Drop`.
- The last tier's answer is final: its `Call` carries a decision, and its performer may let it flow out as it comes.
- Once text is out nothing can replace it, so an error after that is the performer's to tell the client; it is
  not thrown in here.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from tierwise.core import decide, policy
from tierwise.errors import BadRequest, CheckFailed, ProviderError
from tierwise.types import Answer, Decision, Hold, Model, Request, Route


class Reserve(msgspec.Struct, frozen=True):
    """Set aside what calling each of `models` once may cost. Result: None; or BudgetExceeded, StoreError."""

    models: tuple[Model, ...]


class Score(msgspec.Struct, frozen=True):
    """Ask the router. Result: Verdict; or CheckFailed."""


class Call(msgspec.Struct, frozen=True):
    """Ask a model. Result: Answer; or ProviderError, BadRequest. With a `decision` it is final, and may flow out."""

    model: Model
    hold: Hold
    decision: Decision | None = None


class Resume(msgspec.Struct, frozen=True):
    """Go on with a call that came back partial; with a decision, let it flow out. Result as of Call."""

    decision: Decision | None = None


class Drop(msgspec.Struct, frozen=True):
    """Drop a draft, and stop it where it is still growing: what was produced is paid for. Result: None."""

    decision: Decision


class Verify(msgspec.Struct, frozen=True):
    """Ask the verifier. Result: Verdict; or CheckFailed."""

    answer: Answer


class Serve(msgspec.Struct, frozen=True):
    """Give the client a draft that was held back. Result: None."""

    answer: Answer
    decision: Decision


class Step(msgspec.Struct, frozen=True):
    """What became of one model's answer: a line of the decision trail."""

    model: str
    decision: Decision


class Outcome(msgspec.Struct, frozen=True):
    answer: Answer
    decision: Decision
    trail: tuple[Step, ...]


Wish = Reserve | Score | Call | Resume | Drop | Verify | Serve
Plan = Generator[Wish, Any, Outcome]
SubPlan = Generator[Wish, Any, tuple[Answer | None, Decision]]


def cascade(request: Request, route: Route) -> Plan:
    """The plan for `request` on `route`. Raises what the last tier raised where no tier could answer."""
    tiers, rule = policy.path(request, route)
    hold = policy.hold(request, route)
    if len(tiers) > 1 and hold == "none":
        tiers, rule = yield from _routed(tiers, route)
    yield Reserve(tiers)
    trail: list[Step] = []
    rejected: Answer | None = None
    for model in tiers[:-1]:
        draft, judgement = yield from _draft(model, hold, route, rule)
        trail.append(Step(model.name, judgement))
        if draft is not None:
            if judgement.action == "serve":
                return Outcome(draft, judgement, tuple(trail))
            rejected = draft
    if trail:
        rule = f"escalated:{trail[-1].decision.rule}"
    decision = Decision("serve", rule)
    try:
        answer = yield Call(tiers[-1], "none", decision)
    except ProviderError:
        if rejected is None or route.premium_down != "draft":
            raise
        answer, decision = rejected, Decision("serve", "degraded:premium-down")
        yield Serve(answer, decision)
    trail.append(Step(answer.model, decision))
    return Outcome(answer, decision, tuple(trail))


def _routed(tiers: tuple[Model, ...], route: Route) -> Generator[Wish, Any, tuple[tuple[Model, ...], str]]:
    """With hold = "none" no draft can be looked at, so the choice is made before any call."""
    try:
        verdict = yield Score()
    except CheckFailed:
        return tiers[-1:], "router:erred"
    if decide.unseen(verdict, route):
        return tiers[-1:], "router:premium"
    return tiers[:1], "router:cheap"


def _draft(model: Model, hold: Hold, route: Route, rule: str) -> SubPlan:
    """Call, verify, decide. The draft is None where it did not come to its end."""
    try:
        answer: Answer = yield Call(model, hold)
        while True:
            decision = yield from _judged(answer, route, rule)
            if decision is not None:
                break
            answer = yield Resume()
    except (ProviderError, BadRequest) as error:  # BadRequest: this tier's wire can't express the request
        return None, Decision("escalate", f"failed:{error.code or 'unsupported'}")
    if decision.action == "escalate":
        yield Drop(decision)
        return (answer if answer.complete else None), decision
    if answer.complete:
        yield Serve(answer, decision)
    else:
        answer = yield Resume(decision)  # it flows out; an error from here on is not thrown in
    return answer, decision


def _judged(answer: Answer, route: Route, rule: str) -> Generator[Wish, Any, Decision | None]:
    try:
        verdict = yield Verify(answer)
    except CheckFailed:
        return Decision("escalate", "check:erred")
    return decide.window(answer, verdict, route, rule)
