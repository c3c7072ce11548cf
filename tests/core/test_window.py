"""Budgets renew at 00:00 UTC: every instant is in exactly one day, week and month, and the calendar is right."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.window import DAY_NS, SECOND_NS, account, iso, window
from tierwise.money import Budget, Period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH).days * DAY_NS
FIRST = (datetime(1, 2, 1, tzinfo=UTC) - EPOCH).days * DAY_NS

instants = st.one_of(st.integers(FIRST, LAST), st.integers(-1_000, 40_000).map(lambda day: day * DAY_NS))
periods = st.sampled_from(["day", "week", "month"])


def at(text: str) -> int:
    """Unix nanoseconds of a moment in UTC."""
    return (datetime.fromisoformat(text + "+00:00") - EPOCH) // timedelta(microseconds=1) * 1_000


@given(periods, instants)
def test_every_instant_is_in_exactly_one_window(period: Period, at_ns: int) -> None:
    """In its own, at the start or behind it, and before the end; the neighbours begin where it ends."""
    found = window(period, at_ns)
    assert found is not None
    assert found.start_ns <= at_ns < found.end_ns
    assert window(period, found.start_ns) == window(period, found.end_ns - 1) == found
    after, before = window(period, found.end_ns), window(period, found.start_ns - 1)
    assert after is not None
    assert before is not None
    assert (before.end_ns, after.start_ns) == (found.start_ns, found.end_ns)
    assert len({before.name, found.name, after.name}) == 3


@given(periods, instants)
def test_windows_are_the_calendar_s(period: Period, at_ns: int) -> None:
    """As `datetime` has it, which knows the Gregorian calendar from elsewhere."""
    day = EPOCH + timedelta(days=at_ns // DAY_NS)
    first = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }[period]
    length = {"day": 1, "week": 7}.get(period) or ((first + timedelta(days=31)).replace(day=1) - first).days
    found = window(period, at_ns)
    assert found is not None
    assert found.start_ns == (first - EPOCH).days * DAY_NS
    assert found.end_ns == found.start_ns + length * DAY_NS
    assert found.name == first.date().isoformat()[: 7 if period == "month" else 10]


@given(instants)
def test_an_instant_as_text(at_ns: int) -> None:
    """To the second, rounded down."""
    assert iso(at_ns) == (EPOCH + timedelta(seconds=at_ns // SECOND_NS)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("period", "moment", "name", "renews"),
    [
        ("day", "2026-12-31T23:59:59.999999", "2026-12-31", "2027-01-01T00:00:00Z"),
        ("day", "2028-02-28T12:00", "2028-02-28", "2028-02-29T00:00:00Z"),
        ("week", "2026-11-01T23:59", "2026-10-26", "2026-11-02T00:00:00Z"),  # a Sunday
        ("week", "2026-11-02T00:00", "2026-11-02", "2026-11-09T00:00:00Z"),  # a Monday
        ("week", "2027-01-01T08:00", "2026-12-28", "2027-01-04T00:00:00Z"),
        ("month", "2026-01-31T23:59:59", "2026-01", "2026-02-01T00:00:00Z"),
        ("month", "2026-02-28T23:59:59", "2026-02", "2026-03-01T00:00:00Z"),
        ("month", "2028-02-29T00:00", "2028-02", "2028-03-01T00:00:00Z"),
        ("month", "2100-02-28T23:59", "2100-02", "2100-03-01T00:00:00Z"),  # no leap year
        ("month", "2026-12-31T23:59", "2026-12", "2027-01-01T00:00:00Z"),
        ("month", "1969-12-31T23:59", "1969-12", "1970-01-01T00:00:00Z"),
    ],
)
def test_ends_that_are_easy_to_get_wrong(period: Period, moment: str, name: str, renews: str) -> None:
    """Of months and years, leap days, Sundays, and what lies before 1970."""
    found = window(period, at(moment))
    assert found is not None
    assert (found.name, iso(found.end_ns)) == (name, renews)


def test_accounts_are_named_by_when_their_window_begins() -> None:
    """So an instant that comes again after a jump of the clock comes to the same account."""
    moment = at("2026-11-30T10:00")
    assert account(Budget("key", "key_1", "month"), moment) == "key_1:month:2026-11"
    assert account(Budget("key", "key_1", "week"), moment) == "key_1:week:2026-11-30"
    assert account(Budget("team", "blue", "day"), moment) == "team=blue:day:2026-11-30"


def test_a_budget_for_good_is_on_the_key_s_own_account() -> None:
    """It has no window, so nothing renews it."""
    assert window("total", at("2026-11-30T10:00")) is None
    assert account(Budget("key", "key_1"), at("2026-11-30T10:00")) == "key_1"
    assert account(Budget("aside", "aside:support:2026-11-30"), 0) == "aside:support:2026-11-30"
    assert account(Budget("all", ""), 0) == "all="


@given(st.lists(st.tuples(st.sampled_from(["key_a", "key_b"]), periods, instants), max_size=8))
def test_no_two_windows_share_an_account(asked: list[tuple[str, Period, int]]) -> None:
    """Of whatever keys and periods; and one window has one account, whenever it is asked for."""
    names: dict[str, tuple[str, object]] = {}
    for key_id, period, at_ns in asked:
        name = account(Budget("key", key_id, period), at_ns)
        assert names.setdefault(name, (key_id, window(period, at_ns))) == (key_id, window(period, at_ns))
