"""The live driver: performs a plan's steps against real models, and books what was spent, however it ends.

Knows neither the client's wire (text flows into a `Sink`) nor why the plan wants what it wants.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from tierwise.core import form
from tierwise.core.bearers import bearing
from tierwise.core.cascade import (
    Call,
    Consult,
    Drop,
    Escalate,
    Hand,
    Judge,
    Outcome,
    Reserve,
    Resume,
    Score,
    Screen,
    Serve,
    Verify,
    Wish,
    cascade,
)
from tierwise.core.join import tokens
from tierwise.errors import TierwiseError
from tierwise.gateway import sessions, structured_retry
from tierwise.gateway.booking import ASIDE, Attempt, Subject
from tierwise.gateway.consult import Panel, bound
from tierwise.gateway.engine import Engine
from tierwise.gateway.outlet import Outlet, Sink, Withheld
from tierwise.gateway.screening import inline
from tierwise.gateway.screening.gate import HUMAN, OPEN, Clean, gated, handed
from tierwise.gateway.screening.private import Decode
from tierwise.money import Record, Reservation, Tenant
from tierwise.types import Answer, Decision, Duty, Evidence, Model, Request, Route

CLIENT_LEFT = 499  # the status that proxies commonly log for a client that closed its connection
_AT_ONCE = (Verify, Score, Escalate)  # steps that nothing is waited for in
LOOKS = 4  # how often a window is looked at while it fills: a bad beginning need not be paid for to its end


class Live:
    """One request on its way: `run` it, then `book` it, whatever happened.

    `session` is the client's name of the conversation that the request belongs to, where it gave one.
    """

    def __init__(self, engine: Engine, clean: Clean, tenant: Tenant, session: str = "") -> None:
        self.engine = engine
        route = clean.route
        guard = engine.guards.get(route.name)
        request, asked = inline.taken(clean.request)
        self.gate = gated(guard, asked, clean)
        self._class_of = sessions.classed(request, route, tenant, session) if guard is not None else None
        self._conversation = sessions.conversation(request, route, tenant, session)
        if self._conversation is not None and (session or sessions.begun(request)):
            request = engine.sessions.resume(request, self._conversation)
        self.request = request  # as it is answered
        self.asked = clean.before or request  # as its client sent it
        self.route = route
        self.tenant = tenant
        self.arm = engine.arm(route, request.id)
        self.attempts: list[Attempt] = []
        self.outcome: Outcome | None = None
        self.record: Record | None = None  # once it is booked
        self._current: Attempt  # the tier's that was called last: what a plan says of a draft is said of it
        self._outlet: Outlet  # once it runs
        self._limited = tenant.bounds_answers  # or by a budget
        self._started_ns = engine.clock.now_ns()
        self._started_ms = engine.clock.monotonic_ms()

    async def run(self, size: int, sink: Sink | None = None) -> Outcome:
        """Answer the request, of `size` bytes.

        Without a sink nothing flows and the outcome holds the answer. Raises what the client must be told.
        """
        outlet = self._outlet = Outlet(self.gate, sink)
        if not self.gate.open:
            self.request = await self.gate.admit(self.request, self.route, self._class_of, self.engine.sessions)
        try:
            outcome = await self._planned(size)
            if not self.gate.open:
                outcome = await outlet.finish(outcome)
        except Withheld as held:
            attempt = _answering(self.attempts, held.model)
            attempt.settle("served" if outlet.flowed else "rejected", held.rule)
            outcome = await outlet.stop(held, self.request.n, attempt.answer(complete=False).usage)
        finally:
            for attempt in self.attempts:
                if attempt.ended_ms is None:
                    await attempt.close(self.engine.clock.monotonic_ms())
        self.outcome = outcome
        answered = outcome.decision.action == "serve" and outcome.answer.model != HUMAN.name
        if self._conversation is not None and answered:
            self.engine.sessions.remember(self._conversation, outcome.answer.model)
        return outcome

    async def _planned(self, size: int) -> Outcome:
        """The plan, step by step."""
        plan = cascade(self.request, self.route, self.arm)
        try:
            step = next(plan)
            while True:
                try:
                    result = self._perform(step, size)
                    if not isinstance(step, _AT_ONCE):
                        result = await result
                except TierwiseError as error:
                    if self._outlet.flowed:
                        raise
                    step = plan.throw(error)
                else:
                    step = plan.send(result)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome

    def book(self, status: int, rule: str) -> Record:
        """Queue the record for the ledger. `rule` is what stands there where no decision was reached."""
        decision = self.outcome.decision if self.outcome else Decision("refuse", rule)
        if self.gate is not OPEN and (found := self.gate.evidence):
            decision = msgspec.structs.replace(decision, evidence=(*decision.evidence, *found))
        subject = Subject(self.request, self.route, self.tenant, self._started_ns, self.arm)
        now_ms = self.engine.clock.monotonic_ms()
        total_ms = now_ms - self._started_ms
        ceiling, meter = self.engine.snapshot.ceiling, self.engine.meter
        record = subject.record(self.attempts, status, decision, total_ms, ceiling, meter)
        self.engine.post(record)
        self.engine.hours.settle(record, self.route, now_ms)
        self.record = record
        return record

    def _perform(self, step: Wish, size: int) -> Any:
        """The result of a step that is done `_AT_ONCE`; of others what it comes of."""
        match step:
            case Call():
                return self._call(step)
            case Reserve():
                return self._reserve(step, size)
            case Verify(answer, opinions, judged):
                self.gate.check(step)
                return self.engine.verifier(self.route).score(self.request, answer, opinions, judged)
            case Serve() | Hand():
                return self._serve(step)
            case Resume(decision):
                return self._resume(self._current, decision)
            case Drop(decision):
                self._current.settle("rejected", decision.rule)
                return self._current.close(self.engine.clock.monotonic_ms())
            case Score():
                return self.engine.routers[self.route.name].score(self.request, None)
            case Consult() | Judge() | Screen():
                return self._others(step)
            case Escalate(model):
                most = bound(Reserve((model,)), self.request, self.route, size, self.engine.snapshot.ceiling)
                now_ms = self.engine.clock.monotonic_ms()
                return self.engine.hours.escalate(self.tenant.key_id, self.route, self.request.id, most.nanos, now_ms)

    async def _others(self, step: Consult | Judge | Screen) -> tuple[Answer, ...] | Evidence | frozenset[str]:
        panel = Panel(self._start, self.engine.clock, self.engine.patience)
        if isinstance(step, Screen):
            tags = await self.gate.decide(self.request, step.model, panel)
            if self._class_of is not None:
                self.engine.sessions.keep(self._class_of, tags & (self.route.floor | self.route.human))
            self.request = msgspec.structs.replace(self.request, tags=self.request.tags | tags)
            return tags
        if isinstance(step, Judge):
            return await panel.judge(self.request, step)
        return await panel.consult(self.request, self.route, step.models, self._current.model.name)

    def _reserve(self, step: Reserve, size: int) -> Awaitable[None]:
        """Before the first call: what is called, and what is served, is promised to the ledger."""
        engine, request, route, payer = self.engine, self.request, self.route, self.tenant
        budgets = bearing(engine.snapshot.bearers, payer, route.name, request.tags)
        self._limited = payer.bounds_answers or bool(budgets)
        most = bound(step, request, route, size, engine.snapshot.ceiling)
        held = Reservation(
            request.id,
            payer.key_id,
            route.name,
            most.nanos,
            self._started_ns,
            budgets,
            most.tokens,
            payer.team,
            step.soft,
        )
        return engine.reserve(held)

    async def _call(self, step: Call) -> Answer:
        if self.request.json_answer and form.way(step.model, self.request) == "retry":

            async def attempted(asked: Request) -> tuple[Attempt, Answer]:
                self._current = self._start(step.model, asked)
                return self._current, await self._drain(self._current, None)

            # nothing flows before it has its form
            answer = await structured_retry.ask_until_valid(step.model, self.request, attempted)
            if step.decision is not None:
                await self._serve(Serve(answer, step.decision))
            return answer
        attempt = self._current = self._start(step.model, self.request)
        attempt.decision = step.decision
        return await self._drain(attempt, _next_look(attempt, self.route) if step.hold == "window" else None)

    def _start(self, model: Model, request: Request, duty: Duty | None = None) -> Attempt:
        other = request is not self.request
        if self._limited and request.max_output is None:
            # a limit only holds where every answer ends by what was reserved for it
            request = msgspec.structs.replace(request, max_output=model.max_output)
        stream = self.engine.providers[model.name].stream(model, request)
        clock, asked = self.engine.clock, request if other else None
        attempt = Attempt(model, stream, clock.monotonic_ms(), duty=duty, asked=asked, started_ns=clock.now_ns())
        self.attempts.append(attempt)
        return attempt

    async def _resume(self, attempt: Attempt, decision: Decision | None) -> Answer:
        if decision is None:
            return await self._drain(attempt, _next_look(attempt, self.route))
        attempt.decision = decision
        await self._outlet.put(attempt.model, decision, tuple(attempt.chunks))
        return await self._drain(attempt, None)

    async def _serve(self, step: Serve | Hand) -> Answer:
        """What is whole already: a draft, or what a client is told whose request a person answers."""
        decision = step.decision
        if isinstance(step, Hand):
            answer = await handed(self.engine.desk, self.request, self.route, self.tenant, decision)
            await self._outlet.put(HUMAN, decision, answer.chunks)
            return answer
        answer = step.answer
        attempt = _answering(self.attempts, answer.model)
        attempt.decision = decision
        attempt.settle("served", decision.rule)
        await self._outlet.put(attempt.model, decision, answer.chunks)
        return answer

    async def _drain(self, attempt: Attempt, look: int | None) -> Answer:
        """Take the stream to its end, or until `look` tokens have come, for the plan to have a look."""
        clock = self.engine.clock
        seen = tokens(attempt.chunks) if look is not None else 0
        try:
            async for batch in attempt.stream:
                attempt.take(batch, clock)
                if attempt.decision is not None:
                    await self._outlet.put(attempt.model, attempt.decision, batch)
                elif look is not None and (seen := seen + tokens(batch)) >= look:
                    return attempt.answer(complete=False)
        except TierwiseError as error:
            attempt.settle("failed", error.code or error.kind)
            raise
        attempt.ended_ms = clock.monotonic_ms()
        if attempt.decision is not None:
            attempt.settle("served", attempt.decision.rule)
        return attempt.answer(complete=True)


async def cleaned(engine: Engine, request: Request, route: Route, body: bytes, decode: Decode) -> Clean:
    """The request as the route's rule for personal data lets it on; `body` is what `decode` made it of.

    Raises Forbidden where no model may have it.
    """
    rule = engine.privates.get(route.name)
    return Clean(request, route) if rule is None else await rule.clean(request, route, body, decode)


def _answering(attempts: list[Attempt], model: str) -> Attempt:
    """The one in which a model was asked to answer the client; of several tries the last."""
    return next(item for item in reversed(attempts) if item.model.name == model and item.duty not in ASIDE)


def _next_look(attempt: Attempt, route: Route) -> int:
    """The number of tokens at which the plan looks at a window again."""
    return tokens(attempt.chunks) + max(route.window // LOOKS, 1)
