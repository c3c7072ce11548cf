"""The live driver: performs a plan's steps against real models, and books what was spent, however it ends.

Knows neither the client's wire (text flows into a `Sink`) nor why the plan wants what it wants.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec

from tierwise.core import price
from tierwise.core.cascade import Call, Drop, Outcome, Reserve, Resume, Score, Serve, Verify, Wish, cascade
from tierwise.core.join import tokens
from tierwise.errors import TierwiseError
from tierwise.gateway.booking import Attempt, Subject
from tierwise.gateway.engine import Engine
from tierwise.ports import Batch
from tierwise.types import Answer, Decision, Model, Record, Request, Reservation, Route, Tenant

CLIENT_LEFT = 499  # the status that proxies commonly log for a client that closed its connection
LOOKS = 4  # how often a window is looked at while it fills: a bad beginning need not be paid for to its end


class Sink(Protocol):
    """Where text goes that nothing can replace any more."""

    async def open(self, model: Model, decision: Decision) -> None:
        """Called once, before the first `send`."""
        ...

    async def send(self, batch: Batch) -> None: ...


class Live:
    """One request on its way: `run` it, then `book` it, whatever happened."""

    def __init__(self, engine: Engine, request: Request, route: Route, tenant: Tenant) -> None:
        self.engine = engine
        self.request = request
        self.route = route
        self.tenant = tenant
        self.attempts: list[Attempt] = []
        self.outcome: Outcome | None = None
        self.booked = False
        self.flowed = False  # text is out: no error can be hidden from the client now
        self._sink: Sink | None = None
        self._reserved: Awaitable[None] | None = None
        self._started_ns = engine.clock.now_ns()
        self._started_ms = engine.clock.monotonic_ms()

    async def run(self, size: int, sink: Sink | None = None) -> Outcome:
        """Answer the request, of `size` bytes. Once this returns, its reservation is durable.

        Without a sink nothing flows and the outcome holds the answer. Raises what the client must be told.
        """
        self._sink = sink
        plan = cascade(self.request, self.route)
        try:
            step = next(plan)
            while True:
                try:
                    result = await self._perform(step, size)
                except TierwiseError as error:
                    if self.flowed:
                        raise
                    step = plan.throw(error)
                else:
                    step = plan.send(result)
        except StopIteration as stop:
            outcome: Outcome = stop.value
        finally:
            for attempt in self.attempts:
                await attempt.close(self.engine.clock.monotonic_ms())
        self.outcome = outcome
        if self._reserved is not None:
            await self._reserved
        return outcome

    def book(self, status: int, rule: str) -> Record:
        """Queue the record for the ledger. `rule` is what stands there where no decision was reached."""
        decision = self.outcome.decision if self.outcome else Decision("refuse", rule)
        subject = Subject(self.request, self.route, self.tenant, self._started_ns)
        total_ms = self.engine.clock.monotonic_ms() - self._started_ms
        record = subject.record(self.attempts, status, decision, total_ms, self.engine.snapshot.ceiling)
        self.engine.post(record)
        self.booked = True
        return record

    async def _perform(self, step: Wish, size: int) -> Any:
        match step:
            case Call():
                return await self._call(step)
            case Verify(answer):
                return self.engine.verifiers[self.route.name].score(self.request, answer)
            case Serve(answer, decision):
                return await self._serve(answer, decision)
            case Reserve(models):
                return await self._reserve(models, size)
            case Resume(decision):
                return await self._resume(self.attempts[-1], decision)
            case Drop(decision):
                self.attempts[-1].settle("rejected", decision.rule)
                return await self.attempts[-1].close(self.engine.clock.monotonic_ms())
            case Score():
                return self.engine.router.score(self.request, None)

    async def _reserve(self, models: tuple[Model, ...], size: int) -> None:
        """Without a budget to keep, the write goes on beside the call; `run` waits for it before it returns.

        Not while the ledger fails: a call would be paid for and its answer could not be served.
        """
        nanos = price.bound(self.request, size, models, self.engine.snapshot.ceiling)
        budget = self.tenant.budget_nanos
        pending = self.engine.store.reserve(
            Reservation(self.request.id, self.tenant.key_id, self.route.name, nanos, self._started_ns, budget)
        )
        if budget is None and self.engine.store.sound:
            self._reserved = pending
        else:
            await pending

    async def _call(self, step: Call) -> Answer:
        request = self.request
        if self.tenant.budget_nanos is not None and request.max_output is None:
            # a budget only holds where every answer ends by what was reserved for it
            request = msgspec.structs.replace(request, max_output=step.model.max_output)
        stream = self.engine.providers[step.model.name].stream(step.model, request)
        attempt = Attempt(step.model, stream, self.engine.clock.monotonic_ms(), step.decision)
        self.attempts.append(attempt)
        return await self._drain(attempt, self._next_look(attempt) if step.hold == "window" else None)

    async def _resume(self, attempt: Attempt, decision: Decision | None) -> Answer:
        if decision is None:
            return await self._drain(attempt, self._next_look(attempt))
        attempt.decision = decision
        await self._out(attempt, tuple(attempt.chunks))
        return await self._drain(attempt, None)

    async def _serve(self, answer: Answer, decision: Decision) -> None:
        attempt = next(item for item in self.attempts if item.model.name == answer.model)
        attempt.decision = decision
        attempt.settle("served", decision.rule)
        await self._out(attempt, answer.chunks)

    def _next_look(self, attempt: Attempt) -> int:
        return tokens(attempt.chunks) + max(self.route.window // LOOKS, 1)

    async def _drain(self, attempt: Attempt, look: int | None) -> Answer:
        """Take the stream to its end, or until `look` tokens have come, for the plan to have a look."""
        clock = self.engine.clock
        seen = tokens(attempt.chunks) if look is not None else 0
        try:
            async for batch in attempt.stream:
                if attempt.first_ms is None and _speaks(batch):
                    attempt.first_ms = clock.monotonic_ms()
                attempt.chunks += batch
                if attempt.decision is not None:
                    await self._out(attempt, batch)
                elif look is not None and (seen := seen + tokens(batch)) >= look:
                    return attempt.answer(complete=False)
        except TierwiseError as error:
            attempt.settle("failed", error.code or error.kind)
            raise
        attempt.ended_ms = clock.monotonic_ms()
        if attempt.decision is not None:
            attempt.settle("served", attempt.decision.rule)
        return attempt.answer(complete=True)

    async def _out(self, attempt: Attempt, batch: Batch) -> None:
        if self._sink is None or attempt.decision is None:
            return
        if not self.flowed:
            if self._reserved is not None:
                await self._reserved  # nothing is served that the ledger does not know of
            self.flowed = True
            await self._sink.open(attempt.model, attempt.decision)
        await self._sink.send(batch)


def _speaks(batch: Batch) -> bool:
    """Many servers open a stream with an empty piece long before the first token."""
    return any(chunk.text or chunk.reasoning or chunk.refusal or chunk.tool_calls for chunk in batch)
