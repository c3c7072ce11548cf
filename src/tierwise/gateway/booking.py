"""What a request has spent: its attempts as they go, and the record that the ledger gets in the end.

Knows no provider and no client; the arithmetic is `core/price.py`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal

from tierwise.core import price
from tierwise.core.join import join
from tierwise.ports import Batch, Clock
from tierwise.types import (
    Answer,
    Chunk,
    CostState,
    Decision,
    Duty,
    Entry,
    Model,
    Price,
    Record,
    Request,
    Route,
    Tenant,
)

Fate = Literal["served", "rejected", "consulted", "failed", "cancelled"]
ASIDE = frozenset({"opinion", "judge", "audit", "observe"})  # duties of attempts that no client is ever answered by


@dataclass(slots=True)
class Attempt:
    """One call of a model. `fate` is "cancelled" until something better is known.

    `duty` and `asked` are set where it was asked something else than to answer the client's request.
    """

    model: Model
    stream: AsyncGenerator[Batch, None]
    started_ms: float
    decision: Decision | None = None  # once its text may flow out
    chunks: list[Chunk] = field(default_factory=list)
    first_ms: float | None = None
    ended_ms: float | None = None
    fate: Fate = "cancelled"
    rule: str = "cancelled"
    duty: Duty | None = None
    asked: Request | None = None

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

    def entry(self, role: Duty, request: Request, ceiling: Price) -> Entry:
        """Its line of the ledger. What a provider did not count is estimated from what it has said."""
        request = self.asked or request
        usage = next((chunk.usage for chunk in reversed(self.chunks) if chunk.usage is not None), None)
        if usage is None and self.fate == "failed" and not self.chunks:
            usage = price.NOTHING  # a call that failed before its first word is not billed
        fallback = price.estimate(request, self.answer(complete=False)) if usage is None else price.NOTHING
        counted, nanos, state = price.charge(self.model, usage, fallback, ceiling)
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


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose bill it is."""

    request: Request
    route: Route
    tenant: Tenant
    started_ns: int

    def role(self, model: Model) -> Duty:
        if len(self.route.tiers) == 1:
            return "direct"
        return "premium" if model.name == self.route.premium.name else "draft"

    def record(
        self, attempts: list[Attempt], status: int, decision: Decision, total_ms: float, ceiling: Price
    ) -> Record:
        """Everything that was spent, and what always-premium would have cost."""
        entries = tuple([item.entry(self.role(item.model), self.request, ceiling) for item in attempts])
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
        )

    def _baseline(self, entries: tuple[Entry, ...]) -> tuple[int, CostState]:
        """Where premium answered it is what premium cost; a request that got no answer would have cost nothing."""
        tried = [entry for entry in entries if entry.role not in ASIDE]
        last = next((entry for entry in reversed(tried) if entry.outcome in ("served", "cancelled")), None)
        if last is None:
            return 0, "computed"
        if last.role != "draft":
            return last.nanos, last.cost_state
        return price.baseline(self.route.premium, last.usage, sum(entry.nanos for entry in entries))


def _speaks(batch: Batch) -> bool:
    """Many servers open a stream with an empty piece long before the first token."""
    return any(chunk.text or chunk.reasoning or chunk.refusal or chunk.tool_calls for chunk in batch)
