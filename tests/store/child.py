"""Processes for the tests to start: `child.py crash FILE ROUNDS`, `child.py spend|hold FILE NAME`."""

import asyncio
import os
import random
import secrets
import signal
import sys
import time
from pathlib import Path

from tests.conformance.store import DOLLAR, entry, record, reservation
from tierwise.errors import BudgetExceeded
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite import open_sqlite


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ms(self) -> float:
        return time.monotonic() * 1000


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # unbuffered and, being short, whole: it is out before the next step


async def work(store: LedgerStore, name: str) -> None:
    """What is told is promised: nobody has waited for the database."""
    for number in range(1_000_000):
        request_id = f"{name}-{number}"
        await store.reserve(reservation(request_id, 10, budget=DOLLAR))
        tell(f"reserved {request_id}")
        await asyncio.sleep(0.001)
        store.post(record(request_id, entry(3), entry(4)))
        tell(f"posted {request_id}")


async def crash(path: Path, name: str) -> None:
    store = await open_sqlite(path, clock=SystemClock(), instance=name)
    await asyncio.gather(*(work(store, f"{name}-{client}") for client in range(8)))


def rounds(path: Path, count: int) -> None:
    """Start a process, kill it at some moment, `count` times. Forked: an interpreter's start takes longer."""
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            asyncio.run(crash(path, f"i{number}"))
        spool = path.with_name(f"{path.name}.spool")
        while not list(spool.glob(f"i{number}.*.journal")):
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.06))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def spend(path: Path, name: str) -> None:
    """Reserve cents of a dollar, 250 at once, and spend all that was reserved."""
    store = await open_sqlite(path, clock=SystemClock(), instance=secrets.token_hex(8))
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)

    async def one(number: int) -> bool:
        request_id = f"{name}-{number}"
        try:
            await store.reserve(reservation(request_id, DOLLAR // 100, budget=DOLLAR))
        except BudgetExceeded:
            return False
        store.post(record(request_id, entry(DOLLAR // 100)))
        return True

    tell(str(sum(await asyncio.gather(*map(one, range(250))))))
    await store.close()


async def hold(path: Path, name: str) -> None:
    """Promise two requests and the end of one, with the file locked by the test so that only the journal has them."""
    store = await open_sqlite(path, clock=SystemClock(), instance=name)
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(2):
        await store.reserve(reservation(f"{name}-{number}", 10))
    store.post(record(f"{name}-0", entry(3)))
    tell("promised")
    await asyncio.sleep(60)


if __name__ == "__main__":
    verb, file, argument = sys.argv[1:]
    if verb == "crash":
        rounds(Path(file), int(argument))
    else:
        asyncio.run({"spend": spend, "hold": hold}[verb](Path(file), argument))
