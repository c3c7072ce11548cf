"""Outcomes that are made up: four models answer sums whose difficulty shows in the prompt, and doubt in the answer.

`cheap` is right where a question is easy, `premium` nearly always; `other` and `third` lie between them. A wrong
answer names another number, and often hedges, so drafts and opinions tell more than prompts do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.random import Generator

from tierwise.offline.fit import Data
from tierwise.offline.measured import Measured
from tierwise.offline.outcomes import Pairs, Side

Table = list[dict[str, Any]]

CHEAP, PREMIUM, OPINIONS = "cheap", "premium", ("other", "third")
CATEGORIES = ("billing", "law", "physics")
EASY = ("short", "plain", "single", "small", "usual")
HARD = ("nested", "recursive", "asymptotic", "stochastic", "adversarial")
SURE = "I have checked each step, so the answer is {}."
UNSURE = "I am not sure, perhaps something else applies; maybe the answer is {}."


class Skill(NamedTuple):
    """P(right) is `base` minus `slope` times difficulty; dollars a token."""

    base: float
    slope: float
    price: float


SKILLS: Mapping[str, Skill] = {
    "cheap": Skill(0.99, 0.8, 1e-7),
    "premium": Skill(0.99, 0.1, 1e-5),
    "other": Skill(0.95, 0.5, 2e-7),
    "third": Skill(0.95, 0.6, 1e-7),
}


def outcomes(n: int, seed: int, *, first: int = 0, bench: str = "sums", skills: Mapping[str, Skill] = SKILLS) -> Table:
    """A row for each of n queries and each model; ids from `first` on, so tables may overlap or not."""
    rng = np.random.default_rng(seed)
    rows: Table = []
    for number in range(first, first + n):
        difficulty = float(rng.random())
        asked = _question(number, difficulty, rng)
        right = int(rng.integers(1_000))
        rows += [_row(bench, asked, right, (name, difficulty), rng, skill) for name, skill in skills.items()]
    return rows


def _question(number: int, difficulty: float, rng: Generator) -> dict[str, Any]:
    words = [str(rng.choice(HARD if rng.random() < difficulty else EASY)) for _ in range(8)]
    category = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
    prompt = f"Question {number}. What is the sum of the {' '.join(words)} series?"
    return {"query_id": f"q{number:05}", "category": category, "prompt": prompt}


def _row(
    bench: str, asked: Mapping[str, Any], right: int, by: tuple[str, float], rng: Generator, skill: Skill
) -> dict[str, Any]:
    model, difficulty = by
    good = bool(rng.random() < skill.base - skill.slope * difficulty)
    result = right if good else int(rng.integers(1_000, 2_000))
    unsure = rng.random() < (0.1 if good else 0.8)
    tokens = int(rng.integers(15, 30))
    return {
        "bench": bench,
        **asked,
        "model": model,
        "response": (UNSURE if unsure else SURE).format(result),
        "answer": str(result),
        "reference": str(right),
        "score": float(good),
        "prompt_tokens": 20,
        "completion_tokens": tokens,
        "cost_usd": (20 + 2 * tokens) * skill.price,
        "latency_s": 0.01 * tokens,
        "extra": json.dumps({"finish": "stop"}),
    }


def saved(path: Path, rows: Table) -> Path:
    pl.DataFrame(rows, strict=False, infer_schema_length=None).write_parquet(path)
    return path


def changed(rows: Table, model: str | None = None, **values: Any) -> Table:
    """The same rows, one model's (or all) with other values."""
    return [{**row, **values} if model in (None, row["model"]) else row for row in rows]


def without(rows: Table, *columns: str) -> Table:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


# ------------------------------------------------------------------ without texts: arrays only


def side(model: str, score: Any, cost: Any = 1.0, **changes: Any) -> Side:
    score = np.asarray(score, float)
    size = len(score)
    numbers: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(changes.pop(name, math.nan), float), size).copy()
        for name in ("prompt_tokens", "completion_tokens", "latency")
    }
    paid = np.broadcast_to(np.asarray(cost, float), size).copy()
    values: dict[str, Any] = {"response": ["-"] * size, "answer": [None] * size, "unpriced": 0, **changes}
    return Side(model=model, score=score, cost=paid, **numbers, **values)


def bare(cheap: Side, premium: Side, *opinions: Side) -> Pairs:
    """Pairs of one category that ask nothing."""
    size = len(cheap.score)
    texts = {"category": ["c"] * size, "prompt": ["p"] * size, "extra": [""] * size}
    return Pairs(
        query_id=[f"q{row}" for row in range(size)], cheap=cheap, premium=premium, opinions=opinions, dropped=0, **texts
    )


def measured(alone: Any, consulted: Any = None, blocked: Any = None, *, router: Any = None) -> Measured:
    """What is known of rows that nobody had to read: (rows, columns) each. Without `router` it knows nothing."""
    size = len(alone)
    flags = np.ones(size, bool)
    stopped = ~flags if blocked is None else np.asarray(blocked, bool)
    return Measured(
        _data(np.zeros((size, 1)) if router is None else router, draft=False),
        _data(alone),
        None if consulted is None else _data(consulted),
        flags,
        stopped,
        flags,
    )


def _data(columns: Any, *, draft: bool = True) -> Data:
    values = np.asarray(columns, np.float32)
    size, width = values.shape
    words = [(np.array([row % 7], np.intp), np.ones(1, np.float32)) for row in range(size)]
    names = tuple(f"x{place}" for place in range(width))
    nothing = np.zeros((size, 1), np.float32)
    free = np.full(width, 5, np.float32)  # as good as no penalty: few rows, few columns
    return Data(names, values, ["c"] * size, words, words if draft else None, nothing, free)


def world(n: int, seed: int, *, opinion_cost: float | None = None) -> tuple[Measured, Pairs]:
    """Rows whose verifier has a blurred view of how good the draft is, and with opinions a clearer one."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=n)
    cheap = rng.random(n) < 1 / (1 + np.exp(-1.5 - 2.5 * ease))
    premium = rng.random(n) < 0.9
    drafted = np.stack([ease + 0.7 * rng.normal(size=n), rng.normal(size=n)], axis=1)
    clearer = np.concatenate([drafted, (cheap + 0.4 * rng.normal(size=n))[:, None]], axis=1)
    opinions = () if opinion_cost is None else (side("other", premium, opinion_cost),)
    pairs = bare(side("cheap", cheap, 0.05), side("premium", premium, 1.0), *opinions)
    return measured(drafted, None if opinion_cost is None else clearer, router=ease[:, None]), pairs
