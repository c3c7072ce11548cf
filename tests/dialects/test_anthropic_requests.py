"""Requests out to Anthropic Messages: what is said there, and what is refused by name."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.dialects.anthropic_messages import decode_request
from tierwise.dialects.anthropic_requests import JSON_LINE, encode_request
from tierwise.errors import BadRequest
from tierwise.types import Audio, Document, Foreign, Image, Message, Model, Part, Request, Role, Text, Tool, ToolCall

MODEL = Model("claude", "anthropic", "claude-test-1", max_output=777)
HELLO = Message("user", "Hello")


def sent(*messages: Message, **fields: Any) -> dict[str, Any]:
    request = Request(id="r", asked="claude", messages=messages or (HELLO,), **fields)
    body: dict[str, Any] = json.loads(encode_request(request, MODEL))
    return body


def refused(*messages: Message, **fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        sent(*messages, **fields)
    return caught.value


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_least_request() -> None:
    """The least request carries the provider's model name, the model's bound on the answer and one turn."""
    assert sent() == {
        "model": "claude-test-1",
        "max_tokens": 777,
        "messages": [{"role": "user", "content": [text("Hello")]}],
    }


def test_settings_travel_only_where_given() -> None:
    """Sampling, stops, streaming and the client's bound on the answer are written as this wire names them."""
    body = sent(max_output=5, temperature=0.0, top_p=0.5, stop=("a", "b"), stream=True)
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (5, 0.0, 0.5)
    assert (body["stop_sequences"], body["stream"]) == (["a", "b"], True)


def test_system_and_developer_messages_go_to_the_top() -> None:
    """Instructions leave the turns, in their order; empty ones say nothing."""
    body = sent(Message("system", "One"), HELLO, Message("developer", "Two"), Message("system", " "))
    assert body["system"] == [text("One"), text("Two")]
    assert len(body["messages"]) == 1


def test_neighbours_of_one_side_become_one_turn() -> None:
    """Turns alternate: consecutive messages of one side are joined, empty ones dropped."""
    body = sent(
        HELLO, Message("user", "again"), Message("assistant", ""), Message("user", "!"), Message("assistant", "Hi")
    )
    assert body["messages"] == [
        {"role": "user", "content": [text("Hello"), text("again"), text("!")]},
        {"role": "assistant", "content": [text("Hi")]},
    ]


def test_tool_calls_and_results() -> None:
    """Calls become blocks of the assistant with their arguments as JSON; their results share one turn of the user."""
    calls = (ToolCall("c1", "look", '{"at": 1.0}'), ToolCall("c2", "wait", ""))
    body = sent(
        HELLO,
        Message("assistant", "So:", calls),
        Message("tool", "seen", tool_call_id="c1"),
        Message("tool", "", tool_call_id="c2"),
        Message("user", "and?"),
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                text("So:"),
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1.0}},
                {"type": "tool_use", "id": "c2", "name": "wait", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [text("seen")]},
                {"type": "tool_result", "tool_use_id": "c2"},
                text("and?"),
            ],
        },
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", "1", '{"a": NaN}', '{"a":' + "[" * 100_000])
def test_arguments_that_are_no_json_object(arguments: str) -> None:
    """A call whose arguments can't be written as an object is refused, and the message named."""
    error = refused(HELLO, Message("assistant", "", (ToolCall("c", "look", arguments),)))
    assert error.param == "messages[1].tool_calls[0].function.arguments"


def test_result_of_no_call() -> None:
    """A tool's result must name its call."""
    assert refused(Message("tool", "seen")).param == "messages[0].tool_call_id"


def test_tools_and_their_choice() -> None:
    """Tools carry a schema always, and strictness where asked for; a schema that was not given is any object."""
    tools = (Tool("look", "Looks", {"type": "object", "properties": {}}, strict=True), Tool("wait"))
    body = sent(tools=tools)
    assert body["tools"] == [
        {
            "name": "look",
            "description": "Looks",
            "strict": True,
            "input_schema": {"type": "object", "properties": {}},
        },
        {"name": "wait", "input_schema": {"type": "object"}},
    ]
    assert body["tool_choice"] == {"type": "auto"}


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("required", True, {"type": "any"}),
        ("wait", False, {"type": "tool", "name": "wait", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice: str, parallel: bool, written: dict[str, Any]) -> None:
    """Each way to choose a tool has its word on this wire."""
    assert sent(tools=(Tool("wait"),), tool_choice=choice, parallel_tools=parallel)["tool_choice"] == written


def test_json_answers() -> None:
    """A schema is this wire's structured output; JSON without one, which it lacks, is asked for in words."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    body = sent(json_answer=True, schema=schema)
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "system" not in body
    assert sent(json_answer=True)["system"] == [text(JSON_LINE)]


def test_images() -> None:
    """An https address goes as it is, a data URL as its type and its bytes."""
    parts = (Text("See"), Image("https://example.com/a.png"), Image("data:image/webp;base64,AAAA", "high"))
    assert sent(Message("user", parts))["messages"][0]["content"] == [
        text("See"),
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AAAA"}},
    ]


@pytest.mark.parametrize(
    "url", ["http://example.com/a.png", "data:image/bmp;base64,AA", "data:image/png,AA", "file:///a"]
)
def test_images_in_another_form(url: str) -> None:
    """Addresses and encodings that this wire does not take are refused before they are sent."""
    assert refused(Message("user", (Text("See"), Image(url)))).param == "messages[0].content[1]"


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_images_of_others(role: Role) -> None:
    """Only the user and tools may show a picture."""
    assert refused(HELLO, Message(role, (Image("https://example.com/a.png"),))).param == "messages[1].content[0]"


PDF = "data:application/pdf;base64,JVBERi0="


def test_documents() -> None:
    """By address, as data, and texts as text; each with its title. From tools too."""
    parts = (
        Document("https://example.com/a.pdf"),
        Document(PDF, "a.pdf"),
        Document("data:text/csv;base64,YTtiCg==", "a.csv"),
    )
    written = [
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "a.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "a;b\n"},
            "title": "a.csv",
        },
    ]
    assert sent(Message("user", parts))["messages"][0]["content"] == written
    result = sent(HELLO, Message("tool", parts, tool_call_id="c"))["messages"][0]["content"][1]
    assert result == {"type": "tool_result", "tool_use_id": "c", "content": written}


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("user", Document("data:application/msword;base64,AA=="), "not application/msword"),
        ("user", Document("data:text/plain;base64,/w=="), "not UTF-8"),
        ("assistant", Document(PDF), "from tools only"),
        ("user", Audio("AA==", "wav"), "input_audio"),
    ],
)
def test_what_it_can_t_read(role: Role, part: Part, words: str) -> None:
    """Sound, other kinds of files, and files of others are refused by the name of their field."""
    error = refused(HELLO, Message(role, (Text("See"), part)))
    assert error.param == "messages[1].content[1]"
    assert words in error.message


names = st.text("abc.", max_size=8)
texts = st.text(max_size=20).map(lambda words: base64.b64encode(words.encode()).decode())
data = st.binary(min_size=1, max_size=20).map(lambda raw: base64.b64encode(raw).decode())
documents = st.one_of(
    st.builds(Document, st.just("https://example.org/a.pdf"), names),
    st.builds(Document, data.map("data:application/pdf;base64,{}".format), names),
    st.builds(Document, texts.map("data:text/plain;base64,{}".format), names),
)


@given(st.lists(documents, min_size=2, max_size=4).map(tuple))
def test_documents_are_read_back(parts: tuple[Document, ...]) -> None:
    """decode(encode(x)) == x for every document that this wire can say, from users and tools."""
    call = ToolCall("c", "f", "{}")
    said = (Message("user", parts), Message("assistant", "", (call,)), Message("tool", parts, tool_call_id="c"))
    body = encode_request(Request(id="r", asked="claude", messages=said), MODEL)
    assert decode_request(body, "q").messages == said


def test_tools_of_ours() -> None:
    """They go into a body of the client's own that has none."""
    request = decode_request(b'{"model":"r","max_tokens":9,"messages":[{"role":"user","content":"x"}],"top_k":1}', "q")
    changed = msgspec.structs.replace(request, tools=(Tool("f"),), tool_choice="f", parallel_tools=False)
    body = json.loads(encode_request(changed, MODEL))
    assert (body["top_k"], body["tools"]) == (1, [{"name": "f", "input_schema": {"type": "object"}}])
    assert body["tool_choice"] == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs_asked": True}, "logprobs"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_what_the_wire_cannot_say(fields: dict[str, Any], param: str) -> None:
    """A field with no counterpart is refused, with its name and the provider's, and never changed silently."""
    error = refused(**fields)
    assert error.param == param
    assert "Anthropic" in error.message


def test_foreign_part() -> None:
    """A part that only another dialect can express is refused by its name."""
    error = refused(Message("user", (Foreign("input_audio", "openai_chat"),)))
    assert error.param == "messages[0].content[0]"
    assert "input_audio" in error.message


def test_nothing_to_answer() -> None:
    """Instructions alone, or empty messages, make no request."""
    assert refused(Message("system", "One"), Message("user", "\n")).param == "messages"


_roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])


@settings(max_examples=60)
@given(st.lists(st.tuples(_roles, st.text(max_size=8)), max_size=8))
def test_turns_alternate_and_lose_no_words(script: list[tuple[Role, str]]) -> None:
    """For any conversation: sides alternate, no block is empty, and every word that says something is sent."""
    messages = [Message(role, words, tool_call_id="c" if role == "tool" else "") for role, words in script]
    body = sent(HELLO, *messages)
    sides = [turn["role"] for turn in body["messages"]]
    assert all(one != other for one, other in pairwise(sides))
    assert all(turn["content"] for turn in body["messages"])
    written = json.dumps(body)
    assert all(json.dumps(words) in written for _, words in script if words.strip())
