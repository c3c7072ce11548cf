"""The strings of a JSON body that hold what people or models said, where they stand in its bytes.

By the names that the chat wires give their fields (OpenAI Chat, Completions, Responses, Embeddings; Anthropic
Messages), requests and answers alike, so that a string can be exchanged in place and all else stays as it came. Left
alone are ids, names of tools, addresses and bytes of files, schemas, and what a provider has sealed: thoughts with a
signature. Knows neither what is looked for nor what is put in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["words", "thought", "json", "value", "number", "key", "identifier"]
Mode = Literal["words", "value", "identifier", "none"]
BROKEN = (UnicodeDecodeError, RecursionError, msgspec.DecodeError)
"""What `leaves` raises for what is no JSON."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],]|-?\d[\d.eE+-]*+')
# Fields whose strings are words, wherever they stand in what was said.
_WORDS = frozenset({
    "cited_text", "code", "command", "commands", "content", "context", "document_title", "explanation", "file_name",
    "filename", "input", "instructions", "logs", "output", "prompt", "queries", "query", "reasoning",
    "reasoning_content", "refusal", "stderr", "stdout", "system", "text", "title", "transcript",
})  # fmt: skip
_JSON = frozenset({"arguments", "partial_json"})  # JSON as a text
_VALUES = frozenset({"arguments", "attributes", "input", "variables"})  # of objects: every string in them is a word
_SCHEMAS = frozenset({
    "audio", "functions", "image_url", "input_audio", "input_schema", "json_schema", "output_config", "output_format",
    "parameters", "reasoning_details", "response_format", "schema", "tool_choice", "tools",
})  # fmt: skip
_IDENTIFIERS = frozenset({"end_user", "metadata", "name", "prompt_cache_key", "safety_identifier", "user", "user_id"})
_SPEAKING = frozenset({"model", "role"})
_SEALS = frozenset({"data", "encrypted_content", "signature"})
_SEALED = frozenset({"compaction", "reasoning", "redacted_thinking", "thinking", "web_search_result"})  # types


class Leaf(NamedTuple):
    """`body[start:end]` is a string with its quotes, or a number, in the field `key`.

    "thought" is a model's that may have been sealed, "json" is a text that is JSON itself, "value" any string (and
    "number" any number, "key" any field's name) of what a tool was given, "identifier" says who is asking.
    """

    start: int
    end: int
    kind: Kind
    key: str


@dataclass(slots=True)
class _Frame:
    """An object or array that is open."""

    mode: Mode
    is_object: bool
    since: int  # leaves that there were before it
    key: str | None  # of what comes next; None: the next string is a key
    type: str = ""
    sealed: bool = False
    speaks: bool = False  # it is a message, or the whole body: whatever it says of itself, what is in it is read
    data: tuple[int, int] | None = None  # a string named "data": words where the object is of type "text"


def leaves(body: bytes, mode: Mode = "words") -> list[Leaf]:
    """In the order of the body. With mode "value" all strings of it count.

    Raises one of BROKEN for what is no JSON, as decoding it would.
    """
    str(body, "utf-8")
    msgspec.json.decode(body, type=msgspec.Raw)
    found: list[Leaf] = []
    frames = [_Frame(mode, False, 0, "")]
    for token in _TOKEN.finditer(body):
        sign, top = body[token.start()], frames[-1]
        if sign == 0x22:  # "
            _string(body, token.start(), token.end(), found, top)
        elif sign in b"{[":
            key = top.key or ""
            inner = _inner(top, key, sign == 0x7B, len(frames))
            frames.append(_Frame(inner, sign == 0x7B, len(found), None if sign == 0x7B else key))
        elif sign in b"}]":
            _close(frames.pop(), found)
        elif sign == 0x2C:  # ,
            if top.is_object:
                top.key = None
        elif top.mode == "value":
            found.append(Leaf(token.start(), token.end(), "number", top.key or ""))
    return sorted(found)


def spliced(body: bytes, found: Iterable[Leaf], written: Callable[[bytes, Leaf], bytes]) -> bytes:
    """The body with each of its leaves as `written` wants it; the same object where nothing changes."""
    parts, at = [], 0
    for leaf in found:
        old = body[leaf.start : leaf.end]
        new = written(old, leaf)
        if new is not old and new != old:
            parts += [body[at : leaf.start], new]
            at = leaf.end
    return b"".join([*parts, body[at:]]) if parts else body


def unquoted(raw: bytes) -> str:
    """The string that a leaf is."""
    return msgspec.json.decode(raw, type=str)


def _inner(top: _Frame, key: str, is_object: bool, depth: int) -> Mode:
    """What strings mean in an object or array that opens in the field `key`."""
    if top.mode != "words":
        return top.mode
    if key in _SCHEMAS or (key == "text" and is_object and depth == 2):  # the second: a response's format
        return "none"
    if key == "metadata":
        return "identifier"
    return "value" if is_object and key in _VALUES else "words"


def _string(body: bytes, start: int, end: int, found: list[Leaf], top: _Frame) -> None:
    if top.key is None:
        top.key = unquoted(body[start:end])
        if top.mode == "value":
            found.append(Leaf(start, end, "key", top.key))
        return
    found += [Leaf(start, end, kind, top.key) for kind in _kinds(top)]
    if top.mode != "words" or not top.is_object:
        return
    if top.key in _SPEAKING:
        top.speaks = True
    elif top.key == "type":
        top.type = unquoted(body[start:end])
    elif top.key in _SEALS:
        top.sealed = top.sealed or end - start > 2
        if top.key == "data":
            top.data = start, end


def _kinds(top: _Frame) -> Iterator[Kind]:
    """One kind, or none."""
    if top.mode in ("value", "identifier"):
        yield top.mode
    elif top.mode == "words":
        if top.key in _WORDS:
            yield "words"
        elif top.key == "thinking":
            yield "thought"
        elif top.key in _JSON:
            yield "json"
        elif top.key in _IDENTIFIERS:
            yield "identifier"


def _close(frame: _Frame, found: list[Leaf]) -> None:
    """What could not be known before an object's end: its `type` may come last."""
    if frame.sealed and frame.type in _SEALED and not frame.speaks:
        del found[frame.since :]
    elif frame.data is not None and frame.type == "text":
        found.append(Leaf(*frame.data, "words", "data"))
