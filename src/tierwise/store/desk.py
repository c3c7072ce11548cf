"""Requests that wait for a person: `ports.Desk` over a store's one writing thread.

Knows the thread and the pages; rows are `cases.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tierwise.proof import Case
from tierwise.store import cases
from tierwise.store.writer import Writer

PAGE = 100  # cases read, or deleted, between two turns of whoever waits for a lease


class LedgerDesk:
    """Implements `ports.Desk`. Lives and ends with the store whose writer it shares."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def hand(self, case: Case) -> None:
        await self._job(cases.hand, case)

    async def case(self, case_id: str) -> Case | None:
        found: Case | None = await self._job(cases.case, case_id)
        return found

    async def cases(self, *, answered: bool = False, route: str = "") -> Sequence[Case]:
        found: list[Case] = []
        last = cases.FIRST
        while page := await self._job(cases.cases, answered, route, last, PAGE):
            found += page
            last = (page[-1].at_ns, page[-1].id)
        return found

    async def answer(self, case_id: str, text: str, by: str, at_ns: int) -> bool:
        done: bool = await self._job(cases.answer, case_id, text, by, at_ns)
        return done

    async def forget(self, route: str, before_ns: int) -> int:
        gone = 0
        while count := await self._job(cases.forget, route, before_ns, PAGE):
            gone += count
        if gone:
            await self._writer.ask(lambda backend: backend.db.scrub())
        return gone

    async def _job(self, do: Callable[..., Any], *arguments: object) -> Any:
        return await self._writer.ask(lambda backend: do(backend.db, *arguments))
