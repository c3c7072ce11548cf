"""Moderations: both sides of the wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierwise.core.join import join
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_moderations import MOST, decode_answer, decode_request, encode_answer, encode_results
from tierwise.errors import BadRequest, WireError
from tierwise.types import Foreign, Image, Message, Text, Usage

PICTURE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ("a", (Message("user", "a"),)),
        ("", (Message("user", ""),)),
        (["a", "b"], (Message("user", "a"), Message("user", "b"))),
        (
            [{"type": "text", "text": "a"}, PICTURE, {"type": "sound"}],
            (Message("user", (Text("a"), Image("https://x/y.png"), Foreign("sound", "openai_moderations"))),),
        ),
    ],
    ids=["text", "empty", "texts", "parts"],
)
def test_what_an_input_is(given: Any, messages: tuple[Message, ...]) -> None:
    """Each text is one, all parts together are one; the body is kept as it came."""
    request = decode_request(msgspec.json.encode({"model": "m", "input": given, "z": 1}), "q", frozenset({"x"}))
    assert (request.messages, request.asked, request.tags) == (messages, "m", frozenset({"x"}))
    assert bytes(request.body["z"]) == b"1"
    assert decode_request(b'{"input":"a"}', "q").asked == ""


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([], "input"),
        (["x"] * (MOST + 1), "input"),
        (["x", PICTURE], "input"),
        ([PICTURE, {"type": "text"}], "input[1]"),
        ([{"type": "image_url", "text": "x"}], "input[0]"),
        (3, "input"),
        ([3], "input[0]"),
    ],
    ids=["none", "many", "mixed", "no-text", "no-picture", "number", "numbers"],
)
def test_what_no_input_is(given: Any, param: str) -> None:
    """Refused by name."""
    with pytest.raises(BadRequest) as refused:
        decode_request(msgspec.json.encode({"input": given}), "q")
    assert refused.value.param == param


def test_an_answer_goes_on_as_it_came() -> None:
    """Without any tokens, which this wire does not count; what has no results is none."""
    body = b'{ "id":"modr-1","results":[{"flagged":false,"category_scores":{"hate":1e-05}}],"more":1e400}'
    answer = join("m", decode_answer(body), complete=True)
    assert answer.usage == Usage()
    assert encode_answer(answer, decode_request(b'{"input":"a"}', "q"), Label("", 0, "")) == body
    for broken in (b"{}", b"\xff", b"[]", b'{"results":[],"unread":"\xff"}'):
        with pytest.raises(WireError):
            decode_answer(broken)


def test_results() -> None:
    """Every category has its verdict, its score, and what of the input was looked at."""
    read = {"hate": ("text",), "violence": ("text",), "illicit": ()}
    first = ({"hate": 0.9, "violence": 0.25, "illicit": 0.0}, ("hate", "hate"))
    second = ({"hate": 0.0, "violence": 0.0, "illicit": 0.0}, ())
    said = msgspec.json.decode(encode_results([first, second], read, Label("modr-1", 0, "ours")))
    assert (said["id"], said["model"]) == ("modr-1", "ours")
    assert said["results"] == [
        {
            "flagged": True,
            "categories": {"hate": True, "violence": False, "illicit": False},
            "category_scores": first[0],
            "category_applied_input_types": {"hate": ["text"], "violence": ["text"], "illicit": []},
        },
        {
            "flagged": False,
            "categories": dict.fromkeys(read, False),
            "category_scores": second[0],
            "category_applied_input_types": {"hate": ["text"], "violence": ["text"], "illicit": []},
        },
    ]
