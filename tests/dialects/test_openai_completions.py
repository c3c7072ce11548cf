"""The wire before chat: a prompt in, text out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types import Completion

from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_completions import USUAL, StreamEncoder, decode_request, encode_answer
from tierwise.dialects.sse import Events
from tierwise.errors import BadRequest, Overloaded
from tierwise.types import Answer, Choice, Chunk, Message, Request, Usage

LABEL = Label("cmpl-1", 7, "gpt")


def asked(prompt: str | list[str] = "Once", **fields: Any) -> Request:
    return decode_request(msgspec.json.encode({"model": "r", "prompt": prompt, **fields}), "q")


def test_a_prompt_is_a_message() -> None:
    """With the settings that chat models have too; an answer is short unless more is asked."""
    request = asked(["Once"], temperature=0.5, top_p=0.5, n=2, stop="x", stream=True, max_tokens=9)
    assert request.messages == (Message("user", "Once"),)
    assert (request.temperature, request.top_p, request.n, request.stop) == (0.5, 0.5, 2, ("x",))
    assert (request.stream, request.max_output, request.usage_asked) == (True, 9, False)
    assert (asked().max_output, asked().stop, asked(stop=["a", "b"]).stop) == (USUAL, (), ("a", "b"))
    assert asked(stream_options={"include_usage": True}).usage_asked
    assert asked(echo=False, best_of=1, suffix=None).n == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 1}, "logprobs"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 1}, "prompt"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    """And what only models of that time could do."""
    with pytest.raises(BadRequest) as caught:
        decode_request(msgspec.json.encode({"model": "r", "prompt": "x", **fields}), "q")
    assert caught.value.param == param


def test_an_answer() -> None:
    """As the SDK's type has it, a choice for each answer."""
    answer = Answer("m", (Choice("Upon", finish="length"), Choice("a time")), Usage(3, 2))
    raw = encode_answer(answer, asked(), LABEL)
    body = Completion.model_validate_json(raw)
    assert [(choice.text, choice.finish_reason) for choice in body.choices] == [("Upon", "length"), ("a time", "stop")]
    assert body.usage is not None
    assert body.usage.total_tokens == 5
    assert msgspec.json.decode(encode_answer(Answer("m", ()), asked(), LABEL))["usage"]["total_tokens"] == 0


@pytest.mark.parametrize("wanted", [False, True])
def test_a_stream(wanted: bool) -> None:
    """Text as it comes, usage where it was asked for, the mark at the end; an error is one."""
    encoder = StreamEncoder(asked(stream_options={"include_usage": wanted}), LABEL)
    chunks = (Chunk("Up"), Chunk("on", finish="stop"), Chunk(reasoning="hm"), Chunk(usage=Usage(3, 2)))
    events = [data for _, data in Events().feed(encoder.encode(chunks) + encoder.done())]
    assert events.pop() == b"[DONE]"
    bodies = [msgspec.json.decode(data) for data in events]
    assert [choice["text"] for body in bodies for choice in body["choices"]] == ["Up", "on"]
    assert ["usage" in body for body in bodies] == ([False, False, True] if wanted else [False, False])
    assert b"busy" in encoder.error(Overloaded("m", "busy"))
