"""POST /v1/moderations: what is wrong with a text, by the shipped classifiers, a route's screens, or a provider.

The classifiers answer where no model is named, or one of OpenAI's that is not configured. They read text alone, cost
nothing and need no network; the ledger gets an entry all the same. A route answers by what it screens (`judging.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tierwise.dialects import openai_moderations as dialect
from tierwise.dialects.openai_chat import Label
from tierwise.errors import BadRequest, Forbidden, TierwiseError
from tierwise.gateway import chat, said
from tierwise.gateway.access import rights
from tierwise.gateway.access.limits import NONE
from tierwise.gateway.doors import MODERATIONS
from tierwise.gateway.engine import SECOND, Engine
from tierwise.gateway.run import CLIENT_LEFT
from tierwise.gateway.screening.gate import Clean
from tierwise.gateway.screening.guards import Guard, blocked, shared_moderation
from tierwise.gateway.screening.judging import DECISION, Judged, Judging
from tierwise.gateway.web.http import Reply, Watch, read_body
from tierwise.gateway.web.idempotency import Claim
from tierwise.money import Entry, Record
from tierwise.screens.moderation import CATEGORIES, Moderation
from tierwise.screens.screen import windows
from tierwise.types import Evidence, Message, Model, Price, Request, Route, Usage

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

NAME = "tierwise-moderation"
LONGEST = 1_000_000  # characters of all texts of a request: what reads them is the core that serves everybody
_OPENAI = ("omni-moderation-", "text-moderation-")  # how the names of its models begin
_MODEL = Model(NAME, "local", NAME, Price(0, 0, 0, 0), max_output=1)
_ROUTE = Route(NAME, (_MODEL,))
_READ: Mapping[str, Sequence[str]] = dict.fromkeys(CATEGORIES, ("text",))
STRIDE = 16_000  # characters after which others get their turn: some 15 ms
PAUSE = 0.005  # seconds of it: what others do takes several looks at their sockets


async def moderations(app: App, exchange: Exchange) -> Reply | None:
    """POST /v1/moderations."""
    body = await read_body(exchange.headers, exchange.proto, app.running.max_body, app.timer)
    request = dialect.decode_request(body, exchange.id, chat.tags(exchange.headers.get("x-tierwise-tags")))
    if _local(request.asked, app.engine):
        return await _classified(app, exchange, request)
    rights.check(exchange.tenant, exchange.headers, request.asked)
    route = app.engine.route(request.asked)
    guard = app.engine.guards.get(route.name) if route.name in app.engine.snapshot.routes else None
    gives = len(route.tiers) == 1 and route.premium.provider == "openai"
    if guard is not None and (guard.table.screener or not gives):
        name = exchange.headers.get("idempotency-key")
        if name is None:
            return await _screened(app, exchange, request, body, guard)
        return await app.replies.once(
            exchange, name, body, lambda claim: _screened(app, exchange, request, body, guard, claim)
        )
    if not gives:
        raise BadRequest(
            f"{route.name} gives no moderations; name a route that has screens, an OpenAI-compatible model that gives "
            "some, or none for the gateway's own classifiers.",
            param="model",
        )
    return await chat.answer(app, exchange, MODERATIONS, body)


def _local(asked: str, engine: Engine) -> bool:
    """What is configured by a name comes first."""
    if asked in engine.snapshot.models or asked in engine.snapshot.routes:
        return False
    return asked in ("", NAME) or asked.startswith(_OPENAI)


async def _classified(app: App, exchange: Exchange, request: Request) -> Reply:
    """By the classifiers of this process."""
    tenant, engine = exchange.tenant, app.engine
    rights.check(tenant, exchange.headers, NAME)
    texts = _texts(request)
    clock = engine.clock
    started_ns, started_ms = clock.now_ns(), clock.monotonic_ms()
    grant = app.limits.admit(tenant, request, _ROUTE)
    try:
        # loading takes a part of a second, once in a process
        loaded = shared_moderation.cache_info().currsize
        screen = shared_moderation() if loaded else await asyncio.to_thread(shared_moderation)
        found = await _read(screen, texts)
    finally:
        if grant is not None:
            grant.end(NONE)
    label = Label(f"{MODERATIONS.prefix}{request.id}", started_ns // SECOND, NAME)
    body = dialect.encode_results(found, _READ, label)
    total_ms = clock.monotonic_ms() - started_ms
    entry = Entry(NAME, NAME, "direct", Usage(), 0, "computed", "served", DECISION.rule, total_ms, total_ms)
    owner = (request.id, tenant.key_id, NAME, started_ns)
    record = Record(*owner, total_ms, 200, DECISION, (entry,), 0, "computed", team=tenant.team)
    engine.post(record)
    return Reply(200, body, (*said.decided(_ROUTE, NAME, DECISION), *said.money(record)))


async def _screened(
    app: App, exchange: Exchange, request: Request, body: bytes, guard: Guard, claim: Claim | None = None
) -> Reply | None:
    """By what a route screens, as its requests are."""
    running, tenant = app.running, exchange.tenant
    clean = await _cleaned(running.engine, request, body)
    texts = _texts(clean.request)
    judging = Judging(running.engine, guard, clean.request, clean.route, tenant)
    judging.note(*[Evidence("screen", None, one) for one in clean.found])
    grant = app.limits.admit(tenant, request, clean.route)
    running.begin()
    watch = Watch(exchange.proto, app.timer)
    app.watches.add(watch)
    try:
        if clean.stopped:
            raise blocked("request", clean.found)
        judged = await judging.judge(texts)
        headers = [*said.decided(clean.route, NAME, DECISION), *said.money(judging.book(200))]
        reply = Reply(200, _encoded(judged, request.id, running.engine), (*headers, *said.flagged(clean.found)))
        if claim is not None:
            claim.done(reply)
    except (TierwiseError, asyncio.CancelledError) as ended:
        if watch.left and isinstance(ended, asyncio.CancelledError):
            return None
        error = watch.refusal(ended)
        judging.book(error.status, said.rule(error))
        raise error from None
    finally:
        running.end()
        watch.end()
        app.watches.discard(watch)
        if judging.record is None:
            judging.book(*((CLIENT_LEFT, "client-left") if watch.left else (500, "crashed")))
        if grant is not None:
            grant.end(NONE)
    return reply


async def _cleaned(engine: Engine, request: Request, body: bytes) -> Clean:
    """As the route's rule for personal data lets it on; what its screener may not have the classifiers still may."""

    def again(masked: bytes) -> Request:
        return dialect.decode_request(masked, request.id, request.tags)

    route = engine.snapshot.routes[request.asked]
    own = Route(route.name, (_MODEL,), screener=route.screener)
    rule = engine.privates.get(route.name)
    if rule is None:
        return Clean(request, own)
    try:
        asked = msgspec.structs.replace(own, tiers=(route.screener or _MODEL,))
        clean = await rule.clean(request, asked, body, again)
    except Forbidden:
        return Clean(request, msgspec.structs.replace(own, screener=None))
    return clean._replace(route=own)


def _encoded(judged: Iterable[Judged], request_id: str, engine: Engine) -> bytes:
    """Every category, then what else was looked for: classes of the operator's own, `injection`, and `risk/legal`."""
    found = [
        ({**dict.fromkeys(CATEGORIES, 0.0), **_named(text.scores)}, [_name(one) for one in text.found])
        for text in judged
    ]
    looked = {_name(one) for text in judged for one in text.scores}
    read = {name: ("text",) if name in looked else () for scores, _ in found for name in scores}
    label = Label(f"{MODERATIONS.prefix}{request_id}", engine.clock.now_ns() // SECOND, NAME)
    return dialect.encode_results(found, read, label)


def _named(scores: Mapping[str, float]) -> dict[str, float]:
    return {_name(one): score for one, score in scores.items()}


def _name(one: str) -> str:
    """A class as the reply calls it."""
    screen, _, name = one.partition(":")
    return name if screen != "risk" else f"{screen}/{name}"


def _texts(request: Request) -> list[str]:
    """Raises BadRequest."""
    texts = [_text(message) for message in request.messages]
    if sum(map(len, texts)) > LONGEST:
        raise BadRequest(f"input may hold {LONGEST:,} characters in all.", param="input")
    return texts


def _text(message: Message) -> str:
    """Raises BadRequest where there is none: that nothing is wrong with a picture is not ours to say."""
    if isinstance(message.content, tuple) and not message.text:
        raise BadRequest(
            "The gateway's own classifiers read text only; name a configured model for pictures.", param="input"
        )
    return message.text


async def _read(screen: Moderation, texts: Sequence[str]) -> list[dialect.Result]:
    """Of each text, the highest scores of its windows, and all that one of them is flagged in."""
    parts = [(number, part) for number, text in enumerate(texts) for _, part in windows(text)]
    found: list[tuple[Mapping[str, float], tuple[str, ...]]] = [({}, ())] * len(texts)
    for place, group in enumerate(_strides(parts)):
        if place:
            await asyncio.sleep(PAUSE)
        findings = screen.screen_each([part for _, part in group])
        for (number, _), (scores, flagged, _) in zip(group, findings, strict=True):
            before, already = found[number]
            found[number] = _higher(scores, before), already + flagged
    return [*found]


def _strides(parts: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Groups of at most STRIDE characters, or of one."""
    group: list[tuple[int, str]] = []
    since = 0
    for part in parts:
        since += len(part[1])
        if group and since > STRIDE:
            yield group
            group, since = [], len(part[1])
        group.append(part)
    yield group


def _higher(one: Mapping[str, float], other: Mapping[str, float]) -> Mapping[str, float]:
    return {name: max(score, other.get(name, 0.0)) for name, score in one.items()}
