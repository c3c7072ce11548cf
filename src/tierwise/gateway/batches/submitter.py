"""Which lines of a batch go to a provider's batch endpoint: gathered into submissions, reserved, followed to their end.

A line is sent once; what comes back without an answer is asked by the door, while there is time. Knows one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from tierwise.dialects.batches import names
from tierwise.errors import BudgetExceeded, TierwiseError
from tierwise.gateway.batches import submission as submissions
from tierwise.gateway.batches.accounting import reservation
from tierwise.gateway.batches.context import SubmissionContext
from tierwise.gateway.batches.eligibility import EncodedLine, encode_eligible
from tierwise.gateway.batches.file_store import SECOND, FileStore, in_thread
from tierwise.gateway.batches.file_store import new_id as new_mark
from tierwise.gateway.batches.lines import RequestLine
from tierwise.gateway.batches.off_peak import format_lines, format_time
from tierwise.gateway.batches.submission import Submission
from tierwise.gateway.batches.submission_run import SubmissionRun
from tierwise.gateway.web.http import new_id
from tierwise.money import Tenant

LINES_MAX, BYTES_MAX = 10_000, 32 << 20  # of a submission
PROVIDER_SECONDS = 3600  # that a provider is given at least

Placement = Literal["submitted", "direct", "later"]
"""Of a line: it is in a submission; it is to be asked by the door; its money is held by those before it."""


class _Open:
    """A submission that has room for more lines."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.bodies: dict[str, bytes] = {}  # by custom_id
        self.size = 0

    @property
    def full(self) -> bool:
        return len(self.bodies) >= LINES_MAX or self.size >= BYTES_MAX

    def add(self, custom_id: str, body: bytes) -> None:
        self.bodies[custom_id] = body
        self.size += len(body)


class Submitter:
    """Belongs to one run of a batch. `ended` is told whenever a submission has come to its end."""

    def __init__(self, context: SubmissionContext, file_store: FileStore, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._context = context
        self._file_store = file_store
        self._open: dict[str, _Open] = {}  # by model
        self._running: dict[asyncio.Task[None], Submission] = {}
        self._tried: set[str] = set()  # custom_ids of lines that were ever submitted
        self._turn = asyncio.Lock()
        self._short = False  # of money, until a submission gives back what it does not use
        self.error: BaseException | None = None  # what the run of a submission has raised

    @property
    def in_flight(self) -> set[str]:
        """custom_ids of the lines that are in submissions now."""
        unfinished = [*self._running.values(), *(each.submission for each in self._open.values())]
        return {custom_id for submission in unfinished for custom_id in submission.request_ids}

    async def resume(self) -> None:
        """Go on with what an earlier run has left. Raises OSError."""
        folder = self._file_store.folder / self._context.key_id
        for path in await in_thread(submissions.submission_paths, folder, self._context.batch.id):
            found = await in_thread(submissions.load, path)
            if found is not None and found.step == "over":
                self._tried |= found.request_ids.keys()
            elif found is not None:
                self._start(SubmissionRun(self._context, found))

    async def offer(self, line: RequestLine) -> Placement:
        """Raises OSError, StoreError."""
        context, engine = self._context, self._context.engine
        tenant = context.app.keyring.tenant(context.key_id)
        if tenant is None or line.custom_id in self._tried or context.now > context.deadline - PROVIDER_SECONDS:
            return "direct"
        encoded = encode_eligible(engine, tenant, context.batch.endpoint, line, new_id())
        if encoded is None:
            return "direct"
        async with self._turn:
            return await self._add(line, tenant, encoded)

    def flush(self) -> None:
        """No more lines come for now: send what was gathered."""
        for model in list(self._open):
            self._close(model)

    def describe(self) -> list[str]:
        """What waits, in words for a client."""
        return [
            f"{format_lines(len(submission.request_ids))} for {submission.model}: in a batch of its provider"
            f" since {format_time(submission.started_ns // SECOND)}"
            for submission in self._running.values()
        ]

    async def wait(self) -> None:
        """For the end of every submission. Raises what one of them has raised."""
        while self._running:
            await asyncio.wait(list(self._running))
            await asyncio.sleep(0)  # whoever waits may be told before `_done` is
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """Break off; what was sent is for whoever goes on."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _add(self, line: RequestLine, tenant: Tenant, encoded: EncodedLine) -> Placement:
        if self._short:
            return "later"
        model = encoded.model.name
        gathered = self._open.get(model)
        if gathered is None:
            gathered = self._open[model] = _opened(self._context, self._file_store, model, tenant.team)
        submission = gathered.submission
        submission.add(line.custom_id, encoded.request.id)
        held = reservation(self._context.engine, tenant, encoded, len(line.body), submission.started_ns)
        try:
            await self._context.engine.store.reserve(held)
        except TierwiseError as error:
            submission.remove(line.custom_id)
            if not isinstance(error, BudgetExceeded):
                raise
            self._short = bool(self.in_flight)
            return "later" if self._short else "direct"
        self._tried.add(line.custom_id)
        gathered.add(line.custom_id, encoded.body)
        if gathered.full:
            self._close(model)
        return "submitted"

    def _close(self, model: str) -> None:
        """Whether it is full or not."""
        gathered = self._open.pop(model)
        submission, bodies = gathered.submission, gathered.bodies
        if not bodies:
            submission.discard()
            return
        named = zip(names(submission.mark, len(submission.request_ids)), submission.request_ids, strict=True)
        items = [(name, bodies[custom_id]) for name, custom_id in named]
        self._start(SubmissionRun(self._context, submission, items))

    def _start(self, run: SubmissionRun) -> None:
        self._tried |= run.submission.request_ids.keys()
        task = asyncio.ensure_future(run.run())
        self._running[task] = run.submission
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        submission = self._running.pop(task)
        self._short = False
        if not task.cancelled():
            self.error = self.error or task.exception()
        if submission.discarded:
            self._tried -= submission.request_ids.keys()
        self._ended()


def _opened(context: SubmissionContext, file_store: FileStore, model: str, team: str) -> _Open:
    """Raises OSError."""
    now_ns = context.engine.clock.now_ns()
    mark = new_mark("", now_ns)
    path = submissions.submission_path(file_store.folder / context.key_id, context.batch.id, mark)
    return _Open(submissions.create(path, model, team, mark, now_ns))
