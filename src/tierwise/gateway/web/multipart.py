"""The one form that is read here: multipart/form-data, strictly by RFC 7578 and 2046.

Parts are found in place, so a form of any size may lie in a mapped file. What a strict reader and a lax one could
understand differently (text around the parts, folded headers, a name twice) is refused. Knows nothing of fields.
"""

from __future__ import annotations

import re
from mmap import mmap
from typing import NamedTuple

from tierwise.errors import BadRequest, Unsupported

PARTS = 16
HEAD = 4096  # bytes of one part's headers

_TYPE = re.compile(r'multipart/form-data[ \t]*;[ \t]*boundary=(?:"([^"]*)"|([^\s";,]+))[ \t]*', re.IGNORECASE)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER = re.compile(rf"({_NAME}):([^\r\n\0]*)")
_PARAMETER = re.compile(rf';[ \t]*({_NAME})=(?:"((?:[^"\\]|\\.)*)"|({_NAME}))[ \t]*')
_ESCAPED = re.compile(r'\\(["\\])')
_QUOTED = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # what browsers write for what a quoted name can't hold


class Part(NamedTuple):
    """Its content is `body[start:end]`."""

    filename: str | None
    start: int
    end: int


def boundary(content_type: str | None) -> bytes:
    """Raises Unsupported for another type, BadRequest for a boundary that can't be one."""
    found = _TYPE.fullmatch((content_type or "").strip())
    if found is None:
        if (content_type or "").lower().startswith("multipart/form-data"):
            raise _wrong("its content-type names no boundary")
        raise Unsupported("A file is uploaded as a form: content-type must be multipart/form-data.", code="no_form")
    named = found[1] if found[1] is not None else found[2]
    if not _BOUNDARY.fullmatch(named):
        raise _wrong("its boundary must have 1 to 70 characters that RFC 2046 allows")
    return named.encode()


def parse(body: bytes | mmap, mark: bytes) -> dict[str, Part]:
    """The parts by their names. `mark` is the boundary. Raises BadRequest for what is no whole form."""
    delimiter = b"--" + mark
    if body[: len(delimiter)] != delimiter:
        raise _wrong("it does not begin with its boundary")
    parts: dict[str, Part] = {}
    at = len(delimiter)
    while body[at : at + 2] == b"\r\n":
        if len(parts) == PARTS:
            raise _wrong(f"it has more than {PARTS} parts")
        head = body.find(b"\r\n\r\n", at, at + HEAD)
        if head < 0:
            raise _wrong(f"a part has no end of its headers within {HEAD:,} bytes")
        name, filename = _named(bytes(body[at + 2 : head]))
        if name in parts:
            raise _wrong("it has two parts of one name")
        start = head + 4
        end = body.find(b"\r\n" + delimiter, start)
        if end < 0:
            raise _wrong("it breaks off")
        parts[name] = Part(filename, start, end)
        at = end + 2 + len(delimiter)
    if body[at : at + 2] != b"--" or body[at + 2 : at + 5] not in (b"", b"\r\n"):
        raise _wrong("it does not end with its boundary")
    return parts


def _named(head: bytes) -> tuple[str, str | None]:
    """A part's (name, file name)."""
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise _wrong("a part's headers are not in UTF-8") from None
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None or found[1].lower() in headers:
            raise _wrong("a part has a header that is none, or one twice")
        headers[found[1].lower()] = found[2].strip(" \t")
    if headers.get("content-transfer-encoding", "binary").lower() not in ("7bit", "8bit", "binary"):
        raise _wrong("a part is encoded; send it as it is")
    return _disposition(headers.get("content-disposition", ""))


def _disposition(value: str) -> tuple[str, str | None]:
    kind, semicolon, rest = value.partition(";")
    rest = semicolon + rest
    names: dict[str, str] = {}
    at = 0
    while found := _PARAMETER.match(rest, at):
        at = found.end()
        if found[1].lower() in names:
            raise _wrong("a part's content-disposition says something twice")
        names[found[1].lower()] = found[3] if found[2] is None else _unquoted(found[2])
    if kind.strip().lower() != "form-data" or at != len(rest) or "name" not in names:
        raise _wrong('a part needs `content-disposition: form-data; name="..."`')
    return names["name"], names.get("filename")


def _unquoted(text: str) -> str:
    text = _ESCAPED.sub(r"\1", text)
    for written, meant in _QUOTED.items():
        text = text.replace(written, meant)
    return text


def _wrong(what: str) -> BadRequest:
    return BadRequest(f"The form can't be read: {what}.", code="invalid_form")
