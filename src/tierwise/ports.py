"""The seam: what the core needs from the outside, as Protocols. Every implementation is one file.

Each port has one conformance suite in `tests/conformance/` that all its implementations pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from tierwise.money import Amount, Correction, Key, Record, Reservation, Spend, Traffic
from tierwise.proof import Case, Day, Event, Label, Sample, Texts
from tierwise.types import Answer, Chunk, Evidence, Model, Request, Verdict

Batch = tuple[Chunk, ...]
"""Chunks that arrived together: a burst costs one wake-up."""


class Batches(Protocol):
    """Batches as they come: an async generator, or what is cheaper. To be closed, whatever has come of it."""

    def __aiter__(self) -> AsyncIterator[Batch]: ...
    def __anext__(self) -> Awaitable[Batch]: ...
    def aclose(self) -> Coroutine[Any, Any, None]: ...


class Provider(Protocol):
    """One model's upstream."""

    def stream(self, model: Model, request: Request) -> Batches:
        """The answer as it comes, batches of at least one chunk. Ends only after a finish reason was seen.

        Streams where `request.stream` is set; else the answer comes as one batch. Closing it closes the provider's
        connection. Raises ProviderError, and nothing else, for whatever the upstream does.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and child processes. May be called twice."""
        ...


class Scorer(Protocol):
    """Router (draft None) and verifier (draft given) alike: pure, no I/O, linear time.

    What was found out about a draft since it was first scored comes in too: other models' answers to the same
    request (`opinions` None: nobody was asked; empty: nobody answered), and a judge's finding.
    """

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict: ...


class Clock(Protocol):
    def now_ns(self) -> int: ...  # Unix time in nanoseconds; may jump
    def monotonic_ms(self) -> float: ...  # for durations; never jumps


class Desk(Protocol):
    """Requests that wait for a person, and what was answered."""

    async def hand(self, case: Case) -> None: ...  # durable when it returns; the same id a second time is none
    async def case(self, case_id: str) -> Case | None: ...
    async def cases(self, *, answered: bool = False, route: str = "") -> Sequence[Case]: ...  # oldest first; "": all
    async def answer(self, case_id: str, text: str, by: str, at_ns: int) -> bool: ...  # False: unknown, or answered
    async def forget(self, route: str, before_ns: int) -> int: ...  # cases that were answered before that


class Proof(Protocol):
    """Samples, labels, texts and the trail; what people answer. Raises StoreError where a write is not durable."""

    @property
    def desk(self) -> Desk: ...

    def keep(self, item: Sample | Texts | Label) -> Awaitable[None]: ...  # queued at once
    async def samples(self, route: str, after: int = 0) -> Sequence[Sample]: ...  # in their order, of ids above `after`
    async def labels(self, route: str, after: int = 0) -> Sequence[Label]: ...  # so too
    async def texts(self, route: str) -> Sequence[Texts]: ...  # oldest first
    async def text(self, request_id: str) -> Texts | None: ...  # None: never kept, or forgotten
    async def forget(self, route: str, before_ns: int) -> int: ...  # texts of before that; how many
    async def note(self, event: Event) -> bool: ...  # False: the trail has one with its key already
    async def trail(self, route: str = "") -> Sequence[Event]: ...  # "": of all routes; oldest first
    async def days(self, route: str) -> Sequence[Day]: ...  # that had requests, oldest first


class Sums(Protocol):
    """What is kept beside the ledger's rows: the state of accounts, and sums by the hour."""

    async def used(self, accounts: Sequence[str]) -> Mapping[str, Amount]: ...  # posted and held, in both units
    async def spend(self, since: int, until: int) -> Sequence[Spend]: ...  # of the hours in [since, until), in order
    async def traffic(self, since: int, until: int) -> Sequence[Traffic]: ...


class Store(Protocol):
    """Keys and the ledger. Raises StoreError when a write can't be made durable."""

    @property
    def sound(self) -> bool: ...  # False after a write that failed, until one succeeds
    @property
    def proof(self) -> Proof: ...  # in the same database
    @property
    def sums(self) -> Sums: ...

    def reserve(self, reservation: Reservation) -> Awaitable[None]:
        """Awaiting it waits until it outlives this process; then the request may be called and served.

        Raises BudgetExceeded instead where one of its budgets could be passed, all other requests' bounds included.
        """
        ...

    def post(self, record: Record) -> Awaitable[None]: ...  # queued at once; the rest of its reservation is voided
    def correct(self, correction: Correction) -> Awaitable[None]: ...  # so too
    async def add_key(self, key: Key) -> None: ...
    async def revoke_key(self, key_id: str, at_ns: int) -> bool: ...  # False where there is no such live key
    async def keys(self) -> Sequence[Key]: ...
    async def record(self, request_id: str) -> Record | None: ...  # None while it is not settled
    async def spent(self, account: str) -> tuple[int, int]: ...  # (posted, held) nano-dollars, see `core/window.py`
    async def close(self) -> None: ...  # writes what is queued first; may be called twice
