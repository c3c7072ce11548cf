"""Vectors of texts: both sides of the wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierwise.core.join import join
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_embeddings import decode_answer, decode_request, encode_answer, encode_request
from tierwise.errors import BadRequest, WireError
from tierwise.types import Message, Model, Usage

MODEL = Model("vectors", "openai", "embed-1")


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        ("a", (Message("user", "a"),)),
        (["a", "b"], (Message("user", "a"), Message("user", "b"))),
        ([1, 2], ()),
        ([[1, 2], [3]], ()),
    ],
)
def test_texts_or_tokens(texts: Any, messages: tuple[Message, ...]) -> None:
    """The body goes on as it came, but for the model's name."""
    body = msgspec.json.encode({"model": "r", "input": texts, "dimensions": 5})
    request = decode_request(body, "q")
    assert request.messages == messages
    assert encode_request(request, MODEL) == body.replace(b'"r"', b'"embed-1"', 1)


@pytest.mark.parametrize("body", [b'{"model":"r","input":""}', b'{"model":"r","input":[]}', b'{"model":"r"}', b"{"])
def test_nothing_is_no_input(body: bytes) -> None:
    """Refused by name."""
    with pytest.raises(BadRequest):
        decode_request(body, "q")
    with pytest.raises(BadRequest, match="2,048"):
        decode_request(msgspec.json.encode({"model": "r", "input": ["x"] * 2049}), "q")


def test_an_answer_goes_on_as_it_came() -> None:
    """And what was counted is read; what holds no vectors is no answer."""
    body = b'{"object":"list","data":[{"embedding":[0.10]}],"usage":{"prompt_tokens":3,"total_tokens":3}}'
    answer = join("m", decode_answer(body), complete=True)
    assert answer.usage == Usage(3)
    request = decode_request(b'{"model":"r","input":"a"}', "q")
    assert encode_answer(answer, request, Label("", 0, "")) == body
    (uncounted,) = decode_answer(b'{"data":[]}')
    assert uncounted.usage is None
    for broken in (b"{}", b"\xff", b"[]", b'{"data":[],"unread":"\xff"}'):
        with pytest.raises(WireError):
            decode_answer(broken)
