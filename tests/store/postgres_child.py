"""A process on PostgreSQL for the tests to kill: `postgres_child.py URL SPOOL ROUNDS`."""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.store.child import SystemClock, work
from tierwise.store.postgres import open_postgres


async def crash(url: str, spool: Path, name: str) -> None:
    store = await open_postgres(url, spool=spool, clock=SystemClock(), instance=name)
    await asyncio.gather(*(work(store, f"{name}-{client}") for client in range(8)))


def rounds(url: str, spool: Path, count: int) -> None:
    """Start a process, kill it at some moment, `count` times. Forked: an interpreter's start takes longer."""
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            asyncio.run(crash(url, spool, f"i{number}"))
        while not list(spool.glob(f"i{number}.*.journal")):
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.06))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    address, folder, times = sys.argv[1:]
    rounds(address, Path(folder), int(times))
