"""Numbers as they are written in a text, and the forms that say which number each is.

Knows separators and zeros; nothing of what is counted.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import digits

SHORT = 100  # characters of a text that is searched as it is

_NUMBER = re.compile(r"[0-9]+(?:[.,'][0-9]+)*")
_BETWEEN_DIGITS = re.compile(r"\D")
_NUMERIC = bytes(code if chr(code) in "0123456789.,'" else 32 for code in range(256))
_SEPARATORS = ".,'"
_APOSTROPHES = "\u2019\u00a0\u202f"  # what separates thousands as an apostrophe does


@lru_cache(maxsize=1024)
def canonical(number: str) -> tuple[str, ...]:
    """The forms of a number as it is written: "1,234.50" -> ("1234.5",); "1.234" may be either of two."""
    if number.isdigit():
        return (number.lstrip("0") or "0",)
    whole, _, last = number.partition(".")
    if len(last) != 3 and last.isdigit() and whole.isdigit():  # most have one point
        whole, fraction = whole.lstrip("0") or "0", last.rstrip("0")
        return (f"{whole}.{fraction}" if fraction else whole,)
    pieces = _BETWEEN_DIGITS.split(number)
    whole, last = "".join(pieces[:-1]).lstrip("0") or "0", pieces[-1]
    fraction = last.rstrip("0")
    broken = f"{whole}.{fraction}" if fraction else whole
    separators = set(number).difference(digits) if len(last) == 3 else ()
    if not separators:
        return (broken,)
    joined = (whole + last).lstrip("0") or "0"
    if len(pieces) > 2 and len(separators) == 1:
        return (joined,)
    return (broken,) if pieces[0] == "0" or len(separators) > 1 else (joined, broken)


def numbers(text: str, most: int | None = None) -> list[str]:
    """The numbers in a text, as they are written but for apostrophes; about the first `most`."""
    if not text.isascii():
        for mark in _APOSTROPHES:
            text = text.replace(mark, "'")
    if len(text) < SHORT:
        return _NUMBER.findall(text)
    # What is between them is one space, in place of the letters that a pattern would look at one by one.
    raw = text.encode("ascii", "replace").translate(_NUMERIC)
    runs = b" ".join(raw.split(None, -1 if most is None else most)[:most]).decode()
    return _NUMBER.findall(runs) if any(map(runs.__contains__, _SEPARATORS)) else runs.split()
