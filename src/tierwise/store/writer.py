"""One thread that does a store's writing, and the queue in front of it.

Nobody waits for a write: what is queued while one group is being written becomes the next. Jobs (reads, keys, leases)
are waited for: they go at once, those without `ahead` after all that was queued before them, and fail where that can't
be written. Knows the event loop's side; what the thread does is `serving.py`'s.
"""

from __future__ import annotations

import asyncio
import threading

from tierwise.errors import StoreError
from tierwise.store.serving import Backend, Serving
from tierwise.store.ticket import Inbox, Job, Ticket

LINGER = 0.02  # seconds that a write waits for others, unless somebody waits for it


class Writer:
    """Belongs to the event loop that it is made in."""

    def __init__(self, backend: Backend, *, queue_max: int, batch_max: int) -> None:
        self._queue_max = queue_max
        self.inbox = Inbox()
        self._serving = Serving(self.inbox, backend, batch_max)
        self._timer: asyncio.TimerHandle | None = None
        self._started = Ticket()
        self._ended = Ticket()
        # A daemon: an exit that forgot to close is a crash like any other, and must not hang.
        self._thread = threading.Thread(
            target=self._serving.run, args=(self._started, self._ended), name="tierwise-store", daemon=True
        )

    @property
    def sound(self) -> bool:
        """False from a group that could not be written until one can."""
        return self.inbox.sound

    @property
    def failures(self) -> int:
        """Writes that were lost, awaited or not."""
        return self.inbox.failures

    @property
    def waiting(self) -> int:
        """What is queued and not written yet."""
        return len(self.inbox.waiting) + len(self._serving.taken)

    async def start(self) -> None:
        """Raises the StoreError of the backend's `open`."""
        self._thread.start()
        await self._started

    def put(self, payload: object, *, bounded: bool = True) -> Ticket:
        """Queue a write at once. The ticket need not be awaited: a failure is counted and logged all the same.

        `bounded`: refused where the queue is full; else somebody has seen to that.
        """
        ticket, inbox = Ticket(payload, hurry=self._soon), self.inbox
        if inbox.closed:
            inbox.settle([ticket], [StoreError("the ledger is closed")])
        elif bounded and self.waiting >= self._queue_max:
            inbox.settle([ticket], [StoreError(f"ledger queue full: {self._queue_max} writes are waiting")])
        else:
            inbox.waiting.append(ticket)
            if not inbox.rung and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LINGER, self._ring)
        return ticket

    def ask(self, job: Job, *, ahead: bool = False) -> Ticket:
        """Have a job done soon: after all that is queued by now, or `ahead` of it."""
        ticket, inbox = Ticket(job=job), self.inbox
        if inbox.closed:
            ticket.settle(StoreError("the ledger is closed"))
        elif ahead:
            inbox.ahead.append(ticket)
            self._ring()
        else:
            inbox.waiting.append(ticket)
            self._soon()
        return ticket

    async def close(self) -> None:
        """Write what is queued, as far as the database takes it, then end the thread. May be called twice."""
        self.inbox.closed = True
        self._ring()
        await self._ended
        self._thread.join()

    def _soon(self) -> None:
        """Somebody waits for what is queued."""
        self.inbox.hurry = True
        self._ring()

    def _ring(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.inbox.ring()
