"""Accounts and leases as one transaction reads and changes them.

Every change of an account, and of any lease of it, is made under the lock of its row; rows are locked in the order of
their names, so that no two transactions wait for each other. Knows two tables; the arithmetic is `core/budget.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tierwise.core.budget import Account, Share
from tierwise.money import Amount
from tierwise.store.database import Database
from tierwise.store.rows import among, insert

KNOWN = 100_000  # names that are remembered

_NEW = "INSERT INTO accounts(name, posted_nanos, held_nanos, posted_tokens, held_tokens, wanted_ns) VALUES "
_ACCOUNTS = "SELECT name, posted_nanos, posted_tokens, held_nanos, held_tokens, wanted_ns FROM accounts WHERE name"
_KEPT = " ON CONFLICT DO NOTHING"
_CHANGED = (
    " ON CONFLICT(name) DO UPDATE SET posted_nanos = excluded.posted_nanos, held_nanos = excluded.held_nanos,"
    " posted_tokens = excluded.posted_tokens, held_tokens = excluded.held_tokens, wanted_ns = excluded.wanted_ns"
)
_LEASES = "SELECT account, nanos, tokens FROM leases WHERE instance = ? AND account"
_LEASE = "INSERT INTO leases(instance, account, nanos, tokens) VALUES "
_LEASED = " ON CONFLICT(instance, account) DO UPDATE SET nanos = excluded.nanos, tokens = excluded.tokens"


class Accounts:
    """Makes sure that accounts have a row, which can be locked. They are never deleted."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: set[str] = set()

    def ensure(self, names: Iterable[str]) -> None:
        """In a transaction of its own: before the one that locks them."""
        new = sorted(set(names) - self._known)
        if not new:
            return
        if len(self._known) + len(new) > KNOWN:
            self._known.clear()
        missing = sorted(set(new) - read_accounts(self._db, new).keys())
        insert(self._db, _NEW, [(name, 0, 0, 0, 0, 0) for name in missing], _KEPT)
        self._known.update(new)

    def lock(self, names: Iterable[str], instances: Iterable[str] = ()) -> LockedAccounts:
        """Those accounts and what these instances lease of them: inside a transaction."""
        names = sorted(set(names))
        accounts = read_accounts(self._db, names, self._db.lock)
        return LockedAccounts(self._db, accounts, {each: read_leases(self._db, each, names) for each in instances})


class LockedAccounts:
    """Accounts whose rows this transaction has locked; changes are kept until `write`."""

    def __init__(self, db: Database, accounts: dict[str, Account], leases: dict[str, dict[str, Amount]]) -> None:
        self._db = db
        self._accounts = accounts
        self._leases = leases
        self._changed: dict[str, None] = {}
        self._moved: dict[tuple[str, str], None] = {}

    def share(self, name: str, instance: str) -> Share:
        return Share(self._accounts[name], self._leases.get(instance, {}).get(name, Amount()))

    def put(self, name: str, instance: str, share: Share) -> None:
        before = self.share(name, instance)
        if share.account != before.account:
            self._accounts[name] = share.account
            self._changed[name] = None
        if share.lease != before.lease:
            self._leases[instance][name] = share.lease
            self._moved[instance, name] = None

    def write(self) -> None:
        accounts = [(name, self._accounts[name]) for name in self._changed]
        insert(
            self._db,
            _NEW,
            [(name, a.posted.nanos, a.held.nanos, a.posted.tokens, a.held.tokens, a.wanted_ns) for name, a in accounts],
            _CHANGED,
        )
        moved = [(instance, name, self._leases[instance][name]) for instance, name in self._moved]
        insert(self._db, _LEASE, [(*whose, lease.nanos, lease.tokens) for *whose, lease in moved], _LEASED)


def read_accounts(db: Database, names: Iterable[str], lock: str = "") -> dict[str, Account]:
    """Those that there are. With a lock: the names are in order."""
    return {
        name: Account(Amount(posted, posted_tokens), Amount(held, held_tokens), wanted_ns)
        for name, posted, posted_tokens, held, held_tokens, wanted_ns in among(
            db, _ACCOUNTS, names, tail=" ORDER BY name" + lock if lock else ""
        )
    }


def read_leases(db: Database, instance: str, names: Iterable[str]) -> dict[str, Amount]:
    return {name: Amount(nanos, tokens) for name, nanos, tokens in among(db, _LEASES, names, (instance,))}
