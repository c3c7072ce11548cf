"""The ledger on SQLite."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.ledger import LedgerConformance
from tierwise.store.database import Database
from tierwise.store.sqlite_database import SqliteDatabase


class TestLedger(LedgerConformance):
    """The suite of every database, on a file."""

    @pytest.fixture
    def make(self, path: Path) -> Iterator[Callable[[], Database]]:
        opened: list[SqliteDatabase] = []

        def make() -> Database:
            db = SqliteDatabase(path)
            db.migrate()
            if threading.current_thread() is threading.main_thread():  # others close their own
                opened.append(db)
            return db

        yield make
        for db in opened:
            db.close()
