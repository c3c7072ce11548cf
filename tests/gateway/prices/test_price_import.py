"""Other people's price files, through real files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core import tariff
from tierwise.errors import ConfigError
from tierwise.gateway.prices.price_import import Imported, read_prices
from tierwise.gateway.prices.price_lists import SCHEMA, Period, read, render
from tierwise.types import Usage

CHEAP = {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
HEAD = "provider,model,input,output"


def imported(tmp_path: Path, raw: object, checked: date | None = None) -> Imported:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    return read_prices(path, checked)


def period(tmp_path: Path, **row: Any) -> Period:
    (entry,) = imported(tmp_path, {"m": CHEAP | row}).prices.models
    return entry.periods[0]


def table(tmp_path: Path, *lines: str) -> Imported:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return read_prices(path)


def test_litellm(tmp_path: Path) -> None:
    """Every kind of price that the file has a name for, per million tokens and exact."""
    row = {
        "litellm_provider": "openai",
        "source": "https://provider.example/pricing",
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1e-07,
        "cache_creation_input_token_cost": 2.5e-06,
        "cache_creation_input_token_cost_above_1hr": 4e-06,
        "output_cost_per_reasoning_token": 1.2500000000000001e-05,
        "input_cost_per_audio_token": 4e-05,
        "input_cost_per_image_token": 5e-06,
        "output_cost_per_audio_token": 8e-05,
        "input_cost_per_request": 0.005,
        "input_cost_per_token_above_272k_tokens": 4e-06,
        "output_cost_per_token_above_272k_tokens": 1.5e-05,
        "input_cost_per_token_batches": 1e-06,
        "output_cost_per_token_batches": 5e-06,
        "input_cost_per_token_flex": 1e-06,
        "output_cost_per_token_flex": 5e-06,
        "input_cost_per_token_priority": 4e-06,
        "output_cost_per_token_priority": 2e-05,
        "input_cost_per_token_above_272k_tokens_priority": 8e-06,
        "output_cost_per_token_above_272k_tokens_priority": 3e-05,
    }
    found = imported(tmp_path, {"gpt-x": row}, date(2026, 11, 28))
    (entry,) = found.prices.models
    assert (entry.provider, entry.name, found.left_out) == ("openai", "gpt-x", {})
    assert msgspec.json.decode(msgspec.json.encode(entry.periods[0])) == {
        "source": "https://provider.example/pricing",
        "checked": "2026-11-28",
        "input": "2",
        "output": "10",
        "cache_read": "0.1",
        "cache_write_5m": "2.5",
        "cache_write_1h": "4",
        "reasoning": "12.5",
        "audio": "40",
        "image": "5",
        "speech": "80",
        "per_request": "0.005",
        "long": [{"over": 272_000, "input": "4", "output": "15"}],
        "services": {
            "batch": {"input": "1", "output": "5"},
            "flex": {"input": "1", "output": "5"},
            "priority": {"input": "4", "output": "20", "long": [{"over": 272_000, "input": "8", "output": "30"}]},
        },
    }


def test_litellm_leaves_out_what_has_no_place(tmp_path: Path) -> None:
    """And counts it by its reason; the provider's name in front of a model's goes."""
    raw = {
        "sample_spec": {"litellm_provider": "openai"},
        "deepseek/deepseek-x": CHEAP | {"litellm_provider": "deepseek"},
        "azure/gpt-x": CHEAP | {"litellm_provider": "azure"},
        "together/x": CHEAP | {"litellm_provider": "together_ai"},
        "dall-e": {"litellm_provider": "openai", "output_cost_per_image": 0.02},
        "odd": CHEAP | {"input_cost_per_token": -1},
        "version": 3,
    }
    found = imported(tmp_path, raw)
    assert [(entry.provider, entry.name) for entry in found.prices.models] == [("deepseek", "deepseek-x")]
    assert found.left_out == {"another provider": 2, "no price for tokens in and out": 2}
    assert found.prices.models[0].periods[0].source == "prices.json"


@pytest.mark.parametrize(
    ("block", "hours"),
    [
        ({"hours_utc": "16:30-00:30"}, ["16:30-00:30"]),
        ({"windows": [{"hours_utc": "10:00-01:00"}, {"hours_utc": "04:00-06:00"}]}, ["10:00-01:00", "04:00-06:00"]),
        ({"windows": [{"hours_utc": "10:00-01:00", "weekdays": [0]}]}, []),
        ({"hours_utc": "always"}, []),
        ({"hours_utc": "24:00-01:00"}, []),
        ({}, []),
    ],
)
def test_litellm_s_hours(tmp_path: Path, block: dict[str, Any], hours: list[str]) -> None:
    """Daily ones by the share that is too low for no kind of token; what can't be read costs the standard price."""
    rates = {"input_cost_per_token": 5e-07, "output_cost_per_token": 6e-07}
    found = period(tmp_path, off_peak_pricing=rates | block).windows
    assert [f"{window.start}-{window.end}" for window in found] == hours
    assert {window.multiplier for window in found} <= {Decimal("0.5")}


def test_litellm_s_hours_need_every_price(tmp_path: Path) -> None:
    """A rate that the off-peak block does not name may be the dear one."""
    block = {"hours_utc": "16:30-00:30", "input_cost_per_token": 5e-07}
    assert period(tmp_path, off_peak_pricing=block).windows == ()
    assert period(tmp_path, off_peak_pricing="cheap").windows == ()


@given(st.floats(min_value=1e-13, max_value=1, allow_nan=False), st.floats(min_value=0, max_value=1))
def test_no_price_is_lost(tmp_path_factory: pytest.TempPathFactory, fresh: float, out: float) -> None:
    """Whatever float stands there, the list that is written is a list, and asks what the file asks."""
    folder = tmp_path_factory.mktemp("prices")
    row = CHEAP | {"input_cost_per_token": fresh, "output_cost_per_token": out}
    found = imported(folder, {"m": row})
    path = folder / "list.json"
    path.write_bytes(render(found.prices))
    assert read(path) == found.prices
    one = read(path).models[0].periods[0].tariff()
    exact = (Decimal(repr(fresh)) * 1_000_000, Decimal(repr(out)) * 1_000_000)
    asked = tariff.dearest(one)
    for pico, usd in zip((asked.input, asked.output), exact, strict=True):
        assert usd * 1_000_000 - Decimal("0.000001") <= pico <= usd * 1_000_000 + 1


def test_csv(tmp_path: Path) -> None:
    """Named columns in any order and case; the same model twice has two periods."""
    found = table(
        tmp_path,
        "Model,provider,output,input,cache_write,cache_write_1h,per_request,valid_from,valid_to,source,checked,host",
        "m,OpenAI,10,$2.50,3,5,0.01,2026-01-01,2026-07-01,contract 7,2026-11-01,",
        "m,openai,9,2,,,,2026-07-01T02:00:00+02:00,,,,",
        "m,openai,1,1,,,,,,,,models.example",
        "x,mistral,1,1,,,,,,,,",
        "y,openai,,1,,,,,,,,",
    )
    first, there = found.prices.models
    old, new = first.periods
    rates = (old.input, old.output, old.cache_write_5m, old.cache_write_1h)
    assert rates == tuple(Decimal(usd) for usd in ("2.5", "10", "3", "5"))
    assert (old.per_request, old.source, old.checked) == (Decimal("0.01"), "contract 7", date(2026, 11, 1))
    assert old.valid_to == new.valid_from == datetime(2026, 7, 1, tzinfo=UTC)
    assert (new.source, new.checked, new.per_request, new.valid_to) == ("prices.csv", None, None, None)
    assert (there.name, there.host) == ("m", "models.example")
    assert found.left_out == {"another provider": 1, "no price for tokens in and out": 1}


def test_our_own_forms(tmp_path: Path) -> None:
    """A price list as it is, the vendored snapshot without its off-peak prices."""
    path = SCHEMA.parent / "overlays" / "deepseek.json"
    assert read_prices(path).prices == read(path)
    found = {entry.name: entry for entry in read_prices(SCHEMA.parent / "genai-prices.json").prices.models}
    sol = found["gpt-6.1-sol"].periods[0].tariff()
    assert tariff.cost(sol, 0, Usage(1000, 100)) == 3_000_000
    assert tariff.cost(sol, 0, Usage(300_000, 100, 0, 300_000)) == 300_000 * 5000 + 1_500_000
    assert found["deepseek-flash"].periods[0].windows == ()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.json", "{", "not JSON; expected a price list, LiteLLM's JSON, or a CSV file"),
        ("p.json", "[" * 100_000, "not JSON"),
        ("p.json", "[]", "expected an object"),
        ("p.json", "{}", "no price in it .*it is empty"),
        ("p.json", '{"m": {"litellm_provider": "groq"}}', "no price in it .*another provider: 1"),
        ("p.json", '{"models": []}', "p.json: models: "),
        ("p.csv", "a,b\n1,2", "needs columns input, model, output, provider"),
        ("p.csv", f"{HEAD},price\nopenai,m,1,2,3", "unknown columns price; known are provider, model"),
        ("p.csv", f"{HEAD}\nopenai,m,one,2", "p.csv:2: input: expected USD per million tokens"),
        ("p.csv", f"{HEAD}\nopenai,m,-1,2", "p.csv:2: input: expected USD"),
        ("p.csv", f"{HEAD}\nopenai,m,NaN,2", "p.csv:2: input: expected USD"),
        ("p.csv", f"{HEAD},checked\nopenai,m,1,2,May", "p.csv:2: checked: expected a day"),
        ("p.csv", f"{HEAD}\nopenai,m,1,2\nopenai,m,1,3", "m: period 2: overlaps an earlier one"),
        ("p.csv", f"{HEAD}\nopenai,m,99999999999,2", "periods.1.input"),
        ("p.csv", "", "needs columns"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, text: str, said: str) -> None:
    """Say where, what, and what was expected."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_prices(path)


def test_files_that_can_t_be_read(tmp_path: Path) -> None:
    """Missing, not text, too large."""
    with pytest.raises(ConfigError, match="can't be read"):
        read_prices(tmp_path / "none.csv")
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        read_prices(path)
    with path.open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(ConfigError, match="larger than 20 MB"):
        read_prices(path)
