"""Asks a model that knows no JSON Schemas for an answer of that form: as the one tool it must call, or in words.

A provider around another one; one call is one call. Whether an answer in words has the form, and what becomes of one
that has not, is for whoever asks (`gateway/structured_retry.py`): every further try is an attempt of its own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Protocol

import msgspec

from tierwise.core.form import way
from tierwise.dialects import amended
from tierwise.errors import Torn
from tierwise.ports import Batch, Provider
from tierwise.types import Chunk, Model, Request, Structured, Tool

ANSWER = "answer"  # the tool's name
_TOLD = "Give your answer by calling this, and only so."
_FENCE = re.compile(r"\s*```[\w+-]*(?=[^`\w+-])")  # the opening one, once it is there in full
_MAYBE = re.compile(r"\s*(?:`{0,2}|```[\w+-]*)")  # what may become one
_TAIL = re.compile(r"[\s`]*\Z")


def structured(provider: Provider, how: Structured) -> Provider:
    """`provider` itself where its own way is the way."""
    return provider if how == "native" else StructuredProvider(provider)


class StructuredProvider:
    """Requests that ask for no form go through untouched. Of others the provider's own JSON is not kept: what it was
    asked, and what it said, was something else than the client's."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        asked, reading = _asked(model, request)
        async with aclosing(self._provider.stream(model, asked)) as batches:
            async for batch in batches:
                if found := batch if reading is None else reading.read(batch):
                    yield found

    async def close(self) -> None:
        await self._provider.close()


class _Reading(Protocol):
    def read(self, batch: Batch) -> Batch: ...


def _asked(model: Model, request: Request) -> tuple[Request, _Reading | None]:
    how = way(model, request)
    if how == "tool":
        tool = Tool(ANSWER, _TOLD, request.schema)
        return amended.offered(amended.formless(request), tool), _Arguments(model.name)
    if how == "retry":
        return amended.instructed(amended.formless(request), _line(request)), _Words()
    return request, None


def _line(request: Request) -> str:
    when = "Unless you call a tool, answer" if request.tools or request.foreign else "Answer"
    if request.schema is None:
        return f"{when} with one JSON object and nothing else: no other words, no code fence."
    schema = msgspec.json.encode(request.schema).decode()
    return (
        f"{when} with one JSON document and nothing else: no other words, no code fence. "
        f"It must satisfy this JSON Schema: {schema}"
    )


def _neutral(chunks: Iterable[Chunk]) -> Batch:
    """Those that say something."""
    return tuple(
        [
            msgspec.structs.replace(chunk, wire=None, dialect="")
            for chunk in chunks
            if chunk.text or chunk.reasoning or chunk.refusal or chunk.tool_calls or chunk.finish or chunk.usage
        ]
    )


class _Arguments:
    """The arguments of the first call are the text; words around it were not asked for."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._called: dict[int, int] = {}  # by choice: the index of its call
        self._excused: set[int] = set()  # choices that were refused

    def read(self, batch: Batch) -> Batch:
        """Raises Torn where a choice comes to its end without the call."""
        return _neutral([self._read(chunk) for chunk in batch])

    def _read(self, chunk: Chunk) -> Chunk:
        if chunk.refusal:
            self._excused.add(chunk.index)
        for delta in chunk.tool_calls:
            self._called.setdefault(chunk.index, delta.index)
        mine = self._called.get(chunk.index)
        if mine is None and chunk.finish in ("stop", "tool_calls") and chunk.index not in self._excused:
            raise Torn(self._model, "it did not call the tool that its answer was to be given by")
        text = "".join([delta.arguments for delta in chunk.tool_calls if delta.index == mine])
        finish = "stop" if chunk.finish == "tool_calls" else chunk.finish
        return msgspec.structs.replace(chunk, text=text, tool_calls=(), finish=finish, logprobs=())


class _Words:
    """The text, out of the code fence that many models put around it whatever they are told."""

    def __init__(self) -> None:
        self._choices: dict[int, _Unfenced] = {}

    def read(self, batch: Batch) -> Batch:
        return _neutral([self._read(chunk) for chunk in batch])

    def _read(self, chunk: Chunk) -> Chunk:
        choice = self._choices.setdefault(chunk.index, _Unfenced())
        text = choice.feed(chunk.text, ended=chunk.finish is not None)
        return msgspec.structs.replace(chunk, text=text)


class _Unfenced:
    """One choice's text as it comes: what may be a fence is held back until it is known to be one, or not."""

    def __init__(self) -> None:
        self._held = ""
        self._fenced: bool | None = None  # None: not known yet

    def feed(self, text: str, *, ended: bool) -> str:
        self._held += text
        if self._fenced is None:
            opening = _FENCE.match(self._held)
            if opening is None and not ended and _MAYBE.fullmatch(self._held):
                return ""
            self._fenced = opening is not None
            self._held = self._held[opening.end() :] if opening else self._held
        keep = ""
        if self._fenced:
            tail = _TAIL.search(self._held)
            keep = tail[0] if tail else ""
        said = self._held[: len(self._held) - len(keep)]
        self._held = keep
        if ended and keep.strip() != "```":  # it was no closing fence after all
            said += keep
        return said
