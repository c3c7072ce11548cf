"""SQLite as a database: what is refused and in which words, what is kept when a write fails."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tierwise.errors import RowRefused, StoreError
from tierwise.store.sqlite_database import SqliteDatabase

NOTE = "INSERT INTO meta VALUES (?, ?)"
NOTES = "SELECT name FROM meta WHERE name <> 'trail' ORDER BY name"


@pytest.fixture
def db(path: Path) -> Iterator[SqliteDatabase]:
    with closing(SqliteDatabase(path, busy_ms=50)) as opened:
        opened.migrate()
        yield opened


def write(db: SqliteDatabase, *rows: tuple[object, ...], then: BaseException | None = None) -> None:
    with db.transaction():
        for row in rows:
            db.change(NOTE, row)
        if then is not None:
            raise then


def test_a_transaction_is_made_whole_or_not_at_all(db: SqliteDatabase) -> None:
    """Whatever ends it; the next one begins anew."""
    with db.transaction():
        assert db.change(NOTE, ("a", 1)) == 1
        assert db.execute(NOTES) == [("a",)]
    for wrong in (RowRefused("no"), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(wrong)):
            write(db, ("b", 1), then=wrong)
        assert db.execute(NOTES) == [("a",)]
    with db.transaction():
        assert db.change("UPDATE meta SET value = 2 WHERE name IN ('a', 'b', 'trail')") == 2


@pytest.mark.parametrize(
    "values", [("trail", 1), ("secret", 2**63), ("secret\ud800", 1), ("secret", object()), (None, 1), ("secret",)]
)
def test_what_a_row_is_to_blame_for_is_said_so(db: SqliteDatabase, values: tuple[object, ...]) -> None:
    """A name that is taken, a number that no column holds, text that is no text, no value at all; never the value."""
    for ask in (db.execute, db.change):
        with pytest.raises(RowRefused) as caught, db.transaction():
            ask(NOTE if len(values) == 2 else "INSERT INTO keys(id) VALUES (?)", values)
        assert "secret" not in caught.value.message
    assert db.execute(NOTES) == []


def test_a_lock_that_is_kept_is_nobody_s_row(db: SqliteDatabase, path: Path) -> None:
    """Once it is gone the same write goes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process keeps the ledger locked") as caught:
            write(db, ("a", 1))
        assert not isinstance(caught.value, RowRefused)
    write(db, ("a", 1))


def test_a_full_disk_undoes_the_whole_transaction(db: SqliteDatabase) -> None:
    """The connection goes on, and writes as soon as there is room."""
    ((pages,),) = db.execute("PRAGMA page_count")
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk that holds the ledger is full"):
        write(db, ("a", 1), ("b", "long" * 10_000))
    assert db.execute(NOTES) == []
    db.execute(f"PRAGMA max_page_count = {pages + 100}")
    write(db, ("b", "long" * 10_000))


@pytest.mark.parametrize("name", ["no/such/folder.db", ""])
def test_a_path_that_can_not_be_opened_says_so(tmp_path: Path, name: str) -> None:
    """A missing folder, and a folder where a file should be."""
    with pytest.raises(StoreError, match="can't be opened"):
        SqliteDatabase(tmp_path / name)


def test_a_file_that_is_no_database_is_not_migrated(path: Path) -> None:
    """Nor is one that another program made."""
    path.write_bytes(b"Dear diary, " * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        SqliteDatabase(path)


def test_creating_it_twice_at_once_waits(path: Path) -> None:
    """For a moment; a file that stays locked is told of."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE a(b)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            SqliteDatabase(path, busy_ms=20)


def test_the_migration_s_own_errors_are_told_in_words(path: Path) -> None:
    """Here of a file that another process keeps locked."""
    with closing(SqliteDatabase(path, busy_ms=20)) as db, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            db.migrate()
