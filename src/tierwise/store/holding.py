"""Holds reservations on their budgets: by the leases in memory, by drawing what lacks, by waiting for it in a queue.

Belongs to the event loop. Knows the leases, the queue, and who draws (`backend.py`, on its thread); not what becomes of
a reservation that is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from tierwise.core.budget import Want
from tierwise.core.lease import Grant
from tierwise.errors import BudgetExceeded, TierwiseError
from tierwise.money import Record, Reservation
from tierwise.ports import Clock
from tierwise.store.backend import Backend
from tierwise.store.leased import Leases, names_of
from tierwise.store.wait_queue import WaitQueue
from tierwise.store.writer import Writer

BEAT = 1.0  # seconds between two looks at what is leased and idle


class Holding:
    """`keep` is told of every reservation that had to wait and is held now; where it raises, it is not."""

    def __init__(self, writer: Writer, backend: Backend, clock: Clock, keep: Callable[[Reservation], None]) -> None:
        self._writer = writer
        self._backend = backend
        self._clock = clock
        self._leases = Leases()
        self._queue = WaitQueue(self._lacks, self._draw, keep)
        self._lost = backend.lost  # as far as the leases know
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer = asyncio.get_running_loop().call_later(BEAT, self._beat)

    def hold(self, reservation: Reservation) -> Awaitable[None] | None:
        """None: it is held. Else to be waited for. Raises RowRefused."""
        return self._queue.enter(reservation) if self._lacks(reservation) else None

    def settle(self, record: Record) -> None:
        """A request has ended."""
        self._leases.settle(record)
        self._queue.ended(record.request_id)

    def void(self, request_id: str) -> None:
        """It was held in vain."""
        self._leases.void(request_id)

    async def close(self) -> None:
        """Refuse who waits; what is leased goes back with the instance's end."""
        self._timer.cancel()
        await self._queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lacks(self, reservation: Reservation) -> list[Want]:
        """Nothing: it is held. By leases alone only while nobody can have taken this process for dead."""
        if self._backend.lost > self._lost:
            self._lost = self._backend.lost
            self._leases.lost()
        sound = not reservation.budgets or self._clock.monotonic_ms() < self._backend.trusted_ms
        wants = self._leases.hold(reservation, sound=sound)
        if self._leases.thin:
            self._beside(self._draw(self._leases.taken()))
        return wants

    async def _draw(self, wants: Sequence[Want]) -> None:
        """At once; but once this process was taken for dead only after all ends that its old leases paid for."""
        lost, behind = self._lost, self._writer.waiting

        def job(backend: Backend) -> list[Grant]:
            return backend.draw(wants, lost)

        try:
            grants = await self._writer.ask(job, ahead=not lost)
        except BudgetExceeded:
            if lost or not behind:
                raise
            grants = await self._writer.ask(job)  # nobody is told that something is held which is spent by now
        if lost == self._lost:
            self._leases.add(names_of(wants), grants)

    def _beat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(BEAT, self._beat)
        if self._leases:
            self._beside(self._give_back())

    async def _give_back(self) -> None:
        wanted = await self._writer.ask(lambda backend: backend.ledger.wanted(), ahead=True)
        parts = self._leases.beat(wanted)
        if parts:
            # Where this fails nobody knows whether they were given back: until this process ends they are nobody's.
            await self._writer.ask(lambda backend: backend.ledger.give_back(parts), ahead=True)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Nobody waits for it, and where it fails it is tried again by and by."""

        async def quiet() -> None:
            with suppress(TierwiseError):
                await work

        task = asyncio.get_running_loop().create_task(quiet())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
