"""A group of writes as one transaction makes it: which rows are new, what they move, what came too late.

Whether a row is new is the database's word (`ON CONFLICT DO NOTHING RETURNING`), under the locks of all accounts that
it may move; so whatever is written a second time moves nothing. Knows the order of statements within the transaction;
not who began it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from tierwise.core import budget
from tierwise.core.budget import Share, booked_on
from tierwise.core.lease import NOTHING, at_least
from tierwise.errors import RowRefused
from tierwise.money import Amount, Correction, Record, Reservation
from tierwise.store import rows, samples
from tierwise.store.accounts import Accounts, LockedAccounts
from tierwise.store.database import Database, Row
from tierwise.store.hours import Hours
from tierwise.store.rows import Open, added, among, insert
from tierwise.store.samples import Kept

Item = Reservation | Record | Correction | Kept
Outcome = RowRefused | None
SettledBy = Literal["gateway", "recovery"]
UNKNOWN = "unknown"
"""The model of an entry that recovery made: nobody knows which ones were called."""

_NEW = " ON CONFLICT DO NOTHING"
_ONCE = f"{_NEW} RETURNING request_id"
_RESERVATIONS = f"INSERT INTO reservations({rows.RESERVATION}) VALUES "  # noqa: S608 - names of our own, as below
_REQUESTS = f"INSERT INTO requests({rows.REQUEST}) VALUES "  # noqa: S608
_ENTRIES = f"INSERT INTO entries({rows.ENTRY}) VALUES "  # noqa: S608
_CORRECTIONS = f"INSERT INTO corrections({rows.CORRECTION}) VALUES "  # noqa: S608
_RESERVED = f"SELECT {rows.RESERVATION} FROM reservations WHERE request_id"  # noqa: S608
_SETTLED = "SELECT request_id, settled_by FROM requests WHERE request_id"
_SUMS = (
    "SELECT CAST(coalesce(sum(nanos), 0) AS BIGINT), CAST(coalesce(sum({}), 0) AS BIGINT) FROM {} WHERE request_id = ?"
)
_BILLED = _SUMS.format("input_tokens + output_tokens", "entries")
_CORRECTED = _SUMS.format("tokens", "corrections")


class Repeated(Exception):
    """Of some requests of the group the tables have an end: which, is to be asked."""


class Group:
    """What one transaction writes: `look` before it, `write` inside it. Dropped with it where it fails.

    `repeated`: some of its ends may be in the tables; else `write` raises Repeated where one is.
    `opened` is the reservations that are in the tables by then, `ended` the ids of all requests that have an end.
    """

    def __init__(
        self, db: Database, items: Sequence[Item], instance: str, settled_by: SettledBy, *, repeated: bool = False
    ) -> None:
        self.outcomes: list[Outcome] = [None] * len(items)
        self.opened: dict[str, Reservation] = {}
        self.ended: list[str] = []
        self.duplicates = 0
        self._db = db
        self._items = items
        self._instance = instance
        self._settled_by = settled_by
        self._repeated = repeated
        self._asked: list[tuple[int, Reservation, Open]] = []  # with their places among the items
        self._found: dict[str, Open] = {}
        self._instances = {instance}  # of what was found
        self._records: list[Record] = []
        self._corrections: list[Correction] = []
        self._kept: list[Kept] = []
        self._hours = Hours()
        # Nanos and tokens by key: of requests that are held on no account.
        self._spent: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    def look(self, running: Mapping[str, Reservation]) -> set[str]:
        """The accounts that it may move. `running`: reservations that need no look into the tables."""
        ends: list[tuple[int, Record | Correction]] = []
        for at, item in enumerate(self._items):
            if isinstance(item, Reservation):
                made = self._found[item.request_id] = rows.opened(item, self._instance)
                self._asked.append((at, item, made))
            elif isinstance(item, (Record, Correction)):
                ends.append((at, item))
            else:
                self._kept.append(item)
        self._find({item.request_id: None for _, item in ends if item.request_id not in self._found}, running)
        names: set[str] = set()
        for at, end in ends:
            found = self._found.get(end.request_id)
            if found is not None and found.key_id != end.key_id:
                self.outcomes[at] = RowRefused("the ledger refused a row: it names another key than its reservation")
                continue
            names.add(end.key_id)
            if found is not None and found.accounts:
                names.update(found.accounts)
            if isinstance(end, Record):
                self._records.append(end)
            else:
                self._corrections.append(end)
        return names

    def _find(self, names: Iterable[str], running: Mapping[str, Reservation]) -> None:
        missing = []
        for name in names:
            if name in running:
                self._found[name] = rows.opened(running[name], self._instance)
            else:
                missing.append(name)
        reserved = _reserved(self._db, missing)
        self._found |= reserved
        self._instances.update([found.instance for found in reserved.values()])

    def write(self, accounts: Accounts, names: Iterable[str]) -> None:
        """Raises RowRefused where the tables refuse a row of it."""
        locked = accounts.lock(names, sorted(self._instances))
        self._reserve()
        self._end(locked)
        for item in self._corrections:
            self._correct(locked, item)
        self._keep()
        locked.write()
        self._hours.write(self._db)

    def _reserve(self) -> None:
        made = [each for _, _, each in self._asked]
        new = added(self._db, _RESERVATIONS, [rows.open_row(each) for each in made], _NEW)
        if new < len(made):  # in the tables there is one of each by now
            there = _reserved(self._db, [each.request_id for each in made])
        for at, item, each in self._asked:
            if new == len(made) or there[each.request_id] == each:
                self.opened[item.request_id] = item
            else:
                self.outcomes[at] = RowRefused("the ledger refused a row: there is another reservation with its id")

    def _end(self, locked: LockedAccounts) -> None:
        requests = [rows.request_row(item, self._settled_by) for item in self._records]
        self.ended = [item.request_id for item in self._records]
        new, again = self._records, list[Record]()
        if self._repeated:
            new, again = _parted(self._records, _ids(insert(self._db, _REQUESTS, requests, _ONCE)))
        elif added(self._db, _REQUESTS, requests, _NEW) < len(requests):
            raise Repeated
        entries: list[Row] = []
        for item in new:
            self._post(locked, item)
            entries += rows.entry_rows(item)
        for name, (nanos, tokens) in self._spent.items():
            share = locked.share(name, self._instance)
            locked.put(name, self._instance, budget.post(share, NOTHING, Amount(nanos, tokens)))
        added(self._db, _ENTRIES, entries)
        if self._settled_by == "gateway" and again:
            self._late(locked, again)

    def _post(self, locked: LockedAccounts, item: Record) -> None:
        spent = self._hours.end(item)
        found = self._found.get(item.request_id)
        if found is None or not found.accounts:  # most; the tables refuse entries below zero
            sums = self._spent[item.key_id]
            sums[0] += spent.nanos
            sums[1] += spent.tokens
            return
        for name in self._booked_on(item):
            reserved = found.amount if name in found.accounts else NOTHING
            locked.put(name, found.instance, budget.post(locked.share(name, found.instance), reserved, spent))

    def _late(self, locked: LockedAccounts, again: Sequence[Record]) -> None:
        """Of those that have an end: what recovery settled at its bound is put right, once."""
        names = [item.request_id for item in again]
        settled: dict[str, str] = dict(among(self._db, _SETTLED, names))
        for item in again:
            if settled[item.request_id] == "gateway":
                self.duplicates += 1
                continue
            more = item.amount - _booked(self._db, _BILLED, item.request_id)
            end_ns = item.started_ns + int(item.total_ms * 1_000_000)
            owner = (item.request_id, item.key_id, item.route)
            late = Correction(*owner, end_ns, more.nanos, "late", item.team, UNKNOWN, more.tokens)
            self.duplicates += not self._correct(locked, late)

    def _correct(self, locked: LockedAccounts, item: Correction) -> bool:
        """False where there is one already. A request that the ledger knows never comes to less than nothing."""
        more = Amount(item.nanos, item.tokens)
        if item.request_id in self._found or among(self._db, _SETTLED, [item.request_id]):
            booked = _booked(self._db, _BILLED, item.request_id) + _booked(self._db, _CORRECTED, item.request_id)
            more = at_least(more, NOTHING - booked)
        item = msgspec.structs.replace(item, nanos=more.nanos, tokens=more.tokens)
        if not insert(self._db, _CORRECTIONS, [rows.correction_row(item)], _ONCE):
            return False
        for name in self._booked_on(item):
            account, lease = locked.share(name, self._instance)
            locked.put(name, self._instance, Share(budget.correct(account, more), lease))
        self._hours.correct(item)
        return True

    def _keep(self) -> None:
        kept: dict[str, list[Row]] = {}
        for item in self._kept:
            into, values = samples.row(item)
            kept.setdefault(into, []).append(values)
        for into, values_of in kept.items():
            insert(self._db, into, values_of)

    def _booked_on(self, item: Record | Correction) -> tuple[str, ...]:
        found = self._found.get(item.request_id)
        return booked_on(item.key_id, () if found is None else found.accounts)


def _reserved(db: Database, request_ids: Sequence[str]) -> dict[str, Open]:
    return {row[0]: rows.open_from(row) for row in among(db, _RESERVED, request_ids)}


def _booked(db: Database, sql: str, request_id: str) -> Amount:
    ((nanos, tokens),) = db.execute(sql, (request_id,))
    return Amount(nanos, tokens)


def _parted(records: Iterable[Record], new: set[str]) -> tuple[list[Record], list[Record]]:
    """Those whose ids are new, each id once, and the others."""
    first: list[Record] = []
    again: list[Record] = []
    for item in records:
        (first if item.request_id in new else again).append(item)
        new.discard(item.request_id)
    return first, again


def _ids(returned: Iterable[Row]) -> set[str]:
    return {request_id for (request_id,) in returned}
