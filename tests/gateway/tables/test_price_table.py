"""The config's `[prices]` table, through real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateway.test_settings import GOOD, config, problems
from tierwise.errors import ConfigError
from tierwise.gateway.tables.price_table import Terms


def write(path: Path, *names: str) -> None:
    periods = [{"source": "us", "input": "1", "output": "2"}]
    models = [{"provider": "openai", "name": name, "periods": periods} for name in names]
    path.write_text(json.dumps({"models": models}), encoding="utf-8")


def test_no_lists(tmp_path: Path) -> None:
    """A config need not name any."""
    found = config(tmp_path, GOOD)
    assert found.prices.overlays == ()
    assert found.prices.terms(found.folder) == Terms()


def test_lists_are_read_from_the_config_s_folder(tmp_path: Path) -> None:
    """In its order, relative or absolute."""
    write(tmp_path / "one.json", "a")
    write(tmp_path / "two.json", "b")
    found = config(tmp_path, GOOD + f'[prices]\noverlays = ["two.json", "{tmp_path}/one.json"]\n')
    assert [prices.models[0].name for prices in found.prices.terms(found.folder).lists] == ["b", "a"]
    (tmp_path / "two.json").unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        found.prices.terms(found.folder)


def test_wrong_lists_are_told_with_the_config_s_line(tmp_path: Path) -> None:
    """All of them, each mistake at once."""
    (tmp_path / "bad.json").write_text('{"models": [{"provider": "openai"}]}', encoding="utf-8")
    found = problems(tmp_path, GOOD + '[prices]\noverlays = ["none.json", "bad.json"]\nurl = "x"\n')
    assert found == [
        f"tierwise.toml:12: prices.overlays: {tmp_path}/none.json: can't be read: No such file or directory",
        f'tierwise.toml:12: prices.overlays: {tmp_path}/bad.json: models.1: "name" is a required property',
        f'tierwise.toml:12: prices.overlays: {tmp_path}/bad.json: models.1: "periods" is a required property',
        "tierwise.toml:13: prices.url: expected an http:// or https:// address without a user",
    ]


def test_how_many_lists(tmp_path: Path) -> None:
    """A hundred; more are a mistake, and are not read."""
    write(tmp_path / "one.json", "a")
    assert len(config(tmp_path, GOOD + f"[prices]\noverlays = {['one.json'] * 100}\n").prices.overlays) == 100
    found = problems(tmp_path, GOOD + f"[prices]\noverlays = {['none.json'] * 101}\n")
    assert found == ["tierwise.toml:12: prices.overlays: at most 100 files"]


def test_multipliers(tmp_path: Path) -> None:
    """A model's own before its provider's; 1 where nothing is said; finer than a millionth is rounded up."""
    text = GOOD + "[prices]\nmultipliers = { openai = 0.9, deepseek = 1.1, cheap = 0.33333334 }\n"
    found = config(tmp_path, text)
    terms = found.prices.terms(found.folder)
    assert terms.factor("premium", "openai") == 900_000
    assert terms.factor("cheap", "deepseek") == 333_334
    assert terms.factor("other", "anthropic") == 1_000_000


def test_wrong_multipliers(tmp_path: Path) -> None:
    """Of nobody, of nothing, of too much."""
    found = problems(
        tmp_path, GOOD + "[prices]\nmultipliers = { opnai = 0.9, openai = 0, cheap = 10.1, premium = nan }\n"
    )
    where = "tierwise.toml:12: prices.multipliers"
    range_ = "must be above 0 and at most 10; 0.9 is a discount of 10 %"
    assert found == [
        f'{where}.opnai: neither a model of this config nor a provider; did you mean "openai"?',
        f"{where}.openai: {range_}",
        f"{where}.cheap: {range_}",
        f"{where}.premium: {range_}",
    ]
