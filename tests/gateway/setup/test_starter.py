"""The starter config, written to real files and loaded again."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tierwise.errors import ConfigError
from tierwise.gateway.prices.catalogue import lookup
from tierwise.gateway.settings import Config, load, read_environment
from tierwise.gateway.setup.starter import PAIRS, starter, write
from tierwise.gateway.snapshot import build
from tierwise.gateway.tables.model_table import KEY_NAMES

SECRET = "sk-a-secret-of-the-operator"


def started(tmp_path: Path, *providers: str) -> tuple[Config, str]:
    environment = read_environment({KEY_NAMES[provider]: SECRET for provider in providers})
    text = starter(environment)
    path = tmp_path / f"{'-'.join(providers) or 'none'}.toml"
    write(path, text)
    return load(path, environment.variables), text


def test_without_keys_two_local_models(tmp_path: Path) -> None:
    """Both priced by the formula that the comment gives, so that nothing counts as unknown."""
    config, _ = started(tmp_path)
    snapshot = build(config, read_environment({}))
    assert {model.provider for model in snapshot.models.values()} == {"local"}
    assert snapshot.unpriced() == ()
    for name, (read, written) in {"small": (83, 24), "large": (36, 16)}.items():
        price = snapshot.models[name].price
        assert price is not None
        assert price.input == pytest.approx(12.5e6 / read, rel=0.01)
        assert price.output == pytest.approx(12.5e6 / written, rel=0.01)
        assert config.models[name].weights[0].startswith("hf:Qwen/")
    assert [tier.name for tier in snapshot.routes["default"].tiers] == ["small", "large"]
    assert (snapshot.routes["default"].hold, snapshot.routes["support"].hold) == ("draft", "window")
    assert all((r.mode, r.uncertified) == ("enforce", "checks") for r in snapshot.routes.values())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_with_keys_the_cheapest_before_the_best(tmp_path: Path, count: int) -> None:
    """Every mix of keys gives a config that loads, of those keys' models alone, and names no secret."""
    for providers in itertools.combinations([pair.provider for pair in PAIRS], count):
        config, text = started(tmp_path, *providers)
        assert SECRET not in text
        assert {model.api_key_env for model in config.models.values()} <= {KEY_NAMES[name] for name in providers}
        cheap, premium = config.models["cheap"], config.models["premium"]
        assert premium.model == next(pair.premium for pair in PAIRS if pair.provider in providers)
        price, best = lookup(cheap.provider, cheap.model), lookup(premium.provider, premium.model)
        assert price is not None
        assert best is not None
        assert price.output < best.output
        assert all(lookup(p.provider, p.cheap).output >= price.output for p in PAIRS if p.provider in providers)  # type: ignore[union-attr]


def test_proposed_models_are_in_the_catalogue() -> None:
    """Whoever removes one from sale shows up here."""
    for pair in PAIRS:
        assert lookup(pair.provider, pair.cheap) is not None
        assert lookup(pair.provider, pair.premium) is not None


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """Unless forced; a place that can't be written is told."""
    path = tmp_path / "folder" / "t.toml"
    write(path, "a")
    with pytest.raises(ConfigError, match="is there already; --force overwrites it"):
        write(path, "b")
    assert path.read_text(encoding="utf-8") == "a"
    write(path, "b", force=True)
    assert path.read_text(encoding="utf-8") == "b"
    with pytest.raises(ConfigError, match="can't be written: File exists"):
        write(path / "below", "c")
