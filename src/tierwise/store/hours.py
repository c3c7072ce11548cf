"""Sums by the hour (UTC) of what was spent and of who asked: kept in the transaction that writes the rows they sum up.

Knows two tables and how rows are summed up; not what anybody reads out of the sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tierwise.core.window import SECOND_NS
from tierwise.money import ASIDE, Amount, Correction, Record, Spend, Traffic
from tierwise.store.database import Database
from tierwise.store.rows import added

HOUR_NS = 3_600 * SECOND_NS
NANOS = 1e9  # of a dollar, as a float: for the squares

_SPEND, _SPEND_KEY = Spend.__struct_fields__, 7
_TRAFFIC, _TRAFFIC_KEY = Traffic.__struct_fields__, 5


_Key = tuple[Any, ...]
_Sums = tuple[Any, ...]


def _into(table: str, fields: Sequence[str]) -> str:
    return f"INSERT INTO {table}({', '.join(fields)}) VALUES "  # noqa: S608 - names of our own


def _added(table: str, fields: Sequence[str], key: int) -> str:
    sums = ", ".join(f"{field} = {table}.{field} + excluded.{field}" for field in fields[key:])
    return f" ON CONFLICT({', '.join(fields[:key])}) DO UPDATE SET {sums}"


def _from(table: str, fields: Sequence[str]) -> str:
    return f"SELECT {', '.join(fields)} FROM {table} WHERE hour >= ? AND hour < ?"  # noqa: S608 - names of our own


_SPENT, _SPENT_TAIL, _SPENT_OF = _into("spend", _SPEND), _added("spend", _SPEND, _SPEND_KEY), _from("spend", _SPEND)
_CAME, _CAME_TAIL = _into("traffic", _TRAFFIC), _added("traffic", _TRAFFIC, _TRAFFIC_KEY)
_CAME_OF = _from("traffic", _TRAFFIC)


class Hours:
    """Adds up what one transaction will write, so that each sum is touched once. Dropped with it where it fails."""

    def __init__(self) -> None:
        self._spend: defaultdict[_Key, list[_Sums]] = defaultdict(list)
        self._traffic: defaultdict[_Key, list[_Sums]] = defaultdict(list)

    def end(self, record: Record) -> Amount:
        """A request's end and its entries, in the hour in which it began; what they come to."""
        hour, route, team, payer = record.started_ns // HOUR_NS, record.route, record.team, _payer(record.key_id)
        answered = record.status == 200
        nanos = tokens = drafted = 0
        for entry in record.entries:
            usage, spent, role = entry.usage, entry.nanos, entry.role
            came, went = usage.input_tokens, usage.output_tokens
            nanos += spent
            tokens += came + went
            if answered and role == "draft" and entry.outcome == "served":
                drafted = 1
            cached = (usage.cache_read_tokens, usage.cache_write_tokens)
            self._spend[hour, route, team, payer, entry.model, role, entry.cost_state].append(
                (1, spent, came, went, *cached, usage.reasoning_tokens)
            )
        baseline = record.baseline_nanos
        unknown = baseline if record.baseline_state == "unknown" else 0
        squares, total_ms = ((nanos / NANOS) ** 2, float(record.total_ms)) if answered else (0.0, 0.0)
        values = (int(answered), int(not answered), drafted, nanos, baseline, unknown, squares, total_ms)
        self._traffic[hour, route, team, payer, record.arm].append(values)
        return Amount(nanos, tokens)

    def correct(self, item: Correction) -> None:
        """In the hour in which it was made. It is money, not traffic: nothing looks saved by it."""
        key = (item.at_ns // HOUR_NS, item.route, item.team, _payer(item.key_id), item.model, "correction", "computed")
        self._spend[key].append((0, item.nanos, item.tokens, 0, 0, 0, 0))

    def write(self, db: Database) -> None:
        """In the order of their keys: no two transactions wait for each other."""
        added(db, _SPENT, _summed(self._spend), _SPENT_TAIL)
        added(db, _CAME, _summed(self._traffic), _CAME_TAIL)


def spend(db: Database, since: int, until: int) -> list[Spend]:
    """Of the hours in [since, until), in the order of their keys."""
    rows = db.execute(_SPENT_OF, (since, until))
    return [Spend(*row) for row in sorted(rows, key=lambda row: row[:_SPEND_KEY])]


def traffic(db: Database, since: int, until: int) -> list[Traffic]:
    rows = db.execute(_CAME_OF, (since, until))
    return [Traffic(*row) for row in sorted(rows, key=lambda row: row[:_TRAFFIC_KEY])]


def _payer(key_id: str) -> str:
    return "aside" if key_id.startswith(ASIDE) else key_id


def _summed(rows: Mapping[_Key, list[_Sums]]) -> list[tuple[Any, ...]]:
    """A row for each key: the key, then the sums of its rows, column by column."""
    return [(*key, *map(sum, zip(*rows[key], strict=True))) for key in sorted(rows)]
