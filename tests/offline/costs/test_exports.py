"""The report as CSV, and as FOCUS 1.2: every column that is mandatory, exact money, sums that agree with the report."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offline.spendings import MONTH, Hours, lived, read, spend, traffic
from tierwise.money import Key
from tierwise.offline.costs import exports
from tierwise.offline.costs.exports import Model
from tierwise.offline.costs.spending import Spending, spending
from tierwise.offline.costs.sums import BY

MODELS = {"small": Model("deepseek", "deepseek-chat"), "big": Model("anthropic", "claude-sonnet")}
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
}  # fmt: skip
MAY_BE_NULL = {"ChargeClass", "PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "ResourceId",
               "ResourceName", "ResourceType"}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Spending:
    return spending(read(lived()))


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def focused(found: Spending) -> list[dict[str, str]]:
    return parsed(exports.focus(found.folded, MODELS, {"key_1": "Help desk"}))


def test_every_mandatory_column_is_there(found: Spending) -> None:
    """Also without a row; standard columns in their order, ours after them; no cell is empty that must not be."""
    titles = next(csv.reader(StringIO(exports.focus([], {}, {}))))
    standard, ours = [name for name in titles if name[:2] != "x_"], [name for name in titles if name[:2] == "x_"]
    assert set(standard) >= MANDATORY
    assert titles == [*sorted(standard), *sorted(ours)]
    for row in focused(found):
        assert list(row) == titles
        assert {name for name, cell in row.items() if not cell} <= MAY_BE_NULL


def test_money_is_exact(found: Spending) -> None:
    """All rows together are what the report says was spent, to the nano-dollar; savings are no row."""
    rows = focused(found)
    for column in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"):
        assert sum(Decimal(row[column]) for row in rows) == Decimal(found.whole.spent_nanos) / 10**9
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Adjustment"}
    assert sum(int(row["PricingQuantity"] or 0) for row in rows) == found.whole.input_tokens + found.whole.output_tokens


def test_a_row() -> None:
    """Who, when, what for, how much; teams and routes as tags; a day and its month, in UTC."""
    hours = Hours([spend(MONTH * 24 + 30, 1_234_567_890, cache_read_tokens=40)], [])
    (row,) = focused(spending(read(hours)))
    assert {name: row[name] for name in ("BilledCost", "ConsumedQuantity", "PricingQuantity", "x_CacheReadTokens")} == {
        "BilledCost": "1.23456789", "ConsumedQuantity": "110", "PricingQuantity": "110", "x_CacheReadTokens": "40",
    }  # fmt: skip
    assert (row["ConsumedUnit"], row["PricingUnit"], row["BillingCurrency"]) == ("Tokens", "Tokens", "USD")
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == ("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z")
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    assert {row[name] for name in ("ProviderName", "PublisherName", "InvoiceIssuerName")} == {"DeepSeek"}
    assert (row["ResourceId"], row["ResourceName"], row["ResourceType"]) == ("small", "deepseek-chat", "Model")
    assert (row["SubAccountId"], row["SubAccountName"]) == ("key_1", "Help desk")
    assert json.loads(row["Tags"]) == {"route": "support", "team": "care", "key": "key_1"}
    assert (row["ServiceCategory"], row["ServiceSubcategory"]) == ("AI and Machine Learning", "Generative AI")
    assert (row["x_Duty"], row["x_CostState"], row["x_Calls"]) == ("draft", "computed", "1")
    assert row["ChargeDescription"] == "Tokens of small as draft on route support"


def test_a_correction() -> None:
    """Is an adjustment of its own, without a quantity; it may lower the bill."""
    hours = Hours([spend(MONTH * 24, -5, role="correction", model="", team="", key_id="aside")], [])
    (row,) = focused(spending(read(hours)))
    assert (row["BilledCost"], row["ChargeCategory"], row["ChargeFrequency"]) == (
        "-0.000000005",
        "Adjustment",
        "One-Time",
    )
    assert {row[name] for name in MAY_BE_NULL} == {""}
    assert json.loads(row["Tags"]) == {"route": "support", "key": "aside"}
    assert row["ChargeDescription"] == "Correction of earlier entries, route support"


def test_the_proof_and_models_that_are_gone() -> None:
    """Audits say so; a model that the config has no more has a provider that is not known, but has one."""
    (row,) = focused(spending(read(Hours([spend(MONTH * 24, 5, model="old", key_id="aside", role="audit")], []))))
    assert row["ChargeDescription"].endswith("as audit on route support, for audits and observation")
    assert (row["ProviderName"], row["ResourceName"]) == ("Unknown", "old")


def test_attempts_of_nothing_are_no_charge() -> None:
    """A call that failed, without tokens or costs, is no row; one with either is."""
    empty = {"input_tokens": 0, "output_tokens": 0}
    paid = [spend(MONTH * 24, 0, **empty), spend(MONTH * 24, 7, route="a", **empty), spend(MONTH * 24, 0, route="b")]
    rows = focused(spending(read(Hours(paid, []))))
    assert [(row["BilledCost"], row["PricingQuantity"]) for row in rows] == [("0.000000007", "0"), ("0", "110")]


# ------------------------------------------------------------------ tables


def test_the_tables(found: Spending) -> None:
    """All rows of those that are wanted; each table adds up to all that was spent, exactly."""
    rows = parsed(exports.tables(found, BY))
    for by in BY:
        mine = [row for row in rows if row["by"] == by]
        assert len(mine) == len(found.tables[by])
        assert sum(Decimal(row["spent_usd"]) for row in mine) == Decimal(found.whole.spent_nanos) / 10**9
        if by != "model":
            assert sum(Decimal(row["net_saving_usd"]) for row in mine) == Decimal(found.whole.net_nanos) / 10**9
            assert sum(int(row["requests"]) for row in mine) == found.whole.requests
        else:
            assert {row["net_saving_usd"] + row["requests"] for row in mine} == {""}
    assert [row["by"] for row in parsed(exports.tables(found, ("key",)))] == ["key"] * 3


def test_a_name_is_no_formula() -> None:
    """What a spreadsheet would run is quoted; commas, quotes and lines stay inside their cell."""
    evil, odd = "=HYPERLINK(1)", 'a "b",\nc'
    hours = Hours([spend(MONTH * 24, 9, route=odd)], [traffic(MONTH * 24, route=odd)])
    keys = (Key("key_1", evil, b"", "tw_", 0),)
    rows = parsed(exports.tables(spending(read(hours, keys=keys)), ("key", "route")))
    assert [row["name"] for row in rows] == [f"'{evil}", odd]
    (row,) = parsed(exports.focus(hours.spend, MODELS, {"key_1": evil}))
    assert row["SubAccountName"] == f"'{evil}"
    assert json.loads(row["Tags"])["route"] == odd


@given(st.integers(-(10**20), 10**20))
def test_dollars_are_exact(nanos: int) -> None:
    """Read back they are the same; no exponent, no needless digit."""
    told = exports.dollars(nanos)
    assert Decimal(told) * 10**9 == nanos
    assert "e" not in told.lower()
    assert "." not in told or told[-1] not in ".0"
