"""A text as the numbers of buckets: which runs of characters, words and pairs of words it has.

The hash is part of the format of the weights. Nothing has to be remembered but weights, and no text can grow a
vocabulary. Knows nothing of what a bucket is worth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, chain
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
LONGEST = 5  # characters of a run; the shortest has 2
# As arrays without dimensions: what numpy does with them takes half as long as with its numbers.
_STEP, _MIX = np.array(0x01000193, np.uint32), np.array(0x9E3779B1, np.uint32)
_SALTS = [np.array(0x85EBCA6B * size & 0xFFFFFFFF, np.uint32) for size in range(LONGEST + 3)]
_WORD = re.compile(r"\w+(?:'\w+)?")
_PART = re.compile(_WORD.pattern.encode())
_AHEAD = " " * LONGEST  # of the first text, as nothing may end before everything begins
_END = b"\xff"  # of a text; no byte of ASCII
_APART = bytes(code if chr(code).isalnum() or chr(code) in "_'" else 32 for code in range(128)) + bytes(127) + _END


def grams(text: str) -> NDArray[np.intp]:
    """The buckets of a `normalised` text, increasing, each once."""
    buckets, first, _ = grams_each((text,))
    return buckets[first].astype(np.intp)


def grams_each(texts: Sequence[str]) -> tuple[NDArray[np.uint16], NDArray[np.bool_], list[int]]:
    """Of one or more texts at once, in a part of the time: buckets, text after text; which of them count; where each
    text's end. Those of a text are increasing, and count where they stand for the first time.
    """
    found, ends = _found(texts)
    start = 0
    for end in ends:
        found[start:end].sort(kind="stable")  # of numbers so small by their digits: a third of the time
        start = end
    first = np.empty(len(found), np.bool_)
    np.not_equal(found[1:], found[:-1], out=first[1:])
    first[:1] = True
    if len(ends) > 1:
        first[ends[:-1]] = True
    return found, first, ends


def _found(texts: Sequence[str]) -> tuple[NDArray[np.uint16], list[int]]:
    """Buckets, text after text, and each one's end; equal ones as often as they are there."""
    joined = _AHEAD + "".join([f" {text} " for text in texts])
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    runs, kinds = codes, []
    for size in range(2, LONGEST + 1):
        runs = runs[:-1] * _STEP
        runs += codes[size - 1 :]
        kinds.append((size - 1, runs ^ _SALTS[size]))
    said = _words(texts)
    words = np.fromiter(chain((0,), map(crc32, chain.from_iterable(said))), np.uint32)
    single, pairs = words ^ _SALTS[-2], words[:-1] * _STEP + words[1:] ^ _SALTS[-1]
    parts: list[NDArray[np.uint32]] = []
    start, first = len(_AHEAD), 1  # of a text: its characters, with a space at each end, and its words
    for text, those in zip(texts, said, strict=True):
        end, last = start + len(text) + 2, first + len(those)
        parts += [run[start : end - less] for less, run in kinds]  # none that two texts share
        parts += (single[first:last], pairs[first : last - 1])
        start, first = end, last
    found = np.concatenate(parts)
    found *= _MIX
    ends = list(accumulate(map(len, parts)))
    return found.astype("<u4", copy=False).view("<u2")[1::2].copy(), ends[LONGEST :: LONGEST + 1]  # the upper halves


def _words(texts: Sequence[str]) -> list[list[bytes]]:
    """As `_WORD` finds them, which takes several times as long."""
    if not all(map(str.isascii, texts)):
        return [_words((text,))[0] if text.isascii() else _beyond(text) for text in texts]
    joined = _END.join([text.encode() for text in texts])
    said = [part.split() for part in joined.translate(_APART).split(_END)]
    if b"'" not in joined:
        return said
    return [[part for word in words for part in (_PART.findall(word) if b"'" in word else (word,))] for words in said]


def _beyond(text: str) -> list[bytes]:
    return [word.encode("utf-8", "replace") for word in _WORD.findall(text)]
