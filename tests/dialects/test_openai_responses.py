"""Requests in from OpenAI Responses clients."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierwise.dialects.openai_responses import decode_items, decode_request
from tierwise.dialects.openai_upstream import encode_request
from tierwise.errors import BadRequest
from tierwise.types import Audio, Document, Foreign, Image, Message, Model, Request, Text, Tool, ToolCall

GPT = Model("gpt", "openai", "gpt-test-1")
Json = dict[str, Any]


def asked(items: str | list[Json] = "Hello", **fields: Any) -> Request:
    return decode_request(msgspec.json.encode({"model": "r", "input": items, **fields}), "q")


def test_a_text_and_settings() -> None:
    """The least request, and every setting that the neutral form has."""
    request = asked(
        instructions="Be kind.",
        stream=True,
        max_output_tokens=9,
        temperature=1.5,
        top_p=0.5,
        parallel_tool_calls=False,
        previous_response_id="resp_1",
    )
    assert request.messages == (Message("developer", "Be kind."), Message("user", "Hello"))
    assert (request.stream, request.max_output, request.temperature, request.top_p) == (True, 9, 1.5, 0.5)
    assert (request.parallel_tools, request.continues, request.dialect) == (False, "resp_1", "openai_responses")
    assert (asked().parallel_tools, asked().tool_choice, asked().continues) == (True, "auto", "")


def test_items() -> None:
    """Turns, calls and their results, pictures; thoughts are for the model that had them."""
    request = asked(
        [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See"},
                    {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "wait", "arguments": '{"s":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
            },
            {"type": "function_call", "call_id": "c3", "name": "look", "arguments": "{}"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "user", "content": [{"type": "input_file", "file_id": "f"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                    {"type": "input_file", "file_url": "https://example.org/a.pdf"},
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                    {"type": "input_audio"},
                ],
            },
            {"role": "user"},
            {"type": "item_reference", "id": "x"},
        ]
    )
    calls = (ToolCall("c1", "look", "{}"), ToolCall("c2", "wait", '{"s":1}'))
    assert request.messages == (
        Message("system", "S"),
        Message("user", (Text("See"), Image("https://example.org/a.png", "low"))),
        Message("assistant", "I look.", calls),
        Message("tool", "seen", tool_call_id="c1"),
        Message("tool", (Text("a"), Text("b")), tool_call_id="c2"),
        Message("assistant", "", (ToolCall("c3", "look", "{}"),)),
        Message("assistant", "No."),
        Message("user", (Foreign("input_file by file_id", "openai_responses"),)),
        Message(
            "user",
            (
                Document("data:application/pdf;base64,AA==", "a.pdf"),
                Document("https://example.org/a.pdf"),
                Audio("AA==", "mp3"),
                Foreign("input_audio", "openai_responses"),
            ),
        ),
        Message("user", ""),
        Message("user", (Foreign("an item of type item_reference", "openai_responses"),)),
    )
    with pytest.raises(BadRequest, match="input_file"):
        encode_request(request, GPT)


def test_tools() -> None:
    """Functions, strict unless it is said otherwise; what only this wire has is refused elsewhere by name."""
    function = {"type": "function", "name": "look", "description": "looks", "parameters": {"type": "object"}}
    request = asked(tools=[function, {**function, "strict": False}, {"type": "web_search"}], tool_choice="required")
    assert request.tools == (
        Tool("look", "looks", {"type": "object"}, strict=True),
        Tool("look", "looks", {"type": "object"}, strict=False),
    )
    assert (request.tool_choice, request.foreign) == ("required", ("a tool of type web_search",))
    assert asked(tool_choice={"type": "function", "name": "look"}).tool_choice == "look"
    with pytest.raises(BadRequest, match="web_search"):
        encode_request(request, GPT)


def test_what_its_provider_keeps_or_does() -> None:
    """A choice of its own tools, or of some, and a prompt of its own, are refused elsewhere by name."""
    for choice in ({"type": "web_search"}, {"type": "allowed_tools", "mode": "auto", "tools": []}):
        request = asked(tool_choice=choice)
        assert (request.tool_choice, request.foreign) == ("auto", (f"a tool choice of type {choice['type']}",))
    kept = asked("", prompt={"id": "pmpt_1"})
    assert kept.messages == ()
    with pytest.raises(BadRequest, match="a prompt that its provider keeps"):
        encode_request(kept, GPT)


def test_items_of_other_shapes() -> None:
    """What only the same wire reads is not looked into."""
    request = asked(
        [
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
            {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "x"}]},
            {"type": "tool_search_call", "call_id": None, "name": None, "arguments": {"q": 1}},
        ]
    )
    assert [message.role for message in request.messages] == ["user"] * 3
    assert all(isinstance(message.content[0], Foreign) for message in request.messages)


def test_items_that_were_kept() -> None:
    """Are read as those of a request; where they can't be, the error is the same."""
    items = [{"role": "user", "content": "x"}, {"type": "message", "role": "assistant", "content": "y"}]
    assert decode_items(msgspec.json.encode(items)) == (Message("user", "x"), Message("assistant", "y"))
    with pytest.raises(BadRequest):
        decode_items(b'[{"role":5}]')


def test_a_form_of_the_answer() -> None:
    """JSON with and without a schema."""
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}
    request = asked(text={"format": schema})
    assert (request.json_answer, request.schema) == (True, {"type": "object"})
    loose = asked(text={"format": {"type": "json_object"}})
    assert (loose.json_answer, loose.schema) == (True, None)
    assert asked(text={"format": {"type": "text"}}).json_answer is False
    assert asked(text={"verbosity": "low"}).json_answer is False


def test_it_goes_on_without_a_word() -> None:
    """From an earlier response, an empty input is one."""
    assert asked("", previous_response_id="resp_1").messages == ()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": (1 << 31) + 1}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://example.org"}]}]},
            "input[0].content[0].file_url",
        ),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": {"a": 1}}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": {"a": 1}}]}, "input[0].output"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[...]"),
    ],
)
def test_what_is_wrong_is_named(fields: Json, param: str) -> None:
    """So that who wrote the request finds it."""
    with pytest.raises(BadRequest) as caught:
        decode_request(msgspec.json.encode({"model": "r", "input": "x", **fields}), "q")
    assert (caught.value.param or "").startswith(param.partition("[...]")[0])
