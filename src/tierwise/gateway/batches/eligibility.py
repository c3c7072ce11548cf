"""Which lines may go to a provider's batch endpoint, and how they are written for it.

Only a line whose call is certain may: one model answers it, and nothing else is done with it. All others are asked one
by one, by the door. Knows neither files nor money, nor when a submission is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tierwise.core import form, policy
from tierwise.core.bearers import bearing
from tierwise.errors import TierwiseError
from tierwise.gateway.access import rights
from tierwise.gateway.access.limits import unlimited
from tierwise.gateway.batches.lines import RequestLine
from tierwise.gateway.doors import CHAT, COMPLETIONS, MESSAGES, Door
from tierwise.gateway.engine import Engine
from tierwise.gateway.screening import inline
from tierwise.money import Tenant
from tierwise.types import Model, Request, Route

DOORS: Mapping[str, Door] = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETIONS, "/v1/messages": MESSAGES}
LIVE_FIELDS = frozenset({inline.FIELD, "usage", "service_tier"})  # what a body may ask for that only a live call gives
CERTAIN_RULES = frozenset({"direct", "mode:premium"})


class EncodedLine(NamedTuple):
    """A line as it can be sent, once its model's wire has taken it: `body` is what a single call would send."""

    request: Request
    route: Route
    model: Model
    body: bytes


def encode_eligible(
    engine: Engine, tenant: Tenant, endpoint: str, line: RequestLine, request_id: str
) -> EncodedLine | None:
    """None where it is to be asked by the door; which tells its client what is wrong with it, where anything is."""
    door = DOORS.get(endpoint)
    if door is None or not unlimited(tenant):
        return None
    try:
        request = door.decode(bytes(line.body), request_id, frozenset())
        route = engine.route(request.asked)
        api = engine.batches.get(route.premium.name)
        if api is None or not rights.sees(tenant, request.asked) or not _certain(engine, request, route):
            return None
        if bearing(engine.snapshot.bearers, tenant, route.name, frozenset()) and request.max_output is None:
            request = msgspec.structs.replace(request, max_output=route.premium.max_output)
        return EncodedLine(request, route, route.premium, api.encode(request, route.premium))
    except TierwiseError:
        return None


def encode_submitted(
    engine: Engine, tenant: Tenant, endpoint: str, line: RequestLine, submitted: tuple[str, str]
) -> EncodedLine:
    """A line that was sent, whatever the config says by now. `submitted`: its request id, and the model that has it."""
    request_id, name = submitted
    found = encode_eligible(engine, tenant, endpoint, line, request_id)
    if found is not None and found.model.name == name:
        return found
    request = DOORS[endpoint].decode(bytes(line.body), request_id, frozenset())
    model = engine.snapshot.models.get(name) or Model(name, "openai", name)
    return EncodedLine(request, Route(request.asked, (model,)), model, b"")


def _certain(engine: Engine, request: Request, route: Route) -> bool:
    if route.name in engine.guards or route.name in engine.privates or request.body.keys() & LIVE_FIELDS:
        return False
    return policy.path(request, route)[1] in CERTAIN_RULES and form.way(route.premium, request) == "native"
