"""Personal data leaves a request's bytes, and nothing else does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.errors import BadRequest
from tierwise.gateway.doors import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, Door
from tierwise.gateway.screening.masking import mask
from tierwise.screens.patterns import formed
from tierwise.screens.screen import Span

ANN, BOB = "ann@example.com", "bob@example.org"
CARD = "4111111111111111"


def names(text: str) -> list[Span]:
    """Forms, and one name that is known."""
    found = [Span("name", at.start(), at.end()) for at in re.finditer("Zed|Köhler", text)]
    return sorted([*formed(text), *found], key=lambda span: span.start)


def masked(body: Any, way: Any = "replace") -> tuple[Any, Any]:
    """The body and its marks, as values."""
    new, marks, _ = mask(json.dumps(body).encode(), names, way)
    return json.loads(new), marks


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "support", "messages": list(messages), **more}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


WIRES = {
    "chat": (CHAT, chat(user(f"I am {ANN}"), user([{"type": "text", "text": f"or {BOB}"}]))),
    "completions": (COMPLETIONS, {"model": "m", "prompt": f"I am {ANN} or {BOB}"}),
    "embeddings": (EMBEDDINGS, {"model": "m", "input": [f"I am {ANN}", f"or {BOB}"]}),
    "messages": (
        MESSAGES,
        {"model": "m", "max_tokens": 9, "system": f"Help {ANN}", "messages": [user([{"type": "text", "text": BOB}])]},
    ),
    "responses": (
        RESPONSES,
        {"model": "m", "instructions": f"Help {ANN}", "input": [user([{"type": "input_text", "text": f"am {BOB}"}])]},
    ),
}


@pytest.mark.parametrize("wire", WIRES)
def test_every_wire(wire: str) -> None:
    """What is masked decodes to a request without a value in it, and with a mark for each."""
    door, body = WIRES[wire]
    new, marks, types = mask(json.dumps(body).encode(), names, "replace")
    request = door.decode(new, "req_1", frozenset())
    said = " ".join(message.text for message in request.messages)
    assert "example" not in said
    assert re.findall("<EMAIL_[12]>", said) == ["<EMAIL_1>", "<EMAIL_2>"]
    assert marks == {"<EMAIL_1>": ANN, "<EMAIL_2>": BOB}
    assert types == ("email",)


ANSWERED = [
    {"role": "assistant", "content": None, "reasoning_content": f"{ANN}?", "refusal": f"not {ANN}", "tool_calls": [
        {"id": ANN, "type": "function", "function": {"name": "mail", "arguments": json.dumps({"to": [ANN]})}}]},
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": f"sent to {ANN}"}]},
]  # fmt: skip
HIDDEN: list[Any] = [
    *ANSWERED,
    user([{"type": "file", "file": {"filename": f"{ANN} 1.pdf"}}]),
    user([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ANN}}]),
    user([{"type": "document", "source": {"data": ANN, "type": "text"}, "title": ANN, "context": ANN}]),
    user([{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": ANN}]}}]),
    user([{"type": "tool_result", "tool_use_id": "c1", "content": f"to {ANN}"}]),
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "mail", "input": {"a": {"b": [ANN]}}}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": f"{ANN}", "signature": ""}]},
    {"type": "reasoning", "encrypted_content": None, "summary": [{"type": "summary_text", "text": ANN}]},
    {"type": "function_call", "call_id": "c1", "name": "mail", "arguments": json.dumps({ANN: 1})},
    {"type": "function_call_output", "call_id": "c1", "output": f"to {ANN}"},
    {"role": "user", "name": ANN, "content": ""},
]


@pytest.mark.parametrize("way", ["redact", "replace"])
@pytest.mark.parametrize("message", HIDDEN, ids=str)
def test_wherever_words_stand(message: Any, way: Any) -> None:
    """Nothing is left of a value but where it is an id that a reply must name again."""
    new, marks = masked(chat(message), way)
    left = json.dumps(new).replace(f'"id": "{ANN}"', "")
    assert ANN not in left
    assert ("EMAIL_1" if way == "replace" else "[EMAIL]") in left
    assert marks == ({"<EMAIL_1>": ANN} if way == "replace" else {})


SEALED: list[Any] = [
    {"role": "assistant", "content": [{"type": "thinking", "thinking": f"{ANN}", "signature": "EqQB"}]},
    {"role": "assistant", "content": [{"signature": "EqQB", "thinking": f"{ANN}", "type": "thinking"}]},
    {"role": "assistant", "content": [{"type": "redacted_thinking", "data": ANN}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": ANN}], "encrypted_content": "gAAA"},
    user([{"type": "image_url", "image_url": {"url": f"https://example.com/?{ANN}"}}]),
    user([{"type": "input_audio", "input_audio": {"data": ANN, "format": "wav"}}]),
    user([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ANN}}]),
    user([{"type": "file", "file": {"file_data": ANN, "file_id": ANN}}]),
    {"type": "message", "id": ANN, "role": "assistant", "status": "completed", "content": []},
    {"role": "tool", "tool_call_id": ANN, "content": ""},
]


@pytest.mark.parametrize("message", SEALED, ids=str)
def test_what_is_sealed_or_no_words_stays(message: Any) -> None:
    """To the byte: signatures hold for what they were made of, and ids for what they name."""
    body = json.dumps(chat(message)).encode()
    assert mask(body, names, "replace") == (body, {}, ())


def test_the_order_of_the_body_is_the_order_of_marks() -> None:
    """Also where it shows only at an object's end that a string before others is words."""
    source = {"data": f"{ANN}, ", "content": BOB, "type": "text"}
    new, marks = masked(chat(user([{"type": "document", "source": source}])))
    assert new["messages"][0]["content"][0]["source"] == {**source, "data": "<EMAIL_1>, ", "content": "<EMAIL_2>"}
    assert marks == {"<EMAIL_1>": ANN, "<EMAIL_2>": BOB}


def test_what_is_no_conversation_stays() -> None:
    """Tools, formats, and ids that are no address."""
    schema = {"type": "object", "properties": {"text": {"type": "string", "content": ANN}}}
    body = chat(
        user("hi"),
        tools=[{"type": "function", "function": {"name": "f", "description": ANN, "parameters": schema}}],
        response_format={"type": "json_schema", "json_schema": {"schema": schema}},
        text={"format": {"type": "json_schema", "schema": schema, "content": ANN}},
        model=ANN, user="customer-4111111111111111", metadata={"card": CARD}, stop=[ANN],
    )  # fmt: skip
    raw = json.dumps(body).encode()
    assert mask(raw, names, "replace") == (raw, {}, ())


def test_who_asks_is_masked_where_it_is_an_address() -> None:
    """In a form that ids may have."""
    new, marks = masked(chat(user("hi"), user=ANN, metadata={"user_id": BOB, "order": "A-1"}))
    assert (new["user"], new["metadata"]) == ("EMAIL_1", {"user_id": "EMAIL_2", "order": "A-1"})
    assert marks == {"<EMAIL_1>": ANN, "<EMAIL_2>": BOB}


def test_equal_values_share_a_mark_over_all_messages() -> None:
    """Whatever they stand in, in the order in which they come."""
    new, marks = masked(chat(user(f"{BOB} and {ANN}"), *ANSWERED))
    assert new["messages"][0]["content"] == "<EMAIL_1> and <EMAIL_2>"
    assert json.loads(new["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"to": ["<EMAIL_2>"]}
    assert new["messages"][2]["content"][0]["text"] == "sent to <EMAIL_2>"
    assert marks == {"<EMAIL_1>": BOB, "<EMAIL_2>": ANN}


def test_a_conversation_keeps_its_marks() -> None:
    """Each turn's marks are those of the turn before, and new ones: a prompt cache holds, and so do sealed thoughts."""
    turns = [user(f"I am {ANN}"), {"role": "assistant", "content": f"Hi {ANN}, Zed here"}, user(f"Tell {BOB} and Zed")]
    earlier: list[Any] = []
    for count in range(1, 4):
        new, marks = masked(chat(*turns[:count]))
        assert new["messages"][: len(earlier)] == earlier
        earlier = new["messages"]
    assert marks == {"<EMAIL_1>": ANN, "<NAME_1>": "Zed", "<EMAIL_2>": BOB}


def test_a_sealed_thought_may_speak_of_marks() -> None:
    """The model wrote them there, of the same values: they are no reason to count on from them."""
    thought = {"type": "thinking", "thinking": "write to <EMAIL_1>", "signature": "EqQB"}
    new, _ = masked(chat(user(ANN), {"role": "assistant", "content": [thought]}, user(f"{ANN}!")))
    assert [message["content"] for message in new["messages"][::2]] == ["<EMAIL_1>", "<EMAIL_1>!"]


@pytest.mark.parametrize("own", ["<EMAIL_1>", "email_1", "EMAIL\\_1", "&lt;EMAIL_1&gt;", "< email 1 >", "EMAIL-1"])
def test_marks_of_the_text_itself_are_passed_over(own: str) -> None:
    """However they are written: an answer may turn them around."""
    new, marks = masked(chat(user(f"I am {ANN}"), user(f"what does {own} mean?")))
    assert new["messages"][0]["content"] == "I am <EMAIL_2>"
    assert marks == {"<EMAIL_2>": ANN}


def test_arguments_stay_json() -> None:
    """What is masked within them is written as JSON; numbers and unknown values stay as they were."""
    arguments = '{"who": "Zed \\"Z\\" K\\u00f6hler", "n": 12345678901234567890, "x": [1.50, null, true], "to": "' + ANN
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments + '"}'}}]}
    new, marks = masked(chat(message))
    assert new["messages"][0]["tool_calls"][0]["function"]["arguments"] == (
        '{"who": "<NAME_1> \\"Z\\" <NAME_2>", "n": 12345678901234567890, "x": [1.50, null, true], "to": "<EMAIL_1>"}'
    ).replace('"<NAME_1> \\"Z\\" <NAME_2>"', json.dumps('<NAME_1> "Z" <NAME_2>'))
    assert marks == {"<NAME_1>": "Zed", "<NAME_2>": "Köhler", "<EMAIL_1>": ANN}


def test_broken_arguments_are_text() -> None:
    """A model may have been cut off."""
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"to": "' + ANN}}]}
    new, _ = masked(chat(message))
    assert new["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{"to": "<EMAIL_1>'


@pytest.mark.parametrize("way", ["redact", "replace"])
def test_what_was_found_once_goes_wherever_it_stands(way: Any) -> None:
    """A recogniser may miss a name in the next sentence, and in an answer that it was put back into."""

    def once(text: str) -> list[Span]:
        start = text.find("Ann Lee-Smith") if text.startswith("I am") else -1
        return [] if start < 0 else [Span("name", start, start + 13)]

    arguments = json.dumps({"who": "Ann Lee-Smith", "Ann Lee-Smith": 1})
    sealed = {"type": "thinking", "thinking": "Ann Lee-Smith", "signature": "EqQB"}
    body = chat(
        user("for Ann Lee-Smith, not Ann Lee-Smithers"),
        user("I am Ann Lee-Smith"),
        {"role": "assistant", "content": "Hi Ann Lee-Smith!", "tool_calls": [{"function": {"arguments": arguments}}]},
        {"role": "assistant", "content": [sealed]},
        user('{"Ann Lee-Smith'),
    )
    new, marks, _ = mask(json.dumps(body).encode(), once, way)
    mark = "[NAME]" if way == "redact" else "<NAME_1>"
    said = json.loads(new)["messages"]
    assert [said[0]["content"], said[1]["content"], said[2]["content"]] == [
        f"for {mark}, not Ann Lee-Smithers",
        f"I am {mark}",
        f"Hi {mark}!",
    ]
    assert json.loads(said[2]["tool_calls"][0]["function"]["arguments"]) == {"who": mark, "Ann Lee-Smith": 1}
    assert said[3]["content"] == [sealed]
    assert said[4]["content"] == f'{{"{mark}'
    assert marks == ({} if way == "redact" else {"<NAME_1>": "Ann Lee-Smith"})


def test_short_values_are_not_looked_for() -> None:
    """A person may be called like a month."""
    found = lambda text: [Span("name", 5, 8)] if text == "I am May" else []  # noqa: E731
    new, _, _ = mask(json.dumps(chat(user("I am May"), user("May I?"))).encode(), found, "replace")
    assert [message["content"] for message in json.loads(new)["messages"]] == ["I am <NAME_1>", "May I?"]


def test_a_field_of_a_tool_says_what_its_value_is() -> None:
    """A password has no form, and a card may be a number."""
    call = {"type": "tool_use", "id": "1", "name": "pay", "input": {"password": "hunter2hunter", "card": int(CARD)}}
    new, marks = masked(chat({"role": "assistant", "content": [call]}))
    assert new["messages"][0]["content"][0]["input"] == {"password": "<SECRET_1>", "card": "<CARD_1>"}
    assert marks == {"<SECRET_1>": "hunter2hunter", "<CARD_1>": CARD}


def test_what_is_not_masked_stays_to_the_byte() -> None:
    """Blanks, the order of keys, numbers beyond any float, escapes, fields that nobody knows."""
    body = (
        b'{ "model":"m" ,"seed": 123456789012345678901234567890,"messages" : [ {"content" : "I am %s" , "role":"user",'
        b'"x":"\\u00e9"} ], "future": {"b":1.0e-400, "a": ["\\/"]}}'
    )
    new, _, _ = mask(body % ANN.encode(), names, "replace")
    assert new == body % b"<EMAIL_1>"


FORGED = {"signature": "x", "encrypted_content": "x"}


@pytest.mark.parametrize("kind", ["thinking", "reasoning", "redacted_thinking"])
def test_a_message_that_says_it_is_sealed_is_read_all_the_same(kind: str) -> None:
    """So is a body: who decodes them asks nobody."""
    new, _ = masked({**chat({"role": "user", "type": kind, "content": ANN, **FORGED}), "type": kind, **FORGED})
    assert new["messages"][0]["content"] == "<EMAIL_1>"


told = st.sampled_from([f"x {ANN}", "text", "", "c1"])
fields = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "input_text", "tool_use", "tool_result", "thinking", "refusal", "image"])},
    optional=dict.fromkeys(("text", "thinking", "refusal", "signature", "id", "name", "tool_use_id", "data"), told)
    | {"input": st.dictionaries(st.sampled_from(["a", "text"]), told, max_size=2)},
)
parts = st.one_of(told, st.lists(fields, min_size=1, max_size=3))
said = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]), "content": parts},
    optional={"type": st.sampled_from(["message", "thinking", "reasoning"]), "tool_call_id": told, "name": told,
              "signature": told, "encrypted_content": told, "output": told, "arguments": told, "call_id": told,
              "tool_calls": st.lists(st.builds(lambda text: {"id": "c", "function": {"name": "f", "arguments": text}},
                                               st.one_of(told, st.builds(json.dumps, st.lists(told)))), max_size=2)},
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(said, min_size=1, max_size=3), st.sampled_from([CHAT, MESSAGES, RESPONSES]), st.randoms())
def test_whatever_a_decoder_reads_was_masked(messages: list[dict[str, Any]], door: Door, order: Any) -> None:
    """In any order of fields, with any that do not belong there."""
    shuffled = [dict(order.sample(list(message.items()), len(message))) for message in messages]
    raw = json.dumps({"model": "m", "max_tokens": 9, "messages": shuffled, "input": shuffled}).encode()
    try:
        request = door.decode(mask(raw, names, "replace")[0], "req_1", frozenset())
    except BadRequest:
        return
    for message in request.messages:
        assert ANN not in message.text
        assert not any(ANN in call.arguments for call in message.tool_calls)


def test_no_way_of_writing_json_hides_words() -> None:
    """Escapes in a field's name, the same field twice: whatever a decoder makes of them."""
    raw = b'{"messages":[{"\\u0063ontent":"%s","content":"x %s"}]}' % (ANN.encode(), b"\\u0061" + ANN[1:].encode())
    new, marks, _ = mask(raw, names, "replace")
    assert new == b'{"messages":[{"\\u0063ontent":"<EMAIL_1>","content":"x <EMAIL_1>"}]}'
    assert marks == {"<EMAIL_1>": ANN}


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":"\xff"}', b"[" * 5000, b'{"content":"\\ud800"}', b"{'a':1}"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """As decoding it would refuse it: what can't be read can't be masked."""
    with pytest.raises(BadRequest):
        mask(body, names, "replace")


texts = st.one_of(st.text(max_size=8), st.sampled_from([ANN, f"Zed, {BOB}", "<EMAIL_1>", "Köhler\n"]))
keys = st.sampled_from(["content", "text", "type", "data", "input", "arguments", "id", "thinking", "user", "tools"])
bodies = st.recursive(
    st.one_of(texts, st.integers(), st.none(), st.booleans(), st.sampled_from(["text", "thinking"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@given(bodies, st.booleans())
def test_nothing_found_changes_nothing(body: Any, escaped: bool) -> None:
    """Not a byte."""
    raw = json.dumps({"messages": body}, ensure_ascii=escaped).encode()
    assert mask(raw, lambda text: (), "replace") == (raw, {}, ())


@given(bodies, st.sampled_from(["redact", "replace"]))
def test_what_is_masked_can_be_told_from_what_is_not(body: Any, way: Any) -> None:
    """It is JSON of the same shape, and with the marks turned back it is what came."""
    came = {"messages": body}
    new, marks = masked(came, way)
    assert shape(new) == shape(came)
    if way == "replace":
        assert [turned(text, marks) for text in strings(new)] == [turned(text, marks) for text in strings(came)]
    again, more = masked(came, way)
    assert (again, more) == (new, marks)


def turned(text: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value).replace(mark.strip("<>"), value)
    return text


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "" if isinstance(value, str) else value


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def test_a_large_body_takes_no_time() -> None:
    """A picture of some megabytes and a thousand messages are passed over at the speed of reading."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A\\/" * 1_000_000}}
    raw = json.dumps(chat(user([picture]), *[user("hello there")] * 1000)).encode()
    assert mask(raw, lambda text: (), "replace")[0] is raw
    assert msgspec.json.decode(raw)
