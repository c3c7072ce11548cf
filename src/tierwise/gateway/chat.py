"""Answering a chat request that came in by any door: decode, run, encode, book.

Knows the order of things; wires are `doors.py`'s, answering is `run.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from tierwise.core.cascade import Outcome
from tierwise.dialects import anthropic_messages, anthropic_replies
from tierwise.dialects.openai_chat import Label
from tierwise.errors import BadRequest, TierwiseError
from tierwise.gateway import explained, said
from tierwise.gateway.access import rights
from tierwise.gateway.access.limits import used
from tierwise.gateway.doors import EMBEDDINGS, Door
from tierwise.gateway.engine import SECOND
from tierwise.gateway.run import CLIENT_LEFT, Live, cleaned
from tierwise.gateway.screening.gate import OPEN, Clean
from tierwise.gateway.sessions import check_name
from tierwise.gateway.web.deadline import with_deadline
from tierwise.gateway.web.http import EVENT_STREAM, ClientLeft, Reply, Stream, Watch, read_body
from tierwise.gateway.web.idempotency import Claim
from tierwise.ports import Batch
from tierwise.types import Decision, Model, Request, Route

if TYPE_CHECKING:
    from granian._granian import RSGIHeaders as Headers  # granian.rsgi names them without exporting them

    from tierwise.gateway.app import App, Exchange
    from tierwise.gateway.running import Running

TAGS_MAX = 32
Handler = Callable[["App", "Exchange"], Awaitable[Reply | None]]


def answering(door: Door) -> Handler:
    """The handler of a path that takes requests by this wire."""

    async def handler(app: App, exchange: Exchange) -> Reply | None:
        body = await read_body(exchange.headers, exchange.proto, app.running.max_body, app.timer)
        return await answer(app, exchange, door, body)

    return handler


async def count_tokens(app: App, exchange: Exchange) -> Reply:
    """POST /v1/messages/count_tokens: an estimate, by what the route's premium has taught; nothing is called."""
    body = await read_body(exchange.headers, exchange.proto, app.running.max_body, app.timer)
    request = anthropic_messages.decode_countable(body, exchange.id)
    rights.check_name(exchange.tenant, request.asked)
    route = app.engine.route(request.asked)
    tokens = app.engine.meter.ratio(route.premium).input(request)
    return Reply(200, anthropic_replies.encode_count(round(tokens)))


async def show_response(app: App, exchange: Exchange) -> Reply:
    """GET /v1/responses/{id}."""
    return Reply(200, app.conversations.body(exchange.tenant.key_id, exchange.rest))


async def delete_response(app: App, exchange: Exchange) -> Reply:
    """DELETE /v1/responses/{id}."""
    app.conversations.forget(exchange.tenant.key_id, exchange.rest)
    return Reply(200, msgspec.json.encode({"id": exchange.rest, "object": "response", "deleted": True}))


def answer(app: App, exchange: Exchange, door: Door, body: bytes) -> Awaitable[Reply | None]:
    """A request of this body, for the first time or again."""
    name = exchange.headers.get("idempotency-key")
    if name is None:
        return _fresh(app, exchange, door, body)
    return app.replies.once(exchange, name, body, lambda claim: _fresh(app, exchange, door, body, claim))


def _decoded(app: App, exchange: Exchange, door: Door, body: bytes) -> Request:
    """With what headers and earlier responses add to it."""
    headers = exchange.headers
    request = _read(exchange, door, body)
    deadline = headers.get("x-tierwise-deadline")
    if deadline is not None:
        request = with_deadline(request, deadline)
    if door.extras:
        request = msgspec.structs.replace(request, extras=_extras(headers, door))
    return app.conversations.resume(exchange.tenant.key_id, request)


def _read(exchange: Exchange, door: Door, body: bytes) -> Request:
    return door.decode(body, exchange.id, tags(exchange.headers.get("x-tierwise-tags")))


async def _fresh(app: App, exchange: Exchange, door: Door, body: bytes, claim: Claim | None = None) -> Reply | None:
    """A request that is answered for the first time."""
    headers = exchange.headers
    running = app.running
    request = _decoded(app, exchange, door, body)
    rights.check(exchange.tenant, headers, request.asked)
    route = running.engine.route(request.asked, headers.get("x-tierwise-mode"))
    if door is EMBEDDINGS:
        _check_vectors(route)
    clean = Clean(request, route)
    if running.engine.privates:
        clean = await cleaned(running.engine, request, route, body, lambda masked: _read(exchange, door, masked))
    clean, wanted = explained.asked(headers.get, clean, door)
    live = Live(running.engine, clean, exchange.tenant, check_name(headers.get("x-tierwise-session")))
    grant = app.limits.admit(exchange.tenant, clean.request, clean.route)
    running.begin()
    watch = Watch(exchange.proto, app.timer)
    app.watches.add(watch)
    reply: Reply | None = None
    try:
        if not request.stream:
            reply = await _whole(app, running, live, watch, len(body), door)
            reply = explained.whole(reply, live, wanted, door)
        else:
            stream = Stream(exchange.proto, exchange.scope.client, kept=claim is not None)
            events = _Events(live, stream, explained.streaming(door, live, wanted))
            reply = await _streamed(app, running, live, watch, events, len(body))
        if claim is not None and reply is not None:
            claim.done(reply)
    except ClientLeft:
        watch.left = True
    except asyncio.CancelledError:
        if not watch.left:
            raise
    finally:
        running.end()
        watch.end()
        app.watches.discard(watch)
        if live.record is None:  # a client that left and a crash of ours have cost something too
            live.book(*((CLIENT_LEFT, "client-left") if watch.left else (500, "crashed")))
        if grant is not None and live.record is not None:
            grant.end(used(live.record))
    return None if request.stream else reply


def _check_vectors(route: Route) -> None:
    if len(route.tiers) > 1:
        raise BadRequest("Vectors of two models can't be compared: name a model, not a route of tiers.", param="model")
    if route.premium.provider != "openai":
        raise BadRequest(f"{route.premium.name} gives no embeddings; an OpenAI-compatible model does.", param="model")


async def _whole(app: App, running: Running, live: Live, watch: Watch, size: int, door: Door) -> Reply:
    try:
        outcome = await live.run(size)
        label = _label(live, door, outcome.answer.model)
        body = door.answer(outcome.answer, live.request, label)
        if live.gate.inline is not None:
            body = live.gate.inline.whole(body, outcome.answer)
    except (TierwiseError, asyncio.CancelledError) as ended:
        error = watch.refusal(ended)
        live.book(error.status, said.rule(error))
        raise error from None
    _keep(app, live, body, door)
    record = running.answered(live)
    headers = said.decided(live.route, outcome.answer.model, outcome.decision)
    headers += said.money(record)
    if live.gate is not OPEN:
        headers += said.flagged(live.gate.flagged)
    return Reply(200, body, headers)


async def _streamed(app: App, running: Running, live: Live, watch: Watch, events: _Events, size: int) -> Reply | None:
    """All that was sent, where it is to be kept and came to its end."""
    end: TierwiseError | None = internal()  # until we know better
    try:
        outcome = await live.run(size, events)
        events.keep(app, outcome)
        running.answered(live)
        end = None
    except (TierwiseError, asyncio.CancelledError) as ended:
        error = watch.refusal(ended)
        live.book(error.status, said.rule(error))
        if not events.stream.opened:
            raise error from None
        end = error
    finally:
        if not watch.left:
            await events.end(end)
        events.stream.close()
    return events.reply if end is None else None


class _Events:
    """A sink that writes the client's events."""

    def __init__(self, live: Live, stream: Stream, door: Door) -> None:
        self.stream = stream
        self._live = live
        self._door = door
        self._label = _label(live, door, "")
        self._encoder = door.events(live.request, self._label)
        self._headers: said.Headers = []

    @property
    def reply(self) -> Reply | None:
        """As one whole, for a retry; None where it was not kept."""
        sent = self.stream.sent
        return None if sent is None else Reply(200, b"".join(sent), (*EVENT_STREAM, *self._headers), typed=True)

    async def open(self, model: Model, decision: Decision) -> None:
        self._label = _label(self._live, self._door, model.name)
        self._encoder = self._door.events(self._live.request, self._label)
        self._headers = said.decided(self._live.route, model.name, decision)
        self._headers += said.flagged(self._live.gate.flagged)
        self.stream.open([*said.identified(self._live.request.id), *self._headers])

    def send(self, batch: Batch) -> Awaitable[None]:
        if self._live.gate.inline is not None:
            batch = self._live.gate.inline.hear(batch)
        return self.stream.send(self._encoder.encode(batch))

    async def end(self, error: TierwiseError | None) -> None:
        """Honest: a stream that could not go on says so, and never looks whole."""
        if error is not None:
            await self.stream.send(self._encoder.error(error))
            return
        done, moderated = self._encoder.done(), self._live.gate.inline
        await self.stream.send(done if moderated is None else moderated.ended(done, self._label))

    def keep(self, app: App, outcome: Outcome) -> None:
        if self._door.keeps:
            body = self._door.answer(outcome.answer, self._live.request, self._label)
            _keep(app, self._live, body, self._door)


def _keep(app: App, live: Live, body: bytes, door: Door) -> None:
    if door.keeps:
        app.conversations.keep(live.tenant.key_id, live.asked, body)


def _label(live: Live, door: Door, model: str) -> Label:
    return Label(f"{door.prefix}{live.request.id}", live.engine.clock.now_ns() // SECOND, model)


def _extras(headers: Headers, door: Door) -> tuple[tuple[str, str], ...]:
    """Headers for a provider of the client's own dialect. Raises BadRequest for what can't be one."""
    found: list[tuple[str, str]] = []
    for name in door.extras:
        value = headers.get(name)
        if value is not None:
            if len(value) > 1000 or not (value.isascii() and value.isprintable()):
                raise BadRequest(f"{name} takes at most 1,000 printable characters of ASCII.", param=name)
            found.append((name, value))
    return tuple(found)


def tags(header: str | None) -> frozenset[str]:
    if not header:
        return frozenset()
    found = frozenset(tag.strip().lower() for tag in header.split(",") if tag.strip())
    if len(found) > TAGS_MAX or any(len(tag) > 64 for tag in found):
        raise BadRequest(f"x-tierwise-tags takes at most {TAGS_MAX} tags of 64 characters.", param="x-tierwise-tags")
    return found


def internal() -> TierwiseError:
    return TierwiseError("An internal error; the gateway's log has more under this request id.")
