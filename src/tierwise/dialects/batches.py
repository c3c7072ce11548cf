"""The nouns of providers' batch endpoints: many requests that are handed over at once, and answered within a day.

`openai_batches.py` and `anthropic_batches.py` read and write the wires. Knows no sockets, files or routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from tierwise.errors import WireError
from tierwise.types import Chunk

T = TypeVar("T")
_ID = re.compile(r"[\w.-]{1,200}", re.ASCII)

Item = tuple[str, bytes]
"""A request of a batch: its name within it, and the JSON body that a single request would have."""


class Job(msgspec.Struct, frozen=True):
    """A batch as its provider tells of it."""

    id: str
    ended: bool  # no result is added any more
    size: int  # requests; 0 where that is not told (yet)
    mark: str = ""  # what we have named it, on a wire that has room for that
    results: tuple[str, ...] = ()  # paths, below the provider's address
    failure: str = ""  # the provider's word where it took none of the requests
    kept: tuple[str, ...] = ()  # paths of what the provider keeps of it: prompts and answers


class Result(msgspec.Struct, frozen=True):
    """What became of one request: an answer as chunks, or else why there is none, in the provider's word."""

    name: str
    chunks: tuple[Chunk, ...] = ()
    failure: str = ""


def decoded(decoder: msgspec.json.Decoder[T], data: bytes, what: str) -> T:
    """What a provider says. Raises WireError: "the answer is no batch", where `what` is that."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WireError(what) from None


def named(found: str) -> str:
    """An id that can stand in a path. Raises WireError."""
    if not _ID.fullmatch(found):
        raise WireError("an id that can't be one")
    return found


def paged(jobs: Iterable[Job], *, more: bool) -> tuple[tuple[Job, ...], str]:
    """Batches, newest first, and the id after which the list goes on; "" at its end."""
    listed = tuple(jobs)
    return listed, listed[-1].id if listed and more else ""


def names(mark: str, count: int) -> Iterator[str]:
    """Of a batch's requests. Every wire takes them (64 characters), and they tell whose batch a result is of."""
    return (f"{mark}-{number}" for number in range(count))


def lines(rows: Iterable[bytes]) -> bytes:
    """JSON lines, each JSON value on one: a line break can only stand between the tokens of one."""
    return b"".join([row.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" for row in rows])
