"""A text as its sentences, and what each of them adds to whatever text it stands in.

N-grams and meanings add up, so a sentence is read once, whoever asks. Knows nothing of what heads make of the sums.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from hashlib import blake2b
from itertools import chain, pairwise

import numpy as np

from tierwise.screens.grams import grams_each
from tierwise.screens.weights import Floats, Weights

_END = re.compile(r"[.!?;] ")
PIECE = 200  # characters of a piece, at most, ...
SHORT = 15  # ... and at least, but for the last one
WHOLE = 300  # characters of a text that is read as a whole only
EDGES = " \t.,:;'\"`()[]{}"  # of a sentence: without them it is the same wherever it stands, and need not be read anew
# Cosine of the n-grams of two sentences of one text, on average over the sets that the weights learnt from.
ALIKE = 0.06
KEPT = 10_000  # sentences that are remembered, some 1.3 KB each
UNASKED: Floats = np.empty(0, np.float32)
_LINE = 16  # float32 of a line of the processor's cache
_TINY = np.float32(1e-20)  # no text is without length


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


class Sentence:
    """One that was read. The same one whenever it is read again, for as long as it is remembered."""

    __slots__ = ("added", "odds")

    def __init__(self, added: Floats) -> None:
        self.added = added  # what it adds to a text, as `Sentences` has it
        self.odds = UNASKED  # (heads,): what it says alone, once somebody has asked


def added_up(sentences: Sequence[Sentence], width: int) -> Floats:
    """What several add to a text, which is as long as such sums are: sentences of one text are somewhat alike."""
    whole: Floats = reduce(np.add, [one.added for one in sentences])
    whole[width - 1] *= 1 + ALIKE * (len(sentences) - 1)
    return whole


class Sentences:
    """Reads sentences and remembers them with their digests, as requests are made from templates, quote each other and
    go on where the last one ended. May be shared between threads.

    A sentence adds `width` numbers of its buckets, for each head and last the square of their length, and the sums of
    its vector.
    """

    def __init__(self, weights: Weights, sums: Callable[[Sequence[str]], Floats]) -> None:
        self._table = _worth(weights)
        self._sums = sums
        self.width = self._table.shape[1]
        self._known: OrderedDict[bytes, Sentence] = OrderedDict()

    def read(self, texts: Sequence[Sequence[str]]) -> list[tuple[Sentence, ...]]:
        """Texts that are given by their sentences."""
        known: dict[str, Sentence] = {}
        fresh: dict[str, bytes] = {}
        for sentence in dict.fromkeys(chain.from_iterable(texts)):
            digest = _digest(sentence)
            if (one := self._known.get(digest)) is None:
                fresh[sentence] = digest
            else:
                known[sentence] = one
        if fresh:
            new = [*fresh]
            for sentence, added in zip(new, np.concatenate([self._said(new), self._sums(new)], axis=1), strict=True):
                self._known[fresh[sentence]] = known[sentence] = Sentence(added)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return [tuple([known[sentence] for sentence in text]) for text in texts]

    def _said(self, plain: Sequence[str]) -> Floats:
        """(sentences, width): the sums of their buckets' rows."""
        buckets, first, ends = grams_each(plain)
        places, counts = buckets.astype(np.intp), first.astype(np.float32)
        sums: Floats = np.empty((len(ends), self.width), np.float32)
        for text, (start, end) in enumerate(pairwise((0, *ends))):
            sums[text] = counts[start:end].dot(self._table.take(places[start:end], axis=0))  # faster than .sum(0)
        return sums


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


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
