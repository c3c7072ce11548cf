"""One request from the operator's own terminal, and the trail of decisions that answered it.

Runs the same engine as the gateway, in this process, on the same ledger: it needs no key and no running gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tierwise.core.cascade import Outcome
from tierwise.dialects import openai_chat
from tierwise.errors import ConfigError, TierwiseError
from tierwise.gateway.booking import ASIDE
from tierwise.gateway.engine import Engine
from tierwise.gateway.run import CLIENT_LEFT, Live, cleaned
from tierwise.gateway.said import dollars, rule
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.web.http import new_id
from tierwise.gateway.wiring import open_engine
from tierwise.money import Entry, Record, Tenant
from tierwise.ports import Batch
from tierwise.types import Decision, Model, Request

DRAFT_SHOWN = 200  # characters of a dropped draft
OPERATOR = Tenant("operator", "operator")  # whose requests these are in the ledger


class Check(msgspec.Struct, frozen=True):
    check: str
    passed: bool | None
    detail: str
    value: float | None = None


class Step(msgspec.Struct, frozen=True):
    """One attempt: what a model did, what was found, what it cost."""

    model: str
    role: str
    outcome: str
    rule: str
    text: str  # what it said, as far as it came
    score: float | None
    checks: tuple[Check, ...]
    input_tokens: int
    output_tokens: int
    cost_usd: str
    cost_state: str
    first_ms: float | None
    total_ms: float


class Trail(msgspec.Struct, frozen=True):
    """A request's whole story. Money is decimal USD as text, exact."""

    request_id: str
    route: str
    model: str
    decision: str
    text: str
    steps: tuple[Step, ...]
    cost_usd: str
    baseline_usd: str
    baseline_state: str
    saved_usd: str
    total_ms: float


class Printer:
    """A sink for a terminal: text as it may be shown."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    async def open(self, model: Model, decision: Decision) -> None:
        pass

    async def send(self, batch: Batch) -> None:
        self._write("".join(chunk.text for chunk in batch))


def ask(
    config: Config,
    environment: Environment,
    text: str,
    route: str | None,
    *,
    mode: str | None,
    write: Callable[[str], None] | None,
) -> Trail:
    """Send `text` to `route` (None: "default", or the first one). With `write` the answer is streamed to it.

    Raises ConfigError where there is no route, and what the gateway would have told a client.
    """
    return uvloop.run(_ask(config, environment, text, route or _first(config), mode, write))


def _first(config: Config) -> str:
    if "default" in config.routes:
        return "default"
    if not config.routes:
        raise ConfigError(f"{config.path}: no route is configured; `tierwise init` writes a config that has some")
    return next(iter(config.routes))


async def _ask(
    config: Config,
    environment: Environment,
    text: str,
    route: str,
    mode: str | None,
    write: Callable[[str], None] | None,
) -> Trail:
    engine = await open_engine(config, environment)
    try:
        return await _run(engine, text, route, mode, write)
    finally:
        await engine.close()


def _decoded(body: bytes, request_id: str) -> Request:
    return openai_chat.decode_request(body, request_id)


@contextmanager
def interruptible(live: Live) -> Iterator[None]:
    """Ctrl-C books what came until then, for that is paid for."""
    try:
        yield
    except asyncio.CancelledError:
        live.book(CLIENT_LEFT, "client-left")
        raise


async def _run(engine: Engine, text: str, asked: str, mode: str | None, write: Callable[[str], None] | None) -> Trail:
    body = msgspec.json.encode(
        {"model": asked, "messages": [{"role": "user", "content": text}], "stream": write is not None}
    )
    request = _decoded(body, new_id())
    clean = await cleaned(engine, request, engine.route(asked, mode), body, lambda masked: _decoded(masked, request.id))
    live = Live(engine, clean, OPERATOR)
    try:
        with interruptible(live):
            outcome = await live.run(len(body), Printer(write) if write else None)
    except TierwiseError as error:
        live.book(error.status, rule(error))
        raise
    said = [attempt.answer(complete=False).text for attempt in live.attempts]
    return trail(outcome, live.book(200, ""), said)


def trail(outcome: Outcome, record: Record, said: Sequence[str]) -> Trail:
    """The story as told by what was decided, what was booked, and what each attempt `said`."""
    decisions = {step.model: step.decision for step in reversed(outcome.trail)}  # of tiers, not of who was consulted
    return Trail(
        request_id=record.request_id,
        route=record.route,
        model=outcome.answer.model,
        decision=outcome.decision.rule,
        text=outcome.answer.text,
        steps=tuple(
            _step(entry, None if entry.role in ASIDE else decisions.get(entry.model), text)
            for entry, text in zip(record.entries, said, strict=True)
        ),
        cost_usd=dollars(record.nanos),
        baseline_usd=dollars(record.baseline_nanos),
        baseline_state=record.baseline_state,
        saved_usd=signed(record.baseline_nanos - record.nanos),
        total_ms=record.total_ms,
    )


def _step(entry: Entry, decision: Decision | None, text: str) -> Step:
    return Step(
        model=entry.model,
        role=entry.role,
        outcome=entry.outcome,
        rule=entry.rule,
        text=text,
        score=decision.score if decision else None,
        checks=tuple(Check(*msgspec.structs.astuple(item)) for item in (decision.evidence if decision else ())),
        input_tokens=entry.usage.input_tokens,
        output_tokens=entry.usage.output_tokens,
        cost_usd=dollars(entry.nanos),
        cost_state=entry.cost_state,
        first_ms=entry.first_ms,
        total_ms=entry.total_ms,
    )


def signed(nanos: int) -> str:
    return f"-{dollars(-nanos)}" if nanos < 0 else dollars(nanos)


def show(story: Trail, console: Console) -> None:
    """The trail as a person reads it: who answered, why, what it cost and what premium would have.

    Tokens are in/out, ms to the first piece/to the end.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("model", "role", "outcome", "why"):
        table.add_column(name, overflow="fold")
    for name in ("score", "tokens", "USD", "ms"):
        table.add_column(name, justify="right")
    for step in story.steps:
        colour = {"served": "green", "rejected": "yellow", "consulted": "cyan"}.get(step.outcome, "red")
        table.add_row(
            step.model,
            step.role,
            Text(step.outcome, colour),
            step.rule,
            "-" if step.score is None else f"{step.score:.2f}",
            f"{step.input_tokens}/{step.output_tokens}",
            f"{float(step.cost_usd):.8f}" + ("" if step.cost_state == "computed" else f" ({step.cost_state})"),
            f"{step.total_ms:.0f}" if step.first_ms is None else f"{step.first_ms:.0f}/{step.total_ms:.0f}",
        )
    console.print()
    console.print(table)
    for step in story.steps:
        if step.checks:
            console.print(_found(step))
        if step.outcome == "rejected":
            console.print(Text(f"dropped draft of {step.model}: {_short(step.text)}", "dim"))
        elif step.outcome == "consulted":
            console.print(Text(f"{step.role} of {step.model}: {_short(step.text)}", "dim"))
    saved = f"-${story.saved_usd[1:]}" if story.saved_usd.startswith("-") else f"${story.saved_usd}"
    console.print(
        f"answered by [bold]{story.model}[/] ({story.decision}) in {story.total_ms:.0f} ms\n"
        f"cost ${story.cost_usd}, always-premium ${story.baseline_usd} ({story.baseline_state}), saved {saved}",
        highlight=False,
        soft_wrap=True,
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= DRAFT_SHOWN else f"{line[:DRAFT_SHOWN]} ..."


def _found(step: Step) -> Text:
    line = Text(f"checks of {step.model}: ", "dim")
    for check in step.checks:
        mark, colour = {True: ("ok", "green"), False: ("FAILED", "red"), None: ("-", "dim")}[check.passed]
        line.append(f"{check.check} ")
        line.append(mark, colour)
        line.append(f" ({check.detail})  " if check.detail and check.passed is not None else "  ", "dim")
    return line
