"""Runs a batch, round after round: each line by its key's door, or by its provider's batch, when it is its time.

Lines wait for cheaper hours where there is time (`off_peak.py`); which of them a provider is asked all at once says
`dispatch.py`. A result is appended as soon as it is there, so whoever goes on after this process has ended asks no line
again that has one. Knows no line's meaning.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, suppress

from msgspec.structs import replace

from tierwise.gateway.bulk.batch_lines import Journal, Line, Lines, check, unanswered
from tierwise.gateway.bulk.by_door import ByDoor, Halt
from tierwise.gateway.bulk.dispatch import Dispatch
from tierwise.gateway.bulk.ending import end, outputs
from tierwise.gateway.bulk.errand import Errand
from tierwise.gateway.bulk.means import Means
from tierwise.gateway.bulk.off_peak import OffPeak, latest
from tierwise.gateway.bulk.shelf import BatchObject, Counts, Note, Problem, aside

PERIOD = 1.0  # seconds between two notes of how far a batch is

GONE = Problem("file_not_found", "The input file is gone.", param="input_file_id")
REVOKED = Problem("key_revoked", "The key that made this batch is revoked.")
EXPIRED = ("batch_expired", "The completion window ended before this request was asked.")

_log = logging.getLogger("tierwise.batches")


class Run:
    """One batch on its way, from the first look at it, or from where another process was, to its end."""

    def __init__(self, means: Means, key_id: str, batch: BatchObject) -> None:
        self.batch = batch
        self.halt = Halt()
        self.waits = False  # no line is asked, for now
        self._means = means
        self._shelf = means.shelf
        self._key_id = key_id
        self._input = self._shelf.data(key_id, batch.input_file_id)
        self._longest = means.app.running.max_body
        self._door = ByDoor(means, key_id, (batch.id, batch.endpoint), self.halt)
        self._hours = OffPeak(means, batch.expires_at)
        self._output: Journal
        self._errors: Journal
        self._dispatch: Dispatch
        self._total = 0  # lines

    async def run(self) -> None:
        """Raises FilesUnavailable, StoreError, OSError: then it is for another time."""
        try:
            checked = await asyncio.to_thread(check, self._input, self.batch.endpoint, self._longest)
        except FileNotFoundError:
            await self._end("failed", GONE)
            return
        if checked.problems:
            await self._end("failed", *checked.problems)
            return
        self._total = checked.total
        with ExitStack() as open_files:
            journals = [await aside(Journal, self._shelf.data(self._key_id, name)) for name in outputs(self.batch.id)]
            for journal in journals:
                open_files.callback(journal.close)
            self._output, self._errors = journals
            until = latest(self.batch.expires_at, self._total, self._means.concurrency)
            whose = self._means.app, self._key_id, self.batch
            errand = Errand(*whose, self._input, self._longest, self._output, until, self.halt.for_good)
            self._dispatch = Dispatch(errand, self._shelf, self.halt.woken.set)
            began = self.batch.in_progress_at or self._means.now
            self.batch = replace(self.batch, status="in_progress", in_progress_at=began, cancelling_at=None)
            await self._note()
            await self._ask_all()
            if self.halt.reason == "expired":
                await aside(self._expire)
            await self._note()
        if self.halt.reason == "failed":
            await self._end("failed", REVOKED)
        elif not self.halt.left:
            await self._end(self.halt.reason or "completed")

    async def _end(self, final: str, *problems: Problem) -> None:
        await end(self._shelf, self._key_id, self.batch, self._means.now, final, *problems)

    async def _ask_all(self) -> None:
        """In each round the lines whose time it is, until there are no others."""
        dispatch, halt = self._dispatch, self.halt
        try:
            await dispatch.resume()
            while True:
                halt.woken.clear()
                self._hours.begin()
                await self._ask_due()
                dispatch.hand_over()
                if halt.reason or not (self._hours or dispatch.held or halt.woken.is_set()):
                    break
                await self._wait()
            if not halt.left:
                await dispatch.settled()
        finally:
            await dispatch.close()

    async def _wait(self) -> None:
        """Until there may be a line to ask."""
        self.waits = True
        while not (self.halt.woken.is_set() or self._hours.over(self._left)):
            await self._note()
            self._door.tenant()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.halt.woken.wait(), PERIOD)
        if self._dispatch.error is not None:
            raise self._dispatch.error
        self.waits = False

    async def _ask_due(self) -> None:
        source = self._undone()
        working = {asyncio.ensure_future(self._work(source)) for _ in range(self._means.concurrency)}
        try:
            pending = working
            while pending:
                _, pending = await asyncio.wait(pending, timeout=PERIOD)
                await self._note()
            for task in working:
                task.result()
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await asyncio.to_thread(source.close)

    async def _work(self, source: Lines) -> None:
        """One of those that take the next line, until there is none."""
        while self.halt.reason is None and (line := await asyncio.to_thread(source.next)) is not None:
            try:
                await self._placed(line)
            except OSError as error:
                _log.error("a result of batch %s can't be written: %s", self.batch.id, error.strerror)
                self.halt("broken")

    async def _placed(self, line: Line) -> None:
        """Asked, or left for another round. Raises OSError, StoreError."""
        if self._hours.waits(line, self._left) or await self._dispatch.offer(line) != "live":
            return
        found = await self._door.answer(line)
        if found is not None:
            (self._output if found.good else self._errors).append(line, found.result)

    def _expire(self) -> None:
        source = self._undone()
        while (line := source.next()) is not None:
            self._errors.append(line, unanswered(line, *EXPIRED))

    def _undone(self) -> Lines:
        return Lines(self._input, self._longest, self._output.done | self._errors.done | self._dispatch.held)

    @property
    def _left(self) -> int:
        """Lines without a result."""
        return self._total - len(self._output.done) - len(self._errors.done)

    async def _note(self) -> None:
        """Write down how far it is, and why it is not done yet."""
        counts = Counts(self._total, len(self._output.done), len(self._errors.done))
        said, until = self._hours.told(self._left)
        said += self._dispatch.told()
        note = Note("; ".join(said), until) if said else None
        if (counts, note) != (self.batch.request_counts, self.batch.tierwise):
            await aside(self._output.sync)
            await aside(self._errors.sync)
            self.batch = replace(self.batch, request_counts=counts, tierwise=note)
            await aside(self._shelf.write, self._key_id, self.batch)
