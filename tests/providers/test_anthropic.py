"""The Anthropic provider on a real socket: what it sends, and what only this wire can do. The rest is conformance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.shapes import Script
from tests.support.upstream import Scripted, serve
from tierwise.core.join import join
from tierwise.dialects.anthropic_answers import decode_error
from tierwise.errors import BadRequest, Overloaded, ProviderError
from tierwise.providers.anthropic import AnthropicProvider, headers
from tierwise.providers.http import Upstream
from tierwise.types import Chunk, Message, Model, Request

MODEL = Model("claude", "anthropic", "claude-test", max_output=99)
Bench = tuple[AnthropicProvider, Scripted]


@asynccontextmanager
async def bench(*scripts: Script) -> AsyncIterator[Bench]:
    async with serve(scripts) as served:
        provider = AnthropicProvider(Upstream("claude", f"{served.url}/v1", headers("sk-ant-test"), decode_error))
        yield provider, served
        await provider.close()


def ask(*, stream: bool = True, n: int = 1) -> Request:
    messages = Message("system", "Be brief"), Message("user", "Hello")
    return Request(id="r", asked="claude", messages=messages, stream=stream, n=n)


async def collect(provider: AnthropicProvider, request: Request, got: list[Chunk]) -> None:
    async for batch in provider.stream(MODEL, request):
        got += batch


async def test_what_is_sent() -> None:
    """The path, the key, the version and the body are those of this wire."""
    async with bench(Script()) as (provider, served):
        await collect(provider, ask(), [])
        (received,) = served.requests
    assert (received.method, received.path) == ("POST", "/v1/messages")
    assert received.headers["x-api-key"] == "sk-ant-test"
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in received.headers
    assert received.body == {
        "model": "claude-test",
        "max_tokens": 99,
        "system": [{"type": "text", "text": "Be brief"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "stream": True,
    }


def test_no_key() -> None:
    """A server that asks for no key is sent none."""
    assert headers(None) == {"anthropic-version": "2023-06-01"}


async def test_what_cannot_be_said_asks_nobody() -> None:
    """A request that this wire can't express is the client's to mend: no call is made."""
    async with bench(Script()) as (provider, served):
        with pytest.raises(BadRequest) as caught:
            await collect(provider, ask(n=2), [])
        assert caught.value.param == "n"
        assert served.accepted == 0


async def test_overload_inside_the_stream() -> None:
    """An overload that comes in the stream is an overload, after everything that came before it."""
    got: list[Chunk] = []
    async with bench(Script(text="One two", in_band_error=True)) as (provider, _):
        with pytest.raises(Overloaded):
            await collect(provider, ask(), got)
    assert join("claude", got).text == "One two"


async def test_what_came_before_garbage_is_kept() -> None:
    """Where a stream breaks off inside a packet, the pieces before it were paid for and are given."""
    got: list[Chunk] = []
    async with bench(Script(text="One two", garbage=True)) as (provider, _):
        with pytest.raises(ProviderError):
            await collect(provider, ask(), got)
    assert join("claude", got).text == "One"


async def test_connection_is_kept() -> None:
    """Calls one after another share a connection, whole and streamed."""
    async with bench(Script()) as (provider, served):
        for stream in (True, False, True):
            await collect(provider, ask(stream=stream), [])
        assert served.accepted == 1


async def test_wire_is_kept_for_clients_of_this_dialect() -> None:
    """The signature of thinking, which nothing here reads, is in the chunks."""
    got: list[Chunk] = []
    async with bench(Script(reasoning="Hm")) as (provider, _):
        await collect(provider, ask(), got)
    assert any(b"c2lnbmVk" in (chunk.wire or b"") for chunk in got)
    assert {chunk.dialect for chunk in got} == {"anthropic"}
