"""The money of lines that go to a provider's batch endpoint: reserved before, posted or given back after.

What an ended process had reserved is reserved anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tierwise.core import policy, price, tariff
from tierwise.core.bearers import bearing
from tierwise.dialects.batches import Result
from tierwise.dialects.openai_chat import Label
from tierwise.errors import BudgetExceeded
from tierwise.gateway.batches.context import SubmissionContext
from tierwise.gateway.batches.eligibility import DOORS, EncodedLine, encode_submitted
from tierwise.gateway.batches.lines import RequestLine, result_line
from tierwise.gateway.batches.off_peak import named_model
from tierwise.gateway.batches.submission import Submission
from tierwise.gateway.booking import SECOND, Attempt, Subject
from tierwise.gateway.engine import Engine
from tierwise.gateway.web.http import new_id
from tierwise.money import Record, Reservation, Tenant
from tierwise.ports import Batch
from tierwise.store.instances import recovered
from tierwise.types import Answer, Chunk, Decision, Model

SERVICE = "batch"  # by which lists know the price


class SubmissionAccounting:
    """Every method raises StoreError, and OSError."""

    def __init__(self, context: SubmissionContext, submission: Submission) -> None:
        self._context = context
        self._submission = submission

    async def pending_lines(self) -> dict[str, RequestLine]:
        """Those that have no result yet, by custom_id."""
        return await asyncio.to_thread(self._context.pending_lines, self._submission)

    async def write(self, group: Sequence[tuple[RequestLine, Result]]) -> None:
        """The ledger first: what has a result is never looked at again."""
        context, submission = self._context, self._submission
        found = []
        for line, result in group:
            request_id = submission.request_ids[line.custom_id]
            tenant, endpoint = self._tenant(), context.batch.endpoint
            encoded = encode_submitted(context.engine, tenant, endpoint, line, (request_id, submission.model))
            done = posting(context.engine, tenant, endpoint, encoded, result, submission.started_ns)
            found.append((line, context.engine.store.post(done.record), result_line(line, request_id, 200, done.body)))
        for _, posted, _ in found:
            await posted
        for line, _, written in found:
            context.output.append(line, written)

    async def release(self, failures: Mapping[str, str], otherwise: str = "unanswered") -> None:
        """Nothing was spent of what was reserved for lines without an answer."""
        request_ids = self._submission.request_ids
        postings = [
            self._void(line, request_ids[name], failures.get(name) or otherwise)
            for name, line in (await self.pending_lines()).items()
        ]
        for posted in postings:
            await posted

    def _void(self, line: RequestLine, request_id: str, why: str) -> Awaitable[None]:
        record = void(self._tenant(), request_id, named_model(line), self._submission.started_ns, why)
        return self._context.engine.store.post(record)

    async def renew(self) -> None:
        """What an ended process had reserved was settled at its bound: that is put right, and reserved anew.

        So each line is booked as what it is. Where that does not fit any more, what was settled is put right when the
        line has its result.
        """
        store, submission, postings = self._context.engine.store, self._submission, list[Awaitable[None]]()
        for name, line in (await self.pending_lines()).items():
            earlier = submission.request_ids[name]
            if await self._was_settled(earlier):
                submission.add(name, new_id())
                try:
                    await store.reserve(self._reservation(line))
                except BudgetExceeded:
                    submission.add(name, earlier)
            for other in submission.earlier_ids.get(name, ()):
                if other != submission.request_ids[name] and await self._was_settled(other):
                    postings.append(self._void(line, other, "renewed"))
        for posted in postings:
            await posted

    async def _was_settled(self, request_id: str) -> bool:
        record = await self._context.engine.store.record(request_id)
        return record is not None and record.decision.rule == "recovered"

    def _reservation(self, line: RequestLine) -> Reservation:
        context, tenant, submission = self._context, self._tenant(), self._submission
        submitted = submission.request_ids[line.custom_id], submission.model
        encoded = encode_submitted(context.engine, tenant, context.batch.endpoint, line, submitted)
        return reservation(context.engine, tenant, encoded, len(line.body), submission.started_ns)

    async def post_bounds(self) -> None:
        """What nobody knows counts at its bound."""
        for line in (await self.pending_lines()).values():
            await self._context.engine.store.post(recovered(self._reservation(line)))

    def _tenant(self) -> Tenant:
        """Who pays, revoked or not: what was sent is paid for."""
        key_id = self._context.key_id
        return self._context.app.keyring.tenant(key_id) or Tenant(key_id, "", team=self._submission.team)


# ------------------------------------------------------------------ one line


def reservation(engine: Engine, tenant: Tenant, encoded: EncodedLine, size: int, started_ns: int) -> Reservation:
    """For a line of `size` bytes, at the batch price of the list that holds at `started_ns`."""
    request, model = encoded.request, encoded.model
    most = price.bound(request, size, (model,), engine.snapshot.ceiling)
    prices = None if model.pricing is None else tariff.valid(model.pricing.tariffs, started_ns // SECOND)
    nanos = most.nanos
    if prices is not None:
        output = (request.max_output or model.max_output) * request.n
        nanos = tariff.bound(prices, SERVICE, most.tokens - output, output)
    return Reservation(
        request.id,
        tenant.key_id,
        encoded.route.name,
        nanos,
        started_ns,
        bearing(engine.snapshot.bearers, tenant, encoded.route.name, frozenset()),
        most.tokens,
        tenant.team,
    )


class Posting(NamedTuple):
    """A line that was answered: its record for the ledger, and the body for its client."""

    record: Record
    body: bytes


def posting(
    engine: Engine, tenant: Tenant, endpoint: str, encoded: EncodedLine, result: Result, began_ns: int
) -> Posting:
    """By what its provider has counted, at the batch price of when it was sent."""
    chunks = tuple([_as_batch(chunk) for chunk in result.chunks])
    attempt, total_ms = _attempt(engine, encoded.model, began_ns)
    attempt.chunks += chunks
    answer: Answer = attempt.answer(complete=True)
    rule = policy.path(encoded.request, encoded.route)[1]
    attempt.settle("served", SERVICE)
    record = _subject(tenant, encoded, began_ns).record(
        [attempt], 200, Decision("serve", rule), total_ms, engine.snapshot.ceiling, engine.meter
    )
    engine.hours.settle(record, encoded.route, engine.clock.monotonic_ms())
    door = DOORS[endpoint]
    label = Label(f"{door.prefix}{encoded.request.id}", engine.clock.now_ns() // SECOND, encoded.model.name)
    return Posting(record, door.answer(answer, encoded.request, label))


def void(tenant: Tenant, request_id: str, route: str, began_ns: int, why: str) -> Record:
    """The end of a reservation that nothing was spent of."""
    decision = Decision("refuse", f"batch:{why}")
    return Record(request_id, tenant.key_id, route, began_ns, 0, 503, decision, (), 0, "computed", team=tenant.team)


def _subject(tenant: Tenant, encoded: EncodedLine, began_ns: int) -> Subject:
    return Subject(encoded.request, encoded.route, tenant, began_ns)


def _attempt(engine: Engine, model: Model, began_ns: int) -> tuple[Attempt, float]:
    total_ms = max(engine.clock.now_ns() - began_ns, 0) / 1_000_000  # the clock may jump
    return Attempt(model, _silent(), 0.0, started_ns=began_ns, ended_ms=total_ms), total_ms


async def _silent() -> AsyncGenerator[Batch, None]:
    """Nobody listens to it: the answer has come by another way."""
    return
    yield ()


def _as_batch(chunk: Chunk) -> Chunk:
    """Providers don't say of a batch's answer that it is one's."""
    if chunk.usage is None:
        return chunk
    return msgspec.structs.replace(chunk, usage=msgspec.structs.replace(chunk.usage, service=SERVICE))
