"""Screens an answer passage by passage while it flows, and holds back what was not read with what stands near it.

A whole answer and a stream are found the same: `passages.py` says what is read, by the text alone. Knows neither what
is looked for nor what becomes of an answer that is stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from tierwise.ports import Batch
from tierwise.screens.passages import Passages
from tierwise.types import Chunk, ToolDelta


class _Choice:
    """One choice of the answer as far as it has come."""

    __slots__ = ("come", "kind", "queue", "text")

    def __init__(self, longest: int) -> None:
        self.kind: object = None  # of the last piece: its thoughts, its text, its refusal, or the place of a tool call
        self.text = Passages(longest)
        self.come = 0  # characters
        self.queue: deque[tuple[Chunk, int, int]] = deque()  # chunks that wait, and where they begin and end

    def take(self, chunk: Chunk) -> list[str]:
        """What is to be read now."""
        said, size = "", 0
        for kind, text in _said(chunk):
            if text:
                said += "\n" + text if self.kind not in (None, kind) else text  # different parts do not run together
                self.kind = kind
                size += len(text)
        self.come += len(said)
        self.queue.append((chunk, self.come - size, self.come))
        return self.text.add(said) if said else []


class Window:
    """A Flow. `screen` is asked about passages, of `size` characters at most, and raises Blocked to stop it all.

    No more than `size` characters are held back. What is stopped is not cut if it is a sentence, or half a window of
    one: nothing of it goes out before all of it was read at once. No character is read more than twice.
    """

    def __init__(self, screen: Callable[[Sequence[str]], None], size: int) -> None:
        self._screen = screen
        self._size = size
        self._choices: dict[int, _Choice] = {}

    def feed(self, batch: Batch) -> Batch:
        said: list[str] = []  # to read all of it at once takes a part of the time
        for chunk in batch:
            choice = self._choices.get(chunk.index)
            if choice is None:
                choice = self._choices[chunk.index] = _Choice(self._size // 2)
            said += choice.take(chunk)
            if chunk.finish is not None:
                said += choice.text.close()
        self._read(said)
        return self._released()

    def end(self) -> Batch:
        self._read([passage for choice in self._choices.values() for passage in choice.text.close()])
        return self._released()

    def _read(self, passages: Sequence[str]) -> None:
        said = [passage for passage in passages if not passage.isspace()]
        if said:
            self._screen(said)

    def _released(self) -> Batch:
        out: list[Chunk] = []
        for choice in self._choices.values():
            queue, free = choice.queue, choice.text.free
            while queue and queue[0][2] <= free:
                out.append(queue.popleft()[0])
            if queue and choice.come - queue[0][1] > self._size:
                self._divide(choice, out)
        return tuple(out)

    @staticmethod
    def _divide(choice: _Choice, out: list[Chunk]) -> None:
        """Of a chunk that is longer than what may be held back the part that is free goes out."""
        chunk, _, end = choice.queue[0]
        free = choice.text.free
        parts = _divided(chunk, len(_text(chunk)) - (end - free))
        if parts is not None:
            out.append(parts[0])
            choice.queue[0] = parts[1], free, end


def _said(chunk: Chunk) -> list[tuple[object, str]]:
    if not (chunk.reasoning or chunk.refusal or chunk.tool_calls):
        return [("text", chunk.text)]
    said: list[tuple[object, str]] = [("reasoning", chunk.reasoning), ("text", chunk.text), ("refusal", chunk.refusal)]
    return said + [(piece.index, piece.arguments) for piece in chunk.tool_calls]


def _text(chunk: Chunk) -> str:
    return "".join([text for _, text in _said(chunk)])


def _divided(chunk: Chunk, at: int) -> tuple[Chunk, Chunk] | None:
    """A chunk that says one thing as two, cut before its character `at`; None where that can't be."""
    said = [(kind, text) for kind, text in _said(chunk) if text]
    if len(said) != 1 or not 0 < at < len(said[0][1]):
        return None
    kind, text = said[0]
    first = Chunk(index=chunk.index)
    rest = msgspec.structs.replace(chunk, wire=None, dialect="")
    if isinstance(kind, str):
        return (
            msgspec.structs.replace(first, **{kind: text[:at]}),
            msgspec.structs.replace(rest, **{kind: text[at:]}),
        )
    call = chunk.tool_calls[0]
    return (
        msgspec.structs.replace(first, tool_calls=(msgspec.structs.replace(call, arguments=text[:at]),)),
        msgspec.structs.replace(rest, tool_calls=(ToolDelta(call.index, arguments=text[at:]),)),
    )
