"""A request without the personal data in it: before it is decoded, routed, sent or kept.

Works on the bytes that the client sent, in any of its wires, and exchanges strings in place; so what is not masked
goes on as it came. Knows neither what counts as personal (`spans` finds it) nor who may see it; `screens/leaves.py`
knows where words stand, `screens/restoring.py` turns the marks back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Literal

import msgspec

from tierwise.dialects.openai_chat import bad_request
from tierwise.screens.leaves import BROKEN, Leaf, leaves, spliced, unquoted
from tierwise.screens.screen import Span

Way = Literal["redact", "replace"]
Spans = Callable[[str], Sequence[Span]]
_TELLING = 6  # characters of a value that is looked for everywhere: "May" is a month more often than a person
_IDENTIFIES = frozenset({"email"})  # of what says who is asking: other ids are needed as they are


def mask(body: bytes, spans: Spans, way: Way) -> tuple[bytes, Mapping[str, str], tuple[str, ...]]:
    """(the body, what each mark stands for, the types that were found, in the order of the body).

    "replace" puts a mark such as <EMAIL_1> for each value, by the order in which values appear: equal values share
    one, and a conversation that goes on keeps its marks. "redact" puts [EMAIL], and there is nothing to turn back.
    A value that was found in one place goes wherever it stands, also where it was not noticed. The same object comes
    back where nothing is found. Raises BadRequest for what is no JSON.
    """
    try:
        found = leaves(body)
        texts = [unquoted(body[leaf.start : leaf.end]) for leaf in found if leaf.kind != "number"]
        masker = _Masker(spans, way, texts)
        masked = spliced(body, found, masker.written)
        if masked is not body:
            masked = spliced(masked, leaves(masked), masker.swept)
    except BROKEN as error:
        raise bad_request(error) from None
    return masked, masker.values, tuple(masker.types)


class _Masker:
    """One request's marks, as they are given out."""

    def __init__(self, spans: Spans, way: Way, texts: Sequence[str]) -> None:
        self.values: dict[str, str] = {}
        self.types: dict[str, None] = {}
        self._spans = spans
        self._way = way
        self._marks: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._texts = texts
        self._taken: dict[str, set[int]] = {}  # by type: numbers of marks that the texts hold already

    def written(self, old: bytes, leaf: Leaf) -> bytes:
        """What stands in a leaf's place."""
        if leaf.kind == "number":
            return self._number(old, leaf)
        text = unquoted(old)
        if leaf.kind == "json":
            new = _within(text, self.written) or self._swapped(text, self._spans(text))
        elif leaf.kind in ("identifier", "key"):
            found = [span for span in self._spans(text) if span.type in _IDENTIFIES]
            new = self._swapped(text, found, bare=True)
        else:
            new = self._swapped(text, self._near(text, leaf) if leaf.kind == "value" else self._spans(text))
        return old if new == text else msgspec.json.encode(new)

    def swept(self, old: bytes, leaf: Leaf) -> bytes:
        """What stands in a leaf's place, once all values are known: a name is not noticed in every sentence."""
        if leaf.kind not in ("words", "thought", "value", "json"):
            return old
        text = unquoted(old)
        new = (leaf.kind == "json" and _within(text, self.swept)) or self._without_known(text)
        return old if new == text else msgspec.json.encode(new)

    def _without_known(self, text: str) -> str:
        known = {value: mark for (_, value), mark in self._marks.items() if len(value) >= _TELLING and value in text}
        if not known:
            return text
        longest = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
        return re.sub(rf"(?<!\w)(?:{longest})(?!\w)", lambda found: known[found[0]], text)

    def _number(self, old: bytes, leaf: Leaf) -> bytes:
        """A card's or an account's number that is a JSON number becomes a string. Only ever as a whole."""
        text = old.decode()
        found = self._near(text, leaf) if len(text) > 6 else []
        whole = len(found) == 1 and (found[0].start, found[0].end) == (0, len(text))
        return msgspec.json.encode(self._swapped(text, found)) if whole else old

    def _near(self, text: str, leaf: Leaf) -> list[Span]:
        """What is found in the value of a field whose name may say what it is, such as a password."""
        said = f"{leaf.key}: "
        found = [(span, span.start - len(said), span.end - len(said)) for span in self._spans(said + text)]
        return [Span(span.type, max(start, 0), end) for span, start, end in found if end > 0]

    def _swapped(self, text: str, spans: Sequence[Span], *, bare: bool = False) -> str:
        parts, at = [], 0
        for span in spans:
            mark = self._mark(span.type, text[span.start : span.end])
            parts += [text[at : span.start], mark.strip("<>") if bare else mark]
            at = span.end
        return "".join([*parts, text[at:]])

    def _mark(self, kind: str, value: str) -> str:
        self.types[kind] = None
        if (kind, value) not in self._marks:
            self._marks[kind, value] = f"[{kind.upper()}]" if self._way == "redact" else self._next(kind, value)
        return self._marks[kind, value]

    def _next(self, kind: str, value: str) -> str:
        """A new mark, that no text of the request holds already."""
        if kind not in self._taken:
            self._taken[kind] = {number for text in self._texts for number in _numbers(kind, text)}
        number = next(at for at in count(self._counts.get(kind, 0) + 1) if at not in self._taken[kind])
        self._counts[kind] = number
        self.values[f"<{kind.upper()}_{number}>"] = value
        return f"<{kind.upper()}_{number}>"


def _within(text: str, written: Callable[[bytes, Leaf], bytes]) -> str:
    """The arguments of a tool call, which stay JSON; "" for what a model left broken: that is text like any other."""
    inner = text.encode()
    try:
        return spliced(inner, leaves(inner, "value"), written).decode()
    except BROKEN:
        return ""


def _numbers(kind: str, text: str) -> list[int]:
    """Of the marks of a type that a text holds already, however they are written."""
    apart = r"\\{0,2}[_ -]"
    return [int(number) for number in re.findall(rf"(?i){apart.join(kind.split('_'))}{apart}(\d{{1,6}})", text)]
