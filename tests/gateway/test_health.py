"""Whether requests are served, asked with a key and, where the config says so, without."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.harness import CONFIG, Gateway, running

OPEN = CONFIG.replace("[server]", "[server]\nhealth = true")


async def asked(gateway: Gateway, path: str = "/healthz", method: str = "GET", **headers: str) -> tuple[int, str]:
    url = gateway.url.removesuffix("/v1") + path
    async with gateway.http.request(method, url, headers=headers) as reply:
        return reply.status, await reply.text()


async def test_it_needs_a_key(tmp_path: Path) -> None:
    """As everything does."""
    async with running(tmp_path) as gateway:
        assert (await asked(gateway))[0] == 401
        assert await asked(gateway, authorization=f"Bearer {gateway.key}") == (200, '{"status":"ok"}')


async def test_it_may_be_open(tmp_path: Path) -> None:
    """It alone, by GET alone, and a wrong key does not matter."""
    async with running(tmp_path, config=OPEN) as gateway:
        assert await asked(gateway) == (200, '{"status":"ok"}')
        assert await asked(gateway, authorization="Bearer tw-wrong") == (200, '{"status":"ok"}')
        assert await asked(gateway, authorization=f"Bearer {gateway.key}") == (200, '{"status":"ok"}')
        for path, method in (("/healthz", "POST"), ("/healthz/", "GET"), ("/metrics", "GET"), ("/v1/models", "GET")):
            assert (await asked(gateway, path, method))[0] == 401, (path, method)


@pytest.mark.parametrize(
    ("down", "said"),
    [("spool", (200, '{"status":"spooling"}')), ("refuse", (503, '{"status":"ledger_unavailable"}'))],
)
async def test_while_the_ledger_waits(tmp_path: Path, down: str, said: tuple[int, str]) -> None:
    """503 only where nothing is served; once it can be written all is well, though nobody asks for anything."""
    config = OPEN.replace("[store]", f'[store]\nwhen_down = "{down}"')
    async with running(tmp_path, config=config) as gateway:
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await gateway.chat())[0] == 200
            await until(gateway, said)
            other.execute("ROLLBACK")
        await until(gateway, (200, '{"status":"ok"}'))


async def until(gateway: Gateway, said: tuple[int, str]) -> None:
    async with asyncio.timeout(20):
        while await asked(gateway) != said:
            await asyncio.sleep(0.05)
