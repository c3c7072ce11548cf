"""Providers' batch endpoints: hand many requests over at once, ask how far they are, fetch what became of them.

Nothing here is asked a second time by itself: a batch that is begun twice is paid for twice, so whoever calls decides.
Connections are opened for a call and closed after it, for calls are minutes apart. Knows no clients, money or files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import NamedTuple, Protocol, TypeVar

from tierwise.dialects import anthropic_batches, anthropic_requests, openai_batches, openai_upstream
from tierwise.dialects.batches import Item, Job, Result
from tierwise.errors import ProviderError, Torn, WireError
from tierwise.providers.http import DecodeError, Limits, Upstream
from tierwise.providers.resilience import RetryBudget
from tierwise.types import Model, Request

LIMITS = Limits(first_byte=120.0, idle=60.0, total=3600.0, max_answer=2 << 30)
PAGES = 20  # of a list, that are searched for a batch
ENDED = (400, 404, 409)  # what cancelling a batch is answered that has ended by itself
NO_RETRIES = RetryBudget(share=0.0, floor=0)

T = TypeVar("T")


class Lookup(NamedTuple):
    """Whether a batch was begun, as far as its provider's list tells. `sure` False: nobody can tell yet."""

    job_id: str  # "": no
    sure: bool = True


class BatchApi(Protocol):
    """One model's. Every method raises ProviderError."""

    def encode(self, request: Request, model: Model) -> bytes: ...  # a single request's body. Raises BadRequest

    async def submit(self, mark: str, items: Sequence[Item]) -> str:
        """The id of the batch. After any other error than Refused it may have begun all the same: see `find`."""
        ...

    async def find(self, mark: str, size: int) -> Lookup: ...  # a batch of so many requests that may have begun
    async def poll(self, job_id: str) -> Job: ...
    async def cancel(self, job_id: str) -> None: ...  # no error where it has ended
    def results(self, job: Job) -> AsyncGenerator[Result]: ...  # of a job that has ended, in no order
    async def delete(self, job: Job) -> None: ...  # have the provider delete what it keeps of it


class ProviderClient:
    """To one provider: calls with our key. `name` is the configured model's, for errors."""

    def __init__(self, name: str, base_url: str, headers: Mapping[str, str], decode_error: DecodeError) -> None:
        self.name = name
        self._base_url = base_url
        self._headers = headers
        self._decode_error = decode_error

    @asynccontextmanager
    async def _upstream(self, content_type: str) -> AsyncIterator[Upstream]:
        headers = {**self._headers, "content-type": content_type}
        upstream = Upstream(self.name, self._base_url, headers, self._decode_error, LIMITS)
        upstream.budget = NO_RETRIES
        try:
            yield upstream
        finally:
            await upstream.close()

    async def ask(self, path: str, method: bytes = b"GET") -> bytes:
        async with self._upstream("application/json") as upstream:
            reply = await upstream.open(path, b"", method=method)
            return await reply.read()

    async def post(self, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        async with self._upstream(content_type) as upstream:
            reply = await upstream.open(path, body)
            return await reply.read()

    async def rows(self, path: str) -> AsyncGenerator[bytes]:
        """The lines of a file, but for empty ones, as they come."""
        async with self._upstream("application/json") as upstream:
            reply = await upstream.open(path, b"", method=b"GET")
            rest = b""
            async for piece in reply.pieces():
                *whole, rest = (rest + piece).split(b"\n")
                for row in whole:
                    if row.strip():
                        yield row
            if rest.strip():
                yield rest


class Wire(NamedTuple):
    """One provider's endpoints: where they are, and how bytes are read there."""

    path: str
    after: str  # the parameter with which a list goes on
    encode: Callable[[Request, Model], bytes]
    decode_batch: Callable[[bytes], Job]
    decode_page: Callable[[bytes], tuple[tuple[Job, ...], str]]
    decode_result: Callable[[bytes], Result]


class _Wired:
    """What both have in common."""

    def __init__(self, client: ProviderClient, wire: Wire) -> None:
        self._client = client
        self._wire = wire

    def encode(self, request: Request, model: Model) -> bytes:
        return self._wire.encode(request, model)

    async def poll(self, job_id: str) -> Job:
        return self._read(self._wire.decode_batch, await self._client.ask(f"{self._wire.path}/{job_id}"))

    async def cancel(self, job_id: str) -> None:
        try:
            await self._client.post(f"{self._wire.path}/{job_id}/cancel")
        except ProviderError as error:
            if error.upstream not in ENDED:
                raise

    async def results(self, job: Job) -> AsyncGenerator[Result]:
        for path in job.results:
            async with aclosing(self._client.rows(path)) as rows:
                async for row in rows:
                    yield self._read(self._wire.decode_result, row)

    async def delete(self, job: Job) -> None:
        for path in job.kept:
            await self._client.ask(path, b"DELETE")

    async def _jobs(self) -> AsyncGenerator[Job]:
        """Newest first."""
        after = ""
        for _ in range(PAGES):
            query = f"?limit=100&{self._wire.after}={after}" if after else "?limit=100"
            jobs, after = self._read(self._wire.decode_page, await self._client.ask(f"{self._wire.path}{query}"))
            for job in jobs:
                yield job
            if not after:
                return

    def _read(self, decode: Callable[[bytes], T], data: bytes) -> T:
        try:
            return decode(data)
        except WireError as error:
            raise Torn(self._client.name, error.message) from None


class OpenAIBatches(_Wired):
    """A batch over a file; it is known again by what stands in its metadata."""

    def __init__(self, client: ProviderClient) -> None:
        super().__init__(client, OPENAI)

    async def submit(self, mark: str, items: Sequence[Item]) -> str:
        form = await asyncio.to_thread(openai_batches.encode_upload, items)  # megabytes
        uploaded = await self._client.post("/files", form, openai_batches.UPLOAD_TYPE)
        file_id = self._read(openai_batches.decode_file, uploaded)
        begun = await self._client.post(self._wire.path, openai_batches.encode_batch(file_id, mark))
        return self._read(openai_batches.decode_batch, begun).id

    async def find(self, mark: str, size: int) -> Lookup:
        async with aclosing(self._jobs()) as jobs:
            async for job in jobs:
                if job.mark == mark:
                    return Lookup(job.id)
        return Lookup("")


class AnthropicBatches(_Wired):
    """A batch of requests; it is known again by their names, once it has results."""

    def __init__(self, client: ProviderClient) -> None:
        super().__init__(client, ANTHROPIC)

    async def submit(self, mark: str, items: Sequence[Item]) -> str:
        body = await asyncio.to_thread(anthropic_batches.encode_batch, items)  # megabytes
        begun = await self._client.post(self._wire.path, body)
        return self._read(anthropic_batches.decode_batch, begun).id

    async def find(self, mark: str, size: int) -> Lookup:
        sure = True
        async with aclosing(self._jobs()) as jobs:
            async for job in jobs:
                if job.size != size:
                    continue
                if not job.ended:
                    sure = False  # it may be the one
                elif await self._is_of(mark, job):
                    return Lookup(job.id)
        return Lookup("", sure)

    async def _is_of(self, mark: str, job: Job) -> bool:
        async with aclosing(self.results(job)) as results:
            async for result in results:
                return result.name.startswith(f"{mark}-")
        return False


OPENAI = Wire(
    "/batches",
    "after",
    openai_upstream.encode_request,
    openai_batches.decode_batch,
    openai_batches.decode_page,
    openai_batches.decode_result,
)
ANTHROPIC = Wire(
    "/messages/batches",
    "after_id",
    anthropic_requests.encode_request,
    anthropic_batches.decode_batch,
    anthropic_batches.decode_page,
    anthropic_batches.decode_result,
)
