"""pydantic-ai as a client: its three models for these wires, over both wires of providers."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ImageUrl, ModelHTTPError, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.conftest import CALLED, GOOD, ROUTES, Gateway


class Word(BaseModel):
    word: str


WIRES = ("chat", "responses", "messages")


class City(BaseModel):
    name: str
    people: int


def through(gate: Gateway, wire: str, route: str, key: str = "") -> Model:
    if wire == "messages":
        claude = AnthropicProvider(base_url=gate.root, api_key=key or gate.key)
        return AnthropicModel(route, provider=claude, profile=ModelProfile(supports_json_schema_output=True))
    provider = OpenAIProvider(base_url=gate.url, api_key=key or gate.key)
    kind = OpenAIChatModel if wire == "chat" else OpenAIResponsesModel
    return kind(route, provider=provider)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
async def test_words(gate: Gateway, wire: str, route: str) -> None:
    """Whole, going on with its own history, and streamed; what it used is counted the same."""
    agent = Agent(through(gate, wire, route), instructions="Be kind.")
    first = await agent.run("Hello")
    assert first.output == GOOD
    again = await agent.run(["And this?", ImageUrl("https://example.com/a.png")], message_history=first.all_messages())
    assert again.output == GOOD
    async with agent.run_stream("Hello") as stream:
        assert await stream.get_output() == GOOD
        assert stream.usage.output_tokens == first.usage.output_tokens > 0


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
async def test_tools(gate: Gateway, wire: str, route: str) -> None:
    """A tool is called with its arguments and its result goes back, whole and streamed."""
    agent = Agent(through(gate, wire, route))
    called: list[int] = []

    @agent.tool_plain
    def squared(number: int) -> int:
        called.append(number)
        return number * number

    assert (await agent.run("What is 12 squared?")).output == GOOD
    async with agent.run_stream("What is 13 squared?") as stream:
        assert await stream.get_output() == GOOD
    assert called == [12, 13]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
async def test_structures(gate: Gateway, wire: str, route: str) -> None:
    """By a tool, by the wire's own JSON schema, and by words in the prompt."""
    model = through(gate, wire, route)
    for wanted in (ToolOutput(City), NativeOutput(City)):
        found = await Agent(model, output_type=wanted).run("How many of the 300 people live in 'Bern'?")
        assert found.output == City(name="Bern", people=300)
    prompted = Agent(model, output_type=PromptedOutput(Word))
    assert (await prompted.run("A JSON object with 'word'.")).output == Word(word="word")


@pytest.mark.parametrize("route", CALLED)
@pytest.mark.parametrize("wire", WIRES)
async def test_models_without_schemas(gate: Gateway, wire: str, route: str) -> None:
    """Answers are as of models that have them, whole and streamed."""
    agent = Agent(through(gate, wire, route), output_type=NativeOutput(City))
    bern = City(name="Bern", people=300)
    assert (await agent.run("How many of the 300 people live in 'Bern'?")).output == bern
    async with agent.run_stream("How many of the 300 people live in 'Bern'?") as stream:
        assert await stream.get_output() == bern


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
async def test_files(gate: Gateway, wire: str, route: str) -> None:
    """A PDF goes over every wire, and a text beside it."""
    files = [
        BinaryContent(b"%PDF-1.7", media_type="application/pdf"),
        BinaryContent(b"a;b", media_type="text/plain"),
    ]
    assert (await Agent(through(gate, wire, route)).run(["Read this.", *files])).output == GOOD


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
async def test_errors(gate: Gateway, wire: str, route: str) -> None:
    """Each as the client's own error, with its status; the provider's words stay behind."""
    for name, key, words, status in (
        ("nothing", "", "Hello", 404),
        (route, "tw-wrong", "Hello", 401),
        (route, "", "no key", 502),
    ):
        with pytest.raises(ModelHTTPError) as caught:
            await Agent(through(gate, wire, name, key)).run(words)
        assert caught.value.status_code == status
        assert "canary" not in str(caught.value)
    with pytest.raises(Exception, match=r"(?i)torn|broke|ended|cut|provider"):
        async with Agent(through(gate, wire, route)).run_stream("come to pieces") as stream:
            await stream.get_output()
