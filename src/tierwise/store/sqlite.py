"""The embedded store: one SQLite file, one writing thread a process, any number of processes.

The file is in WAL mode. What was committed survives a kill -9 of the process; with `durability="process"` (no fsync
a commit) a power loss may take the last commits with it, never the file's soundness; "power" fsyncs every commit.
What is only in the journal yet, some milliseconds' worth, may be lost with the power either way.
"""

from __future__ import annotations

from pathlib import Path

from tierwise.ports import Clock
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore, open_ledger
from tierwise.store.sqlite_database import Durability, SqliteDatabase


async def open_sqlite(
    path: Path,
    *,
    clock: Clock,
    instance: str,
    durability: Durability = "process",
    limits: Limits | None = None,
    spool: Path | None = None,
) -> LedgerStore:
    """Open, or create with mode 0600, the ledger at `path`, and settle what dead instances left in it.

    `instance` is a fresh random name; journals are kept in `spool`, or in a folder beside the file.
    Raises StoreError: not ours, too new, not writable, locked.
    """
    limits = limits or Limits()
    return await open_ledger(
        lambda: SqliteDatabase(path, durability, limits.busy_ms),
        spool=spool or path.with_name(f"{path.name}.spool"),
        clock=clock,
        instance=instance,
        limits=limits,
    )
