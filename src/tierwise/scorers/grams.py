"""Text as a sparse vector: which pieces and pairs of pieces it has, in a fixed number of buckets.

Pieces are the encoder's; each has a bucket of its own, and pairs of neighbours share the rest by a hash that is part
of the format of every trained artefact. So nothing has to be remembered but weights, and no text can grow a
vocabulary. Knows nothing of what a bucket is worth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PIECES = 1 << 15  # buckets of single pieces; the encoder's vocabulary has 30,522
BUCKETS = 1 << 18
_PAIRS, _AFTER = np.uint64(BUCKETS - PIECES), np.uint64(PIECES)
_MIX, _SPREAD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(40), np.uint64(16)
_VALUES: NDArray[np.float32] = (1 + np.log(np.maximum(np.arange(1 << 12), 1))).astype(np.float32)  # by how often

Sparse = tuple[NDArray[np.intp], NDArray[np.float32]]
"""(buckets, increasing; 1 + ln of how often each occurs)."""


def grams(pieces: NDArray[np.uint16]) -> Sparse:
    """The vector of a text, given the numbers of its pieces in their order. Empty for an empty text."""
    size = len(pieces)
    if not size:
        return np.zeros(0, np.intp), np.zeros(0, np.float32)
    both = np.empty(2 * size - 1, np.uint64)
    both[:size] = pieces
    single, pairs = both[:size], both[size:]
    np.left_shift(single[:-1], _HALF, out=pairs)
    pairs += single[1:]
    pairs *= _MIX
    pairs >>= _SPREAD
    pairs %= _PAIRS
    pairs += _AFTER
    both.sort()
    new = np.empty(len(both), bool)
    new[0] = True
    np.not_equal(both[1:], both[:-1], out=new[1:])
    starts = new.nonzero()[0]
    counts = np.empty(len(starts), np.intp)
    counts[-1] = len(both) - starts[-1]
    np.subtract(starts[1:], starts[:-1], out=counts[:-1])
    values = _VALUES[counts] if len(both) < len(_VALUES) else (1 + np.log(counts)).astype(np.float32)
    return both[starts].astype(np.intp), values


def weighted(sparse: Sparse, idf: NDArray[np.float32]) -> Sparse:
    """The vector with every bucket weighted, and brought to unit length. `idf` is (BUCKETS,)."""
    buckets, values = sparse
    values = values * idf[buckets]
    length = float(np.sqrt(values @ values))
    return buckets, values / np.float32(length) if length > 0 else values
