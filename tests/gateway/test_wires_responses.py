"""Every wire of clients over a provider that is asked by OpenAI's Responses, by the official SDKs on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import msgspec
import openai
import pytest

from tests.gateway.harness import CONFIG, GOOD, REFUSAL, UPSTREAM_KEY, Gateway, running
from tests.support.shapes import Json, Script
from tierwise.dialects.sse import Events
from tierwise.errors import ConfigError
from tierwise.gateway.settings import load

MODERN = """
[models.modern]
provider = "openai"
api = "responses"
base_url = "{url}/v1"
model = "modern-1"
api_key_env = "UPSTREAM_KEY"
price = {{ input = 3, output = 15, cache_read = 1 }}
limits = {{ connect = 1, first_token = 1, idle = 1, total = 20 }}
"""
ROUTE = """opinions = []
[routes.direct]
tiers = ["modern"]
[routes.up]
tiers = ["cheap", "modern"]
mode = "enforce"
uncertified = "checks"
evidence_usd_per_day = 0
"""
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SCHEMA: Json = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
ARGUMENTS = '{"id": 12345678901234567890, "a": 1}'
SCRIPTS = (
    Script(match="tool", tool_calls=(("track", ARGUMENTS),), text="", finish="tool_calls"),
    Script(match="cached", text=GOOD, input_tokens=50, cached_tokens=40, reasoning="Let me see."),
    Script(match="no way", text=REFUSAL, refused=True),
    Script(match="cut", text=GOOD, cut=3),
    Script(match="broken", text=GOOD, in_band_error=True, error="canary-of-the-provider"),
    Script(match="short", text=GOOD, finish="length"),
    Script(match="think", text=GOOD, reasoning="Let me see."),
    Script(model="cheap-1", text=REFUSAL),
    Script(text=GOOD),
)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    async with running(folder, SCRIPTS, route=ROUTE, config=CONFIG + MODERN) as found:
        yield found


def chat(gate: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gate.url, api_key=gate.key, max_retries=0)


def messages(gate: Gateway) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=gate.url.removesuffix("/v1"), api_key=gate.key, max_retries=0)


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def post(gate: Gateway, body: bytes) -> tuple[int, bytes]:
    """A response asked for byte by byte."""
    headers = gate.headers(content_type="application/json")
    async with gate.http.post(f"{gate.url}/responses", data=body, headers=headers) as reply:
        return reply.status, await reply.read()


async def upstream_says(gate: Gateway, body: Json) -> bytes:
    """What the provider itself answers."""
    async with aiohttp.ClientSession() as http, http.post(f"{gate.upstream.url}/v1/responses", json=body) as reply:
        return await reply.read()


async def test_chat(tmp_path: Path) -> None:
    """Whole and streamed: words, calls and their results, pictures, schemas, refusals, thoughts, what was counted."""
    async with gateway(tmp_path) as gate, chat(gate) as client:
        create = client.chat.completions.create
        raw = await client.chat.completions.with_raw_response.create(model="direct", messages=said("cached"))
        whole = raw.parse()
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (GOOD, "stop")
        assert whole.choices[0].message.model_extra["reasoning_content"] == "Let me see."  # type: ignore[index]
        assert whole.usage is not None
        assert whole.usage.prompt_tokens_details is not None
        assert whole.usage.completion_tokens_details is not None
        assert (whole.usage.prompt_tokens, whole.usage.prompt_tokens_details.cached_tokens) == (50, 40)
        assert whole.usage.completion_tokens_details.reasoning_tokens == 3
        (entry,) = (await gate.record(raw.headers["x-request-id"])).entries
        assert entry.nanos == 10 * 3_000 + 40 * 1_000 + whole.usage.completion_tokens * 15_000
        received = gate.upstream.requests[-1]
        assert (received.path, received.headers["authorization"]) == ("/v1/responses", f"Bearer {UPSTREAM_KEY}")
        assert (received.body["model"], received.body["store"]) == ("modern-1", False)
        stream = await create(
            model="direct", messages=said("cached"), stream=True, stream_options={"include_usage": True}
        )
        pieces = [piece async for piece in stream]
        assert "".join([piece.choices[0].delta.content or "" for piece in pieces if piece.choices]) == GOOD
        assert pieces[-1].usage == whole.usage
        tools: Any = [{"type": "function", "function": {"name": "track", "parameters": SCHEMA, "strict": True}}]
        asked: Any = [{"type": "text", "text": "the tool"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
        called = await create(
            model="direct", messages=[{"role": "user", "content": asked}], tools=tools, tool_choice="required"
        )
        calls: Any = called.choices[0].message.tool_calls
        (call,) = calls
        assert (call.function.arguments, called.choices[0].finish_reason) == (ARGUMENTS, "tool_calls")
        body = gate.upstream.requests[-1].body
        assert body["input"][0]["content"][1] == {"type": "input_image", "image_url": PICTURE, "detail": "auto"}
        assert (body["tools"][0]["name"], body["tools"][0]["strict"]) == ("track", True)
        turns: Any = [*said("go"), called.choices[0].message.model_dump(exclude_none=True)]
        turns.append({"role": "tool", "tool_call_id": call.id, "content": "It is here."})
        await create(model="direct", messages=turns, tools=tools)
        kinds = [item["type"] for item in gate.upstream.requests[-1].body["input"]]
        assert kinds == ["message", "function_call", "function_call_output"]
        form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
        await create(model="direct", messages=said("hi"), response_format=form, reasoning_effort="low")
        body = gate.upstream.requests[-1].body
        wanted = {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}
        assert (body["text"], body["reasoning"]) == ({"format": wanted}, {"effort": "low"})
        refused = await create(model="direct", messages=said("no way"))
        assert refused.choices[0].message.refusal == REFUSAL
        assert (await create(model="direct", messages=said("short"))).choices[0].finish_reason == "length"
        with pytest.raises(openai.BadRequestError, match="stop"):
            await create(model="direct", messages=said("hi"), stop=["x"])


async def test_anthropic(tmp_path: Path) -> None:
    """Whole, streamed, with tools."""
    async with gateway(tmp_path) as gate, messages(gate) as client:
        whole = await client.messages.create(
            model="direct", max_tokens=64, messages=said("cached"), system="Be kind.", tools=[]
        )
        assert [block.text for block in whole.content if block.type == "text"] == [GOOD]
        assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens) == (10, 40)
        body = gate.upstream.requests[-1].body
        assert [item["role"] for item in body["input"]] == ["system", "user"]
        assert body["max_output_tokens"] == 64
        async with client.messages.stream(model="direct", max_tokens=64, messages=said("cached")) as stream:
            final = await stream.get_final_message()
        assert [block.text for block in final.content if block.type == "text"] == [GOOD]
        assert final.usage.output_tokens == whole.usage.output_tokens
        tools: Any = [{"name": "track", "input_schema": SCHEMA}]
        for thought in ("tool", "tool again"):
            called = await client.messages.create(model="direct", max_tokens=64, messages=said(thought), tools=tools)
            (use,) = [block for block in called.content if block.type == "tool_use"]
            assert (use.name, use.input, called.stop_reason) == ("track", msgspec.json.decode(ARGUMENTS), "tool_use")
        async with client.messages.stream(model="direct", max_tokens=64, messages=said("tool"), tools=tools) as stream:
            streamed = await stream.get_final_message()
        assert [block.input for block in streamed.content if block.type == "tool_use"] == [use.input]


async def test_responses(tmp_path: Path) -> None:
    """By the SDK: whole, streamed, typed; and gone on from, whole and streamed, with calls and their results."""
    async with gateway(tmp_path) as gate, chat(gate) as client:
        whole = await client.responses.create(model="direct", input="think", include=["reasoning.encrypted_content"])
        assert (whole.output_text, whole.status) == (GOOD, "completed")
        assert [item.type for item in whole.output] == ["reasoning", "message"]
        async with client.responses.stream(model="direct", input="think", previous_response_id=whole.id) as stream:
            final = await stream.get_final_response()
        assert (final.output_text, final.previous_response_id) == (GOOD, whole.id)
        sent = gate.upstream.requests[-1].body
        assert "previous_response_id" not in sent
        assert [item.get("type", "said") for item in sent["input"]] == ["said", "reasoning", "message", "said"]
        assert sent["input"][1]["encrypted_content"] == "c2VjcmV0"
        tools: Any = [{"type": "function", "name": "track", "parameters": SCHEMA, "strict": False}]
        called = await client.responses.create(
            model="direct", input="use the tool", tools=tools, previous_response_id=final.id
        )
        (call,) = [item for item in called.output if item.type == "function_call"]
        output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "It is here."}]
        done = await client.responses.create(
            model="direct", input=output, tools=tools, previous_response_id=called.id, instructions="Be kind."
        )
        assert done.previous_response_id == called.id
        sent = gate.upstream.requests[-1].body
        kinds = [item.get("type", "said") for item in sent["input"]]
        # the second response's reasoning was not encrypted: it stays behind
        assert kinds == [
            "said", "reasoning", "message", "said", "message", "said", "function_call", "function_call_output",
        ]  # fmt: skip
        assert (sent["instructions"], sent["input"][6]["arguments"]) == ("Be kind.", ARGUMENTS)
        assert (await client.responses.retrieve(called.id)).id == called.id
        await client.responses.delete(called.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(called.id)
        other = await client.responses.create(model="cheap", input="and then?", previous_response_id=done.id)
        assert other.output_text == REFUSAL  # another model, over another wire, was told all of it
        assert len(gate.upstream.requests[-1].body["messages"]) == 9
        await client.responses.create(model="direct", input="so?", previous_response_id=other.id)
        assert gate.upstream.requests[-1].body["input"][-2]["content"] == REFUSAL


async def test_the_same_wire_is_faithful(tmp_path: Path) -> None:
    """Byte for byte, in and out: fields that nobody here reads, tools of the provider's own, large numbers."""
    items = b'[{"role":"user","content":[{"type":"input_text","text":"think  \\u00e9","x":1}]},'
    items += b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"zz"},'
    items += b'{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","n":[1.50]}},'
    items += b'{"type":"item_reference","id":"msg_1"},{"type":"message","role":"user","content":"think"}]'
    tools = b'[{"type":"web_search","b":1,"a":12345678901234567890},{"type":"mcp","server_label":"s"}]'
    fields = b'"tools":%b,"tool_choice":{"type":"web_search"},"zeta": {"k" : 1.10},"truncation":"auto"' % tools
    body = b'{"model":"direct","input":%b,%b}' % (items, fields)
    async with gateway(tmp_path) as gate:
        status, whole = await post(gate, body)
        assert status == 200
        sent = gate.upstream.requests[-1].body
        assert sent == msgspec.json.decode(body.replace(b"direct", b"modern-1", 1))
        assert list(sent) == ["model", "input", "tools", "tool_choice", "zeta", "truncation"]
        told = msgspec.json.decode(whole)
        assert whole == (await upstream_says(gate, sent)).replace(b"req-2", told["id"].removeprefix("resp_").encode())
        status, streamed = await post(gate, body[:-1] + b',"stream":true}')
        assert status == 200
        events = Events().feed(streamed)
        assert [name for name, _ in events] == [msgspec.json.decode(data)["type"] for _, data in events]
        name = msgspec.json.decode(events[0][1])["response"]["id"].removeprefix("resp_").encode()
        own = await upstream_says(gate, gate.upstream.requests[-1].body)
        assert streamed == own.replace(gate.upstream.requests[-1].id.encode(), name)


async def test_completions(tmp_path: Path) -> None:
    """The wire before chat."""
    async with gateway(tmp_path) as gate, chat(gate) as client:
        whole = await client.completions.create(model="direct", prompt="hi", max_tokens=64)
        assert whole.choices[0].text == GOOD
        stream = await client.completions.create(model="direct", prompt="hi", max_tokens=64, stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == GOOD


@pytest.mark.parametrize("words", ["cut", "broken"])
async def test_torn_is_never_whole(tmp_path: Path, words: str) -> None:
    """Cut, or broken off by an error inside: every client's own error, in every wire, and none of the words."""
    async with gateway(tmp_path) as gate, chat(gate) as client, messages(gate) as other:
        _, raw = await post(gate, b'{"model":"direct","stream":true,"input":"%b"}' % words.encode())
        events = Events().feed(raw)
        assert b"canary" not in raw
        assert [name for name, _ in events if name in ("error", "response.completed")] == ["error"]
        numbers = [msgspec.json.decode(data)["sequence_number"] for _, data in events]
        assert numbers == list(range(len(events)))
        with pytest.raises(openai.APIError) as caught:
            async for _ in await client.chat.completions.create(model="direct", messages=said(words), stream=True):
                pass
        assert "canary" not in str(caught.value)
        with pytest.raises(anthropic.APIError):
            async with other.messages.stream(model="direct", max_tokens=64, messages=said(words)) as stream:
                await stream.get_final_message()


async def test_half_a_body_is_no_answer(tmp_path: Path) -> None:
    """It is an honest 502."""
    async with gateway(tmp_path) as gate, chat(gate) as client:
        with pytest.raises(openai.APIStatusError) as torn:
            await client.responses.create(model="direct", input="cut")
        assert torn.value.status_code == 502


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cascade(tmp_path: Path, stream: bool) -> None:
    """A draft over one wire, premium over the other: the client gets premium's own bytes, or its words in its wire."""
    async with gateway(tmp_path) as gate, chat(gate) as client:
        status, raw = await post(
            gate, b'{"model":"up","input":"Where is it?","stream":%b}' % (b"true" if stream else b"false")
        )
        assert status == 200
        assert b'"billing":{"payer":"developer"}' in raw
        assert [one.path for one in gate.upstream.requests] == ["/v1/chat/completions", "/v1/responses"]
        if stream:
            pieces = [
                piece
                async for piece in await client.chat.completions.create(model="up", messages=said("?"), stream=True)
            ]
            assert "".join([piece.choices[0].delta.content or "" for piece in pieces]) == GOOD
        else:
            whole = await client.chat.completions.create(model="up", messages=said("?"))
            assert whole.choices[0].message.content == GOOD


async def test_vectors(tmp_path: Path) -> None:
    """They are asked as of any model of OpenAI's."""
    async with gateway(tmp_path) as gate, chat(gate) as client:
        found = await client.embeddings.create(model="modern", input=["one"], encoding_format="float")
        assert len(found.data[0].embedding) == 4


def test_only_openai_is_asked_so(tmp_path: Path) -> None:
    """Another provider does not speak it, and the config says so."""
    path = tmp_path / "tierwise.toml"
    text = CONFIG.format(url="http://127.0.0.1:1", route="")
    path.write_text(text.replace('provider = "openai"', 'provider = "deepseek"\napi = "responses"', 1))
    with pytest.raises(ConfigError, match="only an openai model is asked by Responses, and this one is deepseek"):
        load(path, {"UPSTREAM_KEY": UPSTREAM_KEY})
