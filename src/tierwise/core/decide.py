"""Scores and thresholds to decisions.

Knows neither where a score came from nor what it means: only a certificate, or thresholds that were fixed on
labelled traffic (or, without either, the rule that every free check must pass) give a score its meaning.
"""

from __future__ import annotations

from tierwise.core.join import tokens
from tierwise.types import Answer, Decision, Model, Route, Thresholds, Verdict

ALL_PASSED = 1.0  # the free checks' score when none failed; without a trained verifier nothing less is served
HYSTERESIS = 0.05  # of a router's score: a conversation changes its model only for a reason that is clear


def bounds(route: Route, rule: str) -> Thresholds:
    """The thresholds by which a draft that may be served under `rule` is judged."""
    if rule == "verifier" and route.thresholds is not None:
        return route.thresholds
    return Thresholds(ALL_PASSED, ALL_PASSED, ALL_PASSED)


def draft(answer: Answer, verdict: Verdict, route: Route, rule: str) -> Decision | None:
    """For a draft as far as it is known. None: there is more to find out, from its end or from other models."""
    limits = bounds(route, rule)
    if verdict.score < limits.consult:
        return _escalate(verdict)
    if not answer.complete and tokens(answer.chunks) < route.window:
        return None
    if rule == "agreement":  # by this rule nothing is served unheard
        return None
    if verdict.score >= (limits.unheard if asks(route) else limits.accept):
        return Decision("serve", rule, verdict.score, verdict.evidence)
    return None if not answer.complete or asks(route) else _escalate(verdict)


def uncertain(verdict: Verdict, route: Route, rule: str) -> bool:
    """Whether more evidence could still lift a draft that would escalate."""
    limits = bounds(route, rule)
    return limits.consult <= verdict.score < limits.accept


def final(verdict: Verdict, route: Route, rule: str) -> Decision:
    """For a whole draft about which there is no more to find out."""
    if verdict.score >= bounds(route, rule).accept:
        return Decision("serve", rule, verdict.score, verdict.evidence)
    return _escalate(verdict)


def asks(route: Route) -> bool:
    """Whether there is anyone to ask about a draft in the uncertain band."""
    return bool(route.opinions) or judge(route) is not None


def judge(route: Route) -> Model | None:
    """Who may lift a draft that opinions leave in the band. Nobody under a certificate: it was tested without."""
    return None if route.certificate else route.judge


def unseen(verdict: Verdict, route: Route, last_model: str = "") -> bool:
    """Whether a router's score sends the request to premium before any call.

    A conversation stays where its last turn was answered unless the score is clear.
    """
    limit = route.escalate_above
    if last_model == route.premium.name:
        limit -= HYSTERESIS
    elif last_model:
        limit += HYSTERESIS
    return verdict.score >= limit


def _escalate(verdict: Verdict) -> Decision:
    failed = next((item.check for item in verdict.evidence if item.passed is False), "score")
    return Decision("escalate", f"check:{failed}", verdict.score, verdict.evidence)
