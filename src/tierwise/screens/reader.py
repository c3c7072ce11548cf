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
from itertools import chain, pairwise, repeat
from typing import Any, Protocol

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
_BLOCK = 1024  # rows that are added at once: they stay in the processor's cache, and sums of few are more exact
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
        self._last: tuple[str, Mapping[str, float]] = ("", self._shares(self._odds("")[0]))

    def probabilities(self, text: str) -> Mapping[str, float]:
        """Of every head, in [0, 1]. Of a text with several windows, pieces or readings, the highest."""
        last = self._last
        if last[0] == text:
            return last[1]
        return self._kept(text, [self._worst(plain)[0] for _, part in windows(text) for plain in readings(part)])

    def both(self, text: str, apart: Callable[[str], Sequence[str]]) -> tuple[Mapping[str, float], Floats]:
        """`probabilities`; and (parts, heads), `each` of what `apart` takes out of a window. All in one go, which is
        faster, so whoever wants both asks before others ask for the first.
        """
        known, shares = self._last
        found: list[Floats] = []
        parts: list[Floats] = []
        for _, window in windows(text):
            beside = normalised_each(apart(window))
            if known == text:
                parts.append(self._odds_each(beside))
                continue
            first, *others = readings(window)
            odds, said = self._worst(first, beside)
            found += [odds, *(self._worst(plain)[0] for plain in others)]
            parts.append(said)
        shares = self._kept(text, found) if found else shares
        return shares, self._stretched(np.concatenate(parts) if len(parts) > 1 else parts[0])

    def each(self, texts: Sequence[str]) -> Floats:
        """(texts, heads): of short texts, as they stand, what `probabilities` is of each; in a part of the time.

        None of them is read backwards or in rot13.
        """
        return self._stretched(self._odds_each(normalised_each(texts)))

    def _worst(self, plain: str, beside: Sequence[str] = ()) -> tuple[Floats, Floats]:
        """(heads,) of a `normalised` text, and (texts, heads) of those `beside` it."""
        whole, *parts = pieces(plain)
        read = self._odds_each([*parts, *beside], (whole,)) if parts or beside else self._odds(whole)
        end = 1 + len(parts)
        return (np.maximum(read[0], read[1:end].max(0) - DOUBT) if parts else read[0]), read[end:]

    def _odds(self, plain: str) -> Floats:
        """(1, heads) of a `normalised` text."""
        return self._meant(self.encode(plain)[None]) + self._said((plain,))

    def _odds_each(self, plain: Sequence[str], wholes: Sequence[str] = ()) -> Floats:
        """(wholes + texts, heads) of `normalised` texts. Sentences that were read before need not be read again;
        `wholes` are, as they go on."""
        digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in plain]
        known = [self._known.get(digest) for digest in digests]
        fresh = [place for place, odds in enumerate(known) if odds is None]
        texts = [plain[place] for place in fresh]
        meant = [self._meant(self.encode(whole)[None]) for whole in wholes]  # one by one: each says the same again
        if texts:
            meant.append(self._meant(self._encode_many(texts)))
        if not meant:
            return np.array(known, np.float32).reshape(len(known), len(self.heads))
        read = np.concatenate(meant)
        read += self._said([*wholes, *texts])
        for place, odds in zip(fresh, read[len(wholes) :], strict=True):
            known[place] = self._known[digests[place]] = odds
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return read if len(texts) == len(plain) else np.array([*read[: len(wholes)], *known], np.float32)

    def _meant(self, vectors: Floats) -> Floats:
        """(texts, heads): what comes of the meaning of texts."""
        out = self._weights.out
        units = len(out)
        meant = vectors @ self._dense
        meant += self._shift
        odds: Floats = np.maximum(meant[:, :units], 0) @ out
        odds += meant[:, units:]
        return odds

    def _said(self, plain: Sequence[str]) -> Floats:
        """(texts, heads): what comes of the buckets of `normalised` texts."""
        buckets, first, ends = grams_each(plain)
        places, counts = buckets.astype(np.intp), first.astype(np.float32)
        begin = (0, *ends[:-1])
        starts = [*chain.from_iterable(map(range, begin, ends, repeat(_BLOCK)))]
        sums: NDArray[Any] = np.empty((len(starts), self._table.shape[1]), np.float32)
        for block, (start, end) in enumerate(pairwise((*starts, ends[-1]))):
            sums[block] = counts[start:end].dot(self._table.take(places[start:end], axis=0))  # faster than .sum(0)
        if len(starts) > len(ends):
            sums = np.add.reduceat(sums, np.searchsorted(starts, begin), dtype=np.float32)
        odds: Floats = sums[:, : len(self.heads)] / np.sqrt(sums[:, -1:])
        return odds

    def _stretched(self, odds: Floats) -> Floats:
        shares: Floats = 1 / (1 + np.exp(-(odds * self._weights.slope + self._weights.shift)))
        return shares

    def _kept(self, text: str, odds: Sequence[Floats]) -> Mapping[str, float]:
        shares = self._shares(np.max(odds, axis=0) if len(odds) > 1 else odds[0])
        self._last = text, shares
        return shares

    def _shares(self, odds: Floats) -> Mapping[str, float]:
        return dict(zip(self.heads, self._stretched(odds).tolist(), strict=True))


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
