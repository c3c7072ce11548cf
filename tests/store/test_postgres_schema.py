"""PostgreSQL's tables: SQLite's, rule by rule; made once, whoever comes at the same time; ids in order of commit."""

import asyncio
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import msgspec
import pytest

from tests.support import postgres as servers
from tests.support.postgres import run
from tierwise.errors import RowRefused, StoreError
from tierwise.money import Key
from tierwise.store import migrations, postgres_schema
from tierwise.store.keys import add_key, all_keys
from tierwise.store.postgres_database import PostgresDatabase

SAMPLE = (
    "INSERT INTO samples(request_id, route, at_ns, kind, served, uniform, propensity, certificate, rung, passed,"
    " escalated) VALUES (?, 'x', 1, 'audit', 'm', 0, 1, '', 0, 0, 0), (?, 'x', 1, 'audit', 'm', 0, 1, '', 0, 0, 0)"
)
LABEL = (
    'INSERT INTO labels(request_id, route, model, source, "by", draft, propensity, at_ns, comment)'
    " VALUES (?, 'x', 'm', 'human', '', 1, 1, 1, ''), (?, 'x', 'm', 'human', '', 1, 1, 1, '')"
)
TYPES = {"INTEGER": "bigint", "TEXT": "text", "REAL": "double precision", "BLOB": "bytea", "ANY": "bigint"}


@pytest.fixture
def db(database: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(database)) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def lite() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        for step in migrations.MIGRATIONS:
            step(conn)
        yield conn


def test_a_new_database_gets_the_newest_schema(db: PostgresDatabase, database: str) -> None:
    """And opening it again changes nothing."""
    schema = "SELECT value FROM meta WHERE name = 'schema'"
    assert db.execute(schema) == [(len(postgres_schema.MIGRATIONS),)]
    with closing(PostgresDatabase(database)) as other:
        other.migrate()
    assert db.execute(schema) == [(len(postgres_schema.MIGRATIONS),)]


def test_keys_of_the_first_schema_are_carried_on(database: str) -> None:
    """With no limit of tokens in or out, as none was asked for; the next ones may have one."""
    with closing(PostgresDatabase(database)) as db:
        with db.transaction():
            db.change("; ".join(postgres_schema.MIGRATIONS[0]()))
            db.change("UPDATE meta SET value = 1 WHERE name = 'schema'")
        db.change(
            "INSERT INTO keys(id, name, digest, prefix, created_ns, tpm) VALUES ('k', 'n', ?, 'tw-', 1, 9)", (b"x",)
        )
        db.migrate()
        before = Key("k", "n", b"x", "tw-", 1, tpm=9)
        assert all_keys(db) == (before,)
        add_key(db, msgspec.structs.replace(before, id="l", digest=b"y", input_tpm=7, output_tpm=8))
        assert db.execute("SELECT id, input_tpm, output_tpm FROM keys ORDER BY id") == [("k", None, None), ("l", 7, 8)]
        for way in ("input", "output"):
            with pytest.raises(RowRefused):
                db.change(f"UPDATE keys SET {way}_tpm = 0 WHERE id = 'l'")  # noqa: S608


def test_the_tables_are_sqlite_s(db: PostgresDatabase, lite: sqlite3.Connection) -> None:
    """The same columns in the same order, of the same kind, with the same default, that may be missing or not."""
    ours: dict[str, list[tuple[object, ...]]] = {}
    for table, *column in db.execute(
        "SELECT table_name, column_name, data_type, is_nullable, split_part(column_default, ':', 1)"
        " FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    ):
        ours.setdefault(table, []).append(tuple(column))
    theirs = {}
    for (table,) in lite.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        theirs[table] = [
            (name, TYPES[kind], "NO" if required or key else "YES", default)
            for _, name, kind, required, default, key in lite.execute(f"PRAGMA table_info({table})")
        ]
    assert ours == theirs


CHANGED = [
    (
        "entries",
        "'draft', 'premium', 'direct', 'opinion', 'judge', 'audit', 'observe'",
        "'draft', 'premium', 'direct', 'opinion', 'judge', 'audit', 'observe', 'screen'",
    )
]
"""CHECKs that a later step has changed: in which table, from what, to what."""


def rules(sql: str) -> Counter[str]:
    """The CHECKs of a table's text, without what is between words; lists of words in the order of the alphabet."""
    found: Counter[str] = Counter()
    for part in sql.split("CHECK(")[1:]:
        depth, end = 1, 0
        while depth:
            depth += {"(": 1, ")": -1}.get(part[end], 0)
            end += 1
        rule = re.sub(r"\s+", "", part[: end - 1])
        if words := re.fullmatch(r"(\w+)(?:IN|=)(\(?'.*)", rule):
            rule = words[1] + "IN" + ",".join(sorted(re.findall(r"'(\w+)'", words[2])))
        found[rule] += 1
    return found


def test_the_rules_are_sqlite_s(lite: sqlite3.Connection) -> None:
    """Every CHECK of every table, and what is unique."""
    made = [statement for step in postgres_schema.MIGRATIONS for statement in step()]
    tables = {match[1]: sql for sql in made if (match := re.match(r"CREATE TABLE (\w+)", sql))}
    for table, old, new in CHANGED:
        tables[table] = tables[table].replace(old, new)
        assert f"CHECK(role IN ({new}))" in "".join(made)
    assert tables
    for sql in made:
        if changed := re.match(r"ALTER TABLE (\w+) ADD COLUMN", sql):
            tables[changed[1]] += sql
    for name, sql in tables.items():
        (theirs,) = lite.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone()
        ours = sql.replace("body::json IS NOT NULL", "json_valid(body)")
        assert (name, rules(ours)) == (name, rules(theirs))
        assert ours.count(" UNIQUE") == theirs.count(" UNIQUE")
        assert re.findall(r"PRIMARY KEY\([^)]*\)", ours) == re.findall(r"PRIMARY KEY\([^)]*\)", theirs)


APPEND_ONLY = ("corrections", "entries", "labels", "requests", "reservations", "samples", "trail")


def test_what_is_append_only_is_sqlite_s(lite: sqlite3.Connection) -> None:
    """The same tables, by their triggers."""
    names = lite.execute("SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1").fetchall()
    assert tuple(name for (name,) in names) == APPEND_ONLY


@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET {} = NULL", "TRUNCATE {}"])
def test_append_only_is_kept(db: PostgresDatabase, verb: str) -> None:
    """Neither an update nor a delete passes, whoever tries."""
    for table in APPEND_ONLY:
        with pytest.raises(RowRefused, match=f"{table} is append-only"):
            db.change(verb.format(table, "model" if table == "entries" else "route"))


def test_a_line_of_the_trail_is_json(db: PostgresDatabase) -> None:
    """By the table's rule."""
    line = "INSERT INTO trail VALUES (?, 1, 'x', 'alarm', ?, '', '')"
    for body in ("", "{", "{'a': 1}"):
        with pytest.raises(RowRefused):
            db.change(line, (1, body))
    assert db.change(line, (1, '{"a": "\\u0000\\ud800"}')) == 1


def test_texts_compare_by_their_bytes(db: PostgresDatabase) -> None:
    """In SQLite's order, whatever the database's is."""
    names = ["Z", "a", "é", "日", "B", "_", "-a"]
    for name in names:
        db.change("INSERT INTO meta VALUES (?, 0)", (f"x{name}",))
    found = db.execute("SELECT name FROM meta WHERE name LIKE 'x%' ORDER BY name")
    assert [name[1:] for (name,) in found] == sorted(names)
    others = db.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert others == []


def opened(url: str) -> list[tuple[object, ...]]:
    with closing(PostgresDatabase(url)) as db:
        db.migrate()
        return db.execute("SELECT name, value FROM meta ORDER BY name")


WHOLE = [("schema", len(postgres_schema.MIGRATIONS)), ("trail", 0)]


def test_many_may_make_it_at_once(database: str) -> None:
    """All find it whole, and one of them made it."""
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, [database] * 8)) == [WHOLE] * 8


def test_a_newer_schema_is_refused(db: PostgresDatabase) -> None:
    """With what to do about it."""
    db.change("UPDATE meta SET value = value + 1 WHERE name = 'schema'")
    with pytest.raises(StoreError, match="newer Tierwise"):
        db.migrate()


@pytest.mark.parametrize("table", ["recipes(name TEXT)", "meta(name TEXT, value TEXT)"])
async def test_another_programs_database_is_refused(database: str, table: str) -> None:
    """It is left as it was; a schema of our own in it is fine."""
    await run(database, f"CREATE TABLE {table}")
    before = await run(database, _MADE)
    with pytest.raises(StoreError, match="another program"):
        await asyncio.to_thread(opened, database)
    assert await run(database, _MADE) == before
    own = f"{database}_own"
    await run(database, f"CREATE SCHEMA {own.partition('=')[2]}")
    assert await asyncio.to_thread(opened, own) == WHOLE
    assert await run(database, _MADE) == before


_MADE = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


async def test_a_database_in_another_encoding_is_refused(postgres: servers.Server) -> None:
    """It could not hold every text."""
    sql = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    await run(postgres.url("postgres"), sql)

    with pytest.raises(StoreError, match="LATIN1"):
        await asyncio.to_thread(opened, postgres.url("latin"))


@pytest.mark.parametrize(("table", "insert"), [("samples", SAMPLE), ("labels", LABEL)])
def test_ids_are_in_order_of_commit(db: PostgresDatabase, database: str, table: str, insert: str) -> None:
    """Whoever comes second waits for the first to commit before it gets an id: no reader sees the higher one alone."""
    seen = f"SELECT id, request_id FROM {table} ORDER BY id"  # noqa: S608 - names of our own

    def second() -> None:
        with closing(PostgresDatabase(database)) as other:
            other.change(insert, ("c", "d"))

    with closing(PostgresDatabase(database)) as reader:
        thread = threading.Thread(target=second)
        with db.transaction():
            db.change(insert, ("a", "b"))
            thread.start()
            deadline = time.monotonic() + 10
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while reader.execute(waiting) == [(0,)] and time.monotonic() < deadline:
                pass
            assert reader.execute(seen) == []
        thread.join()
        assert reader.execute(seen) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_one_lock_orders_all_that_is_kept(db: PostgresDatabase, database: str) -> None:
    """Else two groups that keep samples and labels, each in its own order, would stop each other."""

    def group(number: int) -> None:
        with closing(PostgresDatabase(database)) as other:
            for turn in range(20):
                name = f"{number}-{turn}"
                with other.transaction():
                    for insert in (SAMPLE, LABEL)[:: 1 if number % 2 else -1]:
                        other.change(insert, (f"{name}-1", f"{name}-2"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(group, range(4)))
    for table in ("samples", "labels"):
        assert db.execute(f"SELECT count(*), max(id) FROM {table}") == [(160, 160)]  # noqa: S608


def test_the_server_cleans_up_after_a_few_deletions(fragile: servers.Server) -> None:
    """By itself, and soon (it looks every second here): nobody's request waits for it."""
    with closing(PostgresDatabase(fragile.url("postgres"))) as db:
        db.migrate()
        for number in range(3):
            content = b"a secret " * 9_000 * number
            db.change(
                "INSERT INTO texts(request_id, route, at_ns, content) VALUES (?, 'x', 1, ?)", (f"r{number}", content)
            )
        assert db.execute(_PAGES) != [(0,)]
        assert db.change("DELETE FROM texts") == 3
        db.scrub()
        deadline = time.monotonic() + 30
        while db.execute(_PAGES) != [(0,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert db.execute(_PAGES) == [(0,)]


_PAGES = (
    "SELECT CAST(pg_relation_size(oid) + pg_relation_size(reltoastrelid) AS BIGINT) FROM pg_class"
    " WHERE oid = CAST('texts' AS regclass)"
)
