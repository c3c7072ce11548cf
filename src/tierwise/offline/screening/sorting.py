"""Learning to sort: labelled texts to the artefact of a `Sorter`, and what it may be expected to get right.

Labels may be people's, or what premium answered to a route's own traffic. How sure the sorter is, and what keeping
its surest answers would give, is measured on folds that the model in question was not fitted to; rows of the same text
are in one fold. scikit-learn is needed to fit, and never to serve.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.imports.records import format_of, records
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.sorter import Learnt, parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 5
LABELS, ROWS, LONGEST = 1_000, 500_000, 200  # the most, and of characters of a label
KEPT = (0.5, 0.75, 0.9, 1.0)  # shares of texts, the surest, that the report tells of
INVERSE = 0.3  # of the support vectors' regularisation: chosen by cross-validation on banking77 and clinc150
_SLOPES = tuple(1.15**power for power in range(-10, 31))

Tell = Callable[[str, int, int], None]


class Wanted(NamedTuple):
    file: Path
    text: str = "text"
    label: str = "label"
    seed: int = 0


class Point(msgspec.Struct, frozen=True):
    """Where the surest `kept` are answered by the sorter and all others by premium: `right` of what it answers.

    `sure` is the probability from which it answers.
    """

    kept: float
    right: float
    sure: float


class Report(msgspec.Struct, frozen=True):
    rows: int
    labels: int
    left_out: int  # rows without a text or label
    accuracy: float  # by cross-validation
    points: tuple[Point, ...]
    rare: tuple[str, ...]  # labels with fewer rows than folds


class Texts(NamedTuple):
    texts: list[str]
    labels: list[str]
    left_out: int


def read(wanted: Wanted) -> Texts:
    """Raises ConfigError where a column is missing, or there is nothing to tell apart."""
    texts: list[str] = []
    labels: list[str] = []
    left_out = 0
    for row in records(wanted.file, format_of(wanted.file)):
        if row is not None and not (texts or left_out) and not {wanted.text, wanted.label} <= row.keys():
            known = ", ".join(sorted(row)[:12])
            raise ConfigError(
                f"{wanted.file}: has no columns {wanted.text} and {wanted.label}; its first row has {known}: "
                "--text and --label name others"
            )
        text, label = (row or {}).get(wanted.text), (row or {}).get(wanted.label)
        if not (isinstance(text, str) and text.strip() and isinstance(label, str) and 0 < len(label) <= LONGEST):
            left_out += 1
            continue
        texts.append(text)
        labels.append(label)
    counted = len(set(labels))
    if not 2 <= counted <= LABELS:
        raise ConfigError(
            f"{wanted.file}: has {counted:,} labels in {len(texts):,} rows; 2 to {LABELS:,} can be sorted"
        )
    if len(texts) > ROWS:
        raise ConfigError(f"{wanted.file}: has {len(texts):,} rows; {ROWS:,} are the most")
    return Texts(texts, labels, left_out)


def learn(found: Texts, seed: int, tell: Tell) -> tuple[Learnt, Report]:
    """Needs scikit-learn. Raises ConfigError where every label has one row only: nothing could be tested."""
    import numpy as np

    names = sorted(set(found.labels))
    target = np.array([names.index(label) for label in found.labels])
    words = _Words.of(found.texts)
    folds = np.array([_fold(text, seed) for text in found.texts])
    scores = np.full((len(target), len(names)), -np.inf, np.float32)
    for fold in range(FOLDS):
        tell("testing", fold, FOLDS)
        rest = folds != fold
        if len(set(target[rest].tolist())) > 1 and not rest.all():
            model = _fit(words.matrix[rest], target[rest])
            scores[np.ix_(~rest, model.classes_)] = model.decision(words.matrix[~rest])
    tell("fitting", 0, 1)
    slope = _slope(scores, target)
    last = _fit(words.matrix, target)
    counts = Counter(found.labels)
    report = Report(
        rows=len(target),
        labels=len(names),
        left_out=found.left_out,
        accuracy=float(np.mean(scores.argmax(axis=1) == target)),
        points=_points(_probabilities(scores, slope), target),
        rare=tuple(name for name in names if counts[name] < FOLDS),
    )
    size = len(words.buckets)
    learnt = Learnt(
        labels=tuple(names),
        buckets=words.buckets,
        idf=words.idf,
        table=last.weights[:, :size].T.astype(np.float16),
        dense=np.ascontiguousarray(last.weights[:, size:].T, np.float32),
        bias=last.bias,
        slope=slope,
        notes={"rows": float(report.rows), "accuracy": report.accuracy},
    )
    tell("fitting", 1, 1)
    return learnt, report


class _Words(NamedTuple):
    """All rows as one sparse matrix: words first, then the vector."""

    buckets: NDArray[np.uint32]
    idf: NDArray[np.float32]
    matrix: Any

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Words:
        import numpy as np
        from scipy import sparse

        encoder = load_encoder()
        seen: Counter[int] = Counter()
        for text in texts:
            seen.update(encoder.read(text)[0][0].tolist())
        buckets = np.array(sorted(seen), np.uint32)
        idf = np.array([1 + np.log((1 + len(texts)) / (1 + seen[bucket])) for bucket in buckets.tolist()], np.float32)
        rows = [parts(text, buckets, idf, encoder) for text in texts]
        ends = np.cumsum([0, *[len(at) for at, _, _ in rows]])
        sparse_part = sparse.csr_matrix(
            (np.concatenate([values for _, values, _ in rows]), np.concatenate([at for at, _, _ in rows]), ends),
            shape=(len(texts), len(buckets)),
        )
        vectors = sparse.csr_matrix(np.stack([vector for _, _, vector in rows]))
        return cls(buckets, idf, sparse.hstack([sparse_part, vectors], format="csr"))


class _Fitted(NamedTuple):
    classes_: NDArray[np.intp]
    weights: NDArray[np.float32]  # (classes, columns)
    bias: NDArray[np.float32]

    def decision(self, matrix: Any) -> NDArray[np.float32]:
        import numpy as np

        return np.asarray(matrix @ self.weights.T + self.bias, np.float32)


def _fit(matrix: Any, target: NDArray[np.intp]) -> _Fitted:
    """One support vector machine a label against all others: of linear models the best on short texts, and quick."""
    import numpy as np
    from sklearn.svm import LinearSVC

    with warnings.catch_warnings():  # many labels with few rows each are what this is for
        warnings.filterwarnings("ignore", message="The number of unique classes")
        model = LinearSVC(C=INVERSE, random_state=0).fit(matrix, target)
    weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    if len(model.classes_) == 2:  # one row stands for both
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return _Fitted(model.classes_, weights, bias)


def _slope(scores: NDArray[np.float32], target: NDArray[np.intp]) -> float:
    """What scores are multiplied by so that probabilities fit best what is true (temperature scaling)."""
    import numpy as np

    def loss(slope: float) -> float:
        likely = _probabilities(scores, slope)[np.arange(len(target)), target]
        return float(-np.mean(np.log(np.maximum(likely, 1e-6))))

    return min(_SLOPES, key=loss)


def _probabilities(scores: NDArray[np.float32], slope: float) -> NDArray[np.float64]:
    import numpy as np

    best = scores.max(axis=1, keepdims=True)
    odds = np.exp(np.where(np.isfinite(scores), (scores - np.where(np.isfinite(best), best, 0)) * slope, -50.0))
    shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _points(shares: NDArray[np.float64], target: NDArray[np.intp]) -> tuple[Point, ...]:
    import numpy as np

    best, right = shares.max(axis=1), shares.argmax(axis=1) == target
    order = np.argsort(-best, kind="stable")
    found = []
    for kept in KEPT:
        size = max(round(kept * len(order)), 1)
        surest = order[:size]
        found.append(Point(size / len(order), float(right[surest].mean()), float(best[surest[-1]])))
    return tuple(found)


def _fold(text: str, seed: int) -> int:
    """The same text is always in the same fold."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{text.strip().lower()}".encode()).digest()[:6]) % FOLDS
