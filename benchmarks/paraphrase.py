"""Does the router decide alike when the same thing is asked in other words? Flip rates under changes of form.

A router that flips with case or spacing can be gamed, and is noise to whoever pays. The decision is taken at the
threshold that sends half of the unchanged prompts to premium. Knows nothing of answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.baselines import Fold
from tierwise.offline.learn import scores
from tierwise.offline.measured import measure
from tierwise.offline.outcomes import Pairs
from tierwise.stats.bounds import wilson
from tierwise.stats.frontier import apgr, curve

MOST = 2_000  # rows

CHANGES: Mapping[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "doubled spaces": lambda text: text.replace(" ", "  "),
    "space around, trailing blanks": lambda text: "\n\n  " + text.replace("\n", "  \n") + "\n\n",
    "typographic quotes": lambda text: re.sub(r'"([^"]*)"', "\u201c\\1\u201d", text).replace("'", "\u2019"),
    "Question: ...": lambda text: f"Question: {text}",
    "Please answer: ...": lambda text: f"Please answer: {text}",
    "Can you help me with this? ... Thanks!": lambda text: f"Can you help me with this?\n{text}\nThanks!",
    "options as (A) for A.": lambda text: re.sub(r"(?m)^([A-J])\. ", r"(\1) ", text),
    "without the closing \u201cAnswer:\u201d": lambda text: re.sub(r"\s*Answer:\s*$", "", text),
}


def flips(pairs: Pairs, fold: Fold) -> dict[str, Any]:
    """For each change: [flip rate, low, high], how far the mean score moves, and the APGR of the changed prompts."""
    rows = fold.test[:MOST]
    table = pairs.take(rows)
    before = scores(fold.learned, fold.measured, rows).router
    half = float(np.median(before))
    changed: dict[str, Any] = {}
    for name, change in CHANGES.items():
        prompts = [change(text) for text in table.prompt]
        seen = measure(replace(table, prompt=prompts))
        after = scores(fold.learned, seen, np.arange(len(rows))).router
        flipped = int(((before >= half) != (after >= half)).sum())
        changed[name] = {
            "flipped": [flipped / len(rows), *wilson(flipped, len(rows))],
            "moved": float(np.abs(after - before).mean()),
            "apgr": apgr(curve(table.cheap.score, table.premium.score, 1 - after)),
            "touched": float(np.mean([one != other for one, other in zip(prompts, table.prompt, strict=True)])),
        }
    unchanged = apgr(curve(table.cheap.score, table.premium.score, 1 - before))
    return {"n": len(rows), "apgr": unchanged, "spread": float(before.std()), "changes": changed}
