"""A real ledger file a test, and a clock that a test may move."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.store.clock import ManualClock
from tierwise.store.sqlite import SqliteStore, open_sqlite


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncGenerator[SqliteStore]:
    opened = await open_sqlite(path, clock=clock, instance="i1")
    yield opened
    await opened.close()


@pytest.fixture
async def other(store: SqliteStore, path: Path, clock: ManualClock) -> AsyncGenerator[SqliteStore]:
    """A second instance on the same file."""
    opened = await open_sqlite(path, clock=clock, instance="i2")
    yield opened
    await opened.close()
