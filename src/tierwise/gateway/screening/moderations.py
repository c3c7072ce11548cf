"""POST /v1/moderations: what is wrong with a text, by the classifiers that are shipped, or by a provider's endpoint.

The classifiers answer where no model is named, or one of OpenAI's that is not configured. They read text alone, cost
nothing and need no network; the ledger gets an entry all the same. Knows no category.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tierwise.dialects import openai_moderations as dialect
from tierwise.dialects.openai_chat import Label
from tierwise.errors import BadRequest
from tierwise.gateway import chat, said
from tierwise.gateway.access import rights
from tierwise.gateway.access.limits import NONE
from tierwise.gateway.doors import MODERATIONS
from tierwise.gateway.engine import SECOND, Engine
from tierwise.gateway.screening.guards import shared_moderation
from tierwise.gateway.web.http import Reply, read_body
from tierwise.money import Entry, Record
from tierwise.screens.moderation import CATEGORIES, TRAINED
from tierwise.screens.screen import Screen, windows
from tierwise.types import Decision, Message, Model, Price, Request, Route, Usage

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

NAME = "tierwise-moderation"
LONGEST = 1_000_000  # characters of all texts of a request: what reads them is the core that serves everybody
_OPENAI = ("omni-moderation-", "text-moderation-")  # how the names of its models begin
_MODEL = Model(NAME, "local", NAME, Price(0, 0, 0, 0), max_output=1)
_ROUTE = Route(NAME, (_MODEL,))
_DECISION = Decision("serve", "direct")
_READ: Mapping[str, Sequence[str]] = {name: ("text",) if name in TRAINED else () for name in CATEGORIES}
STRIDE = 16_000  # characters after which others get their turn: some 15 ms
PAUSE = 0.005  # seconds of it: what others do takes several looks at their sockets


async def moderations(app: App, exchange: Exchange) -> Reply | None:
    """POST /v1/moderations."""
    body = await read_body(exchange.headers, exchange.proto, app.running.max_body, app.vigil)
    request = dialect.decode_request(body, exchange.id)
    if _local(request.asked, app.engine):
        return await _classified(app, exchange, request)
    rights.check_name(exchange.tenant, request.asked)
    _check(app.engine.route(request.asked))
    return await chat.answer(app, exchange, MODERATIONS, body)


def _local(asked: str, engine: Engine) -> bool:
    """What is configured by a name comes first."""
    if asked in engine.snapshot.models or asked in engine.snapshot.routes:
        return False
    return asked in ("", NAME) or asked.startswith(_OPENAI)


def _check(route: Route) -> None:
    if len(route.tiers) > 1 or route.premium.provider != "openai":
        raise BadRequest(
            f"{route.name} gives no moderations; name an OpenAI-compatible model that does, or none for the gateway's "
            "own classifiers.",
            param="model",
        )


async def _classified(app: App, exchange: Exchange, request: Request) -> Reply:
    """By the classifiers of this process."""
    tenant, engine = exchange.tenant, app.engine
    rights.check(tenant, exchange.headers, NAME)
    texts = [_text(message) for message in request.messages]
    if sum(map(len, texts)) > LONGEST:
        raise BadRequest(f"input may hold {LONGEST:,} characters in all.", param="input")
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
    entry = Entry(NAME, NAME, "direct", Usage(), 0, "computed", "served", _DECISION.rule, total_ms, total_ms)
    owner = (request.id, tenant.key_id, NAME, started_ns)
    record = Record(*owner, total_ms, 200, _DECISION, (entry,), 0, "computed", team=tenant.team)
    engine.post(record)
    return Reply(200, body, (*said.decided(_ROUTE, NAME, _DECISION), *said.money(record)))


def _text(message: Message) -> str:
    """Raises BadRequest where there is none: that nothing is wrong with a picture is not ours to say."""
    if isinstance(message.content, tuple) and not message.text:
        raise BadRequest(
            "The gateway's own classifiers read text only; name a configured model for pictures.", param="input"
        )
    return message.text


async def _read(screen: Screen, texts: Iterable[str]) -> list[dialect.Result]:
    """Of each text, the highest scores of its windows, and all that one of them is flagged in."""
    found: list[dialect.Result] = []
    since = 0
    for text in texts:
        scores: Mapping[str, float] = {}
        flagged: tuple[str, ...] = ()
        for start, part in windows(text):
            since += len(part)
            if since > STRIDE:
                since = len(part)
                await asyncio.sleep(PAUSE)
            finding = screen.screen(part)
            scores = finding.scores if not start else _higher(scores, finding.scores)
            flagged += finding.flagged
        found.append((scores, flagged))
    return found


def _higher(one: Mapping[str, float], other: Mapping[str, float]) -> Mapping[str, float]:
    return {name: max(score, other[name]) for name, score in one.items()}
