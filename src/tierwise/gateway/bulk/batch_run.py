"""Runs batches: each line by the very door that a request of the same key comes in by, so many at a time.

Of all processes that share the folder only one runs batches, whoever holds its lock. A result is appended as soon as it
is there, so whoever goes on after this process has ended asks no line again that has one. Knows no line's meaning.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections import Counter
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Literal, cast

from msgspec.structs import replace

from tierwise.errors import RateLimited, Stopping, StoreError, TierwiseError
from tierwise.gateway.app import ROUTES, App, Exchange
from tierwise.gateway.bulk.batch_lines import Journal, Line, Lines, answered, check, unanswered
from tierwise.gateway.bulk.shelf import (
    FINAL,
    SECOND,
    BatchObject,
    Counts,
    FileObject,
    Problem,
    Problems,
    Shelf,
    aside,
    keys,
    sweep,
)
from tierwise.gateway.chat import internal
from tierwise.gateway.doors import encode_error
from tierwise.money import Tenant

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol  # granian.rsgi names it without exporting it
    from granian.rsgi import Scope

PERIOD = 1.0  # seconds between two looks at the folder, and two notes of how far a batch is
SWEEP = 3600.0  # seconds between two sweeps
PER_KEY = 4  # batches of one key at a time; the others wait, the oldest is next
STORE_PATIENCE = 5.0  # seconds after which a line is asked again that the ledger was not there for
REST = 30.0  # ... and a batch is tried again that failed by our own fault
GRACE = 3.0  # seconds that lines may go on for at the end

Reason = Literal["cancelled", "expired", "failed", "stopping", "broken"]
REVOKED = Problem("key_revoked", "The key that made this batch is revoked.")
EXPIRED = ("batch_expired", "The completion window ended before this request was asked.")

_log = logging.getLogger("tierwise.batches")


class Letter:
    """A request that came by no socket: as much of granian's protocol as it takes to answer it as a whole."""

    method = "POST"
    query_string = ""

    def __init__(self, path: str, body: bytes) -> None:
        self.path = path
        self.headers = {"content-length": str(len(body))}
        self._body = body

    async def __call__(self) -> bytes:
        return self._body

    async def client_disconnect(self) -> None:
        """Never: nobody waits at the other end."""
        await asyncio.Event().wait()


class Runner:
    """Belongs to one event loop. `concurrency`: lines that are asked at once, of all batches."""

    def __init__(self, app: App, shelf: Shelf, concurrency: int) -> None:
        self.app = app
        self.shelf = shelf
        self.concurrency = concurrency
        self.turns = asyncio.Semaphore(concurrency)
        self._running: dict[str, tuple[Run, asyncio.Task[None]]] = {}  # by the batch's id
        self._resting: dict[str, float] = {}  # until when, on the clock of the loop
        self._ended: set[str] = set()
        self._wake = asyncio.Event()
        self._lock: int | None = None  # an open file, while this process is the one that runs batches
        self._swept = -SWEEP
        self._stopping = False

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.app.engine.clock.now_ns() // SECOND

    def wake(self) -> None:
        """There is something new to see."""
        self._wake.set()

    async def follow(self) -> None:
        """Run what there is, for ever."""
        while True:
            try:
                if not self._stopping and self._locked():
                    await self._look()
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
            self.app.abandon()
            await asyncio.wait(tasks, timeout=GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locked(self) -> bool:
        """Whether it is for this process to run batches. Without a folder there is nothing to run."""
        if self._lock is None:
            try:
                lock = os.open(self.shelf.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    async def _look(self) -> None:
        if (time := asyncio.get_running_loop().time()) - self._swept >= SWEEP:
            await aside(sweep, self.shelf, self.now)
            self._ended.clear()  # it would grow for ever
            self._swept = time
        at_once: Counter[str] = Counter()
        for key_id, batch in await aside(self._unfinished):
            reason = self._reason(batch)
            if batch.id in self._running:
                at_once[key_id] += 1
                if reason is not None:
                    self._running[batch.id][0].halt(reason)
            elif at_once[key_id] < PER_KEY and self._resting.get(batch.id, 0.0) <= time:
                at_once[key_id] += 1
                self._start(key_id, batch, reason)

    def _unfinished(self) -> list[tuple[str, BatchObject]]:
        """By key, oldest first."""
        found: list[tuple[str, BatchObject]] = []
        for key_id in keys(self.shelf.folder):
            for batch_id in reversed(self.shelf.batch_ids(key_id)):
                if batch_id in self._ended:
                    continue
                try:
                    batch = self.shelf.batch(key_id, batch_id)
                except TierwiseError as error:  # it must not be in the way of others
                    _log.error("%s: %s", batch_id, error.message)
                    self._ended.add(batch_id)
                    continue
                if batch.status in FINAL:
                    self._ended.add(batch_id)
                else:
                    found.append((key_id, batch))
        return found

    def _reason(self, batch: BatchObject) -> Reason | None:
        """Why no more of its lines may be asked, as far as it can be seen from here; None: they may."""
        if batch.cancelling_at is not None:
            return "cancelled"
        return "expired" if self.now >= batch.expires_at else None

    def _start(self, key_id: str, batch: BatchObject, reason: Reason | None) -> None:
        run = Run(self, key_id, batch)
        if reason is not None:
            run.halt(reason)
        task = asyncio.ensure_future(run.run())
        self._running[batch.id] = run, task
        task.add_done_callback(lambda done: self._done(run, done))

    def _done(self, run: Run, task: asyncio.Task[None]) -> None:
        del self._running[run.batch.id]
        self._stopping = self._stopping or run.reason == "stopping"
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("batch %s failed, and is tried again: %s", run.batch.id, type(error).__name__)
        if error is not None or run.reason == "broken":
            self._resting[run.batch.id] = asyncio.get_running_loop().time() + REST
        self.wake()


class Run:
    """One batch on its way, from the first look at it, or from where another process was, to its end."""

    def __init__(self, runner: Runner, key_id: str, batch: BatchObject) -> None:
        self.batch = batch
        self.reason: Reason | None = None  # why no line is asked any more
        self._runner = runner
        self._shelf = runner.shelf
        self._key_id = key_id
        self._halted = asyncio.Event()
        self._input = self._shelf.data(key_id, batch.input_file_id)
        self._longest = runner.app.running.max_body
        name = batch.id.replace("batch_", "file-")
        self._outputs = f"{name}-output", f"{name}-errors"  # the ids of the two files that it makes

    def halt(self, reason: Reason) -> None:
        """Ask no more lines. The first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._halted.set()

    async def run(self) -> None:
        """Raises FilesUnavailable, OSError: then it is for another time."""
        try:
            checked = await asyncio.to_thread(check, self._input, self.batch.endpoint, self._longest)
        except FileNotFoundError:
            await self._finish("failed", Problem("file_not_found", "The input file is gone.", param="input_file_id"))
            return
        if checked.problems:
            await self._finish("failed", *checked.problems)
            return
        with ExitStack() as open_files:
            outputs = [await aside(Journal, self._shelf.data(self._key_id, name)) for name in self._outputs]
            for journal in outputs:
                open_files.callback(journal.close)
            self._output, self._errors = outputs
            began = self.batch.in_progress_at or self._runner.now
            self.batch = replace(self.batch, status="in_progress", in_progress_at=began, cancelling_at=None)
            await self._note(checked.total)
            await self._ask_all(checked.total)
            if self.reason == "expired":
                await aside(self._expire)
            await self._note(checked.total)
        if self.reason == "failed":
            await self._finish("failed", REVOKED)
        elif self.reason not in ("stopping", "broken"):
            await self._finish(self.reason or "completed")

    async def _ask_all(self, total: int) -> None:
        source = self._undone()
        working = {asyncio.ensure_future(self._work(source)) for _ in range(self._runner.concurrency)}
        try:
            pending = working
            while pending:
                _, pending = await asyncio.wait(pending, timeout=PERIOD)
                await self._note(total)
            for task in working:
                task.result()
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await asyncio.to_thread(source.close)

    async def _work(self, source: Lines) -> None:
        """One of those that take the next line, until there is none."""
        while self.reason is None and (line := await asyncio.to_thread(source.next)) is not None:
            found = await self._answer(line)
            if found is None:
                return
            try:
                journal, result = found
                journal.append(line, result)
            except OSError as error:
                _log.error("a result of batch %s can't be written: %s", self.batch.id, error.strerror)
                self.halt("broken")

    async def _answer(self, line: Line) -> tuple[Journal, bytes] | None:
        """Its result and where to; None where the batch was halted before there was one."""
        while self.reason is None:
            async with self._runner.turns:
                tenant = self._runner.app.keyring.tenant(self._key_id)
                if tenant is None:
                    self.halt("failed")
                    return None
                found = None if self.reason else await self._asked(tenant, line)
            if not isinstance(found, float):
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(self._halted.wait(), found)
        return None

    async def _asked(self, tenant: Tenant, line: Line) -> tuple[Journal, bytes] | float | None:
        """As `_answer`, or the seconds after which to ask again."""
        endpoint, app = self.batch.endpoint, self._runner.app
        letter = Letter(endpoint, bytes(line.body))
        exchange = Exchange(cast("Scope", letter), cast("HTTPProtocol", letter))
        exchange.tenant = tenant
        try:
            reply = await ROUTES[endpoint]["POST"](app, exchange)
        except Stopping:
            self.halt("stopping")
            return None
        except StoreError:
            return STORE_PATIENCE
        except TierwiseError as error:
            if isinstance(error, RateLimited) and error.retry_after is not None:
                return max(error.retry_after, 0.01)
            failure = error
        except Exception as error:  # noqa: BLE001  a worker loop: one line must not end all of a batch
            _log.error("request %s of batch %s failed: %s", exchange.id, self.batch.id, type(error).__name__)
            failure = internal()
        else:
            if reply is not None:
                return self._output, answered(line, exchange.id, reply.status, reply.body)
            failure = internal()
        body = encode_error(endpoint, None, failure, exchange.id)
        return self._errors, answered(line, exchange.id, failure.status, body)

    def _expire(self) -> None:
        source = self._undone()
        while (line := source.next()) is not None:
            self._errors.append(line, unanswered(line, *EXPIRED))

    def _undone(self) -> Lines:
        return Lines(self._input, self._longest, self._output.done | self._errors.done)

    async def _note(self, total: int) -> None:
        """Write down how far it is."""
        counts = Counts(total, len(self._output.done), len(self._errors.done))
        if counts != self.batch.request_counts:
            await aside(self._output.sync)
            await aside(self._errors.sync)
            self.batch = replace(self.batch, request_counts=counts)
            await aside(self._shelf.write, self._key_id, self.batch)

    async def _finish(self, final: str, *problems: Problem) -> None:
        """Make what was written files of the key, then say that it has ended, and by what."""
        now, marked = self._runner.now, await aside(self._shelf.batch, self._key_id, self.batch.id)
        self.batch = replace(self.batch, status="finalizing", finalizing_at=now, cancelling_at=marked.cancelling_at)
        await aside(self._shelf.write, self._key_id, self.batch)
        output, errors = [await self._file(name, now) for name in self._outputs]
        said = Problems(problems) if problems else None
        ended = {f"{final}_at": now}
        self.batch = replace(
            self.batch, status=final, output_file_id=output, error_file_id=errors, errors=said, **ended
        )
        await aside(self._shelf.write, self._key_id, self.batch)

    async def _file(self, name: str, now: int) -> str | None:
        """The id of a file that was made; None where nothing was written to it."""
        path = self._shelf.data(self._key_id, name)
        size = (await aside(path.stat)).st_size if await aside(path.exists) else 0
        if not size:
            await aside(path.unlink, missing_ok=True)
            return None
        shown = f"{self.batch.id}_{name.rpartition('-')[2]}.jsonl"
        until = now + self._shelf.keep
        file = FileObject(id=name, bytes=size, created_at=now, expires_at=until, filename=shown, purpose="batch_output")
        await aside(self._shelf.add, self._key_id, file)
        return name
