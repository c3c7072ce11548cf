"""Calls that answer no client: audits, drafts beside premium, judges of both, screeners. Reserved first, always booked.

Where no client waits for them, a daily cap is the budget of an account of its own, kept by the store itself, so that
several processes can't overspend it together, and no client's key pays. Knows neither what is asked nor why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from tierwise.core import price
from tierwise.core.bearers import whole
from tierwise.gateway.booking import Attempt
from tierwise.gateway.consult import Panel, Question
from tierwise.gateway.engine import SECOND, Engine
from tierwise.gateway.web.http import new_id
from tierwise.money import ASIDE, Amount, Budget, Entry, Record, Reservation
from tierwise.types import Answer, Decision, Duty, Model, Request, Route

SLACK = 512  # bytes that a provider's own words around a request may take
FRAME = 40  # ... and around a message, a part of one, a tool, or a call of one


class Heard(NamedTuple):
    """A whole answer, and its line of the ledger."""

    answer: Answer
    entry: Entry


class Purse(NamedTuple):
    """Who pays, and how many nano-dollars at the most in all; None: without a limit."""

    account: str
    cap: int | None

    @property
    def budgets(self) -> tuple[Budget, ...]:
        return () if self.cap is None else (Budget("aside", self.account, nanos=self.cap),)


def account(name: str) -> str:
    """No key's id begins so, and no day counts what it pays for as a client's."""
    return f"{ASIDE}{name}"


def daily(name: str, cap: int, now_ns: int) -> Purse:
    """For the day (UTC)."""
    day = datetime.fromtimestamp(now_ns // SECOND, UTC).date().isoformat()
    return Purse(account(f"{name}:{day}"), cap)


def purse(route: Route, now_ns: int) -> Purse:
    """A route's own for the day."""
    return daily(route.name, route.aside_nanos, now_ns)


class Calls:
    """Questions that are reserved, asked and booked together."""

    def __init__(self, engine: Engine, questions: Sequence[Question]) -> None:
        self._engine = engine
        self._questions = [question._replace(request=_bounded(question)) for question in questions]
        self._attempts: list[Attempt] = []

    def bound(self) -> Amount:
        """What they cost at the most."""
        ceiling = self._engine.snapshot.ceiling
        asked = [(item.request, size_of(item.request), (item.model,)) for item in self._questions]
        return sum([price.bound(*call, ceiling) for call in asked], Amount())

    async def hear(self, about: str, at_once: int = 0) -> list[Answer | None]:
        """What each call came to, in their order; None where it failed. `about`: what for, in the ledger's rule.

        With `at_once` so many are made at a time; where all of these fail, the others are not made.
        """
        panel = Panel(self._start, self._engine.clock, self._engine.patience)
        left = self._questions
        if not at_once:
            return await panel.hear(left, about)
        heard: list[Answer | None] = []
        for begin in range(0, len(left), at_once):
            some = await panel.hear(left[begin : begin + at_once], about)
            heard += some
            if all(answer is None for answer in some):
                break
        return heard + [None] * (len(left) - len(heard))

    def entries(self) -> tuple[Entry, ...]:
        """A line of the ledger for each call that was made so far."""
        ceiling, meter = self._engine.snapshot.ceiling, self._engine.meter
        return tuple([attempt.entry("audit", self._questions[0].request, ceiling, meter) for attempt in self._attempts])

    def _start(self, model: Model, request: Request, duty: Duty) -> Attempt:
        stream = self._engine.providers[model.name].stream(model, request)
        clock = self._engine.clock
        attempt = Attempt(model, stream, clock.monotonic_ms(), duty=duty, asked=request, started_ns=clock.now_ns())
        self._attempts.append(attempt)
        return attempt


async def ask(
    engine: Engine, route: Route, questions: Sequence[Question], about: str, payer: Purse
) -> list[Heard | None]:
    """What each call came to, in their order; None where it failed. All are made at once.

    `about`: what for, in the ledger's rule. Raises BudgetExceeded where the purse can't bear them all, and StoreError;
    then nothing was called.
    """
    calls = Calls(engine, questions)
    request_id, started_ns, started_ms = new_id(), engine.clock.now_ns(), engine.clock.monotonic_ms()

    def book() -> tuple[Entry, ...]:
        entries = calls.entries()
        total_ms = engine.clock.monotonic_ms() - started_ms
        decision = Decision("serve", f"about:{about}")
        engine.post(
            Record(request_id, payer.account, route.name, started_ns, total_ms, 200, decision, entries, 0, "computed")
        )
        return entries

    most = calls.bound()
    budgets = (*payer.budgets, *whole(engine.snapshot.bearers))
    held = Reservation(request_id, payer.account, route.name, most.nanos, started_ns, budgets, tokens=most.tokens)
    try:
        await engine.store.reserve(held)
    except asyncio.CancelledError:
        book()  # or what is on its way to the ledger would be held for good, and counted as spent in the end
        raise
    try:
        answers = await calls.hear(about)
    finally:
        entries = book()
    pairs = zip(answers, entries, strict=True)
    return [None if answer is None else Heard(answer, entry) for answer, entry in pairs]


def size_of(request: Request) -> int:
    """Bytes of a request at the most, however a provider's wire spells it."""
    neutral = (request.messages, request.tools, request.schema)
    pieces = len(request.messages) + len(request.tools)
    for message in request.messages:
        pieces += len(message.tool_calls) + (0 if isinstance(message.content, str) else len(message.content))
    own = sum(len(name.encode()) + len(bytes(raw)) + 4 for name, raw in request.body.items())
    return max(len(msgspec.json.encode(neutral)) + pieces * FRAME, own) + SLACK


def _bounded(question: Question) -> Request:
    """A cap only holds where every answer ends by what was reserved for it."""
    request = question.request
    if request.max_output is not None:
        return request
    return msgspec.structs.replace(request, max_output=question.model.max_output)
