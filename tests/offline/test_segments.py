"""Parts of the traffic: which rows are in which, and what is said of each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.offline.synthetic import bare, side
from tierwise.offline.outcomes import Pairs
from tierwise.offline.segments import LONG, MOST, PART, segments
from tierwise.stats.certify import bound

SIZE = 4 * PART
ENGLISH = "What is the sum of the first and the second number in this list?"
GERMAN = "Was ist die Summe der ersten und der zweiten Zahl in dieser Liste?"


def pairs(**texts: list[str]) -> Pairs:
    half = np.arange(SIZE) % 2
    found = bare(side("cheap", half), side("premium", np.ones(SIZE)))
    for name, values in texts.items():
        getattr(found, name)[:] = values
    return found


def parts(rows: Pairs, kept: Any = None) -> dict[str, tuple[int, float, float]]:
    keeps = np.ones(SIZE, bool) if kept is None else np.asarray(kept, bool)
    losses = rows.premium.score - rows.cheap.score
    return {part.name: (part.n, part.kept, part.failures) for part in segments(rows, keeps, losses, 0.1)}


def test_what_sets_requests_apart() -> None:
    """Class, language, length: each counts its rows, what is kept of them, and the harm of that."""
    first = [row < PART for row in range(SIZE)]
    rows = pairs(
        category=["law" if one else "" for one in first],
        prompt=[ENGLISH if one else GERMAN + "." * LONG for one in first],
    )
    found = parts(rows, [row % 4 != 3 for row in range(SIZE)])
    law, rest = found["class: law"], found["language: de"]
    assert found["language: en"] == found["length: short"] == law
    assert found["length: long"] == rest
    assert set(found) == {"class: law", "language: en", "language: de", "length: short", "length: long"}
    assert (law[0], rest[0]) == (PART, SIZE - PART)
    assert law[1] == pytest.approx(0.76)
    assert law[2] == 25.0


def test_each_has_a_bound_of_its_own() -> None:
    """Exact where harm is 0 or 1, at the same delta; graded harm has one that allows for it."""
    rows = pairs(category=["a"] * PART + ["b"] * (SIZE - PART))
    losses = np.zeros(SIZE)
    losses[0] = 1.0
    first, second = sorted(segments(rows, np.ones(SIZE, bool), losses, 0.1), key=lambda part: part.name)
    assert first.bound == bound(1.0, PART, 0.1, binary=True)
    assert second.bound == bound(0.0, SIZE - PART, 0.1, binary=True)
    (graded, *_) = segments(rows, np.ones(SIZE, bool), losses / 2, 0.1)
    assert graded.name == "class: b"
    last = [part for part in segments(rows, np.ones(SIZE, bool), losses / 2, 0.1) if part.name == "class: a"]
    assert last[0].bound == bound(0.5, PART, 0.1, binary=False)


@pytest.mark.parametrize("key", ["tools", "t\\u006fols"])
def test_what_was_recorded_of_a_request(key: str) -> None:
    """Its tools and its messages count, however their JSON is spelled."""
    tools = f'{{"{key}": [{{"name": "look"}}]}}'
    spoken = json.dumps({"messages": [{"role": "user", "content": GERMAN}], "finish": "stop"})
    extra = [tools] * PART + [spoken] * PART + [json.dumps({"finish": "stop"})] * PART + [""] * PART
    found = parts(pairs(prompt=[ENGLISH] * SIZE, extra=extra))
    assert found["tools: offered"][0] == PART
    assert found["tools: none"][0] == SIZE - PART
    assert (found["language: de"][0], found["language: en"][0]) == (PART, SIZE - PART)


def test_small_parts_and_many() -> None:
    """Too few rows say nothing, all rows are no part, and of many parts the largest are told."""
    odd = ["a"] * (PART - 1) + ["b"] * (SIZE - PART + 1)
    assert set(parts(pairs(category=odd, prompt=[ENGLISH] * SIZE))) == {"class: b"}
    many = PART * (MOST + 5)
    rows = bare(side("cheap", np.ones(many)), side("premium", np.ones(many)))
    rows.category[:] = [f"c{row // PART:02}" for row in range(many)]
    found = list(segments(rows, np.ones(many, bool), np.zeros(many), 0.1))
    # Three of the largest are of all rows: one language, one length, no tools.
    assert [part.name for part in found] == [f"class: c{number:02}" for number in range(MOST - 3)]
