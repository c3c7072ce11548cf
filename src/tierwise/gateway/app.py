"""The data plane: the table of routes, the door that every request goes through, and chat completions.

Default deny: the door asks for a key before it looks for a route, so an unknown path answers 401 too.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from tierwise.dialects import openai_chat
from tierwise.errors import BadRequest, MethodNotAllowed, NotFound, TierwiseError
from tierwise.gateway.audits import Auditor, State
from tierwise.gateway.certified import Standing
from tierwise.gateway.deadline import with_deadline
from tierwise.gateway.engine import Engine
from tierwise.gateway.feedback import feedback
from tierwise.gateway.gathering import Gatherer
from tierwise.gateway.http import JSON, ClientLeft, Reply, Stream, Watch, new_id, read_body
from tierwise.gateway.keyring import Keyring
from tierwise.gateway.limits import Limits, used
from tierwise.gateway.metrics import metrics
from tierwise.gateway.run import CLIENT_LEFT, Live
from tierwise.gateway.sessions import check_name
from tierwise.money import Record, Tenant
from tierwise.ports import Batch
from tierwise.types import Decision, Model, Route

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol  # granian.rsgi names it without exporting it
    from granian.rsgi import Scope

_log = logging.getLogger("tierwise.gateway")

TAGS_MAX = 32
Handler = Callable[["App", "Exchange"], Awaitable[Reply | None]]


class Exchange:
    """One request at the door: what the handlers are given."""

    __slots__ = ("id", "proto", "rest", "scope", "tenant")

    def __init__(self, scope: Scope, proto: HTTPProtocol) -> None:
        self.id = new_id()
        self.scope = scope
        self.proto = proto
        self.rest = ""  # of the path, behind the route's own
        self.tenant = Tenant("", "")


class App:
    """An RSGI application. `max_body` is in bytes. Without a gatherer nothing is drawn, without an auditor followed."""

    def __init__(
        self,
        engine: Engine,
        keyring: Keyring,
        max_body: int,
        gatherer: Gatherer | None = None,
        auditor: Auditor | None = None,
    ) -> None:
        self.engine = engine
        self.keyring = keyring
        self.max_body = max_body
        self.limits = Limits(engine.clock)
        self._gatherer = gatherer
        self._auditor = auditor
        self.watches: set[Watch] = set()  # over the requests that run

    def answered(self, live: Live) -> Record:
        """Book a request that has its answer, and see whether it is drawn."""
        record = live.book(200, "")
        if self._gatherer is not None:
            self._gatherer.consider(live, record)
        return record

    def audit_state(self, route: str) -> State | None:
        return None if self._auditor is None else self._auditor.state(route)

    @property
    def samples_lost(self) -> int:
        return 0 if self._gatherer is None else self._gatherer.dropped

    def abandon(self) -> None:
        """End what still runs: its clients are told, and what it has cost is booked."""
        for watch in self.watches:
            watch.stop()

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        exchange = Exchange(scope, proto)
        try:
            reply = await self._answer(exchange)
        except TierwiseError as error:
            reply = _refusal(error)
        except Exception as error:  # noqa: BLE001  the outer door: whatever it is, the client gets an answer
            _log.error("request %s failed: %s", exchange.id, type(error).__name__, exc_info=_frames_only(error))
            reply = _refusal(_internal())
        if reply is not None:
            headers = [("x-request-id", exchange.id), *reply.headers]
            if not any(name == "content-type" for name, _ in reply.headers):
                headers.insert(0, JSON)
            proto.response_bytes(reply.status, headers, reply.body)

    async def _answer(self, exchange: Exchange) -> Reply | None:
        scope = exchange.scope
        headers = scope.headers
        exchange.tenant = await self.keyring.find(headers.get("authorization") or headers.get("x-api-key"))
        methods, exchange.rest = find(scope.path)
        handler = methods.get(scope.method)
        if handler is None:
            raise MethodNotAllowed(f"{scope.path[:200]} takes {', '.join(methods)}, not {scope.method[:20]}.")
        return await handler(self, exchange)


# ------------------------------------------------------------------ routes


async def chat_completions(app: App, exchange: Exchange) -> Reply | None:
    """POST /v1/chat/completions."""
    body = await read_body(exchange.scope, exchange.proto, app.max_body)
    headers = exchange.scope.headers
    request = openai_chat.decode_request(body, exchange.id, _tags(headers.get("x-tierwise-tags")))
    request = with_deadline(request, headers.get("x-tierwise-deadline"))
    route = app.engine.route(request.asked, headers.get("x-tierwise-mode"))
    live = Live(app.engine, request, route, exchange.tenant, check_name(headers.get("x-tierwise-session")))
    grant = app.limits.admit(exchange.tenant, request, route)
    watch = Watch(exchange.proto)
    app.watches.add(watch)
    try:
        if not request.stream:
            return await _whole(app, live, watch, len(body))
        await _streamed(app, live, watch, Stream(exchange.proto), len(body))
    except ClientLeft:
        watch.left = True
    except asyncio.CancelledError:
        if not watch.left:
            raise
    finally:
        watch.end()
        app.watches.discard(watch)
        if live.record is None:  # a client that left and a crash of ours have cost something too
            live.book(*((CLIENT_LEFT, "client-left") if watch.left else (500, "crashed")))
        if grant is not None and live.record is not None:
            grant.end(used(live.record))
    return None


async def _whole(app: App, live: Live, watch: Watch, size: int) -> Reply:
    try:
        outcome = await watch.over(live.run(size))
    except TierwiseError as error:
        live.book(error.status, error.code or error.kind)
        raise
    body = openai_chat.encode_answer(outcome.answer, live.request, _label(live, outcome.answer.model))
    record = app.answered(live)
    headers = [*_said(live.route, outcome.answer.model, outcome.decision), *_money(record)]
    return Reply(200, body, tuple(headers))


async def _streamed(app: App, live: Live, watch: Watch, stream: Stream, size: int) -> None:
    end = openai_chat.StreamEncoder.error(_internal())  # until we know better
    try:
        await watch.over(live.run(size, _Events(live, stream)))
        app.answered(live)
        end = openai_chat.StreamEncoder.done()
    except TierwiseError as error:
        live.book(error.status, error.code or error.kind)
        if not stream.opened:
            raise
        end = openai_chat.StreamEncoder.error(error)
    finally:
        if not watch.left:
            await stream.send(end)
        stream.close()


class _Events:
    """A sink that writes the client's events."""

    def __init__(self, live: Live, stream: Stream) -> None:
        self._live = live
        self._stream = stream
        self._encoder = openai_chat.StreamEncoder(live.request, _label(live, ""))

    async def open(self, model: Model, decision: Decision) -> None:
        self._encoder = openai_chat.StreamEncoder(self._live.request, _label(self._live, model.name))
        headers = [("x-request-id", self._live.request.id), *_said(self._live.route, model.name, decision)]
        self._stream.open(headers)

    async def send(self, batch: Batch) -> None:
        await self._stream.send(self._encoder.encode(batch))


async def list_models(app: App, exchange: Exchange) -> Reply:
    """GET /v1/models: routes first, they are what clients are meant to name; then the models behind them."""
    names = list(_names(app.engine).items())
    return Reply(200, openai_chat.encode_models(names, _created(app.engine)))


async def show_model(app: App, exchange: Exchange) -> Reply:
    """GET /v1/models/{name}."""
    owner = _names(app.engine).get(exchange.rest)
    if owner is None:
        raise NotFound("No route or model has this name; GET /v1/models lists what there is.", code="model_not_found")
    return Reply(200, openai_chat.encode_model(exchange.rest, owner, _created(app.engine)))


async def show_certificate(app: App, exchange: Exchange) -> Reply:
    """GET /v1/routes/{name}/certificate: where it stands, and the signed document for whoever wants to check it."""
    name, _, what = exchange.rest.rpartition("/")
    if what != "certificate" or name not in app.engine.snapshot.routes:
        raise NotFound("No route has this name; GET /v1/routes/NAME/certificate takes one of GET /v1/models.")
    standing = app.engine.certificates.get(name, Standing())
    said = app.engine.route(name).certified
    audit = app.audit_state(name)
    return Reply(200, msgspec.json.encode({"route": name, "standing": said, "audit": audit, "signed": standing.signed}))


ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/v1/chat/completions": {"POST": chat_completions},
    "/v1/feedback": {"POST": feedback},
    "/v1/models": {"GET": list_models},
    "/v1/routes/": {"GET": show_certificate},
    "/metrics": {"GET": metrics},
    "/v1/models/": {"GET": show_model},  # a slash at the end: what follows it is the handler's
}


def find(path: str) -> tuple[Mapping[str, Handler], str]:
    """The methods of the route at `path`, and the rest of the path. Raises NotFound."""
    methods = ROUTES.get(path)
    if methods is not None and not path.endswith("/"):
        return methods, ""
    for prefix, prefixed in ROUTES.items():
        if prefix.endswith("/") and path.startswith(prefix) and len(path) > len(prefix):
            return prefixed, path[len(prefix) :]
    raise NotFound(f"There is nothing at {path[:200]}.")


# ------------------------------------------------------------------ what replies say


def _names(engine: Engine) -> dict[str, str]:
    names = dict.fromkeys(engine.snapshot.routes, "tierwise")
    return names | {name: model.provider for name, model in engine.snapshot.models.items()}


def _created(engine: Engine) -> int:
    return engine.clock.now_ns() // 1_000_000_000


def _label(live: Live, model: str) -> openai_chat.Label:
    return openai_chat.Label(f"chatcmpl-{live.request.id}", _created(live.engine), model)


def _tags(header: str | None) -> frozenset[str]:
    if not header:
        return frozenset()
    tags = frozenset(tag.strip().lower() for tag in header.split(",") if tag.strip())
    if len(tags) > TAGS_MAX or any(len(tag) > 64 for tag in tags):
        raise BadRequest(f"x-tierwise-tags takes at most {TAGS_MAX} tags of 64 characters.", param="x-tierwise-tags")
    return tags


def _said(route: Route, model: str, decision: Decision) -> list[tuple[str, str]]:
    headers = [
        ("x-tierwise-route", route.name),
        ("x-tierwise-model", model),
        ("x-tierwise-decision", decision.rule),
    ]
    if len(route.tiers) > 1:
        headers.append(("x-tierwise-certificate", route.certified))
    return headers


def _money(record: Record) -> list[tuple[str, str]]:
    return [
        ("x-tierwise-cost-usd", dollars(record.nanos)),
        ("x-tierwise-baseline-usd", dollars(record.baseline_nanos)),
    ]


def dollars(nanos: int) -> str:
    """Nano-dollars as a decimal, exact to the last digit."""
    return f"{nanos // 1_000_000_000}.{nanos % 1_000_000_000:09d}"


def _internal() -> TierwiseError:
    return TierwiseError("An internal error; the gateway's log has more under this request id.")


def _refusal(error: TierwiseError) -> Reply:
    headers: list[tuple[str, str]] = []
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(math.ceil(error.retry_after), 1))))
    return Reply(error.status, openai_chat.encode_error(error), tuple(headers))


def _frames_only(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    """Where it happened without what it said: the words of a foreign error may quote its input."""
    return RuntimeError, RuntimeError(f"{type(error).__name__} (message withheld)"), error.__traceback__
