"""A store by its address. Knows which scheme is whose, and where journals lie when nobody says."""

from __future__ import annotations

from pathlib import Path

from tierwise.errors import StoreError
from tierwise.ports import Clock
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.postgres import open_postgres, spool_in
from tierwise.store.sqlite import open_sqlite

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


async def open_store(
    url: str, folder: Path, *, clock: Clock, instance: str, spool: Path | None = None, limits: Limits | None = None
) -> LedgerStore:
    """`sqlite:///FILE`, relative to `folder`, or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.

    `spool`: the folder for journals, of a server's in one of their own in it; without it, beside the file, or in
    `folder`. Raises StoreError.
    """
    if url.startswith(POSTGRES):
        place = spool_in(spool or folder, url)
        return await open_postgres(url, spool=place, clock=clock, instance=instance, limits=limits)
    if not url.startswith(SQLITE):
        raise StoreError(f"the store's url begins neither with {SQLITE} nor with {POSTGRES[0]}")
    path = folder / url.removeprefix(SQLITE)
    return await open_sqlite(path, clock=clock, instance=instance, limits=limits, spool=spool)
