"""Parts of the traffic, and what can be said of each: a class, a language, long prompts, tools.

Knows what may set requests apart, and nothing of how a route decided.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tierwise.core.certificate import Segment
from tierwise.offline.fit import graded
from tierwise.offline.learn import Floats
from tierwise.offline.outcomes import Pairs
from tierwise.offline.recorded import request_of
from tierwise.scorers.features import prompt_of
from tierwise.scorers.language import language_of
from tierwise.stats.certify import bound

PART = 50  # rows of which a segment gets a bound of its own
MOST = 40  # segments: the largest
LONG = 2_000  # characters of a prompt from which on it is called long


def segments(pairs: Pairs, kept: NDArray[np.bool_], losses: Floats, delta: float) -> Iterator[Segment]:
    """The largest parts of the rows, by what may set them apart."""
    places: dict[str, list[int]] = {}
    for row in range(len(pairs)):
        for name in _parts(pairs, row):
            places.setdefault(name, []).append(row)
    largest = sorted(places, key=lambda name: (-len(places[name]), name))[:MOST]
    for name in largest:
        rows = np.array(places[name])
        if PART <= len(rows) < len(pairs):
            failures = float(np.where(kept[rows], losses[rows], 0.0).sum())
            most = bound(failures, len(rows), delta, binary=not graded(losses[rows]))
            yield Segment(name, len(rows), float(kept[rows].mean()), failures, most)


def _parts(pairs: Pairs, row: int) -> Iterator[str]:
    request = request_of(pairs.query_id[row], pairs.prompt[row], pairs.category[row], pairs.extra[row])
    if pairs.category[row]:
        yield f"class: {pairs.category[row][:60]}"
    yield f"language: {language_of(prompt_of(request))[0] or 'unknown'}"
    yield f"length: {'long' if len(pairs.prompt[row]) >= LONG else 'short'}"
    yield f"tools: {'offered' if request.tools else 'none'}"
