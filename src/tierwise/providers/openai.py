"""OpenAI, and whatever speaks its Chat Completions: vLLM, Ollama, llama.cpp, a cloud's endpoint.

Knows the order of things on this wire; bytes are the dialect's, connections `http.py`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from tierwise.dialects import openai_upstream as dialect
from tierwise.dialects.openai_chat import DONE
from tierwise.dialects.sse import Events
from tierwise.errors import Overloaded, ProviderError, Torn, WireError
from tierwise.ports import Batch
from tierwise.providers.http import Upstream
from tierwise.types import Chunk, Model, Request

PATH = "/chat/completions"


def headers(api_key: str | None) -> dict[str, str]:
    """What authenticates us; nothing for a server that asks for no key."""
    return {"authorization": f"Bearer {api_key}"} if api_key else {}


class OpenAIProvider:
    """A model behind `POST {base_url}/chat/completions`. `adapt` rewrites a request for a server with other habits."""

    def __init__(self, upstream: Upstream, adapt: Callable[[Request], Request] | None = None) -> None:
        self._upstream = upstream
        self._adapt = adapt

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        if self._adapt is not None:
            request = self._adapt(request)
        reply = await self._upstream.open(PATH, dialect.encode_request(request, model))
        try:
            if not request.stream:
                yield dialect.decode_answer(await reply.read())
                return
            reader = _Reader()
            async for piece in reply.pieces():
                if batch := reader.feed(piece):
                    yield batch
                if reader.done:
                    reply.finish()
                    break
            reader.end()
        except WireError as error:
            reply.broken()
            raise fault(model.name, error) from None
        finally:
            reply.close()

    async def close(self) -> None:
        await self._upstream.close()


class _Reader:
    """Pieces of a stream to batches; knows whether every choice that began has ended."""

    __slots__ = ("_begun", "_broken", "_ended", "_events", "done")

    def __init__(self) -> None:
        self._events = Events()
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._broken: WireError | None = None
        self.done = False  # nothing more is to come: the provider said so, or it can't be read on

    def feed(self, piece: bytes) -> Batch:
        """What a piece holds, up to where it breaks off: that was paid for. `end` raises what broke it."""
        batch: list[Chunk] = []
        try:
            for _, data in self._events.feed(piece):
                if data == DONE:
                    self.done = True
                    break
                batch += dialect.decode_event(data)
        except WireError as error:
            self._broken = error
            self.done = True
        for chunk in batch:
            self._begun.add(chunk.index)
            if chunk.finish is not None:
                self._ended.add(chunk.index)
        return tuple(batch)

    def end(self) -> None:
        """Raises WireError unless the answer is whole. A missing `[DONE]` alone is forgiven."""
        if self._broken is not None:
            raise self._broken
        if not self.done:
            self._events.end()
        if not self._ended or self._ended < self._begun:
            raise WireError("the stream stopped before the answer did")


def fault(model: str, error: WireError) -> ProviderError:
    """What went wrong on the wire, as the error of a model."""
    return (Overloaded if error.overloaded else Torn)(model, error.message)
