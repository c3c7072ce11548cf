"""The money of a parcel's lines: what was reserved is posted, given back, or reserved anew after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

from tierwise.dialects.batched import Result
from tierwise.errors import BudgetExceeded
from tierwise.gateway.bulk.batch_lines import Line, answered
from tierwise.gateway.bulk.errand import Errand
from tierwise.gateway.bulk.off_peak import asked
from tierwise.gateway.bulk.parcel import Parcel
from tierwise.gateway.bulk.sendable import reservation, sent, settled, void
from tierwise.gateway.web.http import new_id
from tierwise.money import Reservation, Tenant
from tierwise.store.instances import recovered


class ParcelBooks:
    """Every method raises StoreError, and OSError."""

    def __init__(self, errand: Errand, parcel: Parcel) -> None:
        self._errand = errand
        self._parcel = parcel

    async def lines(self) -> dict[str, Line]:
        """Those that have no result yet, by custom_id."""
        return await asyncio.to_thread(self._errand.lines, self._parcel)

    async def write(self, group: Sequence[tuple[Line, Result]]) -> None:
        """The ledger first: what has a result is never looked at again."""
        errand, parcel = self._errand, self._parcel
        found = []
        for line, result in group:
            request_id = parcel.requests[line.custom_id]
            tenant, endpoint = self._tenant(), errand.batch.endpoint
            was = sent(errand.engine, tenant, endpoint, line, (request_id, parcel.model))
            done = settled(errand.engine, tenant, endpoint, was, result, parcel.started_ns)
            found.append((line, errand.engine.store.post(done.record), answered(line, request_id, 200, done.body)))
        for _, posted, _ in found:
            await posted
        for line, _, written in found:
            errand.output.append(line, written)

    async def give_back(self, failures: Mapping[str, str], otherwise: str = "unanswered") -> None:
        """Nothing was spent of what was reserved for lines without an answer."""
        requests = self._parcel.requests
        ends = [
            self._void(line, requests[name], failures.get(name) or otherwise)
            for name, line in (await self.lines()).items()
        ]
        for end in ends:
            await end

    def _void(self, line: Line, request_id: str, why: str) -> Awaitable[None]:
        ended = void(self._tenant(), request_id, asked(line), self._parcel.started_ns, why)
        return self._errand.engine.store.post(ended)

    async def renew(self) -> None:
        """What an ended process had reserved was settled at its bound: that is put right, and reserved anew.

        So each line is booked as what it is. Where that does not fit any more, what was settled is put right when the
        line has its result.
        """
        store, parcel, ends = self._errand.engine.store, self._parcel, list[Awaitable[None]]()
        for name, line in (await self.lines()).items():
            before = parcel.requests[name]
            if await self._was_settled(before):
                parcel.add(name, new_id())
                try:
                    await store.reserve(self._reservation(line))
                except BudgetExceeded:
                    parcel.add(name, before)
            for other in parcel.replaced.get(name, ()):
                if other != parcel.requests[name] and await self._was_settled(other):
                    ends.append(self._void(line, other, "renewed"))
        for end in ends:
            await end

    async def _was_settled(self, request_id: str) -> bool:
        record = await self._errand.engine.store.record(request_id)
        return record is not None and record.decision.rule == "recovered"

    def _reservation(self, line: Line) -> Reservation:
        errand, tenant, parcel = self._errand, self._tenant(), self._parcel
        request = parcel.requests[line.custom_id], parcel.model
        was = sent(errand.engine, tenant, errand.batch.endpoint, line, request)
        return reservation(errand.engine, tenant, was, len(line.body), parcel.started_ns)

    async def count_in_full(self) -> None:
        """What nobody knows counts at its bound."""
        for line in (await self.lines()).values():
            await self._errand.engine.store.post(recovered(self._reservation(line)))

    def _tenant(self) -> Tenant:
        """Who pays, revoked or not: what was sent is paid for."""
        key_id = self._errand.key_id
        return self._errand.app.keyring.tenant(key_id) or Tenant(key_id, "", team=self._parcel.team)
