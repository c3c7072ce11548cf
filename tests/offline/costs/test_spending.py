"""The figures of the money report: the period, the forecast, what running it brings, the experiment, and JSON."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.offline.spendings import MONTH, NOW, TODAY, WEEK, Hours, lived, read, spend, traffic
from tierwise.core.window import DAY_NS
from tierwise.offline.costs.experiments import Quality
from tierwise.offline.costs.spending import LEAST_DAYS, Spending, history, jsonable, spending
from tierwise.offline.costs.sums import BY
from tierwise.stats.experiment import Estimate
from tierwise.stats.forecast import LEAST_DAYS as LEAST_TO_FORECAST
from tierwise.stats.forecast import MOST_DAYS


@pytest.fixture(scope="module")
def found() -> Spending:
    return spending(read(lived(), running_nanos=2_000 * 10**9))


def days(n: int, nanos: int = 10**9) -> Hours:
    """So many days before today, and today until now; each weekday as it is."""
    hours = [(day, round(WEEK[day % 7] * nanos)) for day in range(TODAY - n, TODAY + 1)]
    return Hours(
        [spend(day * 24 + 1, part) for day, part in hours],
        [traffic(day * 24 + 1, baseline_nanos=4 * part, nanos=part) for day, part in hours],
    )


def test_net_of_everything() -> None:
    """Drafts, premium, opinions, judges, audits and corrections: what is left of the baseline is saved."""
    paid = [
        spend(1, 10), spend(1, 100, role="premium"), spend(1, 20, role="opinion"), spend(1, 5, role="judge"),
        spend(1, 7, role="premium", key_id="aside"), spend(1, -2, role="correction"), spend(1, 1, state="unknown"),
    ]  # fmt: skip
    found = spending(read(Hours(paid, [traffic(1, baseline_nanos=1000, unknown_nanos=30)]), 0, 2))
    assert found.whole.spent_nanos == 141
    assert found.whole.net_nanos == 859
    assert found.whole.share == 0.859
    assert (found.whole.unknown_nanos, found.whole.unknown_baseline_nanos) == (1, 30)


def test_the_period_is_half_open() -> None:
    """The first hour belongs to it, the last does not; what comes before is for the forecast alone."""
    hours = Hours([spend(hour, 1) for hour in (9, 10, 11, 12)], [traffic(hour) for hour in (9, 10, 11, 12)])
    found = spending(read(hours, 10, 12))
    assert (found.whole.spent_nanos, found.whole.requests, found.first) == (2, 2, 10)
    assert spending(read(hours, 13, 15)).first is None
    assert spending(read(Hours([], hours.traffic), 12, 15)).first == 12


def test_how_far_back_is_read() -> None:
    """Eight weeks for a forecast; a period that has ended has none, and needs no more than itself."""
    assert history(MONTH * 24, TODAY * 24 + 15, NOW) == (TODAY - MOST_DAYS) * 24
    assert history(0, TODAY * 24 + 15, NOW) == 0
    assert history(MONTH * 24, TODAY * 24, NOW) == MONTH * 24


# ------------------------------------------------------------------ forecast


def test_a_forecast_to_the_end_of_the_month() -> None:
    """What is spent, and what three days more will come to: Saturday's and two quiet ones as they always are."""
    ahead = spending(read(days(40))).ahead
    assert ahead is not None
    assert (ahead.first, ahead.last, ahead.days) == (MONTH, MONTH + 29, 39)
    assert ahead.so_far == sum(round(WEEK[day % 7] * 10**9) for day in range(MONTH, TODAY + 1))
    whole = sum(WEEK[day % 7] for day in range(MONTH, MONTH + 30)) * 1e9
    assert ahead.value is not None
    assert ahead.value == pytest.approx(whole, rel=0.01)
    assert ahead.low is not None
    assert ahead.high is not None
    assert ahead.low <= ahead.value <= ahead.high


def test_the_first_day_of_all_is_left_out() -> None:
    """The gateway may have begun in the afternoon; so fourteen whole days need fifteen."""
    few, enough = (spending(read(days(LEAST_TO_FORECAST + more))).ahead for more in (0, 1))
    assert few is not None
    assert enough is not None
    assert (few.days, few.value, few.low, few.high) == (LEAST_TO_FORECAST - 1, None, None, None)
    assert enough.value is not None


def test_what_is_spent_already_can_not_become_less() -> None:
    """A day of a hundred times the usual lifts the whole interval."""
    hours = days(40)
    hours.spend.append(spend(TODAY * 24 + 2, 100 * 10**9))
    ahead = spending(read(hours)).ahead
    assert ahead is not None
    assert ahead.low is not None
    assert ahead.low >= ahead.so_far


def test_no_forecast_of_what_is_over() -> None:
    """A period that ended before today has none; one without any spend has too few days."""
    assert spending(read(days(40), until=TODAY * 24)).ahead is None
    nothing = spending(read(Hours([], []))).ahead
    assert nothing is not None
    assert (nothing.days, nothing.value, nothing.so_far) == (0, None, 0)


# ------------------------------------------------------------------ return


def test_what_a_year_of_it_brings() -> None:
    """Ten days save 10 * 3 dollars, less the weekends; a year saves 36.5 times that."""
    hours = Hours([spend((TODAY - 10) * 24 + 14, 10**9)], [traffic((TODAY - 10) * 24 + 14, baseline_nanos=31 * 10**9)])
    returns = spending(read(hours, running_nanos=500 * 10**9)).returns
    assert returns is not None
    assert returns.days == 10
    assert returns.saved_nanos == 1095 * 10**9
    assert returns.net_nanos == 595 * 10**9
    assert returns.roi == pytest.approx(1.19)
    assert returns.payback_days == pytest.approx(500 / 3)


def test_too_few_days_to_speak_of_a_year() -> None:
    """Less than a week says nothing; nobody asked: nothing is said."""
    found = spending(read(days(LEAST_DAYS - 1), running_nanos=10**9)).returns
    assert found is not None
    assert (found.saved_nanos, found.net_nanos, found.roi, found.payback_days) == (None,) * 4
    assert spending(read(days(30))).returns is None
    nothing = spending(read(Hours([], []), running_nanos=10**9)).returns
    assert nothing is not None
    assert nothing.days == 0


def test_what_never_pays() -> None:
    """Where more is spent than premium alone would cost, no number of days pays; what is free has no rate of return."""
    hours = Hours([spend((TODAY - 10) * 24, 10**9)], [traffic((TODAY - 10) * 24, baseline_nanos=10**8)])
    found, free = (spending(read(hours, running_nanos=cost)).returns for cost in (10**9, 0))
    assert found is not None
    assert free is not None
    assert (found.payback_days, free.roi) == (None, None)
    assert found.roi is not None
    assert found.roi < -1


# ------------------------------------------------------------------ all of it


def test_a_whole_life(found: Spending) -> None:
    """The experiment agrees with the baseline that the life was made with, and the interval of the share is given."""
    (tried,) = found.experiments
    assert tried.route == "support"
    assert tried.each is not None
    assert tried.saved is not None
    (row,) = (row for row in found.tables["route"] if row.id == "support")
    assert tried.saved[1] < row.sums.net_nanos < tried.saved[2]
    assert tried.quality == Quality()
    assert found.interval is not None
    assert found.whole.share is not None
    assert found.interval[0] < found.whole.share < found.interval[1]


def test_as_json(found: Spending) -> None:
    """Every figure, the tables that are asked for, and nothing for what a model has none of."""
    told = json.loads(msgspec.json.encode(jsonable(found, ("model", "key"))))
    assert list(told["tables"]) == ["model", "key"]
    assert told["whole"]["net_nanos"] == found.whole.net_nanos
    assert told["whole"]["share"] == found.whole.share
    assert {row["net_nanos"] for row in told["tables"]["model"]} == {None}
    assert {row["requests"] for row in told["tables"]["model"]} == {None}
    assert sum(row["spent_nanos"] for row in told["tables"]["model"]) == found.whole.spent_nanos
    assert [row["name"] for row in told["tables"]["key"]] == ["Help desk", "Nightly jobs", "aside"]
    assert sum(row["net_nanos"] for row in told["tables"]["key"]) == found.whole.net_nanos
    assert told["ahead"]["value"] == found.ahead.value if found.ahead else False
    assert list(jsonable(found)["tables"]) == list(BY)
    assert "folded" not in told


def test_quality_comes_from_whoever_rated() -> None:
    """It is handed on as it is, to its route alone."""
    rated = Quality("feedback", Estimate(0.0, -0.1, 0.1), 100, 40)
    found = spending(read(lived(3), quality={"support": rated, "moderation": rated}))
    assert [tried.quality for tried in found.experiments] == [rated]


def test_it_is_of_the_day_that_it_is_made_on() -> None:
    """Nothing in it reads a clock."""
    later = read(days(40))._replace(now_ns=NOW + 40 * DAY_NS)
    assert spending(later).ahead is None
