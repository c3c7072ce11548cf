"""Moderation: a probability for each of OpenAI's 13 categories, as far as there was data to learn them from.

Knows nothing of what is done with a flagged text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.screens.screen import Finding

if TYPE_CHECKING:
    from tierwise.screens.reader import Reader

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
TRAINED = (
    "harassment", "hate", "hate/threatening", "illicit", "self-harm", "sexual", "violence", "violence/graphic",
)  # fmt: skip
UNTRAINED = tuple(category for category in CATEGORIES if category not in TRAINED)
"""Their score is always 0: no data with a licence to ship what is learnt from it. It does not mean "harmless"."""


class Moderation:
    """A text is flagged in each category whose probability reaches the shipped threshold."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def screen(self, text: str) -> Finding:
        shares = self._reader.probabilities(text)
        scores = {category: shares.get(category, 0.0) for category in CATEGORIES}
        limits = self._reader.thresholds
        return Finding(scores, tuple(category for category in TRAINED if scores[category] >= limits[category]))
