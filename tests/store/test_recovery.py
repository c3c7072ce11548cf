"""What a process leaves behind when it dies, and how the living settle it."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.store import DOLLAR, entry, record, reservation, timed, window_of
from tests.store.audit import assert_sound, query
from tests.store.clock import ManualClock
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite import open_sqlite

CHILD = (sys.executable, "-m", "tests.store.child")
ROOT = Path(__file__).parents[2]


async def test_nothing_promised_is_lost_over_twenty_kills(path: Path, clock: ManualClock) -> None:
    """Each reservation and end that was told before kill -9 is in the ledger, and the money adds up."""
    told = subprocess.run(
        [*CHILD, "crash", path, "20"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    store = await open_sqlite(path, clock=clock, instance="after")
    lines = [line.split() for line in told.stdout.splitlines()]
    reserved = {name for verb, name in lines if verb == "reserved"}
    posted = {name for verb, name in lines if verb == "posted"}
    ends = {str(name): by for name, by in query(path, "SELECT request_id, settled_by FROM requests")}
    assert len(reserved) > 100
    assert reserved <= set(ends)
    assert all(ends[name] == "gateway" for name in posted)
    assert query(path, "SELECT count(*) FROM reservations") == [(len(ends),)]
    lost = sum(by == "recovery" for by in ends.values())
    assert lost > 0
    assert await store.spent("k1") == (7 * (len(ends) - lost) + 10 * lost, 0)
    assert_sound(path)
    await store.close()


async def test_a_budget_holds_over_processes(path: Path) -> None:
    """Four processes, 1,000 requests of a cent at once, a dollar: 100 get in, not a cent is overspent or left over."""
    started = [
        subprocess.Popen(
            [*CHILD, "spend", path, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b", "c", "d")
    ]
    for child in started:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in started:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    served = [int(child.communicate(timeout=20)[0]) for child in started]
    assert sum(served) == 100
    assert query(path, "SELECT posted_nanos, held_nanos FROM accounts") == [(DOLLAR, 0)]
    assert query(path, "SELECT * FROM leases") == []
    assert_sound(path)


async def test_what_only_a_journal_has_is_replayed_before_anything_is_settled(
    store: LedgerStore, path: Path, clock: ManualClock
) -> None:
    """The file was locked when the process was killed: its end counts as it was, its open request at its bound."""
    child = subprocess.Popen(
        [*CHILD, "hold", path, "gone"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        child.stdin.write("go\n")
        child.stdin.flush()
        assert child.stdout.readline() == "promised\n"
        child.kill()
        child.wait()
    child.stdin.close()
    child.stdout.close()
    assert query(path, "SELECT count(*) FROM reservations") == [(0,)]
    clock.advance(6)  # the next beat
    await store.spent("k1")
    assert await store.spent("k1") == (13, 0)
    assert [record.nanos for record in (await store.record("gone-0"), await store.record("gone-1")) if record] == [
        3,
        10,
    ]
    assert not list(path.with_name(f"{path.name}.spool").glob("gone*"))
    assert_sound(path)


async def test_a_process_that_could_not_write_at_its_end_leaves_its_journal(path: Path, clock: ManualClock) -> None:
    """It does not hang, and the next one writes what was left."""
    store = await open_sqlite(path, clock=clock, instance="i1", limits=Limits(busy_ms=20))
    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        await store.reserve(reservation("r1", 50))
        store.post(record("r1", entry(9)))
        await asyncio.wait_for(store.close(), 5)
    again = await open_sqlite(path, clock=clock, instance="i2")
    assert await again.spent("k1") == (9, 0)
    await again.close()
    assert query(path, "SELECT * FROM instances") == []
    assert not path.with_name(f"{path.name}.spool").exists()
    assert_sound(path)


async def test_an_instance_that_stopped_beating_is_settled_at_the_bound(
    store: LedgerStore, path: Path, clock: ManualClock
) -> None:
    """Its open request counts in full, with an entry that says why; its settled one stays as it is."""
    await store.reserve(reservation("r1", 50))
    await store.reserve(reservation("r2", 50))
    await store.post(record("r2", entry(7)))
    other = await open_sqlite(path, clock=ManualClock(31), instance="i2")
    assert await other.spent("k1") == (57, 0)
    found = await other.record("r1")
    assert found is not None
    assert (found.status, found.nanos, found.baseline_nanos, found.baseline_state) == (0, 50, 50, "unknown")
    assert [(e.outcome, e.cost_state, e.rule) for e in found.entries] == [("recovered", "estimated", "recovered")]
    assert await other.record("r2") == record("r2", entry(7))
    await store.post(record("r1", entry(9)))  # it lived, after all: that is put right
    assert (await store.spent("k1"), store.counts.duplicates) == ((16, 0), 0)
    assert query(path, "SELECT request_id, nanos, reason FROM corrections") == [("r1", -41, "late")]
    await other.close()
    assert_sound(path)


async def test_whoever_was_taken_for_dead_uses_no_lease_of_before(
    store: LedgerStore, path: Path, clock: ManualClock
) -> None:
    """Others may have spent it: it draws anew, and the budget holds."""
    await store.reserve(reservation("r1", DOLLAR // 10, budget=DOLLAR))  # leases more than it needs
    await store.spent("k1")
    later = ManualClock(31)
    other = await open_sqlite(path, clock=later, instance="i2")
    assert await other.spent("k1") == (DOLLAR // 10, 0)
    await other.reserve(reservation("r2", DOLLAR * 9 // 10, budget=DOLLAR))
    clock.advance(31)
    with pytest.raises(StoreError, match="taken for dead"):
        await store.reserve(reservation("late", 1, budget=DOLLAR))
    with pytest.raises(BudgetExceeded):
        await store.reserve(reservation("late", 1, budget=DOLLAR))
    await store.post(record("r1", entry(0)))
    await store.reserve(reservation("r3", DOLLAR // 10, budget=DOLLAR))
    assert await store.spent("k1") == (0, DOLLAR)
    await other.close()
    assert_sound(path)


async def test_a_lost_request_of_a_window_counts_there(store: LedgerStore, path: Path) -> None:
    """Its bound is spent in the window in which it began, whoever settles it and whenever."""
    await store.reserve(timed("r1", 50))
    await store.spent("k1")  # it is in the file
    other = await open_sqlite(path, clock=ManualClock(40 * 86_400), instance="i2")
    assert (await window_of(other), await window_of(other, 40)) == ((50, 0), (0, 0))
    assert await other.spent("k1") == (50, 0)
    await other.close()
    assert_sound(path)


async def test_a_living_instance_is_left_alone(store: LedgerStore, path: Path) -> None:
    """Twenty seconds without a beat are no death."""
    await store.reserve(reservation("r1", 50))
    other = await open_sqlite(path, clock=ManualClock(20), instance="i2")
    assert await other.sweep() == 0
    assert await store.spent("k1") == (0, 50)
    await other.close()


async def test_beats_keep_an_instance_alive(store: LedgerStore, path: Path, clock: ManualClock) -> None:
    """A minute of work is a minute of beats, and the mark stays at the oldest open reservation."""
    await store.reserve(reservation("old", 50, budget=50))
    for number in range(10):
        clock.advance(6)
        await store.post(record(f"r{number}"))  # wakes the writer, which does its chores before the next write
        await store.reserve(reservation(f"s{number}", 1))
        await store.post(record(f"s{number}", entry(1)))
    other = await open_sqlite(path, clock=ManualClock(60), instance="i2")
    assert await other.spent("k1") == (10, 50)
    await other.close()
    later = await open_sqlite(path, clock=ManualClock(91), instance="i3")
    assert await later.spent("k1") == (60, 0)
    await later.close()


async def test_a_jump_of_the_wall_clock_kills_nobody(store: LedgerStore, path: Path) -> None:
    """An hour forward makes every beat look old; nobody is judged by it until all have beaten again."""
    jumpy = ManualClock()
    other = await open_sqlite(path, clock=jumpy, instance="i2")
    await store.reserve(reservation("r1", 50, budget=50))
    await store.spent("k1")  # it is in the file
    jumpy.wall_ns += 3_600 * 10**9
    jumpy.mono_ms += 6_000
    for _ in range(2):  # the first wakes the writer, which does its chores before the second
        assert await other.spent("k1") == (0, 50)
    assert await other.sweep() == 0
    for _ in range(6):  # and now it has been silent for too long by any clock
        jumpy.advance(6)
        await other.spent("k1")
    assert await other.spent("k1") == (50, 0)
    await other.close()


async def test_close_settles_what_was_never_ended(path: Path, clock: ManualClock) -> None:
    """An orderly end leaves nothing held, and no instance listed."""
    store = await open_sqlite(path, clock=clock, instance="i1")
    await store.reserve(reservation("r1", 50))
    await store.close()
    assert query(path, "SELECT posted_nanos, held_nanos FROM accounts") == [(50, 0)]
    assert query(path, "SELECT * FROM instances") == []
    assert_sound(path)
