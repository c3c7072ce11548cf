"""SQLite as a store: the file, its limits, what is refused, what is never lost."""

import asyncio
import logging
import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.store import (
    DAY,
    DOLLAR,
    NOW,
    StoreConformance,
    entry,
    key,
    record,
    reservation,
    timed,
    window_of,
)
from tests.store.audit import assert_sound, query
from tests.store.clock import ManualClock
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.money import Budget, Period, Reservation
from tierwise.store.sqlite import Limits, SqliteStore, open_sqlite


class TestSqlite(StoreConformance):
    """The suite of every store, on a file."""


async def test_the_file_is_its_owners_alone(store: SqliteStore, path: Path) -> None:
    """The ledger and SQLite's files beside it have mode 0600."""
    await store.reserve(reservation("r1"))
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("table", ["reservations", "requests", "entries"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET request_id = 'x'"])
async def test_money_is_append_only(store: SqliteStore, path: Path, table: str, verb: str) -> None:
    """Neither an update nor a delete passes, whoever tries."""
    await store.reserve(reservation("r1", 5))
    await store.post(record("r1", entry(4)))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        query(path, verb.format(table))


steps = st.lists(st.tuples(st.sampled_from(["reserve", "post"]), st.integers(0, 7), st.integers(0, 60)), max_size=30)
PERIODS: tuple[Period, ...] = ("total", "month", "week", "day")


@given(steps=steps)
@settings(max_examples=25, deadline=None)
def test_the_running_sums_always_equal_the_rows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Any order of reservations and ends, doubled and refused ones too, over keys with a budget and without.

    Of budgets that renew too: the eight requests begin over some sixty days, each key has a period of its own.
    """
    path = tmp_path_factory.mktemp("sums") / "ledger.db"

    async def run() -> None:
        store = await open_sqlite(path, clock=ManualClock(), instance="i1")
        for verb, number, nanos in steps:
            name, key_id = f"r{number}", f"k{number % 4}"
            if verb == "reserve" and await store.record(name) is None:
                began = NOW + (number * 8 + nanos // 20) * DAY
                limit = None if key_id == "k0" else 70
                budgets = (Budget("key", key_id, PERIODS[number % 4], limit),)
                store.reserve(Reservation(name, key_id, "support", nanos, began, budgets))
            elif verb == "post":
                store.post(record(name, entry(nanos), key_id=key_id))
        await store.spent("k1")
        assert_sound(path)
        await store.close()
        assert_sound(path)
        assert query(path, "SELECT * FROM accounts WHERE held_nanos > 0") == []

    asyncio.run(run())


async def test_a_full_queue_refuses_and_loses_nothing(path: Path, clock: ManualClock) -> None:
    """The one write too many fails, is counted, and those before it are written."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(queue=10, busy_ms=5_000))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits for this one, and the queue fills
        asked = [store.reserve(reservation(f"r{i}")) for i in range(100)]
        other.execute("ROLLBACK")
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome]
    assert all("queue full" in str(outcome) for outcome in refused)
    assert store.counts.failures == len(refused) >= 70
    assert query(path, "SELECT count(*) FROM reservations") == [(100 - len(refused),)]
    await store.close()


async def test_a_lock_that_is_kept_is_an_error_and_passes(path: Path, clock: ManualClock) -> None:
    """After the busy time-out a write fails with what is wrong; when the lock is gone the next succeeds."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(busy_ms=50))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.reserve(reservation("r1"))
    await store.reserve(reservation("r1"))
    await store.close()
    assert_sound(path)


async def test_an_unawaited_failure_is_logged_and_counted(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Without "never retrieved" noise, and without what was in the row."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    with caplog.at_level(logging.ERROR, "tierwise.store"):
        store.reserve(reservation("secret-id", -5))
        await store.spent("k1")
    assert store.counts.failures == 1
    assert "1 of" in caplog.text
    assert "secret-id" not in caplog.text
    await store.close()


async def test_a_refused_budget_is_no_failure(store: SqliteStore) -> None:
    """It is an answer."""
    with pytest.raises(BudgetExceeded):
        await store.reserve(reservation("r1", 2, budget=1))
    assert store.counts.failures == 0


async def test_second_ends_are_counted(store: SqliteStore) -> None:
    """Ignored is not unseen."""
    await store.post(record("r1", entry(1)))
    await store.post(record("r1", entry(1)))
    assert store.counts.duplicates == 1


async def test_a_cancelled_wait_does_not_undo_the_write(store: SqliteStore, path: Path) -> None:
    """A client that leaves while its reservation is written has reserved."""
    task = asyncio.ensure_future(store.reserve(reservation("r1", 5)))
    task.cancel()
    assert await store.spent("k1") == (0, 5)


async def test_a_full_disk_is_an_error_and_the_file_stays_sound(path: Path, clock: ManualClock) -> None:
    """Writes fail while the file can't grow, go on when it can, and the books are right throughout."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        outcomes: list[BaseException | None] = []
        while not any(outcomes) and len(outcomes) < 20_000:
            asked = [store.reserve(reservation(f"r{len(outcomes) + i}", 1)) for i in range(200)]
            outcomes += await asyncio.gather(*asked, return_exceptions=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {type(outcome) for outcome in outcomes} == {type(None), StoreError}
    await store.reserve(reservation("after", 1))
    assert await store.spent("k1") == (0, outcomes.count(None) + 1)
    assert_sound(path)
    await store.close()


async def test_power_durability_works_alike(path: Path, clock: ManualClock) -> None:
    """It costs an fsync a commit and changes nothing else."""
    store = await open_sqlite(path, clock=clock, instance="i1", durability="power")
    await store.add_key(key())
    assert len(await store.keys()) == 1
    await store.close()


async def test_what_was_written_is_there_after_reopening(path: Path, clock: ManualClock) -> None:
    """Keys, records and sums."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    await store.add_key(key())
    await store.post(record("r1", entry(3)))
    await store.close()
    again = await open_sqlite(path, clock=clock, instance="i2")
    assert len(await again.keys()) == 1
    assert await again.record("r1") == record("r1", entry(3))
    assert await again.spent("k1") == (3, 0)
    await again.close()


async def test_an_end_in_another_process_releases_the_reservation(
    store: SqliteStore, path: Path, clock: ManualClock
) -> None:
    """The reservation is read from its row where it is not this instance's own."""
    await store.reserve(reservation("r1", 5))
    other = await open_sqlite(path, clock=clock, instance="i2")
    await other.post(record("r1", entry(3)))
    assert await store.spent("k1") == (3, 0)
    await other.close()


async def test_a_window_holds_over_two_stores(store: SqliteStore, other: SqliteStore, path: Path) -> None:
    """On one file: a hundred at once on a dollar a month, eight cents each; an end over there makes room here."""
    asked = [(store, other)[i % 2].reserve(timed(f"r{i}", DOLLAR * 8 // 100)) for i in range(100)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes.count(None) == 12
    assert await window_of(store) == await window_of(other) == (0, DOLLAR * 96 // 100)
    for i in [i for i, outcome in enumerate(outcomes) if outcome is None]:
        await (store, other)[(i + 1) % 2].post(record(f"r{i}", entry(DOLLAR * 4 // 100)))
    assert await window_of(store) == (DOLLAR * 48 // 100, 0)
    await other.reserve(timed("last", DOLLAR * 52 // 100))
    with pytest.raises(BudgetExceeded):
        await store.reserve(timed("late", 1))
    await store.reserve(timed("next", DOLLAR, 10))
    assert_sound(path)


@pytest.mark.parametrize("terms", [{"period": "year"}, {"rpm": 0}, {"tpm": -1}])
async def test_terms_that_can_not_be_are_refused(store: SqliteStore, terms: dict[str, Any]) -> None:
    """By the tables, whoever writes them."""
    with pytest.raises(StoreError):
        await store.add_key(msgspec.structs.replace(key(), **terms))
    assert list(await store.keys()) == []


@pytest.mark.parametrize("name", ["no/such/folder.db", "folder"])
async def test_a_path_that_can_not_be_opened_says_so(tmp_path: Path, clock: ManualClock, name: str) -> None:
    """A missing folder, and a folder where a file should be."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="opened"):
        await open_sqlite(tmp_path / name, clock=clock, instance="i1")


async def test_two_stores_may_create_a_ledger_at_once(path: Path, clock: ManualClock) -> None:
    """Both find it whole."""
    stores = await asyncio.gather(*(open_sqlite(path, clock=clock, instance=f"i{i}") for i in range(4)))
    await asyncio.gather(*(store.reserve(reservation(f"r{i}", 1)) for i, store in enumerate(stores)))
    assert await stores[0].spent("k1") == (0, 4)
    await asyncio.gather(*(store.close() for store in stores))
