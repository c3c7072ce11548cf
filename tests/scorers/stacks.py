"""Data that are made up, with or without something to learn, and stacks fitted to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.offline.fit import Data, Rows, Targets, lower, upper
from tierwise.scorers.artefact import TierModel
from tierwise.scorers.grams import Sparse, grams
from tierwise.scorers.heads import Tier
from tierwise.scorers.stack import Stack

Floats = NDArray[np.float32]

NAMES = ("signal", "noise", "sometimes", "constant")
TASKS = ("law", "physics", "")
WORD, OTHER = 77, 78  # pieces of a vocabulary of 200 others


def data(n: int, seed: int, *, words: float = 0.0, column: float = 0.0) -> tuple[Data, Floats]:
    """n rows and their 0/1 labels. `words`, `column`: how much the prompts' words, or a column, tell of them.

    The column `sometimes` is missing in a third of the rows, and that says nothing.
    """
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.5).astype(np.float32)
    columns = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    columns[:, 0] += column * labels
    columns[rng.random(n) < 1 / 3, 2] = np.nan
    columns[:, 3] = 4
    prompt = [_text(rng, bool(label), words) for label in labels]
    draft = [_text(rng, bool(label), 0.0) for label in labels]
    meaning = (rng.normal(size=(n, 256)) / 16).astype(np.float32)
    tasks = [TASKS[int(place)] for place in rng.integers(0, len(TASKS), n)]
    return Data(NAMES, columns, tasks, prompt, draft, meaning, np.ones(len(NAMES), np.float32)), labels


def _text(rng: np.random.Generator, label: bool, told: float) -> Sparse:
    pieces = rng.integers(100, 300, 30)
    if rng.random() < told:
        pieces[0] = WORD if label else OTHER
    return grams(pieces.astype(np.uint16))


def fitted(known: Data, targets: Targets, rows: Rows | None = None, seed: int = 0) -> Stack:
    """Over one base for the first target that reads the prompt, and one that reads the draft too."""
    name = next(iter(targets))
    chosen = np.arange(len(known)) if rows is None else rows
    reads = [(name, "prompt"), (name, "draft")] if known.draft is not None else [(name, "prompt")]
    return upper(known, targets, lower(known, targets, reads, chosen, np.random.default_rng(seed)))


def one(stack: Stack, known: Data, row: int) -> list[float]:
    """What a stack says of one row, as it is said live."""
    tier = Tier(TierModel(stack, stack, None))
    heard = tier.hear(known.prompt[row], known.meaning[row])
    draft = [] if known.draft is None else tier.said(known.draft[row])
    tags = frozenset({known.tasks[row]}) - {""}
    return tier.alone.odds(known.columns[row].tolist(), tags, heard, draft)


def auc(scores: NDArray[np.floating], labels: Floats) -> float:
    """The chance that a positive row scores higher than a negative one."""
    higher = scores[labels > 0.5][:, None] - scores[labels <= 0.5][None, :]
    return float(np.mean((higher > 0) + 0.5 * (higher == 0)))
