"""From a config to what the core sees."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec

from tierwise.core.tariff import pricing
from tierwise.gateway.prices.catalogue import ceiling, lookup, tariffs_of
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.snapshot import Snapshot, build
from tierwise.types import Checks, Model, Price, Route, Vector

TEXT = """\
[models.cheap]
provider = "openai"
model = "gpt-4o-mini"
[models.own]
provider = "openai"
model = "gpt-4o-mini"
price = { input = "0.0000015", output = 2 }
[models.elsewhere]
provider = "openai"
model = "gpt-4o-mini"
base_url = "http://127.0.0.1:9/v1"
context = 100
max_output = 7
logprobs = true
[models.demo]
provider = "scripted"
script = "demo.json"
[routes.support]
tiers = ["elsewhere", "cheap"]
mode = "enforce"
uncertified = "checks"
max_harm = 0.01
confidence = 0.9
hold = "window"
window = 5
audit = 0.5
observe = 0.25
evidence_usd_per_day = 2.5
keep_days = 7
floor = ["legal", "legal"]
premium_down = "draft"
opinions = ["own"]
opinion_form = "reason"
judge = "demo"
escalate_above = 0.25
usd_per_second = 0.0000001
checks = { min_logprob = -2, max_repeats = 9, vectors = [{ expect = "yes" }] }
"""


def snapshot(tmp_path: Path) -> Snapshot:
    path = tmp_path / "c.toml"
    path.write_text(TEXT, encoding="utf-8")
    return build(load(path, {}), read_environment({}))


def test_models(tmp_path: Path) -> None:
    """The config's price before the catalogue's; no price where neither knows one."""
    found = snapshot(tmp_path)
    cheap = Model("cheap", "openai", "gpt-4o-mini", lookup("openai", "gpt-4o-mini"))
    listed = pricing(tariffs_of("openai", "gpt-4o-mini"), int(time.time()))
    assert found.models["cheap"] == msgspec.structs.replace(cheap, pricing=listed, open_weights=False)
    assert listed is not None
    assert found.models["own"].pricing is None
    assert found.models["own"].price == Price(2, 2_000_000, 2, 2, "config")
    assert found.models["elsewhere"] == Model("elsewhere", "openai", "gpt-4o-mini", None, 7, 100, True)
    assert found.unpriced() == ("elsewhere", "demo")
    assert found.ceiling == ceiling()


def test_routes(tmp_path: Path) -> None:
    """Every setting of a route arrives."""
    found = snapshot(tmp_path)
    assert found.routes == {
        "support": Route(
            name="support",
            tiers=(found.models["elsewhere"], found.models["cheap"]),
            mode="enforce",
            uncertified="checks",
            max_harm=0.01,
            confidence=0.9,
            hold="window",
            window=5,
            audit=0.5,
            observe=0.25,
            aside_nanos=2_500_000_000,
            keep_days=7,
            floor=frozenset({"legal"}),
            premium_down="draft",
            checks=Checks(-2.0, 9, (Vector("yes"),)),
            opinions=(found.models["own"],),
            opinion_form="reason",
            judge=found.models["demo"],
            escalate_above=0.25,
            nanos_per_second=100,
        )
    }


def test_a_list_of_the_operator_s(tmp_path: Path) -> None:
    """Before the catalogue's price, after the config's own, which no discount touches."""
    entry = {"provider": "openai", "name": "gpt-4o-mini", "periods": [{"source": "us", "input": "7", "output": "8"}]}
    (tmp_path / "own.json").write_text(json.dumps({"models": [entry]}), encoding="utf-8")
    path = tmp_path / "c.toml"
    path.write_text(TEXT + '[prices]\noverlays = ["own.json"]\nmultipliers = { openai = 0.5 }', encoding="utf-8")
    found = build(load(path, {}), read_environment({})).models
    assert found["cheap"].price == Price(3_500_000, 4_000_000, 3_500_000, 3_500_000, "us, x 0.5")
    path.write_text(TEXT + '[prices]\noverlays = ["own.json"]\n', encoding="utf-8")
    found = build(load(path, {}), read_environment({})).models
    assert found["cheap"].price == Price(7_000_000, 8_000_000, 7_000_000, 7_000_000, "us")
    assert found["own"].price == Price(2, 2_000_000, 2, 2, "config")
    assert found["elsewhere"].price is None


def test_a_machine_of_one_s_own(tmp_path: Path) -> None:
    """By the hour and the measured speed, rounded up; without a speed of reading, reading costs what writing does."""
    path = tmp_path / "c.toml"
    machine = "gpu_usd_per_hour = 1.2, tokens_per_second = 900"
    for more, read in (("", 370_371), (", input_tokens_per_second = 9000", 37_038)):
        priced = f"price = {{ {machine}{more} }}"
        path.write_text(TEXT.replace('price = { input = "0.0000015", output = 2 }', priced), encoding="utf-8")
        said = "config: 1.2 USD a GPU hour at 900 tokens/s"
        found = build(load(path, {}), read_environment({})).models["own"]
        assert found.price == Price(read, 370_371, read, read, said)
        assert found.pricing is None
