"""One reading of a text serves all screens: every head's probability at once, from n-grams and a meaning vector.

A long text is read as a whole and piece by piece, so that nothing hides behind much that is harmless.
The vector comes from outside, as a function of the text, so this room needs no encoder of its own. Knows nothing of
what the heads stand for.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, reduce
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple, Protocol

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
EDGES = " \t.,:;'\"`()[]{}"  # of a sentence: without them it is the same wherever it stands, and need not be read anew
# Cosine of the n-grams of two sentences of one text, on average over the sets that the weights learnt from.
ALIKE = 0.06
_TINY = np.float32(1e-20)  # no text is without length
KEPT = 10_000  # sentences that are remembered, some 1.3 KB each
_LINE = 16  # float32 of a line of the processor's cache
_VECTORS = 8  # that are remembered: several screens ask for one in turn
DOUBT = 2.0  # log-odds: what a piece says counts less, as there are many and each is short


class Encoder(Protocol):
    """The one that the weights were fitted with. May be shared between threads."""

    def encode(self, text: str) -> Floats: ...

    def sums(self, texts: Sequence[str]) -> Floats:
        """(texts, dimensions): what `encode` gives but for its length, so that a text's is the sum of its parts'."""
        ...


def sentences(text: str) -> list[str]:
    """Those of a `normalised` text, without the marks around them and each once: what is said twice says no more.

    A text that has none is one.
    """
    if len(text) <= PIECE and _END.search(text, SHORT) is None:
        return [text.strip(EDGES) or text]
    return [*dict.fromkeys(_cut(text))] or [text]


def pieces(text: str) -> Iterator[str]:
    """The whole of a `normalised` text; if it is longer than WHOLE, then its sentences too."""
    yield text
    if len(text) > WHOLE:
        yield from _cut(text)


def _cut(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = _ended(text, start + SHORT, start + PIECE)
        if sentence := text[start:end].strip(EDGES):
            yield sentence
        start = end


def _ended(text: str, least: int, most: int) -> int:
    """Where the first sentence ends from `least` on, or else the last word before `most`."""
    found = _END.search(text, least, most)
    if found or most >= len(text):
        return found.end() if found else len(text)
    space = text.rfind(" ", least, most)
    return space + 1 if space >= 0 else most


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Sentence(NamedTuple):
    added: Floats  # (width + dimensions,): what it adds to a text
    odds: Floats  # (heads,): what it says alone


class Reader:
    """May be shared between threads. A text is read as its sentences, and is their sum. What sentences that were read
    add and say is remembered with their digests, as requests are made from templates, quote each other and go on where
    the last one ended. The last text is remembered too, as several screens ask for it in turn.
    """

    def __init__(self, weights: Weights, encoder: Encoder) -> None:
        self.heads = weights.heads
        self.thresholds = weights.thresholds
        self.encode = lru_cache(_VECTORS)(encoder.encode)
        self._sums = encoder.sums
        self._weights = weights
        self._table = _worth(weights)
        self._width = self._table.shape[1]
        self._dense = np.concatenate([weights.hidden, weights.dense], axis=1)
        self._shift = np.concatenate([weights.shift_in, weights.bias])
        self._known: OrderedDict[bytes, _Sentence] = OrderedDict()
        self._last: tuple[str, Mapping[str, float]] = ("", self._shares(self._odds([("",)])[0]))

    def probabilities(self, text: str) -> Mapping[str, float]:
        """Of every head, in [0, 1]. Of a text with several windows, sentences or readings, the highest."""
        last = self._last
        if last[0] == text:
            return last[1]
        return self._kept(text, [self._worst(plain)[0] for _, part in windows(text) for plain in readings(part)])

    def probabilities_each(self, texts: Sequence[str]) -> list[Mapping[str, float]]:
        """`probabilities` of each; of short ones in half the time, as they are read in one go."""
        plain = [readings(text) if len(text) <= WHOLE else () for text in texts]
        short = [bool(own) and max(map(len, own)) <= WHOLE for own in plain]
        read = [own for own, is_short in zip(plain, short, strict=True) if is_short]
        odds = iter(self._odds([sentences(one) for own in read for one in own]))
        shares = iter([self._shares(np.max([next(odds) for _ in own], axis=0)) for own in read])
        return [next(shares) if one else self.probabilities(text) for text, one in zip(texts, short, strict=True)]

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
                parts.append(self._odds([*map(sentences, beside)]))
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
        return self._stretched(self._odds([*map(sentences, normalised_each(texts))]))

    def _worst(self, plain: str, beside: Sequence[str] = ()) -> tuple[Floats, Floats]:
        """(heads,) of a `normalised` text, and (texts, heads) of those `beside` it."""
        whole = sentences(plain)
        alone = [(sentence,) for sentence in whole] if len(plain) > WHOLE else []
        read = self._odds([whole, *alone, *map(sentences, beside)])
        end = 1 + len(alone)
        return (np.maximum(read[0], read[1:end].max(0) - DOUBT) if alone else read[0]), read[end:]

    def _odds(self, texts: Sequence[Sequence[str]]) -> Floats:
        """(texts, heads) of texts that are given by their sentences."""
        told = [tuple([_digest(sentence) for sentence in text]) for text in texts]
        known: dict[bytes, _Sentence] = {}
        fresh: dict[bytes, str] = {}
        for digests, text in zip(told, texts, strict=True):
            for digest, sentence in zip(digests, text, strict=True):
                if (one := self._known.get(digest)) is None:
                    fresh[digest] = sentence
                else:
                    known[digest] = one
        if fresh:
            new = [*fresh.values()]
            added = np.concatenate([self._said(new), self._sums(new)], axis=1)
            for digest, row, odds in zip(fresh, added, self._scored(added), strict=True):
                self._known[digest] = known[digest] = _Sentence(row, odds)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        longer = dict.fromkeys([digests for digests in told if len(digests) > 1])
        sums = [reduce(np.add, [known[digest].added for digest in digests]) for digests in longer]
        whole = dict(zip(longer, self._scored(np.array(sums)), strict=True)) if sums else {}
        found = [whole[digests] if len(digests) > 1 else known[digests[0]].odds for digests in told]
        return np.array(found, np.float32).reshape(len(found), len(self.heads))

    def _scored(self, sums: Floats) -> Floats:
        """(texts, heads) of what their sentences have added up to."""
        heads, out, width = len(self.heads), self._weights.out, self._width
        units = len(out)
        vectors = sums[:, width:]
        count, squares = sums[:, width - 2], sums[:, width - 1]
        meant = vectors @ self._dense
        meant /= np.sqrt(np.einsum("ij,ij->i", vectors, vectors) + _TINY)[:, None]
        meant += self._shift
        odds: Floats = meant[:, units:]
        odds += np.maximum(meant[:, :units], 0) @ out
        odds += sums[:, :heads] / np.sqrt(squares + squares * ALIKE * (count - 1))[:, None]  # as long as such sums are
        return odds

    def _said(self, plain: Sequence[str]) -> Floats:
        """(sentences, width): the sums of their buckets' rows; last but one how many sentences they are."""
        buckets, first, ends = grams_each(plain)
        places, counts = buckets.astype(np.intp), first.astype(np.float32)
        sums: Floats = np.empty((len(ends), self._width), np.float32)
        for text, (start, end) in enumerate(pairwise((0, *ends))):
            sums[text] = counts[start:end].dot(self._table.take(places[start:end], axis=0))  # faster than .sum(0)
        sums[:, -2] = 1
        return sums

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
    """(BUCKETS, heads and more): what a bucket adds to each head; last the square of its weight, a place before it.

    Of float32: 4 times the memory, and a tenth of the time saved. A row fills cache lines, so that it is read at once.
    """
    heads = weights.table.shape[1]
    width = -(-(heads + 2) // _LINE) * _LINE
    table = np.zeros((len(weights.table), width), np.float32)
    np.multiply(weights.table, weights.scale, out=table[:, :heads])
    table *= weights.idf[:, None]
    table[:, -1] = np.maximum(weights.idf**2, _TINY)
    return table
