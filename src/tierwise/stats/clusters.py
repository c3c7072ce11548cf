"""Groups of vectors that point the same way: spherical k-means, and the rows that stand for a group.

Dhillon and Modha, "Concept decompositions for large sparse text data using clustering" (Machine Learning 42, 2001):
Lloyd's steps with the cosine in place of the distance, seeded as k-means++ (Arthur and Vassilvitskii, SODA 2007).
Knows nothing of what the vectors mean; chance comes from outside, so a seed gives the same groups again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating[Any]]
Rows = NDArray[np.intp]

ROUNDS = 50  # of Lloyd's; groups of texts are settled long before
AT_ONCE = 8_192  # rows whose cosines are held at a time
LEAST = 1e-9  # a squared distance, or a length, that is none


def kmeans(vectors: Vectors, k: int, rng: np.random.Generator) -> Vectors:
    """(k, d) centres of unit length, float32, of (n, d) vectors of unit length; zeros among them count for little.

    Fewer where there are fewer than k different vectors, none without vectors. Raises ValueError for k < 1 or vectors
    that are no table of finite numbers.
    """
    table = np.asarray(vectors, np.float32)
    if table.ndim != 2 or k < 1 or not np.isfinite(table).all():
        raise ValueError("k-means needs a table of finite numbers, and k from 1 on")
    centres = table[_seeds(table, k, rng)]
    near: Rows | None = None
    for _ in range(ROUNDS if len(centres) else 0):
        before, near = near, nearest(table, centres)
        if before is not None and (near == before).all():
            break
        centres = _means(table, near, centres)
    return centres


def nearest(vectors: Vectors, centres: Vectors) -> Rows:
    """For each of (n, d) vectors the number of the centre with the largest cosine; the first of equal ones.

    Raises ValueError without centres.
    """
    if not len(centres):
        raise ValueError("there is no centre to be near to")
    held = np.asarray(centres, np.float32).T
    rows = [
        np.argmax(np.asarray(vectors[at : at + AT_ONCE], np.float32) @ held, axis=1)
        for at in range(0, len(vectors), AT_ONCE)
    ]
    return np.concatenate(rows) if rows else np.zeros(0, np.intp)


def medoids(vectors: Vectors, k: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows that stand for all: of each group the one nearest to its centre, by rising number, and the groups' sizes.

    The sizes sum to the number of rows. Arguments and errors as of `kmeans`.
    """
    table = np.asarray(vectors, np.float32)
    centres = kmeans(table, k, rng)
    if not len(centres):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    near = nearest(table, centres)
    cosine = np.einsum("nd,nd->n", table, centres[near])
    order = np.lexsort((-cosine, near))  # within a group the nearest comes first
    _, first, sizes = np.unique(near[order], return_index=True, return_counts=True)
    rows = order[first]
    rising = np.argsort(rows)
    return rows[rising], sizes[rising]


def _seeds(table: Vectors, k: int, rng: np.random.Generator) -> Rows:
    """Rows to start from, each drawn with a chance that rises with its distance from those before it."""
    chosen: list[int] = []
    far = np.ones(len(table))
    while len(chosen) < k and len(table) and far.max() > LEAST:
        row = int(rng.choice(len(table), p=far / far.sum()))
        chosen.append(row)
        apart = ((table - table[row]) ** 2).sum(axis=1, dtype=np.float64)
        far = np.minimum(far, apart) if len(chosen) > 1 else apart
    return np.array(chosen, np.intp)


def _means(table: Vectors, near: Rows, centres: Vectors) -> Vectors:
    """The groups' means at unit length. A group that is empty, or points nowhere, keeps the centre that it had."""
    sums = np.zeros(centres.shape, np.float64)
    order = np.argsort(near, kind="stable")
    groups, first = np.unique(near[order], return_index=True)
    sums[groups] = np.add.reduceat(table[order].astype(np.float64), first, axis=0)
    length = np.sqrt((sums**2).sum(axis=1, keepdims=True))
    found = np.where(length > LEAST, sums / np.maximum(length, LEAST), centres)
    return found.astype(np.float32)
