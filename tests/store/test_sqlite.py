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
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite import open_sqlite
from tierwise.store.wait_queue import PATIENCE


class TestSqlite(StoreConformance):
    """The suite of every store, on a file."""


async def test_the_file_is_its_owners_alone(store: LedgerStore, path: Path) -> None:
    """The ledger, SQLite's files beside it and the journal have mode 0600, the journal's folder 0700."""
    await store.reserve(reservation("r1"))
    found = list(path.parent.rglob("*"))
    assert len(found) == 5
    for file in found:
        assert file.stat().st_mode & 0o777 == (0o700 if file.is_dir() else 0o600)


@pytest.mark.parametrize("table", ["reservations", "requests", "entries"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET request_id = 'x'"])
async def test_money_is_append_only(store: LedgerStore, path: Path, table: str, verb: str) -> None:
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


async def test_a_full_spool_refuses_and_loses_nothing(path: Path, clock: ManualClock) -> None:
    """While the file is locked a megabyte is promised, then no more; all of that is written once it can be."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(queue=10, spool_mb=1, busy_ms=50))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = [store.reserve(reservation(f"r{i:0200}")) for i in range(6_000)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        store.post(record(f"r{0:0200}", entry(1)))  # what has happened is never refused
        other.execute("ROLLBACK")
    refused = [outcome for outcome in outcomes if outcome]
    assert all("1 MiB wait in its journal" in str(outcome) for outcome in refused)
    assert store.counts.failures == len(refused) >= 1_000
    assert await store.spent("k1") == (1, DOLLAR * (6_000 - len(refused) - 1))
    assert query(path, "SELECT count(*) FROM reservations") == [(6_000 - len(refused),)]
    await store.close()
    assert_sound(path)


async def test_a_lock_that_is_kept_is_no_error(path: Path, clock: ManualClock) -> None:
    """Reservations are kept all the same, ends are written when the lock is gone; who asks the file is told."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(busy_ms=50))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await store.reserve(reservation("r1"))
        ended = store.post(record("r1", entry(3)))
        with pytest.raises(StoreError, match="locked"):
            await store.spent("k1")
        assert not store.sound
        with pytest.raises(StoreError, match="locked"):
            await store.reserve(reservation("r2", 1, budget=5))
    await ended
    assert store.sound
    assert (await store.spent("k1"), store.counts.failures) == ((3, 0), 0)
    await store.close()
    assert_sound(path)


async def test_down_may_mean_refuse(path: Path, clock: ManualClock) -> None:
    """By the config: from the first group that could not be written nothing is served, until one is."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(busy_ms=50, when_down="refuse"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await store.reserve(reservation("r1"))
        with pytest.raises(StoreError, match="locked"):
            await store.spent("k1")
        with pytest.raises(StoreError, match="by the config"):
            await store.reserve(reservation("r2"))
    assert await store.spent("k1") == (0, DOLLAR)
    await store.reserve(reservation("r2"))
    await store.close()


async def test_an_unawaited_failure_is_logged_and_counted(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Without "never retrieved" noise, and without what was in the row."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    with caplog.at_level(logging.ERROR, "tierwise.store"):
        store.reserve(reservation("secret-id", -5))
        await store.spent("k1")
    assert store.counts.failures == 1
    assert "negative" in caplog.text
    assert "secret-id" not in caplog.text
    await store.close()


async def test_a_refused_budget_is_no_failure(store: LedgerStore) -> None:
    """It is an answer."""
    with pytest.raises(BudgetExceeded):
        await store.reserve(reservation("r1", 2, budget=1))
    assert store.counts.failures == 0


async def test_second_ends_are_counted(store: LedgerStore) -> None:
    """Ignored is not unseen."""
    await store.post(record("r1", entry(1)))
    await store.post(record("r1", entry(1)))
    assert store.counts.duplicates == 1


async def test_a_cancelled_wait_does_not_undo_the_write(store: LedgerStore, path: Path) -> None:
    """A client that leaves while its reservation is written has reserved."""
    task = asyncio.ensure_future(store.reserve(reservation("r1", 5)))
    task.cancel()
    assert await store.spent("k1") == (0, 5)


async def test_a_full_disk_is_an_error_and_the_file_stays_sound(path: Path, clock: ManualClock) -> None:
    """Nothing is promised that no file has; what was is written once there is room, and the books are right."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    await store.reserve(reservation("before", 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        outcomes: list[BaseException | None] = []
        while not any(outcomes) and len(outcomes) < 20_000:
            asked = [store.reserve(reservation(f"r{len(outcomes) + i}", 1)) for i in range(200)]
            outcomes += await asyncio.gather(*asked, return_exceptions=True)
        ended = store.post(record("r0", entry(7)))  # kept in memory
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {type(outcome) for outcome in outcomes} == {type(None), StoreError}
    await store.reserve(reservation("after", 1))
    await ended
    assert await store.spent("k1") == (7, outcomes.count(None) + 1)
    assert_sound(path)
    await store.close()


async def until_full(store: LedgerStore) -> None:
    """The page that the journal has begun takes some more."""
    for number in range(20):
        await store.reserve(reservation(f"r2.{number}", 50, budget=100))
        store.post(record(f"r2.{number}", entry(0)))


async def test_what_could_not_be_promised_is_not_held(path: Path, clock: ManualClock) -> None:
    """A reservation for which the journal has no room gives its lease back."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    await store.reserve(reservation("r1", 50, budget=100))
    await store.post(record("r1", entry(0)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StoreError, match="journal"):
            await until_full(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for name in ("r3", "r4"):
        await store.reserve(reservation(name, 50, budget=100))
    assert await store.spent("k1") == (0, 100)
    await store.close()


async def test_who_is_refused_for_good_does_not_wait(store: LedgerStore) -> None:
    """Nobody else leases anything that could be asked back."""
    await store.reserve(reservation("r1", 3, budget=5))
    begun = asyncio.get_running_loop().time()
    with pytest.raises(BudgetExceeded):
        await store.reserve(reservation("r2", 3, budget=5))
    assert asyncio.get_running_loop().time() - begun < PATIENCE / 2


async def test_a_lease_is_worth_nothing_once_others_may_have_it(path: Path, clock: ManualClock) -> None:
    """After a silence in which this process may have been taken for dead it asks first, and fails closed."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(busy_ms=20))
    await store.reserve(reservation("r1", 50, budget=1_000))
    await store.post(record("r1", entry(0)))
    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        await store.reserve(reservation("r2", 1, budget=1_000))
        clock.advance(26)
        with pytest.raises(StoreError, match="locked"):
            await store.reserve(reservation("r3", 1, budget=1_000))
        await store.reserve(reservation("r4", 1))  # without a budget there is nothing to overspend
    await store.reserve(reservation("r3", 1, budget=1_000))
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


async def test_an_end_in_another_process_is_paid_by_the_lease_there(
    store: LedgerStore, other: LedgerStore, path: Path
) -> None:
    """The reservation is read from its row where it is not this instance's own."""
    await store.reserve(reservation("r1", 5, budget=9))
    await store.spent("k1")
    await other.post(record("r1", entry(3)))
    assert query(path, "SELECT posted_nanos, held_nanos FROM accounts") == [(3, 2)]
    assert_sound(path)


async def test_a_window_holds_over_two_stores(store: LedgerStore, other: LedgerStore, path: Path) -> None:
    """On one file: a hundred at once on a dollar a month, eight cents each; an end over there makes room here."""
    asked = [(store, other)[i % 2].reserve(timed(f"r{i}", DOLLAR * 8 // 100)) for i in range(100)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes.count(None) == 12
    assert await window_of(store) == await window_of(other) == (0, DOLLAR * 96 // 100)
    for i in [i for i, outcome in enumerate(outcomes) if outcome is None]:
        await (store, other)[i % 2].post(record(f"r{i}", entry(DOLLAR * 4 // 100)))
    await other.reserve(timed("last", DOLLAR * 52 // 100))  # what is free over there is asked back
    assert await window_of(store) == (DOLLAR * 48 // 100, DOLLAR * 52 // 100)
    with pytest.raises(BudgetExceeded):
        await store.reserve(timed("late", 1))
    await store.reserve(timed("next", DOLLAR, 10))
    assert_sound(path)


@pytest.mark.parametrize("terms", [{"period": "year"}, {"rpm": 0}, {"tpm": -1}, {"input_tpm": 0}, {"output_tpm": 0}])
async def test_terms_that_can_not_be_are_refused(store: LedgerStore, terms: dict[str, Any]) -> None:
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
    await asyncio.gather(*(store.reserve(reservation(f"r{i}", 1, budget=4)) for i, store in enumerate(stores)))
    assert await stores[0].spent("k1") == (0, 4)
    await asyncio.gather(*(store.close() for store in stores))
