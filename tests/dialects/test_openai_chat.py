"""OpenAI Chat Completions towards clients: every request read, every answer written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierwise.dialects import openai_chat, openai_models
from tierwise.dialects.openai_chat import Label, StreamEncoder, decode_request
from tierwise.errors import BadRequest, Overloaded, TierwiseError
from tierwise.types import (
    Answer,
    Audio,
    Choice,
    Chunk,
    Document,
    Foreign,
    Image,
    Message,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolDelta,
    Usage,
)

LABEL = Label("chatcmpl-1", 1_700_000_000, "cheap")
HI: dict[str, Any] = {"model": "r", "messages": [{"role": "user", "content": "hi"}]}


def decode(**changes: Any) -> Request:
    return decode_request(msgspec.json.encode(HI | changes), "req_1")


def test_smallest_request() -> None:
    """Model and messages are enough, and every other field has its meaning by default."""
    request = decode()
    assert request.asked == "r"
    assert request.messages == (Message("user", "hi"),)
    assert not request.stream
    assert (request.n, request.max_output, request.tool_choice, request.parallel_tools) == (1, None, "auto", True)


def test_full_request() -> None:
    """Everything the cascade reads is found; what it does not read stays in the body, byte for byte."""
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    request = decode(
        messages=[
            {"role": "system", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/i.png", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
                    {"type": "file", "file": {"file_id": "f"}},
                    {"type": "video_url", "video_url": {"url": "https://example.org/v"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "42"},
            {"role": "function", "name": "f", "content": "old"},
        ],
        stream=True,
        stream_options={"include_usage": True},
        logprobs=True,
        n=2,
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        stop="END",
        tools=[
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": True}}
        ],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        some_new_field={"big": 12345678901234567890, "order": [3, 1]},
    )
    assert request.messages[1].content == (
        Text("look"),
        Image("https://example.org/i.png", "low"),
        Audio("AA==", "wav"),
        Document("data:application/pdf;base64,AA==", "a.pdf"),
        Foreign("file by file_id", "openai_chat"),
        Foreign("video_url", "openai_chat"),
    )
    assert request.messages[2].tool_calls == (ToolCall("c", "f", "{}"),)
    assert request.messages[3] == Message("tool", "42", (), "c")
    assert request.messages[4].role == "tool"
    assert (request.stream, request.usage_asked, request.logprobs_asked) == (True, True, True)
    assert (request.n, request.max_output, request.temperature, request.top_p) == (2, 5, 0.5, 0.9)
    assert request.stop == ("END",)
    assert request.tools == (Tool("f", "d", schema, True),)
    assert (request.tool_choice, request.parallel_tools) == ("f", False)
    assert (request.json_answer, request.schema) == (True, schema)
    assert bytes(request.body["some_new_field"]) == b'{"big":12345678901234567890,"order":[3,1]}'


@pytest.mark.parametrize(
    ("changes", "json_answer"),
    [
        ({"response_format": {"type": "json_object"}}, True),
        ({"response_format": {"type": "json_schema"}}, True),
        ({"response_format": {"type": "text"}}, False),
    ],
)
def test_response_format(changes: dict[str, Any], json_answer: bool) -> None:
    """A JSON answer may be asked for without a schema."""
    request = decode(**changes)
    assert request.json_answer is json_answer
    assert request.schema is None


def test_newer_limit_wins() -> None:
    """max_completion_tokens replaces max_tokens; stop may be a list, a tool may be of a kind that is no function."""
    request = decode(
        max_tokens=5, max_completion_tokens=7, stop=["a", "b"], tools=[{"type": "web_search"}], tool_choice="none"
    )
    assert (request.max_output, request.stop, request.tools, request.tool_choice) == (7, ("a", "b"), (), "none")


@pytest.mark.parametrize(
    ("data", "param", "said"),
    [
        (b"", None, "not valid JSON"),
        (b"{", None, "not valid JSON"),
        (b"[]", None, "Expected `object`"),
        (b'{"model":"r","messages":[{"role":"user","content":"\xff"}]}', None, "not UTF-8"),
        (b'{"model":"r","messages":[{"role":"user","content":"x"}],"n":NaN}', None, "not valid JSON"),
        (b'{"model":"r","messages":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested too deeply"),
        (b'{"messages":[]}', None, "missing required field `model`"),
        (b'{"model":1,"messages":[]}', "model", "Expected `str`, got `int`"),
        (b'{"model":"r"}', None, "missing required field `messages`"),
        (b'{"model":"r","messages":[]}', "messages", "at least one"),
        (b'{"model":"r","messages":[{"role":"boss","content":""}]}', "messages[0].role", "Invalid enum value"),
        (b'{"model":"r","messages":[{"role":"user","content":7}]}', "messages[0].content", "got `int`"),
        (
            b'{"model":"r","messages":[{"role":"user","content":[{"type":"text"}]}]}',
            "messages[0].content[0]",
            "no text",
        ),
        (
            b'{"model":"r","messages":[{"role":"user","content":[{"type":"image_url"}]}]}',
            "messages[0].content[0]",
            "no image",
        ),
        (
            b'{"model":"r","messages":[{"role":"user","content":[{"type":"file","file":{}}]}]}',
            "messages[0].content[0].file",
            "without its data",
        ),
        (
            b'{"model":"r","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"JVBERi0="}}]}]}',
            "messages[0].content[0].file.file_data",
            "data: URL with a media type",
        ),
        (
            b'{"model":"r","messages":[{"role":"user","content":[{"type":"input_audio"}]}]}',
            "messages[0].content[0]",
            "no input_audio",
        ),
        (b'{"model":"r","messages":[{"role":"user","content":""}],"temperature":3}', "temperature", "between 0 and 2"),
        (b'{"model":"r","messages":[{"role":"user","content":""}],"n":0}', "n", "between 1 and 128"),
        (b'{"model":"r","messages":[{"role":"user","content":""}],"max_tokens":0}', "max_tokens", "between 1"),
        (b'{"model":"r","messages":[{"role":"user","content":""}],"stream":"yes"}', "stream", "got `str`"),
    ],
)
def test_bad_requests(data: bytes, param: str | None, said: str) -> None:
    """Whatever is wrong is said, with the field's name where there is one."""
    with pytest.raises(BadRequest) as caught:
        decode_request(data, "req_1")
    assert caught.value.param == param
    assert said in caught.value.message
    body = msgspec.json.decode(openai_chat.encode_error(caught.value))["error"]
    assert sorted(body) == ["code", "message", "param", "type"]
    assert body["type"] == "invalid_request_error"


def test_error_of_ours_has_all_keys() -> None:
    """Errors that are not the client's have the same four keys."""
    assert msgspec.json.decode(openai_chat.encode_error(TierwiseError("x"))) == {
        "error": {"message": "x", "type": "api_error", "param": None, "code": None}
    }


WIRE = (
    b'{"id":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop",'
    b'"logprobs":{"content":[]}}],"x":1}'
)


def whole(logprobs: tuple[float, ...] = (), dialect: str = "openai_chat") -> Answer:
    choice = Choice("hi", finish="stop", logprobs=logprobs)
    return Answer("cheap", (choice,), Usage(1, 2), True, (Chunk("hi", finish="stop", wire=WIRE, dialect=dialect),))


def test_answer_of_the_same_dialect_is_untouched() -> None:
    """The provider's own body reaches the client byte for byte."""
    assert openai_chat.encode_answer(whole(), decode(), LABEL) == WIRE
    assert openai_chat.encode_answer(whole((-1.0,)), decode(logprobs=True), LABEL) == WIRE


def test_evidence_is_taken_out() -> None:
    """Log-probabilities that only the verifier wanted do not reach the client, everything else does."""
    body = msgspec.json.decode(openai_chat.encode_answer(whole((-1.0,)), decode(), LABEL))
    assert body["choices"] == [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]
    assert (body["id"], body["x"]) == ("up", 1)


def test_written_answer() -> None:
    """An answer of another dialect is written whole: text, refusal, reasoning, calls, usage."""
    call = ToolCall("c", "f", '{"b":1,"a":2}')
    choices = (Choice("hi", finish="length"), Choice("", "why", "no", (call,), "tool_calls"))
    usage = Usage(10, 5, 4, 3, 2)
    body = msgspec.json.decode(openai_chat.encode_answer(Answer("cheap", choices, usage), decode(), LABEL))
    assert (body["id"], body["object"], body["created"], body["model"]) == (
        "chatcmpl-1",
        "chat.completion",
        1_700_000_000,
        "cheap",
    )
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hi", "refusal": None}
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][1]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "no",
        "reasoning_content": "why",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}}],
    }
    assert body["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_other_dialects_body_is_not_sent() -> None:
    """A body in another wire format never reaches a client of this one."""
    body = msgspec.json.decode(openai_chat.encode_answer(whole(dialect="anthropic"), decode(), LABEL))
    assert body["id"] == "chatcmpl-1"


def events(data: bytes) -> list[Any]:
    return [msgspec.json.decode(block.removeprefix(b"data: ")) for block in data.split(b"\n\n") if block]


def test_written_stream() -> None:
    """A stream from neutral chunks: the role once a choice, deltas, the finish, usage only where asked for."""
    batch = (
        Chunk("he"),
        Chunk("llo", refusal="r", reasoning="w"),
        Chunk(tool_calls=(ToolDelta(0, "c", "f", ""), ToolDelta(0, arguments="{}"))),
        Chunk(finish="tool_calls"),
        Chunk(),
        Chunk(usage=Usage(1, 2)),
    )
    out = events(StreamEncoder(decode(stream=True, stream_options={"include_usage": True}), LABEL).encode(batch))
    deltas = [event["choices"][0]["delta"] for event in out if event["choices"]]
    assert deltas == [
        {"role": "assistant", "content": "he"},
        {"content": "llo", "reasoning_content": "w", "refusal": "r"},
        {
            "tool_calls": [
                {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}},
                {"index": 0, "function": {"arguments": "{}"}},
            ]
        },
        {},
    ]
    assert out[3]["choices"][0]["finish_reason"] == "tool_calls"
    assert out[-1]["choices"] == []
    assert out[-1]["usage"]["total_tokens"] == 3
    assert {event["id"] for event in out} == {"chatcmpl-1"}
    assert len(events(StreamEncoder(decode(stream=True), LABEL).encode(batch))) == 4


def wired(text: str, wire: bytes | None, **changes: Any) -> Chunk:
    return msgspec.structs.replace(Chunk(text, wire=wire, dialect="openai_chat"), **changes)


def test_stream_of_the_same_dialect() -> None:
    """Events travel as they came; usage goes only to who asked, evidence to nobody who did not."""
    usage = wired("", b'{"choices":[],"usage":{}}', usage=Usage(1, 1))
    last = wired("b", b'{"choices":[{"delta":{"content":"b"}}],"usage":{}}', usage=Usage(1, 1))
    second = wired("c", None, index=1)
    probed = wired("d", b'{"choices":[{"delta":{"content":"d"},"logprobs":{}}]}', logprobs=(-1.0,))
    batch = (wired("a", b'{"new":1}'), second, usage, last, probed)
    assert StreamEncoder(decode(stream=True), LABEL).encode(batch) == (
        b'data: {"new":1}\n\n'
        b'data: {"choices":[{"delta":{"content":"b"}}],"usage":{}}\n\n'
        b'data: {"choices":[{"delta":{"content":"d"}}]}\n\n'
    )
    asked = decode(stream=True, stream_options={"include_usage": True}, logprobs=True)
    assert StreamEncoder(asked, LABEL).encode(batch) == b"".join(
        b"data: " + chunk.wire + b"\n\n" for chunk in batch if chunk.wire is not None
    )


def test_ends_of_a_stream() -> None:
    """A whole stream ends in [DONE], a torn one in an error event."""
    assert StreamEncoder.done() == b"data: [DONE]\n\n"
    event = StreamEncoder.error(Overloaded("m", "busy"))
    assert event.startswith(b'event: error\ndata: {"error":{"message":"m: busy"')


def test_models() -> None:
    """The list of models and one of them."""
    listed = msgspec.json.decode(openai_models.encode_models([("r", "tierwise")], 5))
    one = msgspec.json.decode(openai_models.encode_model("r", "tierwise", 5))
    assert listed == {"object": "list", "data": [one]}
    assert one == {"id": "r", "object": "model", "created": 5, "owned_by": "tierwise"}
