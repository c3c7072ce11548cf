"""A submission at its provider: submitted once, whatever happens meanwhile, and polled until it has ended there.

Knows neither lines nor money.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from tierwise.dialects.batches import Item, Job
from tierwise.errors import ProviderError, Refused, Unreachable
from tierwise.gateway.batches.context import SubmissionContext
from tierwise.gateway.batches.submission import Submission
from tierwise.providers.batches import BatchApi, Lookup

FIRST, GROWTH, LONGEST = 0.5, 1.5, 60.0  # seconds between two calls of a provider
LOST = 7200  # seconds after a window's end in which a provider may still say what became of a submission

_log = logging.getLogger("tierwise.batches")


class OutcomeUnknown(Exception):
    """Nobody will find out any more what became of a submission."""


class Backoff:
    """Between two calls of a provider, more and more of it; an end of the batch is not slept through."""

    def __init__(self, context: SubmissionContext) -> None:
        self._context = context
        self._pause = FIRST

    async def wait(self) -> None:
        """Raises OutcomeUnknown where it has no end."""
        context = self._context
        if context.now >= context.batch.expires_at + LOST:
            raise OutcomeUnknown
        if context.stopped.is_set():
            await asyncio.sleep(self._pause)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(context.stopped.wait(), self._pause)
        self._pause = min(self._pause * GROWTH, LONGEST)


class ProviderJob:
    """`items`: what is to be sent; None where an earlier process was at it, and may have sent it."""

    def __init__(self, context: SubmissionContext, submission: Submission, items: Sequence[Item] | None) -> None:
        self._context = context
        self._submission = submission
        self._items = items
        self._warned = ""
        self._settled_at = 0.0  # on the loop's clock: when the provider's list tells all

    @property
    def api(self) -> BatchApi:
        """Raises ProviderError where the config has none for the model any more."""
        model = self._submission.model
        found = self._context.engine.batches.get(model)
        if found is None:
            raise Unreachable(model, "its provider has lines of a batch, but the config has no `batch = true` for it")
        return found

    async def submit(self) -> bool:
        """Whether its provider has it. Never twice: where nobody knows, its list is asked before anything is sent."""
        if self._submission.step == "filling":
            if self._items is None:
                return False
            self._submission.mark_sending()
            if (accepted := await self._try_submit(self._items)) is not None:
                return accepted
        else:
            self._unsettle()
        backoff = Backoff(self._context)
        while True:
            found = await self._find()
            if found.job_id:
                self._submission.mark_sent(found.job_id)
                return True
            if found.sure and asyncio.get_running_loop().time() >= self._settled_at:
                if self._items is None or self._context.given_up:
                    return False
                if (accepted := await self._try_submit(self._items)) is not None:
                    return accepted
            await backoff.wait()

    async def _try_submit(self, items: Sequence[Item]) -> bool | None:
        """None: nobody knows whether the provider has it."""
        try:
            self._submission.mark_sent(await self.api.submit(self._submission.mark, items))
        except Refused as error:
            self.warn(error)
            return False
        except ProviderError as error:
            self.warn(error)
            if error.upstream is None:
                self._unsettle()
            return None
        return True

    def _unsettle(self) -> None:
        """The provider may still be at a submission that it has not answered."""
        self._settled_at = asyncio.get_running_loop().time() + self._context.settle_seconds

    async def _find(self) -> Lookup:
        try:
            return await self.api.find(self._submission.mark, len(self._submission.request_ids))
        except ProviderError as error:
            self.warn(error)
            return Lookup("", sure=False)

    async def wait(self) -> Job:
        """Until it has ended there; it is cancelled where its lines are wanted back."""
        cancelled, backoff = False, Backoff(self._context)
        while True:
            try:
                if self._context.given_up and not cancelled:
                    await self.api.cancel(self._submission.job_id)
                    cancelled = True
                job = await self.api.poll(self._submission.job_id)
            except ProviderError as error:
                self.warn(error)
            else:
                if job.ended:
                    return job
            await backoff.wait()

    def warn(self, error: ProviderError) -> None:
        """Whoever runs the gateway, once. What a provider says of a request may quote it, and is left out."""
        message = error.message
        if error.upstream is not None:
            message = f"{error.model}: the provider answered {error.upstream}"
        if message != self._warned:
            _log.warning("a batch at a provider: %s", message)
        self._warned = message
