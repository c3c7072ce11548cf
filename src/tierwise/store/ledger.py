"""The ledger: reservations, ends, corrections and what is kept for the proof, a group of them in one transaction.

Whether a reservation fits was decided before it came here, against a lease; what is drawn for that lease, and given
back, is written here too. Everything but labels may be written twice and counts once: whoever does not know whether a
group was committed writes it again. Knows the order of statements and locks; nothing of threads, files or who is alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tierwise.core import budget
from tierwise.core.budget import Account, Leased, Want, booked_on, held_on
from tierwise.core.lease import NOTHING, Grant
from tierwise.core.window import account
from tierwise.errors import RowRefused, StoreError
from tierwise.money import Amount, Record, Reservation, Spend, Traffic
from tierwise.store import hours, rows
from tierwise.store.accounts import Accounts, read_accounts, read_leases
from tierwise.store.database import Database
from tierwise.store.group import Group, Item, Outcome, Repeated, SettledBy

__all__ = ["Item", "Ledger", "Outcome", "SettledBy"]

_REQUEST = f"SELECT {rows.REQUEST} FROM requests WHERE request_id = ?"  # noqa: S608 - names of our own, as below
_ENTRIES = f"SELECT {rows.ENTRY} FROM entries WHERE request_id = ? ORDER BY seq"  # noqa: S608
_OPEN_SINCE = f"""
    SELECT {rows.RESERVATION} FROM reservations AS r WHERE id >= ? AND instance = ?
    AND NOT EXISTS (SELECT 1 FROM requests WHERE request_id = r.request_id) ORDER BY id"""  # noqa: S608
_WANTED = (
    "SELECT account FROM leases JOIN accounts ON name = account WHERE instance = ? AND wanted_ns <> 0 ORDER BY account"
)
_ASK = "UPDATE accounts SET wanted_ns = ? WHERE name = ?"
_LEASES = "SELECT account FROM leases WHERE instance = ?"
_EMPTY = "DELETE FROM leases WHERE instance = ? AND nanos = 0 AND tokens = 0"


class Ledger:
    """Writes through one database, on behalf of one instance.

    `open` is this instance's reservations that have no end yet, oldest first. `duplicates` counts second ends of
    the same request, which are ignored.
    """

    def __init__(self, db: Database, instance: str) -> None:
        self.open: dict[str, Reservation] = {}
        self.duplicates = 0
        self.instance = instance
        self._db = db
        self._accounts = Accounts(db)

    def write(self, items: Sequence[Item], settled_by: SettledBy = "gateway") -> list[Outcome]:
        """Make the group durable in one transaction. Outcomes of the first so many items, in order, at least of one.

        They are of all, unless the database failed in between: what has no outcome is to be written again. An item that
        the tables refuse fails alone: the group is halved until it stands by itself. Raises StoreError where nothing
        was written.
        """
        try:
            return self._transaction(items, settled_by)
        except (RowRefused, ValueError, OverflowError) as error:  # an item's content
            if len(items) == 1:
                return [_refused(error)]
        half = len(items) // 2
        first = self.write(items[:half], settled_by)
        if len(first) < half:
            return first
        try:
            return first + self.write(items[half:], settled_by)
        except StoreError:
            return first

    def draw(self, wants: Sequence[Want]) -> list[Grant]:
        """Set aside what each wants, all or nothing, in one transaction.

        Raises BudgetExceeded where one of them can't be had: Leased, where only what others lease stands in the way;
        then they are asked to give back what is idle. Raises StoreError: nobody knows whether it was drawn, so that
        nothing of it may be used.
        """
        names = [account(want.budget, want.at_ns) for want in wants]
        self._accounts.ensure(names)
        grants: list[Grant] = []
        refused: Leased | None = None
        with self._db.transaction():
            ours = self._accounts.lock(names, [self.instance])
            for name, want in zip(names, wants, strict=True):
                try:
                    share, grant = budget.draw(ours.share(name, self.instance), want)
                except Leased as error:
                    self._db.change(_ASK, (want.at_ns or 1, name))
                    refused = error
                    break
                ours.put(name, self.instance, share)
                grants.append(grant)
            else:
                ours.write()
        if refused is not None:
            raise refused
        return grants

    def give_back(self, parts: Mapping[str, Amount]) -> None:
        """Of our leases, as much of them as there is.

        Raises StoreError: nobody knows whether it was given back, so that it may neither be used nor given back again.
        """
        self._accounts.ensure(parts)
        with self._db.transaction():
            ours = self._accounts.lock(parts, [self.instance])
            for name, part in parts.items():
                ours.put(name, self.instance, budget.give_back(ours.share(name, self.instance), part))
            ours.write()
            self._db.change(_EMPTY, (self.instance,))

    def expire(self) -> None:
        """Give back all that this instance leases: nothing of it runs any more."""
        names = [name for (name,) in self._db.execute(_LEASES, (self.instance,))]
        with self._db.transaction():
            ours = self._accounts.lock(names, [self.instance])
            for name in names:
                share = ours.share(name, self.instance)
                ours.put(name, self.instance, budget.give_back(share, share.lease))
            ours.write()
            self._db.change(_EMPTY, (self.instance,))

    def wanted(self) -> frozenset[str]:
        """The accounts that we lease of, and of which somebody else was refused for want of what is leased."""
        return frozenset(name for (name,) in self._db.execute(_WANTED, (self.instance,)))

    def record(self, request_id: str) -> Record | None:
        found = self._db.execute(_REQUEST, (request_id,))
        return rows.record_from(found[0], self._db.execute(_ENTRIES, (request_id,))) if found else None

    def spent(self, name: str) -> tuple[int, int]:
        """(posted, held) in nano-dollars: held by our running requests, and leased by others."""
        posted, held = _standing(self._db, self, [name])[name]
        return posted.nanos, held.nanos

    def used(self, names: Iterable[str]) -> dict[str, Amount]:
        """Both together, in both units."""
        return {name: posted + held for name, (posted, held) in _standing(self._db, self, names).items()}

    def spend(self, since: int, until: int) -> list[Spend]:
        return hours.spend(self._db, since, until)

    def traffic(self, since: int, until: int) -> list[Traffic]:
        return hours.traffic(self._db, since, until)

    def _transaction(self, items: Sequence[Item], settled_by: SettledBy) -> list[Outcome]:
        group = Group(self._db, items, self.instance, settled_by)
        try:
            _commit(self._db, group, self._accounts, self.open)
        except Repeated:
            group = Group(self._db, items, self.instance, settled_by, repeated=True)
            _commit(self._db, group, self._accounts, self.open)
        self.duplicates += group.duplicates
        self.open.update(group.opened)
        for request_id in group.ended:
            self.open.pop(request_id, None)
        return group.outcomes


def _commit(db: Database, group: Group, accounts: Accounts, running: Mapping[str, Reservation]) -> None:
    names = group.look(running)
    accounts.ensure(names)
    with db.transaction():
        group.write(accounts, names)


def _standing(db: Database, ledger: Ledger, names: Iterable[str]) -> dict[str, tuple[Amount, Amount]]:
    """Of each account: posted, and held by the ledger's running requests and by what others lease."""
    names = list(names)
    running = dict.fromkeys(names, NOTHING)
    for item in ledger.open.values():
        for name in booked_on(item.key_id, held_on(item)):
            if name in running:
                running[name] += item.amount
    found = read_accounts(db, names)
    ours = read_leases(db, ledger.instance, names)
    standing = {}
    for name in names:
        kept = found.get(name, Account())
        standing[name] = kept.posted, kept.held - ours.get(name, NOTHING) + running[name]
    return standing


def open_since(db: Database, mark: int, instance: str) -> list[Reservation]:
    """An instance's reservations from row `mark` on that nobody has settled."""
    return [rows.reservation_from(row) for row in db.execute(_OPEN_SINCE, (mark, instance))]


def _refused(error: Exception) -> RowRefused:
    """Never holds a value of a row."""
    if isinstance(error, RowRefused):
        return error
    return RowRefused(f"the ledger can't hold a value ({type(error).__name__})")
