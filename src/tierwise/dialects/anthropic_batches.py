"""Anthropic's Message Batches, towards providers: requests out; batches and their results in.

Source: the API reference (version 2023-06-01) and the types of Anthropic's SDK. This wire has no name of ours for a
batch: it is known again by the names of its requests, and those are only told with its results.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tierwise.dialects.anthropic_answers import decode_answer
from tierwise.dialects.batches import Item, Job, Result, decoded, named, paged
from tierwise.dialects.openai_usage import word
from tierwise.errors import WireError


class _Counts(msgspec.Struct):
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class _Batch(msgspec.Struct):
    id: str
    processing_status: str
    request_counts: _Counts = msgspec.field(default_factory=_Counts)


class _Page(msgspec.Struct):
    data: list[_Batch]
    has_more: bool = False


class _Error(msgspec.Struct):
    type: str = ""


class _Refusal(msgspec.Struct):
    error: _Error | None = None


class _Outcome(msgspec.Struct):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"null")
    error: _Refusal | None = None


class _Row(msgspec.Struct):
    custom_id: str
    result: _Outcome


_batch = msgspec.json.Decoder(_Batch)
_page = msgspec.json.Decoder(_Page)
_row = msgspec.json.Decoder(_Row)


def encode_batch(items: Iterable[Item]) -> bytes:
    requests = [{"custom_id": name, "params": msgspec.Raw(body)} for name, body in items]
    return msgspec.json.encode({"requests": requests})


def decode_batch(data: bytes) -> Job:
    """Raises WireError."""
    return _job(decoded(_batch, data, "the answer is no batch"))


def decode_page(data: bytes) -> tuple[tuple[Job, ...], str]:
    """Batches, newest first, and the id after which the list goes on; "" at its end. Raises WireError."""
    page = decoded(_page, data, "the answer is no list of batches")
    return paged([_job(batch) for batch in page.data], more=page.has_more)


def decode_result(line: bytes) -> Result:
    """A line of a batch's results. Raises WireError."""
    row = decoded(_row, line, "a line of the results is no result")
    outcome = row.result
    if outcome.type != "succeeded":
        refusal = outcome.error and outcome.error.error
        return Result(row.custom_id, failure=word(refusal and refusal.type) or word(outcome.type))
    try:
        return Result(row.custom_id, decode_answer(bytes(outcome.message)))
    except WireError:
        return Result(row.custom_id, failure="torn")


def _job(batch: _Batch) -> Job:
    ended = batch.processing_status == "ended"
    counts = batch.request_counts
    size = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
    path = f"/messages/batches/{named(batch.id)}"
    return Job(batch.id, ended, size, results=(f"{path}/results",) if ended else (), kept=(path,))
