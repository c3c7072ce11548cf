"""Measures the cases of the frontier: every score out of fold, with bootstrap intervals, and what it costs.

Rows are measured once for all cases of one pair of models; for each fold our models are fitted once and all methods
judged on the rows that they have not seen. Knows nothing of how figures are shown, and of files only the tables.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import AFTER, BEFORE, HEARD, STRONGEST, Baseline, Fold
from benchmarks.frontier_cases import Case
from benchmarks.frontier_figures import Paid, figures, hull, line, means, paths
from benchmarks.frontier_policies import cascade, labelfree_policy, played, resplits
from benchmarks.paraphrase import flips
from tierwise.offline.fit import Rows
from tierwise.offline.learn import Floats, Scores, learn, scores
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, pair, read
from tierwise.offline.played import models_of

FOLDS, GROUPS = 5, 10
Tell = Callable[[str], None]
Split = list[tuple[Rows, Rows]]
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Effort:
    """`rounds` of the bootstrap, `draws` of few labels, `resplits` for certificates, `most` queries a table."""

    rounds: int = 1000
    draws: int = 10
    resplits: int = 60
    most: int | None = None


QUICK = Effort(100, 2, 4, 600)


def run(cases: Sequence[Case], data: Path, effort: Effort, tell: Tell) -> Iterator[dict[str, Any]]:
    """The cases of one source, one after the other; `tell` hears what is being done."""
    tell(f"{cases[0].name}: measuring")
    pairs = _table(cases, data, effort)
    measured = measure(pairs)
    for case in cases:
        start = time.perf_counter()
        scored = _regraded(pairs, data) if case.regraded else pairs
        found = _row(case, scored, measured, effort, tell)
        yield found | {"seconds": round(time.perf_counter() - start, 1)}


def _table(cases: Sequence[Case], data: Path, effort: Effort) -> Pairs:
    first = cases[0]
    frame = read(data / "outcomes" / f"{first.bench}.parquet", need=("query_id", "model", "score", "prompt"))
    common = sorted(set.intersection(*(set(case.skip) for case in cases)))
    pairs = pair(frame, first.cheap, first.premium, first.opinions, None, common)
    if effort.most is not None and len(pairs) > effort.most:
        pairs = pairs.take(np.sort(np.random.default_rng(0).permutation(len(pairs))[: effort.most]))
    return pairs


def _row(case: Case, pairs: Pairs, measured: Measured, effort: Effort, tell: Tell) -> dict[str, Any]:
    rows = np.array([row for row, category in enumerate(pairs.category) if category not in case.skip])
    parts = splits(case, pairs, rows, effort)
    folds = []
    for number, (train, test) in enumerate(parts):
        tell(f"{case.name}: fitting {number + 1} of {len(parts)}")
        learned = learn(measured, pairs, train, np.random.default_rng(number))
        folds.append(Fold(pairs, measured, train, test, learned))
    tell(f"{case.name}: baselines")
    methods = _ours(case, folds) | _baselines(case, folds)
    table = pairs.take(rows)
    found = _about(case, table)
    rng = np.random.default_rng(0)
    if case.labels is not None:
        found["methods"] = {name: _few(folds, scored, effort) for name, scored in methods.items()}
        return found | {"draws": len(folds), "curves": {}}
    pooled = {name: _pooled(len(pairs), folds, scored) for name, scored in methods.items()}
    paid = paths(pairs)
    if case.opinions:
        pooled["cascade"], asks = cascade(pairs, parts, pooled)
        paid["cascade"] = Paid(paid["after"].first + asks * paid["opinions"].first, paid["after"].then)
        found["asked"] = float(asks[rows].mean())
    tell(f"{case.name}: intervals")
    found["methods"] = {}
    found["curves"] = {}
    for name, values in pooled.items():
        way = _way(name, pairs, paid).take(rows)
        found["methods"][name] = figures(table, values[rows], way, rng, effort.rounds)
        found["curves"][name] = line(table, values[rows], way)
    if not case.unseen:
        found |= _policies(case, (pairs, measured), (rows, parts), pooled, (effort, tell))
    if case.name == "mmlu":
        tell(f"{case.name}: paraphrases")
        found["paraphrase"] = flips(pairs, folds[0])
    return found | {"hull": hull(table)}


def _policies(
    case: Case,
    known: tuple[Pairs, Measured],
    where: tuple[Rows, Split],
    pooled: dict[str, Floats],
    how: tuple[Effort, Tell],
) -> dict[str, Any]:
    (pairs, measured), (rows, parts), (effort, tell) = known, where, how
    rng = np.random.default_rng(0)
    tell(f"{case.name}: certificates")
    worth = [
        None if name not in pooled else 1 - np.nan_to_num(pooled[name]) for name in ("router", "alone", "consulted")
    ]
    ranked = Scores(*worth)  # type: ignore[arg-type]
    found: dict[str, Any] = {
        "played": means(*played(pairs, measured, parts, ranked), pairs.take(rows), rng, effort.rounds)
    }
    if case.verify:
        fate = labelfree_policy(pairs, measured, rows)
        found["labelfree"] = means(fate, {}, pairs.take(rows), rng, effort.rounds)
        found["judge_cost"] = _judge_cost(pairs.take(rows))
    if case.resplit:
        found["resplits"] = resplits(
            pairs, measured, rows, effort.resplits, lambda done: tell(f"{case.name}: resplit {done}")
        )
    return found


def splits(case: Case, pairs: Pairs, rows: Rows, effort: Effort) -> Split:
    """(learn from, test on) each. With few labels, several draws, tested on all that was not drawn."""
    rng = np.random.default_rng(0)
    if case.labels is not None:
        draws = [np.random.default_rng(seed).permutation(rows) for seed in range(effort.draws)]
        count = min(case.labels, len(rows) // 2)
        return [(np.sort(draw[:count]), np.sort(draw[count:])) for draw in draws]
    if case.unseen:
        names = sorted({pairs.category[row] for row in rows})
        group = dict(zip(names, (rng.permutation(len(names)) % GROUPS).tolist(), strict=True))
        part = np.array([group[pairs.category[row]] for row in rows])
    else:
        part = rng.permutation(len(rows)) % FOLDS
    return [(rows[part != k], rows[part == k]) for k in sorted(set(part.tolist()))]


Scored = list[Floats]


def _ours(case: Case, folds: Sequence[Fold]) -> dict[str, Scored]:
    """How strongly each test row should escalate, by our own models, a list with one array for each fold."""
    found: dict[str, Scored] = {}
    for fold in folds:
        seen = scores(fold.learned, fold.measured, fold.test)
        for name in ("router", *(("alone", "consulted") if case.verify else ())):
            worth = getattr(seen, name)
            if worth is not None:
                found.setdefault(name, []).append(1 - worth)
    return found


def _baselines(case: Case, folds: Sequence[Fold]) -> dict[str, Scored]:
    wanted: dict[str, Baseline] = dict(BEFORE)
    if case.unseen or len(set(folds[0].pairs.category)) < 2:
        del wanted["task means (label known)"]
    if case.verify:
        wanted |= AFTER
    if case.opinions:
        wanted |= HEARD
    return {name: [scored(fold) for fold in folds] for name, scored in wanted.items()}


def _pooled(size: int, folds: Sequence[Fold], scored: Scored) -> Floats:
    whole = np.full(size, np.nan)
    for fold, values in zip(folds, scored, strict=True):
        whole[fold.test] = values
    return whole


def _few(folds: Sequence[Fold], scored: Scored, effort: Effort) -> dict[str, list[float]]:
    """Mean over the draws, the lowest and the highest."""
    rng = np.random.default_rng(0)
    each = [
        figures(fold.pairs.take(fold.test), values, paths(fold.pairs)["before"].take(fold.test), rng, 0)
        for fold, values in zip(folds, scored, strict=True)
    ]
    values = {name: [item[name][0] for item in each] for name in each[0]}
    return {name: [float(np.mean(some)), min(some), max(some)] for name, some in values.items()}


def _way(name: str, pairs: Pairs, paid: dict[str, Paid]) -> Paid:
    """What a method's decisions cost."""
    if name == STRONGEST:
        best = max(pairs.opinions, key=lambda side: float(side.score.mean()))
        return Paid(paid["after"].first + best.cost, paid["after"].then)
    if name == "cascade":
        return paid["cascade"]
    kinds = {"before": {"router", *BEFORE}, "after": {"alone", *AFTER}, "heard": {"consulted", *HEARD}}
    return paid[next(kind for kind, names in kinds.items() if name in names)]


def _about(case: Case, table: Pairs) -> dict[str, Any]:
    cheap, premium = table.cheap.score, table.premium.score
    return {
        "name": case.name,
        "title": case.title,
        "bench": case.bench,
        "cheap": case.cheap,
        "premium": case.premium,
        "opinions": list(case.opinions),
        "n": len(table),
        "labels": case.labels,
        "dropped": table.dropped,
        "accuracy": {
            "cheap": float(cheap.mean()),
            "premium": float(premium.mean()),
            "oracle": float(np.maximum(cheap, premium).mean()),
            "opinions": [float(side.score.mean()) for side in table.opinions],
        },
    }


def _judge_cost(table: Pairs) -> float | None:
    """What a judge at premium's price pays to read every prompt and draft, over always-premium; None: unknown."""
    price = models_of(table)[0][1].price
    tokens = float((table.cheap.prompt_tokens + table.cheap.completion_tokens).sum())
    always = float(table.premium.cost.sum())
    if price is None or np.isnan(tokens) or not always > 0:
        return None
    return price.input * 1e-12 * tokens / always


# ------------------------------------------------------------------ another grader


def _regraded(pairs: Pairs, data: Path) -> Pairs:
    """Right where the last number of the response equals the gold answer's; queries without a gold one keep theirs."""
    with gzip.open(data / "gsm8k_gold" / "gsm8k_gold.jsonl.gz", "rt", encoding="utf-8") as file:
        items = [json.loads(text) for text in file]
    gold = {_letters(item["question"]): last_number(item["answer"].rpartition("####")[2]) for item in items}

    def graded(responses: Sequence[str | None], before: Floats) -> NDArray[np.float64]:
        found = before.copy()
        for row, (prompt, response) in enumerate(zip(pairs.prompt, responses, strict=True)):
            wanted = gold.get(_letters(prompt))
            if wanted is not None:
                found[row] = float(last_number(response or "") == wanted)
        return found

    sides = (pairs.cheap, pairs.premium)
    cheap, premium = (replace(side, score=graded(side.response, side.score)) for side in sides)
    return replace(pairs, cheap=cheap, premium=premium)


def last_number(text: str) -> float | None:
    """12 of "$1, in all 12.00 dollars."; None without any."""
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
