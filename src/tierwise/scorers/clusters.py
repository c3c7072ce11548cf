"""Which cluster of an artefact's a request belongs to: what it is about, as a number and no more.

Live and offline ask the same, of the same encoding of the same words (`features.prompt_of`, `encoder.py`), so that
traffic can be compared with the rows that a certificate rests on. Knows nothing of what is made of the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.encoder import DIMENSIONS, load_encoder
from tierwise.scorers.features import prompt_of
from tierwise.stats.clusters import nearest
from tierwise.types import Request

Floats = NDArray[np.float32]
Centroids = NDArray[np.floating[Any]]
"""(clusters, 256), of unit length; `scorers/artefact.py` has them."""


def encoded(request: Request) -> Floats:
    """(256,) of length 1: what the request's user says; zeros where none of it is known."""
    return load_encoder().encode(prompt_of(request))


def cluster_of(request: Request, centroids: Centroids) -> int:
    """From 0 on; -1 where the artefact knows no clusters."""
    return int(clusters_of(encoded(request)[None], centroids)[0])


def clusters_of(encodings: Sequence[Floats] | Floats, centroids: Centroids) -> NDArray[np.intp]:
    """The same for many at once, by what `encoded` gives of them: (n, 256)."""
    if not len(centroids):
        return np.full(len(encodings), -1, np.intp)
    return nearest(np.asarray(encodings, np.float32).reshape(len(encodings), DIMENSIONS), centroids)
