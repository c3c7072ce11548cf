"""The money report in words: every figure said, nothing that looks better than it is, shown differences right."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.offline.spendings import MONTH, TODAY, Hours, lived, read, spend, traffic
from tierwise.offline.costs import spending_words as words
from tierwise.offline.costs.experiments import Experiment, Quality, Side
from tierwise.offline.costs.spending import Ahead, Return, Spending, spending
from tierwise.offline.costs.sums import BY, Sums
from tierwise.stats.experiment import Estimate

CENT = 10**7


@pytest.fixture(scope="module")
def found() -> Spending:
    return spending(read(lived(), running_nanos=2_000 * 10**9))


def of(paid: int, baseline: int, **more: Any) -> Spending:
    """One request."""
    state = {"state": more.pop("state")} if "state" in more else {}
    return spending(
        read(Hours([spend(MONTH * 24, paid, **state)], [traffic(MONTH * 24, baseline_nanos=baseline, **more)]))
    )


def told(found: Spending) -> dict[str, str]:
    return dict(words.told(found))


def test_all_of_it(found: Spending) -> None:
    """In this order, each once; the figures are those of the sums."""
    said = told(found)
    assert list(said) == ["Spent", "Saved", "Sure", "Forecast", "Return", "Experiment", "Quality"]
    assert said["Spent"].startswith(words.usd(found.whole.spent_nanos, 2) + " on ")
    for part in ("premium models' answers", "dropped ones too", "the proof", "corrections", "without an answer"):
        assert part in said["Spent"]
    assert "\N{MINUS SIGN}$0.005000 for corrections" in said["Spent"]
    assert words.usd(found.whole.baseline_nanos, 2) in said["Saved"]
    assert "(95 %, bootstrap over days)" in said["Saved"]
    assert words.title(found) == "Spend and savings, 1 November 2026 to 28 November 2026"


def test_nothing_happened() -> None:
    """It is said, and no figure is shown; the forecast is honest about it."""
    said = told(spending(read(Hours([], []), TODAY * 24)))
    assert list(said) == ["Spent", "Forecast"]
    assert "nothing was spent" in said["Spent"]
    assert said["Forecast"] == "Too few days to forecast: 0 whole days known, 14 needed."
    assert words.title(spending(read(Hours([], []), TODAY * 24))) == "Spend and savings, 28 November 2026"


def test_a_saving_and_a_loss() -> None:
    """A loss is called one, with its sign turned; without a baseline nothing is claimed."""
    assert told(of(2 * 10**9, 10 * 10**9))["Saved"].startswith("$8.00 net, or 80 %: ")
    loss = told(of(12 * 10**9, 10 * 10**9))["Saved"]
    assert loss == (
        "Nothing: premium models alone would have cost $10.00 for the same answers, and $2.00, or 20 %, more was spent."
    )
    assert "Not known" in told(of(10**9, 0))["Saved"]
    assert told(of(10**9, 0))["Spent"].startswith("$1.0000 on 1 answered request: ")


def test_how_sure_it_is() -> None:
    """What is estimated or unknown is told, however little; and what of the baseline is."""
    assert "nothing is estimated or unknown" in told(of(10**9, 10**9))["Sure"]
    sure = told(of(10**9, 4 * 10**9, state="unknown", unknown_nanos=10**9))["Sure"]
    assert "0 % of the spend is estimated" in sure
    assert "100 % is of models without a price, counted at an upper bound" in sure
    assert "25 % of what premium alone would have cost is not known" in sure
    little = Sums(computed_nanos=10**9, estimated_nanos=1)
    assert "less than 0.01 % of the spend is estimated" in " ".join(words.certainty(little))
    assert words.share_of(5, Sums()) == "0 %"


def test_the_forecast() -> None:
    """Its interval, what is spent, from how much; or that it is too early."""
    ahead = Ahead(MONTH, MONTH + 29, 40, (10**9,) * 28, 30 * 10**9, 29 * 10**9, 31 * 10**9)
    assert words.ahead(ahead) == (
        "$30.00 by the end of 30 November 2026 (95 % interval $29.00 to $31.00), of which $28.00 is spent; from 40 "
        "days."
    )
    early = msgspec.structs.replace(ahead, days=1, value=None)
    assert words.ahead(early) == "Too few days to forecast: 1 whole day known, 14 needed."


def test_the_return() -> None:
    """A gain, a loss, no rate for what is free, and too few days."""
    found = Return(500 * 10**9, 10.0, 1095 * 10**9, 595 * 10**9, 1.19, 166.7)
    assert words.returns(found) == (
        "$595.00 a year: $1,095.00 saved at the pace of these 10.0 days, less $500.00 for running Tierwise: a return "
        "(ROI) of 119 %. The savings of 167 days pay for a year."
    )
    lost = msgspec.structs.replace(found, saved_nanos=-(10**9), net_nanos=-501 * 10**9, roi=-1.002, payback_days=None)
    assert words.returns(lost).startswith("\N{MINUS SIGN}$501.00 a year: \N{MINUS SIGN}$1.00 saved")
    assert words.returns(lost).endswith("of \N{MINUS SIGN}100.2 %. The savings never pay for it.")
    assert "ROI" not in words.returns(msgspec.structs.replace(found, roi=None))
    few = msgspec.structs.replace(found, days=2.25, saved_nanos=None)
    assert words.returns(few) == "Too few days to speak of a year: 2.2 known, 7 needed."


def test_the_experiment() -> None:
    """What each request saved and all of them, with intervals, audits subtracted; or how far it is from enough."""
    tried = Experiment(
        "support", Side(9900, 99 * 10**9, 5000.0), Side(100, 3 * 10**9, 96.4), 10**9,
        Estimate(2.0 * CENT, 1.9 * CENT, 2.1 * CENT), (197 * 10**9, 187 * 10**9, 207 * 10**9), Quality(),
    )  # fmt: skip
    assert words.tried(tried) == (
        "Route support: 100 of 10,000 requests, drawn at random, were answered by premium alone. Each of the others "
        "cost $0.020000 less (95 % interval $0.019000 to $0.021000). For all of them, $197.00 is saved ($187.00 to "
        "$207.00), after $1.00 for the route's audits and observation."
    )
    few = words.tried(msgspec.structs.replace(tried, each=None, saved=None))
    assert "Too few to say what the route saves: they tell as much as 96 requests of equal cost" in few
    assert "the others as 5,000; 100 of each are needed, in 6 hours or more" in few


def test_quality() -> None:
    """Its interval, and who says so."""
    by_people = Quality("people and checks", Estimate(-0.004, -0.02, 0.012), 203, 61)
    assert words.quality(by_people) == (
        "\N{MINUS SIGN}0.4 points of 100 against premium's (95 % interval \N{MINUS SIGN}2.0 to +1.2), by people and "
        "checks, on 203 answers of the route and 61 that were held out."
    )
    audits = words.quality(Quality("audits", Estimate(-0.01, -0.02, 0.0), 345))
    assert "by 345 audited drafts, each beside premium's answer to the same request" in audits
    assert "Too few ratings" in words.quality(Quality())


# ------------------------------------------------------------------ tables


def test_every_row_has_every_title(found: Spending) -> None:
    """Also the one for those left out, which says how many."""
    for by in BY:
        rows = list(words.rows(found, by, 2))
        assert {len(row) for row in rows} == {len(words.titles(by))}
        left = len(found.tables[by]) - 2
        assert [row[0] for row in rows[2:]] == (
            [] if left <= 0 else [f"({left} {'earlier' if by == 'day' else 'more'})"]
        )
        assert len(list(words.rows(found, by))) == len(found.tables[by])
    assert [row[0] for row in words.rows(found, "day", 2)] == ["2026-11-27", "2026-11-28", "(26 earlier)"]


def test_what_a_row_says() -> None:
    """Of requests: how many, how many cheap, spent, baseline, saved. Of a model: calls, tokens, its share, how sure."""
    found = of(2 * 10**9, 10 * 10**9, drafts=1)
    assert list(words.rows(found, "route")) == [("support", "1", "100.0 %", "$2.00", "$10.00", "$8.00", "80.0 %")]
    assert list(words.rows(found, "model")) == [("small", "1", "100", "10", "$2.0000", "100.0 %", "0.0 %")]
    empty = spending(read(Hours([spend(MONTH * 24, 0, key_id="aside", model="", team="")], [])))
    assert list(words.rows(empty, "key")) == [("(audits)", "", "", "$0.000000", "$0.000000", "$0.000000", "")]
    assert list(words.rows(empty, "model")) == [("(of several models)", "1", "100", "10", "$0.000000", "", "")]


def test_what_has_no_name_is_told_apart() -> None:
    """No team is not the proof."""
    paid = [
        spend(MONTH * 24, 2, team=""),
        spend(MONTH * 24, 1, team="", key_id="aside"),
        spend(MONTH * 24, 0, route=""),
    ]
    found = spending(read(Hours(paid, [])))
    assert [row[0] for row in words.rows(found, "team")] == ["(no team)", "(audits)", "care"]
    assert [row[0] for row in words.rows(found, "route")] == ["support", "(none)"]
    assert [row[0] for row in words.rows(found, "key")] == ["Help desk", "(audits)"]


# ------------------------------------------------------------------ values


@given(st.integers(-(10**18), 10**18), st.integers(-(10**18), 10**18), st.sampled_from([2, 4, 6]))
@example(5 * 10**6, -5 * 10**6, 2)
def test_shown_differences_are_right(baseline: int, paid: int, shown: int) -> None:
    """Whoever checks the subtraction by hand finds the same last digit; each is the nearest that can be shown."""

    def read_back(text: str) -> int:
        return round(float(text.replace("\N{MINUS SIGN}", "-").replace("$", "").replace(",", "")) * float(10**shown))

    sums = Sums(computed_nanos=paid, baseline_nanos=baseline)
    net = words.usd(words.net_shown(sums, shown), shown)
    if max(abs(baseline), abs(paid)) < 10**15:  # floats read it back exactly
        assert read_back(net) == read_back(words.usd(baseline, shown)) - read_back(words.usd(paid, shown))
    assert abs(words.rounded(paid, shown) - paid) <= 10 ** (9 - shown) // 2


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (5 * 10**6, "$0.01"),
        (-5 * 10**6, "$0.00"),
        (-6 * 10**6, "\N{MINUS SIGN}$0.01"),
        (1_234_567 * 10**9, "$1,234,567.00"),
    ],
)
def test_dollars(nanos: int, text: str) -> None:
    """Half a cent is one, upwards; nothing is not minus nothing."""
    assert words.usd(nanos, 2) == text


def test_small_sums_have_more_digits() -> None:
    """By the largest of them."""
    assert [words.digits(nanos) for nanos in (10**10, 10**10 - 1, -(10**10), 10**8, 10**8 - 1, 0)] == [2, 4, 2, 4, 6, 6]
    assert words.digits() == 6
    assert words.tenths(-0.0001) == "0.0 %"


def test_days_without_anything_are_days(found: Spending) -> None:
    """From the first on, to today; before it there was no gateway."""
    hours = Hours([spend((TODAY - 5) * 24), spend((TODAY - 2) * 24)], [])
    days = words.days_of(spending(read(hours)))
    assert [(day - TODAY, sums.spent_nanos) for day, sums in days] == [
        (-5, 1000),
        (-4, 0),
        (-3, 0),
        (-2, 1000),
        (-1, 0),
        (0, 0),
    ]
    assert len(words.days_of(found)) == 28
    assert words.days_of(spending(read(Hours([], [])))) == []
