"""The writer's thread: groups that share a commit, and patience where they can't be written.

Under load groups take breath, because a commit costs more than all that is in it. A group that the database can't take
is tried again until it can; jobs that wait behind it fail. Knows the queue; nothing of SQL, files or money.
"""

from __future__ import annotations

import itertools
import logging
import queue
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from tierwise.errors import RowRefused, StoreError, TierwiseError
from tierwise.store.ticket import Inbox, Job, Ticket

log = logging.getLogger("tierwise.store")

RUSH = 8  # groups begun within ...
BREATH = 0.05  # ... as many times half of these seconds are load; then a group begins this long after the last one
RETRY, LONGEST = 0.1, 2.0  # seconds until a group that failed is tried again; doubled each time, up to these


class Backend(Protocol):
    """What the thread drives. Every method is called on the writer's thread."""

    def open(self) -> None:
        """Raises StoreError; then nothing else is called but `close`."""
        ...

    def write(self, payloads: Sequence[Any]) -> Sequence[RowRefused | None]:
        """The outcomes of the first so many, at least of one; the rest is to be written again.

        Raises StoreError where none was written, and may be another time.
        """
        ...

    def chores(self) -> float:
        """Do what is due; the seconds until something is due again."""
        ...

    def close(self, *, whole: bool) -> None:
        """`whole`: everything that was queued is written."""
        ...


class Serving:
    """Belongs to the thread that calls `run`. `taken` is what is not written yet, of what it took out of the inbox."""

    def __init__(self, inbox: Inbox, backend: Backend, batch_max: int) -> None:
        self.taken: list[Ticket] = []
        self._inbox = inbox
        self._backend = backend
        self._batch_max = batch_max
        self._doing: Ticket | None = None  # a job
        self._begun = deque([0.0], maxlen=RUSH)
        self._delay = 0.0  # until what failed is tried again

    def run(self, started: Ticket, ended: Ticket) -> None:
        whole = False
        try:
            if self._open(started):
                self._serve()
                whole = not self.taken
        finally:
            # Also where the backend broke its contract and raised: nobody may be left waiting for this thread.
            self._inbox.closed = True
            try:
                self._backend.close(whole=whole)
            finally:
                self._leave(ended)

    def _open(self, started: Ticket) -> bool:
        try:
            self._backend.open()
        except TierwiseError as error:
            self._inbox.tell([started], [error])
            return False
        self._inbox.tell([started], [None])
        return True

    def _leave(self, ended: Ticket) -> None:
        inbox, stopped = self._inbox, StoreError("the ledger's writer has stopped")
        left = [*self.taken, *inbox.waiting, *inbox.ahead, *([] if self._doing is None else [self._doing])]
        inbox.waiting.clear()
        inbox.ahead.clear()
        writes = [ticket for ticket in left if ticket.job is None]
        asked = [ticket for ticket in left if ticket.job is not None]
        inbox.settle(writes, [stopped for _ in writes])
        inbox.tell(asked, [stopped for _ in asked])
        inbox.tell([ended], [None])

    def _serve(self) -> None:
        """Until it is closed and all is written, or can't be."""
        inbox = self._inbox
        while True:
            pause = self._pause()
            if pause > 0:
                self._doze(pause)
            while inbox.ahead:
                ticket = inbox.ahead.popleft()
                self._do(ticket, ticket.job)
            if (inbox.waiting or self.taken) and self._pause() <= 0:
                self._write()
            self._backend.chores()
            if inbox.closed and not inbox.ahead and (self._delay or not inbox.waiting):
                return

    def _doze(self, pause: float) -> None:
        try:
            self._inbox.bell.get(timeout=pause)
        except queue.Empty:
            return
        while not self._inbox.bell.empty():
            self._inbox.bell.get_nowait()

    def _pause(self) -> float:
        """Seconds until there is something to do, as far as nobody rings before."""
        inbox = self._inbox
        inbox.rung = False  # before the look: what is queued after it rings again
        if inbox.ahead or inbox.closed:
            return 0
        if not inbox.waiting and not self.taken:
            return self._backend.chores()
        inbox.rung = True
        if inbox.hurry:
            return 0
        now = time.monotonic()
        if self._delay:
            return self._begun[-1] + self._delay - now
        rush = now - self._begun[0] < RUSH * BREATH / 2
        return self._begun[-1] + BREATH - now if rush else 0

    def _write(self) -> None:
        """A group; what the database can't take now is kept, in its order, and jobs that wait for it fail."""
        inbox = self._inbox
        self._begun.append(time.monotonic())
        inbox.hurry = False
        while inbox.waiting and len(self.taken) < self._batch_max:
            self.taken.append(inbox.waiting.popleft())
        if inbox.waiting:  # more than a group: no breath is drawn before that
            inbox.hurry = True
        try:
            self._group()
        except StoreError as error:
            self._failed(error)
        else:
            if self._delay:
                log.warning("the ledger can be written again")
            self._delay = 0.0

    def _group(self) -> None:
        while self.taken:
            first = self.taken[0]
            if first.job is not None:
                del self.taken[0]
                self._do(first, first.job)
                continue
            run = list(itertools.takewhile(lambda ticket: ticket.job is None, self.taken[: self._batch_max]))
            outcomes = self._backend.write([ticket.payload for ticket in run])
            del self.taken[: len(outcomes)]
            self._inbox.sound = True  # before anybody is told
            self._inbox.settle(run[: len(outcomes)], outcomes)

    def _failed(self, error: StoreError) -> None:
        if not self._delay:
            log.error("the ledger can't be written, it is tried again until it can: %s", error.message)
        self._delay = min(self._delay * 2, LONGEST) or RETRY
        self._inbox.sound = False
        behind = [*self.taken]
        while self._inbox.waiting:
            behind.append(self._inbox.waiting.popleft())
        self._inbox.hurry = False
        self.taken = [ticket for ticket in behind if ticket.job is None]
        jobs = [ticket for ticket in behind if ticket.job is not None]
        self._inbox.tell(jobs, [error for _ in jobs])

    def _do(self, ticket: Ticket, job: Job | None) -> None:
        self._doing = ticket
        outcome: object = None
        try:
            outcome = None if job is None else job(self._backend)
        except TierwiseError as error:
            outcome = error
        except (ValueError, OverflowError) as error:  # what it was given can't be written
            outcome = RowRefused(f"the ledger can't hold a value ({type(error).__name__})")
        self._doing = None
        self._inbox.tell([ticket], [outcome])
