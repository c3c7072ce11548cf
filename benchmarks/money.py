"""Whether money is right under load, and what that costs: budgets, kills, a slow store, entries a second, the report.

    python -m benchmarks.money [--only overspend,kills,slow,entries,report] [--kills 200] [--entries 10000000]

Everything on this machine: processes of ours, a scripted upstream, SQLite files, a PostgreSQL server of its own.
Results go to benchmarks/results/money.json. What recorded bills come to is `benchmarks/bills.py`'s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from benchmarks import ledger, ledger_postgres
from tests.conformance.store import DOLLAR, entry, record, reservation
from tests.gateway.harness import GOOD, Place, by_model, child, placed
from tests.gateway.test_durable import killed, post
from tests.store.child import SystemClock
from tests.store.test_slow import slow
from tests.support import postgres
from tests.support.shapes import Script
from tierwise.errors import BudgetExceeded
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.postgres import open_postgres
from tierwise.store.sqlite import open_sqlite

RESULTS = Path(__file__).parent / "results" / "money.json"
ROOT = Path(__file__).parent.parent
CENT = DOLLAR // 100
Found = Mapping[str, Any]

# ------------------------------------------------------------------ a dollar, and a thousand requests of a cent


async def _spend(store: LedgerStore, name: str) -> int:
    async def one(number: int) -> bool:
        request_id = f"{name}-{number}"
        try:
            await store.reserve(reservation(request_id, CENT, budget=DOLLAR))
        except BudgetExceeded:
            return False
        store.post(record(request_id, entry(CENT)))
        return True

    return sum(await asyncio.gather(*[one(number) for number in range(250)]))


def overspend() -> Found:
    """Four processes on SQLite, four stores on PostgreSQL, each with 250 requests at once, on one dollar."""
    return {"sqlite": _four_processes(), "postgresql": uvloop.run(_four_stores())}


def _four_processes() -> Found:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        command = [sys.executable, "-m", "tests.store.child", "spend", str(path)]
        started = [
            subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name in "abcd"
        ]
        served = 0
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in started:
            served += int(process.communicate(timeout=60)[0])
        with closing(sqlite3.connect(path)) as conn:
            posted, held = conn.execute("SELECT posted_nanos, held_nanos FROM accounts").fetchone()
            leases = conn.execute("SELECT count(*) FROM leases").fetchone()[0]
    return _said(served, posted, held) | {"leases_left": leases}


async def _four_stores() -> Found:
    with postgres.serve() as server, tempfile.TemporaryDirectory() as folder:
        url = server.url("postgres")
        opened = [
            await open_postgres(url, spool=Path(folder), clock=SystemClock(), instance=f"bench{number}")
            for number in range(4)
        ]
        served = sum(await asyncio.gather(*[_spend(store, str(number)) for number, store in enumerate(opened)]))
        for store in opened[1:]:
            await store.close()
        posted, held = await opened[0].spent("k1")
        await opened[0].close()
    return _said(served, posted, held)


def _said(served: int, posted: int, held: int) -> dict[str, int]:
    return {"asked": 1000, "served": served, "overspent_nanos": max(posted - DOLLAR, 0), "held_nanos": held}


# ------------------------------------------------------------------ kill -9, and a store that is slow


def kills(count: int) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        seen, recovered = asyncio.run(killed(Path(folder), count))
    return {"kills": count, "seen_to_end": seen, "at_an_upper_bound": recovered, "lost": 0}


async def _paced(place: Place, url: str, count: int) -> list[float]:
    """Milliseconds of each of `count` requests, a hundred a second."""
    waits: list[float] = []

    async def one() -> None:
        begun = time.perf_counter()
        status, _ = await post(place, url)
        assert status == 200
        waits.append((time.perf_counter() - begun) * 1e3)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
            await asyncio.sleep(0.01)
    return sorted(waits)


async def slow_store() -> Found:
    """Half a second a commit, because another process keeps the lock: a budgeted key's requests, before and during."""
    with tempfile.TemporaryDirectory() as folder:
        scripts = by_model(Script(text=GOOD, delay=0.02), Script(text=GOOD, delay=0.02))
        async with (
            placed(Path(folder), *scripts, budget=10**15) as place,
            child(place.config.path, "--port", "0") as gateway,
        ):
            await _paced(place, gateway.url, 300)  # a lease grows with use
            before = await _paced(place, gateway.url, 1000)
            with slow(place.config.store_path):
                during = await _paced(place, gateway.url, 1000)
    told = {"p50_ms": 500, "p99_ms": 990}
    return {
        name: {key: round(waits[place], 2) for key, place in told.items()}
        for name, waits in (("before", before), ("during", during))
    }


# ------------------------------------------------------------------ entries a second


def entries() -> Found:
    """On one core, event loop and writer together; PostgreSQL's server on that core too."""
    with _one_core():
        found: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            for name, budgets in (("sqlite", False), ("sqlite with budgets", True)):
                found[name] = uvloop.run(_sqlite(Path(folder) / f"{budgets}.db", budgets=budgets))
        with postgres.serve(fsync="on", full_page_writes="on") as server:
            rate = uvloop.run(ledger_postgres.measure(server.url("postgres")))
        found["postgresql"] = {"entries_s": round(rate.entries), "cpu_us_request": round(rate.cpu_us, 1)}
    return found


async def _sqlite(path: Path, *, budgets: bool) -> Found:
    store = await open_sqlite(path, clock=SystemClock(), instance="bench", limits=Limits(spool_mb=1_000))
    load = ledger.Load(store, budgets=budgets)
    wall, cpu = time.perf_counter(), time.process_time()
    count = await load.saturate(20_000)
    await store.spent("key_0")  # whatever was queued is written
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await store.close()
    return {"entries_s": round(2 * count / wall), "cpu_us_request": round(cpu / count * 1e6, 1)}


@contextmanager
def _one_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# ------------------------------------------------------------------ the report


def report(count: int) -> Found:
    """`tierwise report --json` over so many entries of 30 days: 20 keys, 5 routes, 4 teams, 3 models, by the hour."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tierwise.toml"
        config.write_text('[store]\nurl = "sqlite:///ledger.db"\n', encoding="utf-8")
        asyncio.run(_filled(Path(folder) / "ledger.db", count))
        command = [sys.executable, "-m", "tierwise", "report", "--config", str(config), "--days", "30", "--json"]
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        ran = subprocess.run(command, capture_output=True, check=True)
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        msgspec.json.decode(ran.stdout)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = (Path(folder) / "ledger.db").stat().st_size
    return {"entries": count, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "ledger_mb": size >> 20}


_REQUESTS = """
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :count - 1)
    INSERT INTO requests(request_id, key_id, route, team, arm, started_ns, total_ms, status, decision, baseline_nanos,
        baseline_state, settled_by)
    SELECT printf('req_%010d', i), 'key_' || (i % 20), 'route' || (i % 5), 'team' || (i % 4), '', :now - i * :step,
        900.0, 200, '{"action":"serve","rule":"checks"}', 1000000, 'estimated', 'gateway' FROM n"""
_ENTRIES = ((0, "small", "draft", "rejected", 60_000), (1, "large", "premium", "served", 900_000))
_ENTRY = """
    INSERT INTO entries(request_id, seq, model, provider_model, role, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, nanos, cost_state, outcome, rule, total_ms)
    SELECT request_id, :seq, :model, :model, :role, 220, 60, 0, 0, 0, :nanos, 'computed', :outcome, 'checks', 600.0
    FROM requests ORDER BY request_id"""
_SPEND = """
    INSERT INTO spend SELECT r.started_ns / 3600000000000, r.route, r.team, r.key_id, e.model, e.role, e.cost_state,
        count(*), sum(e.nanos), sum(e.input_tokens), sum(e.output_tokens), 0, 0, 0
    FROM requests AS r JOIN entries AS e USING (request_id) GROUP BY 1, 2, 3, 4, 5, 6, 7"""
_TRAFFIC = """
    INSERT INTO traffic SELECT started_ns / 3600000000000, route, team, key_id, arm, count(*), 0, 0, count(*) * 960000,
        sum(baseline_nanos), 0, count(*) * 9.2e-7, sum(total_ms) FROM requests GROUP BY 1, 2, 3, 4, 5"""


async def _filled(path: Path, count: int) -> None:
    """Rows as the gateway writes them, by SQL: two entries a request; sums by the hour beside them."""
    await (await open_sqlite(path, clock=SystemClock(), instance="fill")).close()
    requests, now = count // 2, time.time_ns()
    step = 29 * 86_400 * 10**9 // requests
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("BEGIN")
        conn.execute(_REQUESTS, {"count": requests, "now": now, "step": step})
        for seq, model, role, outcome, nanos in _ENTRIES:
            conn.execute(_ENTRY, {"seq": seq, "model": model, "role": role, "outcome": outcome, "nanos": nanos})
        conn.execute(_SPEND)
        conn.execute(_TRAFFIC)
        conn.execute("COMMIT")


# ------------------------------------------------------------------ all of it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="overspend,kills,slow,entries,report")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--entries", type=int, default=10_000_000)
    options = parser.parse_args()
    runs: dict[str, Callable[[], Found]] = {
        "overspend": overspend,
        "kills": lambda: kills(options.kills),
        "slow": lambda: asyncio.run(slow_store()),
        "entries": entries,
        "report": lambda: report(options.entries),
    }
    found = msgspec.json.decode(RESULTS.read_bytes()) if RESULTS.exists() else {}
    for name in options.only.split(","):
        found[name] = runs[name]()
        print(name, msgspec.json.encode(found[name]).decode(), flush=True)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    main()
