"""What the ledger does on PostgreSQL: entries a second, with server, event loop and writer all on one core.

`python -m benchmarks.ledger_postgres [URL]`: without a URL on a server of its own that keeps what it commits (fsync).
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.ledger import DECISION, ENTRIES, SystemClock
from tests.support import postgres
from tierwise.money import Record, Reservation
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.postgres import open_postgres

REQUESTS = 20_000
AT_ONCE = 128


class Rate(NamedTuple):
    requests: float  # a second, committed
    entries: float
    cpu_us: float  # of this process a request: event loop and writer; the server's is not in it


async def written(store: LedgerStore, count: int) -> Rate:
    """Each request is reserved before its call and posted after it; the clock stops when all of them are committed."""
    numbers = iter(range(count))
    wall, cpu = time.perf_counter(), time.process_time()

    async def client() -> None:
        for number in numbers:
            name, key_id, now = f"req_{number:016x}", f"key_{number % 20}", time.time_ns()
            await store.reserve(Reservation(name, key_id, "support", 2_000_000, now, tokens=4_000))
            await asyncio.sleep(0)
            end = Record(name, key_id, "support", now, 1900.0, 200, DECISION, ENTRIES, 900_000, "computed")
            await store.post(end)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Rate(count / wall, len(ENTRIES) * count / wall, cpu / count * 1e6)


async def measure(url: str) -> Rate:
    with tempfile.TemporaryDirectory() as folder:
        store = await open_postgres(url, spool=Path(folder), clock=SystemClock(), instance=f"bench{os.getpid()}")
        rate = await written(store, REQUESTS)
        await store.close()
        return rate


def main(url: str | None) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # a server that is started from here inherits it
    if url is not None:
        rate = uvloop.run(measure(url))
    else:
        with postgres.serve(fsync="on", full_page_writes="on") as server:
            rate = uvloop.run(measure(server.url("postgres")))
    print(
        f"PostgreSQL, {AT_ONCE} requests at once: {rate.requests:,.0f} requests/s, {rate.entries:,.0f} entries/s "
        f"on one core; {rate.cpu_us:.0f} us CPU a request beside the server's"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
