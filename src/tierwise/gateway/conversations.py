"""Responses that clients may go on from (`previous_response_id`), and read or delete by their id.

In this process's memory only, and bounded: with several workers, or after a restart, a client may have to send the
whole conversation again, and is told so. A response is only ever there for the key that asked for it.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from tierwise.errors import NotFound
from tierwise.types import Answer, Message, Request, ToolCall

LIMIT = 64 << 20  # bytes of responses and of what they answered
CHARACTER = 4  # bytes of one at the most


class Kept(msgspec.Struct, frozen=True):
    messages: tuple[Message, ...]  # without the instructions, which do not carry over
    body: bytes  # the response as it was sent

    @property
    def size(self) -> int:
        calls = [call for message in self.messages for call in message.tool_calls]
        words = sum(len(message.text) for message in self.messages) + sum(len(call.arguments) for call in calls)
        return len(self.body) + CHARACTER * words


class Conversations:
    """The response that was used least recently is forgotten first. Belongs to one event loop."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()  # by key and response

    def resume(self, key_id: str, request: Request) -> Request:
        """With all that went before it. Raises NotFound."""
        if not request.continues:
            return request
        before = self._find(key_id, request.continues, "previous_response_id").messages
        mine = _instructions(request)
        messages = (*request.messages[:mine], *before, *request.messages[mine:])
        return msgspec.structs.replace(request, messages=messages)

    def keep(self, key_id: str, response_id: str, request: Request, answer: Answer, body: bytes) -> None:
        """Unless the client wants it forgotten (`store: false`)."""
        if bytes(request.body.get("store", b"true")) == b"false":
            return
        choice = answer.choices[0] if answer.choices else None
        calls: tuple[ToolCall, ...] = () if choice is None else choice.tool_calls
        said = Message("assistant", answer.text, calls)
        kept = Kept((*request.messages[_instructions(request) :], said), body)
        self._kept[key_id, response_id] = kept
        self._size += kept.size
        while self._size > self._limit:
            self._size -= self._kept.popitem(last=False)[1].size

    def body(self, key_id: str, response_id: str) -> bytes:
        """Raises NotFound."""
        return self._find(key_id, response_id, "response_id").body

    def forget(self, key_id: str, response_id: str) -> None:
        """Raises NotFound."""
        self._find(key_id, response_id, "response_id")
        self._size -= self._kept.pop((key_id, response_id)).size

    def _find(self, key_id: str, response_id: str, param: str) -> Kept:
        kept = self._kept.get((key_id, response_id))
        if kept is None:
            raise NotFound(
                f"No response {response_id[:100]!r} of this key is kept here (any more); send the whole conversation.",
                param=param,
                code="previous_response_not_found" if param == "previous_response_id" else "response_not_found",
            )
        self._kept.move_to_end((key_id, response_id))
        return kept


def _instructions(request: Request) -> int:
    """How many of its messages are its instructions: they come first."""
    return int(bytes(request.body.get("instructions", b"null")) not in (b"null", b'""'))
