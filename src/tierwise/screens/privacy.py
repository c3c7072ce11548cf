"""Personal data in a text: where it is, and the text without it, for good or until the answer comes back.

What has a form is found by `patterns`, names and addresses by `recogniser`. Knows nothing of who may see what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tierwise.screens.patterns import TYPES as FORMED
from tierwise.screens.patterns import apart, formed
from tierwise.screens.recogniser import Recogniser
from tierwise.screens.screen import WINDOW, Finding, Span, windows

TYPES = (*FORMED, "name", "address")
_MARK = re.compile(r"<([A-Z_]{2,12})_(\d{1,6})>")


class Privacy:
    """Scores are 1 for each type that was found; everything that was found is flagged."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    def screen(self, text: str) -> Finding:
        spans = self.spans(text)
        found = tuple(dict.fromkeys(span.type for span in spans))
        return Finding(dict.fromkeys(found, 1.0), found, tuple(spans))

    def spans(self, text: str) -> list[Span]:
        """What was found, in the order of the text, without overlaps."""
        if len(text) <= WINDOW:
            return self._within(text)
        found = [
            Span(span.type, start + span.start, start + span.end)
            for start, part in windows(text)
            for span in self._within(part)
        ]
        return apart(sorted(set(found), key=lambda span: span.start - span.end))  # of one cut by an edge, the whole

    def _within(self, text: str) -> list[Span]:
        return apart([*formed(text), *self._recogniser.spans(text)])


def redact(text: str, spans: Sequence[Span]) -> str:
    """The text with [EMAIL], [NAME] and so on in the place of what was found."""
    return _swapped(text, [(span, f"[{span.type.upper()}]") for span in spans])


def replace(text: str, spans: Sequence[Span]) -> tuple[str, Mapping[str, str]]:
    """The text with a mark such as <EMAIL_1> for each value, and what each mark stands for. Equal values share a mark.

    Numbers that the text already uses for marks of its own are passed over, so `restore` gives the text back.
    """
    own = {found[0] for found in _MARK.finditer(text)}
    marks: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    swaps = []
    for span in spans:
        value = (span.type, text[span.start : span.end])
        while value not in marks:
            counts[span.type] = counts.get(span.type, 0) + 1
            mark = f"<{span.type.upper()}_{counts[span.type]}>"
            if mark not in own:
                marks[value] = mark
        swaps.append((span, marks[value]))
    return _swapped(text, swaps), {mark: value for (_, value), mark in marks.items()}


def restore(text: str, values: Mapping[str, str]) -> str:
    """An answer with the marks that `values` knows turned back."""
    return _MARK.sub(lambda found: values.get(found[0], found[0]), text)


def _swapped(text: str, swaps: Sequence[tuple[Span, str]]) -> str:
    parts, at = [], 0
    for span, mark in swaps:
        parts += [text[at : span.start], mark]
        at = span.end
    return "".join([*parts, text[at:]])
