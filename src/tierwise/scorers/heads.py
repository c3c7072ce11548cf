"""A tier's models made ready for one request at a time: what `stack.py` says of many rows, in a few small steps.

At a request's size arithmetic costs nothing and every step does, and `dot` half of what `@` does. So what can be
multiplied beforehand is: the means and scales of columns into the weights of the heads, the inverse frequencies of
words into those of the lower storey. A prompt's words are looked up once for all of a tier's models. Knows no request:
columns and words come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from operator import mul
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.artefact import TierModel
from tierwise.scorers.grams import BUCKETS, Sparse
from tierwise.scorers.stack import CLIP, MOST, Floats, Known, Stack


class Heard(NamedTuple):
    """What a tier's models make of a prompt."""

    said: list[float]  # by the bases, of its words
    leaning: list[float]  # of all heads' log-odds, by what it means
    meaning: Floats


class Tier:
    """The models of one tier, ready."""

    def __init__(self, model: TierModel) -> None:
        stacks = [stack for stack in (model.router, model.alone, model.consulted) if stack is not None]
        prompts, drafts = _Words(), _Words()
        heads, begin = [], 0
        for stack in stacks:
            places = [
                (
                    prompts.place(stack.idf_prompt, base.prompt),
                    drafts.place(stack.idf_draft, base.draft) if base.reads == "draft" else -1,
                )
                for base in stack.bases
            ]
            heads.append(Head(stack, places, begin))
            begin += len(stack.targets)
        self._prompts, self._drafts = prompts.table(), drafts.table()
        self._meanings = np.concatenate([stack.meaning * _meanings(stack) for stack in stacks])
        self.router, self.alone = heads[:2]
        self.consulted = heads[2] if model.consulted is not None else None

    def hear(self, prompt: Sparse, meaning: Floats) -> Heard:
        return Heard(self._prompts.said(prompt), self._meanings.dot(meaning).tolist(), meaning)

    def said(self, draft: Sparse) -> list[float]:
        """By the bases, of a draft's words."""
        return self._drafts.said(draft)


class Head:
    """The upper storey of one stack. `places`: of each base, in what is heard of prompts, and of drafts (-1: none)."""

    def __init__(self, stack: Stack, places: Sequence[tuple[int, int]], begin: int) -> None:
        self._stack = stack
        self._bases = [(base.bias, *place) for base, place in zip(stack.bases, places, strict=True)]
        self._begin = begin
        columns, flags, labels = len(stack.names), len(stack.flagged), len(stack.tasks)
        ends = np.cumsum([columns, flags, labels, len(stack.bases)])
        measured, flagged, told, words = np.split(stack.weights.astype(np.float64), ends, axis=1)[:4]
        scale, mean = stack.scale.astype(np.float64), stack.mean.astype(np.float64)
        self._low, self._high = mean - CLIP * scale, mean + CLIP * scale
        self._columns = measured * stack.emphasis / scale
        # A missing column is taken for its lowest value, and this puts it back to the mean; flags are theirs too.
        self._missing = CLIP * measured * stack.emphasis
        self._missing[:, stack.flagged] += flagged
        words = words / stack.base_scale
        bias = stack.bias - self._columns @ mean - flagged @ stack.absent - words @ stack.base_mean
        self._words: list[list[float]] = words.tolist()
        self._bias: list[float] = bias.tolist()
        labelled = bias[:, None] + told @ (np.eye(labels) - stack.shares[:, None])
        self._labelled: dict[str, list[float]] = dict(zip(stack.tasks, labelled.T.tolist(), strict=True))

    def odds(self, columns: Sequence[float], tags: frozenset[str], heard: Heard, draft: Sequence[float]) -> list[float]:
        """A probability for each target. The first of the stack's tasks that is among `tags` counts."""
        task = next((name for name in self._stack.tasks if name in tags), "") if tags else ""
        said = []
        for bias, asked, answered in self._bases:
            odds = bias + heard.said[asked] + (draft[answered] if answered >= 0 else 0.0)
            said.append(min(max(odds, -MOST), MOST))
        if self._stack.crossed:
            return self._crossed(columns, task, heard.meaning, said)
        values = np.array(columns)
        missing = np.isnan(values)
        np.fmax(values, self._low, out=values)
        np.fmin(values, self._high, out=values)
        logits: list[float] = (self._columns.dot(values) + self._missing.dot(missing)).tolist()
        biases = self._labelled.get(task, self._bias)
        leaning = heard.leaning[self._begin : self._begin + len(logits)]
        words = [sum(map(mul, weights, said)) for weights in self._words]
        return list(map(_sigmoid, map(sum, zip(logits, biases, leaning, words, strict=True))))

    def _crossed(self, columns: Sequence[float], task: str, meaning: Floats, said: list[float]) -> list[float]:
        """As for recorded rows: where products of columns count, opinions have been heard, and that took longer."""
        known = Known(np.array([columns], np.float32), (task,), meaning[None], np.array([said], np.float32))
        found: list[float] = self._stack.predict(known)[0].tolist()
        return found


class _Words:
    """Lookups that are being put together: the weights of bases that read the same texts, each once."""

    def __init__(self) -> None:
        self._columns: list[tuple[Floats, Floats]] = []

    def place(self, idf: Floats, weights: Floats) -> int:
        for place, (other, known) in enumerate(self._columns):
            if np.array_equal(other, idf) and np.array_equal(known, weights):
                return place
        self._columns.append((idf, weights))
        return len(self._columns) - 1

    def table(self) -> _Table:
        return _Table(self._columns)


class _Table:
    """Weights by buckets. Most say nothing, so those that do stand close together, where they are found fast."""

    def __init__(self, columns: Sequence[tuple[Floats, Floats]]) -> None:
        idfs: list[Floats] = []
        self._idf: list[int] = []  # of each column
        for idf, _ in columns:
            place = next((place for place, other in enumerate(idfs) if np.array_equal(other, idf)), len(idfs))
            idfs[place:] = idfs[place:] or [idf]
            self._idf.append(place)
        self._idfs = len(idfs)
        used = np.zeros(BUCKETS, bool)
        for idf in idfs:
            used |= idf != 0
        buckets = np.flatnonzero(used)
        self._slots: NDArray[np.uint16 | np.uint32] = np.zeros(
            BUCKETS, np.uint16 if len(buckets) < 1 << 16 else np.uint32
        )
        self._slots[buckets] = np.arange(1, len(buckets) + 1)
        self._rows: NDArray[np.float32] = np.zeros((len(buckets) + 1, len(idfs) + len(columns)), np.float32)
        for place, values in enumerate([*[idf * idf for idf in idfs], *[idf * weights for idf, weights in columns]]):
            self._rows[1:, place] = values[buckets]

    def said(self, text: Sparse) -> list[float]:
        """For each column what it makes of a text of unit length (as `offline/fit.csr` makes it of many)."""
        if not self._idf:
            return []
        buckets, values = text
        rows = self._rows.take(self._slots.take(buckets), axis=0)
        sums: list[float] = values.dot(rows).tolist()
        squares: list[float] = (values * values).dot(rows).tolist()
        by = [1 / sqrt(square) if square > 0 else 0.0 for square in squares[: self._idfs]]
        return [value * by[place] for value, place in zip(sums[self._idfs :], self._idf, strict=True)]


def _meanings(stack: Stack) -> NDArray[np.float64]:
    """(targets, 256); as exact as columns and words are, whichever models stand beside it."""
    products = len(stack.crossed) * (len(stack.tasks) + len(stack.bases))
    end = stack.weights.shape[1] - products
    return stack.weights[:, end - 256 : end].astype(np.float64)


def _sigmoid(logit: float) -> float:
    return 1 / (1 + exp(-min(max(logit, -30.0), 30.0)))
