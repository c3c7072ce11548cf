"""Idempotency keys: one call for however many tries, and the same reply to all of them.

A client names a request (`Idempotency-Key`, as in the IETF's draft of that header, version 7): while it runs, a second
try is refused (409); once it was answered, the reply comes again for a day; another body under the same name is refused
(422). What ended otherwise than by an answer is forgotten, so that a retry is a new call.

In this process's memory only, and bounded: with several workers, a retry that reaches another one is a call of its own.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from tierwise.errors import BadRequest, ClientError
from tierwise.gateway.web.http import Reply
from tierwise.ports import Clock

if TYPE_CHECKING:
    from tierwise.gateway.app import Exchange

LONGEST = 255  # characters of a name
KEPT_MS = 86_400_000.0
LIMIT = 64 << 20  # bytes of replies


class StillRunning(ClientError):
    status = 409
    default_code = "idempotency_key_in_use"


class AnotherBody(ClientError):
    status = 422
    default_code = "idempotency_key_reused"


class _Kept(msgspec.Struct, frozen=True):
    digest: bytes
    reply: Reply
    until_ms: float


class Claim:
    """A request that is being answered under its name. `done` keeps its reply; `drop` forgets it, unless it is done."""

    __slots__ = ("_name", "_replies")

    def __init__(self, replies: Replies, name: tuple[str, str]) -> None:
        self._replies = replies
        self._name = name

    def done(self, reply: Reply) -> None:
        self._replies.keep(self._name, reply)

    def drop(self) -> None:
        self._replies.drop(self._name)


Answering = Callable[[Claim], Awaitable[Reply | None]]


class Replies:
    """The oldest is forgotten first. Belongs to one event loop."""

    def __init__(self, clock: Clock, limit: int = LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._size = 0
        self._running: dict[tuple[str, str], bytes] = {}  # by key and name: the digest of path and body
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()  # in order of their ends

    async def once(self, exchange: Exchange, name: str, body: bytes, answer: Answering) -> Reply | None:
        """What `answer` comes to, or the reply that this name has had. Raises as `claim` does."""
        claim = self.claim(exchange.tenant.key_id, name, exchange.scope.path, body)
        if isinstance(claim, Reply):
            return msgspec.structs.replace(claim, headers=(*claim.headers, ("x-tierwise-replayed", "true")))
        try:
            return await answer(claim)
        finally:
            claim.drop()

    def claim(self, key_id: str, name: str, path: str, body: bytes) -> Claim | Reply:
        """A claim for a new name, or the reply that it had. Raises BadRequest, StillRunning, AnotherBody."""
        if len(name) > LONGEST or not name.isprintable():
            raise BadRequest(f"idempotency-key takes at most {LONGEST} printable characters.", param="idempotency-key")
        self._expire()
        mine = key_id, name
        digest = hashlib.sha256(b"%b\0%b" % (path.encode(), body)).digest()
        kept = self._kept.get(mine)
        known = self._running.get(mine) if kept is None else kept.digest
        if known is None:
            self._running[mine] = digest
            return Claim(self, mine)
        if known != digest:
            raise AnotherBody("This idempotency key came with another request; take a new key for a new request.")
        if kept is None:
            raise StillRunning("The request with this idempotency key is still running.", retry_after=1.0)
        return kept.reply

    def keep(self, name: tuple[str, str], reply: Reply) -> None:
        digest = self._running.pop(name)
        self._kept[name] = _Kept(digest, reply, self._clock.monotonic_ms() + KEPT_MS)
        self._size += len(reply.body)
        while self._size > self._limit:
            self._forget()

    def drop(self, name: tuple[str, str]) -> None:
        self._running.pop(name, None)

    def _expire(self) -> None:
        now = self._clock.monotonic_ms()
        while self._kept and next(iter(self._kept.values())).until_ms <= now:
            self._forget()

    def _forget(self) -> None:
        self._size -= len(self._kept.popitem(last=False)[1].reply.body)
