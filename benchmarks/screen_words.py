"""The word list of `screens/spelling.py`, common words first. As

    python -m benchmarks.screen_words --data DIR [--out src/tierwise/data/screens/words.txt]

Words of the public sets that the screens learn from (`benchmarks/screen_weights.py` says which), by how many rows have
them, and of the encoder's vocabulary. Words, not texts: names and misspellings that are frequent are in it too.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.screen_weights import ROOT, corpus
from tierwise.screens.normalised import normalised

LEAST = 6  # rows that a word of the sets must be in, unless the encoder knows it
PAIR = 150  # rows that a word of two letters must be in
_WORD = re.compile(r"(?<![\w'])[a-z]{1,16}(?![\w'])")


def listed(texts: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """The words of the list; `known` are words that need not be in the texts, common ones first."""
    rows = Counter(word for text in texts for word in set(_WORD.findall(text)))
    order = {word: place for place, word in enumerate(known) if _WORD.fullmatch(word)}
    words = [word for word in {*rows, *order} if len(word) > 2 and (rows[word] >= LEAST or word in order)]
    words += [word for word in rows if len(word) == 2 and rows[word] >= PAIR]
    words += ["a", "i"]
    last = len(order)
    yield from sorted(words, key=lambda word: (-rows[word], order.get(word, last), word))


def vocabulary() -> list[str]:
    """The encoder's pieces."""
    with np.load(ROOT / "src/tierwise/data/encoder/minilm-256.npz", allow_pickle=False) as data:
        return data["vocabulary"].tobytes().decode().split("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "src/tierwise/data/screens/words.txt")
    options = parser.parse_args()
    rows = [row for row in corpus(options.data) if not row.set.startswith("seed_")]  # there are misspelt words in them
    words = [*listed((normalised(row.text) for row in rows), vocabulary())]
    options.out.write_text("\n".join(words) + "\n")
    print(f"{options.out}: {len(words):,} words")


if __name__ == "__main__":
    main()
