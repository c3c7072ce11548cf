"""OpenAI Chat Completions towards providers, and the round trip through both sides."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.tariff import pricing
from tierwise.dialects import openai_upstream as upstream
from tierwise.dialects.openai_chat import decode_request
from tierwise.errors import BadRequest, Overloaded, Refused, WireError
from tierwise.tariffs import Rates, Service, Tariff
from tierwise.types import (
    Audio,
    Chunk,
    Document,
    Foreign,
    Image,
    Message,
    Model,
    Part,
    Request,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolDelta,
    Usage,
)

MODEL = Model("cheap", "openai", "gpt-4o-mini")


def sent(request: Request, model: Model = MODEL) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(upstream.encode_request(request, model))
    return body


def test_same_dialect_changes_only_the_model() -> None:
    """A client's own fields go on byte for byte; only the model's name is replaced."""
    body = (
        b'{"model":"r","messages":[{"role":"user","content":"hi","x":1.10}],'
        b'"seed":12345678901234567890,"new":{"b":1,"a":2}}'
    )
    encoded = upstream.encode_request(decode_request(body, "q"), MODEL)
    assert encoded == body.replace(b'"r"', b'"gpt-4o-mini"', 1)


def test_streams_report_usage() -> None:
    """A stream is asked to report its usage whether or not the client wants to see it."""
    plain = decode_request(b'{"model":"r","messages":[{"role":"user","content":"hi"}],"stream":true}', "q")
    assert sent(plain)["stream_options"] == {"include_usage": True}
    own = decode_request(
        b'{"model":"r","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true,"x":1}}',
        "q",
    )
    assert sent(own)["stream_options"] == {"include_usage": True, "x": 1}


RATES = Rates(*[1_000_000] * 9)
FLEXIBLE = msgspec.structs.replace(MODEL, pricing=pricing((Tariff(RATES, services={"flex": Service(factor=1)}),), 0))


@pytest.mark.parametrize(
    ("model", "deadline", "own", "asked"),
    [
        (FLEXIBLE, 600.0, {}, "flex"),
        (FLEXIBLE, 599.9, {}, ""),
        (FLEXIBLE, None, {}, ""),
        (MODEL, 600.0, {}, ""),
        (msgspec.structs.replace(MODEL, pricing=pricing((Tariff(RATES),), 0)), 600.0, {}, ""),
        (msgspec.structs.replace(FLEXIBLE, provider="deepseek"), 600.0, {}, ""),
        (FLEXIBLE, 600.0, {"service_tier": msgspec.Raw(b'"auto"')}, "auto"),
        (FLEXIBLE, 600.0, {"service_tier": msgspec.Raw(b"null")}, "flex"),
        (FLEXIBLE, 600.0, {"service_tier": msgspec.Raw(b"7")}, ""),
    ],
)
def test_which_service_is_asked(model: Model, deadline: float | None, own: dict[str, msgspec.Raw], asked: str) -> None:
    """Flex where the request can wait and the model is sold so; a client's own word wins, and is not changed."""
    request = Request(id="q", asked="r", messages=(Message("user", "hi"),), deadline_s=deadline, body=own)
    assert upstream.service_asked(request, model) == asked
    known = sent(request, model).get("service_tier")
    assert known == (7 if own.get("service_tier") == msgspec.Raw(b"7") else asked or None)
    other = msgspec.structs.replace(request, dialect="anthropic")
    assert upstream.service_asked(other, model) == sent(other, model).get("service_tier", "")


def test_evidence_is_asked_for() -> None:
    """A model that gives log-probabilities is asked for them."""
    plain = decode_request(b'{"model":"r","messages":[{"role":"user","content":"hi"}]}', "q")
    assert sent(plain, msgspec.structs.replace(MODEL, logprobs=True))["logprobs"] is True
    assert "logprobs" not in sent(plain)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, {"max_completion_tokens": 64}),
        ({"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": 64}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
    ],
)
def test_a_bound_of_ours(limits: dict[str, Any], expected: dict[str, Any]) -> None:
    """A bound that the gateway sets is sent, and never beside the client's own."""
    body = msgspec.json.encode({"model": "r", "messages": [{"role": "user", "content": "hi"}]} | limits)
    request = decode_request(body, "q")
    bounded = msgspec.structs.replace(request, max_output=request.max_output or 64)
    asked = sent(bounded)
    assert {name: value for name, value in asked.items() if name.startswith("max_")} == expected


names = st.text("abcdefgh_", min_size=1, max_size=8)
texts = st.text(max_size=20)
calls = st.builds(ToolCall, names, names, st.just('{"a": 1}'))
data = st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode())
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Image, st.just("https://example.org/a.png"), st.sampled_from([None, "low"])),
    st.builds(Document, data.map("data:application/pdf;base64,{}".format), names),
    st.builds(Audio, data, st.sampled_from(["wav", "mp3"])),
)
messages = st.one_of(
    st.builds(Message, st.sampled_from(["system", "developer", "user"]), texts),
    st.builds(Message, st.just("user"), st.lists(parts, min_size=1, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), texts, st.lists(calls, max_size=2).map(tuple)),
    st.builds(Message, st.just("tool"), texts, st.just(()), names),
)
schemas = st.sampled_from([None, {"type": "object"}, {"type": "string", "maxLength": 3}])


@st.composite
def requests(draw: st.DrawFn) -> Request:
    schema = draw(schemas)
    tools = draw(st.lists(st.builds(Tool, names, texts, schemas, st.booleans()), max_size=2))
    stream = draw(st.booleans())
    return Request(
        id="q",
        asked="gpt-4o-mini",
        messages=tuple(draw(st.lists(messages, min_size=1, max_size=4))),
        stream=stream,
        usage_asked=stream,
        logprobs_asked=draw(st.booleans()),
        n=draw(st.integers(1, 3)),
        max_output=draw(st.none() | st.integers(1, 1000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        stop=tuple(draw(st.lists(names, max_size=2))),
        tools=tuple(tools),
        tool_choice=draw(st.sampled_from(["auto", "none", "required", "f"])) if tools else "auto",
        parallel_tools=draw(st.booleans()) if tools else True,
        json_answer=schema is not None or draw(st.booleans()),
        schema=schema,
        dialect="another",
    )


@given(requests())
def test_what_is_written_is_read_back(request: Request) -> None:
    """decode(encode(x)) == x for everything that both sides of this wire can say."""
    back = decode_request(upstream.encode_request(request, MODEL), "q")
    assert msgspec.structs.replace(back, body={}, dialect="another") == request


def test_foreign_parts_are_refused() -> None:
    """A part that this wire can't carry is a clear error, not a silent loss."""
    request = Request(
        id="q", asked="r", messages=(Message("user", (Foreign("document", "anthropic"),)),), dialect="anthropic"
    )
    with pytest.raises(BadRequest, match="document") as caught:
        upstream.encode_request(request, MODEL)
    assert caught.value.param == "messages[0].content[0]"


PDF = "data:application/pdf;base64,JVBERi0="
CSV = Document("data:text/csv;charset=utf-8;base64,YTtiCg==", "a.csv")


def said(role: Role, part: Part) -> Any:
    request = Request(id="q", asked="r", messages=(Message(role, (Text("See"), part)),), dialect="anthropic")
    return sent(request)["messages"][0]["content"][1]


def test_files_and_sound() -> None:
    """PDF as data with a name, which OpenAI wants; texts as text, below their name; sound as it is."""
    assert said("user", Document(PDF, "a.pdf")) == {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}
    assert said("user", Document(PDF))["file"]["filename"] == "document.pdf"
    assert said("user", CSV) == {"type": "text", "text": "a.csv:\n\na;b\n"}
    assert said("tool", msgspec.structs.replace(CSV, name="")) == {"type": "text", "text": "a;b\n"}
    assert said("user", Audio("AA==", "wav")) == {
        "type": "input_audio",
        "input_audio": {"data": "AA==", "format": "wav"},
    }


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("user", Document("https://example.org/a.pdf"), "not by their address"),
        ("user", Document("data:application/msword;base64,AA=="), "not application/msword"),
        ("user", Document("data:text/plain;base64,/w=="), "not UTF-8"),
        ("tool", Document(PDF), "file from the user only"),
        ("assistant", Audio("AA==", "wav"), "input_audio from the user only"),
    ],
)
def test_files_that_can_t_be_sent(role: Role, part: Part, words: str) -> None:
    """By the name of their field, before anybody is asked."""
    with pytest.raises(BadRequest, match=words) as caught:
        said(role, part)
    assert caught.value.param == "messages[0].content[1]"


def test_tools_of_ours() -> None:
    """They go into a body of the client's own that has none."""
    request = decode_request(b'{"model":"r","messages":[{"role":"user","content":"x"}],"seed":1}', "q")
    body = sent(msgspec.structs.replace(request, tools=(Tool("f"),), tool_choice="f", parallel_tools=False))
    assert (body["seed"], body["tools"][0]["function"]["name"], body["parallel_tool_calls"]) == (1, "f", False)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}


def test_whole_answer() -> None:
    """A body as providers send it: text, reasoning, calls, log-probabilities, every kind of usage."""
    body = msgspec.json.encode(
        {
            "id": "x",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "hi",
                        "reasoning_content": "why",
                        "refusal": None,
                        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    },
                    "finish_reason": "tool_calls",
                    "logprobs": {"content": [{"token": "hi", "logprob": -0.5}, {"token": "?"}]},
                },
                {"index": 1, "message": {"content": "yo"}, "finish_reason": "eos"},
            ],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
                "cost": 0.0000125,
            },
        }
    )
    first, second = upstream.decode_answer(body)
    assert first == Chunk(
        "hi",
        0,
        "why",
        "",
        (ToolDelta(0, "c", "f", "{}"),),
        "tool_calls",
        (-0.5,),
        None,
        body,
        "openai_chat",
    )
    assert second == Chunk("yo", 1, finish="stop", usage=Usage(10, 5, 4, 2, 3, 12_500), dialect="openai_chat")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"choices": [{"delta": {"content": "a"}}]}, Chunk("a")),
        ({"choices": [{"delta": {"reasoning": "b"}}]}, Chunk(reasoning="b")),
        ({"choices": [{"delta": {}, "finish_reason": "length"}]}, Chunk(finish="length")),
        ({"choices": [{"delta": {}, "finish_reason": "abort"}]}, Chunk()),
        ({"choices": [{"finish_reason": "stop"}]}, Chunk(finish="stop")),
        (
            {"choices": [{"delta": {"tool_calls": [{"index": 2, "function": {"arguments": "x"}}]}}]},
            Chunk(tool_calls=(ToolDelta(2, "", "", "x"),)),
        ),
        ({"choices": [{"delta": {"tool_calls": [{"id": "c"}]}}]}, Chunk(tool_calls=(ToolDelta(0, "c"),))),
        (
            {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1, "prompt_cache_hit_tokens": 3}},
            Chunk(usage=Usage(7, 1, 3)),
        ),
        ({"choices": [], "usage": {"prompt_tokens": 7}}, None),
        ({"choices": []}, None),
        ({}, None),
    ],
)
def test_events(event: dict[str, Any], expected: Chunk | None) -> None:
    """Every shape of a stream's event; what is no part of an answer gives no chunk."""
    data = msgspec.json.encode(event)
    got = upstream.decode_event(data)
    wired = () if expected is None else (msgspec.structs.replace(expected, wire=data, dialect="openai_chat"),)
    assert got == wired


@pytest.mark.parametrize(
    ("data", "overloaded"),
    [
        (b"<html>", False),
        (b"\xff", False),
        (b"[" * 100_000, False),
        (b'{"choices":[{"delta":{"content":7}}]}', False),
        (b'{"error":{"message":"x","type":"server_error"}}', True),
        (b'{"error":{"message":"x","type":null,"code":429}}', True),
        (b'{"error":{"message":"x","type":"invalid_request_error"}}', False),
        (b'{"error":"broken"}', False),
        (b'{"choices":[{"finish_reason":"insufficient_system_resource"}]}', True),
        (b'{"unread":"\xff","choices":[{"finish_reason":"stop"}]}', False),
    ],
)
def test_what_is_no_answer(data: bytes, overloaded: bool) -> None:
    """Garbage and errors inside an answer are never taken for one; their own text is not repeated."""
    with pytest.raises(WireError) as caught:
        upstream.decode_event(data)
    assert caught.value.overloaded is overloaded


@pytest.mark.parametrize("data", [b"{}", b'{"choices":[{"message":{"content":"x"}}]}'])
def test_whole_answers_have_an_end(data: bytes) -> None:
    """A body without a choice, or without a finish reason, is torn."""
    with pytest.raises(WireError):
        upstream.decode_answer(data)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_try_again(status: int) -> None:
    """Overload may be retried, and says for how long to wait."""
    error = upstream.decode_error("m", status, {"retry-after": "3"}, b"")
    assert isinstance(error, Overloaded)
    assert (error.retryable, error.retry_after, error.upstream) == (True, 3.0, status)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b'{"error":{"message":"Incorrect API key provided: sk-secret"}}', "refused our key"),
        (403, b'{"error":{"message":"sk-secret"}}', "refused our key"),
        (
            400,
            b'{"error":{"message":"max_tokens is too large; key sk-secret-1 Bearer abc"}}',
            "max_tokens is too large",
        ),
        (404, b'{"error":"no such model"}', "no such model"),
        (422, b"<html>", "(422)"),
        (418, b'{"error":null}', "(418)"),
    ],
)
def test_refusals(status: int, body: bytes, said: str) -> None:
    """A refusal says what the client can mend, and never a key."""
    error = upstream.decode_error("m", status, {}, body)
    assert isinstance(error, Refused)
    assert said in error.message
    assert "secret" not in error.message
    assert "Bearer abc" not in error.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds before seconds; what is no number is no answer."""
    assert upstream.retry_after(headers) == seconds


def test_a_request_of_another_dialect_is_written_anew() -> None:
    """What another dialect's client asked, field by field: nothing of it is left to a body that is not there."""
    call = ToolCall("c1", "look", '{"x":1}')
    picture = Image("https://example.org/a.png", detail="low")
    request = Request(
        id="q",
        asked="r",
        dialect="anthropic",
        messages=(
            Message("user", (Text("see"), picture, Image("data:image/png;base64,AA=="))),
            Message("assistant", "", (call,)),
            Message("tool", "found", tool_call_id="c1"),
        ),
        tools=(Tool("look", "looks", {"type": "object"}, strict=True), Tool("bare")),
        tool_choice="look",
        parallel_tools=False,
        temperature=0.5,
        stop=("end",),
        n=2,
        json_answer=True,
    )
    body = sent(request)
    parts = body["messages"][0]["content"]
    assert parts[0] == {"type": "text", "text": "see"}
    assert parts[1]["image_url"] == {"url": picture.url, "detail": "low"}
    assert parts[2]["image_url"] == {"url": "data:image/png;base64,AA=="}
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"x":1}'}
    assert body["messages"][2] == {"role": "tool", "content": "found", "tool_call_id": "c1"}
    assert [tool["function"].get("parameters") for tool in body["tools"]] == [{"type": "object"}, None]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert (body["parallel_tool_calls"], body["temperature"], body["stop"], body["n"]) == (False, 0.5, ["end"], 2)
    assert body["response_format"] == {"type": "json_object"}
    plain = sent(msgspec.structs.replace(request, tool_choice="auto", schema={"type": "object"}))
    assert "tools" not in sent(msgspec.structs.replace(request, tools=()))
    assert plain["tool_choice"] == "auto"
    assert plain["response_format"]["json_schema"]["schema"] == {"type": "object"}
    with pytest.raises(BadRequest, match="audio"):
        sent(msgspec.structs.replace(request, messages=(Message("user", (Foreign("audio", "anthropic"),)),)))
