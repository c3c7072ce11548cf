"""A model without a language model: it sorts the last user message into one of its labels, in under a millisecond.

It answers with the label, or with the reply that is written down for it; a label without one, where replies are given,
is refused, so that another tier answers. How sure it is comes as the log-probability of its one token, which is what
the checks and the verifier look at. It costs nothing but the machine's time. Knows neither features nor files: what
sorts comes in as a function.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from math import log

import msgspec

from tierwise.errors import Refused
from tierwise.ports import Batch
from tierwise.types import Chunk, Model, Request, Usage

CHARACTERS = 4  # of a token, roughly: nothing is charged by it, but premium is compared by it
LEAST = 1e-9  # of a probability: its logarithm has to be a number

Sort = Callable[[str], tuple[str, float]]
"""A text to (label, probability)."""


class SorterProvider:
    """Implements `ports.Provider`. `replies` None: the label itself is the answer."""

    def __init__(self, sort: Sort, replies: Mapping[str, str] | None = None) -> None:
        self._sort = sort
        self._replies = replies

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        if request.tools or request.n != 1:
            raise Refused(model.name, "a sorter calls no tools and gives one answer", upstream=400)
        text = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
        label, probability = self._sort(text)
        said = self._said(model, request, label)
        asked = sum(len(message.text) for message in request.messages)
        usage = Usage(input_tokens=asked // CHARACTERS + 1, output_tokens=len(said) // CHARACTERS + 1)
        yield (Chunk(said, finish="stop", logprobs=(log(max(probability, LEAST)),), usage=usage),)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _said(self, model: Model, request: Request, label: str) -> str:
        said = label if self._replies is None else self._replies.get(label)
        if said is None:
            raise Refused(model.name, f"no reply is written down for {label!r}", upstream=400)
        if not request.json_answer:
            return said
        return msgspec.json.encode({_member(request.schema): said}).decode()


def _member(schema: Mapping[str, object] | None) -> str:
    """What the one answer is called in a JSON answer: the schema's first property, or "label"."""
    properties = (schema or {}).get("properties")
    return next(iter(properties), "label") if isinstance(properties, dict) else "label"
