"""Names of persons and addresses in running text: each word gets a label from what it and its neighbours look like.

Linear: a word's hashed features (itself, its ends, its shape) are worth something to it and to the words up to two
away, so what one word is worth is looked up once and kept. A second linear step reads the first one's opinion of the
neighbours, which is what makes spans hold together. Weights hold no words. Knows nothing of types with a form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from threading import Lock
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tierwise.screens.screen import Span

LABELS = ("other", "name", "address", "place", "organisation")  # only names and addresses are told
BUCKETS = 1 << 13
REACH = 2  # words to each side
SHAPES = 24
_OFFSETS = 2 * REACH + 1
_KEPT = 20_000  # words whose worth is remembered
_WORD = re.compile(r"\n|\w+(?:['\u2019]\w+)*|[^\w\s]")
_GAP = re.compile(r"[\s,.\-#/>]{0,6}\Z")
_NAME, _ADDRESS, _PLACE = 1, 2, 3
_TOLD = frozenset([_NAME, _ADDRESS, _PLACE])

Floats = NDArray[np.float32]


class Tokens:
    """A text's words, and where they are."""

    def __init__(self, text: str) -> None:
        self.words: list[str] = _WORD.findall(text)
        self._text = text

    @cached_property
    def at(self) -> list[tuple[int, int]]:
        """(start, end) of each. Nobody asks as long as no word is of interest."""
        places, end = [], 0
        for word in self.words:
            start = self._text.index(word, end)  # between words there is white space alone
            end = start + len(word)
            places.append((start, end))
        return places


def shape(word: str) -> int:
    """A number below SHAPES for how a word is written: case, digits, length."""
    if not word[0].isalnum():
        return {"\n": 0, ".": 1, ",": 2, ":": 3, "-": 4, ">": 5, "(": 6, '"': 7}.get(word[0], 8)
    if word.isdigit():
        return 9 + min(len(word), 6) - 1
    if any(letter.isdigit() for letter in word):
        return 15
    if word.islower():
        return 16 + (len(word) > 3)
    if word.isupper():
        return 18 + min(len(word), 3) - 1 + (len(word) > 6)
    return 22 if word.istitle() else 23


def features(word: str) -> list[int]:
    """The buckets of what a word is."""
    low = word.lower()
    named = [f"w{low}", f"s{shape(word)}", f"a{low[:2]}", f"b{low[:3]}", f"x{low[-1:]}", f"y{low[-2:]}", f"z{low[-3:]}"]
    named += [f"q{low[-4:]}", f"l{min(len(word), 10)}"]
    return [crc32(name.encode("utf-8", "replace")) % BUCKETS for name in named]


class Recogniser:
    """May be shared between threads."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """`first` (BUCKETS, offsets, labels), `pairs` (2, SHAPES, SHAPES, labels), `second`, `bias`: see `learn`."""
        self._first: Floats = arrays["first"].astype(np.float32) * arrays["first_scale"].astype(np.float32)
        pairs = arrays["pairs"].astype(np.float32)
        self._pairs: Floats = np.concatenate([*pairs], axis=-1).reshape(SHAPES * SHAPES, -1)  # to the next, the last
        self._second: Floats = arrays["second"].astype(np.float32)
        self._bias: Floats = arrays["bias"].astype(np.float32)  # (2, labels)
        self._labels = self._bias.shape[1]
        self._known: dict[str, int] = {}  # words, and the places in what follows of what is known of them
        self._shapes = np.zeros(_KEPT, np.intp)
        self._worth: Floats = np.zeros((_KEPT, _OFFSETS, self._labels), np.float32)
        self._lock = Lock()

    def spans(self, text: str) -> list[Span]:
        """Names and addresses in the order of the text."""
        tokens = Tokens(text)
        if not tokens.words:
            return []
        labels = (opinions(self.first(tokens.words)) @ self._second + self._bias[1]).argmax(1)
        return joined(text, tokens.at, labels.tolist()) if labels.any() else []

    def first(self, words: list[str]) -> Floats:
        """(words, labels): the first step's log-odds. At most 20,000 words."""
        shapes, worth = self._looked_up(words)
        size = len(words)
        padded = np.zeros((size + 2 * REACH, self._labels), np.float32)
        for place in range(_OFFSETS):
            padded[_OFFSETS - 1 - place : _OFFSETS - 1 - place + size] += worth[:, place]
        scores: Floats = padded[REACH : REACH + size] + self._bias[0]
        pairs = self._pairs.take(shapes[:-1] * SHAPES + shapes[1:], axis=0)
        scores[1:] += pairs[:, : self._labels]
        scores[:-1] += pairs[:, self._labels :]
        return scores

    def _looked_up(self, words: list[str]) -> tuple[NDArray[np.intp], Floats]:
        """Shapes, (words,), and what is worth what, (words, offsets, labels)."""
        with self._lock:
            if len(self._known) + len(words) > _KEPT:
                self._known.clear()
            known = self._known
            places = np.array([known[word] if word in known else self._learnt(word) for word in words], np.intp)
            return self._shapes.take(places), self._worth.take(places, axis=0)

    def _learnt(self, word: str) -> int:
        place = self._known[word] = len(self._known)
        self._shapes[place] = shape(word)
        self._worth[place] = self._first[features(word)].sum(0)
        return place


def shares(scores: Floats) -> Floats:
    """Log-odds to probabilities, row by row."""
    columns = np.ascontiguousarray(scores.T)  # to go along rows of five numbers takes several times as long
    columns = np.exp(columns - columns.max(0))
    rows: Floats = (columns / columns.sum(0)).T
    return rows


def opinions(scores: Floats) -> Floats:
    """(words, (offsets + 1) * labels): its and its neighbours' probabilities, zeros beyond the ends; its log-odds."""
    given = shares(scores)
    size, labels = given.shape
    padded = np.zeros((size + 2 * REACH, labels), np.float32)
    padded[REACH : REACH + size] = given
    return np.concatenate([*(padded[place : place + size] for place in range(_OFFSETS)), scores], axis=1)


def joined(text: str, at: list[tuple[int, int]], labels: list[int]) -> list[Span]:
    """Neighbours of one label are one span; a place that an address runs into belongs to it."""
    runs: list[list[int]] = []  # label, start, end
    for place in [place for place, label in enumerate(labels) if label in _TOLD]:
        (start, end), label = at[place], labels[place]
        if text[start] != "\n":
            near = runs and _GAP.match(text, runs[-1][2], start) is not None
            same = near and (label == runs[-1][0] or (label == _PLACE and runs[-1][0] == _ADDRESS))
            if same and not (label == _NAME and "\n" in text[runs[-1][2] : start]):
                runs[-1][2] = end
            elif text[start].isalnum():
                runs.append([label, start, end])
    return [Span(LABELS[label], start, end) for label, start, end in runs if label != _PLACE and end - start > 1]
