"""Which lines of a batch go to a provider's batch endpoint: gathered into parcels, reserved, and followed to their end.

A line is sent once; what comes back without an answer is asked by the door, while there is time. Knows one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from tierwise.dialects.batched import names
from tierwise.errors import BudgetExceeded, TierwiseError
from tierwise.gateway.bulk import parcel as parcels
from tierwise.gateway.bulk.batch_lines import Line
from tierwise.gateway.bulk.delivery import Delivery
from tierwise.gateway.bulk.errand import Errand
from tierwise.gateway.bulk.off_peak import clock, counted
from tierwise.gateway.bulk.parcel import Parcel
from tierwise.gateway.bulk.sendable import Ready, ready, reservation
from tierwise.gateway.bulk.shelf import SECOND, Shelf, aside
from tierwise.gateway.bulk.shelf import new_id as new_mark
from tierwise.gateway.web.http import new_id
from tierwise.money import Tenant

LINES_MAX, BYTES_MAX = 10_000, 32 << 20  # of a parcel
ROOM = 3600  # seconds that a provider is given at least

Fate = Literal["taken", "live", "later"]
"""Of a line: it is in a parcel; it is to be asked by the door; its money is held by those before it."""


class _Filling:
    """A parcel that has room for more lines."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.bodies: dict[str, bytes] = {}  # by custom_id
        self.size = 0

    @property
    def full(self) -> bool:
        return len(self.bodies) >= LINES_MAX or self.size >= BYTES_MAX

    def add(self, custom_id: str, body: bytes) -> None:
        self.bodies[custom_id] = body
        self.size += len(body)


class Dispatch:
    """Belongs to one run of a batch. `ended` is told whenever a parcel has come to its end."""

    def __init__(self, errand: Errand, shelf: Shelf, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._errand = errand
        self._shelf = shelf
        self._filling: dict[str, _Filling] = {}  # by model
        self._following: dict[asyncio.Task[None], Parcel] = {}
        self._tried: set[str] = set()  # custom_ids of lines that were ever in a parcel
        self._turn = asyncio.Lock()
        self._short = False  # of money, until a parcel gives back what it does not use
        self.error: BaseException | None = None  # what a parcel's way has raised

    @property
    def held(self) -> set[str]:
        """custom_ids of the lines that are in parcels now."""
        open_ones = [*self._following.values(), *(each.parcel for each in self._filling.values())]
        return {name for parcel in open_ones for name in parcel.requests}

    async def resume(self) -> None:
        """Go on with what an earlier run has left. Raises OSError."""
        folder = self._shelf.folder / self._errand.key_id
        for path in await aside(parcels.left, folder, self._errand.batch.id):
            found = await aside(parcels.read, path)
            if found is not None and found.step == "over":
                self._tried |= found.requests.keys()
            elif found is not None:
                self._follow(Delivery(self._errand, found))

    async def offer(self, line: Line) -> Fate:
        """Raises OSError, StoreError."""
        errand, engine = self._errand, self._errand.engine
        tenant = errand.app.keyring.tenant(errand.key_id)
        if tenant is None or line.custom_id in self._tried or errand.now > errand.until - ROOM:
            return "live"
        found = ready(engine, tenant, errand.batch.endpoint, line, new_id())
        if found is None:
            return "live"
        async with self._turn:
            return await self._taken(line, tenant, found)

    def hand_over(self) -> None:
        """No more lines come for now: send what was gathered."""
        for name in list(self._filling):
            self._close(name)

    def told(self) -> list[str]:
        """What waits, in words for a client."""
        return [
            f"{counted(len(parcel.requests))} for {parcel.model}: in a batch of its provider"
            f" since {clock(parcel.started_ns // SECOND)}"
            for parcel in self._following.values()
        ]

    async def settled(self) -> None:
        """Wait for the end of every parcel. Raises what one of them has raised."""
        while self._following:
            await asyncio.wait(list(self._following))
            await asyncio.sleep(0)  # whoever waits may be told before `_done` is
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """Break off; what was sent is for whoever goes on."""
        following = list(self._following)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    async def _taken(self, line: Line, tenant: Tenant, found: Ready) -> Fate:
        if self._short:
            return "later"
        model = found.model.name
        filling = self._filling.get(model)
        if filling is None:
            filling = self._filling[model] = _begun(self._errand, self._shelf, model, tenant.team)
        parcel = filling.parcel
        parcel.add(line.custom_id, found.request.id)
        held = reservation(self._errand.engine, tenant, found, len(line.body), parcel.started_ns)
        try:
            await self._errand.engine.store.reserve(held)
        except TierwiseError as error:
            parcel.remove(line.custom_id)
            if not isinstance(error, BudgetExceeded):
                raise
            self._short = bool(self.held)
            return "later" if self._short else "live"
        self._tried.add(line.custom_id)
        filling.add(line.custom_id, found.body)
        if filling.full:
            self._close(model)
        return "taken"

    def _close(self, model: str) -> None:
        """Whether it is full or not."""
        filling = self._filling.pop(model)
        parcel = filling.parcel
        if not filling.bodies:
            parcel.forget()
            return
        named = zip(names(parcel.mark, len(parcel.requests)), parcel.requests, strict=True)
        self._follow(Delivery(self._errand, parcel, [(name, filling.bodies[custom_id]) for name, custom_id in named]))

    def _follow(self, delivery: Delivery) -> None:
        self._tried |= delivery.parcel.requests.keys()
        task = asyncio.ensure_future(delivery.follow())
        self._following[task] = delivery.parcel
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        parcel = self._following.pop(task)
        self._short = False
        if not task.cancelled():
            self.error = self.error or task.exception()
        if parcel.step == "over" and not parcel.kept:
            self._tried -= parcel.requests.keys()
        self._ended()


def _begun(errand: Errand, shelf: Shelf, model: str, team: str) -> _Filling:
    """Raises OSError."""
    now_ns = errand.engine.clock.now_ns()
    mark = new_mark("", now_ns)
    path = parcels.place(shelf.folder / errand.key_id, errand.batch.id, mark)
    return _Filling(parcels.begun(path, model, team, mark, now_ns))
