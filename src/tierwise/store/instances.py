"""Who writes to the ledger, who still lives, and the settling of what a dead instance left open.

An instance is one opened store. It beats; one whose beat is old, or whose process is gone from this host, is dead.
Knows nothing of threads or futures, and decides nothing about money but this: an unknown end costs its bound.
"""

from __future__ import annotations

import os
import sqlite3

from tierwise.money import Entry, Record, Reservation
from tierwise.store.ledger import Ledger
from tierwise.types import Decision, Usage, Value

GROUP = 1_000  # reservations settled in one transaction

_BEAT = """
    INSERT INTO instances VALUES (:id, :host, :pid, :now, :now, coalesce(
        (SELECT id FROM reservations WHERE request_id = :oldest), (SELECT max(id) + 1 FROM reservations), 0))
    ON CONFLICT(id) DO UPDATE SET beat_ns = excluded.beat_ns, mark = excluded.mark"""


class Instance(Value, frozen=True):
    id: str
    host: str
    pid: int


def recovered(reservation: Reservation) -> Record:
    """How a request ends whose process died: status 0, unknown, and the whole reservation counts as spent.

    Money is never understated so; and the baseline is set to the same, so that nothing looks saved.
    """
    entry = Entry(
        "unknown", "unknown", "direct", Usage(), reservation.nanos, "estimated", "recovered", "recovered", None, 0
    )
    return Record(
        reservation.request_id,
        reservation.key_id,
        reservation.route,
        reservation.started_ns,
        total_ms=0,
        status=0,
        decision=Decision("refuse", "recovered"),
        entries=(entry,),
        baseline_nanos=reservation.nanos,
        baseline_state="unknown",
    )


def beat(conn: sqlite3.Connection, ledger: Ledger, me: Instance, now_ns: int) -> None:
    """Say that `me` lives, and from which row on its reservations may be open."""
    oldest = next(iter(ledger.open), None)
    with conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute(_BEAT, {"id": me.id, "host": me.host, "pid": me.pid, "now": now_ns, "oldest": oldest})


def sweep(conn: sqlite3.Connection, ledger: Ledger, me: Instance, alive_ns: int) -> int:
    """Settle what dead instances left open; how many requests that were. `alive_ns`: the oldest beat of the living."""
    others = conn.execute("SELECT id, host, pid, beat_ns, mark FROM instances WHERE id <> ?", (me.id,)).fetchall()
    return sum(
        _settle(conn, ledger, other, mark)
        for other, host, pid, beat_ns, mark in others
        if beat_ns < alive_ns or (host == me.host and not _runs(pid))
    )


def leave(conn: sqlite3.Connection, ledger: Ledger, me: Instance) -> None:
    """An orderly end: nothing of `me` stays open, and nobody has to find out."""
    mark = conn.execute("SELECT mark FROM instances WHERE id = ?", (me.id,)).fetchone()
    if mark is not None:
        _settle(conn, ledger, me.id, mark[0])


def _settle(conn: sqlite3.Connection, ledger: Ledger, instance: str, mark: int) -> int:
    lost = ledger.open_since(mark, instance)
    outcomes = []
    for start in range(0, len(lost), GROUP):
        outcomes += ledger.write([recovered(each) for each in lost[start : start + GROUP]], "recovery")
    if not any(outcomes):  # else it stays listed, for the next sweep
        conn.execute("DELETE FROM instances WHERE id = ?", (instance,))
    return len(lost)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, but alive
        return True
    return True
