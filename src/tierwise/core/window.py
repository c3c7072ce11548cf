"""When a budget renews: the day, the week or the month (UTC) of an instant, and the accounts that its money is kept on.

Pure arithmetic on Unix nanoseconds. Knows no clock and no money. A window's account is named by its key and by when it
begins, never by when it was opened: a clock that jumps back comes to the same account, with what was spent on it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tierwise.money import Budget, Period

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS

_MARCH = 719_468  # days from 1 March of the year 0, after which a leap day is a year's last, to 1970-01-01
_CENTURIES = 146_097  # days in 400 years


class Window(NamedTuple):
    """From `start_ns` up to, and without, `end_ns`, at which the next one begins."""

    period: Period
    start_ns: int
    end_ns: int

    @property
    def name(self) -> str:
        """Its first day, "2026-11-02"; of a month only "2026-11"."""
        return _text(self.start_ns)[: 7 if self.period == "month" else 10]


def window(period: Period, at_ns: int) -> Window | None:
    """The one that the instant lies in; None for "total", which never renews."""
    return None if period == "total" else _window(period, at_ns // DAY_NS)


def account(budget: Budget, at_ns: int) -> str:
    """What is held against a budget is held on this account: its owner's, or that of the window at that time.

    A key's own account, which never renews, bears its id. Whatever the key's requests cost is posted there too.
    """
    owner = budget.name if budget.scope in ("key", "aside") else f"{budget.scope}={budget.name}"
    if budget.period == "total":
        return owner
    return f"{owner}:{budget.period}:{_window(budget.period, at_ns // DAY_NS).name}"


def iso(at_ns: int) -> str:
    """To the second: "2026-12-01T00:00:00Z"."""
    second = at_ns % DAY_NS // SECOND_NS
    return f"{_text(at_ns)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


@lru_cache(maxsize=64)
def _window(period: Period, day: int) -> Window:
    """Of a day since 1970-01-01, a Thursday."""
    if period == "month":
        year, month, _ = _date(day)
        first, after = _first(year, month), _first(year, month + 1)
    else:
        length = 7 if period == "week" else 1
        first = day - (day + 3) % length
        after = first + length
    return Window(period, first * DAY_NS, after * DAY_NS)


def _text(at_ns: int) -> str:
    year, month, day = _date(at_ns // DAY_NS)
    return f"{year:04d}-{month:02d}-{day:02d}"


def _date(day: int) -> tuple[int, int, int]:
    """(year, month, day of the month) of a day since 1970-01-01, by the Gregorian calendar."""
    era, of_era = divmod(day + _MARCH, _CENTURIES)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153  # March is 0
    return era * 400 + year + month // 10, (month + 2) % 12 + 1, of_year - (153 * month + 2) // 5 + 1


def _first(year: int, month: int) -> int:
    """The first day of a month, since 1970-01-01; month 13 is the next year's first."""
    year, month = divmod(12 * year + month - 3, 12)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 - _MARCH
