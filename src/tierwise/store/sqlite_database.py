"""SQLite as a database for the ledger: one file, one connection, WAL mode.

What was committed survives a kill -9 of the process; with `durability="process"` (no fsync a commit) a power loss may
take the last commits with it, never the file's soundness; "power" fsyncs every commit. The one door for SQLite's
errors. Knows files and pragmas, and no table.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal

from tierwise.errors import RowRefused, StoreError
from tierwise.store.database import Row
from tierwise.store.migrations import migrate

Durability = Literal["process", "power"]

CHECKPOINT = 4_000  # pages (16 MB) of the write-ahead log: under load the same few pages are written again and again
PATIENCE_MS = 50  # that `scrub` waits for readers


class SqliteDatabase:
    """Implements `Database`. Belongs to the thread that makes it."""

    lock = ""

    def __init__(self, path: Path, durability: Durability = "process", busy_ms: int = 5_000) -> None:
        """Opens the file, or creates it with mode 0600. Raises StoreError."""
        try:
            self._conn = _connect(path, durability, busy_ms)
        except sqlite3.Error as error:
            raise failure(error) from error
        except OSError as error:
            raise StoreError(f"the ledger's file can't be opened: {error.strerror}") from error

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        try:
            return self._conn.execute(sql, parameters).fetchall()
        except (sqlite3.Error, OverflowError, ValueError) as error:
            raise failure(error) from error

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        try:
            return self._conn.execute(sql, parameters).rowcount
        except (sqlite3.Error, OverflowError, ValueError) as error:
            raise failure(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        finally:
            if self._conn.in_transaction:  # it was not committed; where the disk is full SQLite itself has rolled back
                self.execute("ROLLBACK")

    def scrub(self) -> None:
        """Empty the write-ahead log, in which pages stand as they were before a deletion.

        Where another process reads just then they are left to the next time: nobody waits for that.
        """
        ((patience,),) = self.execute("PRAGMA busy_timeout")
        self.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        try:
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.execute(f"PRAGMA busy_timeout = {patience}")

    def migrate(self) -> None:
        try:
            migrate(self._conn)
        except sqlite3.Error as error:
            raise failure(error) from error

    def close(self) -> None:
        self._conn.close()


def _connect(path: Path, durability: Durability, busy_ms: int) -> sqlite3.Connection:
    """Raises sqlite3.Error or OSError."""
    with contextlib.suppress(FileExistsError):
        # Only ever opened where it is new: closing a descriptor of a file drops the locks that this process has on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    conn = sqlite3.connect(path, timeout=busy_ms / 1000, isolation_level=None, cached_statements=512)
    try:
        _wal(conn, busy_ms)
        conn.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        conn.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        conn.execute("PRAGMA secure_delete = ON")  # a text that is deleted is overwritten, not only forgotten
        conn.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE can't delete past the append-only triggers
    except sqlite3.Error:
        conn.close()
        raise
    return conn


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


def failure(error: Exception) -> StoreError:
    """What went wrong, in words. Never holds a value of a row."""
    if isinstance(error, sqlite3.IntegrityError):
        return RowRefused(f"the ledger refused a row: {error}")  # SQLite names the constraint, not the value
    if isinstance(error, sqlite3.Error) and not isinstance(error, _OURS):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return StoreError(_WORDS.get(code, "the ledger can't be written") + f" ({name})")
    return RowRefused(f"the ledger can't hold a value ({type(error).__name__})")


_OURS = (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)  # what it was given to write
_WORDS = {
    sqlite3.SQLITE_BUSY: "another process keeps the ledger locked",
    sqlite3.SQLITE_LOCKED: "another process keeps the ledger locked",
    sqlite3.SQLITE_FULL: "the disk that holds the ledger is full",
    sqlite3.SQLITE_READONLY: "the ledger's file may not be written",
    sqlite3.SQLITE_CANTOPEN: "the ledger's file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the ledger's file is damaged",
    sqlite3.SQLITE_NOTADB: "the ledger's file is not a SQLite database",
}
