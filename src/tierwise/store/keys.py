"""Virtual keys as rows: digests and terms. Knows nothing of how a digest is made."""

from __future__ import annotations

import msgspec

from tierwise.money import Key
from tierwise.store.database import Database
from tierwise.store.rows import insert

_FIELDS = ", ".join(Key.__struct_fields__)
_NEW = f"INSERT INTO keys({_FIELDS}) VALUES "  # noqa: S608 - names of our own
_ALL = f"SELECT {_FIELDS} FROM keys ORDER BY created_ns, id"  # noqa: S608


def add_key(db: Database, key: Key) -> None:
    insert(db, _NEW, [msgspec.structs.astuple(key)])


def revoke_key(db: Database, key_id: str, at_ns: int) -> bool:
    """False where there is no such live key."""
    return db.change("UPDATE keys SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL", (at_ns, key_id)) == 1


def all_keys(db: Database) -> tuple[Key, ...]:
    """Oldest first, revoked ones too."""
    return tuple(Key(*row) for row in db.execute(_ALL))
