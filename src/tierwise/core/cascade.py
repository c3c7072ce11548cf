"""How one request is answered, as a plan with no I/O in it.

`cascade` yields the steps that it wants done and is sent back their results, so the same code serves live
traffic, replays a log and runs in a test. What a step's performer can't do comes back as an error thrown in at
the `yield`. Theory of operation:

- A draft is called with its text held back. It is verified, and either served or dropped for the next tier.
- A draft that the verifier leaves in the uncertain band is looked at again: with other models' answers to the same
  request, then with a judge's finding. What is still uncertain after that escalates.
- With a window the call comes back while the draft is still growing (`answer.complete` is False); the plan
  then says release (`Resume` with a decision), hold on (`Resume` without), or `Drop`.
- A request that a budget can't bear in full goes to the cheapest tier alone, where its route says so; premium that
  was asked too often within the hour is not asked, and a rejected draft may be served instead.
- Where a screen is in doubt its route's screener is asked before anything else, once all that may follow is reserved.
- What a person must answer no model is asked about; a draft that a screen blocks escalates like one that fails a check.
- The last tier's answer is final: its `Call` carries a decision, and its performer may let it flow out as it comes.
- Once text is out nothing can replace it, so an error after that is the performer's to tell the client; it is
  not thrown in here.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from tierwise.core import decide, policy
from tierwise.errors import BadRequest, Blocked, BudgetExceeded, CheckFailed, ProviderError, RateLimited
from tierwise.money import Arm
from tierwise.types import Answer, Decision, Evidence, Hold, Model, Request, Route, Verdict


class Reserve(msgspec.Struct, frozen=True):
    """Set aside what calling each of `models` once, and asking each of `judges` about one draft, may cost.

    A model that may be called twice stands there twice; `screener` is asked what the request is. With `soft` it must
    fit below the budgets' soft limits. Result: None; or BudgetExceeded, StoreError.
    """

    models: tuple[Model, ...]
    judges: tuple[Model, ...] = ()
    soft: bool = False
    screener: Model | None = None


class Screen(msgspec.Struct, frozen=True):
    """Ask `model` what screens are in doubt about. Result: tags of the request, perhaps none; or Blocked."""

    model: Model


class Hand(msgspec.Struct, frozen=True):
    """Hand the request to a person. Result: Answer, which tells the client so; or Forbidden, StoreError."""

    decision: Decision


class Score(msgspec.Struct, frozen=True):
    """Ask the router. Result: Verdict; or CheckFailed."""


class Escalate(msgspec.Struct, frozen=True):
    """Count that premium is called for a request. Result: None; or RateLimited."""

    model: Model


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
    """Ask the verifier, with what was found out since it was last asked. Result: Verdict; or CheckFailed, Blocked."""

    answer: Answer
    opinions: tuple[Answer, ...] | None = None
    judged: Evidence | None = None


class Consult(msgspec.Struct, frozen=True):
    """Ask other models the same, all at once. Result: the whole answers that came, in no order; perhaps none."""

    models: tuple[Model, ...]


class Judge(msgspec.Struct, frozen=True):
    """Have `model` judge a draft, beside the opinions that there are. Result: Evidence; or CheckFailed."""

    model: Model
    answer: Answer
    opinions: tuple[Answer, ...]


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


Wish = Hand | Reserve | Screen | Score | Escalate | Call | Resume | Drop | Verify | Consult | Judge | Serve
Plan = Generator[Wish, Any, Outcome]
Routing = Generator[Wish, Any, tuple[tuple[Model, ...], str]]
Final = Generator[Wish, Any, tuple[Answer, Decision]]
SubPlan = Generator[Wish, Any, tuple[Answer | None, Decision]]


def cascade(request: Request, route: Route, arm: Arm = "") -> Plan:
    """The plan for `request` on `route`. Raises what the last tier raised where no tier could answer."""
    person, screener = policy.human(request, route), policy.screener(request, route)
    if person is None and screener is not None:
        request = yield from _screened(request, route, screener, arm)
        person = policy.human(request, route)
    if person is not None:
        return (yield from _handed(Decision("serve", f"human:{person}")))
    tiers, rule = policy.path(request, route, arm)
    hold = policy.hold(request, route)
    if len(tiers) > 1 and (hold == "none" or (route.planned and rule == "verifier")):
        tiers, rule = yield from _routed(request, route, hold, tiers, rule)
    if screener is None:
        tiers, rule = yield from _reserved(request, route, tiers, rule)
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
    answer, decision = yield from _last(tiers[-1], route, rule, rejected)
    trail.append(Step(answer.model, decision))
    return Outcome(answer, decision, tuple(trail))


def _screened(request: Request, route: Route, screener: Model, arm: Arm) -> Generator[Wish, Any, Request]:
    """The request with what a model has found in it. What it finds can only lead upwards, so the money is enough.

    A budget that can't bear all of that refuses: what is in doubt is not for the cheapest tier.
    """
    tiers, rule = policy.path(request, route, arm)
    step = _reserve(tiers, route, rule)
    yield msgspec.structs.replace(step, screener=screener)
    tags: frozenset[str] = yield Screen(screener)
    return msgspec.structs.replace(request, tags=request.tags | tags) if tags else request


def _handed(decision: Decision) -> Plan:
    """No model answers it."""
    answer: Answer = yield Hand(decision)
    return Outcome(answer, decision, (Step(answer.model, decision),))


def _last(model: Model, route: Route, rule: str, rejected: Answer | None) -> Final:
    """The last tier's answer; where there is none to be had, a whole draft that was rejected, if the route says so."""
    decision = Decision("serve", rule)
    try:
        if policy.escalates(route, model, rule):
            yield Escalate(model)
        answer: Answer = yield Call(model, "none", decision)
    except RateLimited:
        if rejected is None or route.escalations is None or route.escalations.over != "draft":
            raise
        answer, decision = rejected, Decision("serve", "degraded:escalations")
    except ProviderError:
        if rejected is None or route.premium_down != "draft":
            raise
        answer, decision = rejected, Decision("serve", "degraded:premium-down")
    else:
        return answer, decision
    yield Serve(answer, decision)
    return answer, decision


def _reserved(request: Request, route: Route, tiers: tuple[Model, ...], rule: str) -> Routing:
    """The money is set aside. Where a budget can't bear it all, and the route says so, for the cheapest tier alone."""
    step, cheapest = _reserve(tiers, route, rule), route.tiers[:1]
    if tiers == cheapest or not policy.degrades(request, route):
        yield step
        return tiers, rule
    try:
        yield Reserve(step.models, step.judges, soft=True)
    except BudgetExceeded:
        yield Reserve(cheapest)
        return cheapest, "degraded:over-budget"
    return tiers, rule


def _reserve(tiers: tuple[Model, ...], route: Route, rule: str) -> Reserve:
    if len(tiers) == 1 or rule == "checks":
        return Reserve(tiers)
    drafts = len(tiers) - 1
    judge = decide.judge(route)
    judges = () if judge is None else (judge,)
    return Reserve(tiers + route.opinions * drafts, judges * drafts)


def _routed(request: Request, route: Route, hold: Hold, tiers: tuple[Model, ...], rule: str) -> Routing:
    """Which tiers to try, chosen before any call: one of them where no draft can be looked at."""
    try:
        verdict = yield Score()
    except CheckFailed:
        return tiers[-1:], "router:erred"
    if hold != "none":
        return policy.plan(request, route, tiers, verdict.estimates, rule)
    if decide.unseen(verdict, route, request.last_model):
        return tiers[-1:], "router:premium"
    return tiers[:1], "router:cheap"


def _draft(model: Model, hold: Hold, route: Route, rule: str) -> SubPlan:
    """Call, verify, decide. The draft is None where it did not come to its end."""
    try:
        answer: Answer = yield Call(model, hold)
        while True:
            decision = yield from _verified(answer, route, rule)
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


def _verified(answer: Answer, route: Route, rule: str) -> Generator[Wish, Any, Decision | None]:
    """None: hold on, the draft is not whole yet."""
    try:
        verdict = yield Verify(answer)
        decision = decide.draft(answer, verdict, route, rule)
        if decision is None and answer.complete:
            decision = yield from _asked(answer, verdict, route, rule)
    except CheckFailed:
        return Decision("escalate", "check:erred")
    except Blocked as error:
        return Decision("escalate", f"screen:{error.classes[0].partition(':')[2]}")
    return decision


def _asked(answer: Answer, verdict: Verdict, route: Route, rule: str) -> Generator[Wish, Any, Decision]:
    """In the uncertain band: other models first, then the judge, where there are any."""
    opinions: tuple[Answer, ...] | None = None
    if route.opinions or rule == "agreement":
        opinions = yield Consult(route.opinions)
        verdict = yield Verify(answer, opinions)
    judge = decide.judge(route)
    if judge is not None and decide.uncertain(verdict, route, rule):
        judged = yield Judge(judge, answer, opinions or ())
        verdict = yield Verify(answer, opinions, judged)
    return decide.final(verdict, route, rule)
