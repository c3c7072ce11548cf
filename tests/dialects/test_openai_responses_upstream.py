"""Requests out to providers that speak OpenAI Responses, each checked by the official SDK's own types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from openai.types.responses.response_input_param import ResponseInputParam
from pydantic import TypeAdapter

from tierwise.core.tariff import pricing
from tierwise.dialects import anthropic_messages, openai_chat, openai_completions, openai_responses
from tierwise.dialects.openai_responses_upstream import encode_items, encode_request
from tierwise.errors import BadRequest
from tierwise.tariffs import Rates, Service, Tariff
from tierwise.types import Audio, Document, Foreign, Image, Message, Model, Part, Request, Text, Tool, ToolCall

Json = dict[str, Any]
GPT = Model("gpt", "openai", "gpt-test-1")
INPUT: TypeAdapter[Any] = TypeAdapter(ResponseInputParam)
RATES = Rates(*[1_000_000] * 9)
PDF = "data:application/pdf;base64,JVBERi0="


def written(request: Request, model: Model = GPT) -> Json:
    body: Json = msgspec.json.decode(encode_request(request, model))
    if request.dialect != openai_responses.NAME:
        INPUT.validate_python(body["input"])
    return body


def neutral(**fields: Any) -> Request:
    return Request(**{"id": "q", "asked": "r", "messages": (Message("user", "Hello"),), "dialect": ""} | fields)


def chat(**fields: Any) -> Request:
    body = {"model": "r", "messages": [{"role": "user", "content": "Hello"}]} | fields
    return openai_chat.decode_request(msgspec.json.encode(body), "q")


def refused(request: Request, words: str) -> str | None:
    with pytest.raises(BadRequest, match=words) as caught:
        encode_request(request, GPT)
    return caught.value.param


# ------------------------------------------------------------------ a client of the same wire


def test_the_client_s_own_bytes() -> None:
    """In its order, with what nobody here reads; only the model is ours, and no earlier response is named."""
    items = b'[{"role":"user","content":"h\\u00e9"},{"type":"reasoning","id":"r","encrypted_content":"z" , "n":1.10}]'
    own = b'{"zeta":{"k" : 1e999},"model":"r","input":%b,"previous_response_id":"resp_1","tools":%b}'
    tools = b'[{"type":"mcp"},{"type":"function","name":"look", "x":1}]'
    request = openai_responses.decode_request(own % (items, tools), "q")
    sent = b'{"zeta":{"k" : 1e999},"model":"gpt-test-1","input":%b,"tools":%b}'
    assert encode_request(request, GPT) == sent % (items, tools)


def test_ours_where_the_client_says_nothing() -> None:
    """A limit and a service tier; never over its own."""
    listed = Tariff(RATES, services={"flex": Service(factor=1)})
    patient = msgspec.structs.replace(GPT, pricing=pricing((listed,), 0))
    plain = openai_responses.decode_request(b'{"model":"r","input":"x","max_output_tokens":null,"stream":true}', "q")
    ours = msgspec.structs.replace(plain, max_output=9, deadline_s=700.0)
    assert written(ours, patient) == {
        "model": "gpt-test-1",
        "input": "x",
        "max_output_tokens": 9,
        "stream": True,
        "service_tier": "flex",
    }
    own = openai_responses.decode_request(
        b'{"model":"r","input":"x","max_output_tokens":5,"service_tier":"priority"}', "q"
    )
    sent = written(msgspec.structs.replace(own, max_output=9, deadline_s=700.0), patient)
    assert (sent["max_output_tokens"], sent["service_tier"]) == (5, "priority")
    assert "include" not in written(own, msgspec.structs.replace(GPT, logprobs=True))


def test_a_tool_of_ours() -> None:
    """Where someone has taken the client's out of the body, and put another in."""
    own = openai_responses.decode_request(b'{"model":"r","input":"x"}', "q")
    ours = msgspec.structs.replace(own, tools=(Tool("answer"),), tool_choice="answer", parallel_tools=False)
    function = {"type": "function", "name": "answer"}
    assert written(ours) == {
        "model": "gpt-test-1",
        "input": "x",
        "tools": [function | {"parameters": None, "strict": False}],
        "tool_choice": function,
        "parallel_tool_calls": False,
    }


# ------------------------------------------------------------------ clients of other wires


def test_the_least() -> None:
    """Nothing that was not asked for, and nothing that is kept at the provider."""
    item = {"type": "message", "role": "user", "content": "Hello"}
    assert written(neutral()) == {"model": "gpt-test-1", "input": [item], "store": False}


def test_settings() -> None:
    """Everything that the neutral form has a word for."""
    tools = (Tool("look", "looks", {"type": "object"}, strict=True), Tool("wait"))
    body = written(
        neutral(temperature=0.5, top_p=0.25, max_output=9, stream=True, tools=tools, parallel_tools=False),
        msgspec.structs.replace(GPT, logprobs=True),
    )
    assert (body["temperature"], body["top_p"], body["max_output_tokens"], body["stream"]) == (0.5, 0.25, 9, True)
    assert body["include"] == ["message.output_text.logprobs"]
    look = {"type": "function", "name": "look", "description": "looks", "parameters": {"type": "object"}}
    assert body["tools"] == [
        look | {"strict": True},
        {"type": "function", "name": "wait", "parameters": None, "strict": False},
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", False)
    for choice in ("none", "required"):
        assert written(neutral(tools=tools, tool_choice=choice))["tool_choice"] == choice
    named = written(neutral(tools=tools, tool_choice="look"))
    assert (named["tool_choice"], named["parallel_tool_calls"]) == ({"type": "function", "name": "look"}, True)


def test_a_form_of_the_answer() -> None:
    """With a schema, as chat has named it, and without."""
    schema = {"type": "object"}
    plain = {"type": "json_schema", "name": "answer", "schema": schema, "strict": False}
    assert written(neutral(schema=schema, json_answer=True))["text"] == {"format": plain}
    assert written(neutral(json_answer=True))["text"] == {"format": {"type": "json_object"}}
    named = {"name": "place", "schema": schema, "strict": True, "description": "where"}
    form = {"type": "json_schema", "json_schema": named}
    assert written(chat(response_format=form, verbosity="low"))["text"] == {
        "format": {"type": "json_schema", **named},
        "verbosity": "low",
    }
    refused(
        chat(response_format={"type": "json_schema", "json_schema": {"name": 5, "schema": schema}}), "response_format"
    )


def test_what_openai_s_wires_share() -> None:
    """By the same name, or by another."""
    shared = {"metadata": {"a": "b"}, "user": "u", "service_tier": "priority", "prompt_cache_key": "k"}
    body = written(chat(**shared, safety_identifier=None, reasoning_effort="high", seed=None, logit_bias={}))
    assert body | shared | {"reasoning": {"effort": "high"}} == body
    assert body.keys() == {"model", "input", "store", "reasoning", *shared}
    assert refused(chat(reasoning_effort=5), "reasoning_effort") == "reasoning_effort"


def test_how_much_anthropic_s_clients_want_thought() -> None:
    """Is the same word."""
    own: Json = {"model": "r", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    for output, reasoning in (({"effort": "low"}, {"effort": "low"}), ({}, None), (None, None)):
        request = anthropic_messages.decode_request(msgspec.json.encode(own | {"output_config": output}), "q")
        assert written(request).get("reasoning") == reasoning


def test_turns() -> None:
    """Instructions keep their role and place; calls and their results are items of their own."""
    call = ToolCall("c1", "look", '{"a": 1}')
    messages = (
        Message("system", "S"),
        Message("developer", "D"),
        Message("user", (Text("See"), Image("https://example.org/a.png"), Image("data:image/png;base64,aGk=", "low"))),
        Message("assistant", "I look.", (call, ToolCall("c2", "wait", "{}"))),
        Message("tool", "seen", tool_call_id="c1"),
        Message("tool", (Text("a"), Image("https://example.org/b.png")), tool_call_id="c2"),
        Message("assistant", "", (call,)),
        Message("assistant", ""),
        Message("assistant", (Text("One"), Text("Two"))),
    )
    picture = {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"}
    called = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'}
    assert written(neutral(messages=messages))["input"] == [
        {"type": "message", "role": "system", "content": "S"},
        {"type": "message", "role": "developer", "content": "D"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See"},
                picture,
                {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
            ],
        },
        {"type": "message", "role": "assistant", "content": "I look."},
        called,
        {"type": "function_call", "call_id": "c2", "name": "wait", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "a"}, picture | {"image_url": "https://example.org/b.png"}],
        },
        called,
        {"type": "message", "role": "assistant", "content": ""},
        {"type": "message", "role": "assistant", "content": "One"},
        {"type": "message", "role": "assistant", "content": "Two"},
    ]


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (Document("https://example.org/a.pdf"), {"type": "input_file", "file_url": "https://example.org/a.pdf"}),
        (Document(PDF), {"type": "input_file", "filename": "file.pdf", "file_data": PDF}),
        (Document(PDF, "a.pdf"), {"type": "input_file", "filename": "a.pdf", "file_data": PDF}),
        (
            Document("data:text/plain;base64,aGk="),
            {"type": "input_file", "filename": "file.txt", "file_data": "data:text/plain;base64,aGk="},
        ),
        (Audio("aGk=", "wav"), {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}),
    ],
)
def test_files_and_sound(part: Part, wire: Json) -> None:
    """As a part of their own."""
    assert encode_items([Message("user", (part,))])[0]["content"] == [wire]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Message("assistant", (Image("https://example.org/a.png"),)), "type image in a message of role assistant"),
        (Message("assistant", (Document(PDF),)), "type file"),
        (Message("tool", (Audio("aGk=", "wav"),), tool_call_id="c"), "type input_audio"),
        (Message("user", (Foreign("input_video", "openai_chat"),)), "type input_video"),
    ],
)
def test_parts_that_have_no_place(message: Message, words: str) -> None:
    """Are refused by name and place."""
    assert refused(neutral(messages=(Message("user", "x"), message)), words) == "messages[1].content[0]"


def test_a_result_of_no_call() -> None:
    """Is refused."""
    assert refused(neutral(messages=(Message("tool", "x"),)), "of no call") == "messages[0].tool_call_id"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (neutral(n=2), "n"),
        (neutral(stop=("x",)), "stop"),
        (neutral(logprobs_asked=True), "logprobs"),
        (neutral(foreign=("a tool of type x",)), "tools"),
        (chat(seed=7), "seed"),
        (chat(seed=0), "seed"),
        (chat(logit_bias={"50256": -100}), "logit_bias"),
        (chat(presence_penalty=0.5), "presence_penalty"),
        (chat(frequency_penalty=-0.5), "frequency_penalty"),
        (chat(functions=[{"name": "look"}]), "functions"),
        (chat(audio={"voice": "x"}), "audio"),
        (chat(web_search_options={"search_context_size": "low"}), "web_search_options"),
    ],
)
def test_what_has_no_place(request_: Request, param: str) -> None:
    """Is refused by name: a request is never changed silently."""
    assert refused(request_, "gpt") == param


@pytest.mark.parametrize("field", ["logit_bias", "presence_penalty", "frequency_penalty", "functions"])
@pytest.mark.parametrize("nothing", [None, 0, 0.0, {}, []])
def test_what_asks_for_nothing(field: str, nothing: Any) -> None:
    """Is left out."""
    assert field not in written(chat(**{field: nothing}))


def test_the_wire_before_chat() -> None:
    """Its prompt is the one message."""
    request = openai_completions.decode_request(b'{"model":"r","prompt":"Hello","max_tokens":9}', "q")
    assert written(request)["input"] == [{"type": "message", "role": "user", "content": "Hello"}]


# ------------------------------------------------------------------ what goes out can be read again

READERS: tuple[Callable[[], Request], ...] = (neutral, chat)


@pytest.mark.parametrize("make", READERS)
def test_written_and_read(make: Callable[[], Request]) -> None:
    """By a gateway that is the provider."""
    request = make()
    again = openai_responses.decode_request(encode_request(request, GPT), "q")
    assert (again.messages, again.asked) == (request.messages, "gpt-test-1")
