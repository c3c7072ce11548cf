"""Rebuilds the vendored price catalogue from the installed genai-prices: `python -m benchmarks.prices`.

Takes the providers whose APIs the gateway calls by their own name. Dated prices are resolved for the day of the run;
of prices that change with the hour the dearest is kept as the price and the usual one as `off_peak`.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

from genai_prices import types as source
from genai_prices.data import providers

TARGET = Path(__file__).parent.parent / "src/tierwise/data/prices/genai-prices.json"
PROVIDERS = ("openai", "anthropic", "deepseek")
FIELDS = ("input", "output", "cache_read", "cache_write")
RULES = {
    source.ClauseEquals: "equals",
    source.ClauseStartsWith: "starts_with",
    source.ClauseContains: "contains",
    source.ClauseRegex: "regex",
}

Plain = dict[str, object]


def build(as_of: date) -> Plain:
    """The catalogue as plain data, prices as decimal strings in USD per million tokens."""
    return {
        "source": f"genai-prices {importlib.metadata.version('genai-prices')}",
        "source_url": "https://github.com/pydantic/genai-prices",
        "licence": "MIT",
        "prices_checked": as_of.isoformat(),
        "unit": "USD per million tokens",
        "urls": {provider.id: provider.pricing_urls or [] for provider in _wanted()},
        "models": [model for provider in _wanted() for model in _models(provider, as_of)],
    }


def render(catalogue: Plain) -> bytes:
    """JSON with one model a line, so that a change of price is a change of one line."""
    head = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in catalogue.items() if key != "models")
    models = ",\n".join(json.dumps(model) for model in cast(list[Plain], catalogue["models"]))
    return ("{\n" + ",\n".join(head) + ',\n"models": [\n' + models + "\n]\n}\n").encode()


def _wanted() -> list[source.Provider]:
    return [provider for provider in providers if provider.id in PROVIDERS]


def _models(provider: source.Provider, as_of: date) -> list[Plain]:
    models = ((model, _price(model, as_of)) for model in provider.models)
    return [
        {"provider": provider.id, "id": model.id, "match": _rules(model.match), **price}
        for model, price in models
        if price
    ]


def _rules(match: source.MatchLogic) -> dict[str, list[str]]:
    """The rules by kind; a name matches if any of them does."""
    rules: dict[str, list[str]] = {}
    for clause in match.or_ if isinstance(match, source.ClauseOr) else [match]:
        kind = RULES.get(type(clause))
        if kind is None:
            raise TypeError(f"a rule that the catalogue can't express: {clause}")
        rules.setdefault(kind, []).append(getattr(clause, kind))
    return rules


def _price(model: source.ModelInfo, as_of: date) -> Plain | None:
    """None for what is not sold by the text token."""
    always, by_hour = _current(model, as_of)
    base = _texts(always, lambda price: price.base)
    if not {"input", "output"} <= base.keys():
        return None
    peak = dict(base)
    for price in by_hour:
        for field, text in _texts(price, lambda price: price.base).items():
            peak[field] = max(peak.get(field, text), text, key=Decimal)
    found: Plain = dict(peak)
    if peak != base:
        found["off_peak"] = base
    if tiers := _tiers(always):
        found["tiers"] = tiers
    return found


def _current(model: source.ModelInfo, as_of: date) -> tuple[source.ModelPrice, list[source.ModelPrice]]:
    """The price on that day, and those that replace it at certain hours of it."""
    if isinstance(model.prices, source.ModelPrice):
        return model.prices, []
    always = model.prices[0].prices
    by_hour: list[source.ModelPrice] = []
    moment = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    for conditional in model.prices:
        if isinstance(conditional.constraint, source.TimeOfDateConstraint):
            by_hour.append(conditional.prices)
        elif conditional.constraint is None or conditional.constraint.active(moment):
            always, by_hour = conditional.prices, []  # later ones take precedence
    return always, by_hour


def _texts(price: source.ModelPrice, pick: Callable[[source.TieredPrices], Decimal]) -> dict[str, str]:
    """field -> decimal string, of the fields that have a price."""
    texts: dict[str, str] = {}
    for field in FIELDS:
        value = getattr(price, f"{field}_mtok")
        if value is not None:
            tiered = value if isinstance(value, source.TieredPrices) else source.TieredPrices(base=value, tiers=[])
            texts[field] = f"{pick(tiered):f}"
    return texts


def _tiers(price: source.ModelPrice) -> list[Plain]:
    """The whole request's price once its input is longer than `over` tokens."""
    starts = sorted(
        {
            tier.start
            for field in FIELDS
            if isinstance(value := getattr(price, f"{field}_mtok"), source.TieredPrices)
            for tier in value.tiers
        }
    )

    def at(start: int) -> Callable[[source.TieredPrices], Decimal]:
        return lambda value: next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)

    return [{"over": start, **_texts(price, at(start))} for start in starts]


def main() -> None:
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    content = render(build(datetime.now(tz=UTC).date()))
    TARGET.write_bytes(content)
    sys.stdout.write(f"{TARGET.name}: {len(content) / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
