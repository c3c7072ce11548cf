"""The figures that travel beside the screens' weights: what `tierwise screen --list` shows of each head. As

    python -m benchmarks.screen_card --data DIR [--out src/tierwise/data/screens]

Of each head: how many rows of its class it finds at the shipped threshold, and how many others it flags, with exact
one-sided 95 % bounds. Each row is scored by heads that were not fitted to its fold, as in `benchmarks/screens.py`,
which may hand its scores to `cards`. Counted are the rows of public sets that a head learns from, each as one: texts of
our own were written for it, and would flatter it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.screen_weights import HEADS, ROOT, Corpus, corpus, probabilities, unseen
from tierwise.offline.screening.screen_labels import CONFIDENCE, false_blocks_of, recall_of
from tierwise.screens.cards import NAME, VERSION, Card, Cards, Source
from tierwise.screens.injection import HEAD
from tierwise.screens.moderation import TRAINED
from tierwise.screens.own import Trainable
from tierwise.screens.risk import shipped
from tierwise.screens.weights import SHA256, load_weights

OWN = Source("texts of our own", "this package's")
SOURCES: Mapping[str, Source] = {  # by how the sets' names begin, in `screen_weights.corpus`
    "moderation": Source("OpenAI moderation evaluation set", "MIT"),
    "hatecheck": Source("HateCheck", "CC-BY-4.0"),
    "davidson": Source("Davidson, hate speech and offensive language", "MIT"),
    "surge": Source("Surge AI toxicity", "MIT"),
    "xstest": Source("XSTest", "CC-BY-4.0"),
    "simplesafety": Source("SimpleSafetyTests", "CC-BY-4.0"),
    "harmbench": Source("HarmBench behaviours", "MIT"),
    "false_refusal": Source("PurpleLlama false refusals", "MIT"),
    "injection": Source("PurpleLlama prompt injections", "MIT"),
    "clinc": Source("CLINC150", "CC-BY-3.0"),
    "banking": Source("BANKING77", "CC-BY-4.0"),
    "gsm8k": Source("GSM8K", "MIT"),
    "mmlu": Source("MMLU", "MIT"),
    "pubmedqa": Source("PubMedQA", "MIT"),
    "legalbench": Source("LegalBench, 27 families of tasks", "CC-BY-4.0, MIT"),
    "arena": Source("Arena-Hard", "Apache-2.0"),
    "seed_": OWN,
    "policy_": OWN,
}


def cards(known: Corpus, shares: Mapping[str, Any], limits: Mapping[str, float], weights: str) -> Cards:
    """`shares`: of each head, every row's probability by a model that has not seen it; `limits`: shipped thresholds;
    `weights`: the SHA-256 of their file."""
    found = tuple([card(known, name, head, shares[head], limits[head]) for name, head in named()])
    return Cards(VERSION, weights, CONFIDENCE, found)


def write(made: Cards, folder: Path) -> None:
    content = msgspec.json.format(msgspec.json.encode(made), indent=1)
    (folder / NAME).write_bytes(content + b"\n")


def named() -> Iterator[tuple[str, str]]:
    """(class as a screen calls it, its head) of every head, such as ("moderation:hate", "hate")."""
    yield from ((f"moderation:{name}", name) for name in TRAINED)
    yield f"injection:{HEAD}", HEAD
    yield from ((f"risk:{one.name}", one.head) for one in shipped() if one.head is not None)


def card(known: Corpus, name: str, head: str, shares: Any, limit: float) -> Card:
    at, kinds, _ = known.taught(head)
    public = np.array([source(known.sets[row]) is not OWN for row in at])
    rows, first = np.unique(at[public], return_index=True)
    truth, flagged = kinds[public][first] == 1, shares[rows] >= limit
    screen: Trainable = "risk" if name.startswith("risk:") else "injection" if head == HEAD else "moderation"
    return Card(
        screen=screen,
        name=name.partition(":")[2],
        threshold=limit,
        recall=recall_of(int(flagged[truth].sum()), int(truth.sum())),
        false_blocks=false_blocks_of(int(flagged[~truth].sum()), int((~truth).sum())),
        measured=tuple(sorted({source(known.sets[row]).name for row in rows})),
        learnt=tuple(sorted({source(part[0]) for part in HEADS[head]}, key=lambda one: one.name)),
    )


def source(name: str) -> Source:
    """Of a set. Raises KeyError for one that nobody has said the licence of."""
    return next((found for begin, found in SOURCES.items() if name.startswith(begin)), None) or SOURCES[name]


def shares_of(known: Corpus) -> dict[str, Any]:
    """Of each head, every row's probability by a model that has not seen it: takes minutes."""
    return probabilities(known, unseen(known))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "src/tierwise/data/screens")
    options = parser.parse_args()
    known = Corpus(corpus(options.data))
    write(cards(known, shares_of(known), load_weights().thresholds, SHA256), options.out)


if __name__ == "__main__":
    main()
