"""A real ledger file a test, and a clock that a test may move."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.store.clock import ManualClock
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite import open_sqlite


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncGenerator[LedgerStore]:
    opened = await open_sqlite(path, clock=clock, instance="i1")
    yield opened
    await opened.close()


@pytest.fixture
async def other(store: LedgerStore, path: Path, clock: ManualClock) -> AsyncGenerator[LedgerStore]:
    """A second instance on the same file."""
    opened = await open_sqlite(path, clock=clock, instance="i2")
    yield opened
    await opened.close()
