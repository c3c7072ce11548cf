"""Takes a submission to its provider, and its results back line by line.

May be broken off at any point, and gone on with by another process. Knows one submission; which lines go into one is
`submitter.py`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from tierwise.dialects.batches import Item, Job, Result, names
from tierwise.errors import ProviderError
from tierwise.gateway.batches.accounting import SubmissionAccounting
from tierwise.gateway.batches.context import SubmissionContext
from tierwise.gateway.batches.lines import RequestLine
from tierwise.gateway.batches.provider_job import Backoff, OutcomeUnknown, ProviderJob
from tierwise.gateway.batches.submission import Submission

GROUP = 64  # results that are written at once; others are served between two groups

_log = logging.getLogger("tierwise.batches")


class SubmissionRun:
    """`items`: what is to be sent; None where an earlier process was at it, and may have sent it."""

    def __init__(self, context: SubmissionContext, submission: Submission, items: Sequence[Item] | None = None) -> None:
        self.submission = submission
        self._context = context
        self._resumed = items is None
        self._job = ProviderJob(context, submission, items)
        self._accounting = SubmissionAccounting(context, submission)

    async def run(self) -> None:
        """To its end. Raises OSError, StoreError: then it is for another time."""
        submission, accounting = self.submission, self._accounting
        if self._resumed and submission.step != "filling":
            await accounting.renew()
        try:
            if submission.step == "sent" or await self._job.submit():
                await self._complete()
                return
            await accounting.release({}, "unsent")
            if self._resumed:
                submission.discard()  # its lines may be sent with the next one
            else:
                submission.mark_over()
        except OutcomeUnknown:
            _log.error("what became of %s at its provider is not known; it counts at its bound", submission.mark)
            await accounting.post_bounds()
            submission.mark_over()

    async def _complete(self) -> None:
        """From its provider's job to the last line. That job is deleted: texts stay nowhere but here."""
        job = await self._job.wait()
        await self._accounting.release(await self._fetch(job))
        self.submission.mark_over()
        try:
            await self._job.api.delete(job)
        except ProviderError as error:
            self._job.warn(error)

    async def _fetch(self, job: Job) -> Mapping[str, str]:
        """Every answer is posted and written; why others have none, by custom_id."""
        backoff = Backoff(self._context)
        while True:
            try:
                return await self._fetch_once(job)
            except ProviderError as error:  # what was written stays; the rest is fetched again
                self._job.warn(error)
            await backoff.wait()

    async def _fetch_once(self, job: Job) -> Mapping[str, str]:
        """Raises ProviderError."""
        submission, lines, failures = self.submission, await self._accounting.pending_lines(), dict[str, str]()
        sent_names = names(submission.mark, len(submission.request_ids))
        custom_ids = dict(zip(sent_names, submission.request_ids, strict=True))
        group: list[tuple[RequestLine, Result]] = []
        async with aclosing(self._job.api.results(job)) as results:
            async for result in results:
                custom_id = custom_ids.get(result.name, "")
                if result.chunks and custom_id in lines:
                    group.append((lines.pop(custom_id), result))
                    if len(group) == GROUP:
                        await self._accounting.write(group)
                        group = []
                elif custom_id in lines:
                    failures[custom_id] = result.failure
        await self._accounting.write(group)
        return dict.fromkeys(lines, job.failure or "unanswered") | failures
