"""The proof beside the money: `ports.Proof` over a store's one writing thread.

What is kept goes into the same group commit as the ledger's own writes. What may be long is read, and deleted, a page
at a time: between two of them the thread draws the leases for which clients wait. Nothing of it stands in a journal:
texts of clients are kept in one place only.
Knows the queue and the pages; rows are `samples.py`'s, `trail.py`'s and `days.py`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tierwise.proof import Day, Event, Label, Sample, Texts
from tierwise.store import days, samples, trail
from tierwise.store.database import Database
from tierwise.store.desk import LedgerDesk
from tierwise.store.journal import NOWHERE
from tierwise.store.writer import Writer

ROWS = 2_000  # of a page: some milliseconds
LONG = 100  # texts of a page; each may be as long as a prompt
T = TypeVar("T", Sample, Label, Event)


class LedgerProof:
    """Implements `ports.Proof`. Lives and ends with the store whose writer it shares."""

    def __init__(self, writer: Writer) -> None:
        self.desk = LedgerDesk(writer)
        self._writer = writer

    def keep(self, item: Sample | Texts | Label) -> Awaitable[None]:
        return self._writer.put((NOWHERE, item))

    async def samples(self, route: str, after: int = 0) -> Sequence[Sample]:
        return await self._pages(lambda db, last: samples.samples(db, route, last, ROWS), after)

    async def labels(self, route: str, after: int = 0) -> Sequence[Label]:
        return await self._pages(lambda db, last: samples.labels(db, route, last, ROWS), after)

    async def texts(self, route: str) -> Sequence[Texts]:
        found: list[Texts] = []
        last = samples.FIRST
        while page := await self._job(samples.texts, route, last, LONG):
            found += [text for _, text in page]
            last = page[-1][0]
        return found

    async def text(self, request_id: str) -> Texts | None:
        found: Texts | None = await self._job(samples.text, request_id)
        return found

    async def forget(self, route: str, before_ns: int) -> int:
        gone = 0
        while count := await self._job(samples.forget, route, before_ns, LONG):
            gone += count
        await self._writer.ask(lambda backend: backend.db.scrub())
        return gone

    async def note(self, event: Event) -> bool:
        new: bool = await self._job(trail.note, event)
        return new

    async def trail(self, route: str = "") -> Sequence[Event]:
        return await self._pages(lambda conn, last: trail.lines(conn, route, last, ROWS), 0)

    async def days(self, route: str) -> Sequence[Day]:
        found: Sequence[Day] = await self._job(days.days, route)
        return found

    async def _pages(self, read: Callable[[Database, int], list[T]], after: int) -> list[T]:
        found: list[T] = []
        while page := await self._job(read, after):
            found += page
            after = page[-1].id
        return found

    def _job(self, do: Callable[..., Any], *arguments: object) -> Awaitable[Any]:
        """On the writer's thread, in turn with everything else that is queued."""
        return self._writer.ask(lambda backend: do(backend.db, *arguments))
