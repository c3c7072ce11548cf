"""Answers, events and errors in from Anthropic Messages."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.core.join import join
from tierwise.dialects.anthropic_answers import StreamDecoder, decode_answer, decode_error
from tierwise.errors import Overloaded, ProviderError, Refused, WireError
from tierwise.types import Chunk, ToolCall, Usage

USAGE = {"input_tokens": 10, "output_tokens": 7}
Event = dict[str, Any]


def message(*content: Event, stop: str | None = "end_turn", **fields: Any) -> bytes:
    return json.dumps({"type": "message", "content": content, "stop_reason": stop, "usage": USAGE} | fields).encode()


def start(**usage: Any) -> Event:
    counts = {"input_tokens": 10, "output_tokens": 1} | usage
    return {"type": "message_start", "message": {"type": "message", "content": [], "usage": counts}}


def block(index: int, **content: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, **content: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": content}


def stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", *, usage: Event | None = None, **fields: Any) -> tuple[Event, Event]:
    counts = {"output_tokens": 7} if usage is None else usage
    delta = {"stop_reason": reason} | fields
    return {"type": "message_delta", "delta": delta, "usage": counts}, {"type": "message_stop"}


def fed(*events: Event, decoder: StreamDecoder | None = None) -> list[Chunk]:
    decoder = decoder or StreamDecoder()
    chunks = (decoder.feed(event["type"], json.dumps(event).encode()) for event in events)
    return [chunk for chunk in chunks if chunk is not None]


# ------------------------------------------------------------------ whole


def test_whole_answer() -> None:
    """One chunk holds all of it: text, thinking, calls with their arguments, the end, usage, the wire's bytes."""
    data = message(
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Hel", "citations": None},
        {"type": "text", "text": "lo"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": [1]}},
        {"type": "server_tool_use", "id": "s1", "name": "search", "input": {}},
        stop="tool_use",
    )
    (chunk,) = decode_answer(data)
    choice = join("claude", [chunk]).choices[0]
    assert (choice.text, choice.reasoning, choice.finish) == ("Hello", "Hm.", "tool_calls")
    assert choice.tool_calls == (ToolCall("t1", "look", '{"a": [1]}'),)
    assert (chunk.usage, chunk.wire, chunk.dialect) == (Usage(10, 7), data, "anthropic")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "length"),
    ],
)
def test_stop_reasons(reason: str, finish: str) -> None:
    """Each reason to stop has its neutral word; one that nobody knows yet never counts as a clean end."""
    assert decode_answer(message(stop=reason))[0].finish == finish


def test_usage_counts_cached_input_once() -> None:
    """Neutral input is all input: this wire counts fresh, read and written tokens apart."""
    usage = USAGE | {
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 1000,
        "output_tokens_details": {"thinking_tokens": 3},
        "server_tool_use": None,
    }
    assert decode_answer(message(usage=usage))[0].usage == Usage(1110, 7, 100, 1000, 3)


def test_usage_that_is_missing_is_not_zero() -> None:
    """Without counts there is no usage, rather than a usage of nothing."""
    assert decode_answer(message(usage=None))[0].usage is None
    assert decode_answer(message(usage={"output_tokens": 1}))[0].usage is None


def test_refusal_with_its_explanation() -> None:
    """What the provider says about a refusal is kept apart from the answer's text."""
    (chunk,) = decode_answer(message(stop="refusal", stop_details={"type": "refusal", "explanation": "No."}))
    assert (chunk.refusal, chunk.text) == ("No.", "")
    assert decode_answer(message(stop="refusal", stop_details={"explanation": None}))[0].refusal == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"type":"message","content":[{"type":"text","text":"\xff"}],"stop_reason":"end_turn"}',
        b'{"type":"completion","stop_reason":"end_turn"}',
        message(stop=None),
        b'{"type":"message","content":' + b"[" * 100_000,
        message().replace(b'"type"', b'"unread":"\xff","type"', 1),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    """Bytes that are no ended message are an error of the wire."""
    with pytest.raises(WireError):
        decode_answer(data)


@pytest.mark.parametrize(("kind", "overloaded"), [("overloaded_error", True), ("api_error", False), ("A b\n", False)])
def test_error_in_place_of_an_answer(kind: str, overloaded: bool) -> None:
    """An error in a reply of 200 is an error, its text unrepeated, and says whether to come back later."""
    data = json.dumps({"type": "error", "error": {"type": kind, "message": "secret"}}).encode()
    with pytest.raises(WireError) as caught:
        decode_answer(data)
    assert caught.value.overloaded is overloaded
    assert "secret" not in caught.value.message
    assert ("A b" in caught.value.message) is False


# ------------------------------------------------------------------ streamed


def test_stream_joins_to_the_whole() -> None:
    """Text, thinking and calls come in pieces and join to what a whole answer says; usage comes once, at the end."""
    decoder = StreamDecoder()
    chunks = fed(
        start(cache_read_input_tokens=90),
        {"type": "ping"},
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hm."),
        delta(0, type="signature_delta", signature="sig"),
        stop(0),
        block(1, type="text", text=""),
        delta(1, type="text_delta", text="Hel"),
        delta(1, type="text_delta", text="lo"),
        stop(1),
        block(2, type="tool_use", id="t1", name="look", input={}),
        delta(2, type="input_json_delta", partial_json=""),
        delta(2, type="input_json_delta", partial_json='{"a"'),
        delta(2, type="input_json_delta", partial_json=":1}"),
        stop(2),
        block(3, type="tool_use", id="t2", name="wait", input={}),
        stop(3),
        {"type": "novelty", "index": 9},
        *end("tool_use"),
        decoder=decoder,
    )
    answer = join("claude", chunks)
    choice = answer.choices[0]
    assert (choice.text, choice.reasoning, choice.finish) == ("Hello", "Hm.", "tool_calls")
    assert choice.tool_calls == (ToolCall("t1", "look", '{"a":1}'), ToolCall("t2", "wait", "{}"))
    assert answer.usage == Usage(100, 7, 90)
    assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(100, 7, 90)]
    assert any(b"sig" in (chunk.wire or b"") for chunk in chunks)
    assert decoder.finished


def test_usage_is_a_running_total() -> None:
    """Later counts replace earlier ones, they are never added up."""
    late = end(usage={"input_tokens": 12, "output_tokens": 9, "cache_read_input_tokens": None})
    chunks = fed(start(cache_read_input_tokens=5), end(None, usage={"output_tokens": 4})[0], *late)
    assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(15, 4, 5), Usage(17, 9, 5)]


def test_stream_without_usage() -> None:
    """Where the end counts nothing there is no usage: the start's is the input alone."""
    bare = {"type": "message_start", "message": {"type": "message"}}
    ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    assert join("claude", fed(start(), ending, {"type": "message_stop"})).usage is None
    assert join("claude", fed(bare, *end())).usage is None
    assert join("claude", fed({"type": "message_start"}, *end())).usage is None


def test_blocks_that_begin_with_content() -> None:
    """Content that stands in a block's start is not lost; blocks of tools that run elsewhere add nothing."""
    chunks = fed(
        start(),
        block(0, type="text", text="Hi"),
        block(1, type="thinking", thinking="Hm"),
        block(2, type="tool_use", id="t1", name="look", input={"a": 1}),
        stop(2),
        block(3, type="server_tool_use", id="s1", name="search", input={}),
        delta(3, type="input_json_delta", partial_json='{"q":1}'),
        *end("refusal", stop_details={"explanation": "No."}),
    )
    choice = join("claude", chunks).choices[0]
    assert (choice.text, choice.reasoning, choice.refusal) == ("Hi", "Hm", "No.")
    assert choice.tool_calls == (ToolCall("t1", "look", '{"a": 1}'),)


def test_what_follows_the_end_is_ignored() -> None:
    """After message_stop nothing counts, not even garbage."""
    decoder = StreamDecoder()
    fed(start(), *end(), decoder=decoder)
    assert decoder.feed("", b"[DONE]") is None


def test_event_name_stands_in_for_a_type() -> None:
    """A server that names its events only in the SSE field is understood too."""
    with pytest.raises(WireError, match="message_stop out of order"):
        StreamDecoder().feed("message_stop", b"{}")


@pytest.mark.parametrize(
    "events",
    [
        (delta(0, type="text_delta", text="Hi"),),
        (start(), start()),
        (start(), delta(0, type="text_delta", text="Hi")),
        (start(), {"type": "content_block_start", "index": 0}),
        (start(), block(0, type="text"), block(0, type="text")),
        (start(), {"type": "message_stop"}),
        (start(), *end(None)),
        (start(), {"type": "content_block_delta", "index": 0, "delta": {"text": 5}}),
    ],
)
def test_broken_order(events: tuple[Event, ...]) -> None:
    """A stream that begins twice, ends without a reason or writes into no block is an error, never an answer."""
    with pytest.raises(WireError):
        fed(*events)


@pytest.mark.parametrize(("kind", "overloaded"), [("overloaded_error", True), ("rate_limit_error", True), ("x", False)])
def test_error_event(kind: str, overloaded: bool) -> None:
    """An error inside the stream ends it, and says whether to come back later."""
    with pytest.raises(WireError) as caught:
        fed(start(), {"type": "error", "error": {"type": kind, "message": "secret"}})
    assert caught.value.overloaded is overloaded
    assert "secret" not in caught.value.message


def test_bytes_that_are_no_text() -> None:
    """Also where nobody here reads them: a client's own reader would break on what goes on as it came."""
    with pytest.raises(WireError):
        StreamDecoder().feed("message_start", b'{"type":"message_start","unread":"\xff"}')


def test_error_event_without_an_error() -> None:
    """An error event that says nothing is still an error."""
    with pytest.raises(WireError, match="an error"):
        fed({"type": "error"})


@settings(max_examples=80)
@given(st.lists(st.text(max_size=6), max_size=6), st.dictionaries(st.text(max_size=4), st.integers(-9, 9), max_size=3))
def test_any_cut_of_an_answer_joins_to_the_whole(pieces: list[str], arguments: dict[str, int]) -> None:
    """However the provider cuts it, the joined stream says what the whole answer says."""
    text, call = "".join(pieces), json.dumps(arguments)
    half = len(call) // 2
    chunks = fed(
        start(),
        block(0, type="text", text=""),
        *(delta(0, type="text_delta", text=piece) for piece in pieces),
        stop(0),
        block(1, type="tool_use", id="t", name="look", input={}),
        *(delta(1, type="input_json_delta", partial_json=part) for part in (call[:half], call[half:])),
        stop(1),
        *end("tool_use"),
    )
    whole = message(
        {"type": "text", "text": text},
        {"type": "tool_use", "id": "t", "name": "look", "input": arguments},
        stop="tool_use",
    )
    streamed, answer = join("claude", chunks), join("claude", decode_answer(whole))
    assert (streamed.choices, streamed.usage) == (answer.choices, answer.usage)


@settings(max_examples=150)
@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "message", "content", "delta", "usage", "error", "index", "stop_reason"]),
                inner | st.sampled_from(["message", "error", "message_start", "message_delta", "content_block_start"]),
                max_size=4,
            )
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode())
)
def test_garbage_is_an_error_of_the_wire(data: bytes) -> None:
    """Whatever a provider sends, the decoders answer with chunks or with a WireError."""
    decoder = StreamDecoder()
    for decode in (
        decode_answer,
        lambda data: decoder.feed("", data),
        lambda data: decoder.feed("message_start", data),
    ):
        with contextlib.suppress(WireError):
            decode(data)
    assert isinstance(decode_error("claude", 400, {}, data), ProviderError)


# ------------------------------------------------------------------ errors


def failure(status: int, kind: str = "some_error", text: str = "Because.", **headers: str) -> ProviderError:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": text}}).encode()
    return decode_error("claude", status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 504, 529])
def test_passing_trouble_is_overloaded(status: int) -> None:
    """Timeouts, limits and breakdowns of the provider may be tried again; its words are not repeated."""
    error = failure(status, "overloaded_error", "secret")
    assert isinstance(error, Overloaded)
    assert error.retryable
    assert error.upstream == status
    assert "overloaded_error" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 413, 422])
def test_lasting_trouble_is_refused(status: int) -> None:
    """What fails again the same way is not tried again; the provider's words stay only where they help the client."""
    error = failure(status, text="Because of sk-ant-api03-abc_d.\n" + "x" * 1000)
    assert isinstance(error, Refused)
    assert not error.retryable
    assert ("Because" in error.message) is (status in {400, 404, 422})
    assert "sk-ant" not in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"type":"error"}', b'{"type":"error","error":{"message":"a"}}']
)
def test_errors_without_the_dialects_body(body: bytes) -> None:
    """A proxy's page, or nothing, is judged by its status alone."""
    assert decode_error("claude", 502, {}, body).message == "claude: the provider answered 502"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry_after": "3"}, 3.0), ({"retry_after_ms": "250", "retry_after": "3"}, 0.25), ({}, None)],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    """The provider's word on when to try again is kept, in seconds."""
    assert failure(429, **headers).retry_after == seconds
