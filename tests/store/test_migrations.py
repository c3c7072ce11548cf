"""From nothing to now, and no further than we know."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.audit import query
from tests.store.clock import ManualClock
from tierwise.errors import StoreError
from tierwise.store.migrations import MIGRATIONS
from tierwise.store.sqlite import open_sqlite


async def test_a_new_file_gets_the_newest_schema(path: Path, clock: ManualClock) -> None:
    """And opening it again changes nothing."""
    for name in ("i1", "i2"):
        await (await open_sqlite(path, clock=clock, instance=name)).close()
        assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert [step.__name__[:5] for step in MIGRATIONS] == [f"m{n:03d}_" for n in range(1, len(MIGRATIONS) + 1)]


async def test_a_newer_schema_is_refused(path: Path, clock: ManualClock) -> None:
    """With what to do about it."""
    await (await open_sqlite(path, clock=clock, instance="i1")).close()
    query(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="newer Tierwise"):
        await open_sqlite(path, clock=clock, instance="i2")


async def test_another_programs_database_is_refused(path: Path, clock: ManualClock) -> None:
    """It is left as it was."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE recipes(name)")
    with pytest.raises(StoreError, match="another program"):
        await open_sqlite(path, clock=clock, instance="i1")
    assert query(path, "SELECT name FROM sqlite_master") == [("recipes",)]


async def test_a_file_that_is_no_database_is_refused(path: Path, clock: ManualClock) -> None:
    """In words, not with SQLite's."""
    path.write_bytes(b"Dear diary, " * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        await open_sqlite(path, clock=clock, instance="i1")
