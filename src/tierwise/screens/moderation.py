"""Moderation: a probability for each of OpenAI's 13 categories.

Twelve have a trained head; `sexual/minors` is found by rules over another one's (`minors.py`). Knows nothing of what is
done with a flagged text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tierwise.screens.minors import minors, worst_passage
from tierwise.screens.screen import Finding

if TYPE_CHECKING:
    from tierwise.screens.reader import Reader
    from tierwise.screens.weights import Floats

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
SEXUAL, MINORS = "sexual", "sexual/minors"
TRAINED = tuple(category for category in CATEGORIES if category != MINORS)
_INSIDE = tuple((name, name.partition("/")[0]) for name in TRAINED if "/" in name)

Score = TypeVar("Score")


def capped(shares: Mapping[str, Score], least: Callable[[Score, Score], Score]) -> dict[str, Score]:
    """Of each head, with no category surer than the one that it is a part of.

    Each head learnt from rows of its own, so nothing else keeps "intent" below "self-harm"; and the highest of all
    categories is that of the whole ones alone. `least` is `min`, or for arrays numpy's `minimum`.
    """
    found = dict(shares)
    for name, whole in _INSIDE:
        if name in shares:
            found[name] = least(shares[name], shares[whole])
    return found


def limits_of(thresholds: Mapping[str, float]) -> dict[str, float]:
    """Of every category the shipped threshold; one without a head has that of what it is a part of."""
    return {name: thresholds[name] if name in thresholds else thresholds[name.partition("/")[0]] for name in CATEGORIES}


class Moderation:
    """A text is flagged in each category whose probability reaches the shipped threshold."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._sexual = reader.heads.index(SEXUAL)
        self._limits = limits_of(reader.thresholds)

    def screen(self, text: str) -> Finding:
        return self._found(text, self._reader.probabilities(text))

    def screen_each(self, texts: Sequence[str]) -> list[Finding]:
        """The same of each of several texts; of short ones in half the time."""
        read = self._reader.probabilities_each(texts)
        return [self._found(text, shares) for text, shares in zip(texts, read, strict=True)]

    def _found(self, text: str, shares: Mapping[str, float]) -> Finding:
        scores = _scores(capped(shares, min), minors(text, shares[SEXUAL], self._each))
        return Finding(scores, tuple([name for name, score in scores.items() if score >= self._limits[name]]))

    def highest(self, parts: Sequence[str], read: Floats) -> dict[str, float]:
        """Of each category what the worst of several passages scores; `read` is what the reader's `each` says."""
        columns = capped(dict(zip(self._reader.heads, read.T, strict=True)), np.minimum)
        highest = dict(zip(columns, np.max([*columns.values()], axis=1).tolist(), strict=True))
        return _scores(highest, worst_passage(parts, read[:, self._sexual].tolist()))

    def _each(self, parts: Sequence[str]) -> Sequence[float]:
        return self._reader.each(parts)[:, self._sexual].tolist()  # type: ignore[no-any-return]


def _scores(shares: Mapping[str, float], minor: float) -> dict[str, float]:
    """Of every category. Where a phrase says that a minor is abused, that is sexual, whatever the head says."""
    known = {**shares, MINORS: minor, SEXUAL: max(shares[SEXUAL], minor)}
    return {name: known[name] for name in CATEGORIES}
