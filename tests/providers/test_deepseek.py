"""What DeepSeek is told otherwise than OpenAI: the requests after they were adapted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tierwise.dialects.openai_chat import decode_request
from tierwise.dialects.openai_upstream import encode_request
from tierwise.errors import BadRequest
from tierwise.providers.deepseek import adapt
from tierwise.types import Audio, Document, Foreign, Image, Message, Model, Part, Request, Text

MODEL = Model("deep", "deepseek", "deepseek-test")
HI = Message("user", "Hello")
HELLO = {"role": "user", "content": "Hello"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def sent(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = json.dumps({"model": "deep", "messages": messages or (HELLO,)} | fields).encode()
    adapted: dict[str, Any] = json.loads(encode_request(adapt(decode_request(body, "r")), MODEL))
    return adapted


def test_ordinary_requests_pass_unchanged() -> None:
    """What DeepSeek knows, and what nobody here reads, travels on."""
    body = sent(temperature=1.3, thinking={"type": "disabled"}, max_tokens=5, response_format={"type": "text"})
    assert body == {
        "model": "deepseek-test",
        "messages": [HELLO],
        "temperature": 1.3,
        "thinking": {"type": "disabled"},
        "max_tokens": 5,
        "response_format": {"type": "text"},
    }


def test_developers_are_the_system() -> None:
    """It knows no developer role; such messages keep their place and their other fields."""
    said = {"role": "user", "content": "what is a developer?"}
    body = sent({"role": "developer", "content": "Be brief", "name": "x"}, said)
    assert body["messages"] == [{"role": "system", "content": "Be brief", "name": "x"}, said]


def test_schema_becomes_words() -> None:
    """It refuses schemas: they go into the prompt behind the other instructions, and JSON mode stays on."""
    body = sent({"role": "system", "content": "Be brief"}, HELLO, response_format=FORMAT)
    assert body["response_format"] == {"type": "json_object"}
    assert [message["role"] for message in body["messages"]] == ["system", "system", "user"]
    words = body["messages"][1]["content"]
    assert "JSON" in words
    assert json.dumps(SCHEMA, separators=(",", ":")) in words


def test_schema_without_a_schema() -> None:
    """A schema format that holds none is JSON mode."""
    assert sent(response_format={"type": "json_schema"})["response_format"] == {"type": "json_object"}


def test_neutral_request_is_adapted_too() -> None:
    """A client of another dialect has no body; its values say the same."""
    messages = (Message("developer", "Be brief"), Message("user", "Hello"))
    request = Request(id="r", asked="deep", messages=messages, schema=SCHEMA, json_answer=True, dialect="anthropic")
    body = json.loads(encode_request(adapt(request), MODEL))
    assert [message["role"] for message in body["messages"]] == ["system", "system", "user"]
    assert body["response_format"] == {"type": "json_object"}


def test_schema_with_instructions_alone() -> None:
    """Where nothing but instructions is said, the schema stands behind them."""
    body = sent({"role": "system", "content": "Be brief"}, response_format=FORMAT)
    assert [message["role"] for message in body["messages"]] == ["system", "system"]


def test_answers_are_limited_by_the_name_it_knows() -> None:
    """The newer name of the limit becomes the older one; null is no limit."""
    body = sent(max_completion_tokens=7)
    assert body["max_tokens"] == 7
    assert "max_completion_tokens" not in body
    assert "max_tokens" not in sent(max_completion_tokens=None)


def test_reasoning_of_past_turns() -> None:
    """Reasoning is sent back for turns that called a tool, where it is required, and for no others."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        HELLO,
        {"role": "assistant", "content": "Hi", "reasoning_content": "plain"},
        HELLO,
        {"role": "assistant", "content": "", "reasoning_content": "before", "tool_calls": [call]},
        {"role": "tool", "content": "seen", "tool_call_id": "c"},
        {"role": "assistant", "content": "So", "reasoning_content": "after"},
        HELLO,
        {"role": "assistant", "content": "Well", "reasoning_content": "last", "tool_calls": None},
    ]
    kept = [message.get("reasoning_content") for message in sent(*messages)["messages"]]
    assert kept == [None, None, None, "before", None, "after", None, None]


def test_several_answers() -> None:
    """It gives one answer a request: more are refused before it is asked."""
    with pytest.raises(BadRequest, match="DeepSeek") as caught:
        sent(n=2)
    assert caught.value.param == "n"


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (Image("https://example.com/a.png"), "images"),
        (Document("https://example.com/a.pdf"), "files"),
        (Document("data:text/plain;base64,eA=="), "files"),  # its own wire has no texts as files
        (Audio("AA==", "wav"), "sound"),
    ],
)
def test_what_it_cannot_see_or_hear(part: Part, what: str) -> None:
    """It takes words alone; the message names what it does not take, and where that is."""
    request = Request(id="r", asked="deep", messages=(HI, Message("user", (Text("See"), part))))
    with pytest.raises(BadRequest, match=f"DeepSeek takes no {what}") as caught:
        adapt(request)
    assert caught.value.param == "messages[1].content[1]"


def test_files_of_text() -> None:
    """Another wire's are written out as text; what only the client's own wire has is for the server to refuse."""
    text = (Text("See"), Document("data:text/plain;base64,eA=="))
    request = Request(id="r", asked="deep", messages=(Message("user", text),), dialect="anthropic")
    body = json.loads(encode_request(adapt(request), MODEL))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "See"}, {"type": "text", "text": "x"}]
    adapt(Request(id="r", asked="deep", messages=(Message("user", (Foreign("refusal", "openai_chat"),)),)))


def test_the_request_itself_is_not_changed() -> None:
    """Adapting makes a new request: the plan and the checks go on with the client's own."""
    body = json.dumps({"model": "deep", "messages": [HELLO], "response_format": FORMAT, "max_completion_tokens": 3})
    request = decode_request(body.encode(), "r")
    before = dict(request.body)
    adapt(request)
    assert request.body == before
    assert request.schema == SCHEMA
