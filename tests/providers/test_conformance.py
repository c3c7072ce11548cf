"""Every provider that can be scripted passes the one suite; `local` runs it over a real model in its own tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast, get_args

import pytest

from tests.conformance.provider import EVERYTHING, Ability, Bench, Check, cases, run
from tests.support.shapes import Script
from tests.support.upstream import serve
from tierwise.dialects import anthropic_answers, openai_upstream
from tierwise.ports import Provider
from tierwise.providers import anthropic, deepseek, openai, responses
from tierwise.providers.http import DecodeError, Limits, Upstream
from tierwise.providers.scripted import Fault, Rule, ScriptedProvider
from tierwise.types import Finish, Model, ToolCall


@dataclass(frozen=True)
class WireLab:
    """A provider over a real socket, to an upstream that follows scripts."""

    model: Model
    make: Callable[[Upstream], Provider]
    headers: Mapping[str, str]
    decode_error: DecodeError
    can: frozenset[Ability] = EVERYTHING

    @asynccontextmanager
    async def open(
        self, *scripts: Script, first: float = 5.0, idle: float = 5.0, down: bool = False
    ) -> AsyncIterator[Bench]:
        limits = Limits(first_byte=first, idle=idle)
        async with serve(scripts) as served:
            url = f"http://127.0.0.1:{_unused_port()}" if down else served.url
            provider = self.make(Upstream(self.model.name, f"{url}/v1", self.headers, self.decode_error, limits))
            try:
                yield Bench(provider, self.model, _waits(served.asked), _waits(served.aborted))
            finally:
                await provider.close()


class ScriptedLab:
    """The scripted provider: the same scripts, as rules."""

    can: frozenset[Ability] = EVERYTHING - {"wire"}

    @asynccontextmanager
    async def open(
        self, *scripts: Script, first: float = 5.0, idle: float = 5.0, down: bool = False
    ) -> AsyncIterator[Bench]:
        asked = asyncio.Event()

        async def sleep(seconds: float) -> None:
            asked.set()
            await asyncio.sleep(seconds)

        provider = ScriptedProvider([_rule(script, down) for script in scripts], sleep)

        async def left() -> None:
            assert provider.cancelled

        yield Bench(provider, Model("scripted-model", "scripted", "s"), _waits(asked), left)
        await provider.close()


def _waits(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await event.wait()

    return wait


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _rule(script: Script, down: bool) -> Rule:
    fault: Fault = ""
    if down:
        fault = "unreachable"
    elif script.status != 200:
        fault = "overloaded" if script.status in {429, 500} else "refused"
    elif script.delay:
        fault = "timeout"
    elif script.cut is not None:
        fault = "cut"
    assert script.stop in get_args(Finish)
    return Rule(
        match=script.match,
        pieces=script.pieces,
        reasoning=script.reasoning,
        tool_calls=tuple(ToolCall(f"c{n}", *call) for n, call in enumerate(script.tool_calls)),
        finish=cast(Finish, script.stop),
        input_tokens=script.input_tokens,
        output_tokens=script.produced,
        cache_read_tokens=script.cached_tokens,
        logprob=script.logprob,
        first=script.first,
        gap=script.gap,
        fault=fault,
        cut_after=script.cut or 0,
        no_usage=script.no_usage,
        times=script.times,
    )


OPENAI = WireLab(
    Model("gpt", "openai", "gpt-test"), openai.OpenAIProvider, openai.headers("sk-test"), openai_upstream.decode_error
)
RESPONSES = WireLab(
    Model("gpt", "openai", "gpt-test"),
    responses.ResponsesProvider,
    openai.headers("sk-test"),
    openai_upstream.decode_error,
    EVERYTHING - {"logprobs"},  # of a client of another wire: refused by name
)
DEEPSEEK = WireLab(
    Model("deep", "deepseek", "deepseek-test"),
    lambda upstream: openai.OpenAIProvider(upstream, deepseek.adapt),
    openai.headers("sk-test"),
    openai_upstream.decode_error,
)
ANTHROPIC = WireLab(
    Model("claude", "anthropic", "claude-test"),
    anthropic.AnthropicProvider,
    anthropic.headers("sk-test"),
    anthropic_answers.decode_error,
    EVERYTHING - {"logprobs"},
)


@pytest.mark.parametrize("check", cases(OPENAI.can))
async def test_openai(check: Check) -> None:
    """OpenAI's Chat Completions."""
    await run(check, OPENAI)


@pytest.mark.parametrize("check", cases(RESPONSES.can))
async def test_responses(check: Check) -> None:
    """OpenAI's Responses."""
    await run(check, RESPONSES)


@pytest.mark.parametrize("check", cases(DEEPSEEK.can))
async def test_deepseek(check: Check) -> None:
    """DeepSeek's habits over the same wire."""
    await run(check, DEEPSEEK)


@pytest.mark.parametrize("check", cases(ANTHROPIC.can))
async def test_anthropic(check: Check) -> None:
    """Anthropic Messages."""
    await run(check, ANTHROPIC)


@pytest.mark.parametrize("check", cases(ScriptedLab.can))
async def test_scripted(check: Check) -> None:
    """The scripted provider, in process."""
    await run(check, ScriptedLab())
