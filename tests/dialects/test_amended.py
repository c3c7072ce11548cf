"""Requests that are changed: on every wire the provider sees it, and all that nobody here reads is still there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tierwise.dialects import amended, anthropic_messages, openai_chat, openai_responses
from tierwise.types import Message, Request, Tool

Json = dict[str, Any]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
BIG = b"12345678901234567890"


def chat(**fields: Any) -> Request:
    said = {"role": "user", "content": "Hi", "name": "kept"}
    body = {"model": "r", "messages": [{"role": "developer", "content": "D"}, said], "x": msgspec.Raw(BIG)} | fields
    return openai_chat.decode_request(msgspec.json.encode(body), "q")


def messages(**fields: Any) -> Request:
    said = {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}
    body = {"model": "r", "max_tokens": 9, "messages": [said], "x": msgspec.Raw(BIG)} | fields
    return anthropic_messages.decode_request(msgspec.json.encode(body), "q")


def responses(**fields: Any) -> Request:
    return openai_responses.decode_request(
        msgspec.json.encode({"model": "r", "input": "Hi", "x": msgspec.Raw(BIG)} | fields), "q"
    )


def body(request: Request) -> Json:
    assert bytes(request.body["x"]) == BIG
    found: Json = msgspec.json.decode(msgspec.json.encode(request.body))
    return found


FORM = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("request_", "left"),
    [
        (chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}), {}),
        (messages(output_format=FORM), {}),
        (messages(output_config={"format": FORM, "effort": "low"}), {"output_config": {"effort": "low"}}),
        (messages(output_config=None), {"output_config": None}),
        (responses(text={"format": FORM | {"name": "n"}, "verbosity": "low"}), {"text": {"verbosity": "low"}}),
        (chat(), {}),
        (chat(text="the client's own", output_config=1), {"text": "the client's own", "output_config": 1}),
        (chat(**{"": "a field without a name"}), {"": "a field without a name"}),
        (responses(text=None), {"text": None}),
    ],
)
def test_without_a_form(request_: Request, left: Json) -> None:
    """Neither the neutral fields nor the body ask for one; what stands beside it stays."""
    plain = amended.formless(request_)
    assert (plain.json_answer, plain.schema) == (False, None)
    forms = {"response_format", "output_format", "output_config", "text", ""}
    assert {name: value for name, value in body(plain).items() if name in forms} == left
    assert plain.messages == request_.messages


@pytest.mark.parametrize("ask", [chat, messages, responses])
def test_a_tool(ask: Callable[..., Request]) -> None:
    """The only one, which must be called; nothing in the body says otherwise."""
    tool = Tool("answer", "", SCHEMA)
    offered = amended.offered(ask(tools=[], tool_choice=None), tool)
    assert (offered.tools, offered.tool_choice, offered.parallel_tools) == ((tool,), "answer", False)
    assert not body(offered).keys() & {"tools", "tool_choice", "parallel_tool_calls"}


def test_an_instruction() -> None:
    """Behind those that there are, wherever a wire keeps them."""
    line = Message("system", "L")
    assert amended.instructed(chat(), "L").messages == (Message("developer", "D"), line, Message("user", "Hi"))
    said = body(amended.instructed(chat(), "L"))["messages"]
    assert said[1:] == [{"role": "system", "content": "L"}, {"role": "user", "content": "Hi", "name": "kept"}]
    only = chat(messages=[{"role": "system", "content": "S"}])
    assert body(amended.instructed(only, "L"))["messages"][1] == {"role": "system", "content": "L"}
    block = {"type": "text", "text": "L"}
    assert body(amended.instructed(messages(), "L"))["system"] == [block]
    assert body(amended.instructed(messages(system="S"), "L"))["system"] == [{"type": "text", "text": "S"}, block]
    kept = {"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}
    assert body(amended.instructed(messages(system=[kept]), "L"))["system"] == [kept, block]
    assert body(amended.instructed(responses(), "L"))["instructions"] == "L"
    assert body(amended.instructed(responses(instructions="S"), "L"))["instructions"] == "S\n\nL"


def test_turns() -> None:
    """At the end; the turns before them stay as they are."""
    turns = (Message("assistant", "A"), Message("user", "B"))
    written = [{"role": "assistant", "content": "A"}, {"role": "user", "content": "B"}]
    for ask in (chat, messages):
        before, after = ask(), amended.continued(ask(), turns)
        assert after.messages == (*before.messages, *turns)
        assert body(after)["messages"] == [*body(before)["messages"], *written]
    assert body(amended.continued(responses(), turns))["input"] == [{"role": "user", "content": "Hi"}, *written]
    items = [{"role": "user", "content": "Hi", "id": "kept"}]
    assert body(amended.continued(responses(input=items), turns))["input"] == [*items, *written]


def test_wires_without_a_body() -> None:
    """A request of no wire has its neutral fields alone."""
    kept = Request(id="q", asked="r", messages=(Message("user", "Hi"),), dialect="kept")
    assert amended.instructed(kept, "L").messages == (Message("system", "L"), Message("user", "Hi"))
    assert amended.continued(kept, (Message("user", "B"),)).body == {}
