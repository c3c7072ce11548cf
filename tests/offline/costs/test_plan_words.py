"""Plans as they are told."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest

from tierwise.offline.costs import plan_words as words
from tierwise.offline.costs.plans import MONTH, Commitment, Gpus, Hour, Plan, Terms, Volume, plans
from tierwise.types import Usage

VOLUME = Volume("m", MONTH, (Hour(5, 41_200_000, 2_000_000_000), Hour(6, 1000, 1_000_000)), Usage(1, 1), 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"), (1, "$0.0001"), (149_999, "$0.0001"), (150_000, "$0.0002"), (999_949_999, "$0.9999"),
        (999_950_000, "$1.00"),
        (1_004_999_999, "$1.00"), (1_005_000_000, "$1.01"), (1_234_567 * 10**9, "$1,234,567.00"),
        (-1_005_000_000, "-$1.01"), (-20_000_000, "-$0.0200"),
    ],
)  # fmt: skip
def test_dollars(nanos: int, text: str) -> None:
    """To the cent, below a dollar finer; something is never nothing."""
    assert words.usd(nanos) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (41_249_999, "41.2 M"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (9_996, "10.0 k"),
        (99_960, "100 k"),
        (5 * 10**15, "5,000 T"),
    ],
)
def test_tokens(count: int, text: str) -> None:
    """Three digits and a unit."""
    assert words.tokens(count) == text


def test_a_share() -> None:
    """One digit behind the point where it says something; many times as much is told as that."""
    shares = [Fraction(share) for share in ("0", "0.005", "0.1", "0.1234")]
    assert list(map(words.percent, shares)) == ["0 %", "0.5 %", "10 %", "12 %"]
    assert [words.signed(Fraction(share)) for share in ("0", "0.5", "-0.071", "9", "24.4")] == [
        "0 %", "+50 %", "-7.1 %", "x 10", "x 25",
    ]  # fmt: skip


def test_a_volume() -> None:
    """A month's tokens, its peak, the window's money, and a bar an hour of the day."""
    assert words.headline(VOLUME) == "m: 41.2 M tokens a month, at the most 41.2 M an hour; $2.00 booked"
    bars = words.profile(VOLUME)
    assert bars.startswith("0 h ▁▁▁▁▁█▁▁▁")
    assert bars.endswith("23 h UTC, up to 1.35 M an hour on the mean day")
    assert words.window(5, 29) == "1970-01-01 05:00 to 1970-01-02 05:00 UTC, 1.0 days"


def test_rows_and_verdict() -> None:
    """What each is, costs, differs by, from where on it pays, and how that comes."""
    terms = Terms(gpus=Gpus(500_000_000, 30_000_000, 1), commitment=Commitment(10_000_000_000, 10))
    found = plans(VOLUME, None, 0, terms)
    assert list(words.rows(found)) == [
        ("pay as you go", "$2.00", "", "", ""),
        ("committed", "$12.00", "+500 %", "never", "0.3 % used, too small in 2 h"),
        ("own GPUs, always on", "$365.54", "x 183", "never", "1 GPU, 0.1 % used, too small in 1 h"),
        ("own GPUs, when they pay", "$1.04", "-48 %", "10.3 M", "1 GPU, 100 % used"),
    ]
    assert words.verdict(found) == "Cheapest at today's volume: own GPUs, when they pay, $0.9563 less a month."
    alone = plans(VOLUME, None, 0, Terms())
    assert words.verdict(alone) == "At today's volume nothing of this is cheaper than paying as you go."
    peak = Plan(name="off-peak", nanos=1, break_even=0, share=0.5, there=0.25, could=0.5, cheapest=True)
    free = [Plan(name="pay as you go", nanos=0), peak, Plan(name="own GPUs, always on", nanos=1, units=2)]
    assert list(words.rows(free))[1:] == [
        ("off-peak", "$0.0001", "", "any volume", "50 % waits, 25 % off-peak now, 50 % could move"),
        ("own GPUs, always on", "$0.0001", "", "never", "2 GPUs"),
    ]


def test_what_makes_a_volume_unsure() -> None:
    """Upper bounds and corrections are told; nothing where there are none."""
    assert list(words.notes(VOLUME)) == []
    unsure = msgspec.structs.replace(VOLUME, unknown=1_000_500_000, corrections=-5_000_000_000)
    bound, corrected = words.notes(unsure)
    assert bound.startswith("m: 50 % of its cost is an upper bound")
    assert corrected == "m: corrections of -$5.00 are left out: they are no volume."


def test_assumptions_are_those_of_the_plans_that_are_shown() -> None:
    """Once for all models; a short window is told."""
    alone = [plans(VOLUME, None, 0, Terms())]
    assert len(list(words.assumptions([VOLUME], alone, Terms()))) == 2
    short = msgspec.structs.replace(VOLUME, span=167)
    assert any("less than a week" in text for text in words.assumptions([short], alone, Terms()))
    shown = [[Plan(name="off-peak", nanos=1)], [Plan(name="committed", nanos=1)]]
    told = " ".join(words.assumptions([VOLUME], shown, Terms(gpus=Gpus(2_500_000_000, 10_800_000))))
    for part in (
        "audits and observation",
        "taken to be even",
        "$2.50 and 10.8 M tokens an hour",
    ):
        assert part in told
    said = " ".join(words.assumptions([VOLUME], [[Plan(name="batch", nanos=1)]], Terms(waits=Fraction(1, 5))))
    assert "20 % of every hour's requests (--batch-share)" in said
    assert "dearest" not in said
