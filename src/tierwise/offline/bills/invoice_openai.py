"""OpenAI's usage and costs, as its administration API answers and as its dashboard exports.

- `GET /v1/organization/usage/completions`: pages of buckets (`start_time`, Unix seconds) with results of
  `input_tokens` (cached ones and those written to the cache included), `output_tokens`, `input_cached_tokens`,
  `input_cache_write_tokens`, `num_model_requests`, and `model` where it was asked with `group_by=model`.
- `GET /v1/organization/costs`: the same buckets, with `amount: {value, currency}` and, by `group_by=line_item`, a
  `line_item` such as "gpt-4o-2024-08-06, cached input", "priority | gpt-5.6-sol, output, long context" or "web search
  tool calls".
- The dashboard's `completions_usage_FROM_TO.csv` and `cost_FROM_TO.csv`: the same fields as columns, the amount in
  `amount_value` and `amount_currency`; a day without use is a row with nothing but its times, and an export without
  any use has no other columns.

Read off the API's reference, its OpenAPI document, and exports that people have published.
"""

from __future__ import annotations

from collections.abc import Set

from tierwise.offline.bills.billed import NOTHING, Billed, Record, Shape, Unreadable, nanos, texts, whole


class Unused(Shape, frozen=True):
    """Other exports have these columns too, and more."""

    def fits(self, fields: Set[str]) -> bool:
        return self.needs == fields

    def take(self, record: Record) -> Billed | str:
        return NOTHING


class Usage(Shape, frozen=True):
    def take(self, record: Record) -> Billed | str:
        (model,) = texts(record, "model")
        tokens = whole(record, "input_tokens"), whole(record, "output_tokens")
        return Billed(self.day(record), model, *tokens) if model or any(tokens) else NOTHING


class Costs(Shape, frozen=True):
    """The amount is an object in JSON, two columns in CSV."""

    def take(self, record: Record) -> Billed | str:
        amount = record.get("amount")
        said = amount if isinstance(amount, dict) else {}
        flat = {**record, "amount_value": said.get("value", record.get("amount_value"))}
        if flat["amount_value"] in (None, ""):
            return NOTHING
        currency = str(said.get("currency") or record.get("amount_currency") or "usd")
        if currency.lower() != "usd":
            raise Unreadable(f"costs are in {currency[:10]}; the ledger is in USD")
        (item,) = texts(record, "line_item")
        return Billed(self.day(record), model_of(item), nanos=nanos(flat, "amount_value"), grain=1)


def model_of(item: str) -> str:
    """The model of a line item; of what is no model's, such as web searches, the item itself."""
    name, comma, _ = item.rpartition(" | ")[2].partition(",")
    return (name.split() or [""])[0] if comma else name


_WHEN = "start_time"
SHAPES: tuple[Shape, ...] = (
    Usage("openai", "OpenAI usage of completions", _WHEN, frozenset({_WHEN, "input_tokens", "output_tokens"})),
    Costs("openai", "OpenAI costs (API)", _WHEN, frozenset({_WHEN, "amount"})),
    Costs("openai", "OpenAI costs (dashboard's CSV)", _WHEN, frozenset({_WHEN, "amount_value"})),
    Unused(
        "openai",
        "OpenAI export without any use",
        _WHEN,
        frozenset({_WHEN, "end_time", "start_time_iso", "end_time_iso"}),
    ),
)
