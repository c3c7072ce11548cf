"""The steps before a first answer, on real files and a real store."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tierwise.errors import WeightsError
from tierwise.gateway.access.keys import digest
from tierwise.gateway.settings import load, pepper, read_environment
from tierwise.gateway.setup.first_run import end_key, ensure_config, fetch_missing, first_key, key_standings, new_key


def test_a_config_is_written_once(tmp_path: Path) -> None:
    """And left alone from then on."""
    environment, path = read_environment({}), tmp_path / "t.toml"
    config, written = ensure_config(path, environment)
    assert written
    path.write_text("# mine\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    again, written = ensure_config(path, environment)
    assert not written
    assert again == config
    assert path.read_text(encoding="utf-8").startswith("# mine")


async def test_the_first_key_is_made_once(tmp_path: Path) -> None:
    """Only for a store that never had one: a revoked key is not followed by a free new one."""
    environment = read_environment({})
    config, _ = ensure_config(tmp_path / "t.toml", environment)
    text = await first_key(config, environment)
    assert text is not None
    assert await first_key(config, environment) is None
    (standing,) = await key_standings(config)
    key = standing.key
    assert (key.name, key.budget_nanos, standing.posted, standing.held) == ("first", None, 0, 0)
    assert key.digest == digest(text, pepper(config, environment))
    assert await end_key(config, key.id)
    assert not await end_key(config, key.id)
    assert await first_key(config, environment) is None
    second, _ = await new_key(config, environment, "second", 3)
    assert [found.key.id for found in await key_standings(config)] == [key.id, second.id]


def test_only_missing_weights_are_fetched(tmp_path: Path) -> None:
    """What is here is left alone; what nobody has is an error."""
    content = b"weights"
    (tmp_path / "here.gguf").write_bytes(content)
    table = '[models.{}]\nprovider = "local"\nweights = ["{}"]\nsha256 = "{}"\n'
    here = table.format("here", "here.gguf", hashlib.sha256(content).hexdigest())
    path, environment = tmp_path / "t.toml", read_environment({"XDG_CACHE_HOME": str(tmp_path)})
    told: list[str] = []

    def tell(model: str, done: int, total: int | None, what: str) -> None:
        told.append(model)

    path.write_text(here, encoding="utf-8")
    assert fetch_missing(load(path, {}), environment, tell) == ()
    assert told == []
    path.write_text(here + table.format("gone", "gone.gguf", "00" * 32), encoding="utf-8")
    with pytest.raises(WeightsError, match="no such file"):
        fetch_missing(load(path, {}), environment, tell)
