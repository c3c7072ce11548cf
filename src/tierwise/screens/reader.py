"""One reading of a text serves all screens: every head's probability at once, from n-grams and a meaning vector.

A long text is read as a whole and piece by piece, so that nothing hides behind much that is harmless.
The vector comes from outside, as a function of the text, so this room needs no encoder of its own. Knows nothing of
what the heads stand for.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tierwise.screens.grams import grams_each
from tierwise.screens.normalised import normalised_each, readings
from tierwise.screens.screen import windows
from tierwise.screens.weights import Floats, Weights

_END = re.compile(r"[.!?;] ")
Encode = Callable[[str], NDArray[np.float32]]
"""A text's vector."""
PIECE = 200  # characters of a piece, at most, ...
SHORT = 15  # ... and at least, but for the last one
WHOLE = 300  # characters of a text that is read as a whole only
_TINY = np.float32(1e-20)  # no text is without length
KEPT = 20_000  # sentences that are remembered
_LINE = 16  # float32 of a line of the processor's cache
_VECTORS = 8  # that are remembered: several screens ask for one in turn
DOUBT = 2.0  # log-odds: what a piece says counts less, as there are many and each is short


class Encoder(Protocol):
    """The one that the weights were fitted with. May be shared between threads."""

    def encode(self, text: str) -> Floats: ...

    def encode_many(self, texts: Sequence[str]) -> Floats:
        """(texts, dimensions)."""
        ...


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
    """May be shared between threads. Remembers the last text, as several screens ask for it in turn, and of sentences
    their digests, as requests are made from templates, quote each other and go on where the last one ended."""

    def __init__(self, weights: Weights, encoder: Encoder) -> None:
        self.heads = weights.heads
        self.thresholds = weights.thresholds
        self.encode = lru_cache(_VECTORS)(encoder.encode)
        self._encode_many = encoder.encode_many
        self._weights = weights
        self._table = _worth(weights)
        self._dense = np.concatenate([weights.hidden, weights.dense], axis=1)
        self._shift = np.concatenate([weights.shift_in, weights.bias])
        self._known: OrderedDict[bytes, Floats] = OrderedDict()
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
        """(texts, heads): of short texts, as they stand, what `probabilities` is of each; in a part of the time.

        None of them is read backwards or in rot13.
        """
        odds = self._odds_each(normalised_each(texts))
        shares: Floats = 1 / (1 + np.exp(-(odds * self._weights.slope + self._weights.shift)))
        return shares

    def odds(self, plain: str) -> Floats:
        """(heads,) of a `normalised` text."""
        odds: Floats = self._odds((plain,), self.encode(plain)[None])[0]
        return odds

    def _worst(self, plain: str) -> Floats:
        whole, *parts = pieces(plain)
        odds = self.odds(whole)
        if not parts:
            return odds
        highest: Floats = np.maximum(odds, self._odds_each(parts).max(0) - DOUBT)
        return highest

    def _odds_each(self, plain: Sequence[str]) -> Floats:
        """(texts, heads) of `normalised` sentences. Those that were read before need not be read again."""
        digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in plain]
        known = [self._known.get(digest) for digest in digests]
        fresh = [place for place, odds in enumerate(known) if odds is None]
        if fresh:
            texts = [plain[place] for place in fresh]
            read = self._odds(texts, self._encode_many(texts))
            for place, odds in zip(fresh, read, strict=True):
                known[place] = self._known[digests[place]] = odds
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            if len(fresh) == len(known):
                return read
        return np.array(known, np.float32)

    def _odds(self, plain: Sequence[str], vectors: Floats) -> Floats:
        """(texts, heads) of `normalised` texts and what they mean."""
        weights = self._weights
        units, heads = weights.out.shape
        meant = vectors @ self._dense
        meant += self._shift
        odds: Floats = np.maximum(meant[:, :units], 0) @ weights.out
        odds += meant[:, units:]
        buckets, ends = grams_each(plain)
        rows, ones = self._table.take(buckets, axis=0), np.ones(len(buckets), np.float32)
        sums = np.empty((len(ends), rows.shape[1]), np.float32)
        for text, (start, end) in enumerate(pairwise((0, *ends))):
            sums[text] = ones[start:end].dot(rows[start:end])  # faster than .sum(0)
        odds += sums[:, :heads] / np.sqrt(sums[:, -1:])
        return odds

    def _shares(self, odds: Floats) -> Mapping[str, float]:
        weights = self._weights
        shares = 1 / (1 + np.exp(-(odds * weights.slope + weights.shift)))
        return dict(zip(weights.heads, shares.tolist(), strict=True))


def _worth(weights: Weights) -> Floats:
    """(BUCKETS, heads and more): what a bucket adds to each head; last the square of its weight.

    Of float32: 4 times the memory, and a tenth of the time saved. A row fills cache lines, so that it is read at once.
    """
    heads = weights.table.shape[1]
    width = -(-(heads + 1) // _LINE) * _LINE
    table = np.zeros((len(weights.table), width), np.float32)
    np.multiply(weights.table, weights.scale, out=table[:, :heads])
    table *= weights.idf[:, None]
    table[:, -1] = np.maximum(weights.idf**2, _TINY)
    return table
