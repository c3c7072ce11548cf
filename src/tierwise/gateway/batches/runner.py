"""Which batches run: of all processes that share the folder only one runs any, whoever holds its lock.

Knows what batches there are and who waits for a turn; how one is run is `batch_run.py`'s.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections import Counter
from contextlib import suppress

from tierwise.errors import StoreError, TierwiseError
from tierwise.gateway.batches.batch_run import BatchRun
from tierwise.gateway.batches.context import Resources
from tierwise.gateway.batches.direct_calls import Reason
from tierwise.gateway.batches.file_store import FINAL, BatchObject, in_thread, key_ids, sweep

PERIOD = 1.0  # seconds between two looks at the folder
SWEEP_PERIOD = 3600.0  # seconds between two sweeps
PER_KEY = 4  # batches of one key that ask lines at a time; the others wait, the oldest is next
WAITING = 100  # batches of one key that are begun, those that wait for an hour or for a provider with them
RETRY = 30.0  # seconds after which a batch is tried again that failed by our own fault
GRACE = 3.0  # seconds that lines may go on for at the end

_log = logging.getLogger("tierwise.batches")


class BatchRunner:
    """Belongs to one event loop."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.file_store = resources.file_store
        self._running: dict[str, tuple[BatchRun, asyncio.Task[None]]] = {}  # by the batch's id
        self._retry_at: dict[str, float] = {}  # by the batch's id, on the clock of the loop
        self._ended: set[str] = set()
        self._wake = asyncio.Event()
        self._lock: int | None = None  # an open file, while this process is the one that runs batches
        self._swept = -SWEEP_PERIOD
        self._stopping = False

    def wake(self) -> None:
        """There is something new to see."""
        self._wake.set()

    async def follow(self) -> None:
        """Run what there is, for ever."""
        while True:
            try:
                if not self._stopping and self._holds_lock():
                    await self._poll()
            except (OSError, StoreError) as error:
                _log.warning("batches can't be looked at: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), PERIOD)
            self._wake.clear()

    async def close(self) -> None:
        """Lines that are on their way may end, if they are quick; the rest is for whoever goes on."""
        self._stopping = True
        tasks = [task for _, task in self._running.values()]
        for run, _ in self._running.values():
            run.halt("stopping")
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
            self._resources.app.abandon()
            await asyncio.wait(tasks, timeout=GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _holds_lock(self) -> bool:
        """Whether it is for this process to run batches. Without a folder there is nothing to run."""
        if self._lock is None:
            try:
                lock = os.open(self.file_store.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    async def _poll(self) -> None:
        if (time := asyncio.get_running_loop().time()) - self._swept >= SWEEP_PERIOD:
            await in_thread(sweep, self.file_store, self._resources.now)
            self._ended.clear()  # it would grow for ever
            self._swept = time
        at_once: Counter[str] = Counter()
        known: Counter[str] = Counter()
        for key_id, batch in await in_thread(self._unfinished):
            reason = self._halt_reason(batch)
            if batch.id in self._running:
                run = self._running[batch.id][0]
                known[key_id] += 1
                at_once[key_id] += not run.waits
                if reason is not None:
                    run.halt(reason)
            elif self._has_room(at_once[key_id], known[key_id]) and self._retry_at.get(batch.id, 0.0) <= time:
                at_once[key_id] += 1
                known[key_id] += 1
                self._start(key_id, batch, reason)

    @staticmethod
    def _has_room(at_once: int, known: int) -> bool:
        return at_once < PER_KEY and known < WAITING

    def _unfinished(self) -> list[tuple[str, BatchObject]]:
        """By key, oldest first."""
        found: list[tuple[str, BatchObject]] = []
        for key_id in key_ids(self.file_store.folder):
            for batch_id in reversed(self.file_store.batch_ids(key_id)):
                if batch_id in self._ended:
                    continue
                try:
                    batch = self.file_store.batch(key_id, batch_id)
                except TierwiseError as error:  # it must not be in the way of others
                    _log.error("%s: %s", batch_id, error.message)
                    self._ended.add(batch_id)
                    continue
                if batch.status in FINAL:
                    self._ended.add(batch_id)
                else:
                    found.append((key_id, batch))
        return found

    def _halt_reason(self, batch: BatchObject) -> Reason | None:
        """Why no more of its lines may be asked, as far as it can be seen from here; None: they may."""
        if batch.cancelling_at is not None:
            return "cancelled"
        return "expired" if self._resources.now >= batch.expires_at else None

    def _start(self, key_id: str, batch: BatchObject, reason: Reason | None) -> None:
        run = BatchRun(self._resources, key_id, batch)
        if reason is not None:
            run.halt(reason)
        task = asyncio.ensure_future(run.run())
        self._running[batch.id] = run, task
        task.add_done_callback(lambda done: self._done(run, done))

    def _done(self, run: BatchRun, task: asyncio.Task[None]) -> None:
        del self._running[run.batch.id]
        self._stopping = self._stopping or run.halt.reason == "stopping"
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("batch %s failed, and is tried again: %s", run.batch.id, type(error).__name__)
        if error is not None or run.halt.reason == "broken":
            self._retry_at[run.batch.id] = asyncio.get_running_loop().time() + RETRY
        self.wake()
