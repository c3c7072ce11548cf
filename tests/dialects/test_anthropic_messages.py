"""Requests in from Anthropic Messages clients: what is understood, what travels on, what is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.dialects.anthropic_messages import decode_countable, decode_request
from tierwise.dialects.anthropic_requests import encode_request
from tierwise.dialects.openai_upstream import encode_request as to_openai
from tierwise.errors import BadRequest
from tierwise.types import Document, Foreign, Image, Message, Model, Request, Text, Tool, ToolCall

CLAUDE = Model("claude", "anthropic", "claude-test-1", max_output=777)
GPT = Model("gpt", "openai", "gpt-test-1")
HELLO = {"role": "user", "content": "Hello"}
Json = dict[str, Any]


def asked(*messages: Json, **fields: Any) -> Request:
    body = {"model": "r", "max_tokens": 9, "messages": list(messages) or [HELLO], **fields}
    return decode_request(msgspec.json.encode(body), "q")


def refused(*messages: Json, **fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        asked(*messages, **fields)
    return caught.value


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def test_settings_are_read() -> None:
    """Bounds, sampling, stops and streaming, as this wire names them."""
    request = asked(temperature=0.5, top_p=0.9, stop_sequences=["a", "b"], stream=True)
    assert (request.max_output, request.temperature, request.top_p) == (9, 0.5, 0.9)
    assert (request.stop, request.stream, request.dialect) == (("a", "b"), True, "anthropic")
    assert (request.asked, request.messages) == ("r", (Message("user", "Hello"),))


def test_instructions_come_first() -> None:
    """As a text, or as blocks of it."""
    assert asked(system="Be kind.").messages[0] == Message("system", "Be kind.")
    blocks = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    assert asked(system=blocks).messages[0] == Message("system", (Text("Be kind."),))
    assert asked(system=[]).messages[0].role == "user"


def test_tools_and_their_use() -> None:
    """Calls and results become what every wire has: results as messages of their own, right behind the calls."""
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {"b": 1, "a": 12345678901234567890}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "seen"}]}
    bare = {"type": "tool_result", "tool_use_id": "t2"}
    plain = {"type": "tool_result", "tool_use_id": "t3", "content": "heard"}
    request = asked(
        HELLO,
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, call]},
        user(result, {"type": "text", "text": "Go on."}),
        {"role": "assistant", "content": [call]},
        user(bare, plain),
        tools=[{"name": "look", "description": "looks", "input_schema": {"type": "object"}, "strict": True}],
        tool_choice={"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    )
    called = ToolCall("t1", "look", '{"b":1,"a":12345678901234567890}')
    assert request.messages[1:] == (
        Message("assistant", "I look.", (called,)),
        Message("tool", "seen", tool_call_id="t1"),
        Message("user", "Go on."),
        Message("assistant", "", (called,)),
        Message("tool", "", tool_call_id="t2"),
        Message("tool", "heard", tool_call_id="t3"),
    )
    assert request.tools == (Tool("look", "looks", {"type": "object"}, strict=True),)
    assert (request.tool_choice, request.parallel_tools) == ("look", False)


@pytest.mark.parametrize(("said", "meant"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_choices_of_tools(said: str, meant: str) -> None:
    """In the words of the neutral form."""
    request = asked(tools=[{"name": "look", "input_schema": {}}], tool_choice={"type": said})
    assert (request.tool_choice, request.parallel_tools) == (meant, True)


def test_pictures() -> None:
    """By address or in base64; what is neither stays visible as what only this wire can say."""
    request = asked(
        user(
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            {"type": "search_result", "source": "https://example.org", "title": "t", "content": []},
        )
    )
    assert request.messages[0].content == (
        Image("https://example.org/a.png"),
        Image("data:image/png;base64,AA=="),
        Foreign("image by file", "anthropic"),
        Foreign("search_result", "anthropic"),
    )


PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"source": PDF, "title": "a.pdf"}, (Document("data:application/pdf;base64,JVBERi0=", "a.pdf"),)),
        ({"source": {"type": "url", "url": "https://example.org/a"}}, (Document("https://example.org/a"),)),
        (
            {"source": {"type": "text", "media_type": "text/plain", "data": "né"}, "title": "n", "context": "c"},
            (Text("c"), Document("data:text/plain;base64,bsOp", "n")),
        ),
        ({"source": {"type": "content", "content": "x"}}, (Document("data:text/plain;base64,eA=="),)),
        (
            {
                "source": {
                    "type": "content",
                    "content": [
                        {"type": "text", "text": "x"},
                        {"type": "image", "source": {"type": "url", "url": "https://example.org/i"}},
                    ],
                },
                "title": "n",
            },
            (Text("n"), Text("x"), Image("https://example.org/i")),
        ),
        ({"source": {"type": "content", "content": [{"type": "text", "text": "x"}]}}, "x"),
        ({"source": {"type": "file", "file_id": "f"}}, (Foreign("document by file", "anthropic"),)),
        ({"source": PDF, "citations": {"enabled": True}}, (Foreign("document with citations", "anthropic"),)),
        ({"source": PDF, "citations": {"enabled": False}}, (Document("data:application/pdf;base64,JVBERi0="),)),
    ],
)
def test_documents(block: Json, parts: Any) -> None:
    """By address, as data, as text or as what their client wrote; so too in a tool's result, and back as they were."""
    document = {"type": "document", **block}
    assert asked(user(document)).messages[0].content == parts
    result = {"type": "tool_result", "tool_use_id": "t", "content": [document]}
    assert asked(user(result)).messages == (Message("tool", parts, tool_call_id="t"),)


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "document"}, ""),
        ({"type": "image"}, ""),
        ({"type": "document", "source": "https://example.org"}, ".source"),
        ({"type": "document", "source": {"type": "url", "url": "http://example.org"}}, ".source"),
        ({"type": "document", "source": {**PDF, "data": "?"}}, ".source"),
        ({"type": "document", "source": {**PDF, "data": ""}}, ".source"),
        ({"type": "document", "source": {**PDF, "media_type": ""}}, ".source"),
        ({"type": "document", "source": {**PDF, "data": "é"}}, ".source"),
    ],
)
def test_documents_that_are_none(block: Json, param: str) -> None:
    """The field is named before anybody is asked."""
    assert refused(user(block)).param == f"messages[0].content[0]{param}"


def test_thoughts_are_for_their_own_model() -> None:
    """They are no text of the conversation; the same wire gets them as they were."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    turn = {"role": "assistant", "content": [thought, {"type": "text", "text": "Yes."}]}
    request = asked(HELLO, turn, HELLO)
    assert request.messages[1] == Message("assistant", "Yes.")
    assert msgspec.json.decode(encode_request(request, CLAUDE))["messages"][1] == turn


def test_a_form_of_the_answer() -> None:
    """A JSON schema is one on every wire."""
    form = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    request = asked(output_config=form)
    assert (request.json_answer, request.schema) == (True, {"type": "object"})
    assert asked(output_config={"effort": "low"}).json_answer is False
    assert asked(output_format=form["format"]).schema == {"type": "object"}  # as betas of 2025 had it


def test_the_same_wire_changes_only_the_model() -> None:
    """Fields that nobody here reads, order of keys and large integers go on byte for byte."""
    body = (
        b'{"model":"r","max_tokens":5,"messages":[{"role":"user","content":"hi","x":1.10}],'
        b'"thinking":{"type":"enabled","budget_tokens":1024},"metadata":{"user_id":"u"},"n":12345678901234567890}'
    )
    request = decode_request(body, "q")
    assert encode_request(request, CLAUDE) == body.replace(b'"r"', b'"claude-test-1"', 1)
    streamed = msgspec.structs.replace(request, stream=True)
    assert msgspec.json.decode(encode_request(streamed, CLAUDE))["stream"] is True


@pytest.mark.parametrize(("own", "sent"), [(None, 777), (3, 3)])
def test_an_answer_is_always_bounded(own: int | None, sent: int) -> None:
    """This wire demands it: where a body of its own lost the bound on the way, the request's or the model's counts."""
    request = asked()
    body = {name: raw for name, raw in request.body.items() if name != "max_tokens"}
    request = msgspec.structs.replace(request, body=body, max_output=own)
    assert msgspec.json.decode(encode_request(request, CLAUDE))["max_tokens"] == sent


def test_tools_of_the_provider_s_own_are_refused_elsewhere() -> None:
    """A request is never changed silently: what only one wire can say is refused by another, by name."""
    request = asked(tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert request.tools == ()
    assert msgspec.json.decode(encode_request(request, CLAUDE))["tools"][0]["name"] == "web_search"
    with pytest.raises(BadRequest, match="web_search_20250305"):
        to_openai(request, GPT)
    with pytest.raises(BadRequest, match="by their address"):
        to_openai(asked(user({"type": "document", "source": {"type": "url", "url": "https://example.org"}})), GPT)
    with pytest.raises(BadRequest, match="web_search_20250305"):
        encode_request(msgspec.structs.replace(request, dialect="openai_chat"), CLAUDE)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": (1 << 31) + 1}, "max_tokens"),  # no ledger could hold what they would cost
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": 1}]}]},
            "messages[0].content[0].content",
        ),
    ],
)
def test_what_is_wrong_is_named(fields: Json, param: str) -> None:
    """So that who wrote the request finds it."""
    body = {"model": "r", "max_tokens": 9, "messages": [HELLO], **fields}
    with pytest.raises(BadRequest) as caught:
        decode_request(msgspec.json.encode(body), "q")
    assert caught.value.param == param


def test_a_bound_is_demanded() -> None:
    """As the provider does; counting tokens needs none."""
    body = msgspec.json.encode({"model": "r", "messages": [HELLO]})
    with pytest.raises(BadRequest, match="max_tokens"):
        decode_request(body, "q")
    assert decode_countable(body, "q").messages == (Message("user", "Hello"),)
    for broken in (b"{", b"\xff", b"[]"):
        with pytest.raises(BadRequest):
            decode_countable(broken, "q")
        with pytest.raises(BadRequest):
            decode_request(broken, "q")


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(str.strip)
turns = st.lists(st.tuples(words, words), min_size=1, max_size=4)


@given(turns, words)
def test_what_was_read_is_what_is_written(said: list[tuple[str, str]], system: str) -> None:
    """Decoding what the provider's side writes gives the same conversation again."""
    messages: tuple[Message, ...] = (Message("system", system),)
    for place, (question, reply) in enumerate(said):
        call = ToolCall(f"t{place}", "look", msgspec.json.encode({"q": question}).decode())
        messages += (
            Message("user", question),
            Message("assistant", reply, (call,)),
            Message("tool", reply, tool_call_id=call.id),
        )
    first = Request(id="q", asked="r", messages=messages, max_output=5, dialect="")
    again = decode_request(encode_request(first, CLAUDE), "q")
    read = [(m.role, m.text, m.tool_calls, m.tool_call_id) for m in again.messages]
    assert read == [(m.role, m.text, m.tool_calls, m.tool_call_id) for m in messages]
