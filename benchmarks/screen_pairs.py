"""Texts that words alone hardly tell apart, from other hands than what the shipped screens learnt from. As

    python -m benchmarks.screen_pairs [--json benchmarks/results/screen_pairs.json]

`screen_pairs/CATEGORY.txt` has "+ text", which is of the category, and "- text", which is not and mostly uses the same
words; whoever wrote them had seen the seeds (to do otherwise) and no public set. Nothing here is learnt from, so these
are figures of the shipped file. No data is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.screens import drawn, exact
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.moderation import Moderation
from tierwise.screens.reader import Reader
from tierwise.screens.weights import load_weights

FOLDER = Path(__file__).parent / "screen_pairs"


def texts(file: Path) -> list[tuple[bool, str]]:
    """(whether it is of the category, text) of each line."""
    lines = [line.partition(" ") for line in file.read_text(encoding="utf-8").splitlines()]
    return [(mark == "+", text) for mark, _, text in lines]


def measured(file: Path, moderation: Moderation) -> dict[str, Any]:
    """How well the category's score tells the two apart, and what any category flags, with 95 % intervals."""
    rows = texts(file)
    found_of = [moderation.screen(text) for _, text in rows]
    labels, flagged = np.array([of for of, _ in rows]), np.array([bool(found.flagged) for found in found_of])
    own = np.array([found.scores[file.stem] for found in found_of])
    found: dict[str, Any] = {"auroc": drawn(roc_auc_score, labels, own)}
    for name, at in (("caught", labels), ("wrongly_flagged", ~labels)):
        hits, of = int(flagged[at].sum()), int(at.sum())
        found[name] = (hits / of, *exact(hits, of))
    return {"positive": int(labels.sum()), "negative": int((~labels).sum()), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    moderation = Moderation(Reader(load_weights(), load_encoder()))
    found = {file.stem: measured(file, moderation) for file in sorted(FOLDER.glob("*.txt"))}
    print("| category | of it / not | AUROC of its score | caught | wrongly flagged |\n|---|---|---|---|---|")
    for name, one in found.items():
        value, low, high = one["auroc"]
        shares = [f"{100 * of:.0f} % ({100 * least:.0f} to {100 * most:.0f})" for of, least, most in
                  (one["caught"], one["wrongly_flagged"])]  # fmt: skip
        area = f"{value:.2f} ({low:.2f} to {high:.2f})"
        print(f"| {name} | {one['positive']} / {one['negative']} | {area} | {' | '.join(shares)} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
