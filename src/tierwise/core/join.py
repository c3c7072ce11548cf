"""Chunks to an answer: a whole answer is the joined stream.

Used by the live driver for what has arrived so far, and by anything that replays a recorded stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tierwise.types import Answer, Choice, Chunk, Finish, ToolCall


class _Draft:
    """One choice as it grows."""

    __slots__ = ("finish", "logprobs", "reasoning", "refusal", "text", "tools")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.logprobs: list[float] = []
        self.tools: dict[int, list[str]] = {}  # index -> [id, name, arguments...]
        self.finish: Finish | None = None

    def add(self, chunk: Chunk) -> None:
        if chunk.text:
            self.text.append(chunk.text)
        if chunk.reasoning:
            self.reasoning.append(chunk.reasoning)
        if chunk.refusal:
            self.refusal.append(chunk.refusal)
        if chunk.logprobs:
            self.logprobs.extend(chunk.logprobs)
        if chunk.finish is not None:
            self.finish = chunk.finish
        for delta in chunk.tool_calls:
            call = self.tools.setdefault(delta.index, ["", ""])
            call[0] = call[0] or delta.id
            call[1] = call[1] or delta.name
            call.append(delta.arguments)

    def choice(self) -> Choice:
        calls = (ToolCall(call_id, name, "".join(pieces)) for _, (call_id, name, *pieces) in sorted(self.tools.items()))
        return Choice(
            "".join(self.text),
            "".join(self.reasoning),
            "".join(self.refusal),
            tuple(calls) if self.tools else (),
            self.finish,
            tuple(self.logprobs),
        )


def join(model: str, chunks: Sequence[Chunk], *, complete: bool = True) -> Answer:
    """The answer of `model` (a configured model's name) that `chunks` make up."""
    if len(chunks) == 1:  # an answer that came whole: nothing to put together
        chunk = chunks[0]
        return Answer(model, (_whole(chunk),), chunk.usage, complete, (chunk,))
    drafts: dict[int, _Draft] = {}
    usage = None
    for chunk in chunks:
        draft = drafts.get(chunk.index)
        if draft is None:
            draft = drafts[chunk.index] = _Draft()
        draft.add(chunk)
        if chunk.usage is not None:
            usage = chunk.usage  # providers that report more than once report running totals
    choices = tuple(draft.choice() for _, draft in sorted(drafts.items()))
    return Answer(model, choices, usage, complete, tuple(chunks))


def _whole(chunk: Chunk) -> Choice:
    calls: tuple[ToolCall, ...] = ()
    if chunk.tool_calls:
        calls = tuple([ToolCall(delta.id, delta.name, delta.arguments) for delta in chunk.tool_calls])
    return Choice(chunk.text, chunk.reasoning, chunk.refusal, calls, chunk.finish, chunk.logprobs)


def tokens(chunks: Iterable[Chunk]) -> int:
    """How many tokens have come: as many as log-probabilities tell, else one a chunk that holds text."""
    count = 0
    for chunk in chunks:
        count += len(chunk.logprobs) or bool(chunk.text or chunk.reasoning or chunk.refusal)
    return count
