"""What the whole gateway has spent and saved in a period: the figures of `tierwise report` without a route.

All is made from sums by the hour, so it takes as long for ten requests an hour as for ten million. What was saved is
what always-premium would have cost, less everything that was spent: drafts, second opinions, judges, audits and
corrections too. Knows nothing of how figures are told (`spending_words.py`) or shown (`spending_page.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from tierwise.core.window import DAY_NS, window
from tierwise.money import Key, Spend, Traffic
from tierwise.offline.costs import sums
from tierwise.offline.costs.experiments import Experiment, Quality, experiments
from tierwise.offline.costs.sums import BY, DAY_HOURS, HOUR_NS, By, Part, Row, Sums
from tierwise.stats import savings
from tierwise.stats.forecast import MOST_DAYS, Forecast, forecast

T = TypeVar("T", Spend, Traffic)
YEAR_DAYS = 365
LEAST_DAYS = savings.LEAST_DAYS  # from which a year may be spoken of


class Read(NamedTuple):
    """All that a report is made from: sums of the hours from `history(since, ...)` on, in order.

    The period is [since, until). `quality`: of routes with an experiment. `running_nanos`: what a year of running the
    gateway costs; None: not given.
    """

    since: int
    until: int
    now_ns: int
    spend: Sequence[Spend]
    traffic: Sequence[Traffic]
    keys: Sequence[Key] = ()
    quality: Mapping[str, Quality] = {}
    running_nanos: int | None = None


class Ahead(msgspec.Struct, frozen=True):
    """The month that runs, to its end. `value` in [low, high] at 95 %; None: too few whole `days` to forecast.

    `spent`: day by day since the month's first, today included; days since 1970.
    """

    first: int
    last: int
    days: int
    spent: tuple[int, ...]
    value: int | None
    low: int | None
    high: int | None

    @property
    def so_far(self) -> int:
        return sum(self.spent)


class Return(msgspec.Struct, frozen=True):
    """Of a year at the pace of `days`; None where these are too few. Payback: days whose savings pay for the year."""

    running_nanos: int
    days: float
    saved_nanos: int | None
    net_nanos: int | None
    roi: float | None
    payback_days: float | None


class Spending(msgspec.Struct, frozen=True):
    """Hours since 1970, [since, until); `first`: the first in which anything happened, None: nothing did.

    `interval`: 95 %, of the share saved, for other days like these. `days`: day by day, in days since 1970.
    `folded`: all spend, summed up by day.
    """

    made_ns: int
    since: int
    until: int
    first: int | None
    whole: Sums
    parts: tuple[Part, ...]
    tables: Mapping[By, tuple[Row, ...]]
    interval: tuple[float, float] | None
    ahead: Ahead | None
    experiments: tuple[Experiment, ...]
    returns: Return | None
    folded: tuple[Spend, ...]


def history(since: int, until: int, now_ns: int) -> int:
    """The first hour to read: a forecast looks further back than the period, where that has not ended."""
    today = now_ns // DAY_NS
    return min(since, (today - MOST_DAYS) * DAY_HOURS) if until > today * DAY_HOURS else since


def spending(read: Read) -> Spending:
    paid, hourly = _inside(read.spend, read), _inside(read.traffic, read)
    before = sums.folded(read.spend[: bisect_left(read.spend, read.since, key=_hour)])
    spend, traffic = sums.folded(paid), sums.folded_traffic(hourly)
    whole = Sums()
    for item in spend:
        whole.pay(item)
    for served in traffic:
        whole.serve(served)
    first = min((some[0].hour for some in (paid, hourly) if some), default=None)
    names = sums.names(read.keys)
    return Spending(
        made_ns=read.now_ns,
        since=read.since,
        until=read.until,
        first=first,
        whole=whole,
        parts=sums.parts(spend),
        tables={by: sums.table(by, spend, traffic, names) for by in BY},
        interval=savings.interval(sums.days(spend, traffic), np.random.default_rng(0)),
        ahead=_ahead(read, (*before, *spend)),
        experiments=experiments(spend, hourly, read.quality),
        returns=_return(read, whole, first),
        folded=tuple(spend),
    )


def _inside(items: Sequence[T], read: Read) -> Sequence[T]:
    """Those of the period; a store gives them in order."""
    return items[bisect_left(items, read.since, key=_hour) : bisect_left(items, read.until, key=_hour)]


def _hour(item: Spend | Traffic) -> int:
    return item.hour


def jsonable(found: Spending, tables: Iterable[By] = BY) -> dict[str, Any]:
    """The fields of `--json`, with what is made from the sums beside them."""
    told: dict[str, Any] = msgspec.to_builtins(found)
    del told["folded"]
    told["whole"] |= _made(found.whole)
    told["tables"] = {
        by: [
            {"id": row.id, "name": row.name} | msgspec.to_builtins(row.sums) | _made(row.sums, by)
            for row in found.tables[by]
        ]
        for by in tables
    }
    return told


def _made(whole: Sums, by: By | None = None) -> dict[str, Any]:
    """No model has a baseline of its own."""
    if by == "model":
        nothing = ("requests", "failed", "drafts", "baseline_nanos", "unknown_baseline_nanos", "net_nanos", "share")
        return {"spent_nanos": whole.spent_nanos} | dict.fromkeys(nothing)
    return {"spent_nanos": whole.spent_nanos, "net_nanos": whole.net_nanos, "share": whole.share}


# ------------------------------------------------------------------ what is to come


def _ahead(read: Read, spend: Iterable[Spend]) -> Ahead | None:
    """None for a period that ended before today. The first day of all is left out: the gateway may have begun late."""
    today, month = read.now_ns // DAY_NS, window("month", read.now_ns)
    if read.until <= today * DAY_HOURS or month is None:
        return None
    spent = Counter[int]()
    for item in spend:
        spent[item.hour // DAY_HOURS] += item.nanos
    begun = max(min(spent, default=today) + 1, today - MOST_DAYS)
    first, end = month.start_ns // DAY_NS, month.end_ns // DAY_NS
    known, past = sum(spent[day] for day in range(first, today)), [float(spent[day]) for day in range(begun, today)]
    found = forecast(past, end - today)
    value, low, high = _at_end(found, known, spent[today])
    so_far = tuple(spent[day] for day in range(first, today + 1))
    return Ahead(first, end - 1, len(past), so_far, value, low, high)


def _at_end(found: Forecast | None, known: int, today: int) -> tuple[int | None, int | None, int | None]:
    """Of the month: what is spent already can't become less."""
    if found is None:
        return None, None, None
    value, low, high = (known + max(round(sum_), today) for sum_ in (found.value, found.low, found.high))
    return value, low, high


def _return(read: Read, whole: Sums, first: int | None) -> Return | None:
    running = read.running_nanos
    if running is None:
        return None
    days = 0.0 if first is None else (min(read.until, read.now_ns / HOUR_NS) - first) / DAY_HOURS
    if days < LEAST_DAYS:
        return Return(running, days, None, None, None, None)
    saved = round(whole.net_nanos * YEAR_DAYS / days)
    return Return(
        running_nanos=running,
        days=days,
        saved_nanos=saved,
        net_nanos=saved - running,
        roi=(saved - running) / running if running else None,
        payback_days=running / saved * YEAR_DAYS if saved > 0 else None,
    )
