"""Responses that clients may go on from (`previous_response_id`), and read or delete by their id.

In this process's memory only, and bounded: with several workers, or after a restart, a client may have to send the
whole conversation again, and is told so. A response is only ever there for the key that asked for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import msgspec

from tierwise.dialects.openai_responses import decode_items
from tierwise.dialects.openai_responses_upstream import encode_items
from tierwise.errors import BadRequest, NotFound
from tierwise.types import Request

LIMIT = 64 << 20  # bytes of responses and of what they answered


class _Response(msgspec.Struct):
    id: Any = None
    output: list[msgspec.Raw] = []


_response = msgspec.json.Decoder(_Response)
_items = msgspec.json.Decoder(str | list[msgspec.Raw])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Kept(msgspec.Struct, frozen=True):
    items: tuple[bytes, ...]  # what was asked, item by item, without the instructions, which do not carry over
    body: bytes  # the response as it was sent

    @property
    def size(self) -> int:
        return len(self.body) + sum(map(len, self.items))


class Conversations:
    """The response that was used least recently is forgotten first. Belongs to one event loop."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()  # by key and response

    def resume(self, key_id: str, request: Request) -> Request:
        """With all that went before it, as messages and in its body. Raises NotFound."""
        if not request.continues:
            return request
        kept = self._find(key_id, request.continues, "previous_response_id")
        before = [*kept.items, *_said(_response.decode(kept.body).output)]
        mine = _instructions(request)
        messages = (*request.messages[:mine], *decode_items(_array(before)), *request.messages[mine:])
        body = {**request.body, "input": msgspec.Raw(_array([*before, *_asked(request)]))}
        return msgspec.structs.replace(request, messages=messages, body=body)

    def keep(self, key_id: str, request: Request, body: bytes) -> None:
        """Under the id that the client was told, unless it wants the response forgotten (`store: false`)."""
        name = _response.decode(body).id
        if bytes(request.body.get("store", b"true")) == b"false" or not isinstance(name, str):
            return
        try:
            kept = Kept(tuple(_asked(request)), body)
        except BadRequest:  # written anew since it came, and what it holds can't be said again
            return
        if (old := self._kept.pop((key_id, name), None)) is not None:
            self._size -= old.size
        self._kept[key_id, name] = kept
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


def _asked(request: Request) -> list[bytes]:
    """The items of its input, as its client wrote them, and of what went before it."""
    own = request.body.get("input")
    if own is None:  # not as it came: someone has written it anew
        return [msgspec.json.encode(item) for item in encode_items(request.messages)]
    asked = _items.decode(own)
    if isinstance(asked, str):
        return [b'{"role":"user","content":%b}' % bytes(own)] if asked else []
    return [bytes(item) for item in asked]


def _said(output: list[msgspec.Raw]) -> Iterator[bytes]:
    """The items of an answer, as a later request can hold them, whichever model it goes to.

    Reasoning that is not encrypted is its provider's alone, known by an id. It goes, and with it the ids of what was
    said and called: a provider refuses an item that it knows where the reasoning before it is not there.
    """
    items = [_fields.decode(item) for item in output]
    thoughts = [item for item in items if _is(item, b'"reasoning"')]
    verbatim = bool(thoughts) and all(bytes(item.get("encrypted_content", b"null")) != b"null" for item in thoughts)
    for item, raw in zip(items, output, strict=True):
        if verbatim or not _is(item, b'"message"', b'"function_call"', b'"reasoning"'):
            yield bytes(raw)
        elif not _is(item, b'"reasoning"'):
            phase = {"phase": item["phase"]} if "phase" in item else {}
            for written in encode_items(decode_items(_array([bytes(raw)]))):
                yield msgspec.json.encode(written | phase)


def _is(item: dict[str, msgspec.Raw], *kinds: bytes) -> bool:
    return bytes(item.get("type", b"")) in kinds


def _array(items: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)
