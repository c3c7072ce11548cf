"""Texts judged by what a route screens, for a client that asks what is wrong with them.

As on the route's requests: by its thresholds, own heads and policies, and by its screener where these are in doubt.
What that may cost is set aside first, and paid by the key that asks; without a verdict what would stop a request counts
as found. Nothing is stopped or handed to anybody: whoever asks is told. Knows no wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from tierwise.core.bearers import bearing
from tierwise.errors import CheckFailed
from tierwise.gateway.aside import Calls
from tierwise.gateway.consult import Question
from tierwise.gateway.engine import Engine
from tierwise.gateway.screening.gate import LONG, heard
from tierwise.gateway.screening.guards import Guard, Looked
from tierwise.money import Entry, Record, Reservation, Tenant
from tierwise.screens.judged import verdict
from tierwise.types import Decision, Evidence, Message, Request, Route, Usage

AT_ONCE = 8  # calls of the screener
TOLD = 64  # pieces of evidence of one request, in the ledger
DECISION = Decision("serve", "direct")


class Judged(NamedTuple):
    """A text's score in each class that was looked for, such as "moderation:hate"; what was found, and is in doubt."""

    scores: Mapping[str, float]
    found: tuple[str, ...]
    doubts: tuple[str, ...] = ()


class Judging:
    """One request. `judge` its texts, then `book` it, whatever happened.

    `route` names who answers as its only tier, and whom its screener is.
    """

    def __init__(self, engine: Engine, guard: Guard, request: Request, route: Route, tenant: Tenant) -> None:
        self.record: Record | None = None  # once it is booked
        self._engine, self._guard, self._request, self._route, self._tenant = engine, guard, request, route, tenant
        self._calls = Calls(engine, ())
        self._evidence: dict[Evidence, None] = {}
        self._started_ns = engine.clock.now_ns()
        self._started_ms = engine.clock.monotonic_ms()

    async def judge(self, texts: Sequence[str]) -> list[Judged]:
        """In their order. Raises BudgetExceeded, StoreError: then nobody was asked."""
        short = sum(map(len, texts)) < LONG
        judged = self._read(texts) if short else await asyncio.to_thread(self._read, texts)
        told: list[Evidence] = []
        if screener := self._guard.table.screener:
            doubtful = {place: text.doubts for place, text in enumerate(judged) if text.doubts}
            said = await self._said(doubtful, texts)
            for place, doubts in doubtful.items():
                judged[place] = self._settled(judged[place], said.get(place))
                told += heard(doubts, said.get(place), screener)
        self.note(*[Evidence("screen", None, one) for text in judged for one in text.found], *told)
        return judged

    def note(self, *found: Evidence) -> None:
        """For the ledger; the same of several texts once."""
        self._evidence |= dict.fromkeys(found)

    def book(self, status: int, rule: str = "") -> Record:
        """Queue the record. `rule`: why there is no answer, where there is none."""
        engine, started_ns = self._engine, self._started_ns
        total_ms = engine.clock.monotonic_ms() - self._started_ms
        decision = Decision("refuse", rule) if rule else DECISION
        decision = msgspec.structs.replace(decision, evidence=tuple(self._evidence)[:TOLD])
        model = self._route.premium.name
        own = Entry(model, model, "direct", Usage(), 0, "computed", "served", DECISION.rule, total_ms, total_ms)
        entries = (*(() if rule else (own,)), *self._calls.entries())
        owner = (self._request.id, self._tenant.key_id, self._route.name, started_ns)
        self.record = Record(*owner, total_ms, status, decision, entries, 0, "computed", team=self._tenant.team)
        engine.post(self.record)
        return self.record

    def _read(self, texts: Sequence[str]) -> list[Judged]:
        scored = map(self._guard.scored, texts)
        return [Judged(scores, reading.classes, reading.doubts) for scores, reading in scored]

    async def _said(self, doubtful: Mapping[int, tuple[str, ...]], texts: Sequence[str]) -> dict[int, dict[str, float]]:
        """The screener's scores, by text; of one that it gives no verdict about, none."""
        screener, asked = self._route.screener, {}
        for place, doubts in doubtful.items():
            one = msgspec.structs.replace(self._request, messages=(Message("user", texts[place]),), doubts=doubts)
            try:
                asked[place] = self._guard.question(one)
            except CheckFailed:  # too long to be shown whole
                continue
        if screener is None or not asked:
            return {}
        self._calls = Calls(self._engine, [Question(screener, question, "screen") for question, _ in asked.values()])
        await self._reserve()
        answers = await self._calls.hear("doubts", AT_ONCE)
        found = {}
        for (place, (_, classes)), answer in zip(asked.items(), answers, strict=True):
            try:
                found[place] = verdict(answer, classes)
            except CheckFailed:
                continue
        return found

    def _settled(self, text: Judged, said: Mapping[str, float] | None) -> Judged:
        looked = self._guard.judged(Looked(classes=text.found, doubts=text.doubts), said)
        return Judged({**text.scores, **(said or {})}, looked.classes)

    async def _reserve(self) -> None:
        engine, payer, route = self._engine, self._tenant, self._route.name
        budgets, most = bearing(engine.snapshot.bearers, payer, route, self._request.tags), self._calls.bound()
        owner = (self._request.id, payer.key_id, route, most.nanos, self._started_ns, budgets)
        await engine.reserve(Reservation(*owner, tokens=most.tokens, team=payer.team))
