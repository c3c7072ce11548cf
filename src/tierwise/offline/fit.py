"""Fits a `Stack`: the lower storey on words, out of fold; the upper one on everything.

What a lower model says of a row that it was fitted on is too good to be true, so the heads learn from what it says
of rows that it has not seen. scikit-learn does the fitting; what comes out is arrays. Knows nothing of tiers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.grams import BUCKETS, Sparse
from tierwise.scorers.stack import MOST, Base, Floats, Known, Stack

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Rows = NDArray[np.intp]

FOLDS = 5
TEXT_C = 1.4  # inverse strength of the L2 penalty below: words are many and each says little
HEAD_C, HEAD_C_OF_FEWER = 0.01, 0.02  # ... and above, on standardised inputs: of SEVERAL rows, and of fewer
CROSSED_C = 0.005  # ... where products of columns are among them: they are many too
LEAST = 10  # rows to fit anything to
SEVERAL = 1_000  # rows from which on heads are held back more, and words tell the gain
MANY = 2_000  # rows from which on products of columns are worth their number
ENOUGH, ENOUGH_OF_FEW = 10, 3  # rows of a task that give it a label of its own
FEW = 300  # rows; of fewer, words say more wrong than right
MEANING, MEANING_OF_FEW = 1.0, 2.0  # weights of the meaning vector: where words can't be learnt it has to do ...
LABELS, LABELS_OF_FEW = 3.0, 2.0  # ... and of the tasks' labels: most rows have none of them, so few rows tell of each
SEEN = 2  # rows that a bucket must occur in


@dataclass(frozen=True)
class Data:
    """Everything known of n rows. `draft` None: a router's data. `columns` (n, len(names)), NaN for missing."""

    names: tuple[str, ...]
    columns: Floats
    tasks: Sequence[str]
    prompt: Sequence[Sparse]
    draft: Sequence[Sparse] | None
    meaning: Floats  # (n, 256)
    emphasis: Floats  # (columns,): how little each is held back by the penalty
    crossed: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True)
class Lower:
    """One fitted on `rows`, and what it says of them out of fold. `reads`: (target, what it reads) each."""

    rows: Rows
    reads: tuple[tuple[str, str], ...]
    idf_prompt: Floats
    idf_draft: Floats
    bases: tuple[Base, ...]
    said: Floats  # (rows, bases)

    def only(self, wanted: Sequence[tuple[str, str]]) -> Lower:
        """Those of its bases that are `wanted`."""
        kept = [place for place, one in enumerate(self.reads) if one in wanted]
        reads = tuple(self.reads[place] for place in kept)
        draft = self.idf_draft if any(what == "draft" for _, what in reads) else np.zeros(0, np.float32)
        bases = tuple(self.bases[place] for place in kept)
        return Lower(self.rows, reads, self.idf_prompt, draft, bases, self.said[:, kept])


Targets = Mapping[str, Floats]
"""What to predict: 0/1 or graded in [0, 1], a number for every row of the data."""


def lower(
    data: Data, targets: Targets, reads: Sequence[tuple[str, str]], rows: Rows, rng: np.random.Generator
) -> Lower:
    """A base for each of `reads`; none where there are FEW rows. Raises ValueError for fewer than ten."""
    if len(rows) < LEAST:
        raise ValueError(f"{len(rows)} labelled queries are too few to fit anything to; {LEAST} are the least")
    nothing = np.zeros(0, np.float32)
    if len(rows) < FEW:
        return Lower(rows, (), nothing, nothing, (), np.zeros((len(rows), 0), np.float32))
    folds = rng.permutation(len(rows)) % FOLDS
    idf_prompt, prompt = _matrix([data.prompt[row] for row in rows])
    idf_draft, draft = nothing, None
    if data.draft is not None:
        idf_draft, draft = _matrix([data.draft[row] for row in rows])
    fitted = [_base(what, targets[name][rows], (prompt, draft), folds) for name, what in reads]
    bases = tuple(base for base, _ in fitted)
    return Lower(rows, tuple(reads), idf_prompt, idf_draft, bases, np.stack([heard for _, heard in fitted], axis=1))


def upper(data: Data, targets: Targets, under: Lower) -> Stack:
    """The heads over a lower storey, one for each target, fitted on its rows."""
    rows = under.rows
    columns = data.columns[rows]
    tasks = [data.tasks[row] for row in rows]
    missing = np.isnan(columns)
    known = np.maximum((~missing).sum(0), 1)
    mean = np.where(missing, 0, columns).sum(0) / known
    spread = np.sqrt((np.where(missing, 0, columns - mean) ** 2).sum(0) / known)
    flagged = np.flatnonzero(missing.any(0) & ~missing.all(0))
    counts = Counter(tasks)
    few = len(rows) < FEW
    enough = ENOUGH_OF_FEW if few else ENOUGH
    labels = sorted(task for task, count in counts.items() if count >= enough and task)
    if len(labels) < 2:
        labels = []
    half = Stack(
        names=data.names,
        targets=tuple(targets),
        tasks=tuple(labels),
        crossed=data.crossed if len(rows) >= MANY else (),
        idf_prompt=under.idf_prompt,
        idf_draft=under.idf_draft,
        bases=under.bases,
        mean=mean.astype(np.float32),
        scale=(spread + 1e-6).astype(np.float32),
        emphasis=data.emphasis,
        flagged=flagged,
        absent=missing[:, flagged].mean(0).astype(np.float32),
        shares=np.array([counts[task] / len(tasks) for task in labels], np.float32),
        base_mean=under.said.mean(0),
        base_scale=under.said.std(0) + np.float32(1e-6),
        meaning=MEANING_OF_FEW if few else MEANING,
        weights=np.zeros((len(targets), 0), np.float32),
        bias=np.zeros(len(targets), np.float32),
    )
    inputs = half.inputs(Known(columns, tasks, data.meaning[rows], under.said))
    strength = CROSSED_C if half.crossed else (HEAD_C if len(rows) >= SEVERAL else HEAD_C_OF_FEWER)
    worth = _worth(half, data.meaning.shape[1], LABELS_OF_FEW if few else LABELS)
    heads = [_logistic(inputs * worth, values[rows], strength) for values in targets.values()]
    weights = np.stack([head[0] for head in heads]) * worth
    return replace(half, weights=weights, bias=np.array([head[1] for head in heads], np.float32))


def _worth(half: Stack, dimensions: int, labels: float) -> Floats:
    """(inputs,) of the heads: those of tasks count so much while a head is fitted. Not their products, which are many.

    A larger input is held back less by the penalty; afterwards the weight takes it over, so that nothing is served
    differently.
    """
    before, after = len(half.names) + len(half.flagged), len(half.bases) + dimensions
    products = len(half.crossed) * (len(half.tasks) + len(half.bases))
    return np.repeat(np.array([1, labels, 1], np.float32), [before, len(half.tasks), after + products])


def said_of(stack: Stack, data: Data, rows: Rows) -> Floats:
    """(rows, bases) what a stack's lower storey says of rows that it was not fitted on."""
    said = np.zeros((len(rows), len(stack.bases)), np.float32)
    if not stack.bases:
        return said
    prompt = csr([data.prompt[row] for row in rows], stack.idf_prompt)
    read_draft = data.draft is not None and len(stack.idf_draft) > 0
    draft = csr([data.draft[row] for row in rows], stack.idf_draft) if read_draft and data.draft is not None else None
    for place, base in enumerate(stack.bases):
        said[:, place] = prompt @ base.prompt + base.bias
        if base.reads == "draft" and draft is not None:
            said[:, place] += draft @ base.draft
    return np.clip(said, -MOST, MOST)


def predict(stack: Stack, data: Data, rows: Rows) -> Floats:
    """(rows, targets) probabilities."""
    tasks = [data.tasks[row] for row in rows]
    return stack.predict(Known(data.columns[rows], tasks, data.meaning[rows], said_of(stack, data, rows)))


def _matrix(texts: Sequence[Sparse]) -> tuple[Floats, csr_matrix]:
    """Inverse document frequencies (0: too rare), and the texts by them."""
    frequency = np.zeros(BUCKETS, np.float32)
    for buckets, _ in texts:
        frequency[buckets] += 1
    idf = np.where(frequency >= SEEN, 1 + np.log((1 + len(texts)) / (1 + frequency)), 0).astype(np.float32)
    return idf, csr(texts, idf)


def csr(texts: Sequence[Sparse], idf: Floats) -> csr_matrix:
    """(texts, BUCKETS): each weighted and of unit length, as `grams.weighted` does it one by one."""
    from scipy.sparse import csr_matrix, diags_array

    ends = np.cumsum([0, *(len(buckets) for buckets, _ in texts)])
    buckets = np.concatenate([buckets for buckets, _ in texts]) if texts else np.zeros(0, np.intp)
    values = np.concatenate([values for _, values in texts]) if texts else np.zeros(0, np.float32)
    matrix = csr_matrix((values * idf[buckets], buckets, ends), shape=(len(texts), BUCKETS), dtype=np.float32)
    matrix.eliminate_zeros()
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    scaled = diags_array(1 / np.maximum(lengths, 1e-9)).astype(np.float32) @ matrix
    return csr_matrix(scaled)


def _base(reads: str, values: Floats, inputs: tuple[csr_matrix, csr_matrix | None], folds: Rows) -> tuple[Base, Floats]:
    """A lower model, and what it says out of fold."""
    from scipy.sparse import hstack

    prompt, draft = inputs
    matrix: Any = prompt
    if reads == "draft" and draft is not None:
        matrix = hstack([prompt, draft]).tocsr()
    width = matrix.shape[1]
    used = np.flatnonzero(matrix.getnnz(axis=0))  # most buckets are empty, and an optimiser would carry them along
    matrix = matrix[:, used]
    heard = np.zeros(len(values), np.float32)
    for fold in range(int(folds.max()) + 1):
        seen = folds != fold
        weights, bias = _logistic(matrix[seen], values[seen], TEXT_C)
        heard[~seen] = matrix[~seen] @ weights + bias
    found, bias = _logistic(matrix, values, TEXT_C)
    weights = np.zeros(width, np.float32)
    weights[used] = found
    return Base(reads, weights[:BUCKETS], weights[BUCKETS:], bias), np.clip(heard, -MOST, MOST)


def graded(values: NDArray[np.floating]) -> bool:
    """Whether labels, or harm, are more than 0 or 1."""
    return bool(np.any((values != 0) & (values != 1)))


def _logistic(matrix: Any, values: Floats, strength: float) -> tuple[Floats, float]:
    """L2 logistic regression; a graded value counts as both outcomes, each with its share."""
    from scipy.sparse import issparse, vstack
    from sklearn.linear_model import LogisticRegression

    low, high = float(values.min()), float(values.max())
    if low == high:  # nothing to tell apart
        rate = min(max(low, 0.5 / (len(values) + 1)), 1 - 0.5 / (len(values) + 1))
        return np.zeros(matrix.shape[1], np.float32), float(np.log(rate / (1 - rate)))
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    if graded(values):
        twice = vstack([matrix, matrix]).tocsr() if issparse(matrix) else np.concatenate([matrix, matrix])
        labels = np.repeat([1, 0], len(values))
        model.fit(twice, labels, sample_weight=np.concatenate([values, 1 - values]) + 1e-6)
    else:
        model.fit(matrix, values > 0.5)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])
