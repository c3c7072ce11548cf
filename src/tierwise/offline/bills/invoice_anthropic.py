"""Anthropic's usage and cost, as its administration API answers and as its console exports.

- `GET /v1/organizations/usage_report/messages`: buckets (`starting_at`, RFC 3339) with results of
  `uncached_input_tokens`, `cache_read_input_tokens`, `cache_creation: {ephemeral_5m_input_tokens,
  ephemeral_1h_input_tokens}`, `output_tokens`, and `model` by `group_by[]=model`. The three kinds of input add up.
- `GET /v1/organizations/cost_report`: the same buckets, with `amount` in cents as a decimal string ("123.45" is
  $1.23), `currency`, and `model`, `cost_type`, `token_type` by `group_by[]=description`.
- The console's usage CSV: `usage_date_utc`, `model_version`, `usage_input_tokens_no_cache`, `..._cache_write_5m`,
  `..._cache_write_1h`, `..._cache_read`, `usage_output_tokens`.
- The console's cost CSV: `usage_date_utc`, `model` as people write it ("Claude Haiku 4.5"), `token_type`, `cost_type`,
  `cost_usd` to the cent.

Read off the API's reference and exports that people have published.
"""

from __future__ import annotations

from decimal import Decimal

from tierwise.offline.bills.billed import Billed, Record, Shape, Unreadable, nanos, texts, whole

CENT = Decimal(10_000_000)  # nano-dollars
_FRESH = ("uncached_input_tokens", "cache_read_input_tokens")
_WRITTEN = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_COLUMNS = (
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
)


class Usage(Shape, frozen=True):
    def take(self, record: Record) -> Billed | str:
        written = record.get("cache_creation")
        inside = written if isinstance(written, dict) else {}
        tokens = sum(whole(record, field) for field in _FRESH) + sum(whole(inside, field) for field in _WRITTEN)
        (model,) = texts(record, "model")
        return Billed(self.day(record), model, tokens, whole(record, "output_tokens"))


class UsageTable(Shape, frozen=True):
    def take(self, record: Record) -> Billed | str:
        tokens = sum(whole(record, field) for field in _COLUMNS)
        (model,) = texts(record, "model_version")
        return Billed(self.day(record), model, tokens, whole(record, "usage_output_tokens"))


class Cost(Shape, frozen=True):
    """What is no model's (web searches, code) goes by its type."""

    def take(self, record: Record) -> Billed | str:
        (currency,) = texts(record, "currency")
        if (currency or "USD").upper() != "USD":
            raise Unreadable(f"costs are in {currency[:10]}; the ledger is in USD")
        model, kind = texts(record, "model", "cost_type")
        return Billed(self.day(record), model or kind, nanos=nanos(record, "amount", CENT), grain=1)


class CostTable(Shape, frozen=True):
    """Each line is rounded to the cent."""

    def take(self, record: Record) -> Billed | str:
        model, kind = texts(record, "model", "cost_type")
        money = nanos(record, "cost_usd")
        return Billed(self.day(record), model or kind, nanos=money, grain=1 if money % CENT else int(CENT) // 2)


SHAPES: tuple[Shape, ...] = (
    Usage(
        "anthropic", "Anthropic usage report (API)", "starting_at", frozenset({"starting_at", "uncached_input_tokens"})
    ),
    Cost("anthropic", "Anthropic cost report (API)", "starting_at", frozenset({"starting_at", "amount", "currency"})),
    UsageTable(
        "anthropic",
        "Anthropic usage (console's CSV)",
        "usage_date_utc",
        frozenset({"usage_date_utc", "model_version", *_COLUMNS, "usage_output_tokens"}),
    ),
    CostTable(
        "anthropic",
        "Anthropic cost (console's CSV)",
        "usage_date_utc",
        frozenset({"usage_date_utc", "model", "cost_usd"}),
    ),
)
