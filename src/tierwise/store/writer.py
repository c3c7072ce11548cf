"""One thread that does a store's writing: a bounded queue in front, groups that share a commit.

Whatever is queued while one group is being written becomes the next group. Urgent writes go at once; the others
wait a moment for company, and under load every group does, because a commit costs more than all that is in it.
Knows threads and limits; nothing of SQL or money.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any, Protocol

from tierwise.errors import StoreError, TierwiseError

log = logging.getLogger("tierwise.store")

LINGER = 0.001  # seconds that a write without urgency waits for others
RUSH = 8  # groups begun within ...
BREATH = 0.004  # ... as many times half of these seconds are load; then a group begins this long after the last one


class Backend(Protocol):
    """What the thread drives. Every method is called on the writer's thread."""

    def open(self) -> None:
        """Raises StoreError; then nothing else is called but `close`."""
        ...

    def write(self, payloads: Sequence[Any]) -> list[Any]:
        """One outcome a payload, in order: its result, or a TierwiseError (returned, not raised)."""
        ...

    def chores(self) -> float:
        """Do what is due; the seconds until something is due again."""
        ...

    def close(self) -> None: ...


class Ticket:
    """A queued write. Awaiting it gives the outcome, or raises it; nobody has to, and then nobody is woken.

    Settled on the writer's thread. Both sides write their own field before they read the other's, so under the
    interpreter's lock at least one of them sees that somebody waits for an outcome that is there.
    """

    __slots__ = ("_future", "_loop", "_outcome", "payload")

    def __init__(self, payload: object, loop: asyncio.AbstractEventLoop) -> None:
        self.payload = payload
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self._outcome: Any = _PENDING

    def __await__(self) -> Generator[Any, None, Any]:
        if self._outcome is _PENDING:
            if self._future is None or self._future.done():  # done: somebody waited before, and was cancelled
                self._future = self._loop.create_future()
            if self._outcome is _PENDING:
                yield from self._future
        if isinstance(self._outcome, TierwiseError):
            raise self._outcome
        return self._outcome

    def settle(self, outcome: object) -> bool:
        """Whether somebody waits, and has to be woken on the loop."""
        self._outcome = outcome
        return self._future is not None

    def wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


_PENDING = object()


class Writer:
    """`put` and `close` belong to the event loop's thread that made the writer.

    `failures` counts lost writes; `sound` is False from one until a group is written again.
    """

    def __init__(self, backend: Backend, *, queue_max: int, batch_max: int) -> None:
        self.failures = 0
        self.sound = True
        self._backend = backend
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Ticket] = deque()
        self._taken: list[Ticket] = []
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False  # the thread has been told of what waits, or will look anyway
        self._timer: asyncio.TimerHandle | None = None
        self._started = Ticket(None, self._loop)
        self._ended = Ticket(None, self._loop)
        self._closed = False
        # A daemon: an exit that forgot to close is a crash like any other, and must not hang.
        self._thread = threading.Thread(target=self._run, name="tierwise-store", daemon=True)

    async def start(self) -> None:
        """Raises the StoreError of the backend's `open`."""
        self._thread.start()
        await self._started

    def put(self, payload: object, *, urgent: bool = True) -> Ticket:
        """Queue at once. The ticket need not be awaited: a failure is counted and logged all the same."""
        ticket = Ticket(payload, self._loop)
        if self._closed:
            self._settle([ticket], [StoreError("the ledger is closed")])
        elif len(self._waiting) >= self._queue_max:
            self._settle([ticket], [StoreError(f"ledger queue full: {self._queue_max} writes are waiting")])
        else:
            self._waiting.append(ticket)
            if not self._rung:
                self._soon(urgent)
        return ticket

    async def close(self) -> None:
        """Write what is queued, then end the thread. May be called twice."""
        self._closed = True
        self._ring()
        await self._ended
        self._thread.join()

    def _soon(self, urgent: bool) -> None:
        if urgent:
            self._ring()
        elif self._timer is None:
            self._timer = self._loop.call_later(LINGER, self._ring)

    def _ring(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._rung = True
        self._bell.put(None)

    def _run(self) -> None:
        try:
            if self._open():
                self._serve()
        finally:
            # Also where the backend broke its contract and raised: nobody may be left waiting for this thread.
            self._closed = True
            self._backend.close()
            left = [*self._taken, *self._waiting]
            self._waiting.clear()
            self._settle(left, [StoreError("the ledger's writer has stopped") for _ in left])
            self._settle([self._ended], [None])

    def _open(self) -> bool:
        try:
            self._backend.open()
        except TierwiseError as error:
            self._tell([self._started], [error])
            return False
        self._tell([self._started], [None])
        return True

    def _serve(self) -> None:
        begun = deque([0.0], maxlen=RUSH)
        while not self._closed or self._waiting:
            if not self._waiting:
                try:
                    self._bell.get(timeout=self._backend.chores())
                except queue.Empty:
                    continue
            now = time.monotonic()
            if now - begun[0] < RUSH * BREATH / 2 and not self._closed:
                time.sleep(max(begun[-1] + BREATH - now, 0.0))
            begun.append(time.monotonic())
            self._write()
            self._backend.chores()

    def _write(self) -> None:
        while not self._bell.empty():
            self._bell.get_nowait()
        self._rung = False  # before the look: what is queued after it rings again
        group = self._taken
        while self._waiting and len(group) < self._batch_max:
            group.append(self._waiting.popleft())
        outcomes = self._backend.write([ticket.payload for ticket in group])
        self._taken = []
        self.sound = True  # unless one of them says otherwise
        self._settle(group, outcomes)

    def _settle(self, tickets: Sequence[Ticket], outcomes: Sequence[object]) -> None:
        """Count what was lost, and tell who waits."""
        lost = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
        if lost:
            self.failures += len(lost)
            self.sound = False
            log.error("%d of %d writes failed: %s", len(lost), len(tickets), lost[0].message)
        self._tell(tickets, outcomes)

    def _tell(self, tickets: Sequence[Ticket], outcomes: Sequence[object]) -> None:
        """Wake the loop once, if anybody there waits: it is the dearest part of an answer."""
        waited = [ticket for ticket, outcome in zip(tickets, outcomes, strict=True) if ticket.settle(outcome)]
        if not waited:
            return
        try:
            self._loop.call_soon_threadsafe(_wake, waited)
        except RuntimeError:  # the loop was closed before the store
            log.warning("the event loop was closed before the ledger: %d outcomes untold", len(waited))


def _wake(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        ticket.wake()
