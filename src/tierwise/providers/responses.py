"""OpenAI by its Responses, and whatever else speaks them: reasoning that stays whole, tools of the provider's own."""

from __future__ import annotations

from tierwise.dialects.openai_responses import NAME
from tierwise.dialects.openai_responses_answers import StreamDecoder, decode_answer
from tierwise.dialects.openai_responses_upstream import encode_request
from tierwise.providers.http import Upstream
from tierwise.providers.openai import VECTORS, VERDICTS
from tierwise.providers.wired import EventReader, Wire, WiredProvider


class ResponsesProvider(WiredProvider):
    """Vectors are asked as of any other server of OpenAI's wires."""

    def __init__(self, upstream: Upstream) -> None:
        responses = Wire(NAME, "/responses", encode_request, decode_answer, read_stream)
        super().__init__(upstream, responses, VECTORS, VERDICTS)


def read_stream() -> EventReader:
    return EventReader(StreamDecoder())
