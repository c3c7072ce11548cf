"""A trained model of two storeys: what the words say, then everything that is known, both logistic.

Below, one linear model over the words of the prompt (or of prompt and draft) for each thing to predict. Above, one
logistic head for each: over measured columns, the task's label, what the prompt means, and what the storey below
said; where opinions were asked, also their products with task and words, because what agreement is worth depends on
those (stacking: Wolpert, 1992). Fitted by `offline/fit.py`; here only numpy arrays are multiplied, for one request or
for a million of recorded ones alike.

Missing columns are filled with the mean and flagged. Knows no request: columns and words come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CLIP = 4.0  # standard deviations beyond which a column says no more
EDGE = 0.995  # no probability of the storey below counts as more certain
MOST = float(np.log(EDGE / (1 - EDGE)))


@dataclass(frozen=True)
class Known:
    """What is known of some rows: `columns` (rows, columns), NaN for missing; `said` (rows, bases), log-odds."""

    columns: Floats
    tasks: Sequence[str]
    meaning: Floats  # (rows, 256), of the prompt
    said: Floats


@dataclass(frozen=True)
class Base:
    """A linear model of the lower storey. `reads` is "prompt", or "draft": prompt and draft."""

    reads: str
    prompt: Floats  # (BUCKETS,)
    draft: Floats  # (BUCKETS,), or (0,) where it reads no draft
    bias: float


@dataclass(frozen=True)
class Stack:
    """`names`, (columns,) of what `columns` holds; `targets`, what the heads predict, in their order."""

    names: tuple[str, ...]
    targets: tuple[str, ...]
    tasks: tuple[str, ...]
    crossed: tuple[int, ...]  # columns whose products with tasks and bases count too
    idf_prompt: Floats  # (BUCKETS,)
    idf_draft: Floats  # (BUCKETS,), or (0,)
    bases: tuple[Base, ...]
    mean: Floats  # (columns,)
    scale: Floats
    emphasis: Floats  # (columns,) how little the penalty held each back
    flagged: NDArray[np.intp]  # columns that may be missing
    absent: Floats  # share of rows in which each of them is
    shares: Floats  # (tasks,) of the rows
    base_mean: Floats  # (bases,)
    base_scale: Floats
    meaning: float  # the weight of a meaning vector of length 1 among columns of standard deviation 1
    weights: Floats  # (targets, inputs)
    bias: Floats  # (targets,)

    def predict(self, known: Known) -> Floats:
        """(rows, targets) probabilities."""
        return sigmoid(self.inputs(known) @ self.weights.T + self.bias)

    def inputs(self, known: Known) -> Floats:
        """(rows, inputs) of the heads."""
        missing = np.isnan(known.columns)
        measured = (known.columns - self.mean) * self._factor
        np.minimum(np.maximum(measured, -self._most, out=measured), self._most, out=measured)
        measured[missing] = 0
        labels = self._labels[[self._places.get(task, -1) for task in known.tasks]]
        words = (known.said - self.base_mean) / self.base_scale
        context = np.concatenate([labels, words], axis=1)
        flags = missing[:, self.flagged] - self.absent
        products = [measured[:, column, None] * context for column in self.crossed]
        return np.concatenate([measured, flags, context, np.float32(self.meaning) * known.meaning, *products], axis=1)

    def over(self, names: tuple[str, ...]) -> Stack:
        """The same model over more columns, its own among them. The others have no weight."""
        places = np.array([names.index(name) for name in self.names], np.intp)

        def spread(values: Floats, empty: float) -> Floats:
            wide = np.full((*values.shape[:-1], len(names)), empty, np.float32)
            wide[..., places] = values
            return wide

        own, others = np.split(self.weights, [len(self.names)], axis=1)
        return replace(
            self,
            names=names,
            crossed=tuple(places[list(self.crossed)].tolist()),
            mean=spread(self.mean, 0.0),
            scale=spread(self.scale, 1.0),
            emphasis=spread(self.emphasis, 1.0),
            flagged=places[self.flagged],
            weights=np.concatenate([spread(own, 0.0), others], axis=1),
        )

    @cached_property
    def _factor(self) -> Floats:
        return self.emphasis / self.scale

    @cached_property
    def _most(self) -> Floats:
        return np.float32(CLIP) * self.emphasis

    @cached_property
    def _places(self) -> dict[str, int]:
        return {task: place for place, task in enumerate(self.tasks)}

    @cached_property
    def _labels(self) -> Floats:
        """(tasks + 1, tasks): what stands for each task, and at last for all others."""
        others = np.zeros((1, len(self.tasks)), np.float32)
        return np.concatenate([np.eye(len(self.tasks), dtype=np.float32) - self.shares, others])


def sigmoid(logits: Floats) -> Floats:
    odds = np.exp(-np.minimum(np.maximum(logits, -30), 30))
    odds += 1
    return np.reciprocal(odds, out=odds)
