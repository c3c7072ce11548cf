"""An Upstream pointed at a scripted one, with limits that suit a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.support.upstream import Script, Scripted, serve
from tierwise.errors import Overloaded, ProviderError, Refused
from tierwise.providers.http import Limits, Upstream

PATH = "/chat/completions"
LIMITS = Limits(connect=3.0, first_byte=3.0, idle=3.0, total=5.0)
WHOLE = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
STREAM = WHOLE[:-1] + b',"stream":true}'


def decode_error(model: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    kind = Overloaded if status == 429 or status >= 500 else Refused
    return kind(model, f"refused with {status}")


def asking(url: str, limits: Limits = LIMITS) -> Upstream:
    upstream = Upstream("cheap", f"{url}/v1", {"authorization": "Bearer k"}, decode_error, limits)
    upstream.random = lambda: 0.0
    return upstream


@asynccontextmanager
async def pair(*scripts: Script, **limits: Any) -> AsyncIterator[tuple[Upstream, Scripted]]:
    async with serve(scripts or (Script(),)) as server:
        upstream = asking(server.url, msgspec.structs.replace(LIMITS, **limits))
        try:
            yield upstream, server
        finally:
            await upstream.close()


async def ask(upstream: Upstream, body: bytes = WHOLE) -> bytes:
    reply = await upstream.open(PATH, body)
    try:
        return await reply.read()
    finally:
        reply.close()


async def failing(upstream: Upstream, body: bytes = WHOLE) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(upstream, body)
    assert caught.value.model == "cheap"
    return caught.value
