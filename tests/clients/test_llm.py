"""llm as a client: its models of Chat Completions, Responses and Completions, over both wires of providers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import llm
import pytest

from tests.clients.conftest import GOOD, ROUTES, Gateway

KINDS: dict[str, dict[str, bool]] = {"chat": {}, "responses": {"responses": True}, "completion": {"completion": True}}


@pytest.fixture(scope="module", autouse=True)
def _models(gate: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As its user would have it: a file of models. JSON is YAML too."""
    folder: Path = tmp_path_factory.mktemp("llm")
    models = [
        {
            "model_id": f"{kind}-{route}",
            "model_name": route,
            "api_base": gate.url,
            "api_key_name": "tierwise",
            **options,
        }
        | ({} if kind == "completion" else {"supports_tools": True, "supports_schema": True})
        for kind, options in KINDS.items()
        for route in ROUTES
    ]
    (folder / "extra-openai-models.yaml").write_text(json.dumps(models))
    (folder / "keys.json").write_text(json.dumps({"tierwise": gate.key}))
    before = os.environ.get("LLM_USER_PATH")
    os.environ["LLM_USER_PATH"] = str(folder)
    yield
    if before is None:
        del os.environ["LLM_USER_PATH"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", KINDS)
def test_words(kind: str, route: str) -> None:
    """Whole and streamed, in a conversation."""
    model = llm.get_model(f"{kind}-{route}")
    assert model.prompt("Hello", stream=False).text() == GOOD
    talk = model.conversation()
    assert "".join(talk.prompt("Hello")) == GOOD
    answer = talk.prompt("And then?")
    assert answer.text() == GOOD
    if kind != "completion":
        assert answer.usage().output > 0


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_tools_and_schemas(kind: str, route: str) -> None:
    """A chain of calls to its end; a document that fits a schema."""
    model = llm.get_model(f"{kind}-{route}")
    called: list[int] = []

    def squared(number: int) -> int:
        """The square of a number."""
        called.append(number)
        return number * number

    for streamed in (True, False):
        assert model.chain("What is 12 squared?", tools=[squared], stream=streamed).text().endswith(GOOD)
    assert called == [12, 12]
    found = model.prompt("The 300 people of 'Bern'", schema=llm.schema_dsl("name, people int"), stream=False)
    assert json.loads(found.text()) == {"name": "Bern", "people": 300}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_not_blocking(kind: str, route: str) -> None:
    """Its models for event loops."""

    async def ask() -> str:
        return str(await llm.get_async_model(f"{kind}-{route}").prompt("Hello").text())

    assert asyncio.run(ask()) == GOOD
