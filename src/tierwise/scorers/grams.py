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
_PAIRS = BUCKETS - PIECES
_MIX, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(40)

Sparse = tuple[NDArray[np.intp], NDArray[np.float32]]
"""(buckets, increasing; 1 + ln of how often each occurs)."""


def grams(pieces: NDArray[np.uint16]) -> Sparse:
    """The vector of a text, given the numbers of its pieces in their order. Empty for an empty text."""
    single = pieces.astype(np.uint64)
    pairs = ((single[:-1] << np.uint64(16)) + single[1:]) * _MIX >> _SPREAD
    both = np.concatenate([single, np.uint64(PIECES) + pairs % np.uint64(_PAIRS)])
    buckets, counts = np.unique(both, return_counts=True)
    return buckets.astype(np.intp), (1 + np.log(counts)).astype(np.float32)


def weighted(sparse: Sparse, idf: NDArray[np.float32]) -> Sparse:
    """The vector with every bucket weighted, and brought to unit length. `idf` is (BUCKETS,)."""
    buckets, values = sparse
    values = values * idf[buckets]
    length = float(np.sqrt(values @ values))
    return buckets, values / np.float32(length) if length > 0 else values
