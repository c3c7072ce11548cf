"""Texts of our own that say what a head is, and what only looks like it: `data/screens/seeds/HEAD.txt`.

A line "+ text" is of the head, "- text" is not, "# text" is a remark. "+intent text" is of a kind of it too, and
"+intent+instructions text" of two; where a file names a kind, its other positive lines are not of it. "= name: a | b"
defines what {name} stands for in the lines below; of a line with slots some fillings are made, always the same. Public
sets have 20 to 220 positive rows a head, so such texts help. Knows nothing of how a head is fitted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent.parent / "src/tierwise/data/screens/seeds"
FILLINGS = 8  # of a line with slots, at most
_SLOT = re.compile(r"\{([a-z]+)\}")


class Seed(NamedTuple):
    """`line` is what `text` was made from: texts of one line belong together. `kinds`: of a positive text, for each
    kind that its file names, whether it is of it."""

    head: str
    text: str
    line: str
    positive: bool
    kinds: Mapping[str, bool]


def seeds() -> Iterator[Seed]:
    """All of them, in the order of the files."""
    for file in sorted(FOLDER.glob("*.txt")):
        yield from _read(file.stem, file.read_text(encoding="utf-8").splitlines())


def _read(head: str, lines: list[str]) -> Iterator[Seed]:
    slots: dict[str, list[str]] = {}
    named = sorted({kind for line in lines for kind in _kinds(line)})
    for line in lines:
        mark, _, text = line.partition(" ")
        if mark == "=":
            name, _, values = text.partition(": ")
            slots[name] = [value.strip() for value in values.split(" | ")]
        elif mark[:1] in ("+", "-"):
            positive, own = mark[0] == "+", _kinds(line)
            kinds = {kind: kind in own for kind in named} if positive else {}
            made = dict.fromkeys(filled(text, slots, number) for number in range(FILLINGS))
            yield from (Seed(head, one, f"{head}: {text}", positive, kinds) for one in made)


def _kinds(line: str) -> list[str]:
    """Those that a line's mark names."""
    return [kind for kind in line.partition(" ")[0].split("+") if kind] if line.startswith("+") else []


def filled(text: str, slots: dict[str, list[str]], number: int) -> str:
    """The text with something in each slot; another `number` gives another choice. A value may hold slots too."""
    place = 0
    while found := _SLOT.search(text):
        values = slots[found[1]]
        first = hashlib.sha256(f"{place}/{text[found.end() :]}".encode()).digest()[0]
        text = text[: found.start()] + values[(first + number) % len(values)] + text[found.end() :]
        place += 1
    return text
