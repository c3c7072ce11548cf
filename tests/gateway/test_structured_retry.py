"""Answers of a form, and files, through the gateway's door: over models and wires that lack what the client uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from tests.core.plans import CHEAP, request, route
from tests.gateway.harness import CONFIG, GOOD, Gateway, by_model, running, said
from tests.support.shapes import Script
from tierwise.core.cascade import Reserve
from tierwise.gateway.consult import bound
from tierwise.types import Price

MODEL = """
[models.{name}]
provider = "{provider}"
base_url = "{{url}}/v1"
model = "{name}-1"
structured = "{how}"
price = {{{{ input = 3, output = 15 }}}}
limits = {{{{ connect = 1, first_token = 1, idle = 5, total = 20 }}}}
"""
MODELS = (("claude", "anthropic", "tool"), ("words", "openai", "retry"), ("deep", "deepseek", "native"))
ROUTES = """opinions = []
[routes.tool]
tiers = ["claude"]
[routes.worded]
tiers = ["words"]
[routes.deeply]
tiers = ["deep"]
[routes.tiered]
tiers = ["words", "premium"]
uncertified = "checks"
mode = "enforce"
evidence_usd_per_day = 0
[routes.mixed]
tiers = ["claude", "premium"]
uncertified = "checks"
mode = "enforce"
evidence_usd_per_day = 0
"""
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
RIGHT = '{"a": 12}'
WRONG = Script(text='{"a": "twelve"}', times=1)
CALL = Script(text="", tool_calls=(("answer", RIGHT),))
PDF = "data:application/pdf;base64,JVBERi0="


@asynccontextmanager
async def gateway(folder: Path, *scripts: Script) -> AsyncIterator[Gateway]:
    config = CONFIG + "".join(MODEL.format(name=name, provider=made, how=how) for name, made, how in MODELS)
    several = (*scripts, *by_model(Script(text=GOOD)))
    async with running(folder, several, route=ROUTES, config=config) as found:
        yield found


async def asked(gate: Gateway, model: str, stream: bool, **fields: Any) -> tuple[str, str]:
    """(text, request id)"""
    if not stream:
        status, body, headers = await gate.chat(model, response_format=FORM, **fields)
        assert status == 200, body
        assert body["choices"][0]["finish_reason"] == "stop"
        return body["choices"][0]["message"]["content"], headers["x-request-id"]
    events, headers = await gate.events(model, response_format=FORM, **fields)
    assert events[-1] == "[DONE]", events
    return said(events), headers["x-request-id"]


def fates(record: Any) -> list[tuple[str, str]]:
    return [(entry.model, entry.outcome) for entry in record.entries]


# ------------------------------------------------------------------ in words


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asks", ["worded", "deeply", "tiered"])
async def test_asked_again(tmp_path: Path, asks: str, stream: bool) -> None:
    """What misses the schema never reaches the client; the next try is told of it, and both are in the ledger."""
    name = {"deeply": "deep"}.get(asks, "words")
    bad, good = (msgspec.structs.replace(one, model=f"{name}-1") for one in (WRONG, Script(text=RIGHT)))
    async with gateway(tmp_path, bad, good) as gate:
        text, request_id = await asked(gate, asks, stream)
        assert json.loads(text) == {"a": 12}
        record = await gate.record(request_id)
        assert fates(record) == [(name, "rejected"), (name, "served")]
        assert record.entries[0].rule == "form"
        assert all(entry.nanos > 0 and entry.cost_state == "computed" for entry in record.entries)
        first, second = [received.body for received in gate.upstream.requests]
        assert any('"required":["a"]' in str(message["content"]) for message in first["messages"])
        assert first.get("response_format") == ({"type": "json_object"} if asks == "deeply" else None)
        told, problem = second["messages"][-2:]
        assert (told["role"], told["content"]) == ("assistant", '{"a": "twelve"}')
        assert "/properties/a/type" in problem["content"]


async def test_tries_that_nobody_counts(tmp_path: Path) -> None:
    """Each is estimated by what it was asked: the second also read the answer before it."""
    long = Script(text="no " * 400, no_usage=True, times=1, model="words-1")
    async with gateway(tmp_path, long, Script(text=RIGHT, no_usage=True, model="words-1")) as gate:
        _, request_id = await asked(gate, "worded", stream=False)
        first, second = (await gate.record(request_id)).entries
        assert first.cost_state == second.cost_state == "estimated"
        assert second.usage.input_tokens > first.usage.input_tokens + 300


@pytest.mark.parametrize("said_", ["no JSON at all", "", "[1]"])
async def test_never_right(tmp_path: Path, said_: str) -> None:
    """After three tries the next tier is asked; where there is none, the client gets an error and no answer."""
    script = Script(text=said_, model="words-1")
    async with gateway(tmp_path, script, Script(text=RIGHT, model="premium-1")) as gate:
        text, request_id = await asked(gate, "tiered", stream=True)
        assert text == RIGHT
        record = await gate.record(request_id)
        assert fates(record) == [("words", "rejected")] * 3 + [("premium", "served")]
        assert record.decision.rule == "escalated:failed:provider_answer_torn"
        roles = [message["role"] for message in gate.upstream.requests[2].body["messages"]]
        shown = ["assistant", "user"] if said_ else ["user"]  # nothing said is nothing to show
        assert roles == ["system", "user", *shown, *shown]
        for stream in (False, True):
            fields: Any = {"response_format": {"type": "json_object"}, "stream": stream}
            status, body, _ = await gate.chat("worded", **fields)
            assert (status, body["error"]["code"]) == (502, "provider_answer_torn")
            assert "3 tries" in body["error"]["message"]
        record = await gate.record(gate.last_id())
        assert (fates(record), record.status) == ([("words", "rejected")] * 3, 502)
        assert all(entry.nanos > 0 for entry in record.entries)


async def test_what_was_cut_says_so(tmp_path: Path) -> None:
    """An answer that ran into the client's own limit is given as what it is, and not asked for again."""
    async with gateway(tmp_path, Script(text='{"a": 1', finish="length", model="words-1")) as gate:
        status, body, _ = await gate.chat("worded", response_format=FORM)
        assert (status, body["choices"][0]["finish_reason"]) == (200, "length")
        assert len(gate.upstream.requests) == 1


async def test_a_schema_that_can_t_be_checked(tmp_path: Path) -> None:
    """It is refused before anybody is asked, by the field's name in the client's wire; another tier may know it."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"$ref": "https://example.org/s"}}}
    async with gateway(tmp_path) as gate:
        status, body, _ = await gate.chat("worded", response_format=form)
        assert (status, body["error"]["param"]) == (400, "response_format")
        assert "refers outside itself" in body["error"]["message"]
        assert not gate.upstream.requests
        status, body, headers = await gate.chat("tiered", response_format=form)
        assert (status, headers["x-tierwise-model"]) == (200, "premium")


async def test_a_document_that_can_t_be_checked(tmp_path: Path) -> None:
    """What is too long to check is not taken for right, nor sent back whole."""
    long = Script(huge=1_100_000, model="words-1", times=1)
    async with gateway(tmp_path, long, Script(text=RIGHT, model="words-1")) as gate:
        status, body, _ = await gate.chat("worded", response_format=FORM)
        assert (status, body["choices"][0]["message"]["content"]) == (200, RIGHT)
        told, problem = gate.upstream.requests[1].body["messages"][-2:]
        assert len(told["content"]) == 16_384
        assert "too long to check" in problem["content"]


async def test_every_choice_counts(tmp_path: Path) -> None:
    """Of several answers none may miss it."""
    both = (RIGHT, '{"a": "twelve"}')
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(both)
    ]
    data = json.dumps({"choices": choices}).encode()
    raw = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)
    async with gateway(tmp_path, Script(raw=raw, times=1), Script(text=RIGHT)) as gate:
        _, body, _ = await gate.chat("worded", response_format=FORM, n=2)
        assert [choice["message"]["content"] for choice in body["choices"]] == [RIGHT, RIGHT]
        assert gate.upstream.requests[1].body["messages"][-2]["content"] == both[1]


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """The try that it leaves is stopped; it and those before are booked."""
    slow = Script(text=RIGHT, tokens=tuple(RIGHT), gap=0.3, model="words-1")
    async with gateway(tmp_path, msgspec.structs.replace(WRONG, model="words-1"), slow) as gate:
        task = asyncio.ensure_future(gate.events("worded", response_format=FORM))
        while len(gate.upstream.requests) < 2:
            gate.upstream.asked.clear()
            await asyncio.wait_for(gate.upstream.asked.wait(), 5)
        task.cancel()
        await asyncio.wait_for(gate.upstream.aborted.wait(), 5)
        record = await gate.record(gate.last_id())
        assert fates(record) == [("words", "rejected"), ("words", "cancelled")]
        assert all(entry.nanos > 0 for entry in record.entries)


def test_all_tries_are_reserved() -> None:
    """Money and tokens of three calls, the later ones with the answers before them."""
    words = msgspec.structs.replace(CHEAP, structured="retry")
    question = request(max_output=100, json_answer=True, schema=SCHEMA)
    step, ceiling = Reserve((words,)), Price(1, 1, 1, 1)
    read = 3 * (1000 + 512) + (1 + 2) * (100 + 512)
    assert bound(step, question, route(), 1000, ceiling).tokens == read + 3 * 100
    assert bound(step, question, route(), 1000, ceiling).nanos == read * 150 + 3 * 100 * 600
    plain = request(max_output=100)
    assert bound(step, plain, route(), 1000, ceiling).nanos == 1000 * 150 + 100 * 600


# ------------------------------------------------------------------ by tool


@pytest.mark.parametrize("stream", [False, True])
async def test_by_tool(tmp_path: Path, stream: bool) -> None:
    """A provider without schemas calls the tool; the client of another wire gets a document, whole or streamed."""
    async with gateway(tmp_path, CALL) as gate:
        text, request_id = await asked(gate, "tool", stream)
        assert json.loads(text) == {"a": 12}
        assert fates(await gate.record(request_id)) == [("claude", "served")]
        body = gate.upstream.requests[0].body
        assert body["tool_choice"]["name"] == "answer"
        assert "output_config" not in body


async def test_by_tool_on_its_own_wire(tmp_path: Path) -> None:
    """The client's own fields go on; what it gets is text, as of a model that has schemas."""
    url, options = "", {"format": {"type": "json_schema", "schema": SCHEMA}}
    async with gateway(tmp_path, CALL) as gate:
        url = gate.url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=url, api_key=gate.key, max_retries=0) as client:
            hello: Any = [{"role": "user", "content": "hi"}]
            extra: Any = {"output_config": options, "metadata": {"user_id": "u"}}
            reply = await client.messages.create(model="tool", max_tokens=64, messages=hello, extra_body=extra)
        assert isinstance(reply.content[0], anthropic.types.TextBlock)
        assert (json.loads(reply.content[0].text), reply.stop_reason) == ({"a": 12}, "end_turn")
        assert gate.upstream.requests[0].body["metadata"] == {"user_id": "u"}


# ------------------------------------------------------------------ files and sound


def part(kind: str) -> Any:
    parts = {
        "file": {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        "input_audio": {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    }
    return [{"role": "user", "content": [{"type": "text", "text": "See"}, parts[kind]]}]


async def test_files_to_anthropic(tmp_path: Path) -> None:
    """From OpenAI's wires; one that is no data is refused by its field before anybody is asked."""
    async with gateway(tmp_path, Script(text=GOOD)) as gate:
        client = openai.AsyncOpenAI(base_url=gate.url, api_key=gate.key, max_retries=0)
        await client.chat.completions.create(model="tool", messages=part("file"))
        items: Any = [{"role": "user", "content": [{"type": "input_file", "file_url": "https://example.org/a.pdf"}]}]
        await client.responses.create(model="tool", input=items)
        (one, two) = [received.body["messages"][0]["content"][-1] for received in gate.upstream.requests]
        pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
        assert one == {"type": "document", "source": pdf, "title": "a.pdf"}
        assert two == {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
        items[0]["content"][0] = {"type": "input_file", "filename": "a", "file_data": "JVBERi0="}
        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model="tool", input=items)
        assert caught.value.param == "input[0].content[0].file_data"
        await client.close()


async def test_documents_to_openai(tmp_path: Path) -> None:
    """PDF as data, text as text; what OpenAI's chat can't have is refused by its field."""
    url = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    data = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "T"}
    async with gateway(tmp_path) as gate:
        root = gate.url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=root, api_key=gate.key, max_retries=0) as client:
            said_: Any = [{"role": "user", "content": [data, text]}]
            await client.messages.create(model="premium", max_tokens=64, messages=said_)
            said_ = [{"role": "user", "content": [url]}]
            with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\]"):
                await client.messages.create(model="premium", max_tokens=64, messages=said_)
        (received,) = gate.upstream.requests
        assert received.body["messages"][0]["content"] == [
            {"type": "file", "file": {"filename": "document.pdf", "file_data": PDF}},
            {"type": "text", "text": "T:\n\nx"},
        ]


async def test_sound_to_who_can_hear(tmp_path: Path) -> None:
    """Anthropic can't: alone it is a 400 that names the field, in a route the next tier is asked."""
    async with gateway(tmp_path) as gate:
        status, body, _ = await gate.chat("tool", messages=part("input_audio"))
        assert (status, body["error"]["param"]) == (400, "messages[0].content[1]")
        status, body, headers = await gate.chat("mixed", messages=part("input_audio"))
        assert (status, headers["x-tierwise-model"]) == (200, "premium")
        assert [received.body["model"] for received in gate.upstream.requests] == ["premium-1"]
