"""Config to engine: every provider name reaches its file with its address, key and limits."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.support.shapes import Script
from tests.support.upstream import Scripted, serve
from tierwise.errors import ConfigError, StoreError, TimedOut
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine
from tierwise.providers.anthropic import AnthropicProvider
from tierwise.providers.local import LocalProvider
from tierwise.providers.openai import OpenAIProvider
from tierwise.providers.scripted import ScriptedProvider
from tierwise.types import Answer, Choice, Message, Request

CONFIG = """
[models.o]
provider = "openai"
model = "gpt-x"
base_url = "{url}/v1"
api_key_env = "O_KEY"
[models.open]
provider = "openai"
model = "gpt-x"
base_url = "{url}/v1"
limits = {{ first_token = 0.1 }}
[models.d]
provider = "deepseek"
model = "deepseek-chat"
base_url = "{url}/v1"
api_key_env = "D_KEY"
[models.a]
provider = "anthropic"
model = "claude-x"
base_url = "{url}/v1"
api_key_env = "A_KEY"
[models.l]
provider = "local"
weights = ["weights.gguf"]
sha256 = "{sha256}"
[models.s]
provider = "scripted"
script = "script.json"
[routes.strict]
tiers = ["o", "a"]
checks = {{ max_repeats = 2 }}
[routes.asking]
tiers = ["o", "a"]
opinions = ["s"]
"""
KEYS = {"O_KEY": "key-of-o", "D_KEY": "key-of-d", "A_KEY": "key-of-a"}


@asynccontextmanager
async def opened(folder: Path, *scripts: Script) -> AsyncIterator[tuple[Engine, Scripted]]:
    (folder / "script.json").write_text('[{"text": "hello"}]')
    path = folder / "c.toml"
    async with serve(scripts or (Script(),)) as upstream:
        path.write_text(CONFIG.format(url=upstream.url, sha256="0" * 64))
        environment = read_environment(KEYS | {"HOME": str(folder)})
        engine = await open_engine(load(path, {}), environment)
        try:
            yield engine, upstream
        finally:
            await engine.close()


async def said(engine: Engine, name: str) -> str:
    """The text that a configured model answers with."""
    request = Request(id="r", asked=name, messages=(Message("user", "hi"),), dialect="none")
    stream = engine.providers[name].stream(engine.snapshot.models[name], request)
    return "".join([chunk.text async for batch in stream for chunk in batch])


async def test_each_name_has_its_provider(tmp_path: Path) -> None:
    """And a model that is not local starts no process."""
    async with opened(tmp_path) as (engine, _):
        kinds = {name: type(provider) for name, provider in engine.providers.items()}
        assert kinds == {
            "o": OpenAIProvider,
            "open": OpenAIProvider,
            "d": OpenAIProvider,
            "a": AnthropicProvider,
            "l": LocalProvider,
            "s": ScriptedProvider,
        }
        assert await said(engine, "s") == "hello"


async def test_each_provider_is_asked_with_its_own_key(tmp_path: Path) -> None:
    """In its own header and at its own path; where none is named, none is sent."""
    async with opened(tmp_path) as (engine, upstream):
        for name in ("o", "open", "d", "a"):
            assert await said(engine, name) == Script().text
        openai, unkeyed, deepseek, anthropic = upstream.requests
        assert openai.headers["authorization"] == "Bearer key-of-o"
        assert "authorization" not in unkeyed.headers
        assert "x-api-key" not in unkeyed.headers
        assert deepseek.headers["authorization"] == "Bearer key-of-d"
        assert anthropic.headers["x-api-key"] == "key-of-a"
        assert [each.path for each in upstream.requests] == [*["/v1/chat/completions"] * 3, "/v1/messages"]
        assert [each.body["model"] for each in upstream.requests] == ["gpt-x", "gpt-x", "deepseek-chat", "claude-x"]


async def test_limits_reach_the_upstream(tmp_path: Path) -> None:
    """The config's seconds to the first token are what a hanging upstream gets."""
    async with opened(tmp_path, Script(delay=5)) as (engine, _):
        with pytest.raises(TimedOut) as caught:
            await said(engine, "open")
        assert "0.1 s" in caught.value.message


async def test_a_route_s_checks_are_its_verifier_s(tmp_path: Path) -> None:
    """Each route judges by its own thresholds."""
    async with opened(tmp_path) as (engine, _):
        assert engine.snapshot.routes["strict"].checks.max_repeats == 2
        assert set(engine.verifiers) == set(engine.routers) == {"strict", "asking"}
        request = Request(id="r", asked="strict", messages=(Message("user", "hi"),))
        assert engine.verifiers["strict"].score(request, Answer("o", ())).score == 0.0


async def test_open_answers_are_compared_by_meaning(tmp_path: Path) -> None:
    """Where others are asked, the verifier has the encoder: the same in other words agrees, something else does not."""
    texts = (
        "The invoice was paid twice, so we send the second payment back to your bank account within five days.",
        "Because you paid the invoice twice, we send the second payment back to your bank account within five days.",
        "Our office in the old town is closed on public holidays; please ring the bell at the side entrance instead.",
    )
    request = Request(id="r", asked="asking", messages=(Message("user", "What happens now?"),))
    draft, same, other = (Answer("o", (Choice(text, finish="stop"),)) for text in texts)
    async with opened(tmp_path) as (engine, _):
        verifier = engine.verifiers["asking"]
        assert verifier.score(request, draft, (same,)).score == 1.0
        assert verifier.score(request, draft, (same, other)).score == 0.0


async def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    """The config is at fault, and no store is left open behind it."""
    (tmp_path / "c.toml").write_text('[models.s]\nprovider = "scripted"\nscript = "none.json"\n')
    with pytest.raises(ConfigError) as caught:
        await open_engine(load(tmp_path / "c.toml", {}), read_environment({"HOME": str(tmp_path)}))
    assert "none.json" in caught.value.message
    assert not (tmp_path / "tierwise.db").exists()


async def test_a_store_that_can_not_be_opened(tmp_path: Path) -> None:
    """It is said, and nothing has been started."""
    (tmp_path / "c.toml").write_text('[store]\nurl = "sqlite:///none/tierwise.db"\n')
    with pytest.raises(StoreError):
        await open_engine(load(tmp_path / "c.toml", {}), read_environment({"HOME": str(tmp_path)}))


async def test_closing_leaves_nothing(tmp_path: Path) -> None:
    """Connections are closed, and the store has no living instance; closing twice does no harm."""
    async with opened(tmp_path) as (engine, upstream):
        await said(engine, "o")
        await engine.close()
        await engine.close()
        while upstream.open_connections:
            await asyncio.sleep(0)
        with closing(sqlite3.connect(tmp_path / "tierwise.db")) as conn:
            assert conn.execute("SELECT count(*) FROM instances").fetchone() == (0,)
