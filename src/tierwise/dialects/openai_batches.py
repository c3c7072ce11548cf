"""OpenAI's Files and Batches, towards providers: a file of requests out; batches and their results in.

Source: the API reference (Batch, Files) and the types of OpenAI's SDK 2. Knows no sockets, and no client's batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tierwise.dialects.batches import Item, Job, Result, decoded, lines, named, paged
from tierwise.dialects.openai_upstream import decode_answer
from tierwise.dialects.openai_usage import word
from tierwise.errors import WireError

URL = "/v1/chat/completions"
MARK = "tierwise"  # the key of our own name for a batch, in its metadata
_BOUNDARY = "tierwise-eeb8a4dd9a2c4e0f"  # nothing that is sent has a line of its own that is no JSON
UPLOAD_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


class _Counts(msgspec.Struct):
    total: int = 0
    completed: int = 0


class _Problem(msgspec.Struct):
    code: str | None = None


class _Problems(msgspec.Struct):
    data: list[_Problem] | None = None


class _Batch(msgspec.Struct):
    id: str
    status: str
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, Any] | None = None
    errors: _Problems | None = None


class _Page(msgspec.Struct):
    data: list[_Batch]
    has_more: bool = False


class _File(msgspec.Struct):
    id: str


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Row(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Problem | None = None


_batch = msgspec.json.Decoder(_Batch)
_page = msgspec.json.Decoder(_Page)
_file = msgspec.json.Decoder(_File)
_row = msgspec.json.Decoder(_Row)


def encode_upload(items: Iterable[Item]) -> bytes:
    """The form that uploads the requests, as UPLOAD_TYPE."""
    rows = [
        msgspec.json.encode({"custom_id": name, "method": "POST", "url": URL, "body": msgspec.Raw(body)})
        for name, body in items
    ]
    mark = _BOUNDARY.encode()
    head = b'--%b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--%b\r\n' % (mark, mark)
    head += b'content-disposition: form-data; name="file"; filename="requests.jsonl"\r\n'
    return head + b"content-type: application/jsonl\r\n\r\n" + lines(rows) + b"\r\n--%b--\r\n" % mark


def encode_batch(file_id: str, mark: str) -> bytes:
    """What begins a batch over an uploaded file; `mark` finds it again."""
    body = {"input_file_id": file_id, "endpoint": URL, "completion_window": "24h", "metadata": {MARK: mark}}
    return msgspec.json.encode(body)


def decode_file(data: bytes) -> str:
    """The id of a file. Raises WireError."""
    return named(decoded(_file, data, "the answer is no file").id)


def decode_batch(data: bytes) -> Job:
    """Raises WireError."""
    return _job(decoded(_batch, data, "the answer is no batch"))


def decode_page(data: bytes) -> tuple[tuple[Job, ...], str]:
    """Batches, newest first, and the id after which the list goes on; "" at its end. Raises WireError."""
    page = decoded(_page, data, "the answer is no list of batches")
    return paged([_job(batch) for batch in page.data], more=page.has_more)


def decode_result(line: bytes) -> Result:
    """A line of a batch's output file, or of its error file. Raises WireError."""
    row = decoded(_row, line, "a line of the results is no result")
    response = row.response
    if response is None or response.status_code != 200:
        return Result(row.custom_id, failure=_why(row))
    try:
        return Result(row.custom_id, decode_answer(bytes(response.body)))
    except WireError:
        return Result(row.custom_id, failure="torn")


def _why(row: _Row) -> str:
    """In a word of the provider's that can be one: the ledger keeps it."""
    said = word(row.error.code) if row.error is not None else ""
    return said or ("" if row.response is None else f"status_{row.response.status_code}")


def _job(batch: _Batch) -> Job:
    counts = batch.request_counts or _Counts()
    late = batch.status == "completed" and counts.completed and batch.output_file_id is None
    problems = (batch.errors and batch.errors.data) or ()
    made = [f"/files/{named(name)}" for name in (batch.output_file_id, batch.error_file_id) if name]
    sent = [f"/files/{named(batch.input_file_id)}"] if batch.input_file_id else []
    return Job(
        id=named(batch.id),
        ended=batch.status in _ENDED and not late,  # its results may come a moment after its end
        size=counts.total,
        mark=str((batch.metadata or {}).get(MARK, "")),
        results=tuple([f"{path}/content" for path in made]),
        failure=(word(problems[0].code) or "failed") if problems else batch.status if batch.status == "failed" else "",
        kept=(*sent, *made),
    )
