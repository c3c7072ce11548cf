"""Answers, streams and errors out to OpenAI Responses clients, read by the official SDK's own types."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tierwise.core.join import join
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_responses import decode_request
from tierwise.dialects.openai_responses_out import StreamEncoder, encode_answer
from tierwise.dialects.sse import Events
from tierwise.errors import BadRequest, Overloaded
from tierwise.types import Answer, Choice, Chunk, Finish, Request, ToolCall, ToolDelta, Usage

LABEL = Label("resp_1", 7, "gpt")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
Json = dict[str, Any]


def request(**fields: Any) -> Request:
    return decode_request(msgspec.json.encode({"model": "r", "input": "Hello", **fields}), "req_9")


PLAIN = request()


def said(choice: Choice, usage: Usage | None = None, asked: Request = PLAIN) -> Json:
    raw = encode_answer(Answer("m", (choice,), usage), asked, LABEL)
    Response.model_validate_json(raw)
    body: Json = msgspec.json.decode(raw)
    return body


def events(*chunks: Chunk) -> list[Json]:
    encoder = StreamEncoder(PLAIN, LABEL)
    found = Events().feed(encoder.encode(chunks) + encoder.done())
    for name, data in found:
        assert EVENT.validate_json(data).type == name
    bodies = [msgspec.json.decode(data) for _, data in found]
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    return bodies


def test_a_response() -> None:
    """All that the SDK's type demands, and what the request said."""
    body = said(Choice("Hi.", finish="stop"), Usage(10, 3, 4, 2, 1), request(instructions="Be kind.", temperature=0.5))
    assert (body["id"], body["object"], body["created_at"], body["model"]) == ("resp_1", "response", 7, "gpt")
    assert (body["status"], body["error"], body["incomplete_details"]) == ("completed", None, None)
    assert (body["instructions"], body["temperature"], body["tools"]) == ("Be kind.", 0.5, [])
    (item,) = body["output"]
    assert (item["type"], item["role"], item["status"], item["id"]) == ("message", "assistant", "completed", "msg_9_0")
    assert item["content"] == [{"type": "output_text", "text": "Hi.", "annotations": [], "logprobs": []}]
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 13,
    }
    assert msgspec.json.decode(encode_answer(Answer("m", ()), PLAIN, LABEL))["output"] == []


def test_thoughts_refusals_and_calls_are_items() -> None:
    """In this order; arguments as the model wrote them."""
    calls = (ToolCall("c1", "look", '{"b":1}'), ToolCall("c2", "wait", ""))
    body = said(Choice("Yes.", "hm", "No.", calls, "tool_calls"))
    assert [item["type"] for item in body["output"]] == [
        "reasoning",
        "message",
        "message",
        "function_call",
        "function_call",
    ]
    assert body["output"][0]["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert body["output"][2]["content"] == [{"type": "refusal", "refusal": "No."}]
    call = body["output"][3]
    assert (call["call_id"], call["name"], call["arguments"]) == ("c1", "look", '{"b":1}')


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_what_was_cut_says_so(finish: Finish, reason: str) -> None:
    """It is no completed response, whole or streamed."""
    for body in (said(Choice("Hi", finish=finish)), events(Chunk("Hi", finish=finish))[-1]["response"]):
        assert (body["status"], body["incomplete_details"], body["completed_at"]) == (
            "incomplete",
            {"reason": reason},
            None,
        )


def test_a_stream_in_order() -> None:
    """Items begin, grow and end one after the other; calls may grow side by side until the end."""
    stream = events(
        Chunk(reasoning="hm"),
        Chunk("Ye"),
        Chunk("s."),
        Chunk(tool_calls=(ToolDelta(0, "c1", "look"), ToolDelta(1, "c2", "wait", "{"))),
        Chunk(tool_calls=(ToolDelta(0, arguments="{}"), ToolDelta(1, arguments="}"))),
        Chunk(finish="tool_calls"),
        Chunk(usage=Usage(5, 6)),
    )
    assert [event["type"].removeprefix("response.") for event in stream] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert stream[0]["response"]["status"] == "in_progress"
    assert stream[12]["text"] == "Yes."
    assert stream[-1]["response"]["usage"]["total_tokens"] == 11


def test_a_stream_without_a_word() -> None:
    """It still begins and ends; a refusal is an item of its own."""
    assert [event["type"] for event in events()] == ["response.created", "response.in_progress", "response.completed"]
    assert events(Chunk(refusal="No."))[4]["type"] == "response.refusal.delta"


def test_errors_end_a_stream() -> None:
    """Numbered on, with all that both generations of clients look for; never a completed response."""
    encoder = StreamEncoder(PLAIN, LABEL)
    encoder.encode((Chunk("Hi"),))
    ((name, data),) = Events().feed(encoder.error(Overloaded("m", "busy")))
    body = msgspec.json.decode(data)
    assert (name, body["sequence_number"] > 0, body["code"], body["param"]) == (
        "error",
        True,
        "provider_overloaded",
        None,
    )
    assert body["error"]["message"] == body["message"] == "m: busy"
    ((_, data),) = Events().feed(StreamEncoder(PLAIN, LABEL).error(BadRequest("no", param="input")))
    assert msgspec.json.decode(data)["code"] == "invalid_request_error"


pieces = st.one_of(
    st.text(min_size=1, max_size=5).map(Chunk),
    st.text(min_size=1, max_size=5).map(lambda text: Chunk(reasoning=text)),
    st.tuples(st.integers(0, 2), st.text(max_size=5)).map(
        lambda p: Chunk(tool_calls=(ToolDelta(p[0], f"c{p[0]}", "f", p[1]),))
    ),
)


@given(st.lists(pieces, max_size=12))
def test_a_stream_joined_is_the_whole(chunks: list[Chunk]) -> None:
    """Whatever order pieces come in, the last event's output holds just what the pieces held."""
    output = events(*chunks, Chunk(finish="stop"))[-1]["response"]["output"]
    expected = join("m", chunks, complete=True).choices
    choice = expected[0] if expected else Choice()
    for kind, text in (("reasoning", choice.reasoning), ("message", choice.text)):
        parts = [item["content"][0]["text"] for item in output if item["type"] == kind]
        assert "".join(parts) == text
    calls = {item["call_id"]: item["arguments"] for item in output if item["type"] == "function_call"}
    assert calls == {call.id: call.arguments for call in choice.tool_calls}
    assert [item["id"].rpartition("_")[2] for item in output] == [str(place) for place in range(len(output))]


# ------------------------------------------------------------------ a provider of the same wire


def wired(kind: str, number: int, **fields: Any) -> Chunk:
    data = msgspec.json.encode({"type": kind, "sequence_number": number, **fields})
    return Chunk(wire=data, dialect="openai_responses")


def test_a_response_of_the_same_wire() -> None:
    """Goes out as it came, whole and out of a stream; only what it goes on from is added, where it does."""
    body = b'{"id":"resp_x", "n" : 12345678901234567890,"previous_response_id":null,"output":[]}'
    whole = Answer("m", (Choice(),), None, True, (Chunk(wire=body, dialect="openai_responses"),))
    assert encode_answer(whole, PLAIN, LABEL) == body
    last = Chunk(wire=b'{"type":"response.completed","response":%b}' % body, dialect="openai_responses")
    streamed = Answer("m", (Choice(),), None, True, (wired("response.created", 0, response={}), last))
    assert encode_answer(streamed, PLAIN, LABEL) == body
    continued = request(previous_response_id="resp_0")
    for answer in (whole, streamed):
        assert encode_answer(answer, continued, LABEL) == (
            b'{"id":"resp_x","n":12345678901234567890,"previous_response_id":"resp_0","output":[]}'
        )


def test_a_stream_of_the_same_wire() -> None:
    """Goes out event by event as it came; an error of ours takes the next number."""
    chunks = [
        wired("response.created", 0, response={"id": "resp_x", "previous_response_id": None}),
        wired("response.of_tomorrow", 1, more=[1.0]),
        Chunk(wire=b'{"type":"response.without_a_number"}', dialect="openai_responses"),
        Chunk(wire=b'{"type":"response.odd","sequence_number":1e999}', dialect="openai_responses"),
        Chunk(wire=b'{"type":"response.odd","sequence_number":1234567890123456}', dialect="openai_responses"),
    ]
    for asked, before in ((PLAIN, None), (request(previous_response_id="resp_0"), "resp_0")):
        encoder = StreamEncoder(asked, LABEL)
        found = Events().feed(encoder.encode(chunks[:1]) + encoder.encode(chunks[1:]))
        assert [name for name, _ in found] == [
            "response.created",
            "response.of_tomorrow",
            "response.without_a_number",
            "response.odd",
            "response.odd",
        ]
        assert msgspec.json.decode(found[0][1])["response"] == {"id": "resp_x", "previous_response_id": before}
        assert [data for _, data in found[1:]] == [chunk.wire for chunk in chunks[1:]]
        assert encoder.done() == b""
        ((name, data),) = Events().feed(encoder.error(Overloaded("m", "busy")))
        assert (name, msgspec.json.decode(data)["sequence_number"]) == ("error", 2)
