"""The data plane: the table of paths, and the door that every request goes through.

Default deny: the door asks for a key before it looks for a route, so an unknown path answers 401 too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from tierwise.dialects import openai_models
from tierwise.errors import MethodNotAllowed, NotFound, TierwiseError
from tierwise.gateway import chat, health, said
from tierwise.gateway.access import rights
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.access.limits import Limits
from tierwise.gateway.batches import batches_api, files_api
from tierwise.gateway.chat import Handler, internal
from tierwise.gateway.conversations import Conversations
from tierwise.gateway.doors import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, encode_error
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.certified import Standing
from tierwise.gateway.evidence.feedback import feedback
from tierwise.gateway.metrics import metrics
from tierwise.gateway.running import Running
from tierwise.gateway.screening import moderations
from tierwise.gateway.screening.desk import show_case
from tierwise.gateway.web.coarse_timer import CoarseTimer
from tierwise.gateway.web.http import JSON, Reply, Watch, new_id
from tierwise.gateway.web.idempotency import Replies
from tierwise.gateway.web.openapi import openapi
from tierwise.money import Tenant

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol  # granian.rsgi names it without exporting it
    from granian.rsgi import Scope

    from tierwise.gateway.batches.runner import BatchRunner

_log = logging.getLogger("tierwise.gateway")


class Exchange:
    """One request at the door: what the handlers are given."""

    __slots__ = ("headers", "id", "proto", "rest", "scope", "tenant")

    def __init__(self, scope: Scope, proto: HTTPProtocol) -> None:
        self.id = new_id()
        self.scope = scope
        self.headers = scope.headers  # which granian copies each time
        self.proto = proto
        self.rest = ""  # of the path, behind the route's own
        self.tenant = Tenant("", "")


class App:
    """An RSGI application. `running` may be exchanged at any time: a request keeps the one that it began with."""

    def __init__(self, running: Running, keyring: Keyring) -> None:
        self.running = running
        self.keyring = keyring
        self.limits = Limits(running.engine.clock)
        self.conversations = Conversations()
        self.replies = Replies(running.engine.clock)
        self.batches: BatchRunner | None = None  # who runs them, where somebody does
        self.watches: set[Watch] = set()  # over the requests that run
        self.timer = CoarseTimer()

    @property
    def engine(self) -> Engine:
        """Of the config that runs now."""
        return self.running.engine

    def take(self, running: Running) -> None:
        """New requests begin with it."""
        self.running = running

    def abandon(self) -> None:
        """End what still runs: its clients are told, and what it has cost is booked."""
        for watch in self.watches:
            watch.stop()

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        exchange = Exchange(scope, proto)
        try:
            headers = exchange.headers
            exchange.tenant = await self.keyring.find(headers.get("authorization") or headers.get("x-api-key"))
            handler, exchange.rest = find(scope.path, scope.method)
            reply = await handler(self, exchange)
        except TierwiseError as error:
            reply = health.state(self) if health.is_open(self, exchange) else _refusal(exchange, error)
        except Exception as error:  # noqa: BLE001  the outer door: whatever it is, the client gets an answer
            _log.error("request %s failed: %s", exchange.id, type(error).__name__, exc_info=_frames_only(error))
            reply = _refusal(exchange, internal())
        if reply is not None:
            identified = said.identified(exchange.id)
            said_first = identified if reply.typed else [JSON, *identified]
            proto.response_bytes(reply.status, [*said_first, *reply.headers], reply.body)


# ------------------------------------------------------------------ routes


async def list_models(app: App, exchange: Exchange) -> Reply:
    """GET /v1/models: routes first, they are what clients are meant to name; then the models behind them."""
    names = [(name, owner) for name, owner in _names(app.engine).items() if rights.sees(exchange.tenant, name)]
    return Reply(200, openai_models.encode_models(names, _created(app.engine)))


async def show_model(app: App, exchange: Exchange) -> Reply:
    """GET /v1/models/{name}."""
    owner = _names(app.engine).get(exchange.rest)
    if owner is None or not rights.sees(exchange.tenant, exchange.rest):
        raise NotFound("No route or model has this name; GET /v1/models lists what there is.", code="model_not_found")
    return Reply(200, openai_models.encode_model(exchange.rest, owner, _created(app.engine)))


async def show_certificate(app: App, exchange: Exchange) -> Reply:
    """GET /v1/routes/{name}/certificate: where it stands, and the signed document for whoever wants to check it."""
    name, _, what = exchange.rest.rpartition("/")
    known = name in app.engine.snapshot.routes and rights.sees(exchange.tenant, name)
    if what != "certificate" or not known:
        raise NotFound("No route has this name; GET /v1/routes/NAME/certificate takes one of GET /v1/models.")
    standing = app.engine.certificates.get(name, Standing())
    said = app.engine.route(name).certified
    audit = app.running.audit_state(name)
    return Reply(200, msgspec.json.encode({"route": name, "standing": said, "audit": audit, "signed": standing.signed}))


ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/v1/chat/completions": {"POST": chat.answering(CHAT)},
    "/v1/completions": {"POST": chat.answering(COMPLETIONS)},
    "/v1/embeddings": {"POST": chat.answering(EMBEDDINGS)},
    "/v1/moderations": {"POST": moderations.moderations},
    "/v1/responses": {"POST": chat.answering(RESPONSES)},
    "/v1/responses/": {"GET": chat.show_response, "DELETE": chat.delete_response},
    "/v1/messages": {"POST": chat.answering(MESSAGES)},
    "/v1/messages/count_tokens": {"POST": chat.count_tokens},
    "/v1/feedback": {"POST": feedback},
    "/v1/cases/": {"GET": show_case},
    "/v1/files": {"GET": files_api.list_files, "POST": files_api.upload},
    "/v1/files/": {"GET": files_api.show_file, "DELETE": files_api.delete_file},
    "/v1/batches": {"GET": batches_api.list_batches, "POST": batches_api.create},
    "/v1/batches/": {"GET": batches_api.show_batch, "POST": batches_api.cancel},
    "/v1/models": {"GET": list_models},
    "/v1/routes/": {"GET": show_certificate},
    "/metrics": {"GET": metrics},
    health.PATH: {"GET": health.health},
    "/openapi.json": {"GET": openapi},
    "/v1/models/": {"GET": show_model},  # a slash at the end: what follows it is the handler's
}


def find(path: str, method: str) -> tuple[Handler, str]:
    """Who answers at `path`, and the rest of the path. Raises NotFound, MethodNotAllowed."""
    methods, rest = _methods(path)
    handler = methods.get(method)
    if handler is None:
        raise MethodNotAllowed(f"{path[:200]} takes {', '.join(methods)}, not {method[:20]}.")
    return handler, rest


def _methods(path: str) -> tuple[Mapping[str, Handler], str]:
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


def _refusal(exchange: Exchange, error: TierwiseError) -> Reply:
    body = encode_error(exchange.scope.path, exchange.headers.get("anthropic-version"), error, exchange.id)
    return Reply(error.status, body, tuple(said.waiting(error)))


def _frames_only(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    """Where it happened without what it said: the words of a foreign error may quote its input."""
    return RuntimeError, RuntimeError(f"{type(error).__name__} (message withheld)"), error.__traceback__
