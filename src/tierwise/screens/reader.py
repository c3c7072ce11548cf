"""One reading of a text serves all screens: every head's probability at once, from n-grams and a meaning vector.

The vector comes from outside, as a function of the text, so this room needs no encoder of its own. Knows nothing of
what the heads stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tierwise.screens.grams import grams, grams_each
from tierwise.screens.normalised import normalised
from tierwise.screens.screen import windows
from tierwise.screens.weights import Weights

Encode = Callable[[str], NDArray[np.float32]]


class Reader:
    """May be shared between threads. Remembers the last text only, as several screens ask for it in turn."""

    def __init__(self, weights: Weights, encode: Encode) -> None:
        self.heads = weights.heads
        self.thresholds = weights.thresholds
        self.encode = encode
        self._weights = weights
        self._table = weights.table * weights.scale  # float32: 4 times the memory, and a tenth of the time saved
        self._last: tuple[str, Mapping[str, float]] = ("", self._read(""))

    def probabilities(self, text: str) -> Mapping[str, float]:
        """Of every head, in [0, 1]. Of a text with several windows, the highest."""
        last = self._last
        if last[0] != text:
            parts = [self._read(part) for _, part in windows(text)]
            highest = {head: max(part[head] for part in parts) for head in parts[0]} if len(parts) > 1 else parts[0]
            self._last = last = (text, highest)
        return last[1]

    def each(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, heads): of several short texts at once what `probabilities` is of each; in a part of the time."""
        weights, plain = self._weights, [normalised(text) for text in texts]
        odds = weights.bias + np.stack([self.encode(text) for text in plain]) @ weights.dense
        found = grams_each(plain)
        if len(found):
            buckets, owner = (found & np.uint32(0xFFFF)).astype(np.intp), found >> np.uint32(16)
            starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
            worth = weights.idf.take(buckets)
            lengths = np.sqrt(np.add.reduceat(worth * worth, starts))
            sums = np.add.reduceat(worth[:, None] * self._table.take(buckets, axis=0), starts)
            odds[owner[starts]] += sums / np.where(lengths > 0, lengths, 1)[:, None]
        shares: NDArray[np.float32] = 1 / (1 + np.exp(-(odds * weights.slope + weights.shift)))
        return shares

    def _read(self, text: str) -> Mapping[str, float]:
        weights, plain = self._weights, normalised(text)
        odds = weights.bias + self.encode(plain) @ weights.dense
        buckets = grams(plain)
        if len(buckets):
            worth = weights.idf.take(buckets)
            length = float(np.sqrt(worth @ worth))
            if length > 0:
                odds = odds + worth @ self._table.take(buckets, axis=0) / length
        shares = 1 / (1 + np.exp(-(odds * weights.slope + weights.shift)))
        return dict(zip(weights.heads, shares.tolist(), strict=True))
