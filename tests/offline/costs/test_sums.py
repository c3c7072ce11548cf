"""The sums: however they are cut, they add up to the same; and who asked for what is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.spendings import TODAY, spend, traffic
from tierwise import money
from tierwise.money import Key, Spend, Traffic
from tierwise.offline.costs import sums
from tierwise.offline.costs.sums import BY, By, Sums
from tierwise.types import CostState, Duty

HOURS = st.integers(TODAY * 24 - 60, TODAY * 24)
NAMES = {
    "route": st.sampled_from(["a", "b"]),
    "team": st.sampled_from(["", "x"]),
    "key_id": st.sampled_from(["k", "aside"]),
}
COUNTS = st.integers(0, 10**13)
ROLES = st.sampled_from([*get_args(Duty), "correction"])
PAID = st.builds(
    Spend, hour=HOURS, model=st.sampled_from(["m", "n", ""]), role=ROLES, state=st.sampled_from(get_args(CostState)),
    nanos=st.integers(-(10**15), 10**15), entries=COUNTS, input_tokens=COUNTS, output_tokens=COUNTS,
    cache_read_tokens=COUNTS, cache_write_tokens=COUNTS, reasoning_tokens=COUNTS, **NAMES,
)  # fmt: skip
SERVED = st.builds(
    Traffic, hour=HOURS, arm=st.sampled_from(["", "holdout", "treated"]), requests=COUNTS, failed=COUNTS, drafts=COUNTS,
    nanos=COUNTS, baseline_nanos=COUNTS, unknown_nanos=COUNTS, **NAMES,
)  # fmt: skip


def whole(spend: Sequence[Spend], traffic: Sequence[Traffic]) -> Sums:
    found = Sums()
    for paid in spend:
        found.pay(paid)
    for served in traffic:
        found.serve(served)
    return found


@given(st.lists(PAID, max_size=30), st.lists(SERVED, max_size=30))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_and_nothing_counted_twice(spend: list[Spend], traffic: list[Traffic]) -> None:
    """By day, route, team, key, model or part: the same exact integers as straight from the hours."""
    straight = whole(spend, traffic)
    by_day, served = sums.folded(spend), sums.folded_traffic(traffic)
    assert whole(by_day, served) == straight
    assert straight.spent_nanos == sum(item.nanos for item in spend)
    assert sum(part.nanos for part in sums.parts(by_day)) == straight.spent_nanos
    assert sum(part.entries for part in sums.parts(by_day)) == straight.entries
    for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "input_tokens"):
        assert sum(getattr(item, name) for item in by_day) == sum(getattr(item, name) for item in spend)
    for by in BY:
        rows = [row.sums for row in sums.table(by, by_day, served, {})]
        for field in Sums.__struct_fields__:
            known = field not in ("requests", "failed", "drafts", "baseline_nanos", "unknown_baseline_nanos")
            expected = getattr(straight, field) if known or by != "model" else 0
            assert sum(getattr(row, field) for row in rows) == expected
    days = sums.days(by_day, served)
    assert sum(day.nanos + day.aside_nanos for day in days) == straight.spent_nanos
    assert sum(day.baseline_nanos for day in days) == straight.baseline_nanos


def test_a_day_is_one_row() -> None:
    """Of the hours of a day in UTC that agree in all else; of the next day another."""
    found = sums.folded(
        [spend(TODAY * 24), spend(TODAY * 24 + 23), spend(TODAY * 24 + 24), spend(TODAY * 24, state="unknown")]
    )
    assert [(item.hour, item.state, item.nanos) for item in found] == [
        (TODAY * 24, "computed", 2_000), (TODAY * 24, "unknown", 1_000), (TODAY * 24 + 24, "computed", 1_000)
    ]  # fmt: skip


def test_no_client_was_answered_by_an_audit() -> None:
    """Its money counts against the savings; its request and its baseline count nowhere."""
    found = whole([spend(1, 5, key_id="aside")], [traffic(1, key_id="aside", failed=1, drafts=1, unknown_nanos=1)])
    assert (found.requests, found.failed, found.drafts, found.baseline_nanos, found.unknown_baseline_nanos) == (0,) * 5
    assert (found.aside_nanos, found.net_nanos, found.share) == (5, -5, None)


def test_the_proof_is_no_team() -> None:
    """It is told apart from keys without a team."""
    rows = sums.table("team", [spend(1, 3, team="", key_id="aside"), spend(1, 2, team="")], [], {})
    assert [(row.id, row.sums.spent_nanos) for row in rows] == [(money.ASIDE, 3), ("", 2)]


def test_parts_are_of_what_they_were_paid_for() -> None:
    """A judge of an audit belongs to the proof; corrections stand alone, whosever they are."""
    found = sums.parts(
        [
            spend(1, 7, role="judge", key_id="aside"), spend(1, 5, role="judge"), spend(1, 2),
            spend(1, -9, role="correction", key_id="aside"),
        ]
    )  # fmt: skip
    assert [(part.what, part.nanos) for part in found] == [("aside", 7), ("judge", 5), ("draft", 2), ("correction", -9)]


@pytest.mark.parametrize(("by", "expected"), [("route", ["dear", "cheap"]), ("day", ["2026-11-27", "2026-11-28"])])
def test_the_order_of_rows(by: By, expected: list[str]) -> None:
    """Days as they come, all else by what it cost."""
    spent = [spend(TODAY * 24, 9, route="dear"), spend(TODAY * 24 - 1, 1, route="cheap")]
    assert [row.id for row in sums.table(by, spent, [], {})] == expected


def test_keys_have_names() -> None:
    """Two of one name are told apart; one that is not known goes by its id."""
    keys = [Key(id_, name, b"", "tw_", 0) for id_, name in (("key_1", "A"), ("key_2", "B"), ("key_3", "B"))]
    rows = sums.table("key", [spend(1, n, key_id=f"key_{n}") for n in (4, 3, 2, 1)], [], sums.names(keys))
    assert [row.name for row in rows] == ["key_4", "B (key_3)", "B (key_2)", "A"]
