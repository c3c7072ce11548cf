"""One reading of a text serves all screens: every head's probability at once, from n-grams and a meaning vector.

A long text is read as a whole and piece by piece, so that nothing hides behind much that is harmless.
The vector comes from outside, as a function of the text, so this room needs no encoder of its own. Knows nothing of
what the heads stand for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from tierwise.screens.grams import grams, grams_each
from tierwise.screens.normalised import normalised, readings
from tierwise.screens.screen import windows
from tierwise.screens.weights import Floats, Weights

_END = re.compile(r"[.!?;] ")
Encode = Callable[[str], NDArray[np.float32]]
PIECE = 200  # characters of a piece, at most, ...
SHORT = 15  # ... and at least, but for the last one
WHOLE = 300  # characters of a text that is read as a whole only
DOUBT = 2.0  # log-odds: what a piece says counts less, as there are many and each is short


def pieces(text: str) -> Iterator[str]:
    """The whole of a `normalised` text; if it is longer than WHOLE, then its sentences, as far as they fit."""
    yield text
    if len(text) > WHOLE:
        start = 0
        while start < len(text):
            end = _ended(text, start + SHORT, start + PIECE)
            yield text[start:end]
            start = end


def _ended(text: str, least: int, most: int) -> int:
    """Where the first sentence ends from `least` on, or else the last word before `most`."""
    found = _END.search(text, least, most)
    if found or most >= len(text):
        return found.end() if found else len(text)
    space = text.rfind(" ", least, most)
    return space + 1 if space >= 0 else most


class Reader:
    """May be shared between threads. Remembers the last text only, as several screens ask for it in turn."""

    def __init__(self, weights: Weights, encode: Encode) -> None:
        self.heads = weights.heads
        self.thresholds = weights.thresholds
        self.encode = encode
        self._weights = weights
        self._table: Floats = np.multiply(
            weights.table, weights.scale, dtype=np.float32
        )  # float32: 4 times the memory, and a tenth of the time saved
        self._last: tuple[str, Mapping[str, float]] = ("", self._shares(self.odds("")))

    def probabilities(self, text: str) -> Mapping[str, float]:
        """Of every head, in [0, 1]. Of a text with several windows, pieces or readings, the highest."""
        last = self._last
        if last[0] != text:
            odds = [self._worst(plain) for _, part in windows(text) for plain in readings(part)]
            highest = np.max(odds, axis=0) if len(odds) > 1 else odds[0]
            self._last = last = (text, self._shares(highest))
        return last[1]

    def each(self, texts: Sequence[str]) -> Floats:
        """(texts, heads): of several short texts at once what `probabilities` is of each; in a part of the time."""
        odds = self._odds_each([normalised(text) for text in texts])
        shares: Floats = 1 / (1 + np.exp(-(odds * self._weights.slope + self._weights.shift)))
        return shares

    def _worst(self, plain: str) -> Floats:
        whole, *parts = pieces(plain)
        odds = self.odds(whole)
        highest: Floats = np.maximum(odds, self._odds_each(parts).max(0) - DOUBT) if parts else odds
        return highest

    def _odds_each(self, plain: Sequence[str]) -> Floats:
        """(texts, heads) of short `normalised` texts."""
        weights = self._weights
        odds = self._meant(np.stack([self.encode(text) for text in plain]))
        found = grams_each(plain)
        if len(found):
            buckets, owner = (found & np.uint32(0xFFFF)).astype(np.intp), found >> np.uint32(16)
            starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
            worth, rows = weights.idf.take(buckets), self._table.take(buckets, axis=0)
            ends = [*starts[1:].tolist(), len(buckets)]
            for text, start, end in zip(owner[starts].tolist(), starts.tolist(), ends, strict=True):
                mine = worth[start:end]
                odds[text] += mine @ rows[start:end] / np.float32(sqrt(mine @ mine) or 1.0)
        return odds

    def odds(self, plain: str) -> Floats:
        """(heads,) of a `normalised` text."""
        weights = self._weights
        odds = self._meant(self.encode(plain))
        buckets = grams(plain)
        if len(buckets):
            worth = weights.idf.take(buckets)
            length = np.float32(np.sqrt(worth @ worth))
            if length > 0:
                odds = odds + worth @ self._table.take(buckets, axis=0) / length
        return odds

    def _meant(self, vectors: Floats) -> Floats:
        """(..., heads) by meaning alone; `vectors` are (..., dimensions)."""
        weights = self._weights
        hidden: Floats = np.maximum(vectors @ weights.hidden + weights.shift_in, 0)
        odds: Floats = np.add(vectors @ weights.dense + hidden @ weights.out, weights.bias, dtype=np.float32)
        return odds

    def _shares(self, odds: Floats) -> Mapping[str, float]:
        weights = self._weights
        shares = 1 / (1 + np.exp(-(odds * weights.slope + weights.shift)))
        return dict(zip(weights.heads, shares.tolist(), strict=True))
