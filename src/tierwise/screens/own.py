"""What an operator's own labels have taught: heads that stand instead of the shipped ones, or beside them.

What `tierwise train --screen` makes, and one sealed file keeps: for each class a linear model over the text's n-grams
and its meaning, its probabilities stretched by rows that it was not fitted to, and a threshold with what was shown of
it. Knows nothing of how it was fitted, nor what a class leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.errors import ConfigError
from tierwise.screens.grams import BUCKETS, grams
from tierwise.screens.normalised import readings
from tierwise.screens.reader import DOUBT, Encode, pieces
from tierwise.screens.screen import Finding, Screen, windows

FILE, VERSION = "artefact of `tierwise train --screen`", 1  # what a file is called in errors, and its format
DIMENSIONS = 256  # of the encoder's vectors
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


class Manifest(msgspec.Struct, frozen=True):
    version: int
    sha256: str
    screen: Trainable
    heads: tuple[Head, ...]


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
        at, values = places(plain, learnt.buckets, learnt.idf)
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


def places(plain: str, buckets: NDArray[np.uint32], idf: Floats) -> tuple[NDArray[np.intp], Floats]:
    """(places in `buckets`, what each is worth, at unit length) of a `normalised` text. Others count for nothing."""
    found = grams(plain).astype(np.uint32)
    at = np.searchsorted(buckets, found)
    known = at < len(buckets)
    known[known] = buckets[at[known]] == found[known]
    at = at[known]
    values = idf[at]
    length = float(np.sqrt(values @ values))
    return at, values / np.float32(length or 1.0)


def arrays_of(learnt: Learnt) -> dict[str, NDArray[Any]]:
    """What is sealed, beside `Manifest`."""
    return {name: getattr(learnt, name) for name in ("buckets", "idf", "table", "dense", "bias", "slope", "shift")}


def learnt_of(manifest: bytes, arrays: Mapping[str, NDArray[Any]], path: Path) -> Learnt:
    """From what stood in the file at `path`. Raises ConfigError where it is something else, or not whole."""
    try:
        said = msgspec.json.decode(manifest, type=Manifest)
        learnt = Learnt(said.screen, said.heads, **arrays)
        whole = _whole(learnt)
    except (msgspec.MsgspecError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not an {FILE}") from error
    if not whole:
        raise ConfigError(f"{path}: incomplete; train it anew")
    return learnt


def _whole(learnt: Learnt) -> bool:
    heads, size = len(learnt.heads), len(learnt.buckets)
    return (
        heads > 0
        and len(set(learnt.names)) == heads
        and learnt.idf.shape == (size,)
        and learnt.table.shape == (size, heads)
        and learnt.dense.shape == (DIMENSIONS, heads)
        and learnt.bias.shape == learnt.slope.shape == learnt.shift.shape == (heads,)
        and all(np.isfinite(array).all() for array in (learnt.idf, learnt.table, learnt.dense, learnt.bias))
        and bool(np.all(learnt.buckets < BUCKETS))
        and bool(np.all(np.diff(learnt.buckets.astype(np.int64)) > 0))
    )
