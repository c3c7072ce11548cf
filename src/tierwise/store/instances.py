"""Who writes to the ledger, who still lives, and the settling of what a dead instance left open.

An instance is one opened store. It beats; one whose beat is old, or whose process is gone from this host, is dead.
Knows nothing of threads or futures, and decides nothing about money but this: an unknown end costs its bound.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from tierwise.money import Entry, Record, Reservation
from tierwise.store.database import Database
from tierwise.store.group import UNKNOWN
from tierwise.store.ledger import Ledger, open_since
from tierwise.types import Decision, Usage, Value

GROUP = 1_000  # reservations settled in one transaction

_BEAT = "UPDATE instances SET beat_ns = ?, mark = ? WHERE id = ?"
_NEW = (
    "INSERT INTO instances(id, host, pid, started_ns, beat_ns, mark) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_OLDEST = "SELECT id FROM reservations WHERE request_id = ?"
_NEXT = "SELECT coalesce(max(id), 0) + 1 FROM reservations"
_OTHERS = "SELECT id, host, pid, beat_ns FROM instances WHERE id <> ? ORDER BY id"
_MARK = "SELECT mark FROM instances WHERE id = ?"
_GONE = "DELETE FROM instances WHERE id = ?"


class Instance(Value, frozen=True):
    id: str
    host: str
    pid: int


def recovered(reservation: Reservation) -> Record:
    """How a request ends whose process died: status 0, unknown, and the whole reservation counts as spent.

    Money and tokens are never understated so; and the baseline is set to the same, so that nothing looks saved.
    """
    usage = Usage(input_tokens=reservation.tokens)
    entry = Entry(UNKNOWN, UNKNOWN, "direct", usage, reservation.nanos, "estimated", "recovered", "recovered", None, 0)
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
        team=reservation.team,
    )


def beat(db: Database, ledger: Ledger, me: Instance, now_ns: int) -> bool:
    """Say that `me` lives, and from which row on its reservations may be open.

    False where nobody knew of it: at its first beat, or because somebody took it for dead and settled it; then
    nothing is leased to it any more.
    """
    with db.transaction():
        oldest = db.execute(_OLDEST, (next(iter(ledger.open), ""),))
        ((mark,),) = oldest or db.execute(_NEXT)
        if db.change(_BEAT, (now_ns, mark, me.id)):
            return True
        db.change(_NEW, (me.id, me.host, me.pid, now_ns, now_ns, mark))
        return False


def sweep(db: Database, me: Instance, alive_ns: int, busy: Collection[str] = ()) -> int:
    """Settle what dead instances left open; how many requests that were.

    `alive_ns`: the oldest beat of the living. `busy`: instances of ended processes that are left to the next sweep,
    because what they did last is still on its way here; but not for ever.
    """
    return sum(
        settle(db, Ledger(db, other))
        for other, host, pid, beat_ns in db.execute(_OTHERS, (me.id,))
        if beat_ns < alive_ns or (host == me.host and other not in busy and not _runs(pid))
    )


def settle(db: Database, ledger: Ledger) -> int:
    """End the ledger's instance: what it left open is settled, what it leased is free. How many requests that were.

    In the order in which nothing is ever free that may have been spent. Raises StoreError; then the next sweep does it.
    """
    marks = db.execute(_MARK, (ledger.instance,))
    lost = {item.request_id: item for (mark,) in marks for item in open_since(db, mark, ledger.instance)}
    left = [recovered(item) for item in {**lost, **ledger.open}.values()]
    count = len(left)
    refused = False
    while left:
        outcomes = ledger.write(left[:GROUP], "recovery")
        refused = refused or any(outcomes)
        left = left[len(outcomes) :]
    if not refused:  # else it stays listed, for the next sweep
        ledger.expire()
        db.change(_GONE, (ledger.instance,))
    return count


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, but alive
        return True
    return True
