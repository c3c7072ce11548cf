"""A provider without a model: answers, token counts, delays and faults are data, read from a JSON file.

For demonstrations, for tests, and for trying a route out before there is a key. It opens no sockets, and knows
nothing of dialects: what it says is neutral from the start.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from tierwise.errors import ConfigError, Overloaded, ProviderError, Refused, TimedOut, Torn, Unreachable
from tierwise.ports import Batch
from tierwise.types import Chunk, Finish, Message, Model, Request, Text, ToolCall, ToolDelta, Usage

REMEMBERED = 1000  # calls; a demonstration that runs for weeks must not fill the memory
Fault = Literal["", "refused", "overloaded", "timeout", "unreachable", "cut"]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to answer, to which requests. The first rule that applies is taken.

    Times are seconds. Token counts that are None are about a quarter of the characters. `text` and `pieces` say the
    same thing, so a rule has one of them: `pieces` is the text as it is streamed, by default word by word.
    """

    match: str = ""  # a part of the user's last message; "" is in every one
    text: str = ""
    pieces: tuple[str, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None  # None: "tool_calls" where there are any, else "stop"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    logprob: float | None = None  # natural logarithm, of every piece
    first: float = 0.0  # before the first piece
    gap: float = 0.0  # before each of the others
    fault: Fault = ""
    cut_after: int = 0  # pieces that come before a "cut"
    no_usage: bool = False
    times: int | None = None  # applies to the first so many requests that match, then no longer

    def __post_init__(self) -> None:
        if self.text and self.pieces:
            raise ValueError("a rule has `text` or `pieces`, not both")
        numbers = (self.input_tokens, self.output_tokens, self.times)
        if min(self.cache_read_tokens, self.first, self.gap, self.cut_after, *(n or 0 for n in numbers)) < 0:
            raise ValueError("counts and times can't be negative")
        if self.input_tokens is not None and self.cache_read_tokens > self.input_tokens:
            raise ValueError("`cache_read_tokens` are some of the `input_tokens`, and can't be more")


def load(path: Path) -> tuple[Rule, ...]:
    """The rules of a JSON file: a list of objects. Raises ConfigError that says where and what is wrong."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Rule, ...])
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


@dataclass(slots=True)
class Call:
    """One request that came in, and what became of it."""

    model: str
    request: Request
    given: int = 0  # batches: pieces, where it streams
    cancelled: bool = False  # whoever asked closed it before its end


class ScriptedProvider:
    """Answers by rules. `sleep` is how it waits. `calls` holds the last thousand calls, oldest first."""

    def __init__(self, rules: Iterable[Rule], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self.calls: deque[Call] = deque(maxlen=REMEMBERED)
        self._rules = [(rule, _pieces(rule)) for rule in rules]
        self._used = [0] * len(self._rules)
        self._sleep = sleep

    @property
    def cancelled(self) -> list[Call]:
        """The calls that were closed before their end."""
        return [call for call in self.calls if call.cancelled]

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        call = Call(model.name, request)
        self.calls.append(call)
        rule, pieces = self._rule(model, request)
        batches = _streamed(rule, pieces, request)
        pause = rule.first
        if not request.stream:  # it is ready when the last piece of its stream would be
            pause += rule.gap * (len(batches) - 1)
            batches = [_whole(rule, pieces, request)]
        # a cut comes before the end, and of a whole answer nothing comes
        kept = min(rule.cut_after, len(batches) - 1) if rule.fault == "cut" else len(batches)
        try:
            await self._sleep(pause)
            if rule.fault and (rule.fault != "cut" or not kept):
                _fail(rule.fault, model)
            for number, chunk in enumerate(batches[:kept]):
                if number:
                    await self._sleep(rule.gap)
                call.given += 1
                yield (chunk,)
            if rule.fault:
                _fail(rule.fault, model)
        except (GeneratorExit, asyncio.CancelledError):
            call.cancelled = call.given < len(batches)
            raise

    async def close(self) -> None:
        """Nothing to let go of."""

    def _rule(self, model: Model, request: Request) -> tuple[Rule, tuple[str, ...]]:
        said = next((_text(message) for message in reversed(request.messages) if message.role == "user"), "")
        for place, (rule, pieces) in enumerate(self._rules):
            if rule.match in said and (rule.times is None or self._used[place] < rule.times):
                self._used[place] += 1
                return rule, pieces
        raise Refused(model.name, "no rule matches")


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if isinstance(part, Text))


def _pieces(rule: Rule) -> tuple[str, ...]:
    return rule.pieces or tuple(re.findall(r"\s*\S+|\s+$", rule.text))


def _fail(fault: Fault, model: Model) -> NoReturn:
    errors: dict[Fault, ProviderError] = {
        "refused": Refused(model.name, "scripted: the request is refused", upstream=400),
        "overloaded": Overloaded(model.name, "scripted: too many requests", upstream=429),
        "timeout": TimedOut(model.name, "scripted: no answer in time"),
        "unreachable": Unreachable(model.name, "scripted: no connection"),
        "cut": Torn(model.name, "scripted: the answer broke off"),
    }
    raise errors[fault]


# ------------------------------------------------------------------ what a rule says


def _whole(rule: Rule, pieces: tuple[str, ...], request: Request) -> Chunk:
    calls = tuple(ToolDelta(n, call.id, call.name, call.arguments) for n, call in enumerate(rule.tool_calls))
    return Chunk(
        text="".join(pieces),
        reasoning=rule.reasoning,
        tool_calls=calls,
        finish=_finish(rule),
        logprobs=() if rule.logprob is None else (rule.logprob,) * len(pieces),
        usage=_usage(rule, request),
    )


def _streamed(rule: Rule, pieces: tuple[str, ...], request: Request) -> list[Chunk]:
    logprobs = () if rule.logprob is None else (rule.logprob,)
    chunks = [Chunk(reasoning=rule.reasoning)] if rule.reasoning else []
    chunks += [Chunk(piece, logprobs=logprobs) for piece in pieces]
    for number, call in enumerate(rule.tool_calls):  # as providers do it: who is called, then with what
        chunks.append(Chunk(tool_calls=(ToolDelta(number, call.id, call.name),)))
        chunks.append(Chunk(tool_calls=(ToolDelta(number, arguments=call.arguments),)))
    chunks.append(Chunk(finish=_finish(rule), usage=_usage(rule, request)))
    return chunks


def _finish(rule: Rule) -> Finish:
    return rule.finish or ("tool_calls" if rule.tool_calls else "stop")


def _usage(rule: Rule, request: Request) -> Usage | None:
    if rule.no_usage:
        return None
    asked = sum(len(_text(message)) for message in request.messages)
    said = sum(map(len, _pieces(rule))) + len(rule.reasoning) + sum(len(call.arguments) for call in rule.tool_calls)
    output = _tokens(said) if rule.output_tokens is None else rule.output_tokens
    return Usage(
        input_tokens=max(_tokens(asked), rule.cache_read_tokens) if rule.input_tokens is None else rule.input_tokens,
        output_tokens=output,
        cache_read_tokens=rule.cache_read_tokens,
        reasoning_tokens=min(_tokens(len(rule.reasoning)), output) if rule.reasoning else 0,
    )


def _tokens(characters: int) -> int:
    return characters // 4 + 1
