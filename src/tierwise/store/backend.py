"""The writer thread's side of a store: the database, the ledger in it, and the chores that keep both in order.

Beats say that this instance lives. At each of them what dead instances left in journals is replayed, and only then what
they left open is settled at its bound.
Knows no future and no event loop; rows are `ledger.py`'s, files are `journal.py`'s.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from tierwise.core.budget import Want
from tierwise.core.lease import Grant
from tierwise.errors import RowRefused, StoreError
from tierwise.ports import Clock
from tierwise.store import instances
from tierwise.store.database import Database
from tierwise.store.journal import NOWHERE, Journal, Line, recover
from tierwise.store.ledger import Item, Ledger
from tierwise.types import Value

log = logging.getLogger("tierwise.store")


class Limits(Value, frozen=True):
    queue: int = 10_000  # writes that may wait without a journal, and jobs; one more is refused
    batch: int = 1_000  # writes in one transaction
    busy_ms: int = 5_000  # how long a write waits for another process
    beat_ms: int = 5_000  # how often an instance says that it lives, and looks for the dead
    stale_ms: int = 30_000  # a beat older than this is a dead instance's
    spool_mb: int = 64  # that may wait in the journal while the database is down; then requests are refused
    when_down: Literal["spool", "refuse"] = "spool"  # or refuse them as soon as it is


class Backend:
    """`lost` counts how often this instance was taken for dead: what it had leased before is nobody's any more.

    `trusted_ms`: until then nobody can have done so.
    """

    db: Database
    ledger: Ledger

    def __init__(
        self, make: Callable[[], Database], journal: Journal, spool: Path, clock: Clock, me: str, limits: Limits
    ) -> None:
        self.lost = 0
        self.trusted_ms = 0.0
        self._make = make
        self._journal = journal
        self._spool = spool
        self._clock = clock
        self._me = instances.Instance(me, socket.gethostname(), os.getpid())
        self._limits = limits
        self._due_ms = 0.0
        self._offset_ms = 0.0  # between the wall clock and the monotonic one
        self._trust_ms = 0.0  # no beat is judged by the wall clock before this
        self._dead: dict[str, Ledger] = {}  # whose journals are being replayed

    def open(self) -> None:
        db = self._make()
        self.db = db
        db.migrate()
        self.ledger = Ledger(db, self._me.id)
        self._offset_ms = _offset(self._clock)
        self._keep_house()
        self.lost = 0

    def write(self, payloads: Sequence[tuple[int, Item]]) -> Sequence[RowRefused | None]:
        """Items, each with where it ends in the journal, or NOWHERE."""
        outcomes = self.ledger.write([item for _, item in payloads])
        end = max([end for end, _ in payloads[: len(outcomes)]])
        if end != NOWHERE:
            self._journal.settle(end)
        return outcomes

    def draw(self, wants: Sequence[Want], lost: int) -> list[Grant]:
        """`lost`, as far as who asks knows. Whoever was silent for long says first that it lives."""
        if self._clock.monotonic_ms() >= self.trusted_ms:
            self._beat()
        if self.lost != lost:
            raise StoreError("this process was silent for so long that it was taken for dead; ask again")
        return self.ledger.draw(wants)

    def chores(self) -> float:
        now_ms = self._clock.monotonic_ms()
        if now_ms >= self._due_ms:
            try:
                self._keep_house()
            except StoreError as error:  # the next beat tries again
                log.warning("housekeeping failed: %s", error.message)
        return max(0.0, self._due_ms - now_ms) / 1000

    def sweep(self, busy: Collection[str] = ()) -> int:
        """Settle what dead instances left open; how many requests that were."""
        alive_ns = self._clock.now_ns() - self._limits.stale_ms * 1_000_000
        if self._clock.monotonic_ms() < self._trust_ms:
            alive_ns = 0
        return _told(instances.sweep(self.db, self._me, alive_ns, busy))

    def close(self, *, whole: bool) -> None:
        if not hasattr(self, "db"):
            return
        try:
            if whole and hasattr(self, "ledger"):
                instances.settle(self.db, self.ledger)
        except StoreError as error:  # the ledger stays sound; the next sweep settles what is open
            log.warning("the ledger was not closed in order: %s", error.message)
        finally:
            self._journal.close()
            self.db.close()

    def _keep_house(self) -> None:
        self._due_ms = self._clock.monotonic_ms() + self._limits.beat_ms
        offset_ms = _offset(self._clock)
        silent = 0 < self.trusted_ms <= self._clock.monotonic_ms()
        if silent or abs(offset_ms - self._offset_ms) > 1_000:
            # The database was away, or the wall clock jumped: the living look old until they have beaten again.
            self._offset_ms = offset_ms
            self._trust_ms = self._clock.monotonic_ms() + self._limits.stale_ms
        self._beat()
        self.sweep(self._recover())

    def _beat(self) -> None:
        now_ms = self._clock.monotonic_ms()
        if not instances.beat(self.db, self.ledger, self._me, self._clock.now_ns()):
            self.lost += 1
        self.trusted_ms = now_ms + self._limits.stale_ms - self._limits.beat_ms

    def _recover(self) -> Collection[str]:
        self._dead.clear()
        try:
            return recover(self._spool, self._replay, self._settle)
        except OSError as error:
            log.warning("what ended processes left in %s can't be read: %s", self._spool, error.strerror)
            return ()

    def _replay(self, instance: str, lines: Sequence[Line]) -> None:
        """Through a ledger of that instance's own: what it had leased pays."""
        ledger = self._dead.setdefault(instance, Ledger(self.db, instance))
        rest = list(lines)
        while rest:
            del rest[: len(ledger.write(rest))]

    def _settle(self, instance: str) -> None:
        ledger = self._dead.get(instance) or Ledger(self.db, instance)
        _told(instances.settle(self.db, ledger))


def _told(settled: int) -> int:
    if settled:
        log.warning("%d requests of ended processes were settled at their reserved bound", settled)
    return settled


def _offset(clock: Clock) -> float:
    """Milliseconds between the wall clock and the one that never jumps."""
    return clock.now_ns() / 1_000_000 - clock.monotonic_ms()
