"""Marks such as <EMAIL_1> back into what they stand for, in an answer as it flows to the client.

Models copy a mark nearly as it was: in other cases, in backticks, escaped for HTML, Markdown or JSON, without its
brackets. All of that is turned back where it can mean nothing else: without brackets only in capitals, as code may have
an `email_1` of its own. Thoughts that a provider signs stay as they are. Knows no screens, and of wires only how
one of them ends a block.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from tierwise.dialects import anthropic_answers
from tierwise.ports import Batch
from tierwise.screens.leaves import Leaf, leaves, spliced, unquoted
from tierwise.types import Chunk, ToolDelta

_BRACKETS = (("<", ">"), ("&lt;", "&gt;"), ("\\<", "\\>"))
_JSON_BRACKETS = (("<", ">"), ("&lt;", "&gt;"), ("\\\\<", "\\\\>"), ("\\u003c", "\\u003e"))
_APART = (r"\\{0,2}", "[_ -]")  # a mark's words, as two steps
_NUMBER = r"\d{1,6}"
_ENDS = b'"content_block_stop"'
_ANSWERED = frozenset({"content", "text"})

Channel = str | int
"""What grows by itself within a choice: "text", "refusal", "reasoning", or a tool call's arguments, by its place."""


class Restore:
    """For one answer; see `flow.Flow`. `marks` as `gateway/screening/masking.py` gave them out.

    With `json_answer` the text is JSON, and values are written as its strings hold them. Holds back what may be the
    beginning of a mark. A piece that could be turned back by itself keeps its `wire`, with the values in it.
    """

    def __init__(self, marks: Mapping[str, str], *, json_answer: bool = False) -> None:
        self._values = {mark.strip("<>"): value for mark, value in marks.items()}
        self._json_answer = json_answer
        self._threads: dict[int, dict[Channel, _Thread]] = {}  # by choice

    def feed(self, batch: Batch) -> Batch:
        if not self._values:
            return batch
        return tuple([chunk for event in _events(batch) for chunk in self._event(event)])

    def end(self) -> Batch:
        return tuple([chunk for index in self._threads for chunk in self._let_go(index, ())])

    def _event(self, event: Sequence[Chunk]) -> Iterator[Chunk]:
        """`event`: the chunks that one `wire` tells of."""
        for chunk in event:
            yield from self._let_go(chunk.index, _going_on(chunk, self._threads.get(chunk.index, {})))
        turned = [self._turned(chunk) for chunk in event]
        if all(new is old for new, old in zip(turned, event, strict=True)):
            yield from event
        elif event[0].wire is not None and all(map(self._alone, event, turned)):
            wire = spliced(event[0].wire, leaves(event[0].wire), self._leaf)
            yield msgspec.structs.replace(turned[0], wire=wire)
            yield from turned[1:]
        else:
            bare = [msgspec.structs.replace(chunk, wire=None, dialect="") for chunk in turned]
            yield from [chunk for chunk in bare if chunk != Chunk(index=chunk.index)]

    def _turned(self, chunk: Chunk) -> Chunk:
        """With values, less what is held back, and what was held back before it."""
        last = chunk.finish is not None
        new = {
            name: self._thread(chunk.index, name).take(said, last=last) for name, said in _said(chunk).items() if said
        }
        calls = tuple([self._called(chunk.index, piece, last=last) for piece in chunk.tool_calls])
        if calls != chunk.tool_calls or any(said != getattr(chunk, name) for name, said in new.items()):
            return msgspec.structs.replace(chunk, tool_calls=calls, **new)
        return chunk

    def _called(self, index: int, piece: ToolDelta, *, last: bool) -> ToolDelta:
        arguments = self._thread(index, piece.index).take(piece.arguments, last=last)
        return msgspec.structs.replace(piece, arguments=arguments) if arguments != piece.arguments else piece

    def _alone(self, old: Chunk, new: Chunk) -> bool:
        """Whether a chunk says what it would if there were no others."""
        texts = all(self._whole(name, said) == getattr(new, name) for name, said in _said(old).items())
        pairs = zip(old.tool_calls, new.tool_calls, strict=True)
        return texts and all(self._whole(one.index, one.arguments) == two.arguments for one, two in pairs)

    def _let_go(self, index: int, but: Collection[Channel]) -> Iterator[Chunk]:
        """What the other channels of a choice hold back, as a chunk of its own."""
        threads = self._threads.get(index, {})
        held = {name: thread.take("", last=True) for name, thread in threads.items() if name not in but}
        chunk = Chunk(
            held.get("text", ""),
            index,
            held.get("reasoning", ""),
            held.get("refusal", ""),
            tuple([ToolDelta(name, arguments=said) for name, said in held.items() if isinstance(name, int) and said]),
        )
        if chunk != Chunk(index=index):
            yield chunk

    def _thread(self, index: int, name: Channel) -> _Thread:
        threads = self._threads.setdefault(index, {})
        if name not in threads:
            threads[name] = _Thread(self._values, within_json=self._is_json(name))
        return threads[name]

    def _is_json(self, name: Channel) -> bool:
        return isinstance(name, int) or (self._json_answer and name in _ANSWERED)

    def _whole(self, name: Channel, text: str) -> str:
        return _Thread(self._values, within_json=self._is_json(name)).take(text, last=True)

    def _leaf(self, old: bytes, leaf: Leaf) -> bytes:
        """A string of the provider's own JSON."""
        if leaf.kind not in ("words", "value", "json"):
            return old
        text = unquoted(old)
        name: Channel = 0 if leaf.kind == "json" else leaf.key if leaf.kind == "words" else ""
        new = self._whole(name, text)
        return old if new == text else msgspec.json.encode(new)


_TEXTS = ("text", "refusal", "reasoning")


def _said(chunk: Chunk) -> dict[str, str]:
    """What of a chunk is to be turned back, beside calls of tools."""
    signed = chunk.dialect == anthropic_answers.NAME
    return {name: getattr(chunk, name) for name in _TEXTS if not (signed and name == "reasoning")}


def _going_on(chunk: Chunk, known: Collection[Channel]) -> Collection[Channel]:
    """Of a choice's channels those that may go on with what they hold, once this chunk of it has come."""
    said: list[Channel] = [name for name, text in _said(chunk).items() if text]
    said += [piece.index for piece in chunk.tool_calls]
    if chunk.finish is not None or (chunk.wire is not None and not said and _ENDS in chunk.wire):
        return said
    return [*said, *(name for name in known if isinstance(name, int) or not said)]


def _events(batch: Batch) -> list[list[Chunk]]:
    events: list[list[Chunk]] = []
    for chunk in batch:
        if chunk.wire is None and chunk.dialect and events and events[-1][0].wire is not None:
            events[-1].append(chunk)  # another choice of the same event
        else:
            events.append([chunk])
    return events


class _Thread:
    """One text as it grows: what may still become a mark is held back."""

    __slots__ = ("_before", "_held", "_json", "_spelt", "_values")

    def __init__(self, values: Mapping[str, str], *, within_json: bool) -> None:
        self._values = values
        self._json = within_json
        self._spelt = _spellings(tuple(sorted({core.rpartition("_")[0] for core in values})), within_json)
        self._before = ""  # what came last of what is out, as the model wrote it
        self._held = ""

    def take(self, piece: str, *, last: bool) -> str:
        """What may go out now. `last`: nothing comes after it."""
        if not piece and not (last and self._held):
            return ""
        start = len(self._before)
        text = self._before + self._held + piece
        found = None if last else self._spelt.begun.search(text, max(start, len(text) - self._spelt.longest))
        cut = found.start() if found is not None else len(text)
        parts, at = [], start
        for match in self._spelt.mark.finditer(text, start, cut):
            parts += [text[at : match.start()], self._value(match)]
            at = match.end()
        parts.append(text[at:cut])
        self._held = text[cut:]
        self._before = text[max(0, cut - 2) : cut]
        return "".join(parts)

    def _value(self, match: re.Match[str]) -> str:
        """What a mark stands for; the mark where that is not known."""
        kind, number = [group for group in match.groups() if group]
        value = self._values.get(f"{re.sub('[^A-Za-z]+', '_', kind).upper()}_{number}")
        if value is None:
            return match[0]
        return msgspec.json.encode(value).decode()[1:-1] if self._json else value


class _Spellings(NamedTuple):
    """A mark as models write it (its type and number are the groups that match), and the beginning of one at an end."""

    mark: re.Pattern[str]
    begun: re.Pattern[str]
    longest: int


@lru_cache(maxsize=256)
def _spellings(types: tuple[str, ...], within_json: bool) -> _Spellings:
    apart = "".join(_APART)
    edge = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))" if within_json else r"(?<![A-Za-z0-9_])"
    marks, begun = [], []
    for start, end in _JSON_BRACKETS if within_json else _BRACKETS:
        for name in types:
            words = apart.join(name.split("_"))
            marks.append(f"(?i:{re.escape(start)} ?({words}){apart}({_NUMBER}) ?{re.escape(end)})")
            steps = [*map(re.escape, start), " ?", *_steps(name), *_APART, _NUMBER, " ?", *map(re.escape, end[:-1])]
            begun.append(f"(?i:{_nested(steps)})")
    for name in types:
        words = r"\\{0,2}_".join(name.split("_"))
        marks.append(rf"{edge}({words})\\{{0,2}}_({_NUMBER})(?![A-Za-z0-9_])")
        begun.append(edge + _nested([*_bare(name), _NUMBER]))
    longest = 24 + 3 * max((len(name) for name in types), default=0)
    return _Spellings(re.compile("|".join(marks)), re.compile(f"(?:{'|'.join(begun)})\\Z"), longest)


def _steps(name: str) -> list[str]:
    """A type, letter by letter."""
    return [step for letter in name for step in (_APART if letter == "_" else (letter,))]


def _bare(name: str) -> list[str]:
    """The same, as it must be written where there are no brackets; and what comes before the number."""
    return [step for letter in f"{name}_" for step in ((r"\\{0,2}", "_") if letter == "_" else (letter,))]


def _nested(steps: Sequence[str]) -> str:
    """A pattern for the first of the steps and any that follow it, up to where the text ends."""
    pattern = ""
    for step in reversed(steps):
        pattern = f"{step}(?:{pattern})?" if pattern else step
    return pattern
