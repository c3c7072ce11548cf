"""From nothing to now, and no further than we know."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.audit import query
from tests.store.clock import ManualClock
from tierwise.errors import StoreError
from tierwise.store.migrations import APPLICATION, MIGRATIONS
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


_ENTRY = "INSERT INTO entries VALUES ('r', ?, 'm', 'm-1', ?, 1, 2, 0, 0, 0, NULL, 7, 'computed', ?, 'why', 1.5, 2.5)"


async def test_entries_of_the_first_schema_are_kept(path: Path, clock: ManualClock) -> None:
    """Their table is made anew for second opinions and judges, and stays append-only."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        MIGRATIONS[0](conn)
        conn.execute(f"PRAGMA application_id = {APPLICATION}")
        conn.execute("PRAGMA user_version = 1")
        conn.executemany(_ENTRY, [(0, "draft", "rejected"), (1, "premium", "served")])
        before = conn.execute("SELECT * FROM entries").fetchall()
        for role, outcome in (("judge", "served"), ("draft", "consulted")):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                conn.execute(_ENTRY, (2, role, outcome))
    await (await open_sqlite(path, clock=clock, instance="i1")).close()
    assert query(path, "SELECT * FROM entries") == before
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executemany(_ENTRY, [(2, "opinion", "consulted"), (3, "judge", "consulted")])
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            conn.execute(_ENTRY, (4, "guess", "consulted"))
    for statement in ("DELETE FROM entries", "UPDATE entries SET nanos = 0"):
        with pytest.raises(sqlite3.IntegrityError, match="entries is append-only"):
            query(path, statement)
