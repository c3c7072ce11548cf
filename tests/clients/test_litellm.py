"""litellm as a client: every wire that it speaks to a gateway, over both wires of providers."""

from __future__ import annotations

from typing import Any

import litellm
import pytest

from tests.clients.conftest import GOOD, ROUTES, Gateway

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "squared",
            "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}},
        },
    }
]
SCHEMA: Any = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
WIRES = ("openai", "openai/responses", "anthropic")


def at(gate: Gateway, wire: str, route: str, text: str = "Hello", **options: Any) -> dict[str, Any]:
    base = gate.root if wire == "anthropic" else gate.url
    asked: Any = {"model": f"{wire}/{route}", "api_base": base, "api_key": gate.key, "num_retries": 0, "max_retries": 0}
    return asked | {"messages": [{"role": "user", "content": text}], "max_tokens": 64} | options


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
def test_words(gate: Gateway, wire: str, route: str) -> None:
    """Whole, and streamed with its usage."""
    whole = litellm.completion(**at(gate, wire, route))
    assert whole.choices[0].message.content == GOOD
    pieces = list(litellm.completion(**at(gate, wire, route), stream=True, stream_options={"include_usage": True}))
    joined = litellm.stream_chunk_builder(pieces)
    assert joined.choices[0].message.content == GOOD
    assert joined.usage.completion_tokens == whole.usage.completion_tokens > 0


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
async def test_tools_and_schemas(gate: Gateway, wire: str, route: str) -> None:
    """A call, whole and streamed; its result; a document that fits a schema."""
    asked = at(gate, wire, route, "What is 12 squared?", tools=TOOLS, tool_choice="required")
    whole = await litellm.acompletion(**asked)
    (call,) = whole.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments.replace(" ", "")) == ("squared", '{"number":12}')
    joined = litellm.stream_chunk_builder([piece async for piece in await litellm.acompletion(**asked, stream=True)])
    (streamed,) = joined.choices[0].message.tool_calls
    assert streamed.function.arguments.replace(" ", "") == '{"number":12}'
    result = {"role": "tool", "tool_call_id": call.id, "content": "144"}
    turns = [*asked["messages"], whole.choices[0].message.model_dump(), result]
    assert (await litellm.acompletion(**asked | {"messages": turns, "tool_choice": "auto"})).choices[0].message.content
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
    found = await litellm.acompletion(**at(gate, wire, route, "Where is 'Bern'?", response_format=form))
    assert found.choices[0].message.content.replace(" ", "") == '{"name":"Bern"}'


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("wire", WIRES)
def test_errors(gate: Gateway, wire: str, route: str) -> None:
    """Each as the client's own error; a torn stream is none that ended."""
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**at(gate, wire, "nothing"))
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(**at(gate, wire, route, api_key="tw-wrong"))
    with pytest.raises(litellm.BadGatewayError) as caught:
        litellm.completion(**at(gate, wire, route, "no key"))
    assert "canary" not in str(caught.value)
    with pytest.raises(Exception, match=r"(?i)provider|broke|error"):
        list(litellm.completion(**at(gate, wire, route, "come to pieces"), stream=True))


def test_other_wires(gate: Gateway) -> None:
    """Responses and their streams by their own call, completions, vectors."""
    own: Any = {"api_base": gate.url, "api_key": gate.key}
    for route in ROUTES:
        assert litellm.responses(model=f"openai/{route}", input="Hello", **own).output[0].content[0].text == GOOD
        events = list(litellm.responses(model=f"openai/{route}", input="Hello", stream=True, **own))
        assert events[-1].type == "response.completed"
        old = litellm.text_completion(model=f"text-completion-openai/{route}", prompt="Hello", max_tokens=64, **own)
        assert old.choices[0].text == GOOD
    vectors = litellm.embedding(model="openai/cheap", input=["one", "two"], **own).data
    assert len(vectors) == 2
    assert vectors[0]["embedding"] != vectors[1]["embedding"]
