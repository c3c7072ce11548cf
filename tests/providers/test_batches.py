"""Providers' batch endpoints on a socket: what is called, in which order, and what is never called twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.core.plans import request
from tests.support.shapes import Script
from tests.support.upstream import Scripted, serve
from tierwise.dialects import anthropic_answers, openai_upstream
from tierwise.dialects.batches import Item, names
from tierwise.errors import Overloaded, Refused, Torn, Unreachable
from tierwise.providers.anthropic import headers
from tierwise.providers.batches import AnthropicBatches, BatchApi, Lookup, OpenAIBatches, ProviderClient
from tierwise.types import Model

BOTH = pytest.mark.parametrize("name", ["openai", "anthropic"])


@asynccontextmanager
async def pair(name: str) -> AsyncIterator[tuple[BatchApi, Scripted]]:
    async with serve([Script(text="forty two")]) as server:
        if name == "openai":
            client = ProviderClient(
                "cheap", f"{server.url}/v1", {"authorization": "Bearer k"}, openai_upstream.decode_error
            )
            yield OpenAIBatches(client), server
        else:
            client = ProviderClient("cheap", f"{server.url}/v1", headers("k"), anthropic_answers.decode_error)
            yield AnthropicBatches(client), server


def items(api: BatchApi, mark: str, count: int) -> list[Item]:
    body = api.encode(request(), Model("cheap", "openai", "cheap-1"))
    return [(name, body) for name in names(mark, count)]


@BOTH
async def test_the_plain_course(name: str) -> None:
    """Begun, looked at, fetched whatever its order, deleted; each connection is closed."""
    async with pair(name) as (api, server):
        job_id = await api.submit("0a", items(api, "0a", 3))
        job = await api.poll(job_id)
        assert (job.ended, job.size) == (True, 3)
        found = {result.name: result async for result in api.results(job)}
        assert {each.chunks[0].text for each in found.values()} == {"forty two"}
        assert set(found) == {"0a-0", "0a-1", "0a-2"}
        await api.delete(job)
        assert server.batches.deleted == list(job.kept)
        async with asyncio.timeout(5):
            while server.open_connections:
                await asyncio.sleep(0.01)


@BOTH
async def test_a_beginning_is_never_repeated(name: str) -> None:
    """Not where the provider is busy, and not where nobody knows."""
    async with pair(name) as (api, server):
        server.batches.drops = 1
        with pytest.raises(Unreachable):
            await api.submit("0a", items(api, "0a", 1))
        assert len(server.batches.jobs) == 1
        server.batches.status = 503
        with pytest.raises(Overloaded):
            await api.submit("0b", items(api, "0b", 1))
        assert len(server.batches.jobs) == 1


@BOTH
async def test_it_is_found(name: str) -> None:
    """On whichever page; others of the same size are not it, and while one of them runs Anthropic's can't tell."""
    async with pair(name) as (api, server):
        assert await api.find("0a", 2) == Lookup("")
        ids = [await api.submit(mark, items(api, mark, 2)) for mark in ("0a", "0b", "0c", "0d")]
        for mark, job_id in zip(("0a", "0b", "0c", "0d"), ids, strict=True):
            assert await api.find(mark, 2) == Lookup(job_id)
        assert await api.find("0", 2) == Lookup("")
        assert (await api.find("0a", 3)).job_id == ("" if name == "anthropic" else ids[0])
        server.batches.hold = True
        await api.submit("0e", items(api, "0e", 2))
        assert await api.find("0f", 2) == Lookup("", sure=name == "openai")
        assert await api.find("0b", 2) == Lookup(ids[1])


@BOTH
@pytest.mark.parametrize(("status", "passes"), [(400, True), (404, True), (409, True), (401, False)])
async def test_cancelling(name: str, status: int, passes: bool) -> None:
    """What has ended by itself need not be; a key that may not is an error."""
    async with pair(name) as (api, server):
        job_id = await api.submit("0a", items(api, "0a", 1))
        server.batches.hold = True
        server.batches.refusal = status
        if passes:
            await api.cancel(job_id)
        else:
            with pytest.raises(Refused):
                await api.cancel(job_id)
        server.batches.refusal = 0
        await api.cancel(job_id)
        assert server.batches.jobs[0].cancelled


@BOTH
async def test_what_can_not_be_read(name: str) -> None:
    """Is torn; what came before it was given."""
    async with pair(name) as (api, server):
        job = await api.poll(await api.submit("0a", items(api, "0a", 3)))
        server.batches.cuts = 1
        results = api.results(job)
        assert {(await anext(results)).name, (await anext(results)).name} == {"0a-2", "0a-1"}
        with pytest.raises(Torn):
            await anext(results)
        with pytest.raises(Refused):
            await api.poll("batch_99")
