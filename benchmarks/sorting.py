"""A sorter as the cheap tier: how much of a stream of requests it takes over, and how often it is right. As

    python -m benchmarks.sorting --data DIR [--out FILE.json]

DIR holds public sets as NAME/NAME.jsonl.gz; banking77 and clinc150 (150 intents and what is out of scope) are read. The
set's labels stand for premium's answers. Two questions: what it keeps once it has learnt from four fifths of the rows
(five folds; intervals by bootstrap over rows), and a start without a label: requests come one by one, all go to premium
until there are 250 answers, and the sorter learns anew each time their number has grown by half.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tierwise.offline.screening.sorting import FOLDS, Texts, learn
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.sorter import Sorter

SETS = ("clinc150", "banking77")
KEPT = 0.75  # of all requests; the rest escalates
TARGET = 0.985  # of what it answers in the start without a label
BEGIN, GROWTH = 250, 1.5


def rows(data: Path, name: str) -> list[tuple[str, str]]:
    with gzip.open(data / name / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [(row["text"], str(row["intent"])) for row in map(json.loads, lines)]


def quiet(what: str, done: int, total: int) -> None:
    """Nobody is told."""


def held_out(found: list[tuple[str, str]]) -> dict[str, Any]:
    """By folds: the share that all answers are right where the surest are the sorter's and the others premium's."""
    order = np.random.default_rng(0).permutation(len(found)).tolist()
    right, sure = np.zeros(len(found), bool), np.zeros(len(found))
    seconds = 0.0
    for fold in range(FOLDS):
        inside = [found[place] for at, place in enumerate(order) if at % FOLDS != fold]
        learnt, _ = learn(Texts([text for text, _ in inside], [label for _, label in inside], 0), 0, quiet)
        model = Sorter(learnt, load_encoder())
        began = time.process_time()
        for place in order[fold::FOLDS]:
            said = model.sort(found[place][0])
            right[place], sure[place] = said.label == found[place][1], said.probability
        seconds += time.process_time() - began
    limit = np.quantile(sure, 1 - KEPT)
    kept = sure > limit
    good = np.where(kept, right, True)
    drawn = np.random.default_rng(0).integers(0, len(found), (1000, len(found)))
    low, high = np.quantile(good[drawn].mean(axis=1), (0.025, 0.975))
    return {
        "rows": len(found),
        "labels": len({label for _, label in found}),
        "alone": float(right.mean()),
        "escalated": float(1 - kept.mean()),
        "right": {"value": float(good.mean()), "low": float(low), "high": float(high)},
        "right_of_kept": float(right[kept].mean()),
        "microseconds": seconds / len(found) * 1e6,
    }


def from_nothing(found: list[tuple[str, str]]) -> list[dict[str, float]]:
    """After how many requests it answers what share, and how much of that is right. It learns from premium's only."""
    order = [found[place] for place in np.random.default_rng(1).permutation(len(found))]
    known: list[tuple[str, str]] = []
    model, limit, due = None, 1.1, float(BEGIN)
    told, answered, right = [], 0, 0
    for number, (text, label) in enumerate(order, 1):
        said = None if model is None else model.sort(text)
        if said is not None and said.probability >= limit:
            answered += 1
            right += said.label == label
        else:
            known.append((text, label))
        if len(known) >= due and len({name for _, name in known}) > 1:
            learnt, report = learn(Texts([text for text, _ in known], [name for _, name in known], 0), 0, quiet)
            model, due = Sorter(learnt, load_encoder()), len(known) * GROWTH
            limit = min((point.sure for point in report.points if point.right >= TARGET), default=1.1)
        if number in (500, 1000, 2000, 4000, 8000) or number == len(order):
            told.append(
                {
                    "requests": number,
                    "asked_of_premium": len(known),
                    "escalated": 1 - answered / number,
                    "right": (number - answered + right) / number,
                }
            )
    return told


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    results = {}
    for name in SETS:
        found = rows(asked.data, name)
        results[name] = {"learnt": held_out(found), "from_nothing": from_nothing(found)}
        figures = results[name]["learnt"]
        span = figures["right"]
        print(
            f"{name}: {figures['rows']:,} rows, {figures['labels']} labels; alone {figures['alone']:.1%}; at "
            f"{figures['escalated']:.1%} escalated {span['value']:.2%} [{span['low']:.2%}, {span['high']:.2%}] right, "
            f"of what it answers {figures['right_of_kept']:.2%}; {figures['microseconds']:.0f} us of CPU a text"
        )
        for point in results[name]["from_nothing"]:
            print(
                f"  from nothing, after {point['requests']:>6,}: {point['escalated']:.1%} went to premium so far, "
                f"{point['right']:.2%} right"
            )
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
