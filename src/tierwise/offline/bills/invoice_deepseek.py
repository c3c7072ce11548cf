"""DeepSeek's export of a month, as its platform gives it: a ZIP of `amount-...csv` and `cost-...csv`, or one of them.

- amount: `user_id, utc_date, model, api_key_name, api_key, type, price, amount`; `type` is `input_cache_hit_tokens`,
  `input_cache_miss_tokens`, `output_tokens` or `request_count`. `price` is a token's, in a currency it does not name,
  so no money is read from it.
- cost: `user_id, utc_date, model, wallet_type, cost, currency`; USD or CNY, by account.
- Since August 2026 both have `start_time_iso, end_time_iso` with the platform's time zone in place of `utc_date`
  (which is 2026-07-25 or 20260725).

Read off exports, and programs for them, that people have published.
"""

from __future__ import annotations

from tierwise.offline.bills.billed import NOTHING, Billed, Record, Shape, Unreadable, nanos, number, texts, whole

_INPUT = ("input_cache_hit_tokens", "input_cache_miss_tokens", "input_tokens")


class Amount(Shape, frozen=True):
    def take(self, record: Record) -> Billed | str:
        model, kind = texts(record, "model", "type")
        day = self.day(record)
        if kind in _INPUT:
            return Billed(day, model, whole(record, "amount"), 0)
        if kind == "output_tokens":
            return Billed(day, model, 0, whole(record, "amount"))
        if kind == "request_count" or not number(record, "amount"):
            return NOTHING
        raise Unreadable(f"type: {kind[:40]!r} is none of {', '.join(_INPUT)}, output_tokens, request_count")


class Cost(Shape, frozen=True):
    def take(self, record: Record) -> Billed | str:
        model, currency = texts(record, "model", "currency")
        if currency.upper() != "USD":
            return f"a cost in {currency[:10] or 'no currency'}, which the ledger does not keep"
        return Billed(self.day(record), model, nanos=nanos(record, "cost"), grain=1)


SHAPES: tuple[Shape, ...] = tuple(
    shape
    for when in ("utc_date", "start_time_iso")
    for shape in (
        Amount("deepseek", "DeepSeek amounts (CSV)", when, frozenset({when, "model", "type", "amount"})),
        Cost("deepseek", "DeepSeek costs (CSV)", when, frozenset({when, "model", "cost", "currency"})),
    )
)
