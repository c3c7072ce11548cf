"""Anthropic's Message Batches: what is sent, and what comes back, whole or broken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.shapes import Anthropic, Script
from tierwise.dialects import anthropic_batches as dialect
from tierwise.dialects.batches import Job, Result
from tierwise.errors import WireError

KEPT = ("/messages/batches/msgbatch_1",)
COUNTS = {"processing": 1, "succeeded": 2, "errored": 3, "canceled": 4, "expired": 5}


def batch(**more: Any) -> bytes:
    said: dict[str, Any] = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
    return msgspec.json.encode(said | more)


def row(result: Any) -> bytes:
    return msgspec.json.encode({"custom_id": "m-0", "result": result})


def test_what_begins_a_batch() -> None:
    """Each body as it came, under its name."""
    body = b'{ "model": "claude", "big": 12345678901234567890 }'
    assert msgspec.json.decode(dialect.encode_batch([("m-0", body), ("m-1", b"{}")])) == {
        "requests": [
            {"custom_id": "m-0", "params": {"model": "claude", "big": 12345678901234567890}},
            {"custom_id": "m-1", "params": {}},
        ]
    }


@pytest.mark.parametrize(
    ("said", "job"),
    [
        ({}, Job("msgbatch_1", False, 0, kept=KEPT)),
        ({"processing_status": "canceling", "request_counts": COUNTS}, Job("msgbatch_1", False, 15, kept=KEPT)),
        (
            {"processing_status": "ended", "results_url": "https://elsewhere.example/x"},
            Job("msgbatch_1", True, 0, results=("/messages/batches/msgbatch_1/results",), kept=KEPT),
        ),
    ],
)
def test_how_far_a_batch_is(said: dict[str, Any], job: Job) -> None:
    """And where its results are: at the provider's own address, whatever it says."""
    assert dialect.decode_batch(batch(**said)) == job


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", batch(id=1), batch(id="../x"), batch(id="")])
def test_what_is_no_batch(body: bytes) -> None:
    """Nor an id that would lead to another path."""
    with pytest.raises(WireError):
        dialect.decode_batch(body)


def test_a_list() -> None:
    """A page, and where the next one begins; none where this is the last, or an empty one."""
    pages = [b'{"data": [%b], "has_more": %b}' % (batch(), more) for more in (b"true", b"false")]
    assert dialect.decode_page(pages[0]) == ((Job("msgbatch_1", False, 0, kept=KEPT),), "msgbatch_1")
    assert dialect.decode_page(pages[1])[1] == ""
    assert dialect.decode_page(b'{"data": [], "has_more": true}') == ((), "")
    for body in (b"{}", b'{"data": [{"id": "a/b", "processing_status": "x"}]}'):
        with pytest.raises(WireError):
            dialect.decode_page(body)


def test_an_answer() -> None:
    """As a single call's would be read."""
    message = Anthropic.whole(Script(text="forty two"), {"model": "claude"}, "answer-1")
    found = dialect.decode_result(row({"type": "succeeded", "message": message}))
    (chunk,) = found.chunks
    assert (found.name, chunk.text, chunk.finish, found.failure) == ("m-0", "forty two", "stop", "")
    assert chunk.usage is not None
    assert (chunk.usage.input_tokens, chunk.usage.output_tokens) == (20, 2)


@pytest.mark.parametrize(
    ("result", "failure"),
    [
        ({"type": "expired"}, "expired"),
        ({"type": "Some words"}, ""),
        ({"type": "errored", "error": {"type": "error", "error": {"type": "Some words"}}}, "errored"),
        ({"type": "canceled"}, "canceled"),
        ({"type": "errored", "error": {"type": "error", "error": {"type": "x_error", "message": "secret"}}}, "x_error"),
        ({"type": "errored", "error": {"type": "error", "error": {"message": "secret"}}}, "errored"),
        ({"type": "errored", "error": {"type": "error"}}, "errored"),
        ({"type": "errored"}, "errored"),
        ({"type": "succeeded", "message": {"type": "message", "content": []}}, "torn"),
        ({"type": "succeeded"}, "torn"),
    ],
)
def test_no_answer(result: Any, failure: str) -> None:
    """Why, in the provider's word for it; none of its other words."""
    assert dialect.decode_result(row(result)) == Result("m-0", failure=failure)


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b'{"custom_id": "m-0", "result"'])
def test_what_is_no_result(line: bytes) -> None:
    """Such as one that was cut."""
    with pytest.raises(WireError):
        dialect.decode_result(line)
