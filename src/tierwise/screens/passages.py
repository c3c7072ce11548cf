"""A text in passages small enough that nothing in them is drowned by what stands around it: mostly its sentences.

What a classifier sees in "I want to die" it no longer sees where two calm sentences stand beside it. A sentence that is
long is read in overlapping parts, and short ones together with the one before. Where passages begin and end depends on
the text alone, not on the pieces in which it comes. Knows nothing of what is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 100  # characters of a part
PAIR = 80  # of two sentences that are read together
REACH = 20  # that a part ends earlier at most, to end with a word
_END = re.compile(r"[.!?]['\")\]]?\s|[\n\u3002\uff01\uff1f]")


class Passages:
    """A text as far as it has come. Up to `free` characters have been read with all that stands near them."""

    __slots__ = ("_cut", "_held", "_longest", "_reach", "_text", "free")

    def __init__(self, longest: int = LONGEST) -> None:
        self.free = 0
        self._longest = longest
        self._reach = min(REACH, longest // 4)
        self._text = ""  # from `free` on
        self._held = 0  # of it, the part that was read last
        self._cut = False  # ... which ended inside a sentence

    def add(self, text: str) -> list[str]:
        """What is to be read now that more has come."""
        self._text += text
        start, found = 0, []
        while (end := self._end(start + self._held)) is not None:
            if end - start > self._longest or not self._text[start + self._held : end].isspace():
                found.append(self._passage(start, end))
                self.free += self._held
                start += self._held
            self._held = end - start  # blank lines stay with what they follow
        if start:
            self._text = self._text[start:]
        return found

    def close(self) -> list[str]:
        """The rest. It is all free then."""
        rest = self._passage(0, len(self._text)) if len(self._text) > self._held else ""
        self.free += len(self._text)
        self._text, self._held, self._cut = "", 0, False
        return [rest] if rest else []

    def _end(self, begin: int) -> int | None:
        """Where the part that begins there ends; None while that can't be said."""
        latest = begin + self._longest
        sentence = _END.search(self._text, begin, latest)
        if sentence is not None:
            return sentence.end()
        if len(self._text) < latest:
            return None
        return self._text.rfind(" ", latest - self._reach, latest) + 1 or latest

    def _passage(self, start: int, end: int) -> str:
        """The part from where the one before ended, with that one where both are of one sentence, or short."""
        begin = start + self._held
        together = self._cut or end - start <= PAIR
        self._cut = _END.search(self._text, max(end - 3, begin), end) is None
        return self._text[start if together else begin : end]


def passages(text: str) -> Iterator[str]:
    """Of a whole text, without those that are blank."""
    parts = Passages()
    for part in (*parts.add(text), *parts.close()):
        if not part.isspace():
            yield part
