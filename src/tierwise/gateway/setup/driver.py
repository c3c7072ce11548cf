"""A file of requests through a route, in this process: what a workload costs and who answers it, before it is real.

Runs the same engine as the gateway on the same ledger, as `ask` does, several requests at once. Nothing of what is said
is kept but in the ledger's figures. Knows no terminal.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import uvloop

from tierwise.dialects import openai_chat
from tierwise.errors import BadRequest, ConfigError, TierwiseError
from tierwise.gateway.ask import OPERATOR, interruptible
from tierwise.gateway.engine import Engine
from tierwise.gateway.run import Live, cleaned
from tierwise.gateway.said import rule
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.web.http import new_id
from tierwise.gateway.wiring import open_engine
from tierwise.money import Record
from tierwise.types import Request

LINES = 1_000_000
TAGS = 32

Tell = Callable[[int, int], None]  # requests done, requests in all


class Line(msgspec.Struct, frozen=True):
    """One request: a `text`, or whole `messages` as in OpenAI's chat. `expected`: what the answer should contain."""

    text: str = ""
    messages: list[dict[str, msgspec.Raw]] | None = None
    expected: str = ""
    tags: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True):
    """Of requests that one model answered, or that came to one end."""

    name: str
    requests: int
    right: int  # answers that contain what was expected
    judged: int  # requests that say what is expected, and were answered


class Report(msgspec.Struct, frozen=True):
    """Money is nano-dollars. `saved` is the share of the baseline, None where that is nothing."""

    requests: int
    answered: int
    right: int
    judged: int
    nanos: int
    baseline_nanos: int
    saved: float | None
    models: tuple[Share, ...]  # who answered, the most first
    rules: dict[str, int]  # the decision that each request came to, the most first


class _End(msgspec.Struct, frozen=True):
    record: Record
    model: str  # "" where nobody answered
    right: bool | None  # None: nothing was expected, or nobody answered


def read(path: Path) -> list[Line]:
    """Raises ConfigError that says which line is none."""
    found: list[Line] = []
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    found.append(_line(raw, path, number))
                if len(found) > LINES:
                    raise ConfigError(f"{path}: has over {LINES:,} requests")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    if not found:
        raise ConfigError(f"{path}: holds no requests")
    return found


def _line(raw: bytes, path: Path, number: int) -> Line:
    try:
        line = msgspec.json.decode(raw, type=Line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}, line {number}: not a request: {error}") from error
    if bool(line.text) == (line.messages is not None):
        raise ConfigError(f"{path}, line {number}: a request has either `text` or `messages`")
    if len(line.tags) > TAGS:
        raise ConfigError(f"{path}, line {number}: has {len(line.tags)} tags; {TAGS} are the most")
    try:
        openai_chat.decode_request(_body(line, "checked"), "checked")
    except BadRequest as error:
        raise ConfigError(f"{path}, line {number}: {error.message}") from error
    return line


def _body(line: Line, route: str) -> bytes:
    said = [{"role": "user", "content": line.text}] if line.messages is None else line.messages
    return msgspec.json.encode({"model": route, "messages": said})


def drive(
    config: Config, environment: Environment, lines: Sequence[Line], route: str, at_once: int, tell: Tell
) -> Report:
    """Raises ConfigError, StoreError; what a single request fails by is counted."""
    if route not in config.routes and route not in config.models:
        raise ConfigError(f"{config.path}: no route {route!r}; it has {', '.join(config.routes) or 'none'}")
    return uvloop.run(_drive(config, environment, lines, route, at_once, tell))


async def _drive(
    config: Config, environment: Environment, lines: Sequence[Line], route: str, at_once: int, tell: Tell
) -> Report:
    engine = await open_engine(config, environment)
    ends: list[_End] = []

    async def work(mine: Iterator[Line]) -> None:
        for line in mine:
            ends.append(await _one(engine, line, route))
            tell(len(ends), len(lines))

    try:
        queue = iter(lines)
        await asyncio.gather(*[work(queue) for _ in range(at_once)])
    finally:
        await engine.close()
    return _report(ends)


async def _one(engine: Engine, line: Line, route: str) -> _End:
    body, tags = _body(line, route), frozenset(line.tags)
    request = openai_chat.decode_request(body, new_id(), tags)

    def again(masked: bytes) -> Request:
        return openai_chat.decode_request(masked, request.id, tags)

    live = Live(engine, await cleaned(engine, request, engine.route(route), body, again), OPERATOR)
    try:
        with interruptible(live):
            outcome = await live.run(len(body))
    except TierwiseError as error:
        return _End(live.book(error.status, rule(error)), "", None)
    right = line.expected.casefold() in outcome.answer.text.casefold() if line.expected else None
    return _End(live.book(200, ""), outcome.answer.model, right)


def _report(ends: Sequence[_End]) -> Report:
    answered = [end for end in ends if end.model]
    nanos = sum(end.record.nanos for end in ends)
    baseline = sum(end.record.baseline_nanos for end in ends)
    names = Counter(end.model for end in answered)
    return Report(
        requests=len(ends),
        answered=len(answered),
        right=sum(end.right is True for end in ends),
        judged=sum(end.right is not None for end in ends),
        nanos=nanos,
        baseline_nanos=baseline,
        saved=1 - nanos / baseline if baseline else None,
        models=tuple(_share(name, [end for end in answered if end.model == name]) for name, _ in names.most_common()),
        rules=dict(Counter(end.record.decision.rule for end in ends).most_common()),
    )


def _share(name: str, ends: Sequence[_End]) -> Share:
    judged = [end.right for end in ends if end.right is not None]
    return Share(name, len(ends), sum(judged), len(judged))
