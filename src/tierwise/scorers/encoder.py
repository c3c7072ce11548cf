"""Text to a vector of 256 numbers that are near each other where meanings are: a static table, one row a token.

The table is data of the package (`data/encoder/SOURCE.md` says where it is from, `benchmarks/encoder.py` made it) and
is read once; nothing is fetched. Knows nothing of routes, requests or what the vectors are used for.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.errors import ConfigError
from tierwise.scorers.grams import PIECES, Sparse, counted, logged
from tierwise.scorers.wordpiece import WordPiece

DIMENSIONS = 256
SHA256 = "0ebbedc44f1f0e96a8e7936701eb1e29bfa7954dfc70f94a58652c0f759123e5"  # of the table's file
_FILE = "data/encoder/minilm-256.npz"
_REMEDY = "install tierwise anew"


class Encoder:
    """The mean of the table's rows for a text's tokens, at unit length. May be shared between threads.

    Case, accents, spacing and the style of quotes change nothing, and only the first 16,000 characters count.
    """

    def __init__(self, vocabulary: Sequence[str], table: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
        """`table` is (tokens, 256); `scales`, (tokens,), is what a row is multiplied by, a token's weight included.

        Raises ValueError where the shapes don't fit each other or the vocabulary is none.
        """
        if table.shape != (len(vocabulary), DIMENSIONS) or scales.shape != table.shape[:1]:
            raise ValueError("a table has a row of 256 numbers and a scale for every piece of the vocabulary")
        self.pieces = WordPiece(vocabulary)
        self._table = table
        self._scales = scales

    def encode(self, text: str) -> NDArray[np.float32]:
        """(256,) of length 1; zeros for a text without a known token."""
        numbers = self.pieces.array(text)
        return self._mean(numbers, self._scales.take(numbers))

    def read(self, text: str) -> tuple[Sparse, NDArray[np.float32]]:
        """Its `grams` and what `encode` gives but for rounding: each piece is counted once for both."""
        buckets, times = counted(self.pieces.array(text))
        single = int(buckets.searchsorted(PIECES))
        numbers = buckets[:single]
        return (buckets, logged(times)), self._mean(numbers, self._scales.take(numbers) * times[:single])

    def _mean(self, numbers: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float32]:
        # Rows stay int8 until they are needed: that is a quarter of the memory, and faster than it is to fetch floats.
        rows = self._table.take(numbers, axis=0).astype(np.float32)
        vector: NDArray[np.float32] = weights.astype(np.float32, copy=False).dot(rows)
        length = sqrt(vector.dot(vector))
        return vector / np.float32(length) if length > 0 else vector

    def encode_many(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 256), a row a text."""
        vectors = self.sums(texts)
        vectors /= np.array([sqrt(vector.dot(vector)) or 1.0 for vector in vectors], np.float32)[:, None]
        return vectors

    def sums(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 256): the same but for the lengths, so that what a text's parts say adds up to what it says itself."""
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        if texts:
            numbers, ends = self.pieces.arrays(texts)
            rows, weights = self._table.take(numbers, axis=0).astype(np.float32), self._scales.take(numbers)
            for text, (start, end) in enumerate(pairwise((0, *ends))):
                vectors[text] = weights[start:end].dot(rows[start:end])
        return vectors


@cache
def load_encoder() -> Encoder:
    """The packaged encoder, read once. Raises ConfigError where its file is missing or not what was published."""
    try:
        packed = resources.files("tierwise").joinpath(_FILE).read_bytes()
    except OSError as error:
        raise ConfigError(f"the encoder's table {_FILE} can't be read ({error.strerror}); {_REMEDY}") from error
    return read(packed, SHA256)


def read(packed: bytes, sha256: str) -> Encoder:
    """An encoder from the bytes of its .npz file. Raises ConfigError unless they are whole and have this SHA-256."""
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise ConfigError(f"the encoder's table {_FILE} is damaged: its SHA-256 is not {sha256}; {_REMEDY}")
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as data:
            vocabulary = data["vocabulary"].tobytes().decode().split("\n")
            return Encoder(vocabulary, data["table"], data["scales"].astype(np.float32))
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"the encoder's table {_FILE} is not one: {type(error).__name__}") from error
