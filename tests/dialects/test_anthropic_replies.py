"""Answers, streams and errors out to Anthropic Messages clients."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.join import join
from tierwise.dialects.anthropic_answers import NAME, StreamDecoder, decode_answer
from tierwise.dialects.anthropic_messages import decode_request
from tierwise.dialects.anthropic_replies import (
    StreamEncoder,
    encode_answer,
    encode_count,
    encode_error,
)
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.sse import Events
from tierwise.errors import BadRequest, Overloaded, RateLimited, TierwiseError, Torn, Unauthorized
from tierwise.types import Answer, Choice, Chunk, Finish, Request, ToolCall, ToolDelta, Usage

LABEL = Label("msg_1", 1, "claude")
Json = dict[str, Any]


def request(**fields: Any) -> Request:
    body = {"model": "r", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return decode_request(msgspec.json.encode(body), "q")


PLAIN = request()
THINKING = request(thinking={"type": "enabled", "budget_tokens": 1024})


def said(choice: Choice, asked: Request = PLAIN, usage: Usage | None = None) -> Json:
    body: Json = msgspec.json.decode(encode_answer(Answer("m", (choice,), usage), asked, LABEL))
    return body


def events(*batches: tuple[Chunk, ...], asked: Request = PLAIN) -> list[Json]:
    encoder = StreamEncoder(asked, LABEL)
    data = b"".join(encoder.encode(batch) for batch in batches) + encoder.done()
    found = Events().feed(data)
    for name, body in found:
        assert msgspec.json.decode(body)["type"] == name
    return [msgspec.json.decode(body) for _, body in found]


def joined(stream: list[Json]) -> Answer:
    """As a reader of this wire puts it together."""
    decoder = StreamDecoder()
    chunks = [decoder.feed("", msgspec.json.encode(event)) for event in stream]
    assert decoder.finished
    return join("m", [chunk for chunk in chunks if chunk is not None], complete=True)


def test_a_message() -> None:
    """All that the SDK's type demands."""
    assert said(Choice("Hi.", finish="stop"), usage=Usage(10, 3, 4, 2)) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 4,
            "output_tokens": 3,
        },
    }
    assert msgspec.json.decode(encode_answer(Answer("m", ()), PLAIN, LABEL))["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
def test_reasons_to_stop(finish: Finish, reason: str) -> None:
    """Whole and streamed alike."""
    assert said(Choice("Hi.", finish=finish))["stop_reason"] == reason
    assert events((Chunk("Hi.", finish=finish),))[-2]["delta"]["stop_reason"] == reason


def test_calls_of_tools() -> None:
    """Arguments as the model wrote them: order of keys and large integers stay."""
    calls = (ToolCall("t1", "look", '{"b":1,"a":12345678901234567890}'), ToolCall("t2", "wait", " "))
    raw = encode_answer(Answer("m", (Choice("", tool_calls=calls, finish="tool_calls"),)), PLAIN, LABEL)
    assert b'"input":{"b":1,"a":12345678901234567890}' in raw
    assert [block["type"] for block in msgspec.json.decode(raw)["content"]] == ["tool_use", "tool_use"]
    assert msgspec.json.decode(raw)["content"][1]["input"] == {}
    with pytest.raises(Torn, match="no JSON object"):
        said(Choice("", tool_calls=(ToolCall("t", "look", '{"a":'),)))


def test_thoughts_are_shown_to_who_asked() -> None:
    """Another client would not know what to do with them; a refusal is what was said."""
    choice = Choice("Yes.", reasoning="hm", finish="stop")
    assert [block["type"] for block in said(choice)["content"]] == ["text"]
    assert said(choice, THINKING)["content"][0] == {"type": "thinking", "thinking": "hm", "signature": ""}
    off = request(thinking={"type": "disabled"})
    none = request(thinking=None)
    assert [len(said(choice, asked)["content"]) for asked in (off, none)] == [1, 1]
    assert said(Choice(refusal="No."))["content"] == [{"type": "text", "text": "No."}]


def test_a_stream_in_order() -> None:
    """Blocks begin, grow and end one after the other; calls may grow side by side until the end."""
    stream = events(
        (Chunk(reasoning="h"), Chunk(reasoning="m")),
        (Chunk("Ye"), Chunk("s."), Chunk(refusal="!")),
        (Chunk(tool_calls=(ToolDelta(0, "t1", "look", ""),)),),
        (Chunk(tool_calls=(ToolDelta(1, "t2", "wait", "{"), ToolDelta(0, arguments="{}"))),),
        (Chunk(tool_calls=(ToolDelta(1, arguments="}"),)), Chunk(finish="tool_calls"), Chunk(usage=Usage(5, 6))),
        asked=THINKING,
    )
    kinds = [(event["type"], event.get("index")) for event in stream]
    assert kinds == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_start", 3),
        ("content_block_delta", 3),
        ("content_block_delta", 2),
        ("content_block_delta", 3),
        ("content_block_stop", 2),
        ("content_block_stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert stream[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert stream[-2]["usage"]["output_tokens"] == 6
    answer = joined(stream)
    assert (answer.text, answer.choices[0].reasoning) == ("Yes.!", "hm")
    assert [(call.name, call.arguments) for call in answer.choices[0].tool_calls] == [("look", "{}"), ("wait", "{}")]


def test_thoughts_of_a_stream_are_left_out_for_others() -> None:
    """As in a whole answer; a stream without a word still begins and ends."""
    assert [event["type"] for event in events((Chunk(reasoning="hm"),))] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert next(event["type"] for event in events()) == "message_start"


def test_a_provider_s_own_words_pass() -> None:
    """The same wire on both sides: every byte of it, signatures and all."""
    message = (
        b'{"type":"message","id":"m","content":[{"type":"thinking","thinking":"h","signature":"s"}],'
        b'"stop_reason":"end_turn","x":1.10}'
    )
    chunks = decode_answer(message)
    assert encode_answer(join("m", chunks, complete=True), PLAIN, LABEL) == message
    wires = [
        b'{"type":"message_start","message":{"type":"message","x":1.10}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s=="}}',
        b'{"type":"content_block_stop","index":0}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}',
        b'{"type":"message_stop"}',
    ]
    decoder, encoder = StreamDecoder(), StreamEncoder(PLAIN, LABEL)
    batch = tuple([chunk for wire in wires if (chunk := decoder.feed("", wire)) is not None])
    sent = encoder.encode(batch) + encoder.done()
    assert [data for _, data in Events().feed(sent)] == wires
    assert encoder.encode((Chunk(dialect="anthropic"),)) == b""


def wired(*stream: Json) -> list[Chunk]:
    """The chunks of a provider's own events."""
    decoder = StreamDecoder()
    chunks = [decoder.feed("", msgspec.json.encode(event)) for event in stream]
    return [chunk for chunk in chunks if chunk is not None]


def begin(index: int, block: Json) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


START: Json = {"type": "message_start", "message": {"type": "message", "content": [], "usage": {"input_tokens": 3}}}
THOUGHT, WORDS = begin(0, {"type": "thinking", "thinking": ""}), begin(1, {"type": "text", "text": ""})
CALL = begin(2, {"type": "tool_use", "id": "t", "name": "f", "input": {}})
END: Json = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def test_what_is_written_among_a_provider_s_events_goes_on_with_its_blocks() -> None:
    """Words and arguments that were changed on their way lie in the blocks that are open."""
    first = wired(START, THOUGHT, stop(0), WORDS, stop(1), CALL, stop(2), END, {"type": "message_stop"})
    first[4:4] = [Chunk("Hi")]
    first[7:7] = [Chunk(tool_calls=(ToolDelta(0, arguments="{}"),))]
    stream = events(tuple(first))
    assert [event["index"] for event in stream if event["type"] == "content_block_delta"] == [1, 2]
    assert [event["type"] for event in stream].count("message_start") == 1
    assert [event["type"] for event in stream].count("message_stop") == 1
    answer = joined(stream)
    assert (answer.text, answer.choices[0].tool_calls) == ("Hi", (ToolCall("t", "f", "{}"),))


@pytest.mark.parametrize("ended", [False, True])
def test_a_provider_s_stream_that_is_cut_is_ended(ended: bool) -> None:
    """Its open blocks, each once, and the message."""
    cut = wired(START, THOUGHT, stop(0), WORDS, stop(1), CALL, *([stop(2), END] if ended else []))
    stream = events((*cut, Chunk(finish="content_filter")))
    assert [event["index"] for event in stream if event["type"] == "content_block_stop"] == [0, 1, 2]
    told = [event for event in stream if event["type"] == "message_delta"]
    assert [event["delta"]["stop_reason"] for event in told] == ["end_turn" if ended else "refusal"]
    assert stream[-1] == {"type": "message_stop"}
    later = events((*wired(START, WORDS, stop(1)), Chunk("Hi", finish="stop")))
    assert [event["index"] for event in later if event["type"] == "content_block_start"] == [1, 2]
    open_words = events((*wired(START, WORDS), Chunk("Hi", finish="stop", usage=Usage(3, 4))))
    assert joined(open_words).text == "Hi"
    assert open_words[-2]["usage"]["output_tokens"] == 4


def test_a_block_without_content_is_passed_over() -> None:
    """What later versions may send goes out as it came; an event of several choices goes out once."""
    odd = Chunk(wire=b'{"type":"content_block_start","index":0}', dialect=NAME)
    assert events((*wired(START), odd, Chunk(dialect=NAME), Chunk("Hi", finish="stop")))[1:2] == [
        {"type": "content_block_start", "index": 0}
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (Unauthorized("x"), "authentication_error"),
        (RateLimited("x"), "rate_limit_error"),
        (Overloaded("m", "x"), "overloaded_error"),
        (TierwiseError("x"), "api_error"),
    ],
)
def test_errors(error: TierwiseError, kind: str) -> None:
    """In the shape that the SDKs raise on, in a stream too."""
    body = msgspec.json.decode(encode_error(error, "req_1"))
    assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", kind, "req_1")
    ((name, data),) = Events().feed(StreamEncoder.error(error))
    assert (name, "request_id" in msgspec.json.decode(data)) == ("error", False)


def test_counts() -> None:
    """What count_tokens answers."""
    assert encode_count(7) == b'{"input_tokens":7}'


pieces = st.one_of(
    st.text(min_size=1, max_size=5).map(Chunk),
    st.text(min_size=1, max_size=5).map(lambda text: Chunk(reasoning=text)),
    st.tuples(st.integers(0, 2), st.text(max_size=5)).map(
        lambda p: Chunk(tool_calls=(ToolDelta(p[0], arguments=p[1]),))
    ),
)


@given(st.lists(pieces, max_size=12))
def test_a_stream_joined_is_the_whole(chunks: list[Chunk]) -> None:
    """Whatever order pieces come in, a reader ends with the same answer; every block is begun and ended once."""
    named = [
        msgspec.structs.replace(
            chunk, tool_calls=tuple([ToolDelta(p.index, f"t{p.index}", "f", p.arguments) for p in chunk.tool_calls])
        )
        for chunk in chunks
    ]
    stream = events(tuple(named), (Chunk(finish="stop"),), asked=THINKING)
    whole = join("m", chunks, complete=True).choices
    answer = joined(stream).choices[0]
    expected = whole[0] if whole else Choice()
    assert (answer.text, answer.reasoning) == (expected.text, expected.reasoning)
    calls = {call.id: call.arguments or "{}" for call in answer.tool_calls}
    texts: dict[str, str] = {}
    for chunk in named:
        for piece in chunk.tool_calls:
            texts[piece.id] = texts.get(piece.id, "") + piece.arguments
    assert calls == {name: text or "{}" for name, text in texts.items()}
    starts = [event["index"] for event in stream if event["type"] == "content_block_start"]
    assert starts == list(range(len(starts)))
    assert sorted(event["index"] for event in stream if event["type"] == "content_block_stop") == starts
    for before, after in pairwise(stream):
        assert not (before["type"] == "message_stop" and after)
