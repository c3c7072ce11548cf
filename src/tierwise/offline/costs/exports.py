"""The money report as CSV: its tables for a spreadsheet, and all spend by day as FOCUS 1.2 for tools of FinOps.

FOCUS is the FinOps Open Cost and Usage Specification (focus.finops.org, version 1.2). A row is one day, route, team,
key, model, duty and cost state. All 21 mandatory columns are there, then those that fit, then ours, which begin with
`x_`. Every cost is what was spent: the ledger knows no list prices beside what was paid. Corrections are rows of their
own, of the category Adjustment; savings are no row, as nobody was charged or credited for them.

Knows sums; not how files are written.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

import msgspec

from tierwise.core.window import DAY_NS, iso, window
from tierwise.money import Spend
from tierwise.offline.costs.spending import Spending
from tierwise.offline.costs.spending_words import named
from tierwise.offline.costs.sums import ASIDE, HOUR_NS, By, Row

Cell = str | int
PROVIDERS: Mapping[str, str] = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "deepseek": "DeepSeek",
    "local": "Self-hosted",
    "scripted": "Scripted",
    "sorter": "Sorter",
}
UNKNOWN = "Unknown"  # of a model that the config no longer has
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
COLUMNS = (
    "by", "id", "name", "requests", "failed", "cheap", "calls", "input_tokens", "output_tokens", "spent_usd",
    "aside_usd", "estimated_usd", "unknown_usd", "premium_alone_usd", "premium_alone_unknown_usd", "net_saving_usd",
)  # fmt: skip


class Model(msgspec.Struct, frozen=True):
    """A model of the config: whose it is, and what they call it."""

    provider: str
    name: str


def tables(found: Spending, which: Iterable[By]) -> str:
    """All rows, one table below the other, told apart by the first column."""
    return _csv(COLUMNS, (_row(by, row) for by in which for row in found.tables[by]))


def _row(by: By, row: Row) -> list[Cell]:
    """Without what a model has none of."""
    sums = row.sums
    requests: list[Cell] = [sums.requests, sums.failed, sums.drafts]
    baseline: list[Cell] = [dollars(sums.baseline_nanos), dollars(sums.unknown_baseline_nanos), dollars(sums.net_nanos)]
    if by == "model":
        requests, baseline = [""] * 3, [""] * 3
    spent = (sums.spent_nanos, sums.aside_nanos, sums.estimated_nanos, sums.unknown_nanos)
    calls = [sums.entries, sums.input_tokens, sums.output_tokens]
    return [by, _text(row.id), _text(named(row, by)), *requests, *calls, *map(dollars, spent), *baseline]


# ------------------------------------------------------------------ FOCUS


def focus(spend: Sequence[Spend], models: Mapping[str, Model], keys: Mapping[str, str]) -> str:
    """`spend`: summed up by day. `models`: by the name that the config has for them; `keys`: names by id."""
    charges = [_charge(item, models, keys) for item in spend if item.nanos or _tokens(item)]
    titles = list(_charge(Spend(0, "", "", "", "", "draft", "computed"), {}, {}))
    return _csv(titles, (list(charge.values()) for charge in charges))


def _charge(item: Spend, models: Mapping[str, Model], keys: Mapping[str, str]) -> dict[str, Cell]:
    """The columns and their cells, in order; an empty one is null."""
    at_ns, cost, usage = item.hour * HOUR_NS, dollars(item.nanos), item.role != "correction"
    month = window("month", at_ns)
    model = models.get(item.model, Model(UNKNOWN, item.model))
    provider, quantity = PROVIDERS.get(model.provider, UNKNOWN), _tokens(item) if usage else ""
    return {
        "BilledCost": cost,
        "BillingAccountId": "tierwise",
        "BillingAccountName": "Tierwise",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": iso(month.end_ns) if month else "",
        "BillingPeriodStart": iso(month.start_ns) if month else "",
        "ChargeCategory": "Usage" if usage else "Adjustment",
        "ChargeClass": "",
        "ChargeDescription": _described(item, usage),
        "ChargeFrequency": "Usage-Based" if usage else "One-Time",
        "ChargePeriodEnd": iso(at_ns + DAY_NS),
        "ChargePeriodStart": iso(at_ns),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": "Tokens" if usage else "",
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "PricingQuantity": quantity,
        "PricingUnit": "Tokens" if usage else "",
        "ProviderName": provider,
        "PublisherName": provider,
        "ResourceId": _text(item.model),
        "ResourceName": _text(model.name),
        "ResourceType": "Model" if item.model else "",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} models",
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": _text(item.key_id),
        "SubAccountName": _text(keys.get(item.key_id, item.key_id)),
        "Tags": _tags(item),
        "x_CacheReadTokens": item.cache_read_tokens,
        "x_CacheWriteTokens": item.cache_write_tokens,
        "x_Calls": item.entries,
        "x_CostState": item.state,
        "x_Duty": item.role,
        "x_InputTokens": item.input_tokens,
        "x_OutputTokens": item.output_tokens,
        "x_ReasoningTokens": item.reasoning_tokens,
    }


def _described(item: Spend, usage: bool) -> str:
    if not usage:
        return f"Correction of earlier entries, route {item.route}"
    why = ", for audits and observation" if item.key_id == ASIDE else ""
    return f"Tokens of {item.model} as {item.role} on route {item.route}{why}"


def _tags(item: Spend) -> str:
    named = {"route": item.route, "team": item.team, "key": item.key_id}
    return msgspec.json.encode({name: value for name, value in named.items() if value}).decode()


def _tokens(item: Spend) -> int:
    """Cached ones are among the input's, reasoning among the output's."""
    return item.input_tokens + item.output_tokens


# ------------------------------------------------------------------ cells


def dollars(nanos: int) -> str:
    """Exact: 1234567890 is 1.23456789."""
    whole, rest = divmod(abs(nanos), 10**9)
    told = f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
    return f"-{told}" if nanos < 0 else told


def _text(name: str) -> str:
    """A name that a spreadsheet takes for a formula is quoted."""
    return f"'{name}" if name.startswith(FORMULA) else name


def _csv(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return out.getvalue()
