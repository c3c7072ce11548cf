"""What is queued for the writer's thread, and how whoever waits for it hears of its end.

Knows both sides of the queue; nothing of what is written.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

import msgspec

from tierwise.errors import StoreError, TierwiseError

log = logging.getLogger("tierwise.store")

Job = Callable[[Any], Any]
"""Is given the backend, on its thread."""


_PENDING = object()


class Ticket(msgspec.Struct, eq=False):
    """What was queued. Awaiting it gives the outcome, or raises it; nobody has to, and then nobody is woken.

    `hurry` is called where somebody begins to wait. Settled on the writer's thread. Both sides write their own field
    before they read the other's, so under the interpreter's lock at least one of them sees that somebody waits for an
    outcome that is there.
    """

    payload: Any = None
    job: Job | None = None
    hurry: Callable[[], None] | None = None
    _future: asyncio.Future[None] | None = None
    _outcome: Any = _PENDING

    def __await__(self) -> Generator[Any, None, Any]:
        if self._outcome is _PENDING:
            if self._future is None or self._future.done():  # done: somebody waited before, and was cancelled
                self._future = asyncio.get_running_loop().create_future()
                if self.hurry is not None:
                    self.hurry()
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


class Inbox:
    """Between an event loop, which fills it, and the thread that empties it.

    `rung`: the thread has been told of what waits, or will look anyway. `hurry`: somebody waits for something in it.
    `failures` counts lost writes; `sound` is False from a group that could not be written until one can.
    """

    def __init__(self) -> None:
        self.waiting: deque[Ticket] = deque()
        self.ahead: deque[Ticket] = deque()  # jobs
        self.bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.rung = False
        self.hurry = False
        self.closed = False
        self.failures = 0
        self.sound = True
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        self.rung = True
        self.bell.put(None)

    def settle(self, tickets: Sequence[Ticket], outcomes: Sequence[object]) -> None:
        """Count what was lost, and tell who waits."""
        lost = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
        if lost:
            self.failures += len(lost)
            log.error("%d of %d writes failed: %s", len(lost), len(tickets), lost[0].message)
        self.tell(tickets, outcomes)

    def tell(self, tickets: Sequence[Ticket], outcomes: Sequence[object]) -> None:
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
