"""The books, read by another connection: do accounts, leases and sums say what the append-only rows say?"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

Read = Callable[[str], Sequence[tuple[Any, ...]]]
HOUR = 3_600_000_000_000


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        return conn.execute(sql).fetchall()


def assert_sound(path: Path) -> None:
    """Of a SQLite file. Its rows are read in one transaction, while others may write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("BEGIN")
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        check(lambda sql: conn.execute(sql).fetchall())


def check(read: Read) -> None:
    """Of any database, by its `execute`."""
    check_accounts(read)
    check_leases(read)
    check_spend(read)
    check_traffic(read)


def check_accounts(read: Read) -> None:
    """What is posted is the sum of the entries of the requests that are booked there, and of their corrections.

    A correction of many requests at once, which the ledger does not know one by one, may have taken off more than was
    there.
    """
    reservations = read("SELECT request_id, accounts FROM reservations")
    booked_on = {request_id: json.loads(names) for request_id, names in reservations}
    known = booked_on.keys() | {request_id for (request_id,) in read("SELECT request_id FROM requests")}
    billed = read(
        "SELECT request_id, key_id, nanos, input_tokens + output_tokens FROM requests JOIN entries USING (request_id)"
    )
    posted: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    loose = set()
    for request_id, key_id, *amount in [*billed, *read("SELECT request_id, key_id, nanos, tokens FROM corrections")]:
        names = {key_id, *booked_on.get(request_id, ())}
        for name in names:
            _add(posted[name], amount)
        if request_id not in known:
            loose |= names
    kept = {name: sums for name, *sums in read("SELECT name, posted_nanos, posted_tokens FROM accounts")}
    for name in (posted.keys() | kept.keys()) - loose:
        assert kept.get(name, [0, 0]) == posted[name], name


def check_leases(read: Read) -> None:
    """What is held is what is leased; and all that runs is covered by its instance's lease."""
    held: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    leased: dict[tuple[str, str], list[int]] = {}
    for instance, name, *amount in read("SELECT instance, account, nanos, tokens FROM leases"):
        _add(held[name], amount)
        leased[instance, name] = amount
    for name, *amount in read("SELECT name, held_nanos, held_tokens FROM accounts"):
        assert held[name] == amount, name
    running: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for instance, names, *amount in read(
        "SELECT instance, accounts, nanos, tokens FROM reservations"
        " WHERE request_id NOT IN (SELECT request_id FROM requests)"
    ):
        for name in json.loads(names):
            _add(running[instance, name], amount)
    for whose, needs in running.items():
        assert all(need <= has for need, has in zip(needs, leased.get(whose, [0, 0]), strict=True)), whose


def check_spend(read: Read) -> None:
    """The sums by the hour of entries and corrections."""
    whole: Counter[tuple[Any, ...]] = Counter()
    rows = read(
        "SELECT started_ns, route, team, key_id, model, role, cost_state, 1, nanos, input_tokens, output_tokens,"
        " cache_read_tokens, cache_write_tokens, reasoning_tokens FROM requests JOIN entries USING (request_id)"
    )
    corrections = read(
        "SELECT at_ns, route, team, key_id, model, 'correction', 'computed', 0, nanos, tokens, 0, 0, 0, 0"
        " FROM corrections"
    )
    for at_ns, route, team, key_id, model, role, state, *sums in [*rows, *corrections]:
        for place, number in enumerate(sums):
            whole[at_ns // HOUR, route, team, _payer(key_id), model, role, state, place] += number
    found = {(*row[:7], place): number for row in read("SELECT * FROM spend") for place, number in enumerate(row[7:])}
    assert found == whole


def check_traffic(read: Read) -> None:
    """The sums by the hour of requests."""
    nanos: Counter[str] = Counter()
    drafted = set()
    for request_id, cost, role, outcome in read("SELECT request_id, nanos, role, outcome FROM entries"):
        nanos[request_id] += cost
        if (role, outcome) == ("draft", "served"):
            drafted.add(request_id)
    whole: defaultdict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0] * 8)
    for request_id, started_ns, route, team, key_id, arm, status, baseline, state, total_ms in read(
        "SELECT request_id, started_ns, route, team, key_id, arm, status, baseline_nanos, baseline_state, total_ms"
        " FROM requests"
    ):
        ok, cost = status == 200, nanos[request_id]
        sums = [ok, not ok, ok and request_id in drafted, cost, baseline, baseline if state == "unknown" else 0]
        floats = [ok * (cost / 1e9) ** 2, ok * total_ms]
        _add(whole[started_ns // HOUR, route, team, _payer(key_id), arm], [*sums, *floats])
    found = {row[:5]: row[5:] for row in read("SELECT * FROM traffic")}
    assert found.keys() == whole.keys()
    for key, sums in whole.items():
        assert [*found[key][:6]] == sums[:6], key
        assert all(abs(there - here) <= 1e-9 * here for there, here in zip(found[key][6:], sums[6:], strict=True)), key


def _payer(key_id: str) -> str:
    return "aside" if key_id.startswith("aside:") else key_id


def _add(sums: list[Any], values: Sequence[float]) -> None:
    for at, value in enumerate(values):
        sums[at] += value
