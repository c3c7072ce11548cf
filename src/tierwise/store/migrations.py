"""The ledger's tables and those beside it, as numbered steps from nothing to now.

A step that has shipped is never edited.

Knows SQLite's DDL and `PRAGMA user_version`; nothing of what the rows mean to the gateway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from tierwise.core.window import account
from tierwise.errors import StoreError
from tierwise.money import Budget, Period
from tierwise.store import cases, checks

APPLICATION = 0x5457_4C47  # "TWLG": marks a file as ours, so that another program's database is never migrated

_TABLES = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY) STRICT",
    # `id` is in order of writing, over all processes: a crash is swept from an instance's `mark` on, without an index.
    """CREATE TABLE reservations(
        id INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        key_id TEXT NOT NULL,
        route TEXT NOT NULL,
        nanos INTEGER NOT NULL CHECK(nanos >= 0),
        started_ns INTEGER NOT NULL,
        instance TEXT NOT NULL) STRICT""",
    """CREATE TABLE requests(
        request_id TEXT PRIMARY KEY,
        key_id TEXT NOT NULL,
        route TEXT NOT NULL,
        started_ns INTEGER NOT NULL,
        total_ms REAL NOT NULL CHECK(total_ms >= 0),
        status INTEGER NOT NULL CHECK(status BETWEEN 0 AND 599),
        decision TEXT NOT NULL,
        baseline_nanos INTEGER NOT NULL CHECK(baseline_nanos >= 0),
        baseline_state TEXT NOT NULL
            CHECK(baseline_state IN ('provider_reported', 'computed', 'estimated', 'unknown')),
        settled_by TEXT NOT NULL CHECK(settled_by IN ('gateway', 'recovery'))) STRICT, WITHOUT ROWID""",
    # The primary key is the index by request: one b-tree to write where a rowid table would need two.
    """CREATE TABLE entries(
        request_id TEXT NOT NULL,
        seq INTEGER NOT NULL CHECK(seq >= 0),
        model TEXT NOT NULL,
        provider_model TEXT NOT NULL,
        role TEXT NOT NULL CHECK(role IN ('draft', 'premium', 'direct')),
        input_tokens INTEGER NOT NULL CHECK(input_tokens >= 0),
        output_tokens INTEGER NOT NULL CHECK(output_tokens >= 0),
        cache_read_tokens INTEGER NOT NULL CHECK(cache_read_tokens >= 0),
        cache_write_tokens INTEGER NOT NULL CHECK(cache_write_tokens >= 0),
        reasoning_tokens INTEGER NOT NULL CHECK(reasoning_tokens >= 0),
        reported_nanos INTEGER CHECK(reported_nanos >= 0),
        nanos INTEGER NOT NULL CHECK(nanos >= 0),
        cost_state TEXT NOT NULL CHECK(cost_state IN ('provider_reported', 'computed', 'estimated', 'unknown')),
        outcome TEXT NOT NULL CHECK(outcome IN ('served', 'rejected', 'failed', 'cancelled', 'recovered')),
        rule TEXT NOT NULL,
        first_ms REAL CHECK(first_ms >= 0),
        total_ms REAL NOT NULL CHECK(total_ms >= 0),
        PRIMARY KEY(request_id, seq)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE keys(
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE,
        prefix TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        budget_nanos INTEGER CHECK(budget_nanos >= 0),
        revoked_ns INTEGER) STRICT""",
    # Running sums of the append-only tables, kept in the same transaction: the only money that is ever updated.
    """CREATE TABLE accounts(
        key_id TEXT PRIMARY KEY,
        posted_nanos INTEGER NOT NULL CHECK(posted_nanos >= 0),
        held_nanos INTEGER NOT NULL CHECK(held_nanos >= 0)) STRICT, WITHOUT ROWID""",
    # `mark`: no reservation of the instance with a lower id is still open.
    """CREATE TABLE instances(
        id TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started_ns INTEGER NOT NULL,
        beat_ns INTEGER NOT NULL,
        mark INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
)


def _append_only(conn: sqlite3.Connection, table: str) -> None:
    for verb in ("UPDATE", "DELETE"):
        conn.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def m001_initial(conn: sqlite3.Connection) -> None:
    for statement in _TABLES:
        conn.execute(statement)
    for table in ("reservations", "requests", "entries"):
        _append_only(conn, table)


def _entries(conn: sqlite3.Connection, step: int, roles: str) -> None:
    """The table of entries with these roles too. A CHECK can't be altered, so the rows move to a new table."""
    (wider,) = [statement for statement in _TABLES if "TABLE entries(" in statement]
    for old, new in (
        ("TABLE entries(", f"TABLE entries_{step}("),
        ("'direct')", f"'direct', {roles})"),
        ("'rejected', ", "'rejected', 'consulted', "),
    ):
        wider = wider.replace(old, new)
    conn.execute(wider)
    conn.execute(f"INSERT INTO entries_{step} SELECT * FROM entries ORDER BY request_id, seq")  # noqa: S608
    conn.execute("DROP TABLE entries")  # its triggers go with it
    conn.execute(f"ALTER TABLE entries_{step} RENAME TO entries")
    _append_only(conn, "entries")


def m002_opinions(conn: sqlite3.Connection) -> None:
    """Entries of second opinions and judges."""
    _entries(conn, 2, "'opinion', 'judge'")


# Nothing is ever deleted from a table that is append-only, so `id`, which SQLite makes the highest one and one more, is
# in order of writing: see `samples.py`. SQLite puts the rowid, which `id` is, at the end of every index.
_PROOF = (
    """CREATE TABLE samples(
        id INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        route TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK(kind IN ('audit', 'observe')),
        served TEXT NOT NULL,
        uniform REAL NOT NULL CHECK(uniform >= 0 AND uniform < propensity),
        propensity REAL NOT NULL CHECK(propensity <= 1),
        certificate TEXT NOT NULL,
        rung INTEGER NOT NULL CHECK(rung >= 0),
        score REAL CHECK(score BETWEEN 0 AND 1),
        passed INTEGER NOT NULL CHECK(passed >= 0),
        escalated INTEGER NOT NULL CHECK(escalated >= 0)) STRICT""",
    "CREATE INDEX samples_route ON samples(route)",
    """CREATE TABLE labels(
        id INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL,
        route TEXT NOT NULL,
        model TEXT NOT NULL,
        source TEXT NOT NULL CHECK(source IN (
            'equality', 'checks', 'judge', 'human', 'feedback', 'recheck', 'missing', 'void')),
        "by" TEXT NOT NULL,
        draft REAL NOT NULL CHECK(draft BETWEEN 0 AND 1),
        premium REAL CHECK(premium BETWEEN 0 AND 1),
        propensity REAL NOT NULL CHECK(propensity > 0 AND propensity <= 1),
        at_ns INTEGER NOT NULL,
        comment TEXT NOT NULL) STRICT""",
    "CREATE INDEX labels_route ON labels(route)",
    # Apart from their samples, because they may be deleted. `content` is JSON.
    """CREATE TABLE texts(
        id INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        route TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        content BLOB NOT NULL) STRICT""",
    "CREATE INDEX texts_route ON texts(route, at_ns)",
    """CREATE TABLE trail(
        id INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL,
        route TEXT NOT NULL,
        what TEXT NOT NULL,
        body TEXT NOT NULL CHECK(json_valid(body)),
        key TEXT NOT NULL,
        digest TEXT NOT NULL) STRICT""",
    "CREATE UNIQUE INDEX trail_key ON trail(key) WHERE key <> ''",
)


def m003_proof(conn: sqlite3.Connection) -> None:
    """Samples, labels, texts and the trail; entries of audits and of observation, in a table made anew as before."""
    _entries(conn, 3, "'opinion', 'judge', 'audit', 'observe'")
    for statement in _PROOF:
        conn.execute(statement)
    for table in ("samples", "labels", "trail"):
        _append_only(conn, table)


_PERIOD = "ADD COLUMN period TEXT NOT NULL DEFAULT 'total' CHECK(period IN ('day', 'week', 'month', 'total'))"


def m004_periods(conn: sqlite3.Connection) -> None:
    """Budgets that renew, and limits a minute. What was there has budgets that never do, and no such limit.

    `accounts.key_id` may be the name of a key's window from here on: see `core/window.py`.
    """
    for change in (
        f"keys {_PERIOD}",
        "keys ADD COLUMN rpm INTEGER CHECK(rpm > 0)",
        "keys ADD COLUMN tpm INTEGER CHECK(tpm > 0)",
        f"reservations {_PERIOD}",
    ):
        conn.execute(f"ALTER TABLE {change}")


# `accounts` of a reservation: a JSON list of the names of those that it is held on. It is posted on its key's account
# too, which is held on only where the key has a budget that never renews: see `core/window.py`.
_MONEY = (
    """CREATE TABLE reservations_5(
        id INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        key_id TEXT NOT NULL,
        route TEXT NOT NULL,
        team TEXT NOT NULL,
        nanos INTEGER NOT NULL CHECK(nanos >= 0),
        tokens INTEGER NOT NULL CHECK(tokens >= 0),
        started_ns INTEGER NOT NULL,
        accounts TEXT NOT NULL,
        instance TEXT NOT NULL) STRICT""",
    # `held` is the sum of the leases. `wanted_ns`: when somebody was refused for want of what others lease, and nothing
    # has been drawn since; 0 where nobody was.
    """CREATE TABLE accounts_5(
        name TEXT PRIMARY KEY,
        posted_nanos INTEGER NOT NULL CHECK(posted_nanos >= 0),
        held_nanos INTEGER NOT NULL CHECK(held_nanos >= 0),
        posted_tokens INTEGER NOT NULL CHECK(posted_tokens >= 0),
        held_tokens INTEGER NOT NULL CHECK(held_tokens >= 0),
        wanted_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
    # What is set aside for an instance and not posted yet. Changed only under the lock of the account's row.
    """CREATE TABLE leases(
        instance TEXT NOT NULL,
        account TEXT NOT NULL,
        nanos INTEGER NOT NULL CHECK(nanos >= 0),
        tokens INTEGER NOT NULL CHECK(tokens >= 0),
        PRIMARY KEY(instance, account)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE corrections(
        request_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        route TEXT NOT NULL,
        team TEXT NOT NULL,
        model TEXT NOT NULL,
        nanos INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        PRIMARY KEY(request_id, reason)) STRICT, WITHOUT ROWID""",
    # Sums by the hour, of entries and of requests: `money.Spend` and `money.Traffic`, columns as the fields.
    """CREATE TABLE spend(
        hour INTEGER NOT NULL,
        route TEXT NOT NULL,
        team TEXT NOT NULL,
        key_id TEXT NOT NULL,
        model TEXT NOT NULL,
        role TEXT NOT NULL,
        state TEXT NOT NULL,
        entries INTEGER NOT NULL,
        nanos INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        PRIMARY KEY(hour, route, team, key_id, model, role, state)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE traffic(
        hour INTEGER NOT NULL,
        route TEXT NOT NULL,
        team TEXT NOT NULL,
        key_id TEXT NOT NULL,
        arm TEXT NOT NULL,
        requests INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        drafts INTEGER NOT NULL,
        nanos INTEGER NOT NULL,
        baseline_nanos INTEGER NOT NULL,
        unknown_nanos INTEGER NOT NULL,
        squares REAL NOT NULL,
        total_ms REAL NOT NULL,
        PRIMARY KEY(hour, route, team, key_id, arm)) STRICT, WITHOUT ROWID""",
    # Locked by whoever is about to add a line to the trail, before the look at the last one.
    "INSERT INTO meta VALUES ('trail', 0)",
)
_MOVED = (
    """INSERT INTO reservations_5
        SELECT id, request_id, key_id, route, '', nanos, 0, started_ns,
            json_array(account_of(key_id, period, started_ns)), instance
        FROM reservations ORDER BY id""",
    # Nothing is leased yet: what was held was for requests that ran, and whoever finds them open settles them.
    """INSERT INTO accounts_5
        SELECT key_id, posted_nanos, 0, coalesce(tokens, 0), 0, 0
        FROM accounts LEFT JOIN (
            SELECT name, sum(tokens) AS tokens FROM (
                SELECT key_id AS name, input_tokens + output_tokens AS tokens
                FROM requests JOIN entries USING (request_id)
                UNION ALL
                SELECT account_of(key_id, period, started_ns), input_tokens + output_tokens
                FROM reservations JOIN entries USING (request_id) WHERE period <> 'total'
            ) GROUP BY name
        ) ON name = key_id""",
    """INSERT INTO spend
        SELECT started_ns / 3600000000000, route, '', iif(substr(key_id, 1, 6) = 'aside:', 'aside', key_id) AS payer,
            model, role, cost_state, count(*), sum(nanos), sum(input_tokens), sum(output_tokens),
            sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens)
        FROM requests JOIN entries USING (request_id)
        GROUP BY started_ns / 3600000000000, route, payer, model, role, cost_state""",
    """INSERT INTO traffic
        SELECT hour, route, '', payer, '', sum(answered), sum(NOT answered), sum(answered AND drafted), sum(nanos),
            sum(baseline_nanos), sum(unknown), sum(answered * (nanos / 1e9) * (nanos / 1e9)), sum(answered * total_ms)
        FROM (
            SELECT started_ns / 3600000000000 AS hour, requests.route,
                iif(substr(key_id, 1, 6) = 'aside:', 'aside', key_id) AS payer, status = 200 AS answered,
                coalesce(max(role = 'draft' AND outcome = 'served'), 0) AS drafted, coalesce(sum(nanos), 0) AS nanos,
                baseline_nanos, iif(baseline_state = 'unknown', baseline_nanos, 0) AS unknown, requests.total_ms
            FROM requests LEFT JOIN entries USING (request_id) GROUP BY request_id
        ) GROUP BY hour, route, payer""",
    "DROP TABLE reservations",
    "DROP TABLE accounts",
    "ALTER TABLE reservations_5 RENAME TO reservations",
    "ALTER TABLE accounts_5 RENAME TO accounts",
    "ALTER TABLE requests ADD COLUMN team TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE requests ADD COLUMN arm TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE keys ADD COLUMN team TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE keys ADD COLUMN streams INTEGER CHECK(streams > 0)",
    "ALTER TABLE keys ADD COLUMN budget_tokens INTEGER CHECK(budget_tokens >= 0)",
)


def m005_leases(conn: sqlite3.Connection) -> None:
    """Leases in place of what running requests hold, teams, tokens, corrections, and sums by the hour."""

    def account_of(key_id: str, period: Period, started_ns: int) -> str:
        return account(Budget("key", key_id, period), started_ns)

    conn.create_function("account_of", 3, account_of, deterministic=True)
    for statement in (*_MONEY, *_MOVED):
        conn.execute(statement)
    for table in ("reservations", "corrections"):
        _append_only(conn, table)


def m006_screens(conn: sqlite3.Connection) -> None:
    """Cases that wait for a person, entries of models that screens ask; rights of keys, and their tokens by the way.

    Rights that are NULL are all rights; what was there has them, and no limit on one way alone.
    """
    cases.in_sqlite(conn)
    _entries(conn, 6, "'opinion', 'judge', 'audit', 'observe', 'screen'")
    ways = [f"{way}_tpm INTEGER CHECK({way}_tpm > 0)" for way in ("input", "output")]
    for column in ("may TEXT", "routes TEXT", *ways):
        conn.execute(f"ALTER TABLE keys ADD COLUMN {column}")


def m007_checks(conn: sqlite3.Connection) -> None:
    """Requests and entries are written in half the time: see `checks.py`."""
    for table, order in (("requests", "request_id"), ("entries", "request_id, seq")):
        checks.one_by_one(conn, table, order, 7)
        _append_only(conn, table)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_initial,
    m002_opinions,
    m003_proof,
    m004_periods,
    m005_leases,
    m006_screens,
    m007_checks,
)


def migrate(conn: sqlite3.Connection) -> None:
    """Bring the database to the newest schema in one transaction. Safe where several processes start at once.

    Raises StoreError for a newer schema than this version knows, and for a database that is not a ledger.
    """
    if _version(conn) == len(MIGRATIONS):
        return
    with conn:
        conn.execute("BEGIN IMMEDIATE")
        version = _version(conn)  # again: another process may have been first
        for number, step in enumerate(MIGRATIONS[version:], version + 1):
            step(conn)
            conn.execute(f"PRAGMA user_version = {number}")
        conn.execute(f"PRAGMA application_id = {APPLICATION}")


def _version(conn: sqlite3.Connection) -> int:
    application: int = conn.execute("PRAGMA application_id").fetchone()[0]
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    tables: int = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION and (tables or version):
        raise StoreError("the database file belongs to another program: it is no Tierwise ledger")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the ledger has schema {version}, this version knows up to {len(MIGRATIONS)}: "
            "it was written by a newer Tierwise, upgrade this one"
        )
    return version
