"""Parts of the traffic, and what can be said of each: a class, a language, long prompts, tools.

Knows what may set requests apart, and nothing of how a route decided.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tierwise.core.certificate import Segment
from tierwise.offline.fit import Rows, graded
from tierwise.offline.learn import Floats
from tierwise.offline.outcomes import Pairs
from tierwise.offline.recorded import request_of
from tierwise.scorers.features import prompt_of
from tierwise.scorers.language import language_of
from tierwise.scorers.reading import clipped
from tierwise.stats.certify import bound

PART = 50  # rows of which a segment gets a bound of its own
MOST = 40  # segments: the largest
LONG = 2_000  # characters of a prompt from which on it is called long
_TELLING = ("messages", "tools", "\\")  # one of these stands in any JSON that says more of a request than its prompt


def segments(pairs: Pairs, kept: NDArray[np.bool_], losses: Floats, delta: float) -> Iterator[Segment]:
    """The largest parts of the rows, by what may set them apart."""
    places: dict[str, Rows] = {}
    for names in _parts(pairs):
        different, number = np.unique(np.array(names, object), return_inverse=True)
        order = np.argsort(number, kind="stable")
        ends = np.cumsum(np.bincount(number))[:-1]
        places |= zip(different.tolist(), np.split(order, ends), strict=True)
    places.pop("", None)
    largest = sorted(places, key=lambda name: (-len(places[name]), name))[:MOST]
    for name in largest:
        rows = places[name]
        if PART <= len(rows) < len(pairs):
            failures = float(np.where(kept[rows], losses[rows], 0.0).sum())
            most = bound(failures, len(rows), delta, binary=not graded(losses[rows]))
            yield Segment(name, len(rows), float(kept[rows].mean()), failures, most)


def _parts(pairs: Pairs) -> Iterator[list[str]]:
    """For each thing that may set requests apart, which part every row is in; "" for none."""
    yield [f"class: {category[:60]}" if category else "" for category in pairs.category]
    asked = [_asked(*row) for row in zip(pairs.prompt, pairs.extra, strict=True)]
    yield [f"language: {language_of(text)[0] or 'unknown'}" for text, _ in asked]
    yield [f"length: {'long' if len(prompt) >= LONG else 'short'}" for prompt in pairs.prompt]
    yield [f"tools: {'offered' if tools else 'none'}" for _, tools in asked]


def _asked(prompt: str, extra: str) -> tuple[str, bool]:
    """What the user of a row's request says, and whether tools were offered."""
    if not any(mark in extra for mark in _TELLING):
        return clipped(prompt), False  # as `request_of` would have it, in a tenth of the time
    request = request_of("", prompt, "", extra)
    return prompt_of(request), bool(request.tools)
