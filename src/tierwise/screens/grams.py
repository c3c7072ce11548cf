"""A text as the numbers of buckets: which runs of characters, words and pairs of words it has.

The hash is part of the format of the weights. Nothing has to be remembered but weights, and no text can grow a
vocabulary. Knows nothing of what a bucket is worth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
LONGEST = 5  # characters of a run; the shortest has 2
_SHIFT = np.uint32(16)
_STEP, _MIX = np.uint32(0x01000193), np.uint32(0x9E3779B1)
_SALTS = [np.uint32(0x85EBCA6B * size & 0xFFFFFFFF) for size in range(LONGEST + 3)]
_WORD = re.compile(r"\w+(?:'\w+)?")
_PART = re.compile(_WORD.pattern.encode())
_AHEAD = " " * LONGEST  # of the first text, as nothing may end before everything begins
_APART = bytes(code if chr(code).isalnum() or chr(code) in "_'" else 32 for code in range(128)) + bytes(128)


def grams(text: str) -> NDArray[np.intp]:
    """The buckets of a `normalised` text, increasing, each once."""
    return grams_each((text,))[0]


def grams_each(texts: Sequence[str]) -> tuple[NDArray[np.intp], list[int]]:
    """`grams` of several texts at once, in a part of the time: one after the other, and where each one's end."""
    if not texts:
        return np.empty(0, np.intp), []
    found, ends = _found(texts)
    bounds = list(pairwise((0, *ends)))
    for start, end in bounds:
        found[start:end].sort(kind="stable")  # of numbers so small by their digits: a third of the time
    first = np.empty(len(found), np.bool_)
    np.not_equal(found[1:], found[:-1], out=first[1:])
    for start, _ in bounds:
        first[start] = True
    counts = [int(np.count_nonzero(first[start:end])) for start, end in bounds]
    return found[first].astype(np.intp), list(accumulate(counts))


def _found(texts: Sequence[str]) -> tuple[NDArray[np.uint16], list[int]]:
    """Buckets, text after text, and each one's end; equal ones as often as they are there."""
    joined = _AHEAD + "".join([f" {text} " for text in texts])
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    runs, kinds = codes, []
    for size in range(2, LONGEST + 1):
        runs = runs[:-1] * _STEP
        runs += codes[size - 1 :]
        kinds.append((size - 1, runs ^ _SALTS[size]))
    said = [_words(text) for text in texts]
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
    found >>= _SHIFT
    ends = list(accumulate(map(len, parts)))
    return found.astype(np.uint16), ends[LONGEST :: LONGEST + 1]


def _words(text: str) -> list[bytes]:
    """As `_WORD` finds them, which takes several times as long."""
    if not text.isascii():
        return [word.encode("utf-8", "replace") for word in _WORD.findall(text)]
    words = text.encode().translate(_APART).split()
    if "'" not in text:
        return words
    return [part for word in words for part in (_PART.findall(word) if b"'" in word else (word,))]
