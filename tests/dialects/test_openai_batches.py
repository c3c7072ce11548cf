"""OpenAI's Files and Batches: what is sent, read by another reader, and what comes back, whole or broken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.shapes import OpenAI, Script
from tierwise.dialects import openai_batches as dialect
from tierwise.dialects.batches import Job, Result, lines, names
from tierwise.errors import WireError
from tierwise.gateway.web.multipart import boundary, parse


def batch(**more: Any) -> bytes:
    said: dict[str, Any] = {"id": "batch_1", "object": "batch", "status": "in_progress", "metadata": None}
    return msgspec.json.encode(said | more)


def row(**more: Any) -> bytes:
    return msgspec.json.encode({"id": "batch_req_1", "custom_id": "m-0", "response": None, "error": None} | more)


def test_names() -> None:
    """Of a batch's own mark, one for each request, in what every wire takes."""
    assert list(names("0a1b", 3)) == ["0a1b-0", "0a1b-1", "0a1b-2"]


def test_lines() -> None:
    """A request that its client wrote on several is one."""
    assert lines([b'{\r\n "a": 1\n}', b"{}"]) == b'{   "a": 1 }\n{}\n'


def test_the_form() -> None:
    """Is read by a strict reader: the purpose, and a file of the requests, each body as it came."""
    body = b'{ "model": "gpt",\n "messages": [], "big": 12345678901234567890 }'
    form = dialect.encode_upload([("m-0", body), ("m-1", b"{}")])
    parts = parse(form, boundary(dialect.UPLOAD_TYPE))
    assert set(parts) == {"purpose", "file"}
    purpose, file = parts["purpose"], parts["file"]
    assert form[purpose.start : purpose.end] == b"batch"
    assert file.filename == "requests.jsonl"
    first, second = form[file.start : file.end].splitlines()
    assert msgspec.json.decode(first)["body"]["big"] == 12345678901234567890
    head = {"custom_id": "m-1", "method": "POST", "url": "/v1/chat/completions", "body": {}}
    assert msgspec.json.decode(second) == head


def test_what_begins_a_batch() -> None:
    """The file, the window there is, and our name for it."""
    assert msgspec.json.decode(dialect.encode_batch("file-1", "0a1b")) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"tierwise": "0a1b"},
    }


@pytest.mark.parametrize(
    ("said", "job"),
    [
        ({}, Job("batch_1", False, 0)),
        (
            {"metadata": {"tierwise": "0a"}, "request_counts": {"total": 3, "completed": 1}},
            Job("batch_1", False, 3, "0a"),
        ),
        ({"status": "cancelling", "output_file_id": None}, Job("batch_1", False, 0)),
        (
            {"status": "completed", "output_file_id": "file-a", "error_file_id": "file-b", "metadata": {"x": "y"}},
            Job(
                "batch_1",
                True,
                0,
                results=("/files/file-a/content", "/files/file-b/content"),
                kept=("/files/file-a", "/files/file-b"),
            ),
        ),
        (
            {"status": "expired", "error_file_id": "file-b"},
            Job("batch_1", True, 0, results=("/files/file-b/content",), kept=("/files/file-b",)),
        ),
        ({"status": "cancelled"}, Job("batch_1", True, 0)),
        ({"input_file_id": "file-c"}, Job("batch_1", False, 0, kept=("/files/file-c",))),
        ({"status": "completed", "request_counts": {"total": 2, "completed": 0}}, Job("batch_1", True, 2)),
        ({"status": "completed", "request_counts": {"total": 2, "completed": 1}}, Job("batch_1", False, 2)),
        ({"status": "failed"}, Job("batch_1", True, 0, failure="failed")),
        ({"status": "failed", "errors": {"data": [{"code": "x"}]}}, Job("batch_1", True, 0, failure="x")),
        ({"status": "failed", "errors": {"data": [{"code": None}]}}, Job("batch_1", True, 0, failure="failed")),
        ({"status": "failed", "errors": {"data": [{"code": "A B"}]}}, Job("batch_1", True, 0, failure="failed")),
        ({"status": "failed", "errors": {"data": None}}, Job("batch_1", True, 0, failure="failed")),
    ],
)
def test_how_far_a_batch_is(said: dict[str, Any], job: Job) -> None:
    """Whether it has ended, and where its results are; one whose results are still to come has not."""
    assert dialect.decode_batch(batch(**said)) == job


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b'{"id": 1}',
        batch(id="../x"),
        batch(id=""),
        batch(error_file_id="a/b"),
        batch(input_file_id="a/b"),
        batch(id="x" * 201),
    ],
)
def test_what_is_no_batch(body: bytes) -> None:
    """Nor an id that would lead to another path."""
    with pytest.raises(WireError):
        dialect.decode_batch(body)


def test_a_file() -> None:
    """Its id."""
    assert dialect.decode_file(b'{"id": "file-1", "object": "file"}') == "file-1"
    for body in (b"{}", b'{"id": "a/b"}'):
        with pytest.raises(WireError):
            dialect.decode_file(body)


def test_a_list() -> None:
    """A page, and where the next one begins; none where this is the last, or an empty one."""
    two = b'{"data": [%b, %b], "has_more": %b}'
    pages = [two % (batch(), batch(id="batch_0"), more) for more in (b"true", b"false")]
    assert dialect.decode_page(pages[0]) == ((Job("batch_1", False, 0), Job("batch_0", False, 0)), "batch_0")
    assert dialect.decode_page(pages[1])[1] == ""
    assert dialect.decode_page(b'{"data": [], "has_more": true}') == ((), "")
    for body in (b"{}", b'{"data": [{"id": "a/b", "status": "x"}]}'):
        with pytest.raises(WireError):
            dialect.decode_page(body)


def test_an_answer() -> None:
    """As a single call's would be read."""
    body = OpenAI.whole(Script(text="forty two"), {"model": "gpt"}, "answer-1")
    found = dialect.decode_result(row(response={"status_code": 200, "request_id": "r", "body": body}))
    (chunk,) = found.chunks
    assert (found.name, chunk.text, chunk.finish, found.failure) == ("m-0", "forty two", "stop", "")
    assert chunk.usage is not None
    assert (chunk.usage.input_tokens, chunk.usage.output_tokens) == (20, 2)


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ({"error": {"code": "batch_expired", "message": "too late"}}, "batch_expired"),
        ({"error": {"code": None}}, ""),
        ({"error": {"code": "Some words\n"}}, ""),
        ({"error": {"code": None}, "response": {"status_code": 500}}, "status_500"),
        ({"response": {"status_code": 400, "body": {"error": {"message": "secret"}}}}, "status_400"),
        ({"response": {"status_code": 200, "body": {"choices": []}}}, "torn"),
        ({"response": {"status_code": 200}}, "torn"),
        ({}, ""),
    ],
)
def test_no_answer(said: dict[str, Any], failure: str) -> None:
    """Why, in the provider's code; none of its words."""
    assert dialect.decode_result(row(**said)) == Result("m-0", failure=failure)


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b'{"custom_id": "m-0", "response"'])
def test_what_is_no_result(line: bytes) -> None:
    """Such as one that was cut."""
    with pytest.raises(WireError):
        dialect.decode_result(line)
