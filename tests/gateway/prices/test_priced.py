"""What a config's models cost and why, through real config files."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

from tierwise.gateway.prices.catalogue import catalogue, ceiling
from tierwise.gateway.prices.priced import listed, priced
from tierwise.gateway.settings import Config, load, read_environment
from tierwise.gateway.snapshot import build

NOVEMBER = 1_795_824_000  # 2026-11-28
TEXT = """\
[models.flash]
provider = "deepseek"
model = "deepseek-flash"
[models.old]
provider = "openai"
model = "gpt-3.5-turbo"
[models.own]
provider = "openai"
model = "gpt-4o"
price = { input = 1, output = 2, cache_read = 0.5 }
[models.there]
provider = "openai"
model = "gpt-4o"
base_url = "https://models.example/v1"
[models.nobody]
provider = "openai"
model = "gpt-99"
[models.demo]
provider = "scripted"
script = "demo.json"
[routes.support]
tiers = ["flash", "own"]
[prices]
overlays = ["own.json"]
"""
OWN = {
    "provider": "openai",
    "name": "gpt-4o",
    "host": "models.example",
    "periods": [{"source": "contract", "checked": "2026-11-01", "input": "7", "output": "8"}],
}


def config(tmp_path: Path) -> Config:
    (tmp_path / "own.json").write_text(json.dumps({"models": [OWN]}), encoding="utf-8")
    (tmp_path / "c.toml").write_text(TEXT, encoding="utf-8")
    return load(tmp_path / "c.toml", {})


def test_every_model_has_its_price_and_its_reason(tmp_path: Path) -> None:
    """As the snapshot has them, and an unknown one at the ceiling."""
    settings = config(tmp_path)
    found = {model.name: model for model in priced(settings, NOVEMBER)}
    snapshot = build(settings, read_environment({}))
    assert {name: model.price for name, model in found.items()} == {
        name: model.price for name, model in snapshot.models.items()
    }
    assert [(name, model.source, model.checked, model.varies) for name, model in found.items()] == [
        ("flash", "https://api-docs.deepseek.com/quick_start/pricing", date(2026, 11, 15), True),
        ("old", f"{catalogue().source}, {catalogue().prices_checked}", None, False),
        ("own", "config", None, False),
        ("there", "contract", date(2026, 11, 1), False),
        ("nobody", "unknown", None, False),
        ("demo", "unknown", None, False),
    ]
    assert found["nobody"].counts_as == found["demo"].counts_as == ceiling()
    assert found["flash"].counts_as == found["flash"].price


def test_another_day(tmp_path: Path) -> None:
    """Before its list starts a model costs what the snapshot says."""
    before = {model.name: model for model in priced(config(tmp_path), NOVEMBER - 100 * 86_400)}
    assert before["flash"].source == f"{catalogue().source}, {catalogue().prices_checked}"


def test_what_is_listed_under_a_name(tmp_path: Path) -> None:
    """A configured model's own, a provider's, anybody's; an operator's host beside the provider itself."""
    settings = config(tmp_path)

    def inputs(name: str, known: Config | None = settings) -> list[tuple[str, str, Decimal | None]]:
        return [(entry.name, entry.host, entry.periods[0].input) for entry in listed(name, known)]

    assert inputs("own") == [("gpt-4o", "", Decimal(1))]
    assert listed("own", settings)[0].periods[0].cache_read == Decimal("0.5")
    assert inputs("flash") == [("deepseek-flash", "", Decimal("0.3"))]
    assert inputs("old") == [("gpt-3.5-turbo", "", Decimal("0.5"))]
    assert inputs("there") == [("gpt-4o", "models.example", Decimal(7))]
    assert inputs("nobody") == inputs("demo") == inputs("gpt-99") == inputs("anthropic/gpt-4o") == []
    assert inputs("gpt-4o") == [("gpt-4o", "models.example", Decimal(7)), ("gpt-4o", "", Decimal("2.5"))]
    assert inputs("openai/gpt-4o", None) == [("gpt-4o", "", Decimal("2.5"))]
    assert inputs("gpt-3.5-turbo", None) == [("gpt-3.5-turbo", "", Decimal("0.5"))]
    tiered = listed("gpt-6-cyber", None)
    assert tiered[0].periods[0].cache_write_5m == Decimal(25)


def test_a_discount_is_said(tmp_path: Path) -> None:
    """In the price and behind its source."""
    config(tmp_path)
    path = tmp_path / "c.toml"
    path.write_text(TEXT + "multipliers = { deepseek = 0.8 }\n", encoding="utf-8")
    flash = priced(load(path, {}), NOVEMBER)[0]
    assert flash.price is not None
    assert (flash.price.input, flash.source) == (240_000, "https://api-docs.deepseek.com/quick_start/pricing, x 0.8")
