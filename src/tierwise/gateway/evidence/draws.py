"""Which answered requests are drawn at random, how likely, and how many went by between two draws.

A draw depends on a secret and the request's id alone: nobody can foresee or steer it, and whoever has the secret can
repeat it. While a route's money for the day is gone nothing is drawn, and what goes by then isn't counted either.
Knows neither what becomes of a sample nor what that costs.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from typing import NamedTuple

from tierwise.core import policy
from tierwise.core.window import DAY_NS
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.drift_monitor import DriftMonitor
from tierwise.gateway.run import Live
from tierwise.proof import Kind, Sample
from tierwise.stats.propensity import propensity, uniform
from tierwise.types import Route

DOUBT = (
    20.0  # a draft that is expected to do net harm of 5 % is drawn twice as often as one that is expected to do none
)
DRIFTED = 3.0  # by how much likelier everything is drawn while traffic is not what was certified

_log = logging.getLogger("tierwise.audit")


def draws_secret(pepper: bytes) -> bytes:
    """What draws are made with: a key of their own, so that nothing else that the pepper keys can foretell them."""
    return hmac.digest(pepper, b"tierwise draws", "sha256")


class _Seen(NamedTuple):
    """An answered request that the policy has decided."""

    kind: Kind
    certificate: str
    score: float | None


@dataclass
class _Tally:
    """Requests of a route since its last sample, under one certificate, at one rung."""

    certificate: str = ""
    rung: int = 0
    passed: int = 0
    escalated: int = 0


class Draws:
    """Belongs to one event loop. `secret`: at least 16 bytes, the same in every process of a gateway."""

    def __init__(self, engine: Engine, secret: bytes, drifts: DriftMonitor) -> None:
        self.drifts = drifts
        self.drifted: frozenset[str] = frozenset()  # routes whose traffic is not what was certified
        self._engine = engine
        self._secret = secret
        self._tallies: dict[str, _Tally] = {}
        self._paused: dict[str, int] = {}  # route -> the day on which its money is gone

    def take(self, live: Live) -> Sample | None:
        """The sample that an answered request is; None for one that is not drawn. Takes some microseconds.

        A sample takes along what went by since the last one, and itself where premium answered it: in an audit that
        is one more request without harm. `give_back` where it is lost.
        """
        route = live.route
        if len(route.tiers) < 2 or not route.aside_nanos or self._is_paused(route.name):
            return None
        seen = _seen(live, self._engine)
        rate = 0.0 if seen is None else self._rate(route, seen)
        if seen is None or rate <= 0:
            return None
        self.drifts.observe(live)
        number = self.number(live.request.id, "sample")
        tally = self._tally(route, seen)
        if number >= rate:
            if seen.kind == "audit":
                tally.passed += 1
            else:
                tally.escalated += 1
            return None
        sample = Sample(
            request_id=live.request.id,
            route=route.name,
            at_ns=self._engine.clock.now_ns(),
            kind=seen.kind,
            served=live.outcome.answer.model if live.outcome else "",
            uniform=number,
            propensity=rate,
            certificate=seen.certificate,
            rung=route.rung,
            score=seen.score,
            passed=tally.passed,
            escalated=tally.escalated + (seen.kind == "observe"),
        )
        tally.passed = tally.escalated = 0
        return sample

    def number(self, request_id: str, purpose: str) -> float:
        """In [0, 1), by chance: the same each time for a request and a purpose."""
        return uniform(self._secret, request_id, purpose)

    def give_back(self, sample: Sample) -> None:
        """What a lost sample took along goes with the next one."""
        tally = self._tallies[sample.route]
        if (tally.certificate, tally.rung) == (sample.certificate, sample.rung):
            tally.passed += sample.passed
            tally.escalated += sample.escalated

    def pause(self, route: Route) -> None:
        """Until tomorrow (UTC)."""
        if not self._is_paused(route.name):
            self._paused[route.name] = self._engine.clock.now_ns() // DAY_NS
            _log.info("route %s: the day's money for evidence is spent; audits go on tomorrow (UTC)", route.name)

    def _is_paused(self, route: str) -> bool:
        day = self._paused.get(route)
        if day is None:
            return False
        if day == self._engine.clock.now_ns() // DAY_NS:
            return True
        del self._paused[route]
        return False

    def _rate(self, route: Route, seen: _Seen) -> float:
        raised = DRIFTED if route.name in self.drifted else 1.0
        if seen.kind == "observe":
            return min(route.observe * raised, 1.0)
        if not route.audit:
            return 0.0
        harm = 0.0 if seen.score is None else max(1 - 2 * seen.score, 0.0)  # `scorers/trained.py` says why
        return propensity(min(route.audit * raised, 1.0), harm * (1 - harm), route.audit, DOUBT * route.audit)

    def _tally(self, route: Route, seen: _Seen) -> _Tally:
        tally = self._tallies.get(route.name)
        if tally is None or (tally.certificate, tally.rung) != (seen.certificate, route.rung):
            tally = self._tallies[route.name] = _Tally(seen.certificate, route.rung)
        return tally


def _seen(live: Live, engine: Engine) -> _Seen | None:
    """None for a request that the policy did not decide: under a floor, held out, or premium as its client wished."""
    outcome, route = live.outcome, live.route
    if outcome is None or outcome.decision.rule.startswith(
        ("floor:", "degraded:", "direct", "holdout", "human:", "blocked:")
    ):
        return None
    if outcome.decision.rule == "mode:premium" and not route.rung and not _sent_up(route, engine):
        return None
    scores = [step.decision.score for step in outcome.trail if step.decision.score is not None]
    score = min(max(scores[-1], 0.0), 1.0) if scores else None
    if outcome.answer.model != route.premium.name:
        certified = route.certificate if outcome.decision.rule == "verifier" else ""
        return _Seen("audit", certified, score)
    unseen = policy.hold(live.request, route) == "none" or route.mode != "enforce"
    return _Seen("observe", "" if unseen else route.certificate, score)


def _sent_up(route: Route, engine: Engine) -> bool:
    configured = engine.snapshot.routes.get(route.name)
    return configured is not None and configured.mode == "premium"
