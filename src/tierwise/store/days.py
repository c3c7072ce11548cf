"""A route's money and requests by day, from the sums by the hour.

Knows the table of these; not what the sums are compared with.
"""

from __future__ import annotations

from tierwise.proof import Day
from tierwise.store.database import Database

_DAYS = """
    SELECT hour / 24,
        CAST(sum(CASE WHEN key_id = 'aside' THEN 0 ELSE requests END) AS BIGINT),
        CAST(sum(CASE WHEN key_id = 'aside' THEN 0 ELSE drafts END) AS BIGINT),
        CAST(sum(CASE WHEN key_id = 'aside' THEN 0 ELSE nanos END) AS BIGINT),
        CAST(sum(CASE WHEN key_id = 'aside' THEN nanos ELSE 0 END) AS BIGINT),
        CAST(sum(CASE WHEN key_id = 'aside' THEN 0 ELSE baseline_nanos END) AS BIGINT)
    FROM traffic WHERE route = ? GROUP BY hour / 24 ORDER BY hour / 24"""


def days(db: Database, route: str) -> list[Day]:
    """Oldest first."""
    return [
        Day(day=day, requests=requests, drafts=drafts, nanos=nanos, aside_nanos=aside, baseline_nanos=baseline)
        for day, requests, drafts, nanos, aside, baseline in db.execute(_DAYS, (route,))
    ]
