"""The shared store: one PostgreSQL database, any number of processes on any number of machines.

What was committed survives what the server survives. Knows where a process keeps the journals of one database; the
connection is `postgres_database.py`'s.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from tierwise.ports import Clock
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore, open_ledger
from tierwise.store.postgres_database import PostgresDatabase


async def open_postgres(
    url: str, *, spool: Path, clock: Clock, instance: str, limits: Limits | None = None
) -> LedgerStore:
    """Open the ledger in the database at `url`, make its tables where there are none, and settle what the dead left.

    `instance` is a fresh random name, `spool` the folder of this database's journals. Raises StoreError: not reachable,
    not let in, not ours, too new.
    """
    limits = limits or Limits()
    busy_ms = limits.busy_ms
    return await open_ledger(
        lambda: PostgresDatabase(url, busy_ms=busy_ms), spool=spool, clock=clock, instance=instance, limits=limits
    )


def spool_in(folder: Path, url: str) -> Path:
    """Where this machine's journals of that database are: not of another one, whose url came into the config later."""
    where = urlsplit(url)
    place = f"{where.netloc.rpartition('@')[2]}{where.path}?{where.query}"
    return folder / f"tierwise-{hashlib.sha256(place.encode()).hexdigest()[:8]}.spool"
