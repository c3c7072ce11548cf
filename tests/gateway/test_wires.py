"""Every wire of clients over every wire of providers, by the official SDKs on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from tests.gateway.harness import CONFIG, GOOD, Gateway, by_model, running
from tests.support.shapes import Script
from tierwise.gateway.conversations import Conversations
from tierwise.types import Message, Request

CLAUDE = """
[models.claude]
provider = "anthropic"
base_url = "{url}/v1"
model = "claude-1"
price = {{ input = 3, output = 15 }}
limits = {{ connect = 1, first_token = 1, idle = 1, total = 20 }}
"""
ROUTE = 'opinions = []\n[routes.direct]\ntiers = ["claude"]\n'
PROVIDERS = ("support", "direct")  # over OpenAI's wire, over Anthropic's
TOOLS: Any = [{"name": "track", "description": "tracks", "input_schema": {"type": "object"}}]
CALL = Script(match="tool", tool_calls=(("track", '{"id": 12345678901234567890, "a": 1}'),), finish="tool_calls")


@asynccontextmanager
async def gateway(folder: Path, *scripts: Script) -> AsyncIterator[Gateway]:
    several = (*scripts, CALL, *by_model(Script(text=GOOD)), Script(text=GOOD))
    async with running(folder, several, route=ROUTE, config=CONFIG + CLAUDE) as found:
        yield found


def messages(gate: Gateway) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=gate.url.removesuffix("/v1"), api_key=gate.key, max_retries=0)


def responses(gate: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gate.url, api_key=gate.key, max_retries=0)


@pytest.mark.parametrize("route", PROVIDERS)
async def test_anthropic_sdk(tmp_path: Path, route: str) -> None:
    """Whole, streamed, with tools and their results, and counting tokens; headers say who answered and what it cost."""
    async with gateway(tmp_path) as gate, messages(gate) as client:
        hello: Any = [{"role": "user", "content": "hi"}]
        raw = await client.messages.with_raw_response.create(model=route, max_tokens=64, messages=hello)
        assert raw.headers["x-tierwise-route"] == route
        assert raw.headers["request-id"] == raw.headers["x-request-id"]
        assert float(raw.headers["x-tierwise-cost-usd"]) > 0
        whole = await raw.parse()
        assert isinstance(whole.content[0], anthropic.types.TextBlock)
        assert (whole.content[0].text, whole.stop_reason) == (GOOD, "end_turn")
        assert whole.usage.output_tokens > 0
        async with client.messages.stream(model=route, max_tokens=64, messages=hello, system="Be kind.") as stream:
            final = await stream.get_final_message()
        assert isinstance(final.content[0], anthropic.types.TextBlock)
        assert (final.content[0].text, final.usage.output_tokens) == (GOOD, whole.usage.output_tokens)
        tool: Any = [{"role": "user", "content": "use the tool"}]
        called = await client.messages.create(model=route, max_tokens=64, messages=tool, tools=TOOLS)
        (use,) = [block for block in called.content if block.type == "tool_use"]
        assert (use.name, use.input, called.stop_reason) == ("track", {"id": 12345678901234567890, "a": 1}, "tool_use")
        async with client.messages.stream(model=route, max_tokens=64, messages=tool, tools=TOOLS) as stream:
            streamed = await stream.get_final_message()
        assert [block.input for block in streamed.content if block.type == "tool_use"] == [use.input]
        result: Any = [{"type": "tool_result", "tool_use_id": use.id, "content": "It is here."}]
        turns: Any = [*tool, {"role": "assistant", "content": called.content}, {"role": "user", "content": result}]
        again = await client.messages.create(model=route, max_tokens=64, messages=turns, tools=TOOLS)
        assert again.content
        assert (await client.messages.count_tokens(model=route, messages=hello)).input_tokens > 0


@pytest.mark.parametrize("route", PROVIDERS)
async def test_responses_sdk(tmp_path: Path, route: str) -> None:
    """Whole, streamed, with tools and their results, going on from an earlier response."""
    async with gateway(tmp_path) as gate, responses(gate) as client:
        whole = await client.responses.create(model=route, input="hi", instructions="Be kind.")
        assert (whole.output_text, whole.status) == (GOOD, "completed")
        assert whole.usage is not None
        assert whole.usage.output_tokens > 0
        async with client.responses.stream(model=route, input="hi") as stream:
            final = await stream.get_final_response()
        assert final.output_text == GOOD
        tools: Any = [{"type": "function", "name": "track", "parameters": {"type": "object"}, "strict": False}]
        called = await client.responses.create(model=route, input="use the tool", tools=tools)
        (call,) = [item for item in called.output if item.type == "function_call"]
        assert (call.name, msgspec.json.decode(call.arguments)["a"]) == ("track", 1)
        output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "It is here."}]
        await client.responses.create(model=route, input=output, tools=tools, previous_response_id=called.id)
        sent = gate.upstream.requests[-1].body["messages"]
        assert len(sent) == 3
        assert call.call_id in msgspec.json.encode(sent[1]).decode()
        assert (await client.responses.retrieve(called.id)).id == called.id
        await client.responses.delete(called.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(called.id)
        unkept = await client.responses.create(model=route, input="hi", store=False)
        with pytest.raises(openai.NotFoundError, match="whole conversation"):
            await client.responses.create(model=route, input="go on", previous_response_id=unkept.id)


async def test_a_stream_can_be_gone_on_from(tmp_path: Path) -> None:
    """As a whole response can."""
    async with gateway(tmp_path) as gate, responses(gate) as client:
        async with client.responses.stream(model="direct", input="hi") as stream:
            first = await stream.get_final_response()
        await client.responses.create(model="direct", input="and then?", previous_response_id=first.id)
        turns = gate.upstream.requests[-1].body["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]


@pytest.mark.parametrize("route", PROVIDERS)
async def test_errors_are_the_sdk_s_own(tmp_path: Path, route: str) -> None:
    """By status and by what is said: wrong requests, keys and models; a torn stream is never shown as whole."""
    torn = Script(match="torn", text=GOOD, cut=3)
    async with gateway(tmp_path, torn) as gate, messages(gate) as client, responses(gate) as other:
        hello: Any = [{"role": "user", "content": "hi"}]
        with pytest.raises(anthropic.NotFoundError) as missing:
            await client.messages.create(model="nothing", max_tokens=64, messages=hello)
        assert missing.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
        with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
            await client.messages.create(model=route, max_tokens=0, messages=hello)
        with pytest.raises(anthropic.AuthenticationError):
            await client.with_options(api_key="tw-wrong").messages.create(model=route, max_tokens=1, messages=hello)
        with pytest.raises(openai.BadRequestError, match="max_output_tokens"):
            await other.responses.create(model=route, input="hi", max_output_tokens=0)
        bad: Any = [{"role": "user", "content": "torn"}]
        with pytest.raises(anthropic.APIStatusError) as cut:
            await client.messages.create(model=route, max_tokens=64, messages=bad)
        assert cut.value.status_code == 502
        with pytest.raises(anthropic.APIError):
            async with client.messages.stream(model=route, max_tokens=64, messages=bad) as stream:
                await stream.get_final_message()
        with pytest.raises(openai.APIError):
            async for _ in await other.responses.create(model=route, input="torn", stream=True):
                pass


async def test_the_same_wire_is_faithful(tmp_path: Path) -> None:
    """What only Anthropic's wire can say reaches Anthropic: fields, betas; thoughts come back with their signatures."""
    async with gateway(tmp_path, Script(match="think", text=GOOD, reasoning="hm")) as gate, messages(gate) as client:
        thinking: Any = {"type": "enabled", "budget_tokens": 1024}
        asked: Any = [
            {"role": "user", "content": [{"type": "text", "text": "think", "cache_control": {"type": "ephemeral"}}]}
        ]
        found = await client.messages.create(
            model="direct",
            max_tokens=2048,
            messages=asked,
            thinking=thinking,
            extra_headers={"anthropic-beta": "some-beta-1"},
        )
        received = gate.upstream.requests[-1]
        assert received.headers["anthropic-beta"] == "some-beta-1"
        assert (received.body["thinking"], received.body["messages"]) == (thinking, asked)
        assert received.body["model"] == "claude-1"
        assert [block.type for block in found.content] == ["thinking", "text"]
        crossed = await client.messages.create(model="support", max_tokens=64, messages=asked, thinking=thinking)
        assert [block.type for block in crossed.content][-1] == "text"
        assert "anthropic-beta" not in gate.upstream.requests[-1].headers


async def test_completions_sdk(tmp_path: Path) -> None:
    """The wire before chat, over both wires of providers."""
    async with gateway(tmp_path) as gate, responses(gate) as client:
        for route in PROVIDERS:
            whole = await client.completions.create(model=route, prompt="hi", max_tokens=64)
            assert whole.choices[0].text == GOOD
            stream = await client.completions.create(model=route, prompt="hi", max_tokens=64, stream=True)
            assert "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == GOOD


async def test_embeddings_sdk(tmp_path: Path) -> None:
    """A model's vectors, counted and paid for; a route of tiers, or a model without vectors, is refused."""
    body = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,0.5]}],"model":"cheap-1",'
    body += b'"usage":{"prompt_tokens":7,"total_tokens":7}}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with gateway(tmp_path, Script(raw=head + body)) as gate, responses(gate) as client:
        raw = await client.embeddings.with_raw_response.create(model="cheap", input=["hi"], encoding_format="float")
        assert raw.parse().data[0].embedding == [0.25, 0.5]
        assert gate.upstream.requests[-1].path == "/v1/embeddings"
        record = await gate.record(raw.headers["x-request-id"])
        (entry,) = record.entries
        assert (entry.usage.input_tokens, entry.nanos, entry.cost_state) == (7, 7_000, "computed")
        for name in ("support", "claude"):
            with pytest.raises(openai.BadRequestError):
                await client.embeddings.create(model=name, input="hi")


async def test_a_header_that_is_none_is_refused(tmp_path: Path) -> None:
    """Nothing that could be another header goes on to a provider."""
    async with gateway(tmp_path) as gate:
        body = {"model": "direct", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        headers = gate.headers(anthropic_beta="x" * 1001)
        async with gate.http.post(f"{gate.url}/messages", json=body, headers=headers) as reply:
            assert reply.status == 400
            assert (await reply.json())["error"]["type"] == "invalid_request_error"
        async with gate.http.get(f"{gate.url}/nothing", headers=gate.headers(anthropic_version="2023-06-01")) as reply:
            assert (await reply.json())["type"] == "error"


async def test_arguments_that_are_no_json_are_no_answer(tmp_path: Path) -> None:
    """Anthropic's wire can't say them: an honest 502, never a call with other arguments."""
    broken = Script(match="broken", tool_calls=(("track", '{"id": '),), finish="tool_calls")
    async with gateway(tmp_path, broken) as gate, messages(gate) as client:
        asked: Any = [{"role": "user", "content": "broken"}]
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model="support", max_tokens=64, messages=asked, tools=TOOLS)
        assert caught.value.status_code == 502


def kept(store: Conversations, key_id: str, name: str, text: str) -> None:
    request = Request(id="q", asked="r", messages=(Message("user", text),))
    store.keep(key_id, request, b'{"id":"%b"}' % name.encode())


def test_conversations_are_bounded_and_a_key_s_own() -> None:
    """The one used least recently is forgotten first; another key's is not there."""
    store = Conversations(limit=1_000)
    for number in range(9):
        kept(store, "k1", f"r{number}", "x" * 100)
        assert store.body("k1", "r0") == b'{"id":"r0"}'
    with pytest.raises(Exception, match="kept here"):
        store.body("k1", "r1")
    with pytest.raises(Exception, match="kept here"):
        store.body("k2", "r0")
    store.forget("k1", "r0")
    with pytest.raises(Exception, match="kept here"):
        store.forget("k1", "r0")
