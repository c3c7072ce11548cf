"""What the SQLite ledger costs: CPU a request (one reservation, one record of two entries), and commit latency.

`python benchmarks/ledger.py [DIRECTORY]`: at saturation with 64 requests at once, then at 200 requests/s.
CPU is the whole process's: event loop and writer thread together.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tierwise.money import Entry, Record, Reservation
from tierwise.store.sqlite import SqliteStore, open_sqlite
from tierwise.types import Decision, Evidence, Usage

DECISION = Decision("serve", "checks_passed", 0.93, (Evidence("finish", True), Evidence("refusal", True)))
ENTRIES = (
    Entry("cheap", "small-1", "draft", Usage(220, 45), 61_000, "computed", "rejected", "json_schema", 210.5, 640.0),
    Entry("large", "large-1", "premium", Usage(220, 60), 900_000, "computed", "served", "escalated", 300.0, 1200.0),
)


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ms(self) -> float:
        return time.monotonic() * 1000


async def one(store: SqliteStore, number: int, waits: list[float]) -> None:
    """A request as the gateway does it: durable before the call, posted at the end without waiting."""
    name = f"req_{number:016x}"
    now, begin = time.time_ns(), time.perf_counter()
    await store.reserve(Reservation(name, f"key_{number % 20}", "support", 2_000_000, now, 10**15))
    waits.append(time.perf_counter() - begin)
    store.post(Record(name, f"key_{number % 20}", "support", now, 1900.0, 200, DECISION, ENTRIES, 900_000, "computed"))


async def saturate(store: SqliteStore, waits: list[float]) -> int:
    numbers = iter(range(40_000))

    async def client() -> None:
        for number in numbers:
            await one(store, number, waits)

    await asyncio.gather(*(client() for _ in range(64)))
    return 40_000


async def paced(store: SqliteStore, waits: list[float]) -> int:
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(1_000):
            await asyncio.sleep(max(0.0, begin + number / 200 - time.perf_counter()))
            group.create_task(one(store, 10**9 + number, waits))
    return 1_000


async def main(folder: Path) -> None:
    store = await open_sqlite(folder / "bench.db", clock=SystemClock(), instance="bench")
    for name, load in (("saturation", saturate), ("200 requests/s", paced)):
        waits: list[float] = []
        wall, cpu = time.perf_counter(), time.process_time()
        count = await load(store, waits)
        await store.spent("key_0")  # whatever was queued is written
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        waits.sort()
        p50, p99 = waits[count // 2] * 1e3, waits[count * 99 // 100] * 1e3
        rate = f"{count / wall:,.0f} requests/s, {2 * count / wall:,.0f} entries/s"
        print(
            f"{name}: {rate}, {cpu / count * 1e6:.1f} us CPU a request; durable after p50 {p50:.2f}, p99 {p99:.2f} ms"
        )
    await store.close()


with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
    uvloop.run(main(Path(folder)))
