"""A text to one of a fixed set of labels, with how sure that is: a linear model over its words and its meaning.

What it learnt is one sealed file, made by `tierwise train --sorter`. Its probabilities were stretched by what models
say of rows that they were not fitted to, so that of texts sorted with 0.9 about nine in ten are right: as long as
traffic is like the rows. Knows nothing of models, routes, or what a label stands for.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.encoder import DIMENSIONS, Encoder
from tierwise.scorers.grams import BUCKETS
from tierwise.sealed import Arrays, Kind, digest, load, pack
from tierwise.stats.buckets import weighted

KIND = Kind("artefact of `tierwise train --sorter`", 1)
MEANING = 2.0  # that the encoder's vector of length 1 is multiplied by, beside words of length 1

Floats = NDArray[np.float32]


class Sorted(NamedTuple):
    label: str
    probability: float


class Learnt(msgspec.Struct, frozen=True):
    """For L labels and B buckets: a text's score of a label is `bias` + its vector @ `dense` + its words @ `table`.

    `buckets`, increasing, are those of `grams` that any row had; `idf` is (B,), `table` (B, L), `dense` (256, L).
    Scores times `slope` are log-odds. `notes` say how it was made.
    """

    labels: tuple[str, ...]
    buckets: NDArray[np.uint32]
    idf: Floats
    table: NDArray[np.float16]
    dense: Floats
    bias: Floats
    slope: float
    notes: dict[str, float | str] = {}


class _Manifest(msgspec.Struct, frozen=True):
    version: int
    sha256: str
    labels: tuple[str, ...]
    slope: float
    notes: dict[str, float | str]


class Sorter:
    """May be shared between threads."""

    def __init__(self, learnt: Learnt, encoder: Encoder) -> None:
        self.labels = learnt.labels
        self._learnt = learnt
        self._encoder = encoder
        self._table = learnt.table.astype(np.float32)

    def sort(self, text: str) -> Sorted:
        """The likeliest label; of several that are equally likely, the first."""
        odds = self.scores(text) * np.float32(self._learnt.slope)
        odds = np.exp(odds - odds.max())
        best = int(odds.argmax())
        return Sorted(self.labels[best], float(odds[best] / odds.sum()))

    def scores(self, text: str) -> Floats:
        """(labels,)."""
        learnt = self._learnt
        at, values, vector = parts(text, learnt.buckets, learnt.idf, self._encoder)
        scores: Floats = learnt.bias + vector @ learnt.dense
        if len(at):
            scores = scores + values @ self._table.take(at, axis=0)
        return scores


def parts(
    text: str, buckets: NDArray[np.uint32], idf: Floats, encoder: Encoder
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """(places in `buckets`, what each is worth, at unit length; the vector). Words of no bucket count for nothing."""
    (found, times), vector = encoder.read(text)
    at, values = weighted(found, buckets, idf, times)
    return at, values, vector * np.float32(MEANING)


def dump(learnt: Learnt) -> bytes:
    arrays = {name: getattr(learnt, name) for name in ("buckets", "idf", "table", "dense", "bias")}
    manifest = _Manifest(KIND.version, digest(arrays), learnt.labels, learnt.slope, learnt.notes)
    return pack(manifest, arrays)


def read(path: Path) -> Learnt:
    """Raises ConfigError where there is no such file, or it is damaged, too new, or something else."""
    return load(path, KIND, _made, _whole)


def _made(manifest: bytes, arrays: Arrays) -> Learnt:
    said = msgspec.json.decode(manifest, type=_Manifest)
    return Learnt(said.labels, **arrays, slope=said.slope, notes=said.notes)


def _whole(learnt: Learnt) -> bool:
    labels, size = len(learnt.labels), len(learnt.buckets)
    return (
        labels > 1
        and learnt.idf.shape == (size,)
        and learnt.table.shape == (size, labels)
        and learnt.dense.shape == (DIMENSIONS, labels)
        and learnt.bias.shape == (labels,)
        and bool(np.all(learnt.buckets < BUCKETS))
        and bool(np.all(np.diff(learnt.buckets.astype(np.int64)) > 0))
    )
