"""The books, read from the file by another connection: do the running sums say what the append-only rows say?

Windows too, by SQLite's calendar.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

_ROWS = """
    SELECT key_id, sum(posted), sum(held) FROM (
        SELECT key_id, nanos AS posted, 0 AS held FROM requests JOIN entries USING (request_id)
        UNION ALL
        SELECT key_id, 0, nanos FROM reservations WHERE request_id NOT IN (SELECT request_id FROM requests)
        UNION ALL
        SELECT account, coalesce(sum(entries.nanos), 0), iif(ended, 0, reserved) FROM (
            SELECT request_id, nanos AS reserved, request_id IN (SELECT request_id FROM requests) AS ended,
                key_id || ':' || period || ':' || CASE period
                    WHEN 'day' THEN date(started_ns / 1000000000, 'unixepoch')
                    WHEN 'week' THEN date(started_ns / 1000000000, 'unixepoch', 'weekday 0', '-6 days')
                    ELSE strftime('%Y-%m', started_ns / 1000000000, 'unixepoch') END AS account
            FROM reservations WHERE period <> 'total'
        ) LEFT JOIN entries USING (request_id) GROUP BY request_id
    ) GROUP BY key_id HAVING sum(posted) > 0 OR sum(held) > 0 ORDER BY key_id"""
_SUMS = "SELECT * FROM accounts WHERE posted_nanos > 0 OR held_nanos > 0 ORDER BY key_id"


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        return conn.execute(sql).fetchall()


def assert_sound(path: Path) -> None:
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    assert query(path, _ROWS) == query(path, _SUMS)
