"""A text's hashed words as a sparse vector over those that a trained table has rows for, weighted and of length 1.

Pure. Knows neither texts nor hashes: buckets are numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def weighted(
    found: NDArray[np.integer[Any]], buckets: NDArray[np.uint32], idf: Floats, times: Floats | None = None
) -> tuple[NDArray[np.intp], Floats]:
    """(places in `buckets`, what each is worth, at unit length). What is in no bucket counts for nothing.

    `found` and `buckets` are increasing, each bucket once; `idf` is what each of `buckets` weighs, and `times` how
    often, or how much, each of `found` counts; None: once.
    """
    found = found.astype(buckets.dtype, copy=False)  # or the whole of `buckets` would be copied
    at = np.searchsorted(buckets, found)
    known = at < len(buckets)
    known[known] = buckets[at[known]] == found[known]
    at = at[known]
    values = idf[at] if times is None else times[known] * idf[at]
    length = float(np.sqrt(values @ values))
    return at, values / np.float32(length or 1.0)
