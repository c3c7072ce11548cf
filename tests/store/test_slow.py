"""A database that is slow, or away for a while: who has to wait for it, and who has not."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.conformance.store import DOLLAR, entry, record, reservation
from tests.store.audit import assert_sound
from tests.store.child import SystemClock
from tierwise.store.sqlite import open_sqlite

HELD, FREE = 0.5, 0.02  # seconds that the file is locked, and then is not
CENT = DOLLAR // 100


@contextmanager
def slow(path: Path) -> Iterator[None]:
    """Another connection keeps the lock for writing half a second at a time, until the block ends."""
    stop = threading.Event()

    def lock() -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as conn:
            while not stop.is_set():
                conn.execute("BEGIN IMMEDIATE")
                stop.wait(HELD)
                conn.execute("COMMIT")
                stop.wait(FREE)

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def test_no_request_feels_a_slow_database(path: Path) -> None:
    """Half a second a commit: of a key with a budget that is in use, nobody waits for it; all is booked by the end."""
    store = await open_sqlite(path, clock=SystemClock(), instance="i1")
    waits: list[float] = []

    async def ask(number: int) -> None:
        begun = time.perf_counter()
        await store.reserve(reservation(f"r{number}", CENT, budget=1_000 * DOLLAR))
        waits.append(time.perf_counter() - begun)
        await asyncio.sleep(0.01)
        store.post(record(f"r{number}", entry(CENT // 2)))

    async def load(numbers: range) -> None:
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(ask(number))
                await asyncio.sleep(0.005)

    await load(range(400))  # a lease grows with use
    waits.clear()
    with slow(path):
        await load(range(400, 800))
    waits.sort()
    assert waits[-4] < HELD / 5
    assert await store.spent("k1") == (800 * (CENT // 2), 0)
    await store.close()
    assert_sound(path)
