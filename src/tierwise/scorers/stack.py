"""A trained model of two storeys: what the words say, then everything that is known, both logistic.

Below, one linear model over the words of the prompt (or of prompt and draft) for each thing to predict. Above, one
logistic head for each: over measured columns, the task's label, what the prompt means, and what the storey below
said; where opinions were asked, also their products with task and words, because what agreement is worth depends on
those (stacking: Wolpert, 1992). Fitted by
`offline/fit.py`; here only numpy arrays are multiplied, for one request or for a million of recorded ones alike.

Missing columns are filled with the mean and flagged. Knows no request: columns and words come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.grams import Sparse, weighted

Floats = NDArray[np.float32]

CLIP = 4.0  # standard deviations beyond which a column says no more
EDGE = 0.995  # no probability of the storey below counts as more certain
MOST = float(np.log(EDGE / (1 - EDGE)))


@dataclass(frozen=True)
class Known:
    """What is known of some rows: `columns` (rows, columns), NaN for missing; `said` (rows, bases) by `Stack.heard`."""

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
        columns, tasks = known.columns, known.tasks
        missing = np.isnan(columns)
        measured: Floats = np.where(missing, np.float32(0), (columns - self.mean) / self.scale).astype(np.float32, copy=False)
        np.clip(measured, -CLIP, CLIP, out=measured)
        measured *= self.emphasis
        labels = np.zeros((len(columns), len(self.tasks)), np.float32)
        places = {task: place for place, task in enumerate(self.tasks)}
        for row, task in enumerate(tasks):
            if task in places:
                labels[row] = -self.shares
                labels[row, places[task]] += 1
        words = (known.said - self.base_mean) / self.base_scale
        context = np.concatenate([labels, words], axis=1)
        flags = missing[:, self.flagged].astype(np.float32) - self.absent
        products = [measured[:, [column]] * context for column in self.crossed]
        return np.concatenate([measured, flags, context, np.float32(self.meaning) * known.meaning, *products], axis=1)

    def heard(self, asked: Sparse, said: Sparse | None) -> Floats:
        """(bases,) what the lower storey says of one row, as log-odds: grams of its prompt, and of its draft."""
        if not self.bases:
            return np.zeros(0, np.float32)
        prompt = weighted(asked, self.idf_prompt)
        draft = None if said is None or not len(self.idf_draft) else weighted(said, self.idf_draft)
        odds = [_said(base, prompt, draft) for base in self.bases]
        return np.clip(np.array(odds, np.float32), -MOST, MOST)


def _said(base: Base, prompt: Sparse, draft: Sparse | None) -> float:
    said = float(prompt[1] @ base.prompt[prompt[0]]) + base.bias
    if base.reads == "draft" and draft is not None:
        said += float(draft[1] @ base.draft[draft[0]])
    return said


def sigmoid(logits: Floats) -> Floats:
    odds = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return odds.astype(np.float32, copy=False)
