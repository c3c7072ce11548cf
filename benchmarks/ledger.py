"""What the SQLite ledger costs: CPU a request (one reservation, one record of two entries), and who waits how long.

`python benchmarks/ledger.py [DIRECTORY]`: at saturation with 64 requests at once, then at 200 requests/s; of keys
without a budget, then with one. CPU is the whole process's: event loop and writer thread together. A request waits
until it is promised: in the journal, and leased where there is a budget.
"""

import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tierwise.money import Budget, Entry, Record, Reservation
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite import open_sqlite
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


class Load:
    """Requests of twenty keys, each with a budget or none; `waits` is how long each waited before its call."""

    def __init__(self, store: LedgerStore, *, budgets: bool) -> None:
        self.waits: list[float] = []
        self._store = store
        self._budgets = budgets
        self._numbers = itertools.count(10**9 * budgets)

    async def one(self) -> None:
        """A request as the gateway does it: promised before the call, posted at the end without waiting."""
        number = next(self._numbers)
        name, key_id = f"req_{number:016x}", f"key_{self._budgets:d}_{number % 20}"
        budgets = (Budget("key", key_id, "month", 10**15),) if self._budgets else ()
        now, begin = time.time_ns(), time.perf_counter()
        await self._store.reserve(Reservation(name, key_id, "support", 2_000_000, now, budgets))
        self.waits.append(time.perf_counter() - begin)
        self._store.post(Record(name, key_id, "support", now, 1900.0, 200, DECISION, ENTRIES, 900_000, "computed"))

    async def saturate(self, count: int = 40_000) -> int:
        async def client() -> None:
            while len(self.waits) < count:
                await self.one()
                await asyncio.sleep(0)  # its call

        await asyncio.gather(*(client() for _ in range(64)))
        return len(self.waits)

    async def paced(self, count: int = 1_000) -> int:
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, begin + number / 200 - time.perf_counter()))
                group.create_task(self.one())
        return count


async def main(folder: Path) -> None:
    store = await open_sqlite(folder / "bench.db", clock=SystemClock(), instance="bench", limits=Limits(spool_mb=1_000))
    for budgets in (False, True):
        load = Load(store, budgets=budgets)
        for name, run in (("saturation", load.saturate), ("200 requests/s", load.paced)):
            load.waits.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            count = await run()
            await store.spent("key_0")  # whatever was queued is written
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            waits = sorted(load.waits)
            p50, p99 = waits[count // 2] * 1e3, waits[count * 99 // 100] * 1e3
            rate = f"{count / wall:,.0f} requests/s, {2 * count / wall:,.0f} entries/s"
            case = f"{'with' if budgets else 'without'} budgets, {name}"
            print(
                f"{case}: {rate}, {cpu / count * 1e6:.1f} us CPU a request, "
                f"promised after p50 {p50:.3f}, p99 {p99:.3f} ms"
            )
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        uvloop.run(main(Path(folder)))
