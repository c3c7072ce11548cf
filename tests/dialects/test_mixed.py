"""Streams of which some events are their provider's own and others were changed on their way: one valid stream all
the same, with the same words, whichever chunks were changed."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest

from tierwise.core.join import join
from tierwise.dialects import anthropic_replies, openai_chat
from tierwise.dialects.anthropic_answers import StreamDecoder
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_upstream import decode_event
from tierwise.dialects.sse import Events
from tierwise.types import Chunk, Finish, Message, Request, Usage

LABEL = Label("ours", 1, "configured")
ASKED = Request(
    id="q",
    asked="r",
    messages=(Message("user", "Hello"),),
    usage_asked=True,
    body={"thinking": msgspec.Raw(b'{"type":"enabled"}')},
)
Json = dict[str, Any]


def changed(chunk: Chunk) -> Chunk:
    return msgspec.structs.replace(chunk, wire=None, dialect="")


def read(raw: bytes) -> list[tuple[str, Json]]:
    events = Events().feed(raw)
    return [(name, msgspec.json.decode(data)) for name, data in events if data != b"[DONE]"]


# ------------------------------------------------------------------ OpenAI


def openai(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "theirs", "object": "chat.completion.chunk", "created": 7, "model": "m-1", "choices": [choice]}
    return msgspec.json.encode(body)


CALL = {"index": 0, "id": "c1", "function": {"name": "post", "arguments": '{"a":'}}
REST = {"index": 0, "function": {"arguments": "1}"}}
OPENAI = (
    openai({"role": "assistant", "content": ""}),
    openai({"reasoning_content": "Well. "}),
    openai({"content": "It is "}),
    openai({"content": "nine."}),
    openai({"tool_calls": [CALL]}),
    openai({"tool_calls": [REST]}),
    openai({}, "tool_calls"),
)


OTHERS = [(False, *which) for which in product([False, True], repeat=len(OPENAI) - 1)]  # nothing changes the first


@pytest.mark.parametrize("which", [*OTHERS, (True,) * len(OPENAI)], ids=str)
def test_openai(which: tuple[bool, ...]) -> None:
    """The same words; the same id, time and model in every event; one role."""
    chunks = [chunk for wire in OPENAI for chunk in decode_event(wire)]
    mixed = [changed(chunk) if one else chunk for chunk, one in zip(chunks, which, strict=True)]
    encoder = openai_chat.StreamEncoder(ASKED, LABEL)
    raw = encoder.encode(mixed)
    events = [event for _, event in read(raw)]
    again = [chunk for event in events for chunk in decode_event(msgspec.json.encode(event))]
    assert join("m", again).choices == join("m", chunks).choices
    heads = {(event["id"], event["created"], event["model"]) for event in events}
    assert heads == {("ours", 1, "configured") if which[0] else ("theirs", 7, "m-1")}
    assert sum("role" in choice["delta"] for event in events for choice in event["choices"]) == 1


def test_openai_says_what_its_provider_does_not() -> None:
    """A head that lacks something is filled up with ours."""
    encoder = openai_chat.StreamEncoder(ASKED, LABEL)
    raw = encoder.encode((Chunk("a", wire=b'{"id":"theirs","choices":[]}', dialect=openai_chat.NAME), Chunk("b")))
    last = read(raw)[-1][1]
    assert (last["id"], last["created"], last["model"]) == ("theirs", 1, "configured")


def test_openai_filtered() -> None:
    """A stream that ends before its provider does."""
    chunks = [chunk for wire in OPENAI[:3] for chunk in decode_event(wire)]
    encoder = openai_chat.StreamEncoder(ASKED, LABEL)
    raw = encoder.encode((*chunks, Chunk(finish="content_filter"), Chunk(usage=Usage(3, 2)))) + encoder.done()
    events = [event for _, event in read(raw)]
    assert {event["id"] for event in events} == {"theirs"}
    assert [choice["finish_reason"] for event in events for choice in event["choices"]][-1] == "content_filter"
    assert events[-1]["usage"]["total_tokens"] == 5
    assert raw.endswith(b"data: [DONE]\n\n")


# ------------------------------------------------------------------ Anthropic


def started(index: int, block: Json) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index: int, delta: Json) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def stopped(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


MESSAGE = {"type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
ANTHROPIC = (
    {"type": "message_start", "message": MESSAGE},
    started(0, {"type": "thinking", "thinking": ""}),
    grown(0, {"type": "thinking_delta", "thinking": "Well. "}),
    grown(0, {"type": "signature_delta", "signature": "s"}),
    stopped(0),
    started(1, {"type": "text", "text": ""}),
    grown(1, {"type": "text_delta", "text": "It is "}),
    grown(1, {"type": "text_delta", "text": "nine."}),
    stopped(1),
    started(2, {"type": "tool_use", "id": "c1", "name": "post", "input": {}}),
    grown(2, {"type": "input_json_delta", "partial_json": '{"a":'}),
    grown(2, {"type": "input_json_delta", "partial_json": "1}"}),
    stopped(2),
    started(3, {"type": "tool_use", "id": "c2", "name": "post", "input": {}}),
    grown(3, {"type": "input_json_delta", "partial_json": "{}"}),
    stopped(3),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
)
SPEAK = [at for at, event in enumerate(ANTHROPIC) if event["type"] == "content_block_delta" and at != 3]


def decoded(events: list[tuple[str, Json]]) -> list[Chunk]:
    decoder = StreamDecoder()
    chunks = [decoder.feed(name, msgspec.json.encode(event)) for name, event in events]
    assert decoder.finished
    return [chunk for chunk in chunks if chunk is not None]


THEIRS = decoded([("", event) for event in ANTHROPIC])


def valid(events: list[tuple[str, Json]]) -> None:
    """Blocks one after the other, each begun and ended once, and the message too."""
    assert all(name == event["type"] for name, event in events)
    kinds = [name for name, _ in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert all(kinds.count(kind) == 1 for kind in ("message_start", "message_delta", "message_stop"))
    begun = [event["index"] for name, event in events if name == "content_block_start"]
    ended = [event["index"] for name, event in events if name == "content_block_stop"]
    assert begun == sorted(set(begun)) == sorted(ended)
    assert begun == list(range(len(begun)))


@pytest.mark.parametrize("which", list(product([False, True], repeat=len(SPEAK))), ids=str)
def test_anthropic(which: tuple[bool, ...]) -> None:
    """Whichever words were changed, they stand in the provider's own blocks."""
    places = {at for at, one in zip(SPEAK, which, strict=True) if one}
    encoder = anthropic_replies.StreamEncoder(ASKED, LABEL)
    mixed = [changed(chunk) if at in places else chunk for at, chunk in enumerate(THEIRS)]
    events = read(encoder.encode(mixed) + encoder.done())
    valid(events)
    assert join("m", decoded(events)).choices == join("m", THEIRS).choices
    assert [event for at, (_, event) in enumerate(events) if at not in places] == [
        event for at, event in enumerate(ANTHROPIC) if at not in places
    ]


@pytest.mark.parametrize("at", range(1, len(ANTHROPIC) - 1))
@pytest.mark.parametrize("finish", ["content_filter", "stop"])
def test_anthropic_ended_before_its_provider(at: int, finish: Finish) -> None:
    """What is open is closed, the end is told once, and of the provider's events nothing goes out any more."""
    encoder = anthropic_replies.StreamEncoder(ASKED, LABEL)
    mixed = (*THEIRS[:at], Chunk(finish=finish, usage=Usage(3, 2)), *THEIRS[at:])
    events = read(encoder.encode(mixed) + encoder.done())
    valid(events)
    assert events[-2][1]["delta"]["stop_reason"] == {"content_filter": "refusal", "stop": "end_turn"}[finish]
    assert events[-2][1]["usage"]["output_tokens"] == 2


def test_words_where_no_block_is_open() -> None:
    """They get one of their own."""
    encoder = anthropic_replies.StreamEncoder(ASKED, LABEL)
    mixed = (*THEIRS[:5], Chunk("Changed."), Chunk(finish="stop"))
    events = read(encoder.encode(mixed) + encoder.done())
    valid(events)
    assert join("m", decoded(events)).text == "Changed."
