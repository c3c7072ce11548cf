"""Follows the labels of audits, and moves a route up its ladder when they say that its certificate does not hold.

Every process of a gateway folds the same rows in the same order (`stats/watched.py`), so all come to the same alarm
at the same label, without a leader, and again after a restart: only a fresh certificate ends it. What happened is
told once, by whoever writes it into the trail first. Knows nothing of how labels came about (`gathering.py`).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from math import inf, isnan
from typing import Any

import msgspec

from tierwise.core.window import DAY_NS
from tierwise.errors import StoreError
from tierwise.gateway.alerts import Alerts
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.gathering import Gatherer
from tierwise.gateway.evidence.rungs import Rung
from tierwise.ports import Proof
from tierwise.proof import Event, Sample
from tierwise.stats.ladder import PREMIUM
from tierwise.stats.watched import Claim, Point, Watched, least_of, start, traced, verdict
from tierwise.types import Route

PERIOD = 2.0  # seconds
CLEAN_UP = 3600.0  # seconds between two looks for texts that are too old
TIGHTER, UP, JUDGE = (
    "suspended: audit alarm, serving by a stricter threshold",
    "suspended: audit alarm",
    "suspended: the judge has changed",
)

_log = logging.getLogger("tierwise.audit")


class State(msgspec.Struct, frozen=True):
    """Of a route's audit, for whoever asks. `harm`: estimated, of all its requests; None before the first label."""

    certificate: str
    rung: int
    rungs: int  # in all; at the last one premium answers everything
    rows: int
    drawn: int
    harm: float | None
    e_value: float
    alarm_at: float  # the e-value
    verdict: str


@dataclass
class Following:
    """One certified route."""

    route: Route
    watched: Watched
    samples: dict[str, Sample] = field(default_factory=dict)  # those whose label has not come
    label: int = 0  # the last that was read
    sample: int = 0


class Auditor:
    """Belongs to one event loop. `refresh` once before anything is served, then `follow` for ever.

    A certificate that has expired is followed too: what refuted it still holds, until there is a fresh one.
    """

    def __init__(self, engine: Engine, gatherer: Gatherer, alerts: Alerts) -> None:
        self._engine = engine
        self._gatherer = gatherer
        self._alerts = alerts
        self._following: dict[str, Following] = {}
        self._told: set[str] = set()  # keys of events
        self._cleaned_ms = -inf

    async def refresh(self) -> None:
        """Read what is new, and act on it. Raises StoreError, and changes nothing then."""
        if not self._following:
            await self._begin()
        for following in self._following.values():
            await self._look(following)
        await self._look_for_drift()
        if self._engine.clock.monotonic_ms() - self._cleaned_ms > CLEAN_UP * 1000:
            await self._clean_up()

    async def follow(self) -> None:
        """Refresh for ever. A store that can't be read leaves every route where it is."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.refresh()
            except StoreError as error:
                _log.warning("audits can't be read, routes stay where they are: %s", error.message)

    def state(self, route: str) -> State | None:
        """None for a route without a certificate."""
        following = self._following.get(route)
        if following is None:
            return None
        watched, audit = following.watched, following.watched.ladder.audit
        return State(
            watched.claim.certificate,
            watched.ladder.at,
            len(watched.ladder.thresholds),
            audit.rows,
            audit.drawn,
            None if isnan(audit.harm) else audit.harm,
            audit.wealth.total,
            1 / audit.delta,
            verdict(watched),
        )

    # -------------------------------------------------------------- reading

    async def _begin(self) -> None:
        proof = self._engine.store.proof
        for name, route in self._engine.snapshot.routes.items():
            standing = self._engine.certificates.get(name)
            if standing is None or standing.signed is None:
                continue
            await _on_record(proof, route, standing.said, standing.name, self._engine.clock.now_ns())
            document = standing.signed.certificate
            if not standing.name or not route.audit:
                continue
            drawn = await proof.samples(name)
            least = least_of(standing.name, drawn, route.audit)
            claim = Claim(
                standing.name, document.ladder, document.alpha, document.delta, least, document.issued * 10**9
            )
            self._following[name] = Following(route, start(claim))

    async def _look(self, following: Following) -> None:
        proof, name = self._engine.store.proof, following.route.name
        labels = await proof.labels(name, following.label)
        if not labels:
            return
        for sample in await proof.samples(name, following.sample):  # after the labels: none is missing then
            following.samples[sample.request_id] = sample
            following.sample = sample.id
        before = following.watched
        watched, points = traced(before, following.samples, labels)
        following.watched, following.label = watched, labels[-1].id
        following.samples = {key: item for key, item in following.samples.items() if key not in watched.seen}
        self._gatherer.anchors[name] = tuple(watched.people)
        self._move(following)
        for point in points:
            if point.alarm:
                await self._alarm(following, point)
        if verdict(watched) == "judge" and verdict(before) != "judge":
            await self._judge_changed(following)

    def _move(self, following: Following) -> None:
        """Before anybody is told: who serves must know first."""
        watched, ladder = following.watched, following.watched.ladder
        last = len(ladder.thresholds) - 1
        if verdict(watched) == "judge":
            rung = Rung(last, None, JUDGE)
        elif ladder.at == 0:
            return
        elif ladder.threshold == PREMIUM:
            rung = Rung(last, None, UP)
        else:
            rung = Rung(ladder.at, ladder.threshold, TIGHTER)
        self._engine.rungs.move(following.route.name, rung)

    # -------------------------------------------------------------- telling

    async def _alarm(self, following: Following, point: Point) -> None:
        watched = following.watched
        climbed = point.rung + 1
        threshold = watched.ladder.thresholds[climbed]
        up = "premium answers everything" if threshold == PREMIUM else f"drafts are served from {threshold:.3f} on"
        text = (
            f"audits refute the certificate: harm is above the {watched.claim.alpha:.1%} that were certified"
            f" ({point.drawn} audits, {point.harm:.1%} over all of them, p = {point.p_value:.2g}); from now on {up}"
        )
        body = {
            "certificate": watched.claim.certificate,
            "rung": climbed,
            "threshold": None if threshold == PREMIUM else threshold,
            "rows": point.rows,
            "drawn": point.drawn,
            "harm": point.harm,
            "p_value": point.p_value,
            "verdict": verdict(watched),
        }
        await self._tell(following.route, "alarm", f"{watched.claim.certificate}:{climbed}", body, text)

    async def _judge_changed(self, following: Following) -> None:
        watched = following.watched
        audit = watched.judge
        if audit is None:
            return
        body = {
            "certificate": watched.claim.certificate,
            "rows": audit.rows,
            "disagreement": audit.harm,
            "p_value": audit.p_value,
        }
        text = (
            f"the judge now differs from people on {audit.harm:.1%} of what they have labelled, more than it did when"
            " it was certified; what its audits say is not known, so premium answers everything"
        )
        await self._tell(following.route, "judge", f"{watched.claim.certificate}:judge", body, text)

    async def _look_for_drift(self) -> None:
        """Only ever raises the rate of audits."""
        found = self._gatherer.draws.drifts.alarms()
        self._gatherer.draws.drifted = frozenset(found)
        for name, kind in ((name, kind) for name, kinds in found.items() for kind in kinds):
            certificate = self._engine.certificates[name].name
            text = f"{kind} are no longer what they were when the route was certified; it is audited more often"
            body = {"certificate": certificate, "kind": kind}
            await self._tell(self._engine.snapshot.routes[name], "drift", f"{certificate}:{kind}", body, text)

    async def _tell(self, route: Route, what: str, key: str, body: dict[str, Any], text: str) -> None:
        key = f"{what}:{route.name}:{key}"
        if key in self._told:
            return
        body_text = msgspec.json.encode(body).decode()
        event = Event(at_ns=self._engine.clock.now_ns(), route=route.name, what=what, body=body_text, key=key)
        if await self._engine.store.proof.note(event):
            self._alerts.tell(event, text)
        self._told.add(key)

    async def _clean_up(self) -> None:
        self._cleaned_ms = self._engine.clock.monotonic_ms()
        for name, route in self._engine.snapshot.routes.items():
            before_ns = self._engine.clock.now_ns() - route.keep_days * DAY_NS
            gone = await self._engine.store.proof.forget(name, before_ns)
            gone += await self._engine.store.proof.desk.forget(name, before_ns)
            if gone:
                _log.info(
                    "route %s: texts of %d samples and answered cases are over %d days old and gone",
                    name,
                    gone,
                    route.keep_days,
                )


async def _on_record(proof: Proof, route: Route, said: str, certificate: str, now_ns: int) -> None:
    """Where a certificate stood when the gateway started: once for each change of that."""
    body = msgspec.json.encode({"certificate": certificate, "standing": said}).decode()
    key = f"certificate:{route.name}:{certificate}:{said}"
    await proof.note(Event(at_ns=now_ns, route=route.name, what="certificate", body=body, key=key))
