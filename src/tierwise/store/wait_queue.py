"""The queue of reservations that wait until what they lack is drawn.

First come, first served, account by account; who needs less than what was just refused need not wait for who needs
more. Where nothing but other processes' leases stands in the way these are asked for what is idle, and whoever lacks it
waits a moment before it is refused.
Belongs to the event loop. Knows neither the database nor what becomes of a reservation that is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from tierwise.core.budget import Leased, Want
from tierwise.errors import BudgetExceeded, StoreError, TierwiseError
from tierwise.money import Amount, Reservation
from tierwise.store.leased import names_of

PATIENCE, POLL = 2.0, 0.05  # seconds that what others lease is waited for, and between two looks


@dataclass(eq=False, slots=True)
class _Waiting:
    reservation: Reservation
    since: float  # on the loop's clock
    outcome: asyncio.Future[None]


class _Refusal(NamedTuple):
    amount: Amount
    error: BudgetExceeded
    at: float


class WaitQueue:
    """`hold` holds a reservation, or gives what lacks; `draw` draws it; `keep` is told of one that is held."""

    def __init__(
        self,
        hold: Callable[[Reservation], list[Want]],
        draw: Callable[[Sequence[Want]], Awaitable[None]],
        keep: Callable[[Reservation], None],
    ) -> None:
        self._hold = hold
        self._draw = draw
        self._keep = keep
        self._waiting: dict[_Waiting, None] = {}  # in order
        self._refused: dict[str, _Refusal] = {}  # by account, the last
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def enter(self, reservation: Reservation) -> asyncio.Future[None]:
        """Is done once it is held and kept. Whoever cancels it has reserved nothing."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()
        outcome.add_done_callback(_seen)
        self._waiting[_Waiting(reservation, loop.time(), outcome)] = None
        if self._task is None:
            self._task = loop.create_task(self._serve())
        return outcome

    def ended(self, request_id: str) -> None:
        """A request has: something may have come free, and it waits for nothing itself any more."""
        if not self._waiting:
            return
        for waiting in tuple(self._waiting):
            if waiting.reservation.request_id == request_id:
                waiting.outcome.cancel()
        self._news.set()

    async def close(self) -> None:
        """Refuse all who wait."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._refuse_all(StoreError("the ledger is closed"))

    async def _serve(self) -> None:
        while self._waiting:
            if await self._round():
                continue
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._news.wait()
        self._refused.clear()
        self._task = None

    async def _round(self) -> bool:
        """Admit who fits, and draw for the first in the queue at each account. Whether anybody drew."""
        now = asyncio.get_running_loop().time()
        turns: dict[_Waiting, list[Want]] = {}
        drawing: dict[str, Amount] = {}  # by account: what those behind the first will need there
        for waiting in tuple(self._waiting):
            wants = self._lacks(waiting)
            names = names_of(wants)
            if not wants or self._hopeless(waiting, names, now):
                continue
            if drawing.keys().isdisjoint(names):
                turns[waiting] = wants
                drawing |= dict.fromkeys(names, Amount())
            else:
                amount = waiting.reservation.amount
                drawing |= {name: drawing[name] + amount for name in names if name in drawing}
        await asyncio.gather(*(self._turn(waiting, wants, drawing) for waiting, wants in turns.items()))
        return bool(turns)

    def _lacks(self, waiting: _Waiting) -> list[Want]:
        """What a reservation still lacks; nothing of one that needs not wait any more."""
        try:
            wants = [] if waiting.outcome.done() else self._hold(waiting.reservation)
            if wants:
                return wants
            if not waiting.outcome.done():
                self._keep(waiting.reservation)
                waiting.outcome.set_result(None)
        except TierwiseError as error:
            waiting.outcome.set_exception(error)
        self._waiting.pop(waiting, None)
        return []

    def _hopeless(self, waiting: _Waiting, names: Sequence[str], now: float) -> bool:
        """Whether one that needs no more was refused just now; then it need not be tried."""
        amount = waiting.reservation.amount
        for name in names:
            refusal = self._refused.get(name)
            if refusal is None or amount.nanos < refusal.amount.nanos or amount.tokens < refusal.amount.tokens:
                continue
            if isinstance(refusal.error, Leased) and now < waiting.since + PATIENCE:
                if now < refusal.at + POLL:
                    return True
            elif amount == refusal.amount and waiting.since <= refusal.at:  # else it is refused in words of its own
                self._refuse(waiting, refusal.error)
                return True
        return False

    async def _turn(self, waiting: _Waiting, wants: Sequence[Want], behind: dict[str, Amount]) -> None:
        names = names_of(wants)
        asked = [
            msgspec.structs.replace(want, most=want.most + behind[name])
            for name, want in zip(names, wants, strict=True)
        ]
        try:
            await self._draw(asked)
        except BudgetExceeded as error:
            if not self._lacks(waiting):  # what ended meanwhile has made room
                return
            now = asyncio.get_running_loop().time()
            self._refused |= dict.fromkeys(names, _Refusal(waiting.reservation.amount, error, now))
            if not isinstance(error, Leased) or now >= waiting.since + PATIENCE:
                self._refuse(waiting, error)
        except StoreError as error:
            self._refuse_all(error)

    def _refuse(self, waiting: _Waiting, error: TierwiseError) -> None:
        self._waiting.pop(waiting, None)
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)

    def _refuse_all(self, error: StoreError) -> None:
        for waiting in tuple(self._waiting):
            self._refuse(waiting, error)


def _seen(outcome: asyncio.Future[None]) -> None:
    """Nobody has to wait for it: a refusal that nobody reads is no mistake of the program."""
    if not outcome.cancelled():
        outcome.exception()
