"""What it would take to screen better: how figures grow with labelled rows, and what a sentence model adds. As

    python -m benchmarks.screen_growth --data DIR [--jobs N] [--out benchmarks/results] [--model DIR]

The shipped fit (`benchmarks/screen_weights.py`), but with a share of OpenAI's moderation set, HateCheck's templates and
LegalBench's tasks only, always measured on all of their rows, as whole texts, by folds that were not learnt from. A row
weighs the same however many are kept.

DIR of `--model` is a folder with all-MiniLM-L6-v2, as `benchmarks/encoder.py` takes it, with what it says must be
installed: logistic regression on its vectors, learnt from the same rows (one in SPARSE of the sets that have many),
alone and added to our log-odds. It takes a thousand times as long as the shipped table and is no way to serve; it tells
whether meaning in context is what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from benchmarks.screen_weights import ARTS, CLEAN, FOLDS, HEADS, Corpus, corpus, fitted, place, probabilities
from benchmarks.screens import RESULTS, drawn, exact, highest
from tierwise.screens.moderation import TRAINED

mpl.use("Agg")
from matplotlib import pyplot as plt

SHARES = (0.125, 0.25, 0.5, 1.0)
CUT = ("moderation", "hatecheck", "legalbench")
BARS = {
    "any": 0.85, "sexual": 0.95, "self-harm": 0.75, "hate": 0.65, "violence": 0.45, "hatecheck": 0.96,
    "legalbench": 0.98,
}  # fmt: skip
OTHERS = 0.05  # of other traffic that may be flagged as legal
OWN = tuple(name for name in BARS if name in HEADS)  # categories with a label in OpenAI's set
SPARSE = 4
MANY = ("hatecheck", "davidson", "surge", "clinc", "banking", "gsm8k", "mmlu", "arena1", "arena2", "false_refusal")
TOKENS = 126  # of a text that MiniLM reads
GRID = "#e9ecf1"
COLOURS = {
    "any": "#1f2733", "sexual": "#2a6fdb", "hate": "#e8a013", "self-harm": "#c0392b", "violence": "#3a8f5c",
    "hatecheck": "#8e5bb5", "legalbench": "#0e8a94",
}  # fmt: skip


def growth(known: Corpus, jobs: int) -> Iterator[dict[str, Any]]:
    """For each share: how many rows of each set, and each figure with its interval."""
    at = {name: known.of(name) for name in CUT}
    with ProcessPoolExecutor(jobs, get_context("fork"), _share, (known,)) as pool:
        for share in SHARES:
            kept = np.ones(len(known.rows), bool)
            for row in np.concatenate([*at.values()]):
                kept[row] = place("growth" + known.rows[row].group) % 1000 < share * 1000
            rows = {name: int(kept[own].sum()) for name, own in at.items()}
            yield {"share": share, "rows": rows, **areas(known, unseen(known, kept, pool.map))}


def unseen(known: Corpus, kept: Any, run: Callable[..., Iterable[Any]]) -> dict[str, Any]:
    """Of each head (rows,): what nets say of whole texts that learnt from kept rows of other folds; `run` is a map."""
    odds = np.zeros((len(known.rows), len(HEADS)), np.float32)
    for one, part in enumerate(run(_fold, [(kept, one) for one in range(FOLDS)])):
        odds[known.folds == one] = part
    return dict(zip(HEADS, odds.T, strict=True))


_SHARED: list[Corpus] = []


def _share(known: Corpus) -> None:
    _SHARED.append(known)


def _fold(what: tuple[Any, int]) -> Any:
    """(rows of the fold, heads): what a net that learnt from other folds' kept rows says of whole texts."""
    (kept, one), known = what, _SHARED[0]
    out = np.flatnonzero(known.folds == one)
    return fitted(known, kept & (known.folds != one)).odds(known.grams[out], known.vectors[out])


def areas(known: Corpus, odds: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """(value, low, high): AUPRC on OpenAI's moderation set, by category and of `any` of them, and on HateCheck; and
    the share of LegalBench's rows that is found where OTHERS is flagged."""
    told, found = known.of("moderation"), {}
    shares = probabilities(known, odds)
    found["any"] = drawn(
        average_precision_score, known.label("any")[told], highest(np.array([shares[head][told] for head in TRAINED]))
    )
    for head in OWN:
        truth = known.label(head)[told]
        found[head] = drawn(average_precision_score, truth[truth >= 0], odds[head][told[truth >= 0]])
    cases = known.of("hatecheck")
    found["hatecheck"] = drawn(average_precision_score, known.label("hate")[cases], odds["hate"][cases])
    other = known.of("mmlu", *CLEAN, *ARTS)
    limit = np.quantile(odds["legal"][other[known.label("law")[other] != 1]], 1 - OTHERS)
    law = odds["legal"][known.of("legalbench")] > limit
    found["legalbench"] = (float(law.mean()), *exact(int(law.sum()), len(law)))
    return found


def sentence_model(known: Corpus, odds: Mapping[str, Any], model: Path) -> dict[str, dict[str, float]]:
    """AUPRC of each category by MiniLM's vectors alone, and added to ours, both at the same spread."""
    from benchmarks.encoder import Teacher  # noqa: PLC0415 - it needs torch, which is not among our requirements

    some = [row for row, one in enumerate(known.rows) if one.set not in MANY or row % SPARSE == 0]
    vectors = np.zeros((len(known.rows), 384), np.float32)
    vectors[some] = Teacher(model).sentences([known.rows[row].text for row in some], TOKENS)
    told, found = known.of("moderation"), {}
    for head in OWN:
        taught = known.taught(head)
        at, kinds, weights = (part[np.isin(taught[0], some)] for part in taught)
        truth, theirs = known.label(head), np.zeros(len(known.rows))
        for one in range(FOLDS):
            seen, out = known.folds[at] != one, told[known.folds[told] == one]
            fit = LogisticRegression(max_iter=300).fit(
                vectors[at[seen]], kinds[seen], sample_weight=weights[seen] * len(at) / weights.sum()
            )
            theirs[out] = fit.decision_function(vectors[out])
        own = told[truth[told] >= 0]
        both = theirs[own] / theirs[own].std() + odds[head][own] / odds[head][own].std()
        scores = {"ours": odds[head][own], "theirs": theirs[own], "both": both}
        found[head] = {name: float(average_precision_score(truth[own], score)) for name, score in scores.items()}
    return found


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Every figure over the share of its rows that was learnt from, with its bar at the right."""
    figure, axis = plt.subplots(figsize=(9.5, 6.5))
    shares = [one["share"] for one in found]
    for name, bar in BARS.items():
        value, low, high = np.array([one[name] for one in found]).T
        axis.plot(shares, value, color=COLOURS[name], marker="o", linewidth=2)
        axis.fill_between(shares, low, high, color=COLOURS[name], alpha=0.07, linewidth=0)
        axis.plot([1.03, 1.1], [bar, bar], color=COLOURS[name], linewidth=2.5)
    for name, height in apart({name: found[-1][name][0] for name in BARS}).items():
        axis.annotate(name, (1.14, height), color=COLOURS[name], va="center")
    axis.set_xscale("log", base=2)
    axis.set_xticks(
        shares, [f"{share:.0%}\n{one['rows']['moderation']:,}" for share, one in zip(shares, found, strict=True)]
    )
    axis.minorticks_off()
    axis.set_xlim(shares[0] * 0.95, 1.6)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("share of the labelled rows that is learnt from, and how many of OpenAI's set that is")
    axis.set_ylabel("on rows that were not learnt from; short lines: what is aimed at")
    axis.grid(color=GRID)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110, facecolor="white")
    plt.close(figure)


def apart(places: Mapping[str, float], least: float = 0.035) -> dict[str, float]:
    """Where names go so that none covers another."""
    found: dict[str, float] = {}
    for name, value in sorted(places.items(), key=lambda item: item[1]):
        found[name] = max(value, max(found.values(), default=-1.0) + least)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2, help="processes; each takes about 2 GB")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--model", type=Path, help="MiniLM's folder; then only it is measured, and its part written")
    options = parser.parse_args()
    known, file = Corpus(corpus(options.data)), options.out / "screen_growth.json"
    written = json.loads(file.read_text()) if file.exists() else {}
    if options.model:
        _share(known)
        odds = unseen(known, np.ones(len(known.rows), bool), map)
        written["sentence_model"] = sentence_model(known, odds, options.model)
        print(json.dumps(written["sentence_model"], indent=1))
    else:
        written["growth"] = []
        for point in growth(known, options.jobs):
            written["growth"].append(point)
            print(point["rows"], {name: f"{point[name][0]:.3f}" for name in BARS}, flush=True)
        draw(written["growth"], options.out / "screen_growth.png")
    file.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
