"""An invoice against the ledger: what matches, what is missing where, and what is booked of it."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.money import Correction, Spend
from tierwise.offline.bills import reconcile_words as words
from tierwise.offline.bills.billed import Billed, Invoice
from tierwise.offline.bills.reconcile import Found, Names, Ours, corrections, hours, reconcile

DAY = 20_000
NAMES = Names({"flash": "deepseek-flash", "big": "gpt-4o", "big-0806": "gpt-4o-2024-08-06"}, frozenset({"claude"}))
HALF_PERCENT = Fraction(1, 200)


def spend(model: str, nanos: int, tokens: int = 0, output: int = 0, day: int = DAY, **more: object) -> Spend:
    row = Spend(day * 24 + 5, "r", "", "k", model, "draft", "computed", 1, nanos, tokens, output)
    return msgspec.structs.replace(row, **more)


def invoice(*lines: Billed, offset: int = 0) -> Invoice:
    days = [line.day for line in lines] or [DAY]
    return Invoice("openai", "a file", min(days), max(days), lines, offset)


def compare(found: Invoice, *ledger: Spend, within: Fraction = HALF_PERCENT) -> Found:
    return reconcile(found, ledger, NAMES, (found.first, found.last), within)


def states(found: Found) -> list[tuple[int, str, str]]:
    return [(row.day - DAY, row.model, row.state) for row in found.rows]


def test_what_matches() -> None:
    """An alias and its snapshots are one model; roles, keys and hours of a day are summed; other providers are not."""
    found = compare(
        invoice(Billed(DAY, "gpt-4o-2024-08-06", 300, 30, 3000)),
        spend("big", 1000, 100, 10),
        spend("big-0806", 2000, 200, 20, role="audit", key_id="aside", hour=DAY * 24),
        spend("claude", 999, 999, 999),
    )
    assert states(found) == [(0, "gpt-4o", "matched")]
    assert found.matched
    assert found.rows[0].ours == Ours("big-0806", 300, 30, 3000)
    assert found.unmapped == {}


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (Billed(DAY, "gpt-4o", 1005, 100, 10_000), "matched"),
        (Billed(DAY, "gpt-4o", 1006, 100, 10_000), "off"),
        (Billed(DAY, "gpt-4o", 995, 100, 10_000), "matched"),
        (Billed(DAY, "gpt-4o", 994, 100, 10_000), "off"),
        (Billed(DAY, "gpt-4o", 1000, 101, 10_000), "off"),
        (Billed(DAY, "gpt-4o", 1000, 100, 10_051), "off"),
        (Billed(DAY, "gpt-4o", 1000, 100, 12_000, 2000), "matched"),
        (Billed(DAY, "gpt-4o", 1000, 100, 12_001, 2000), "off"),
        (Billed(DAY, "gpt-4o", 1000, 100), "matched"),
        (Billed(DAY, "gpt-4o", nanos=10_000), "matched"),
    ],
)
def test_the_tolerance(line: Billed, state: str) -> None:
    """Of the larger figure, each for itself; a file's rounding excuses money; what is not told is not compared."""
    found = compare(invoice(line), spend("big", 10_000, 1000, 100))
    assert states(found) == [(0, "gpt-4o", state)]
    assert found.matched == (state == "matched")


def test_what_is_missing() -> None:
    """On either side; nothing on both is no difference."""
    found = compare(
        invoice(Billed(DAY, "gpt-4o", 1, 1), Billed(DAY, "gpt-5", 7, 0), Billed(DAY, "gpt-0", 0, 0)),
        spend("flash", 5, 3, 3),
        spend("big", 5, 1, 1),
        spend("big", 5, 1, 1, day=DAY + 1),
        spend("gone", 8, 3, 3),
        spend("", -3, role="correction"),
    )
    assert states(found) == [
        (0, "deepseek-flash", "not in the file"),
        (0, "gpt-4o", "matched"),
        (0, "gpt-5", "not in the ledger"),
    ]
    assert found.rows[0].theirs == Billed(DAY, "deepseek-flash", 0, 0, None)
    assert found.unmapped == {"gone": 8, "": -3}
    assert not found.matched


def test_only_the_days_that_were_asked_for() -> None:
    """Of the file, and of the ledger: a day that the file has no line of is missing in it."""
    made = invoice(Billed(DAY, "gpt-4o", 1, 1), Billed(DAY + 2, "gpt-4o", 9, 9))
    ledger = [spend("big", 1, 1, 1), spend("big", 1, 1, 1, day=DAY + 1)]
    found = reconcile(made, ledger, NAMES, (DAY, DAY + 1), HALF_PERCENT)
    assert states(found) == [(0, "gpt-4o", "matched"), (1, "gpt-4o", "not in the file")]
    found = reconcile(made, ledger, NAMES, (DAY + 1, DAY + 1), HALF_PERCENT)
    assert states(found) == [(1, "gpt-4o", "not in the file")]


def test_a_file_that_tells_no_models_apart() -> None:
    """The day's sum over all models of the provider."""
    found = compare(invoice(Billed(DAY, "", nanos=30)), spend("big", 10), spend("flash", 20), spend("claude", 99))
    assert states(found) == [(0, "", "matched")]
    assert found.rows[0].ours == Ours("flash", 0, 0, 30)


def test_days_on_the_clock_of_the_file() -> None:
    """Eight hours east the day begins at 16:00 UTC; half hours take in the whole one."""
    made = invoice(Billed(DAY, "gpt-4o", 1, 1), offset=8 * 3600)
    assert hours(made, DAY, DAY) == (DAY * 24 - 8, DAY * 24 + 16)
    assert hours(invoice(offset=19_800), DAY, DAY + 1) == (DAY * 24 - 6, DAY * 24 + 43)
    early, late = spend("big", 1, 1, 1, hour=DAY * 24 - 8), spend("big", 1, 1, 1, hour=DAY * 24 + 16)
    assert states(compare(made, early)) == [(0, "gpt-4o", "matched")]
    assert states(compare(made, late)) == [(0, "gpt-4o", "not in the ledger")]


def booked(made: Invoice, *ledger: Spend) -> list[Correction]:
    return list(corrections(compare(made, *ledger), made, NAMES, "invoice: x"))


def test_corrections() -> None:
    """The difference in dollars, one a day and model, on the one that most was spent on; never for what is not told."""
    made = invoice(
        Billed(DAY, "gpt-4o", nanos=150),
        Billed(DAY, "deepseek-flash", nanos=70),
        Billed(DAY, "web search tool calls", nanos=9),
        Billed(DAY, "gpt-5", 5, 5),
        Billed(DAY + 1, "gpt-4o", nanos=100, grain=3),
        Billed(DAY + 2, "gpt-4o", nanos=100, grain=3),
        offset=3600,
    )
    ledger = [
        spend("big", 90), spend("big-0806", 110), spend("big", 103, day=DAY + 1), spend("big", 104, day=DAY + 2),
        spend("flash", 5, day=DAY + 2),
    ]  # fmt: skip
    noon = (DAY * 86_400 + 11 * 3600) * 1_000_000_000
    flash, big, search, later = booked(made, *ledger)
    name = "invoice:openai:20000:deepseek-flash:70"
    assert flash == Correction(name, "aside:invoice", "", noon, 70, "invoice: x", "", "flash")
    assert (big.model, big.nanos) == ("big-0806", -50)
    assert (search.model, search.nanos) == ("web search tool calls", 9)
    assert (later.nanos, later.at_ns) == (-4, noon + 2 * 86_400 * 1_000_000_000)


def as_spend(correction: Correction) -> Spend:
    """As the store sums it up."""
    hour = correction.at_ns // 3_600_000_000_000
    return Spend(hour, "", "", "aside", correction.model, "correction", "computed", 0, correction.nanos)


LINES = st.lists(
    st.tuples(
        st.integers(DAY, DAY + 2),
        st.sampled_from(
            ["gpt-4o", "gpt-4o-2024-08-06", "deepseek-flash", "gpt-5", "web search tool calls", "", "openai"]
        ),
        st.none() | st.integers(-100, 10_000),
        st.integers(0, 5),
    ),
    max_size=8,
)
OWN = st.sampled_from([*NAMES.here, "gone", "claude"])
SPENT = st.lists(st.tuples(OWN, st.integers(0, 10_000), st.integers(DAY, DAY + 2)), max_size=8)


@given(LINES, SPENT, st.sampled_from([0, 28_800, -19_800]))
def test_booking_twice_changes_nothing(
    lines: list[tuple[int, str, int | None, int]], spent: list[tuple[str, int, int]], offset: int
) -> None:
    """After the corrections the ledger has the file's money, and there is nothing more to book."""
    made = invoice(*(Billed(day, model, 1, 1, nanos, grain) for day, model, nanos, grain in lines), offset=offset)
    ledger = [spend(model, nanos, 1, 1, day) for model, nanos, day in spent]
    first = booked(made, *ledger)
    ledger += [as_spend(correction) for correction in first]
    assert booked(made, *ledger) == []
    assert len({correction.request_id for correction in first}) == len(first)


def test_words() -> None:
    """A line for each figure that is told, how much more the file has, and in sum."""
    made = invoice(Billed(DAY, "gpt-4o", 1100, 100, 2_000_000_000), Billed(DAY, "gpt-5", 7, 0, 0))
    found = compare(made, spend("big", 1_000_000_000, 1000, 100), spend("flash", 0, 3), spend("gone", 50_000_000))
    assert list(words.rows(found.rows)) == [
        ("2024-10-04", "deepseek-flash", "input", "3", "0", "not in the file"),
        ("", "", "output", "0", "0", "not in the file"),
        ("", "", "cost", "$0.00", "$0.00", "not in the file"),
        ("2024-10-04", "gpt-4o", "input", "1,000", "1,100", "+100 (10 %)"),
        ("", "", "output", "100", "100", ""),
        ("", "", "cost", "$1.00", "$2.00", "+$1.00 (100 %)"),
        ("2024-10-04", "gpt-5", "input", "0", "7", "not in the ledger"),
        ("", "", "output", "0", "0", "not in the ledger"),
        ("", "", "cost", "$0.00", "$0.00", "not in the ledger"),
    ]
    assert words.verdict(found) == "0 of 3 days and models match, 1 off, 1 not in the file, 1 not in the ledger."
    assert list(words.total(found)) == [
        "input: 1,003 in the ledger, 1,107 in the file, +104 (10 %)",
        "output: 100 in the ledger, 100 in the file",
        "cost: $1.00 in the ledger, $2.00 in the file, +$1.00 (100 %)",
    ]
    assert words.headline(made, (DAY, DAY)) == "a file, 2024-10-04 to 2024-10-04 (UTC)"
    assert list(words.notes(found, made)) == ["left out of the ledger: $0.0500 of gone, which the config does not know"]


def test_words_of_a_file_without_models_on_another_clock() -> None:
    """All models; the clock; what was left out."""
    made = msgspec.structs.replace(invoice(Billed(DAY, "", nanos=5), offset=19_800), notes=("2 times x",))
    found = compare(made, spend("big", 10), spend("", 3, role="correction"))
    row = ("2024-10-04", "all models", "cost", "$0.0001", "$0.0001", "-$0.0001 (50 %)")
    assert list(words.rows(found.rows)) == [row]
    assert words.headline(made, (DAY, DAY)).endswith("(UTC+5.5 h)")
    assert list(words.notes(found, made)) == [
        "left out of the file: 2 times x",
        "the file's days begin within an hour of the ledger's: what was spent in that hour may be on another day",
        "left out of the ledger: $0.0001 of corrections of no single model",
    ]
