"""From nothing to now, and no further than we know."""

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from tests.store.audit import assert_sound, check_accounts, check_spend, check_traffic, query
from tests.store.clock import ManualClock
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.money import Budget, Key, Record, Reservation
from tierwise.store.migrations import APPLICATION, MIGRATIONS
from tierwise.store.sqlite import open_sqlite
from tierwise.store.sqlite_database import SqliteDatabase
from tierwise.types import CostState, Decision, Duty


async def test_a_new_file_gets_the_newest_schema(path: Path, clock: ManualClock) -> None:
    """And opening it again changes nothing."""
    for name in ("i1", "i2"):
        await (await open_sqlite(path, clock=clock, instance=name)).close()
        assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert [step.__name__[:5] for step in MIGRATIONS] == [f"m{n:03d}_" for n in range(1, len(MIGRATIONS) + 1)]


async def test_a_newer_schema_is_refused(path: Path, clock: ManualClock) -> None:
    """With what to do about it."""
    await (await open_sqlite(path, clock=clock, instance="i1")).close()
    query(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="newer Tierwise"):
        await open_sqlite(path, clock=clock, instance="i2")


async def test_another_programs_database_is_refused(path: Path, clock: ManualClock) -> None:
    """It is left as it was."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE recipes(name)")
    with pytest.raises(StoreError, match="another program"):
        await open_sqlite(path, clock=clock, instance="i1")
    assert query(path, "SELECT name FROM sqlite_master") == [("recipes",)]


async def test_a_file_that_is_no_database_is_refused(path: Path, clock: ManualClock) -> None:
    """In words, not with SQLite's."""
    path.write_bytes(b"Dear diary, " * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        await open_sqlite(path, clock=clock, instance="i1")


_ENTRY = "INSERT INTO entries VALUES ('r', ?, 'm', 'm-1', ?, 1, 2, 0, 0, 0, NULL, 7, 'computed', ?, 'why', 1.5, 2.5)"


async def test_entries_of_the_first_schema_are_kept(path: Path, clock: ManualClock) -> None:
    """Their table is made anew for second opinions and judges, and stays append-only."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        MIGRATIONS[0](conn)
        conn.execute(f"PRAGMA application_id = {APPLICATION}")
        conn.execute("PRAGMA user_version = 1")
        conn.executemany(_ENTRY, [(0, "draft", "rejected"), (1, "premium", "served")])
        before = conn.execute("SELECT * FROM entries").fetchall()
        for role, outcome in (("judge", "served"), ("draft", "consulted")):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                conn.execute(_ENTRY, (2, role, outcome))
    await (await open_sqlite(path, clock=clock, instance="i1")).close()
    assert query(path, "SELECT * FROM entries") == before
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executemany(_ENTRY, [(2, "opinion", "consulted"), (3, "judge", "consulted")])
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            conn.execute(_ENTRY, (4, "guess", "consulted"))
    for statement in ("DELETE FROM entries", "UPDATE entries SET nanos = 0"):
        with pytest.raises(sqlite3.IntegrityError, match="entries is append-only"):
            query(path, statement)


def rules(sql: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """A table without its lists of words, and these, however they are checked."""
    words = re.compile(r"CHECK\((\w+) (?:IN|=)([^)]+)\)")
    found = [(column, sorted(re.findall(r"'(\w+)'", text))) for column, text in words.findall(sql)]
    return words.sub("", sql.replace("'))", "')")), found


_REQUEST = "INSERT INTO requests VALUES ('r', 'k', 'support', 5, 1.5, 200, '{}', 9, 'computed', 'gateway')"
_ALL = "SELECT * FROM {}"
_TABLES = ("meta", "reservations", "requests", "entries", "keys", "accounts", "instances")


async def test_a_file_of_the_second_schema_keeps_its_rows(path: Path, clock: ManualClock) -> None:
    """Entries get the roles of audits and observation, and every rule that they had before."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for step in MIGRATIONS[:2]:
            step(conn)
        conn.execute(f"PRAGMA application_id = {APPLICATION}")
        conn.execute("PRAGMA user_version = 2")
        conn.execute(_REQUEST)
        conn.execute("INSERT INTO reservations VALUES (7, 'r', 'k', 'support', 10, 5, 'old')")
        conn.execute("INSERT INTO keys VALUES ('k', 'name', x'00', 'tw_', 1, NULL, NULL)")
        conn.execute("INSERT INTO accounts VALUES ('k', 28, 0)")
        conn.execute("INSERT INTO meta VALUES ('a', 1)")
        roles = ("draft", "opinion", "judge", "premium")
        conn.executemany(_ENTRY, [(seq, role, "consulted") for seq, role in enumerate(roles)])
        before = {table: conn.execute(_ALL.format(table)).fetchall() for table in _TABLES}
        (old,) = conn.execute("SELECT sql FROM sqlite_master WHERE name = 'entries'").fetchone()
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            conn.execute(_ENTRY, (4, "audit", "served"))
    await (await open_sqlite(path, clock=clock, instance="i1")).close()
    before["reservations"] = [(7, "r", "k", "support", "", 10, 0, 5, '["k"]', "old")]
    before["keys"] = [(*row, "total", None, None, "", *[None] * 6) for row in before["keys"]]
    before["requests"] = [(*row, "", "") for row in before["requests"]]
    before["accounts"] = [("k", 28, 0, 12, 0, 0)]
    before["meta"].append(("trail", 0))
    assert {table: query(path, _ALL.format(table)) for table in _TABLES} == before
    ((new,),) = query(path, "SELECT sql FROM sqlite_master WHERE name = 'entries'")
    assert rules(str(new)) == rules(old.replace("'judge')", "'judge', 'audit', 'observe', 'screen')"))
    for statement in ("DELETE FROM entries", "UPDATE entries SET nanos = 0", "DELETE FROM requests"):
        with pytest.raises(sqlite3.IntegrityError, match="is append-only"):
            query(path, statement)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executemany(_ENTRY, [(4, "audit", "served"), (5, "observe", "failed")])
    store = await open_sqlite(path, clock=clock, instance="i2")
    assert [(day.nanos, day.baseline_nanos) for day in await store.proof.days("support")] == [(28, 9)]
    await store.close()


async def test_budgets_of_the_third_schema_never_renew(path: Path, clock: ManualClock) -> None:
    """A key keeps its limit and what it has spent; a request that ran meanwhile is settled on the key's account."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for step in MIGRATIONS[:3]:
            step(conn)
        conn.execute(f"PRAGMA application_id = {APPLICATION}")
        conn.execute("PRAGMA user_version = 3")
        conn.execute(_REQUEST)
        conn.execute(_ENTRY, (0, "audit", "served"))
        conn.execute("INSERT INTO reservations VALUES (7, 'r', 'k', 'support', 10, 5, 'old')")
        conn.execute("INSERT INTO reservations VALUES (8, 'lost', 'k', 'support', 10, 6, 'old')")
        conn.execute("INSERT INTO instances VALUES ('old', 'gone', 1, 1, 1, 7)")
        conn.execute("INSERT INTO keys VALUES ('k', 'name', x'00', 'tw_', 1, 20, NULL)")
        conn.execute("INSERT INTO accounts VALUES ('k', 7, 10)")
    store = await open_sqlite(path, clock=clock, instance="i1")
    assert list(await store.keys()) == [Key("k", "name", b"\x00", "tw_", 1, 20)]
    assert await store.spent("k") == (17, 0)
    with pytest.raises(BudgetExceeded, match="does not renew"):
        await store.reserve(Reservation("r2", "k", "support", 4, clock.now_ns(), (Budget("key", "k", nanos=20),)))
    await store.reserve(Reservation("r3", "k", "support", 4, clock.now_ns(), (Budget("key", "k", "month", 20),)))
    assert await store.spent("k") == (17, 4)
    await store.close()
    assert_sound(path)
    for statement in ("DELETE FROM reservations", "UPDATE reservations SET accounts = '[]'"):
        with pytest.raises(sqlite3.IntegrityError, match="reservations is append-only"):
            query(path, statement)


HOUR = 3_600_000_000_000
MONDAY = 1_790_000_000_000_000_000  # 2026-09-21, 14:13:20 UTC


def book(conn: sqlite3.Connection, number: int, key_id: str, period: str, started_ns: int) -> None:
    """A request of the fourth schema, with two entries, as its process booked it."""
    name, nanos = f"r{number}", 10 + number
    windows = {"day": ":day:2026-09-21", "week": ":week:2026-09-21", "month": ":month:2026-09"}
    conn.execute(
        "INSERT INTO reservations(request_id, key_id, route, nanos, started_ns, period, instance)"
        " VALUES (?, ?, 'support', 50, ?, ?, 'old')",
        (name, key_id, started_ns, period),
    )
    status, state = ((200, "computed"), (502, "unknown"))[number % 3 == 2]
    request = (name, key_id, started_ns, 1.5 + number, status, state)
    conn.execute("INSERT INTO requests VALUES (?, ?, 'support', ?, ?, ?, '{}', 9, ?, 'gateway')", request)
    served = ("rejected", "served")[number % 2]
    entry = "INSERT INTO entries VALUES (?, ?, 'm', 'm-1', ?, 1, 2, 3, 4, 5, NULL, ?, 'computed', ?, 'why', 1.5, 2.5)"
    conn.execute(entry, (name, 0, "draft", nanos, served))
    conn.execute(entry, (name, 1, "premium", 1, "served"))
    for account in {key_id, key_id + windows.get(period, "")}:
        conn.execute(
            "INSERT INTO accounts VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET posted_nanos = posted_nanos + ?",
            (account, nanos + 1, nanos + 1),
        )


async def test_the_books_of_the_fourth_schema_are_carried_on(path: Path, clock: ManualClock) -> None:
    """Windows, tokens and sums by the hour are those of the rows; what ran when it was stopped costs its bound."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for step in MIGRATIONS[:4]:
            step(conn)
        conn.execute(f"PRAGMA application_id = {APPLICATION}")
        conn.execute("PRAGMA user_version = 4")
        for number, period in enumerate(("total", "day", "week", "month") * 3):
            started_ns = MONDAY + (number % 5) * HOUR
            book(conn, number, ("k1", "k2", "aside:support:2026-09-21", "aside")[number % 4], period, started_ns)
        conn.execute(_REQUEST.replace("'r'", "'refused'"))
        lost = "(50, 'lost', 'k2', 'support', 30, ?, 'old', 'day')"
        conn.execute(f"INSERT INTO reservations VALUES {lost}", (MONDAY,))  # noqa: S608
        conn.execute("UPDATE accounts SET held_nanos = 30 WHERE key_id IN ('k2', 'k2:day:2026-09-21')")
        conn.execute("INSERT INTO instances VALUES ('old', 'gone', 1, 1, 1, 0)")
        expected = conn.execute("SELECT key_id, posted_nanos FROM accounts ORDER BY key_id").fetchall()
    with closing(SqliteDatabase(path)) as db:
        db.migrate()
        check_accounts(db.execute)
        check_spend(db.execute)
        check_traffic(db.execute)
        assert db.execute("SELECT name, posted_nanos FROM accounts ORDER BY name") == expected
        assert db.execute("SELECT count(*), sum(posted_tokens) FROM accounts WHERE held_nanos = 0") == [
            (7, 6 * (12 + 9))
        ]
    store = await open_sqlite(path, clock=clock, instance="i1")
    assert await store.spent("k2:day:2026-09-21") == (dict(expected)["k2:day:2026-09-21"] + 30, 0)
    late = Record("lost", "k2", "support", MONDAY, 1, 200, Decision("serve", "why"), (), 9, "computed")
    await store.post(late)
    assert await store.spent("k2:day:2026-09-21") == (dict(expected)["k2:day:2026-09-21"], 0)
    await store.close()
    assert_sound(path)


WORDS = {
    ("requests", "baseline_state"): get_args(CostState),
    ("requests", "settled_by"): ("gateway", "recovery"),
    ("entries", "role"): get_args(Duty),
    ("entries", "cost_state"): get_args(CostState),
    ("entries", "outcome"): ("served", "rejected", "consulted", "failed", "cancelled", "recovered"),
}


@pytest.mark.parametrize(("table", "column"), WORDS)
def test_the_words_of_the_sixth_schema_are_those_of_the_seventh(table: str, column: str) -> None:
    """No other, however they are checked; rows that were there are kept, and tables append-only."""
    rows = {
        "requests": "('r', 'k', 's', 5, 1.5, 200, '{}', 9, 'computed', 'gateway', 'red', '')",
        "entries": "('r', 0, 'm', 'm-1', 'judge', 1, 2, 0, 0, 0, NULL, 7, 'unknown', 'failed', 'why', NULL, 2.5)",
    }
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        for step in MIGRATIONS[:6]:
            step(conn)
        conn.execute(f"INSERT INTO {table} VALUES {rows[table]}")  # noqa: S608
        (before,) = conn.execute(_ALL.format(table)).fetchall()
        MIGRATIONS[6](conn)
        assert conn.execute(_ALL.format(table)).fetchall() == [before]
        columns = [name for _, name, *_ in conn.execute(f"PRAGMA table_info({table})")]
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        for number, word in enumerate(WORDS[table, column]):
            row = dict(zip(columns, before, strict=True)) | {"request_id": f"r{number}", column: word}
            conn.execute(insert, tuple(row.values()))
        for word in ("guess", "", "COMPUTED", f"{WORDS[table, column][0]} "):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                conn.execute(insert, tuple((row | {"request_id": "bad", column: word}).values()))
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET total_ms = 0"):  # noqa: S608
            with pytest.raises(sqlite3.IntegrityError, match="is append-only"):
                conn.execute(statement)


@pytest.mark.parametrize(
    ("steps", "digest"),
    [
        (1, "4727a5ebc1c89808"),
        (2, "0332a49fe6e483e2"),
        (3, "1680cd8691b1c4c9"),
        (4, "f64ccfe416db43d5"),
        (5, "3e5b55f72a6dc4b0"),
        (6, "1eacd96e23f4fd06"),
        (7, "a39c968f976a39df"),
    ],
)
def test_steps_that_have_shipped_are_as_they_were(steps: int, digest: str) -> None:
    """Files out there were made by them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        for step in MIGRATIONS[:steps]:
            step(conn)
        made = [sql for (sql,) in conn.execute("SELECT sql FROM sqlite_master ORDER BY name")]
    assert hashlib.sha256(repr(made).encode()).hexdigest()[:16] == digest
