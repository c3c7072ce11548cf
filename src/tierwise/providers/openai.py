"""OpenAI, and whatever speaks its Chat Completions: vLLM, Ollama, llama.cpp, a cloud's endpoint.

`responses.py` asks by its other wire.
"""

from __future__ import annotations

from collections.abc import Callable

from tierwise.dialects import openai_embeddings as embeddings
from tierwise.dialects import openai_moderations as moderations
from tierwise.dialects import openai_upstream as dialect
from tierwise.dialects.openai_chat import DONE, NAME
from tierwise.dialects.sse import Events
from tierwise.errors import WireError
from tierwise.ports import Batch
from tierwise.providers.http import Upstream
from tierwise.providers.wired import Wire, WiredProvider
from tierwise.types import Chunk, Model, Request


def headers(api_key: str | None) -> dict[str, str]:
    """What authenticates us; nothing for a server that asks for no key."""
    return {"authorization": f"Bearer {api_key}"} if api_key else {}


class OpenAIProvider(WiredProvider):
    """`adapt` rewrites a request for a server with other habits."""

    def __init__(self, upstream: Upstream, adapt: Callable[[Request], Request] | None = None) -> None:
        def encode(request: Request, model: Model) -> bytes:
            return dialect.encode_request(adapt(request) if adapt else request, model)

        chat = Wire(NAME, "/chat/completions", encode, dialect.decode_answer, _Reader)
        super().__init__(upstream, chat, VECTORS, VERDICTS)


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


VECTORS = Wire(  # never streamed
    embeddings.NAME, "/embeddings", embeddings.encode_request, embeddings.decode_answer, _Reader
)
VERDICTS = Wire(  # nor these
    moderations.NAME, "/moderations", embeddings.encode_request, moderations.decode_answer, _Reader
)
