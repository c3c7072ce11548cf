"""What this process has leased of every budget that its requests are held on.

A reservation that fits is held at once, in memory; for one that does not, what lacks has to be drawn first
(`wait_queue.py`). What runs low should be drawn before it lacks, what is idle is given back.
Belongs to the event loop. Knows leases; neither how they are drawn nor what becomes of a reservation that is held.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tierwise.core.budget import Want, held_on
from tierwise.core.lease import NOTHING, Grant, Lease
from tierwise.core.window import account
from tierwise.errors import RowRefused
from tierwise.money import Amount, Budget, Record, Reservation

LOW = 2  # beats' use; where less is free, more is drawn before it lacks
_MOST = 2**63 - 1
_NEW = Lease()
_NONE: tuple[tuple[str, ...], Amount] = ((), NOTHING)


def names_of(wants: Sequence[Want]) -> tuple[str, ...]:
    """The accounts that they are of."""
    return tuple([account(want.budget, want.at_ns) for want in wants])


class Leases:
    """`thin`: what should be drawn before it lacks."""

    def __init__(self) -> None:
        self.thin: dict[str, Want] = {}
        self._leases: dict[str, Lease] = {}
        self._fetched: set[str] = set()  # since the last beat, because it was thin
        self._running: dict[
            str, tuple[tuple[str, ...], Amount]
        ] = {}  # by request: the accounts it is held on, and what

    def __bool__(self) -> bool:
        return bool(self._leases)

    def hold(self, reservation: Reservation, *, sound: bool = True) -> list[Want]:
        """Hold it on all its budgets' accounts, or on none: then what has to be drawn first.

        `sound`: nobody can have taken this process for dead; else a draw has to show that. Raises RowRefused for an
        amount that can't be, and for a second reservation of a request.
        """
        if not (0 <= reservation.nanos <= _MOST and 0 <= reservation.tokens <= _MOST):
            raise RowRefused("the ledger refused a reservation: its amount is negative, or too large")
        if reservation.request_id in self._running:
            raise RowRefused("the ledger refused a reservation: its request has one already")
        if not reservation.budgets:
            self._running[reservation.request_id] = _NONE
            return []
        amount, limits, wants = reservation.amount, held_on(reservation), []
        for name, limit in limits.items():
            lease = self._leases.get(name, _NEW)
            lacks = lease.lacks(amount, reservation.soft)
            if lacks != NOTHING or not sound:
                wants.append(Want(limit, reservation.started_ns, lacks, lease.most(lacks), reservation.soft, amount))
        if wants:
            return wants
        for name, limit in limits.items():
            lease = self._leases[name] = self._leases.get(name, _NEW).hold(amount)
            self._look(name, lease, limit, reservation.started_ns)
        self._running[reservation.request_id] = tuple(limits), amount
        return []

    def taken(self) -> list[Want]:
        """What is thin, once."""
        wants = list(self.thin.values())
        self.thin.clear()
        return wants

    def settle(self, record: Record) -> None:
        """The end of a request; of one that is not held here, too."""
        names, reserved = self._running.pop(record.request_id, _NONE)
        if names:
            self._free(names, reserved, record.amount)

    def void(self, request_id: str) -> None:
        """As if it had never been held."""
        names, reserved = self._running.pop(request_id, _NONE)
        self._free(names, reserved, NOTHING)

    def add(self, names: Sequence[str], grants: Sequence[Grant]) -> None:
        for name, grant in zip(names, grants, strict=True):
            self._leases[name] = self._leases.get(name, _NEW).draw(grant)

    def beat(self, wanted: Collection[str]) -> dict[str, Amount]:
        """A moment has passed: what is idle is let go of, for the database to have back. `wanted`: others wait for."""
        idle: dict[str, Amount] = {}
        self._fetched.clear()
        for name, lease in tuple(self._leases.items()):
            part = lease.idle(name in wanted)
            if part != NOTHING:
                idle[name] = part
            after = self._leases[name] = lease.give_back(part).beat()
            if after.drawn == after.held == after.use == NOTHING:
                del self._leases[name]
        return idle

    def lost(self) -> None:
        """This process was taken for dead: nothing of it is set aside any more."""
        self._leases = {name: lease.lost() for name, lease in self._leases.items()}

    def _free(self, names: Sequence[str], reserved: Amount, spent: Amount) -> None:
        for name in names:
            self._leases[name] = self._leases[name].settle(reserved, spent)

    def _look(self, name: str, lease: Lease, limit: Budget, at_ns: int) -> None:
        free, use = lease.free, lease.use
        if (free.nanos < LOW * use.nanos or free.tokens < LOW * use.tokens) and name not in self._fetched:
            self._fetched.add(name)
            self.thin[name] = Want(limit, at_ns, NOTHING, lease.most(NOTHING))
