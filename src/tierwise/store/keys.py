"""Virtual keys as rows: digests and limits. Knows nothing of how a digest is made."""

from __future__ import annotations

import sqlite3

from tierwise.types import Key


def add_key(conn: sqlite3.Connection, key: Key) -> None:
    row = (key.id, key.name, key.digest, key.prefix, key.created_ns, key.budget_nanos, key.revoked_ns)
    conn.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def revoke_key(conn: sqlite3.Connection, key_id: str, at_ns: int) -> bool:
    sql = "UPDATE keys SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL"
    return conn.execute(sql, (at_ns, key_id)).rowcount == 1


def all_keys(conn: sqlite3.Connection) -> tuple[Key, ...]:
    """Oldest first, revoked ones too."""
    sql = "SELECT id, name, digest, prefix, created_ns, budget_nanos, revoked_ns FROM keys ORDER BY created_ns, id"
    return tuple(Key(*row) for row in conn.execute(sql))
