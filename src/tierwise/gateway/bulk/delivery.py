"""A parcel on its way: to its provider, and back line by line.

May be broken off at any point, and gone on with by another process. Knows one parcel; which lines go into one is
`dispatch.py`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from tierwise.dialects.batched import Entry, Job, Result, names
from tierwise.errors import ProviderError
from tierwise.gateway.bulk.batch_lines import Line
from tierwise.gateway.bulk.errand import Errand, Lost, Patience
from tierwise.gateway.bulk.handover import Handover
from tierwise.gateway.bulk.parcel import Parcel
from tierwise.gateway.bulk.parcel_books import ParcelBooks

GROUP = 64  # results that are written at once; others are served between two groups

_log = logging.getLogger("tierwise.batches")


class Delivery:
    """`entries`: what is to be sent; None where an earlier process was at it, and may have sent it."""

    def __init__(self, errand: Errand, parcel: Parcel, entries: Sequence[Entry] | None = None) -> None:
        self.parcel = parcel
        self._errand = errand
        self._again = entries is None
        self._there = Handover(errand, parcel, entries)
        self._books = ParcelBooks(errand, parcel)

    async def follow(self) -> None:
        """To its end. Raises OSError, StoreError: then it is for another time."""
        if self._again and self.parcel.step != "filling":
            await self._books.renew()
        try:
            if self.parcel.step == "sent" or await self._there.done():
                await self._see_through()
            else:
                await self._books.give_back({}, "unsent")
                if self._again:
                    self.parcel.forget()  # it may be sent with the next one
                else:
                    self.parcel.over()
        except Lost:
            _log.error("what became of %s at its provider is not known; it counts at its bound", self.parcel.mark)
            await self._books.count_in_full()
            self.parcel.over()

    async def _see_through(self) -> None:
        """From its provider's batch to the last line. That one is deleted: texts stay nowhere but here."""
        job = await self._there.ended()
        await self._books.give_back(await self._taken(job))
        self.parcel.over()
        try:
            await self._there.api.forget(job)
        except ProviderError as error:
            self._there.tell(error)

    async def _taken(self, job: Job) -> Mapping[str, str]:
        """Every answer is posted and written; why others have none, by custom_id."""
        patience = Patience(self._errand)
        while True:
            try:
                return await self._written_down(job)
            except ProviderError as error:  # what was written stays; the rest is fetched again
                self._there.tell(error)
            await patience.wait()

    async def _written_down(self, job: Job) -> Mapping[str, str]:
        parcel, lines, failures = self.parcel, await self._books.lines(), dict[str, str]()
        whose = dict(zip(names(parcel.mark, len(parcel.requests)), parcel.requests, strict=True))
        group: list[tuple[Line, Result]] = []
        async with aclosing(self._there.api.results(job)) as results:
            async for result in results:
                custom_id = whose.get(result.name, "")
                if result.chunks and custom_id in lines:
                    group.append((lines.pop(custom_id), result))
                    if len(group) == GROUP:
                        await self._books.write(group)
                        group = []
                elif custom_id in lines:
                    failures[custom_id] = result.failure
        await self._books.write(group)
        return dict.fromkeys(lines, job.failure or "unanswered") | failures
