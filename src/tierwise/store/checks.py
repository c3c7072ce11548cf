"""Lists of words that a table's CHECKs allow, as SQLite checks them fast.

Knows how a table's text is written and made anew; not which tables there are.
"""

from __future__ import annotations

import re
import sqlite3

_USUAL = {"role": "direct", "outcome": "served", "cost_state": "computed", "baseline_state": "computed"}
_WORDS = re.compile(r"CHECK\((\w+) IN \(([^)]*)\)\)")


def one_by_one(conn: sqlite3.Connection, table: str, order: str, step: int) -> None:
    """A step of the schema: the table's words are compared one by one, what is usual first.

    Of `x IN ('a', 'b', 'c')` in a CHECK, SQLite makes a table, anew for each row that is written: for entries that was
    more than all else that it did. A CHECK can't be altered, so the rows move to a new table; triggers go with the old.
    """
    ((old,),) = conn.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
    new = f"{table}_{step}"
    conn.execute(re.sub(rf'^CREATE TABLE "?{table}"?\(', f"CREATE TABLE {new}(", _WORDS.sub(_compared, old)))
    conn.execute(f"INSERT INTO {new} SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
    conn.execute(f"DROP TABLE {table}")
    conn.execute(f"ALTER TABLE {new} RENAME TO {table}")


def _compared(check: re.Match[str]) -> str:
    column, words = check[1], check[2].split(", ")
    words.sort(key=lambda word: word != f"'{_USUAL.get(column)}'")
    return f"CHECK({' OR '.join(f'{column} = {word}' for word in words)})"
