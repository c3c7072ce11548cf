"""What is kept of responses, and what a later request is made of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierwise.dialects.openai_responses import decode_request
from tierwise.errors import NotFound
from tierwise.gateway.conversations import Conversations
from tierwise.types import Foreign, Message, Request

Json = dict[str, Any]


def asked(items: Any, **fields: Any) -> Request:
    return decode_request(msgspec.json.encode({"model": "r", "input": items, **fields}), "q")


def answer(*output: Json, name: str = "resp_1") -> bytes:
    return msgspec.json.encode({"id": name, "output": list(output)})


def said(words: Any, **more: Any) -> Json:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": words, **more}


def thought(**more: Any) -> Json:
    return {"type": "reasoning", "id": "rs_1", "summary": [], **more}


CALL: Json = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"}
SEARCH: Json = {"type": "web_search_call", "id": "ws_1"}


def resumed(*output: Json, items: Any = "go on", **fields: Any) -> Request:
    """A second request, after a first one that said "hi" and was answered so."""
    store = Conversations()
    store.keep("k", asked("hi", instructions="Not carried over."), answer(*output))
    return store.resume("k", asked(items, previous_response_id="resp_1", **fields))


def sent(request: Request) -> Any:
    return msgspec.json.decode(request.body["input"])


def test_what_a_later_request_is_made_of() -> None:
    """The earlier turns, between its own instructions and what it says: as messages, and in its body."""
    request = resumed(said("Yes."), instructions="Be kind.")
    assert request.messages == (
        Message("developer", "Be kind."),
        Message("user", "hi"),
        Message("assistant", "Yes."),
        Message("user", "go on"),
    )
    second = {"role": "user", "content": "go on"}
    assert sent(request) == [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "content": "Yes."},
        second,
    ]
    assert sent(resumed(items=[second, second]))[1:] == [second, second]
    assert sent(resumed(items="")) == [{"role": "user", "content": "hi"}]


def test_reasoning_goes_on_where_it_is_encrypted() -> None:
    """Then all stays as it was; else it stays behind, and what was said after it is no item that its provider knows."""
    whole = (thought(encrypted_content="zz", status=None), said("Yes.", phase="final_answer"), CALL)
    assert tuple(sent(resumed(*whole))[1:-1]) == whole
    parts = [{"type": "output_text", "text": "One", "annotations": []}, {"type": "refusal", "refusal": "No."}]
    phased = sent(resumed(thought(), said(parts, phase="commentary")))[1:-1]
    anew = {"type": "message", "role": "assistant", "phase": "commentary"}
    assert phased == [anew | {"content": "One"}, anew | {"content": "No."}]
    for secret in ({}, {"encrypted_content": None}):
        kept = sent(resumed(thought(encrypted_content="zz"), thought(**secret), said("Yes."), CALL, SEARCH))[1:-1]
        assert [item["type"] for item in kept] == ["message", "function_call", "web_search_call"]
        assert [item.get("id") for item in kept] == [None, None, "ws_1"]


def test_what_other_wires_are_told() -> None:
    """A call of the provider's own tools stays to be seen, and to be refused by name."""
    request = resumed(SEARCH, said("Yes."))
    assert request.messages[1].content == (Foreign("an item of type web_search_call", "openai_responses"),)


def test_a_conversation_grows() -> None:
    """Each response holds all that went before it; asked for anew under one name, the last one counts."""
    store = Conversations()
    store.keep("k", asked("one"), answer(said("1")))
    second = store.resume("k", asked("two", previous_response_id="resp_1"))
    store.keep("k", second, answer(said("2"), name="resp_2"))
    third = store.resume("k", asked("three", previous_response_id="resp_2"))
    assert [message.text for message in third.messages] == ["one", "1", "two", "2", "three"]
    store.keep("k", asked("other"), answer(said("0"), name="resp_2"))
    fourth = store.resume("k", asked("three", previous_response_id="resp_2"))
    assert [message.text for message in fourth.messages] == ["other", "0", "three"]
    for name in ("resp_1", "resp_2"):
        store.forget("k", name)
    assert store._size == 0


def test_a_request_that_was_written_anew() -> None:
    """Is kept as it was asked; where that can't be said in items, not at all."""
    store = Conversations()
    request = Request(id="q", asked="r", messages=(Message("user", "redacted"),))
    store.keep("k", request, answer(said("Yes.")))
    assert store.resume("k", asked("?", previous_response_id="resp_1")).messages[0] == Message("user", "redacted")
    foreign = msgspec.structs.replace(request, messages=(Message("user", (Foreign("x", "y"),)),))
    store.keep("k", foreign, answer(said("Yes."), name="resp_2"))
    with pytest.raises(NotFound):
        store.body("k", "resp_2")


def test_what_is_not_kept() -> None:
    """What the client does not want kept, and what no client can name."""
    store = Conversations()
    store.keep("k", asked("hi", store=False), answer())
    for body in (b"{}", b'{"id":5}'):
        store.keep("k", asked("hi"), body)
    assert not store._kept
    with pytest.raises(NotFound, match="whole conversation"):
        store.resume("k", asked("hi", previous_response_id="resp_1"))
