"""The embedded store: one SQLite file, one writing thread a process, any number of processes.

The file is in WAL mode. What was committed survives a kill -9 of the process; with `durability="process"` (no fsync
a commit) a power loss may take the last commits with it, never the file's soundness; "power" fsyncs every commit.
Knows files, connections and housekeeping; rows are `ledger.py`'s, groups and futures are `writer.py`'s.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from tierwise.errors import StoreError
from tierwise.money import Key, Record, Reservation
from tierwise.ports import Clock
from tierwise.store import instances, keys
from tierwise.store.ledger import Ledger, failure
from tierwise.store.migrations import migrate
from tierwise.store.proof import SqliteProof
from tierwise.store.writer import Writer
from tierwise.types import Value

Durability = Literal["process", "power"]

log = logging.getLogger("tierwise.store")

CHECKPOINT = 4_000  # pages (16 MB) of the write-ahead log: under load the same few pages are written again and again


class Limits(Value, frozen=True):
    queue: int = 10_000  # writes that may wait; one more is refused
    batch: int = 1_000  # writes in one transaction
    busy_ms: int = 5_000  # how long a write waits for another process
    beat_ms: int = 5_000  # how often an instance says that it lives, and looks for the dead
    stale_ms: int = 30_000  # a beat older than this is a dead instance's


class Counts(Value, frozen=True):
    """What went wrong since the store was opened."""

    failures: int  # writes that were lost, awaited or not
    duplicates: int  # second ends of a request, ignored


class SqliteStore:
    """Implements `ports.Store`. Belongs to the event loop it was opened in."""

    def __init__(self, writer: Writer, backend: _Backend) -> None:
        self.proof = SqliteProof(writer)
        self._writer = writer
        self._backend = backend

    @property
    def sound(self) -> bool:
        return self._writer.sound

    @property
    def counts(self) -> Counts:
        return Counts(self._writer.failures, self._backend.ledger.duplicates)

    def reserve(self, reservation: Reservation) -> Awaitable[None]:
        return self._writer.put(reservation)

    def post(self, record: Record) -> Awaitable[None]:
        return self._writer.put(record, urgent=False)

    async def add_key(self, key: Key) -> None:
        await self._writer.put(lambda backend: keys.add_key(backend.conn, key))

    async def revoke_key(self, key_id: str, at_ns: int) -> bool:
        found: bool = await self._writer.put(lambda backend: keys.revoke_key(backend.conn, key_id, at_ns))
        return found

    async def keys(self) -> Sequence[Key]:
        found: Sequence[Key] = await self._writer.put(lambda backend: keys.all_keys(backend.conn))
        return found

    async def record(self, request_id: str) -> Record | None:
        found: Record | None = await self._writer.put(lambda backend: backend.ledger.record(request_id))
        return found

    async def spent(self, key_id: str) -> tuple[int, int]:
        money: tuple[int, int] = await self._writer.put(lambda backend: backend.ledger.spent(key_id))
        return money

    async def sweep(self) -> int:
        """Settle now what dead instances left open; how many requests that were."""
        settled: int = await self._writer.put(lambda backend: backend.sweep())
        return settled

    async def close(self) -> None:
        await self._writer.close()


async def open_sqlite(
    path: Path, *, clock: Clock, instance: str, durability: Durability = "process", limits: Limits | None = None
) -> SqliteStore:
    """Open, or create with mode 0600, the ledger at `path`, and settle what dead instances left in it.

    `instance` is a fresh random name. Raises StoreError: not ours, too new, not writable, locked.
    """
    limits = limits or Limits()
    backend = _Backend(path, clock, instance, durability, limits)
    writer = Writer(backend, queue_max=limits.queue, batch_max=limits.batch)
    try:
        await writer.start()
    except StoreError:
        await writer.close()
        raise
    return SqliteStore(writer, backend)


class _Backend:
    """The writer thread's side: its connection, and the chores that keep the instance alive and the dead settled."""

    conn: sqlite3.Connection
    ledger: Ledger

    def __init__(self, path: Path, clock: Clock, instance: str, durability: Durability, limits: Limits) -> None:
        self._path = path
        self._clock = clock
        self._me = instances.Instance(instance, socket.gethostname(), os.getpid())
        self._durability = durability
        self._limits = limits
        self._due_ms = 0.0
        self._offset_ms = 0.0  # between the wall clock and the monotonic one
        self._trust_ms = 0.0  # no beat is judged by the wall clock before this

    def open(self) -> None:
        try:
            self.conn = connect(self._path, self._durability, self._limits.busy_ms)
            self.ledger = Ledger(self.conn, self._me.id)
            migrate(self.conn)
            self._offset_ms = self._offset()
            self._keep_house()
        except sqlite3.Error as error:
            raise failure(error) from error
        except OSError as error:
            raise StoreError(f"the ledger's file can't be opened: {error.strerror}") from error

    def write(self, payloads: Sequence[Any]) -> list[Any]:
        """Money and proof in groups, all else (a callable that gets this backend) alone; in the order they came."""
        outcomes: list[Any] = []
        for is_job, group in itertools.groupby(payloads, callable):
            run = list(group)
            outcomes += map(self._do, run) if is_job else self.ledger.write(run)
        return outcomes

    def chores(self) -> float:
        now_ms = self._clock.monotonic_ms()
        if now_ms >= self._due_ms:
            try:
                self._keep_house()
            except sqlite3.Error as error:  # the next beat tries again
                log.warning("housekeeping failed: %s", failure(error))
        return max(0.0, self._due_ms - now_ms) / 1000

    def sweep(self) -> int:
        alive_ns = self._clock.now_ns() - self._limits.stale_ms * 1_000_000
        if self._clock.monotonic_ms() < self._trust_ms:
            alive_ns = 0
        settled = instances.sweep(self.conn, self.ledger, self._me, alive_ns)
        if settled:
            log.warning("%d requests of ended processes were settled at their reserved bound", settled)
        return settled

    def close(self) -> None:
        if not hasattr(self, "conn"):
            return
        try:
            if hasattr(self, "ledger"):
                instances.leave(self.conn, self.ledger, self._me)
        except sqlite3.Error as error:  # the file stays sound; the next sweep settles what is open
            log.warning("the ledger was not closed in order: %s", failure(error))
        finally:
            self.conn.close()

    def _keep_house(self) -> None:
        self._due_ms = self._clock.monotonic_ms() + self._limits.beat_ms
        offset_ms = self._offset()
        if abs(offset_ms - self._offset_ms) > 1_000:
            # The wall clock jumped: every living instance looks old, or new, until it has beaten again.
            self._offset_ms = offset_ms
            self._trust_ms = self._clock.monotonic_ms() + self._limits.stale_ms
        instances.beat(self.conn, self.ledger, self._me, self._clock.now_ns())
        self.sweep()

    def _offset(self) -> float:
        return self._clock.now_ns() / 1_000_000 - self._clock.monotonic_ms()

    def _do(self, job: Callable[[_Backend], Any]) -> Any:
        try:
            return job(self)
        except (sqlite3.Error, OverflowError, ValueError) as error:
            return failure(error)


def connect(path: Path, durability: Durability, busy_ms: int) -> sqlite3.Connection:
    """A connection as the ledger needs it. Raises sqlite3.Error or OSError."""
    with contextlib.suppress(FileExistsError):
        # Only ever opened where it is new: closing a descriptor of a file drops the locks that this process has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    conn = sqlite3.connect(path, timeout=busy_ms / 1000, isolation_level=None)
    try:
        _configure(conn, durability, busy_ms)
    except sqlite3.Error:
        conn.close()
        raise
    return conn


def _configure(conn: sqlite3.Connection, durability: Durability, busy_ms: int) -> None:
    _wal(conn, busy_ms)
    conn.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    conn.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
    conn.execute("PRAGMA secure_delete = ON")  # a text that is deleted is overwritten, not only forgotten
    conn.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE can't delete past the append-only triggers


def _wal(conn: sqlite3.Connection, busy_ms: int) -> None:
    """Turn WAL on. Two processes that create a file at once may both be told "locked" without any waiting."""
    for left in range(busy_ms // 10, -1, -1):
        try:
            conn.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not left:
                raise
            time.sleep(0.01)
        else:
            return
