"""A text as the numbers of buckets: which runs of characters, words and pairs of words it has.

The hash is part of the format of the weights. Nothing has to be remembered but weights, and no text can grow a
vocabulary. Knows nothing of what a bucket is worth.
"""

from __future__ import annotations

import re
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
