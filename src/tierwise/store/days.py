"""A route's money and requests by day, summed up from the ledger.

Knows the tables of requests and entries; not what the sums are compared with.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from tierwise.money import ASIDE
from tierwise.proof import Day

Sums = tuple[int, int, int, int, int, int]
"""In the order of `Day`'s fields."""

# As many requests as one look takes. They come by their id, whatever that is: `requests` has no index by route.
_UP_TO = (
    "SELECT max(request_id) FROM (SELECT request_id FROM requests WHERE request_id > ? ORDER BY request_id LIMIT ?)"
)
_SUMS = """
    SELECT day,
        count(*) FILTER (WHERE status = 200 AND NOT aside),
        count(*) FILTER (WHERE status = 200 AND NOT aside AND drafted),
        coalesce(sum(nanos) FILTER (WHERE NOT aside), 0),
        coalesce(sum(nanos) FILTER (WHERE aside), 0),
        coalesce(sum(baseline_nanos) FILTER (WHERE NOT aside), 0)
    FROM (
        SELECT started_ns / 86400000000000 AS day, status, baseline_nanos,
            substr(key_id, 1, length(:aside)) = :aside AS aside,
            coalesce(sum(nanos), 0) AS nanos,
            coalesce(max(role = 'draft' AND outcome = 'served'), 0) AS drafted
        FROM requests LEFT JOIN entries USING (request_id)
        WHERE request_id > :after AND request_id <= :upto AND route = :route
        GROUP BY request_id)
    GROUP BY day"""


def look(conn: sqlite3.Connection, route: str, after: str, most: int) -> tuple[str | None, list[Sums]]:
    """Of at most so many requests (of any route) with ids above `after`: the last id, None at the end; and sums."""
    (upto,) = conn.execute(_UP_TO, (after, most)).fetchone()
    if upto is None:
        return None, []
    named = {"aside": ASIDE, "after": after, "upto": upto, "route": route}
    return upto, conn.execute(_SUMS, named).fetchall()


def days(sums: Iterable[Sums]) -> list[Day]:
    """Added up, oldest first."""
    whole: dict[int, Sums] = {}
    for day, *rest in sums:
        _, *before = whole.get(day, (day, 0, 0, 0, 0, 0))
        requests, drafts, nanos, aside, baseline = map(sum, zip(before, rest, strict=True))
        whole[day] = (day, requests, drafts, nanos, aside, baseline)
    return [_day(whole[day]) for day in sorted(whole)]


def _day(sums: Sums) -> Day:
    day, requests, drafts, nanos, aside, baseline = sums
    return Day(day=day, requests=requests, drafts=drafts, nanos=nanos, aside_nanos=aside, baseline_nanos=baseline)
