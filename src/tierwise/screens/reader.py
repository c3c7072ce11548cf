"""One reading of a text serves all screens: every head's probability at once, from n-grams and a meaning vector.

A long text is read as a whole and piece by piece, so that nothing hides behind much that is harmless.
The vector comes from outside, as a function of the text, so this room needs no encoder of its own. Knows nothing of
what the heads stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tierwise.screens.normalised import normalised_each, readings
from tierwise.screens.screen import windows
from tierwise.screens.sentences import UNASKED, WHOLE, Sentences, added_up, sentences
from tierwise.screens.spelling import load as load_words
from tierwise.screens.weights import Floats, Weights

Encode = Callable[[str], NDArray[np.float32]]
"""A text's vector."""
DOUBT = 2.0  # log-odds: what a piece says counts less, as there are many and each is short
_VECTORS = 8  # that are remembered: several screens ask for one in turn
_TINY = np.array(1e-20, np.float32)  # no vector is without length
_NOTHING, _ONE = np.zeros((), np.float32), np.ones((), np.float32)


class Encoder(Protocol):
    """The one that the weights were fitted with. May be shared between threads."""

    def encode(self, text: str) -> Floats: ...

    def sums(self, texts: Sequence[str]) -> Floats:
        """(texts, dimensions): what `encode` gives but for its length, so that a text's is the sum of its parts'."""
        ...


class Reader:
    """May be shared between threads. A text is read as its sentences, and is their sum. The last text is remembered, or
    the last ones that were read in one go, as several screens ask for it in turn.
    """

    def __init__(self, weights: Weights, encoder: Encoder) -> None:
        load_words()
        self.heads = weights.heads
        self.thresholds = weights.thresholds
        self.encode = lru_cache(_VECTORS)(encoder.encode)
        self._sentences = Sentences(weights, encoder.sums)
        self._weights = weights
        self._dense = np.concatenate([weights.hidden, weights.dense], axis=1)
        self._shift = np.concatenate([weights.shift_in, weights.bias])
        self._slope, self._against = -weights.slope, -weights.shift
        self._last: Mapping[str, Mapping[str, float]] = {"": self._shares(self._odds([("",)])[0])}

    def probabilities(self, text: str) -> Mapping[str, float]:
        """Of every head, in [0, 1]. Of a text with several windows, sentences or readings, the highest."""
        if (known := self._last.get(text)) is not None:
            return known
        return self._kept(text, [self._worst(plain)[0] for _, part in windows(text) for plain in readings(part)])

    def probabilities_each(self, texts: Sequence[str]) -> list[Mapping[str, float]]:
        """`probabilities` of each; of short ones in half the time, as they are read in one go. All are remembered."""
        plain = [readings(text) if len(text) <= WHOLE else () for text in texts]
        short = [bool(own) and max(map(len, own)) <= WHOLE for own in plain]
        read = [own for own, is_short in zip(plain, short, strict=True) if is_short]
        odds = iter(self._odds([sentences(one) for own in read for one in own]))
        shares = iter([self._shares(np.max([next(odds) for _ in own], axis=0)) for own in read])
        found = [next(shares) if one else self.probabilities(text) for text, one in zip(texts, short, strict=True)]
        self._last = dict(zip(texts, found, strict=True))
        return found

    def both(self, text: str, apart: Callable[[str], Sequence[str]]) -> tuple[Mapping[str, float], Floats]:
        """`probabilities`; and (parts, heads), `each` of what `apart` takes out of a window. All in one go, which is
        faster, so whoever wants both asks before others ask for the first.
        """
        shares = self._last.get(text)
        found: list[Floats] = []
        parts: list[Floats] = []
        for _, window in windows(text):
            beside = normalised_each(apart(window))
            if shares is not None:
                parts.append(self._odds([*map(sentences, beside)]))
                continue
            first, *others = readings(window)
            odds, said = self._worst(first, beside)
            found += [odds, *(self._worst(plain)[0] for plain in others)]
            parts.append(said)
        shares = shares or self._kept(text, found)
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
        read = self._sentences.read(texts)
        new = [*dict.fromkeys([text[0] for text in read if len(text) == 1 and text[0].odds is UNASKED])]
        if new:
            for one, odds in zip(new, self._scored([one.added for one in new]), strict=True):
                one.odds = odds
        longer = [*dict.fromkeys([text for text in read if len(text) > 1])]
        sums = [added_up(text, self._sentences.width) for text in longer]
        whole = dict(zip(longer, self._scored(sums), strict=True)) if sums else {}
        found = [whole[text] if len(text) > 1 else text[0].odds for text in read]
        return _rows(found) if found else np.empty((0, len(self.heads)), np.float32)

    def _scored(self, added: Sequence[Floats]) -> Floats:
        """(texts, heads) of what their sentences have added up to."""
        sums = added[0] if len(added) == 1 else np.array(added)  # one is done with in half the time as a mere row
        heads, out, width = len(self.heads), self._weights.out, self._sentences.width
        units = len(out)
        vectors = sums[..., width:]
        meant = vectors @ self._dense
        meant /= np.sqrt(np.vecdot(vectors, vectors)[..., None] + _TINY)
        meant += self._shift
        odds: Floats = np.maximum(meant[..., :units], _NOTHING) @ out
        odds += meant[..., units:]
        odds += sums[..., :heads] / np.sqrt(sums[..., width - 1 : width])
        return odds.reshape(-1, heads)

    def _stretched(self, odds: Floats) -> Floats:
        against = np.exp(odds * self._slope + self._against)
        against += _ONE
        shares: Floats = np.reciprocal(against)
        return shares

    def _kept(self, text: str, odds: Sequence[Floats]) -> Mapping[str, float]:
        shares = self._shares(np.max(odds, axis=0) if len(odds) > 1 else odds[0])
        self._last = {text: shares}
        return shares

    def _shares(self, odds: Floats) -> Mapping[str, float]:
        return dict(zip(self.heads, self._stretched(odds).tolist(), strict=True))


def _rows(rows: Sequence[Floats]) -> Floats:
    """(rows, columns)."""
    return rows[0][None] if len(rows) == 1 else np.array(rows)
