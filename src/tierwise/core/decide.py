"""Scores and thresholds to decisions.

Knows neither where a score came from nor what it means: only a certificate (or, without one, the rule
that every free check must pass) gives a threshold its meaning.
"""

from __future__ import annotations

from tierwise.core.join import tokens
from tierwise.types import Answer, Decision, Route, Verdict

ALL_PASSED = 1.0  # the free checks' score when none failed; without a certificate nothing less is served


def draft(verdict: Verdict, rule: str) -> Decision:
    """For a whole draft. `rule` says by what right it may be served, e.g. "checks"."""
    if verdict.score >= ALL_PASSED:
        return Decision("serve", rule, verdict.score, verdict.evidence)
    failed = next((item.check for item in verdict.evidence if item.passed is False), "score")
    return Decision("escalate", f"check:{failed}", verdict.score, verdict.evidence)


def window(answer: Answer, verdict: Verdict, route: Route, rule: str) -> Decision | None:
    """For a draft of which the beginning is known; None means: hold on, there is more to see."""
    decision = draft(verdict, rule)
    if decision.action == "serve" and not answer.complete and tokens(answer.chunks) < route.window:
        return None
    return decision


def unseen(verdict: Verdict, route: Route) -> bool:
    """Whether a router's score sends the request to premium before any call."""
    return verdict.score >= route.escalate_above
