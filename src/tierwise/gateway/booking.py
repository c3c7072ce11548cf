"""What a request has spent: its attempts as they go, and the record that the ledger gets in the end.

Knows no provider and no client; the arithmetic is `core/price.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from tierwise.core import price
from tierwise.core.join import join
from tierwise.core.tokens import UNTAUGHT, Ratio
from tierwise.dialects.anthropic_answers import begun
from tierwise.dialects.openai_upstream import service_asked
from tierwise.money import Arm, Entry, Record, Tenant
from tierwise.ports import Batch, Batches, Clock
from tierwise.types import Answer, Chunk, CostState, Decision, Duty, Model, Price, Request, Route, Usage

Fate = Literal["served", "rejected", "consulted", "failed", "cancelled"]
ASIDE = frozenset({"opinion", "judge", "audit", "observe", "screen"})  # duties by which no client is ever answered
LESSONS = 64  # of a model's counted answers, the first, that teach
SECOND = 1_000_000_000  # nanoseconds
EVERY = 64  # of later ones one in so many: reading texts takes some tens of microseconds
MODELS = 1024  # whose ratios are kept


class Meter:
    """Who counts: entries by provider, and those whose usage the provider told; and what each model's answers teach.

    Of this process, since it began; nothing of it is stored.
    """

    def __init__(self) -> None:
        self.entries: dict[str, int] = {}  # by provider
        self.reported: dict[str, int] = {}
        self._lessons: dict[str, tuple[int, Ratio]] = {}  # by configured model: counted answers, what they taught

    def ratio(self, model: Model) -> Ratio:
        return self._lessons.get(model.name, (0, UNTAUGHT))[1]

    def note(self, model: Model, *, reported: bool) -> None:
        """An entry that was or will be paid for."""
        self.entries[model.provider] = self.entries.get(model.provider, 0) + 1
        self.reported[model.provider] = self.reported.get(model.provider, 0) + reported

    def teach(self, model: Model, request: Request, attempt: Attempt, usage: Usage) -> None:
        """A whole answer that was counted. Most are passed over once enough is known: reading texts takes time."""
        count, ratio = self._lessons.get(model.name, (0, UNTAUGHT))
        if count < LESSONS or count % EVERY == 0:
            ratio = ratio.taught(request, attempt.answer(complete=True), usage)
        if not count and len(self._lessons) >= MODELS:
            del self._lessons[next(iter(self._lessons))]
        self._lessons[model.name] = (count + 1, ratio)


@dataclass(slots=True)
class Attempt:
    """One call of a model. `fate` is "cancelled" until something better is known.

    `duty` and `asked` are set where it was asked something else than to answer the client's request.
    """

    model: Model
    stream: Batches
    started_ms: float
    decision: Decision | None = None  # once its text may flow out
    chunks: list[Chunk] = field(default_factory=list)
    first_ms: float | None = None
    ended_ms: float | None = None
    fate: Fate = "cancelled"
    rule: str = "cancelled"
    duty: Duty | None = None
    asked: Request | None = None
    started_ns: int = 0  # by the wall clock: prices hold by date and hour

    def take(self, batch: Batch, clock: Clock) -> None:
        """What has come."""
        if self.first_ms is None and _speaks(batch):
            self.first_ms = clock.monotonic_ms()
        self.chunks += batch

    def answer(self, *, complete: bool) -> Answer:
        return join(self.model.name, self.chunks, complete=complete)

    def settle(self, fate: Fate, rule: str) -> None:
        self.fate, self.rule = fate, rule

    async def close(self, now_ms: float) -> None:
        """Stop the provider where it is still at it. May be called again."""
        if self.ended_ms is None:
            self.ended_ms = now_ms
            await self.stream.aclose()

    def entry(self, role: Duty, request: Request, ceiling: Price, meter: Meter | None = None) -> Entry:
        """Its line of the ledger. What a provider did not count is estimated from what it has said.

        `meter` is told of it, and knows how this model's tokens compare with its text.
        """
        request = self.asked or request
        usage, fallback = self._counted(request, UNTAUGHT if meter is None else meter.ratio(self.model))
        if meter is not None and usage is not price.NOTHING:
            meter.note(self.model, reported=usage is not None)
            if usage is not None:
                meter.teach(self.model, request, self, usage)
        counted, nanos, state = price.charge(self.model, usage, fallback, ceiling, self.started_ns // SECOND)
        ended = self.ended_ms if self.ended_ms is not None else self.started_ms
        return Entry(
            model=self.model.name,
            provider_model=self.model.model,
            role=self.duty or role,
            usage=counted,
            nanos=nanos,
            cost_state=state,
            outcome=self.fate,
            rule=self.rule,
            first_ms=None if self.first_ms is None else self.first_ms - self.started_ms,
            total_ms=ended - self.started_ms,
        )

    def _counted(self, request: Request, ratio: Ratio) -> tuple[Usage | None, Usage]:
        """(what the provider counted of the whole answer, or None; then an estimate of it).

        What the provider did not say of the service it used is taken to be what it was asked for.
        """
        chunks = self.chunks
        if len(chunks) == 1 and chunks[0].finish is not None:  # an answer that came at once
            whole = chunks[0].usage
            if whole is not None and whole.output_tokens:
                return self._served(whole, request), price.NOTHING
        if not chunks and self.fate == "failed":
            return price.NOTHING, price.NOTHING  # a call that failed before its first word is not billed
        place, known = _last_count(chunks)
        if known is None:
            guessed = price.estimate(request, self.answer(complete=False), ratio)
            start = begun(chunks[0]) if chunks else None
            if start is None:
                return None, self._served(guessed, request)
            return None, price.resumed(start, max(guessed.output_tokens - start.output_tokens, 0))
        known = self._served(known, request)
        # a running total counts what had come by then, and nothing of what came later; 0 of something is no count
        later = chunks[place + 1 :] if known.output_tokens else chunks
        ended = chunks[-1].finish is not None or any(chunk.finish is not None for chunk in reversed(chunks))
        if ended and not _speaks(later):
            return known, price.NOTHING
        rest = price.estimate(request, join(self.model.name, later, complete=False), ratio) if _speaks(later) else None
        return None, price.resumed(known, 0 if rest is None else rest.output_tokens)

    def _served(self, usage: Usage, request: Request) -> Usage:
        service = "" if usage.service or self.model.pricing is None else service_asked(request, self.model)
        return msgspec.structs.replace(usage, service=service) if service else usage


class Subject(msgspec.Struct, frozen=True):
    """Whose bill it is."""

    request: Request
    route: Route
    tenant: Tenant
    started_ns: int
    arm: Arm = ""

    def role(self, model: Model) -> Duty:
        if len(self.route.tiers) == 1 and self.route.reference is None:
            return "direct"
        return "premium" if model.name == self.route.yardstick.name else "draft"

    def record(
        self,
        attempts: list[Attempt],
        status: int,
        decision: Decision,
        total_ms: float,
        ceiling: Price,
        meter: Meter | None = None,
    ) -> Record:
        """Everything that was spent, and what always-premium would have cost."""
        entries = tuple([item.entry(self.role(item.model), self.request, ceiling, meter) for item in attempts])
        nanos, state = self._baseline(entries)
        return Record(
            request_id=self.request.id,
            key_id=self.tenant.key_id,
            route=self.route.name,
            started_ns=self.started_ns,
            total_ms=total_ms,
            status=status,
            decision=decision,
            entries=entries,
            baseline_nanos=nanos,
            baseline_state=state,
            team=self.tenant.team,
            arm=self.arm,
        )

    def _baseline(self, entries: tuple[Entry, ...]) -> tuple[int, CostState]:
        """Where premium answered it is what premium cost; a request that got no answer would have cost nothing."""
        tried = [entry for entry in entries if entry.role not in ASIDE]
        last = next((entry for entry in reversed(tried) if entry.outcome in ("served", "cancelled")), None)
        if last is None:
            return 0, "computed"
        if last.role != "draft":
            return last.nanos, last.cost_state
        spent = sum([entry.nanos for entry in entries])
        return price.baseline(self.route.yardstick, last.usage, spent, self.started_ns // SECOND)


def _speaks(batch: Sequence[Chunk]) -> bool:
    """Many servers open a stream with an empty piece long before the first token."""
    return any(chunk.text or chunk.reasoning or chunk.refusal or chunk.tool_calls for chunk in batch)


def _last_count(chunks: Sequence[Chunk]) -> tuple[int, Usage | None]:
    """Where the provider last said what it has counted, and what that was."""
    for place in range(len(chunks) - 1, -1, -1):
        usage = chunks[place].usage
        if usage is not None:
            return place, usage
    return -1, None
