"""Text as a sparse vector: which pieces and pairs of pieces it has, in a fixed number of buckets.

Pieces are the encoder's; each has a bucket of its own, and pairs of neighbours share the rest by a hash that is part
of the format of every trained artefact. So nothing has to be remembered but weights, and no text can grow a
vocabulary. Knows nothing of what a bucket is worth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECES = 1 << 15  # buckets of single pieces; the encoder's vocabulary has 30,522
BUCKETS = 1 << 18
_PAIRS, _AFTER = np.uint64(BUCKETS - PIECES), np.uint64(PIECES)
_MIX, _SPREAD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(40), np.uint64(16)
_VALUES: NDArray[np.float32] = (1 + np.log(np.maximum(np.arange(1 << 12), 1))).astype(np.float32)  # by how often

Sparse = tuple[NDArray[np.integer[Any]], NDArray[np.float32]]
"""(buckets, increasing; 1 + ln of how often each occurs)."""


def grams(pieces: NDArray[np.uint16]) -> Sparse:
    """The vector of a text, given the numbers of its pieces in their order. Empty for an empty text."""
    buckets, times = counted(pieces)
    return buckets, logged(times)


def counted(pieces: NDArray[np.uint16]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(buckets, increasing: single pieces come first; how often each occurs)."""
    size = len(pieces)
    if not size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    both = np.empty(2 * size, np.uint32)
    both[:size] = pieces
    pairs = pieces[:-1].astype(np.uint64)
    pairs <<= _HALF
    pairs |= pieces[1:]
    pairs *= _MIX
    pairs >>= _SPREAD
    pairs %= _PAIRS
    pairs += _AFTER
    both[size:-1] = pairs
    both[-1] = BUCKETS  # none is this: every group of equals has another one after it
    both.sort()
    ends = (both[1:] != both[:-1]).nonzero()[0]
    times = np.empty_like(ends)
    times[0] = ends[0] + 1
    np.subtract(ends[1:], ends[:-1], out=times[1:])
    return both.take(ends).astype(np.intp), times


def logged(times: NDArray[np.intp]) -> NDArray[np.float32]:
    """1 + ln of them."""
    try:
        return _VALUES.take(times)
    except IndexError:  # more often than the table is long
        return (1 + np.log(times)).astype(np.float32)


def weighted(sparse: Sparse, idf: NDArray[np.float32]) -> Sparse:
    """The vector with every bucket weighted, and brought to unit length. `idf` is (BUCKETS,)."""
    buckets, values = sparse
    values = values * idf[buckets]
    length = float(np.sqrt(values @ values))
    return buckets, values / np.float32(length) if length > 0 else values
