"""Marks become values again, wherever a stream is cut, and however a model has written them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.join import join
from tierwise.dialects import anthropic_answers, anthropic_replies, openai_chat, openai_upstream
from tierwise.screens.restoring import Restore
from tierwise.types import Chunk, Request, ToolDelta

ANN = "ann@example.com"
MARKS = {
    "<EMAIL_1>": ANN,
    "<EMAIL_12>": "zoe@example.com",
    "<NAME_1>": 'Zed "Z" K\u00f6hler',
    "<ADDRESS_1>": "1 Elm\nYork",
    "<NATIONAL_ID_1>": "514-69-0360",
}
LABEL = openai_chat.Label("id-1", 1, "m")


def restored(*chunks: Chunk, marks: Any = None, **more: Any) -> list[Chunk]:
    """All that goes out, batch by batch of one chunk."""
    flow = Restore(MARKS if marks is None else marks, **more)
    return [out for chunk in chunks for out in flow.feed((chunk,))] + list(flow.end())


def text_of(*pieces: str, **more: Any) -> str:
    return join("m", restored(*map(Chunk, pieces), Chunk(finish="stop"), **more)).text


WRITTEN = {
    "to <EMAIL_1>.": f"to {ANN}.",
    "to <EMAIL_12>.": "to zoe@example.com.",
    "to `<EMAIL_1>`": f"to `{ANN}`",
    "to **<email_1>**": f"to **{ANN}**",
    "to < Email_1 >": f"to {ANN}",
    "to &lt;EMAIL_1&gt;": f"to {ANN}",
    "to \\<EMAIL\\_1\\>": f"to {ANN}",
    "to <EMAIL\\_1>": f"to {ANN}",
    "to <EMAIL-1>, <email 1>": f"to {ANN}, {ANN}",
    "to EMAIL_1": f"to {ANN}",
    "to EMAIL_1, EMAIL\\_12": f"to {ANN}, zoe@example.com",
    "[EMAIL_1](mailto:EMAIL_1)": f"[{ANN}](mailto:{ANN})",
    "<b>EMAIL_1</b>": f"<b>{ANN}</b>",
    "\u90ae\u7bb1EMAIL_1\u3002": f"\u90ae\u7bb1{ANN}\u3002",
    "<<EMAIL_1>>": f"<{ANN}>",
    "C:\\<EMAIL_1>\\": f"C:\\{ANN}\\",
    "<National ID 1>, NATIONAL_ID_1": "514-69-0360, 514-69-0360",
    "<NAME_1> of <ADDRESS_1>": 'Zed "Z" K\u00f6hler of 1 Elm\nYork',
}
LEFT = [
    "email_1 = input()",  # code's own
    "MY_EMAIL_1",
    "EMAIL_1ST",
    "EMAIL_123",
    "<EMAIL_7>",
    "EMAIL 1",
    "the <EMAIL_",
    "1 < 2 and 3 > 2",
    "<CARD_1>",
    "N",
    "",
]


@pytest.mark.parametrize("said", WRITTEN)
def test_however_it_is_written(said: str) -> None:
    """Whole, and a letter at a time."""
    assert text_of(said) == WRITTEN[said]
    assert text_of(*said) == WRITTEN[said]


@pytest.mark.parametrize("said", LEFT)
def test_what_may_mean_something_else_is_left(said: str) -> None:
    """Unknown numbers, names of variables, what is no mark at all."""
    assert text_of(said) == said
    assert text_of(*said) == said


@given(st.lists(st.sampled_from([*WRITTEN, *LEFT, " ", "\\", "&", "<", "x", "\n", "_1", ">"]), max_size=6), st.data())
def test_any_split_gives_the_same(parts: list[str], data: st.DataObject) -> None:
    """Also where what stands next to a mark makes it one, or none; and no mark is left that is known."""
    whole = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    for more in ({}, {"json_answer": True}):
        assert text_of(*pieces, **more) == text_of(whole, **more)
    assert not any(mark in text_of(whole) for mark in MARKS)


def test_only_what_may_become_a_mark_is_held_back() -> None:
    """A word goes out at once, also the part of a piece before a mark's beginning."""
    flow = Restore(MARKS)
    said = [
        "".join(chunk.text for chunk in flow.feed((Chunk(text),)))
        for text in ("Hello ", "N", "o <E", "MA", "IL_1", "> a<", " b")
    ]
    assert said == ["Hello ", "", "No ", "", "", f"{ANN} a", "< b"]
    assert flow.end() == ()


def test_without_marks_nothing_is_touched() -> None:
    """The same batch, the same object."""
    batch = (Chunk("<EMAIL_1>"),)
    assert Restore({}).feed(batch) is batch


def test_what_holds_no_mark_keeps_its_wire() -> None:
    """As the provider sent it."""
    chunks = [Chunk("Hello", wire=b"{}", dialect="openai_chat"), Chunk(wire=b"{}", dialect="openai_chat")]
    assert restored(*chunks) == chunks


ARGUMENTS = {
    '{"to": "<EMAIL_1>"}': {"to": ANN},
    '{"to": "\\u003cEMAIL_1\\u003e"}': {"to": ANN},
    '{"to": "\\\\<EMAIL\\\\_1\\\\>"}': {"to": ANN},
    '{"to": "a\\nEMAIL_1"}': {"to": f"a\n{ANN}"},
    '{"who": "<NAME_1>", "at": "<ADDRESS_1>"}': {"who": 'Zed "Z" K\u00f6hler', "at": "1 Elm\nYork"},
}


@pytest.mark.parametrize("said", ARGUMENTS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_arguments_of_a_tool_stay_json(said: str, size: int) -> None:
    """Quotes and line ends of a value are written as JSON has them."""
    pieces = [ToolDelta(0, arguments=said[at : at + size]) for at in range(0, len(said), size)]
    chunks = [Chunk(tool_calls=(ToolDelta(0, "c1", "f"),)), *(Chunk(tool_calls=(piece,)) for piece in pieces)]
    answer = join("m", restored(*chunks, Chunk(finish="tool_calls")))
    assert json.loads(answer.choices[0].tool_calls[0].arguments) == ARGUMENTS[said]


def test_an_answer_in_json_stays_json() -> None:
    """Where the client asked for it."""
    said = '{"who": "<NAME_1>"}'
    assert json.loads(text_of(*said, json_answer=True)) == {"who": 'Zed "Z" K\u00f6hler'}
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": said}}]}
    whole = openai_upstream.decode_answer(json.dumps(body).encode())
    (chunk,) = Restore(MARKS, json_answer=True).feed(whole)
    content = json.loads(chunk.wire or b"")["choices"][0]["message"]["content"]
    assert json.loads(content) == json.loads(chunk.text) == {"who": 'Zed "Z" K\u00f6hler'}


def test_choices_and_calls_grow_by_themselves() -> None:
    """Pieces of several come mixed, each cut within a mark."""
    texts = {0: "I <EMAIL_1> x", 1: "<EMAIL_12>, yes"}
    calls = {0: '{"a": "<EMAIL_1>"}', 1: '{"b": "<EMAIL_12>"}'}
    mixed = random.Random(7)  # noqa: S311
    queues = {index: [Chunk(letter, index) for letter in text] for index, text in texts.items()}
    pieces: list[Chunk] = []
    while any(queues.values()):
        index = mixed.choice([index for index, queue in queues.items() if queue])
        pieces.append(queues[index].pop(0))
    tools = {place: list(text) for place, text in calls.items()}
    while any(tools.values()):
        place = mixed.choice([place for place, letters in tools.items() if letters])
        pieces.append(Chunk(tool_calls=(ToolDelta(place, arguments=tools[place].pop(0)),)))
    answer = join("m", restored(*pieces, Chunk(finish="tool_calls"), Chunk(index=1, finish="stop")))
    assert [choice.text for choice in answer.choices] == [f"I {ANN} x", "zoe@example.com, yes"]
    said = [json.loads(call.arguments) for call in answer.choices[0].tool_calls]
    assert said == [{"a": ANN}, {"b": "zoe@example.com"}]


def test_what_is_held_goes_out_before_what_comes_next() -> None:
    """Text before a call of a tool, and all of it before a choice ends."""
    out = restored(Chunk("a <"), Chunk(tool_calls=(ToolDelta(0, "c", "f", "{<"),)), Chunk(finish="stop"))
    assert [(chunk.text, [piece.arguments for piece in chunk.tool_calls], chunk.finish) for chunk in out] == [
        ("a ", [], None),
        ("<", [], None),
        ("", ["{"], None),
        ("", ["<"], None),
        ("", [], "stop"),
    ]


def test_an_empty_event_does_not_break_a_mark() -> None:
    """Some servers send one to keep a connection alive."""
    alive = Chunk(wire=b"{}", dialect="openai_chat")
    assert restored(Chunk("<EMA"), alive, Chunk("IL_1>")) == [alive, Chunk(ANN)]


def test_refusals_and_open_thoughts_are_turned_back() -> None:
    """What a provider of this wire thinks bears no signature."""
    (chunk,) = restored(Chunk(refusal="no, <EMAIL_1>", reasoning="is <EMAIL_1>?", finish="stop"))
    assert (chunk.refusal, chunk.reasoning) == (f"no, {ANN}", f"is {ANN}?")


def test_a_stream_of_one_wire_goes_out_as_another() -> None:
    """What changed has no wire, so the encoder writes it; of several choices in an event all of them."""
    event = {"id": "x", "choices": [{"index": n, "delta": {"content": text}} for n, text in enumerate(("a <E", "b"))]}
    first = openai_upstream.decode_event(json.dumps(event).encode())
    event["choices"] = [{"index": 0, "delta": {"content": "MAIL_1>"}, "finish_reason": "stop"},
                        {"index": 1, "delta": {"content": "<EMAIL_1>"}, "finish_reason": "stop"}]  # fmt: skip
    second = openai_upstream.decode_event(json.dumps(event).encode())
    flow = Restore(MARKS)
    encoder = openai_chat.StreamEncoder(Request(id="r", asked="m", messages=()), LABEL)
    sent = encoder.encode(flow.feed(first)) + encoder.encode(flow.feed(second))
    events = [json.loads(line[6:]) for line in sent.split(b"\n\n") if line]
    texts = {0: "", 1: ""}
    for each in events:
        for choice in each["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    assert texts == {0: f"a {ANN}", 1: f"b{ANN}"}


THOUGHT = {"type": "thinking", "thinking": "of <EMAIL_1>", "signature": "Eq+B=="}


def test_a_whole_answer_keeps_what_nobody_reads() -> None:
    """Values stand in the provider's own body: thoughts to the byte, ids, counts and unknown fields as they came."""
    said = {"model": "x", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"content": "to <EMAIL_1>", "reasoning_content": "EMAIL_1?"}},
        {"index": 1, "finish_reason": "tool_calls", "message": {"content": None, "tool_calls": [
            {"id": "<EMAIL_1>", "function": {"name": "f", "arguments": '{"a": "<NAME_1>"}'}}]}},
    ], "new": {"n": 12345678901234567890}}  # fmt: skip
    one, two = Restore(MARKS).feed(openai_upstream.decode_answer(json.dumps(said).encode()))
    body = json.loads(one.wire or b"")
    assert body["choices"][0]["message"] == {"content": f"to {ANN}", "reasoning_content": f"{ANN}?"}
    call = body["choices"][1]["message"]["tool_calls"][0]
    assert call["id"] == "<EMAIL_1>"
    assert json.loads(call["function"]["arguments"]) == {"a": 'Zed "Z" K\u00f6hler'}
    assert body["new"] == said["new"]
    assert (one.text, two.tool_calls[0].arguments) == (f"to {ANN}", call["function"]["arguments"])


def test_a_whole_message_keeps_its_signed_thoughts() -> None:
    """And the input of its tools holds the values."""
    content = [
        THOUGHT,
        {"type": "text", "text": "<EMAIL_1>"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": ["<NAME_1>"]}},
    ]
    said = json.dumps({"type": "message", "content": content, "stop_reason": "tool_use", "usage": {"output_tokens": 9}})
    (chunk,) = Restore(MARKS).feed(anthropic_answers.decode_answer(said.encode()))
    new = json.loads(chunk.wire or b"")["content"]
    assert new[0] == THOUGHT
    assert json.dumps(THOUGHT).encode() in (chunk.wire or b"")
    assert new[1]["text"] == chunk.text == ANN
    assert new[2]["input"] == json.loads(chunk.tool_calls[0].arguments) == {"a": ['Zed "Z" K\u00f6hler']}
    assert chunk.reasoning == "of <EMAIL_1>"


def streamed(*deltas: tuple[int, dict[str, Any]], blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a message; `deltas` by block."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"type": "message", "content": [], "usage": {"input_tokens": 3}}}
    ]
    for index, block in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for at, delta in deltas if at == index
        ]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}})
    return [*events, {"type": "message_stop"}]


@pytest.mark.parametrize("size", [1, 4, 9, 100])
def test_a_streamed_message_stays_one(size: int) -> None:
    """The provider's blocks, their order and their signatures, with values in the deltas."""
    text, arguments = "to <EMAIL_1> or EMAIL_1", '{"a": "<NAME_1>"}'
    events = streamed(
        (0, {"type": "thinking_delta", "thinking": "of <EMAIL_1>"}),
        (0, {"type": "signature_delta", "signature": "Eq+B=="}),
        *((1, {"type": "text_delta", "text": text[at : at + size]}) for at in range(0, len(text), size)),
        *((2, {"type": "input_json_delta", "partial_json": arguments[at : at + size]}) for at in range(0, len(arguments), size)),  # noqa: E501
        blocks=[
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "text", "text": ""},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ],
    )  # fmt: skip
    decoder, flow = anthropic_answers.StreamDecoder(), Restore(MARKS)
    encoder = anthropic_replies.StreamEncoder(Request(id="r", asked="m", messages=()), LABEL)
    sent = b""
    for event in events:
        chunk = decoder.feed(event["type"], json.dumps(event).encode())
        assert chunk is not None
        sent += encoder.encode(flow.feed((chunk,)))
    sent += encoder.encode(flow.end()) + encoder.done()
    told = [json.loads(line[6:]) for line in sent.decode().split("\n") if line.startswith("data: ")]
    grown = {0: "", 1: "", 2: ""}
    for event in told:
        if event["type"] == "content_block_delta":
            delta = event["delta"]
            grown[event["index"]] += delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
    assert grown[0] == "of <EMAIL_1>"
    assert grown[1] == f"to {ANN} or {ANN}"
    assert json.loads(grown[2]) == {"a": 'Zed "Z" K\u00f6hler'}
    assert {"type": "signature_delta", "signature": "Eq+B=="} in [event.get("delta") for event in told]
    frame = [event["type"] for event in told if event["type"] != "content_block_delta"]
    assert frame == [event["type"] for event in events if event["type"] != "content_block_delta"]
