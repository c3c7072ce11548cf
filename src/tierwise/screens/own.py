"""What an operator's own labels have taught: heads that stand instead of the shipped ones, or beside them.

For each class a linear model over the text's n-grams and its meaning, its probabilities stretched by rows that it was
not fitted to, and a threshold with what was shown of it. Knows nothing of the file that it stands in (`taught.py`), of
how it was fitted, nor what a class leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.screens.grams import grams
from tierwise.screens.normalised import readings
from tierwise.screens.reader import DOUBT, Encode
from tierwise.screens.screen import Finding, Screen, windows
from tierwise.screens.sentences import pieces
from tierwise.stats.buckets import weighted

Trainable = Literal["moderation", "injection", "risk"]

Floats = NDArray[np.float32]


class Shown(msgspec.Struct, frozen=True):
    """A rate of held-out rows, k of n, and its one-sided bound: below for recall, above for false blocks."""

    k: int
    n: int
    bound: float

    @property
    def value(self) -> float | None:
        """None without rows."""
        return self.k / self.n if self.n else None


class Head(msgspec.Struct, frozen=True):
    """A class: the probability from which a text is flagged, and what held-out rows have shown of that.

    `certified`: the bound that was asked for holds. `confidence` is each bound's own, not that of all together.
    """

    name: str
    threshold: float
    recall: Shown
    false_blocks: Shown
    certified: bool
    confidence: float = 0.95


class Learnt(msgspec.Struct, frozen=True):
    """For H heads and B buckets: a text's log-odds of a head are `bias` + its vector @ `dense` + its buckets @ `table`,
    then `slope` * log-odds + `shift`. `buckets`, increasing, are those of `grams` that any row had; `idf` is (B,).
    """

    screen: Trainable
    heads: tuple[Head, ...]
    buckets: NDArray[np.uint32]
    idf: Floats
    table: NDArray[np.float16]  # (B, H)
    dense: Floats  # (256, H)
    bias: Floats  # (H,), as are the last two
    slope: Floats
    shift: Floats

    @property
    def names(self) -> tuple[str, ...]:
        return tuple([head.name for head in self.heads])


class Own:
    """The heads of one file. May be shared between threads."""

    def __init__(self, learnt: Learnt, encode: Encode) -> None:
        self.screen = learnt.screen
        self.limits: Mapping[str, float] = {head.name: head.threshold for head in learnt.heads}
        self._learnt = learnt
        self._encode = encode
        self._table = learnt.table.astype(np.float32)

    def scores(self, text: str) -> dict[str, float]:
        """Of every head, in [0, 1]. Of a text with several windows, pieces or readings, the highest."""
        odds = np.max([self._worst(plain) for _, part in windows(text) for plain in readings(part)], axis=0)
        shares = 1 / (1 + np.exp(-odds.astype(np.float64)))
        return dict(zip(self.limits, shares.tolist(), strict=True))

    def _worst(self, plain: str) -> Floats:
        whole, *parts = pieces(plain)
        odds = self._odds(whole)
        return np.maximum(odds, np.max([self._odds(part) for part in parts], axis=0) - DOUBT) if parts else odds

    def _odds(self, plain: str) -> Floats:
        learnt = self._learnt
        at, values = weighted(grams(plain), learnt.buckets, learnt.idf)
        odds: Floats = learnt.bias + self._encode(plain) @ learnt.dense
        if len(at):
            odds = odds + values @ self._table.take(at, axis=0)
        return odds * learnt.slope + learnt.shift


class Beside:
    """A shipped screen with own heads: instead of its own where they have a name of its, else beside them."""

    def __init__(self, shipped: Screen, own: Own) -> None:
        self._shipped = shipped
        self._own = own

    def screen(self, text: str) -> Finding:
        finding, scores, limits = self._shipped.screen(text), self._own.scores(text), self._own.limits
        flagged = [name for name in finding.flagged if name not in scores]
        flagged += [name for name, limit in limits.items() if scores[name] >= limit]
        return Finding({**finding.scores, **scores}, tuple(flagged), finding.spans)
