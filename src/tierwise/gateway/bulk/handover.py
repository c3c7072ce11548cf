"""A parcel and its provider: handed over once, whatever happens meanwhile, and looked after until it has ended there.

Knows neither lines nor money.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tierwise.dialects.batched import Entry, Job
from tierwise.errors import ProviderError, Refused, Unreachable
from tierwise.gateway.bulk.errand import Errand, Patience
from tierwise.gateway.bulk.parcel import Parcel
from tierwise.providers.batches import Batches, Sighting

_log = logging.getLogger("tierwise.batches")


class Handover:
    """`entries`: what is to be sent; None where an earlier process was at it, and may have sent it."""

    def __init__(self, errand: Errand, parcel: Parcel, entries: Sequence[Entry] | None) -> None:
        self._errand = errand
        self._parcel = parcel
        self._entries = entries
        self._said = ""
        self._settled_at = 0.0  # on the loop's clock: when the provider's list tells all

    @property
    def api(self) -> Batches:
        """Raises ProviderError where the config has none for the model any more."""
        model = self._parcel.model
        found = self._errand.engine.batches.get(model)
        if found is None:
            raise Unreachable(model, "its provider has lines of a batch, but the config has no `batch = true` for it")
        return found

    async def done(self) -> bool:
        """Whether its provider has it. Never twice: where nobody knows, its list is asked before anything is sent."""
        if self._parcel.step == "filling":
            if self._entries is None:
                return False
            self._parcel.sending()
            if (begun := await self._begun(self._entries)) is not None:
                return begun
        else:
            self._unanswered()
        patience = Patience(self._errand)
        while True:
            found = await self._found()
            if found.job_id:
                self._parcel.sent(found.job_id)
                return True
            if found.sure and asyncio.get_running_loop().time() >= self._settled_at:
                if self._entries is None or self._errand.given_up:
                    return False
                if (begun := await self._begun(self._entries)) is not None:
                    return begun
            await patience.wait()

    async def _begun(self, entries: Sequence[Entry]) -> bool | None:
        """None: nobody knows."""
        try:
            self._parcel.sent(await self.api.begin(self._parcel.mark, entries))
        except Refused as error:
            self.tell(error)
            return False
        except ProviderError as error:
            self.tell(error)
            if error.upstream is None:
                self._unanswered()
            return None
        return True

    def _unanswered(self) -> None:
        """A beginning that the provider may still be at."""
        self._settled_at = asyncio.get_running_loop().time() + self._errand.settle

    async def _found(self) -> Sighting:
        try:
            return await self.api.find(self._parcel.mark, len(self._parcel.requests))
        except ProviderError as error:
            self.tell(error)
            return Sighting("", sure=False)

    async def ended(self) -> Job:
        """Once it has ended there; it is cancelled where its lines are wanted back."""
        cancelled, patience = False, Patience(self._errand)
        while True:
            try:
                if self._errand.given_up and not cancelled:
                    await self.api.cancel(self._parcel.job_id)
                    cancelled = True
                job = await self.api.look(self._parcel.job_id)
            except ProviderError as error:
                self.tell(error)
            else:
                if job.ended:
                    return job
            await patience.wait()

    def tell(self, error: ProviderError) -> None:
        """To whoever runs the gateway, once. What a provider says of a request may quote it, and is left out."""
        said = error.message
        if error.upstream is not None:
            said = f"{error.model}: the provider answered {error.upstream}"
        if said != self._said:
            _log.warning("a batch at a provider: %s", said)
        self._said = said
