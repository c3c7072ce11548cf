"""The lines of a batch: its requests, validated before the first is asked, and its results, as they are appended.

OpenAI's format of JSON lines. Knows neither who asks nor who answers.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tierwise.gateway.batches.file_store import Problem, whole_rows

LINES_MAX = 50_000
PROBLEMS_MAX = 100  # that are told of one file
CUSTOM_ID_MAX = 512  # characters of a custom_id


class RequestLine(msgspec.Struct, frozen=True):
    """One request. `body` is the client's own JSON, byte for byte."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Streamed(msgspec.Struct):
    stream: Any = None


class Validation(NamedTuple):
    total: int
    problems: tuple[Problem, ...]


def validate(path: Path, endpoint: str, max_line: int) -> Validation:
    """Every line of the file; `max_line` is in bytes. Raises OSError."""
    problems: list[Problem] = []
    seen: set[str] = set()
    total = 0
    for number, raw in _raw_lines(path, max_line):
        total += 1
        if total > LINES_MAX:
            problems.append(Problem("too_many_lines", f"A batch has at most {LINES_MAX:,} lines.", number))
            break
        found = _decode(raw, endpoint, max_line)
        if isinstance(found, RequestLine) and found.custom_id in seen:
            found = Problem("duplicate_custom_id", "Another line before it has the same custom_id.", param="custom_id")
        if isinstance(found, Problem):
            problems.append(msgspec.structs.replace(found, line=number, message=f"Line {number}: {found.message}"))
            if len(problems) == PROBLEMS_MAX or len(raw) > max_line:
                break
        else:
            seen.add(found.custom_id)
    if not total:
        problems.append(Problem("empty_file", "The file has no lines."))
    return Validation(total, tuple(problems))


class PendingLines:
    """The lines of a file that was validated, but for those that are done by now. Any thread may take the next one."""

    def __init__(self, path: Path, max_line: int, done: Collection[str]) -> None:
        self._found = _pending(path, max_line, done)
        self._lock = threading.Lock()

    def next(self) -> RequestLine | None:
        """None at the end. Raises OSError."""
        with self._lock:
            return next(self._found, None)

    def close(self) -> None:
        with self._lock:
            self._found.close()


def _pending(path: Path, max_line: int, done: Collection[str]) -> Generator[RequestLine, None, None]:
    for _, raw in _raw_lines(path, max_line):
        line = msgspec.json.decode(raw, type=RequestLine)
        if line.custom_id not in done:
            yield line


def _raw_lines(path: Path, max_line: int) -> Iterator[tuple[int, bytes]]:
    """(number, line), but for empty ones. One that is too long comes cut, and with more than `max_line` bytes."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(max_line + 2):
            number += 1
            if raw := raw.strip(b" \t\r\n"):
                yield number, raw


def _decode(raw: bytes, endpoint: str, max_line: int) -> RequestLine | Problem:
    if len(raw) > max_line:
        return Problem("line_too_long", f"it is over {max_line:,} bytes, the limit of a request.")
    try:
        line = msgspec.json.decode(raw, type=RequestLine)
        msgspec.json.decode(line.body)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        return Problem("invalid_line", f"{reason}.", param=where.rstrip("`").removeprefix(".") or None)
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        return Problem("invalid_json_line", "it is not one JSON object in UTF-8.")
    return _valid(line, endpoint)


def _valid(line: RequestLine, endpoint: str) -> RequestLine | Problem:
    if not 1 <= len(line.custom_id) <= CUSTOM_ID_MAX:
        return Problem("invalid_custom_id", f"custom_id must have 1 to {CUSTOM_ID_MAX} characters.", param="custom_id")
    if line.method != "POST":
        return Problem("invalid_method", "method must be POST.", param="method")
    if line.url != endpoint:
        return Problem("mismatched_url", f"url must be the batch's endpoint, {endpoint}.", param="url")
    try:
        streamed = msgspec.json.decode(line.body, type=_Streamed).stream
    except msgspec.ValidationError:
        return Problem("invalid_body", "body must be a JSON object.", param="body")
    if streamed:
        return Problem("streamed", "a batch has no streams; leave `stream` out.", param="body.stream")
    return line


# ------------------------------------------------------------------ results


def result_line(line: RequestLine, request_id: str, status: int, body: bytes) -> bytes:
    """A line of the output file, or with another status than 200 of the error file."""
    in_one_line = body.replace(b"\r", b" ").replace(b"\n", b" ")  # in JSON they can only stand between its tokens
    response = {"status_code": status, "request_id": request_id, "body": msgspec.Raw(in_one_line)}
    return _result(line, request_id.rpartition("_")[2], response, None)


def error_line(line: RequestLine, code: str, message: str) -> bytes:
    """A line of the error file, of a request that was never asked."""
    return _result(line, line.custom_id.encode().hex()[:32], None, {"code": code, "message": message})


def _result(line: RequestLine, name: str, response: dict[str, Any] | None, error: dict[str, str] | None) -> bytes:
    found = {"id": f"batch_req_{name}", "custom_id": line.custom_id, "response": response, "error": error}
    return msgspec.json.encode(found) + b"\n"


class _CustomId(msgspec.Struct):
    custom_id: str


class ResultFile:
    """A file of results that only grows. What was cut off at its end, by whatever ended the process, is forgotten."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.done: set[str] = set()  # custom_ids
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b", buffering=0)
        self.size = 0
        for row, end in whole_rows(path, _CustomId):
            self.done.add(row.custom_id)
            self.size = end
        self._file.truncate(self.size)
        self._file.seek(self.size)

    def append(self, line: RequestLine, result: bytes) -> None:
        """Raises OSError where it can't be written whole; then nothing of it counts."""
        written = 0
        try:
            written = self._file.write(result)
        finally:
            if written != len(result):
                self._file.truncate(self.size)
                self._file.seek(self.size)
        if written != len(result):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(result)
        self.done.add(line.custom_id)

    def sync(self) -> None:
        """What was appended outlives the machine. Raises OSError."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
