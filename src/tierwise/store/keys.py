"""Virtual keys as rows: digests and terms. Knows nothing of how a digest is made."""

from __future__ import annotations

import sqlite3

from tierwise.money import Key

_ALL = (
    "SELECT id, name, digest, prefix, created_ns, budget_nanos, revoked_ns, period, rpm, tpm"
    " FROM keys ORDER BY created_ns, id"
)


def add_key(conn: sqlite3.Connection, key: Key) -> None:
    row = (key.id, key.name, key.digest, key.prefix, key.created_ns, key.budget_nanos, key.revoked_ns)
    conn.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, key.period, key.rpm, key.tpm))


def revoke_key(conn: sqlite3.Connection, key_id: str, at_ns: int) -> bool:
    sql = "UPDATE keys SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL"
    return conn.execute(sql, (at_ns, key_id)).rowcount == 1


def all_keys(conn: sqlite3.Connection) -> tuple[Key, ...]:
    """Oldest first, revoked ones too."""
    return tuple(Key(*row) for row in conn.execute(_ALL))
