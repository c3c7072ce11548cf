"""The audit trail: what happened to a route's guarantee, each line chained to the one before.

A line's digest is SHA-256 over the digest of the line before and its own fields. Whoever changes, takes out, adds or
moves a line breaks the chain there, unless every later digest is made anew; so a digest that was noted elsewhere (in a
log, in a report somebody was handed) speaks for all lines up to it. Lines cut off at the end are seen by that alone.
Knows the table; not what an event means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from tierwise.proof import Event
from tierwise.store.database import Database

_json = msgspec.json.Encoder()

_LOCKED = "SELECT value FROM meta WHERE name = 'trail'"
_LAST = "SELECT id, digest FROM trail ORDER BY id DESC LIMIT 1"
_NOTE = (
    "INSERT INTO trail(id, at_ns, route, what, body, key, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT(key) WHERE key <> '' DO NOTHING"
)
_LINES = (
    "SELECT at_ns, route, what, body, key, id, digest FROM trail"
    " WHERE id > ? AND (route = ? OR ? = '') ORDER BY id LIMIT ?"
)


def digest(event: Event, before: str) -> str:
    """In hexadecimal; `before` is the digest of the line before, "" for the first.

    Over a JSON array without blanks, in UTF-8: [before, id, at_ns, route, what, body, key].
    """
    fields = (before, event.id, event.at_ns, event.route, event.what, event.body, event.key)
    return hashlib.sha256(_json.encode(fields)).hexdigest()


def broken(events: Sequence[Event]) -> int | None:
    """The first id whose digest does not follow from its fields and the line before; None: the trail is sound.

    Of the whole trail, in its order: the lines of one route alone do not follow from each other.
    """
    before = ""
    for event in events:
        if event.digest != digest(event, before):
            return event.id
        before = event.digest
    return None


def note(db: Database, event: Event) -> bool:
    """Append, in a transaction of its own. False where there is a line with the event's key already."""
    with db.transaction():
        db.execute(_LOCKED + db.lock)  # so that nobody comes in between the last line and this one
        last, before = next(iter(db.execute(_LAST)), (0, ""))
        line = msgspec.structs.replace(event, id=last + 1)
        fields = (line.id, line.at_ns, line.route, line.what, line.body, line.key, digest(line, before))
        return db.change(_NOTE, fields) == 1


def lines(db: Database, route: str, after: int, most: int) -> list[Event]:
    """In their order, of ids above `after`; of all routes where `route` is ""."""
    rows = db.execute(_LINES, (after, route, route, most))
    names = ("at_ns", "route", "what", "body", "key", "id", "digest")
    return [Event(**dict(zip(names, values, strict=True))) for values in rows]
