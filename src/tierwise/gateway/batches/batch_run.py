"""Runs a batch, round after round: each line by its key's door, or by its provider's batch, when it is its time.

Lines wait for cheaper hours where there is time (`off_peak.py`); which of them a provider is asked all at once says
`submitter.py`. A result is appended as soon as it is there, so whoever goes on after this process has ended asks no
line again that has one. At the end what was written becomes files of its key. Knows no line's meaning.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, suppress

from msgspec.structs import replace

from tierwise.gateway.batches.context import Resources, SubmissionContext
from tierwise.gateway.batches.direct_calls import DirectCalls, Halt
from tierwise.gateway.batches.file_store import (
    BatchObject,
    Counts,
    FileObject,
    FileStore,
    Note,
    Problem,
    Problems,
    in_thread,
)
from tierwise.gateway.batches.lines import PendingLines, RequestLine, ResultFile, error_line, validate
from tierwise.gateway.batches.off_peak import OffPeak, latest_start
from tierwise.gateway.batches.submission import submission_paths
from tierwise.gateway.batches.submitter import Submitter

PERIOD = 1.0  # seconds between two notes of how far a batch is

GONE = Problem("file_not_found", "The input file is gone.", param="input_file_id")
REVOKED = Problem("key_revoked", "The key that made this batch is revoked.")
EXPIRED = ("batch_expired", "The completion window ended before this request was asked.")

_log = logging.getLogger("tierwise.batches")


class BatchRun:
    """One batch on its way, from the first look at it, or from where another process was, to its end."""

    def __init__(self, resources: Resources, key_id: str, batch: BatchObject) -> None:
        self.batch = batch
        self.halt = Halt()
        self.waits = False  # no line is asked, for now
        self._resources = resources
        self._file_store = resources.file_store
        self._key_id = key_id
        self._input = self._file_store.content_path(key_id, batch.input_file_id)
        self._max_line = resources.app.running.max_body
        self._direct = DirectCalls(resources, key_id, (batch.id, batch.endpoint), self.halt)
        self._off_peak = OffPeak(resources, batch.expires_at)
        self._output: ResultFile
        self._errors: ResultFile
        self._submitter: Submitter
        self._total = 0  # lines

    async def run(self) -> None:
        """Raises FilesUnavailable, StoreError, OSError: then it is for another time."""
        try:
            checked = await asyncio.to_thread(validate, self._input, self.batch.endpoint, self._max_line)
        except FileNotFoundError:
            await self._end("failed", GONE)
            return
        if checked.problems:
            await self._end("failed", *checked.problems)
            return
        self._total = checked.total
        with ExitStack() as open_files:
            paths = [self._file_store.content_path(self._key_id, name) for name in output_ids(self.batch.id)]
            results = [await in_thread(ResultFile, path) for path in paths]
            for file in results:
                open_files.callback(file.close)
            self._output, self._errors = results
            until = latest_start(self.batch.expires_at, self._total, self._resources.concurrency)
            whose = self._resources.app, self._key_id, self.batch
            context = SubmissionContext(*whose, self._input, self._max_line, self._output, until, self.halt.for_good)
            self._submitter = Submitter(context, self._file_store, self.halt.woken.set)
            began = self.batch.in_progress_at or self._resources.now
            self.batch = replace(self.batch, status="in_progress", in_progress_at=began, cancelling_at=None)
            await self._save_progress()
            await self._ask_all()
            if self.halt.reason == "expired":
                await in_thread(self._expire)
            await self._save_progress()
        if self.halt.reason == "failed":
            await self._end("failed", REVOKED)
        elif not self.halt.resumable:
            await self._end(self.halt.reason or "completed")

    async def _end(self, final: str, *problems: Problem) -> None:
        await finish(self._file_store, self._key_id, self.batch, self._resources.now, final, *problems)

    async def _ask_all(self) -> None:
        """In each round the lines whose time it is, until there are no others."""
        submitter, halt = self._submitter, self.halt
        try:
            await submitter.resume()
            while True:
                halt.woken.clear()
                self._off_peak.reset()
                await self._ask_due()
                submitter.flush()
                if halt.reason or not (self._off_peak or submitter.in_flight or halt.woken.is_set()):
                    break
                await self._wait()
            if not halt.resumable:
                await submitter.wait()
        finally:
            await submitter.close()

    async def _wait(self) -> None:
        """Until there may be a line to ask."""
        self.waits = True
        while not (self.halt.woken.is_set() or self._off_peak.any_due(self._remaining)):
            await self._save_progress()
            self._direct.tenant()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.halt.woken.wait(), PERIOD)
        if self._submitter.error is not None:
            raise self._submitter.error
        self.waits = False

    async def _ask_due(self) -> None:
        lines = self._pending_lines()
        working = {asyncio.ensure_future(self._work(lines)) for _ in range(self._resources.concurrency)}
        try:
            pending = working
            while pending:
                _, pending = await asyncio.wait(pending, timeout=PERIOD)
                await self._save_progress()
            for task in working:
                task.result()
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await asyncio.to_thread(lines.close)

    async def _work(self, lines: PendingLines) -> None:
        """One of those that take the next line, until there is none."""
        while self.halt.reason is None and (line := await asyncio.to_thread(lines.next)) is not None:
            try:
                await self._place(line)
            except OSError as error:
                _log.error("a result of batch %s can't be written: %s", self.batch.id, error.strerror)
                self.halt("broken")

    async def _place(self, line: RequestLine) -> None:
        """Asked, or left for another round. Raises OSError, StoreError."""
        if self._off_peak.waits(line, self._remaining) or await self._submitter.offer(line) != "direct":
            return
        found = await self._direct.result(line)
        if found is not None:
            (self._output if found.answered else self._errors).append(line, found.line)

    def _expire(self) -> None:
        lines = self._pending_lines()
        while (line := lines.next()) is not None:
            self._errors.append(line, error_line(line, *EXPIRED))

    def _pending_lines(self) -> PendingLines:
        done = self._output.done | self._errors.done | self._submitter.in_flight
        return PendingLines(self._input, self._max_line, done)

    @property
    def _remaining(self) -> int:
        """Lines without a result."""
        return self._total - len(self._output.done) - len(self._errors.done)

    async def _save_progress(self) -> None:
        """Write down how far it is, and why it is not done yet."""
        counts = Counts(self._total, len(self._output.done), len(self._errors.done))
        waiting, until = self._off_peak.describe(self._remaining)
        waiting += self._submitter.describe()
        note = Note("; ".join(waiting), until) if waiting else None
        if (counts, note) != (self.batch.request_counts, self.batch.tierwise):
            await in_thread(self._output.sync)
            await in_thread(self._errors.sync)
            self.batch = replace(self.batch, request_counts=counts, tierwise=note)
            await in_thread(self._file_store.write_batch, self._key_id, self.batch)


def output_ids(batch_id: str) -> tuple[str, str]:
    """The ids of the two files that a batch makes: of answers, and of errors."""
    name = batch_id.replace("batch_", "file-")
    return f"{name}-output", f"{name}-errors"


async def finish(
    file_store: FileStore, key_id: str, batch: BatchObject, now: int, final: str, *problems: Problem
) -> None:
    """Its results become files, then it says that it has ended, and by what.

    `final`: its last status; `now` in Unix seconds. Raises FilesUnavailable.
    """
    marked = await in_thread(file_store.batch, key_id, batch.id)
    batch = replace(batch, status="finalizing", finalizing_at=now, cancelling_at=marked.cancelling_at, tierwise=None)
    await in_thread(file_store.write_batch, key_id, batch)
    output, errors = [await _result_file(file_store, key_id, batch.id, name, now) for name in output_ids(batch.id)]
    told = Problems(problems) if problems else None
    ended = {f"{final}_at": now}
    batch = replace(batch, status=final, output_file_id=output, error_file_id=errors, errors=told, **ended)
    await in_thread(file_store.write_batch, key_id, batch)
    for path in await in_thread(submission_paths, file_store.folder / key_id, batch.id):
        await in_thread(path.unlink, missing_ok=True)


async def _result_file(file_store: FileStore, key_id: str, batch_id: str, name: str, now: int) -> str | None:
    """The id of a file that was made; None where nothing was written to it."""
    path = file_store.content_path(key_id, name)
    size = (await in_thread(path.stat)).st_size if await in_thread(path.exists) else 0
    if not size:
        await in_thread(path.unlink, missing_ok=True)
        return None
    shown = f"{batch_id}_{name.rpartition('-')[2]}.jsonl"
    until = now + file_store.keep
    file = FileObject(id=name, bytes=size, created_at=now, expires_at=until, filename=shown, purpose="batch_output")
    await in_thread(file_store.add_file, key_id, file)
    return name
