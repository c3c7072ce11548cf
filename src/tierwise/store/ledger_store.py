"""The store over either database: reservations are held in memory and promised in a journal, one thread writes.

No request waits for the database: `reserve` is done once what it needs is leased and the journal has it, and the writer
thread moves what the journal has to the database, for as long as that takes. Only what a lease lacks is waited for.
What the journal has survives kill -9 of the process; what was committed survives what the database survives.
Knows who does what; leases are `holding.py`'s, files are `journal.py`'s, the queue is `writer.py`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

from tierwise.errors import BudgetExceeded, StoreError, TierwiseError
from tierwise.money import Correction, Record, Reservation
from tierwise.ports import Clock
from tierwise.store.backend import Backend, Limits
from tierwise.store.database import Database
from tierwise.store.holding import Holding
from tierwise.store.journal import NOWHERE, Journal, Line
from tierwise.store.proof import LedgerProof
from tierwise.store.queries import LedgerSums, Queries
from tierwise.store.ticket import Ticket
from tierwise.store.writer import Writer
from tierwise.types import Value

log = logging.getLogger("tierwise.store")


class Counts(Value, frozen=True):
    """What went wrong since the store was opened."""

    failures: int  # writes that were lost, awaited or not, and reservations that could not be kept
    duplicates: int  # second ends of a request, ignored


class Done:
    """What was over at once. Awaiting it gives nothing, or raises what went wrong."""

    __slots__ = ("_error",)

    def __init__(self, error: TierwiseError | None = None) -> None:
        self._error = error

    def __await__(self) -> Generator[Any, None, None]:
        if self._error is not None:
            raise self._error
        return
        yield


DONE = Done()


class LedgerStore(Queries):
    """Implements `ports.Store`. Belongs to the event loop it was opened in."""

    def __init__(self, writer: Writer, backend: Backend, journal: Journal, clock: Clock, limits: Limits) -> None:
        super().__init__(writer)
        self.proof = LedgerProof(writer)
        self.sums = LedgerSums(writer)
        self._backend = backend
        self._journal = journal
        self._limits = limits
        self._holding = Holding(writer, backend, clock, self._keep)
        self._failures = 0
        self._said = ""  # of reservations that are refused

    @property
    def sound(self) -> bool:
        return self._writer.sound

    @property
    def counts(self) -> Counts:
        return Counts(self._failures + self._writer.failures, self._backend.ledger.duplicates)

    def reserve(self, reservation: Reservation) -> Awaitable[None]:
        try:
            self._look()
            waiting = self._holding.hold(reservation)
            if waiting is not None:
                return waiting
            self._keep(reservation)
        except BudgetExceeded as error:
            return Done(error)
        except TierwiseError as error:
            return Done(self._refused(error))
        return DONE

    def post(self, record: Record) -> Awaitable[None]:
        self._holding.settle(record)
        return self._end(record)

    def correct(self, correction: Correction) -> Awaitable[None]:
        return self._end(correction)

    async def close(self) -> None:
        await self._holding.close()
        await self._writer.close()

    def _look(self) -> None:
        """Raises StoreError where no reservation may be made, whoever asks."""
        inbox = self._writer.inbox
        if inbox.closed:
            raise StoreError("the ledger is closed")
        if not inbox.sound and self._limits.when_down == "refuse":
            raise StoreError("the ledger can't be written; by the config nothing is served until it can")
        if self._journal.waiting > self._limits.spool_mb << 20:
            raise StoreError(
                f"the ledger can't be written, and {self._limits.spool_mb} MiB wait in its journal; nothing more is "
                "served until it can"
            )

    def _keep(self, reservation: Reservation) -> None:
        """Promise what is held."""
        try:
            end = self._journal.append(reservation)
        except StoreError:
            self._holding.void(reservation.request_id)
            raise
        self._writer.put((end, reservation), bounded=False)

    def _end(self, line: Line) -> Ticket:
        """What has happened is told to the database even where the journal has no room for it."""
        end = NOWHERE
        if not self._writer.inbox.closed:
            try:
                end = self._journal.append(line)
            except StoreError as error:
                log.warning("%s; an end is only in memory until it is in the ledger", error.message)
        return self._writer.put((end, line), bounded=end == NOWHERE)

    def _refused(self, error: TierwiseError) -> TierwiseError:
        self._failures += 1
        if error.message != self._said:  # not for every request while a disk is full
            log.error("a reservation was refused: %s", error.message)
        self._said = error.message
        return error


async def open_ledger(
    make: Callable[[], Database], *, spool: Path, clock: Clock, instance: str, limits: Limits | None = None
) -> LedgerStore:
    """Open the ledger in the database that `make` gives, on the writer's thread, and settle what the dead left in it.

    `instance` is a fresh random name, `spool` the folder of this database's journals. Raises StoreError.
    """
    limits = limits or Limits()
    journal = Journal(spool, instance)
    backend = Backend(make, journal, spool, clock, instance, limits)
    writer = Writer(backend, queue_max=limits.queue, batch_max=limits.batch)
    try:
        await writer.start()
    except StoreError:
        await writer.close()
        raise
    return LedgerStore(writer, backend, journal, clock, limits)
