"""A model on this machine: its file is found or fetched, its process started or joined, then it is asked over HTTP.

One process a model (and a set of options) is shared by everybody on the machine who uses it. It starts with the first
call, and ends within a second of being let go of by its last user: idle, closed or killed. `llama.py` is that process,
`weights.py` its file; the wire is OpenAI's.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from tierwise.dialects import openai_chat
from tierwise.dialects.openai_upstream import decode_error
from tierwise.dialects.parts import only_words
from tierwise.errors import TimedOut, Unreachable, WeightsError
from tierwise.ports import Batch
from tierwise.providers.http import Limits, Upstream
from tierwise.providers.llama import Child, Place, running, take
from tierwise.providers.openai import OpenAIProvider, headers
from tierwise.providers.weights import Weights, fetch
from tierwise.types import Model, Request

START_SECONDS_MAX = 120.0  # from a cold disk, a gigabyte takes a while
LOCK_SECONDS = 0.05  # between two tries to get a lock: waiting in the kernel could not be cancelled

# one thread answers one call after another: the last of 32 that wait would give up anyway
SLOW = Limits(connect=5.0, first_byte=300.0, idle=60.0, total=900.0, connections=32)


class LocalOptions(msgspec.Struct, frozen=True):
    """`context` in tokens, the rest in seconds. `idle` without a call ends our use of the process.

    `patience` is how long a call waits until the model is there; fetching and loading go on after it. After a failure
    to start, calls fail at once for `cooldown`. `hub` is the address for `hf:` sources. `alias` is what answers call
    the model; where several processes share it, the one that starts it decides.
    """

    threads: int = 1  # two on a busy machine of two cores collapse to a tenth of the speed
    context: int = 4096
    idle: float = 600.0
    hub: str = "https://huggingface.co"
    alias: str = "local"
    patience: float = 300.0
    cooldown: float = 10.0
    limits: Limits = SLOW


class LocalProvider:
    """One configured model that llama.cpp runs. Belongs to one event loop."""

    def __init__(self, name: str, weights: Weights, cache: Path, options: LocalOptions | None = None) -> None:
        options = options or LocalOptions()
        self.name = name
        self._weights = weights
        self._cache = cache
        self._options = options
        self._place = Place(cache / "run" / f"{weights.sha256[:16]}-{options.threads}-{options.context}")
        self._users: IO[bytes] | None = None  # while we hold it shared, the process stays
        self._child: Child | None = None
        self._provider: OpenAIProvider | None = None
        self._starting: asyncio.Task[OpenAIProvider] | None = None
        self._calls = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failed = (0.0, "")  # until when (loop time), why
        self._closing = threading.Event()

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        only_words(request, f"the local model {model.name!r}", openai_chat.NAME)
        self._calls += 1
        self._wake()
        try:
            provider = await self._ready()
            async with aclosing(provider.stream(*_fit(model, request))) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._calls -= 1
            self._rest()

    async def close(self) -> None:
        self._closing.set()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        self._let_go()
        if self._provider is not None:
            await self._provider.close()

    # -------------------------------------------------------------- how long we use it

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rest(self) -> None:
        if not self._calls and self._users is not None:
            self._wake()
            self._timer = asyncio.get_running_loop().call_later(self._options.idle, self._let_go)

    def _let_go(self) -> None:
        self._wake()
        if self._users is not None:
            self._users.close()
            self._users = None

    # -------------------------------------------------------------- getting it

    async def _ready(self) -> OpenAIProvider:
        """The running model. Callers that come together wait for one start, which outlives each of them."""
        if self._closing.is_set():
            raise Unreachable(self.name, "the local model is being stopped")
        if self._provider and self._users and self._child == running(self._place.state):
            return self._provider
        until, why = self._failed
        if asyncio.get_running_loop().time() < until:
            raise Unreachable(self.name, why)
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_heard)
        starting = self._starting
        await asyncio.wait([starting], timeout=self._options.patience)
        if not starting.done():
            what = f"the local model is not ready after {self._options.patience:g} s, but on its way"
            raise TimedOut(self.name, f"{what}; `tierwise doctor --fetch` shows how far its file is")
        if starting.cancelled():
            raise Unreachable(self.name, "the local model is being stopped")
        return starting.result()

    async def _start(self) -> OpenAIProvider:
        try:
            weights = await asyncio.to_thread(fetch, self._weights, self._cache, self._options.hub, self._go_on)
            self._place.stem.parent.mkdir(mode=0o700, exist_ok=True)
            child = await self._join(weights)
        except WeightsError as error:
            raise self._failure(f"{error.message}\nThen run `tierwise doctor --fetch`.") from None
        except OSError as error:
            raise self._failure(f"the local model can't be started: {error}") from None
        if self._provider is None or child != self._child:
            if self._provider is not None:
                await self._provider.close()
            address = f"http://127.0.0.1:{child.port}/v1"
            upstream = Upstream(self.name, address, headers(child.token), decode_error, self._options.limits)
            self._child, self._provider = child, OpenAIProvider(upstream)
        self._rest()  # whoever asked for it may have left
        return self._provider

    def _failure(self, why: str) -> Unreachable:
        self._failed = (asyncio.get_running_loop().time() + self._options.cooldown, why)
        return Unreachable(self.name, why)

    def _go_on(self, done_bytes: int, total_bytes: int | None, what: str, /) -> None:
        if self._closing.is_set():
            raise _Stopped

    async def _join(self, weights: Path) -> Child:
        """The running process, started if there is none, and held."""
        async with _locked(self._place.lock, fcntl.LOCK_EX):
            if self._users is None or running(self._place.state) is None:
                # anew even where we hold it: somebody may have cleared the cache, and the file with it. We get it at
                # once, or when the process that is just ending for want of users has ended
                self._let_go()
                self._users = await _lock(self._place.users, fcntl.LOCK_SH)
            return running(self._place.state) or await self._launch(weights)

    async def _launch(self, weights: Path) -> Child:
        options = self._options
        arguments = (str(weights), str(self._place.stem), str(options.threads), str(options.context), options.alias)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tierwise.providers.llama", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is for us, and others may be using the model
        )
        ended = False
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                said, _ = await process.communicate()  # nothing unless it fails; ends when it is ready
            ended = True
        except TimeoutError:
            said = f"it was not ready after {START_SECONDS_MAX:g} s".encode()
        finally:
            if not ended:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.communicate()
        child = running(self._place.state)
        if child is None:
            raise self._failure(f"llama.cpp did not start: {_reason(said)}")
        return child


class _Stopped(Exception):
    """Ends a fetch whose provider is being closed."""


def _heard(task: asyncio.Task[OpenAIProvider]) -> None:
    """Its error goes to the callers that wait; where none is left, nobody needs to hear of it."""
    if not task.cancelled():
        task.exception()


def _fit(model: Model, request: Request) -> tuple[Model, Request]:
    """The call as this server can take it.

    An answer has a bound, or one that runs on would keep the only slot. A token brings one alternative, not llama.cpp's
    twenty (a kilobyte a token). Our own wish for log-probabilities yields where it refuses them: streamed tool calls.
    """
    if request.stream and request.tools and not request.logprobs_asked:
        model = msgspec.structs.replace(model, logprobs=False)
    bound = request.max_output or model.max_output
    if request.dialect != openai_chat.NAME:
        return model, msgspec.structs.replace(request, max_output=bound)
    body = dict(request.body)
    if request.max_output is None:
        body["max_completion_tokens"] = msgspec.Raw(b"%d" % bound)
    if model.logprobs or request.logprobs_asked:
        body["top_logprobs"] = msgspec.Raw(b"1")
    return model, msgspec.structs.replace(request, max_output=bound, body=body)


def _reason(said: bytes) -> str:
    """The first line of what llama.cpp said, without its clock and level: the later ones only follow from it."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return re.sub(r"^[\d.]+ [A-Z] ", "", lines[0])[:300] if lines else "it ended without a word"


async def _lock(path: Path, how: int) -> IO[bytes]:
    with ExitStack() as unless_locked:
        file = unless_locked.enter_context(path.open("ab"))
        while not take(file, how):  # noqa: ASYNC110  no event tells of a lock that another process holds
            await asyncio.sleep(LOCK_SECONDS)
        unless_locked.pop_all()
    return file


@asynccontextmanager
async def _locked(path: Path, how: int) -> AsyncIterator[None]:
    with await _lock(path, how):
        yield
