"""Learning a screen: an operator's labelled texts to heads of their own, each with a threshold that is shown to hold.

Of the texts some are set aside by their hash, so that the same text is never on both sides. To the others a linear
model is fitted for each class, and stretched to probabilities by folds that it was not fitted to. Thresholds are set by
the rows set aside, by order statistics with the exact binomial bound: which of their scores it is depends only on how
many they are, so what holds for it holds for texts like these. scikit-learn is needed to fit, and never to serve.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import ceil, nextafter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.imports.records import format_of, records
from tierwise.offline.screening.screen_labels import (
    CONFIDENCE,
    MOST_CLASSES,
    Columns,
    Measured,
    Tally,
    columns,
    false_blocks_of,
    language_of,
    recall_of,
)
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.grams import grams
from tierwise.screens.injection import HEAD
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.normalised import normalised
from tierwise.screens.own import Head, Learnt, Own, Trainable
from tierwise.screens.risk import shipped
from tierwise.screens.screen import WINDOW
from tierwise.stats.bounds import binomial_tail, samples_needed
from tierwise.stats.buckets import weighted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS, ASIDE = 10, 4  # so many of ten parts are set aside to test on
FOLDS = 5
FEWEST = 8  # rows of a class, and others, that are fitted to
ROWS, LONGEST = 500_000, 60  # the most, and of characters of a class's name
INVERSE = 10.0  # of the regularisation
_LEAST = 1e-6  # of a threshold

Tell = Callable[[str, int, int], None]
Goal = Literal["recall", "false_blocks"]


class Aim(NamedTuple):
    """At least so much recall, or at most so many false blocks, with confidence 0.95 for each class; in (0, 1)."""

    goal: Goal
    share: float

    @property
    def errs(self) -> float:
        """The most that may go wrong."""
        return round(1 - self.share, 12) if self.goal == "recall" else self.share

    @property
    def needed(self) -> int:
        """Rows set aside without which nothing is shown, even if none of them goes wrong."""
        return samples_needed(self.errs, 1 - CONFIDENCE)


class Wanted(NamedTuple):
    """`labels` None: the columns that are called like the screen's classes."""

    file: Path
    screen: Trainable
    aim: Aim
    text: str = "text"
    labels: str | None = None
    seed: int = 0


class Line(msgspec.Struct, frozen=True):
    """A class. `more`: rows of it (or of none, where false blocks are bounded) that would be needed, 0 once shown."""

    head: Head
    positives: int  # of all rows
    more: int


class Report(msgspec.Struct, frozen=True):
    """`few`: classes with too few rows to learn them from. `languages`: of rows set aside, where a column says."""

    screen: Trainable
    rows: int
    aside: int
    left_out: int  # rows without a text or a label
    goal: Goal
    share: float
    classes: tuple[Line, ...]
    languages: tuple[Measured, ...]
    few: tuple[str, ...]


class Texts(NamedTuple):
    """`labels`: of each text, class -> whether it is of it; a class that lacks there is not known."""

    texts: list[str]
    labels: list[dict[str, bool]]
    languages: list[str]
    names: tuple[str, ...]
    left_out: int


def classes_of(screen: Trainable) -> tuple[str, ...]:
    if screen == "moderation":
        return CATEGORIES
    return (HEAD,) if screen == "injection" else tuple([one.name for one in shipped()])


def read(wanted: Wanted) -> Texts:
    """Raises ConfigError where a column is missing, or names no classes that this screen may have."""
    found: Columns | None = None
    texts: list[str] = []
    labels: list[dict[str, bool]] = []
    languages: list[str] = []
    left_out = 0
    for row in records(wanted.file, format_of(wanted.file)):
        if row is not None and found is None:
            if wanted.text not in row:
                known = ", ".join(sorted(row)[:12])
                raise ConfigError(f"{wanted.file}: has no column {wanted.text}; its first row has {known}: --text")
            found = columns(wanted.labels, row, classes_of(wanted.screen), wanted.file)
        text = row.get(wanted.text) if row is not None else None
        said = found.labels(row) if row is not None and found is not None else None
        if row is None or said is None or not isinstance(text, str) or not text.strip():
            left_out += 1
            continue
        texts.append(text)
        labels.append(said)
        languages.append(language_of(row))
    names = tuple(dict.fromkeys([name for said in labels for name in sorted(said)]))
    _check(wanted, names, len(texts))
    if found is not None and found.named is not None:
        labels = [dict.fromkeys(names, False) | said for said in labels]
    return Texts(texts, labels, languages, names, left_out)


def _check(wanted: Wanted, names: Sequence[str], rows: int) -> None:
    if not names or len(names) > MOST_CLASSES or rows > ROWS:
        raise ConfigError(
            f"{wanted.file}: has {len(names):,} classes in {rows:,} labelled rows; 1 to {MOST_CLASSES} classes and at "
            f"most {ROWS:,} rows can be learnt"
        )
    if wanted.screen == "injection" and tuple(names) != (HEAD,):
        raise ConfigError(f"{wanted.file}: the injection screen has one class, {HEAD}, and not {', '.join(names[:5])}")
    if any(len(name) > LONGEST or ":" in name for name in names):
        raise ConfigError(f"{wanted.file}: a class has a name of at most {LONGEST} characters, without a colon")


def learn(found: Texts, wanted: Wanted, tell: Tell) -> tuple[Learnt, Report]:
    """Needs scikit-learn. Raises ConfigError where no class has enough rows."""
    part = [_part(text, wanted.seed) for text in found.texts]
    fit = [number for number, (place, _) in enumerate(part) if place >= ASIDE]
    aside = [number for number, (place, _) in enumerate(part) if place < ASIDE]
    words = _Words.of([found.texts[number] for number in fit])
    folds = [part[number][1] for number in fit]
    fitted: list[_Fitted] = []
    few: list[str] = []
    for at, name in enumerate(found.names):
        tell("fitting", at, len(found.names))
        one = _fit(name, words, [found.labels[number].get(name) for number in fit], folds)
        few += [name] if one is None else []
        fitted += [] if one is None else [one]
    if not fitted:
        raise ConfigError(
            f"{wanted.file}: no class has {FEWEST} rows of it, and {FEWEST} others, among the {len(fit):,} that are "
            f"fitted to; the other {len(aside):,} are set aside to test on"
        )
    tell("fitting", len(found.names), len(found.names))
    bare = _learnt(wanted.screen, words, fitted)
    scores = _scored(bare, [found.texts[number] for number in aside], tell)
    known = [found.labels[number] for number in aside]
    lines = tuple([_line(one.name, found, known, scores, wanted.aim) for one in fitted])
    tally = Tally()
    for number, said, shares in zip(aside, known, scores, strict=True):
        for line in lines:
            if (truth := said.get(line.head.name)) is not None:
                flagged = shares[line.head.name] >= line.head.threshold
                tally.add(line.head.name, found.languages[number], truth=truth, flagged=flagged)
    languages = tuple([one for one in tally.measured() if one.language])
    rows = (len(found.texts), len(aside), found.left_out)
    learnt = msgspec.structs.replace(bare, heads=tuple([line.head for line in lines]))
    return learnt, Report(wanted.screen, *rows, *wanted.aim, lines, languages, tuple(few))


# ------------------------------------------------------------------ thresholds


def _line(
    name: str, found: Texts, known: Sequence[dict[str, bool]], scores: Sequence[dict[str, float]], aim: Aim
) -> Line:
    pairs = list(zip(known, scores, strict=True))
    positives = sorted([shares[name] for said, shares in pairs if said.get(name) is True])
    negatives = sorted([shares[name] for said, shares in pairs if said.get(name) is False])
    limit = lowest(positives, aim) if aim.goal == "recall" else highest(negatives, aim)
    recall = recall_of(sum(share >= limit for share in positives), len(positives))
    blocks = false_blocks_of(sum(share >= limit for share in negatives), len(negatives))
    certified = recall.bound >= aim.share if aim.goal == "recall" else blocks.bound <= aim.share
    tested = recall.n if aim.goal == "recall" else blocks.n
    more = 0 if certified else max(ceil((aim.needed - tested) * PARTS / ASIDE), 1)
    of_it = sum(said.get(name) is True for said in found.labels)
    return Line(Head(name, limit, recall, blocks, certified, CONFIDENCE), of_it, more)


def allowed(rows: int, errs: float) -> int:
    """How many of so many rows may go wrong, so that at most a share `errs` of all does; -1 where even none may."""
    return bisect_right(range(rows), 1 - CONFIDENCE, key=lambda wrong: binomial_tail(rows, errs, wrong)) - 1


def lowest(positives: Sequence[float], aim: Aim) -> float:
    """The threshold that misses as many of `positives`, which increase, as it may; where none may be, it misses none.

    0.5 without any.
    """
    if not positives:
        return 0.5
    return min(max(positives[max(allowed(len(positives), aim.errs), 0)], _LEAST), 1.0)


def highest(negatives: Sequence[float], aim: Aim) -> float:
    """The threshold just above all but as many of `negatives`, which increase, as may be blocked. 1 without any."""
    if not negatives:
        return 1.0
    return min(max(nextafter(negatives[-1 - max(allowed(len(negatives), aim.errs), 0)], 2), _LEAST), 1.0)


def _scored(learnt: Learnt, texts: Sequence[str], tell: Tell) -> list[dict[str, float]]:
    """As the screen will score them, to the last digit."""
    own = Own(learnt, load_encoder().encode)
    scores = []
    for number, text in enumerate(texts):
        if number % 256 == 0:
            tell("testing", number, len(texts))
        scores.append(own.scores(text))
    return scores


# ------------------------------------------------------------------ fitting


class _Words(NamedTuple):
    """All rows that are fitted to as one sparse matrix: n-grams first, then the vector."""

    buckets: NDArray[np.uint32]
    idf: NDArray[np.float32]
    matrix: Any

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Words:
        import numpy as np
        from scipy import sparse

        plain = [normalised(text[:WINDOW]) for text in texts]
        every = [grams(text) for text in plain]
        seen = np.bincount(np.concatenate([*every, np.zeros(0, np.intp)]).astype(np.intp))
        buckets = np.flatnonzero(seen).astype(np.uint32)
        idf = (1 + np.log((1 + len(texts)) / (1 + seen[buckets]))).astype(np.float32)
        rows = [weighted(found, buckets, idf) for found in every]
        ends = np.cumsum([0, *[len(at) for at, _ in rows]])
        values = np.concatenate([*[values for _, values in rows], np.zeros(0, np.float32)])
        at = np.concatenate([*[at for at, _ in rows], np.zeros(0, np.intp)])
        found = sparse.csr_matrix((values, at, ends), shape=(len(texts), len(buckets)))
        vectors = sparse.csr_matrix(load_encoder().encode_many(plain))
        return cls(buckets, idf, sparse.hstack([found, vectors], format="csr"))


class _Fitted(NamedTuple):
    name: str
    weights: NDArray[np.float64]
    bias: float
    slope: float
    shift: float


def _fit(name: str, words: _Words, labels: Sequence[bool | None], folds: Sequence[int]) -> _Fitted | None:
    """None where there are too few rows."""
    import numpy as np

    rows = np.array([number for number, label in enumerate(labels) if label is not None], np.intp)
    truth = np.array([bool(labels[number]) for number in rows])
    if min(int(truth.sum()), int((~truth).sum())) < FEWEST:
        return None
    matrix, fold = words.matrix[rows], np.array(folds)[rows]
    unseen = np.zeros(len(rows), bool)
    odds = np.zeros(len(rows))
    for number in range(FOLDS):
        out, rest = fold == number, fold != number
        if out.any() and truth[rest].any() and not truth[rest].all():
            weights, bias = _model(matrix[rest], truth[rest], INVERSE)
            odds[out] = matrix[out] @ weights + bias
            unseen |= out
    both = unseen.any() and truth[unseen].any() and not truth[unseen].all()
    slope, shift = _model(odds[unseen][:, None], truth[unseen], 1e3) if both else (np.ones(1), 0.0)
    weights, bias = _model(matrix, truth, INVERSE)
    return _Fitted(name, weights, bias, max(float(slope[0]), 0.01), shift)


def _model(matrix: Any, truth: NDArray[np.bool_], inverse: float) -> tuple[NDArray[np.float64], float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=inverse, solver="liblinear", random_state=0).fit(matrix, truth)
    return model.coef_[0], float(model.intercept_[0])


def _learnt(screen: Trainable, words: _Words, fitted: Sequence[_Fitted]) -> Learnt:
    """Without what is shown of it yet."""
    import numpy as np

    size = len(words.buckets)
    weights = np.stack([one.weights for one in fitted])
    nothing = recall_of(0, 0)
    return Learnt(
        screen=screen,
        heads=tuple([Head(one.name, 1.0, nothing, nothing, certified=False) for one in fitted]),
        buckets=words.buckets,
        idf=words.idf,
        table=weights[:, :size].T.astype(np.float16),
        dense=np.ascontiguousarray(weights[:, size:].T, np.float32),
        bias=np.array([one.bias for one in fitted], np.float32),
        slope=np.array([one.slope for one in fitted], np.float32),
        shift=np.array([one.shift for one in fitted], np.float32),
    )


def _part(text: str, seed: int) -> tuple[int, int]:
    """(one of PARTS, one of FOLDS): the same for texts that read alike."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{normalised(text)}".encode("utf-8", "replace")).digest()[:6])
    return number % PARTS, number // PARTS % FOLDS
