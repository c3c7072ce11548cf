"""A text as the numbers of buckets: which runs of characters, words and pairs of words it has.

The hash is part of the format of the weights. Nothing has to be remembered but weights, and no text can grow a
vocabulary. Knows nothing of what a bucket is worth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
LONGEST = 5  # characters of a run; the shortest has 2
_SHIFT = np.uint32(16)
_STEP, _MIX = np.uint32(0x01000193), np.uint32(0x9E3779B1)
_SALTS = [np.uint32(0x85EBCA6B * size & 0xFFFFFFFF) for size in range(LONGEST + 3)]
_WORD = re.compile(r"\w+(?:'\w+)?")


def grams(text: str) -> NDArray[np.intp]:
    """The buckets of a `normalised` text, increasing, each once."""
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "replace"), np.uint32)
    parts = []
    runs = codes
    for size in range(2, LONGEST + 1):
        runs = runs[:-1] * _STEP + codes[size - 1 :]
        parts.append((runs ^ _SALTS[size]) * _MIX)
    words = np.array([crc32(word.encode("utf-8", "replace")) for word in _WORD.findall(text)], np.uint32)
    parts.append((words ^ _SALTS[-2]) * _MIX)
    parts.append((words[:-1] * _STEP + words[1:] ^ _SALTS[-1]) * _MIX)
    found = np.concatenate(parts)
    found >>= _SHIFT
    found.sort()
    return (
        found[np.concatenate(([True], found[1:] != found[:-1]))].astype(np.intp)
        if len(found)
        else found.astype(np.intp)
    )


def grams_each(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Of several `normalised` texts at once: (number of the text << 16 | bucket), increasing, each once.

    At most 65,536 texts.
    """
    codes = np.frombuffer("".join([f" {text} " for text in texts]).encode("utf-32-le", "replace"), np.uint32)
    numbers = np.arange(len(texts), dtype=np.uint32) << _SHIFT
    owner = np.repeat(numbers, [len(text) + 2 for text in texts])
    parts = []
    runs = codes
    for size in range(2, LONGEST + 1):
        runs = runs[:-1] * _STEP + codes[size - 1 :]
        inside = owner[: len(runs)] == owner[size - 1 :]  # runs of two texts are of neither
        parts.append(_owned(runs[inside], size, owner[: len(runs)][inside]))
    said = [_WORD.findall(text) for text in texts]
    words = np.array([crc32(word.encode("utf-8", "replace")) for those in said for word in those], np.uint32)
    owner = np.repeat(numbers, [len(those) for those in said])
    parts.append(_owned(words, LONGEST + 1, owner))
    inside = owner[:-1] == owner[1:]
    parts.append(_owned((words[:-1] * _STEP + words[1:])[inside], LONGEST + 2, owner[:-1][inside]))
    found = np.concatenate(parts)
    found.sort()
    return found[np.concatenate(([True], found[1:] != found[:-1]))] if len(found) else found


def _owned(hashes: NDArray[np.uint32], salt: int, owner: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return ((hashes ^ _SALTS[salt]) * _MIX) >> _SHIFT | owner
