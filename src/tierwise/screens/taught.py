"""The file of heads that an operator has taught: what `tierwise train --screen` writes, and whoever screens opens.

Knows what has to be in it for its heads to be whole; nothing of how they were fitted, nor of what they say of a text.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from tierwise.screens.grams import BUCKETS
from tierwise.screens.own import Head, Learnt, Trainable
from tierwise.sealed import Arrays, Kind, digest, load, pack

DIMENSIONS = 256  # of the encoder's vectors
KIND = Kind("artefact of `tierwise train --screen`", 1)
_ARRAYS = ("buckets", "idf", "table", "dense", "bias", "slope", "shift")  # as Learnt has them


class _Manifest(msgspec.Struct, frozen=True):
    version: int
    sha256: str
    screen: Trainable
    heads: tuple[Head, ...]


def dump(learnt: Learnt) -> bytes:
    arrays = {name: getattr(learnt, name) for name in _ARRAYS}
    return pack(_Manifest(KIND.version, digest(arrays), learnt.screen, learnt.heads), arrays)


def read(path: Path) -> Learnt:
    """Raises ConfigError where there is no such file, or it is damaged, too new, or something else."""
    return load(path, KIND, _made, _whole)


def _made(manifest: bytes, arrays: Arrays) -> Learnt:
    said = msgspec.json.decode(manifest, type=_Manifest)
    return Learnt(said.screen, said.heads, **arrays)


def _whole(learnt: Learnt) -> bool:
    heads, size = len(learnt.heads), len(learnt.buckets)
    return (
        heads > 0
        and len(set(learnt.names)) == heads
        and learnt.idf.shape == (size,)
        and learnt.table.shape == (size, heads)
        and learnt.dense.shape == (DIMENSIONS, heads)
        and learnt.bias.shape == learnt.slope.shape == learnt.shift.shape == (heads,)
        and all(np.isfinite(array).all() for array in (learnt.idf, learnt.table, learnt.dense, learnt.bias))
        and bool(np.all(learnt.buckets < BUCKETS))
        and bool(np.all(np.diff(learnt.buckets.astype(np.int64)) > 0))
    )
