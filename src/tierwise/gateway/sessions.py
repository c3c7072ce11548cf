"""Which model answered a conversation last, so that the next turn may stay with it: a router changes models only for
a clear reason, and the prompt cache lies where the last turn was answered.

And which classes were found in it, which it keeps: a later turn that does not repeat the earlier ones stays in them.
In this process's memory only, and bounded: a hint, never a promise. Keeps digests, names of models and tags, no text.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from tierwise.errors import BadRequest
from tierwise.money import Tenant
from tierwise.types import Message, Request, Route

LIMIT = 10_000  # conversations
LONGEST = 128  # characters of a name that a client gives
DISTINCT = 32  # characters that a first message has at least if it is to stand for a conversation: "Hi" begins many
_OPENING = ("system", "developer", "user")


class Sessions:
    """The conversation that was heard of least recently is forgotten first. Belongs to one event loop."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._models: OrderedDict[bytes, str] = OrderedDict()
        self._tags: OrderedDict[bytes, frozenset[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._models)

    def resume(self, request: Request, conversation: bytes) -> Request:
        """The request, with `last_model` where the conversation is known."""
        model = self._models.get(conversation)
        if model is None:
            return request
        self._models.move_to_end(conversation)
        return msgspec.structs.replace(request, last_model=model)

    def remember(self, conversation: bytes, model: str) -> None:
        """`model`, a configured one, has answered."""
        self._models[conversation] = model
        self._models.move_to_end(conversation)
        if len(self._models) > self._limit:
            self._models.popitem(last=False)

    def keep(self, conversation: bytes, tags: frozenset[str]) -> frozenset[str]:
        """Tags that were found, as those of a conversation; with all that it had before."""
        before = self._tags.get(conversation)
        if before is not None:
            tags |= before
        if tags:
            self._tags[conversation] = tags
            self._tags.move_to_end(conversation)
            if len(self._tags) > self._limit:
                self._tags.popitem(last=False)
        return tags


def check_name(header: str | None) -> str:
    """The client's own name of a conversation; "" where it gives none. Raises BadRequest for what can't be one."""
    if header and (len(header) > LONGEST or not header.isprintable()):
        raise BadRequest(
            f"x-tierwise-session takes at most {LONGEST} printable characters.", param="x-tierwise-session"
        )
    return header or ""


def conversation(request: Request, route: Route, tenant: Tenant, name: str) -> bytes | None:
    """16 bytes for a key's conversation on a route; None where nothing would come of knowing it.

    Where the client gives no `name`, the instructions and the user's first message stand for it: they come again
    with every turn.
    """
    if len(route.tiers) == 1 or not (route.planned or route.hold == "none"):
        return None  # no router is asked
    return digest(request, route, tenant, name)


def classed(request: Request, route: Route, tenant: Tenant, name: str) -> bytes | None:
    """The same for what a conversation is about; None where it begins like others may."""
    first = next((message.text for message in request.messages if message.role == "user"), "")
    return digest(request, route, tenant, name) if name or len(first) >= DISTINCT else None


def digest(request: Request, route: Route, tenant: Tenant, name: str) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for part in (tenant.key_id, route.name, name, *(() if name else _opening(request.messages))):
        raw = part.encode("utf-8", "replace")
        found.update(b"%d:%b" % (len(raw), raw))
    return found.digest()


def begun(request: Request) -> bool:
    """Whether the conversation has had an answer."""
    return any(message.role == "assistant" for message in request.messages)


def _opening(messages: tuple[Message, ...]) -> Iterator[str]:
    for message in messages:
        if message.role in _OPENING:
            yield message.role
            yield message.text
        if message.role == "user":
            return
