"""Literals and JSON values in results: one canonical text for a value, whatever its spacing, quotes or key order.

Python's and JSON's spellings are the same value here. Parsing is bounded, and nothing is evaluated.
"""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from typing import Any

import msgspec

LIMIT = 4_000  # characters
DEPTH = 20
# The parser warns of these, and a warning would quote the answer.
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN = frozenset("\\'\"abfnrtvxuUN01234567\n")
_WARNS = re.compile(r"[0-9](?:and|or|if|in|is|else|for|not)\b")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "f": "\f", "b": "\b", "v": "\v"}
_ASSERTED = re.compile(r"assert .{0,1000}? == (?=\S)", re.DOTALL)


def literal(text: str) -> str:
    """A literal of code by its value; a text is itself, without quotes and with its escapes read.

    A text that is a literal again is that literal: `'[1]'` and `[1]` are told apart by too few who answer.
    """
    asserted = _ASSERTED.match(text.strip())
    if asserted:
        text = text.strip()[asserted.end() :]
    for _ in range(2):
        found = _parsed(text)
        if isinstance(found, str):
            text = found
            continue
        if found is not _NONE:
            return canonical_value(found)
        if len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] and text.strip()[0] in "'\"":
            text = text.strip()[1:-1]
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]), text)


def structured(text: str) -> str | None:
    """The canonical text of a list or an object, its case and spacing aside. None where it is none of them."""
    if text[:1] not in ("[", "{"):
        return None
    found = _parsed(text)
    return value_key(found) if isinstance(found, (list, dict, set)) else None


def value_key(value: Any) -> str:
    """`canonical_value` as answers are compared: case and spacing do not count."""
    return " ".join(canonical_value(value).casefold().split())


def canonical_value(value: Any, depth: int = 0) -> str:
    """One text for a value: sorted keys, exact numbers, no spaces. Strings keep their case."""
    if depth > DEPTH:
        return "..."
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return f"{value:x}h" if value.bit_length() > 4096 else str(value)
    if isinstance(value, float):
        return str(Fraction(repr(value))) if value - value == 0 else repr(value)
    if isinstance(value, dict):
        pairs = sorted(
            f"{canonical_value(key, depth + 1)}:{canonical_value(part, depth + 1)}" for key, part in value.items()
        )
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        parts = ",".join(canonical_value(part, depth + 1) for part in value)
        return f"[{parts}]" if isinstance(value, list) else f"({parts})"
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(canonical_value(part, depth + 1) for part in value)) + "}"
    return repr(value)


class _Nothing:
    """No literal; None is one."""


_NONE = _Nothing()


def _parsed(text: str) -> Any:
    bare = text.strip()
    if not bare or len(bare) > LIMIT or not (bare[0] in "[{('\"-+.bBrRfFuUNT" or bare[0].isdigit()):
        return _NONE
    try:
        return msgspec.json.decode(bare)
    except (ValueError, RecursionError):
        pass
    if _WARNS.search(bare):
        return _NONE
    quoted = _ESCAPE.sub(lambda match: match[0] if match[1] in _KNOWN else "\\" + match[0], bare)
    if bare[0] in "'\"":
        quoted = quoted.replace("\n", "\\n").replace("\r", "\\r")
    try:
        return ast.literal_eval(quoted)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _NONE
