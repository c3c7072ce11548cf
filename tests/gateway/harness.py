"""A running gateway on a loopback port, in this process, in front of a scripted upstream; and what clients do to it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sqlite3
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, NamedTuple

import aiohttp
import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server

from tests.store.spooled import reserved
from tests.support.shapes import Script
from tests.support.upstream import Scripted
from tests.support.upstream import serve as serve_upstream
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.access.keys import UNLIMITED, Terms
from tierwise.gateway.app import App
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.engine import Engine
from tierwise.gateway.running import Running
from tierwise.gateway.serve import serving
from tierwise.gateway.settings import Config, Environment, load, read_environment
from tierwise.gateway.setup.first_run import new_key
from tierwise.money import Key, Record
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite import open_sqlite

CONFIG = """
[server]
port = 0
max_body_mb = 1
[store]
url = "sqlite:///ledger.db"
[models.cheap]
provider = "openai"
base_url = "{url}/v1"
model = "cheap-1"
api_key_env = "UPSTREAM_KEY"
price = {{ input = 1, output = 2 }}
max_output = 1024
limits = {{ connect = 1, first_token = 1, idle = 1, total = 20 }}
[models.premium]
provider = "openai"
base_url = "{url}/v1"
model = "premium-1"
price = {{ input = 10, output = 20 }}
limits = {{ connect = 1, first_token = 1, idle = 1, total = 20 }}
[routes.support]
tiers = ["cheap", "premium"]
mode = "enforce"
uncertified = "checks"
floor = ["legal"]
evidence_usd_per_day = 0
{route}
"""
UPSTREAM_KEY = "sk-provider-canary-7f3a"
REFUSAL = "I'm sorry, but I can't help with that request."
GOOD = "The parcel leaves our warehouse tomorrow morning and reaches you on Friday."


@dataclass
class Gateway:
    url: str  # ends in /v1
    key: str
    key_id: str
    upstream: Scripted
    config: Config
    environment: Environment
    http: aiohttp.ClientSession

    def headers(self, **extra: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): value for name, value in extra.items()
        }

    async def another(self, terms: Terms = UNLIMITED, budget: int | None = None) -> str:
        """One more key's text, once the gateway knows it."""
        _, text = await new_key(self.config, self.environment, "another", budget, terms)
        async with asyncio.timeout(5):
            while True:
                headers = {"authorization": f"Bearer {text}"}
                async with self.http.get(f"{self.url}/models", headers=headers) as reply:
                    if reply.status == 200:
                        return text
                await asyncio.sleep(0.05)

    async def chat(
        self,
        model: str = "support",
        text: str = "Where is my parcel?",
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> tuple[int, Any, Any]:
        """(status, JSON body, headers) of a whole request; `headers` adds some."""
        sent = self.headers(**headers or {})
        body = {"model": model, "messages": [{"role": "user", "content": text}]} | extra
        async with self.http.post(f"{self.url}/chat/completions", json=body, headers=sent) as reply:
            return reply.status, await reply.json(), reply.headers

    async def events(
        self, model: str = "support", text: str = "Where is my parcel?", **extra: Any
    ) -> tuple[list[Any], Any]:
        """(events, headers) of a stream; each is JSON, "[DONE]", or ("error", JSON)."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True} | extra
        async with self.http.post(f"{self.url}/chat/completions", json=body, headers=self.headers()) as reply:
            raw = await reply.read()
            if reply.status != 200:
                return [msgspec.json.decode(raw)], reply.headers
            return parse(raw), reply.headers

    async def watch(self, model: str = "support", text: str = "Where is my parcel?", **extra: Any) -> list[Seen]:
        """A stream as its client sees it come: the head first, then each piece of the body."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True} | extra
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self.http.post(f"{self.url}/chat/completions", json=body, headers=self.headers()) as reply:
            seen = [Seen(loop.time() - asked, self.produced, b"")]
            seen += [Seen(loop.time() - asked, self.produced, raw) async for raw in reply.content.iter_any()]
        return seen

    @property
    def produced(self) -> int:
        """Tokens that the upstream has produced by now, for whatever request."""
        return sum(self.upstream.billed.values())

    def last_id(self) -> str:
        """The id of the request that was promised last to the ledger, settled or not."""
        if promised := reserved(self.config.store_path):
            return promised[-1].request_id
        with closing(sqlite3.connect(self.config.store_path)) as conn:
            query = "SELECT request_id FROM reservations ORDER BY id DESC LIMIT 1"
            return str(conn.execute(query).fetchone()[0])

    async def record(self, request_id: str) -> Record:
        """The ledger's record of a request; waits for the writer, not longer than two seconds."""
        store = await open_sqlite(self.config.store_path, clock=SystemClock(), instance="reader")
        try:
            for _ in range(200):
                if (found := await store.record(request_id)) is not None:
                    return found
                await asyncio.sleep(0.01)
        finally:
            await store.close()
        raise AssertionError(f"{request_id} is not in the ledger")


class Seen(NamedTuple):
    seconds: float  # since the client asked
    produced: int  # tokens that the upstream had produced by then
    raw: bytes


def parse(raw: bytes) -> list[Any]:
    events: list[Any] = []
    for block in raw.decode().split("\n\n"):
        if block == "data: [DONE]":
            events.append("[DONE]")
        elif block.startswith("event: error\n"):
            events.append(("error", msgspec.json.decode(block.partition("data: ")[2])))
        elif block:
            events.append(msgspec.json.decode(block.removeprefix("data: ")))
    return events


def said(events: Sequence[Any]) -> str:
    """The text of a stream's events."""
    deltas = [event["choices"][0]["delta"] for event in events if isinstance(event, dict) and event.get("choices")]
    return "".join(delta.get("content") or "" for delta in deltas)


def by_model(cheap: Script, premium: Script | None = None) -> tuple[Script, Script]:
    """Scripts for the two models of the standard config."""
    other = premium or Script(text=GOOD)
    return msgspec.structs.replace(cheap, model="cheap-1"), msgspec.structs.replace(other, model="premium-1")


async def _ready(output: asyncio.StreamReader) -> str:
    said = ""
    async with asyncio.timeout(10):
        while line := (await output.readline()).decode():
            if line.startswith("Serving on http"):
                return line.split()[-1]
            said += line
    raise AssertionError(f"it ended before it served: {said}")


@dataclass
class Child:
    """A gateway in a process of its own. `process` may be signalled; whatever is left of it ends with the block."""

    url: str  # ends in /v1
    process: asyncio.subprocess.Process

    async def ended(self) -> int:
        """Its exit code, within five seconds."""
        return await asyncio.wait_for(self.process.wait(), 5)


@asynccontextmanager
async def child(path: Path, *options: str) -> AsyncIterator[Child]:
    """`tierwise serve` for the config at `path`, once it takes connections."""
    command = (sys.executable, "-m", "tierwise", "serve", "--config", str(path), *options)
    env = os.environ | {"UPSTREAM_KEY": UPSTREAM_KEY, "PYTHONUNBUFFERED": "1", "COLUMNS": "500"}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, env=env, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield Child(await _ready(process.stdout), process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)  # workers too
        await process.communicate()


@asynccontextmanager
async def door(engine: Engine, key: Key, pepper: bytes) -> AsyncIterator[str]:
    """The app on a socket with an engine of the test's own making; gives its base URL. Closes the engine."""
    await engine.store.add_key(key)
    keyring = Keyring(engine.store, pepper, engine.clock)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(App(Running(engine, 1 << 20), keyring), port=port, interface=Interfaces.RSGI, log_enabled=False)
    serving = asyncio.ensure_future(server.serve())
    try:
        async with asyncio.timeout(5):
            while not serving.done():
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian's own types leave it open
        await serving
        await engine.close()


@dataclass
class Place:
    """A config in a folder, a key, and the upstream behind it; gateways come and go."""

    config: Config
    key: str
    key_id: str
    upstream: Scripted
    http: aiohttp.ClientSession

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def edit(self, old: str, new: str) -> None:
        """Change the config's text."""
        text = self.config.path.read_text()
        assert old in text
        self.config.path.write_text(text.replace(old, new))

    async def ask(
        self, gateway: Child, *, http: aiohttp.ClientSession | None = None, **body: Any
    ) -> tuple[int, str, Any]:
        """(status, body, headers); what is left of the body where it is cut raises aiohttp's error."""
        asked = {"model": "support", "messages": [{"role": "user", "content": "Where is my parcel?"}]} | body
        url = f"{gateway.url}/chat/completions"
        async with (http or self.http).post(url, json=asked, headers=self.headers) as reply:
            return reply.status, await reply.text(), reply.headers

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[LedgerStore]:
        """The store, opened anew: what ended processes left open is settled."""
        store = await open_sqlite(self.config.store_path, clock=SystemClock(), instance=secrets.token_hex(8))
        try:
            yield store
        finally:
            await store.close()

    async def spent(self) -> tuple[int, int]:
        """(posted, held) nano-dollars of the key."""
        async with self.ledger() as store:
            return await store.spent(self.key_id)

    def bookings(self) -> dict[str, int]:
        """How many reservations each process has made."""
        with closing(sqlite3.connect(self.config.store_path)) as conn:
            return dict(conn.execute("SELECT instance, count(*) FROM reservations GROUP BY instance").fetchall())


@asynccontextmanager
async def placed(folder: Path, *scripts: Script, route: str = "", budget: int | None = None) -> AsyncIterator[Place]:
    """Everything that a gateway process needs, until the block ends."""
    async with serve_upstream(scripts or by_model(Script(text=GOOD))) as upstream, aiohttp.ClientSession() as http:
        path = folder / "tierwise.toml"
        path.write_text(CONFIG.format(url=upstream.url, route=route))
        environment = read_environment({"UPSTREAM_KEY": UPSTREAM_KEY, "HOME": str(folder)})
        config = load(path, environment.variables)
        key, text = await new_key(config, environment, "test", budget)
        yield Place(config, text, key.id, upstream, http)


@asynccontextmanager
async def running(
    folder: Path,
    scripts: Sequence[Script] = (),
    *,
    route: str = "",
    config: str = CONFIG,
    budget: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway with one key (with `budget` nano-dollars, if given) until the block ends."""
    async with serve_upstream(scripts or by_model(Script(text=GOOD))) as upstream:
        path = folder / "tierwise.toml"
        path.write_text(config.format(url=upstream.url, route=route))
        environment = read_environment({"UPSTREAM_KEY": UPSTREAM_KEY, "HOME": str(folder), **(variables or {})})
        loaded = load(path, environment.variables)
        key, text = await new_key(loaded, environment, "test", budget)
        async with serving(loaded, environment) as url, aiohttp.ClientSession() as http:
            yield Gateway(url, text, key.id, upstream, loaded, environment, http)
