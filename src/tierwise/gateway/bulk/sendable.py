"""Lines that may go to a provider's batch endpoint, and what they cost there: bounds before, records after.

Only a line whose call is certain may: one model answers it, and nothing else is done with it. All others are asked one
by one, by the door. Knows neither files nor when a parcel is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

import msgspec

from tierwise.core import form, policy, price, tariff
from tierwise.core.bearers import bearing
from tierwise.dialects.batched import Result
from tierwise.dialects.openai_chat import Label
from tierwise.errors import TierwiseError
from tierwise.gateway.access import rights
from tierwise.gateway.access.limits import unlimited
from tierwise.gateway.booking import SECOND, Attempt, Subject
from tierwise.gateway.bulk.batch_lines import Line
from tierwise.gateway.doors import CHAT, COMPLETIONS, MESSAGES, Door
from tierwise.gateway.engine import Engine
from tierwise.gateway.screening import inline
from tierwise.money import Record, Reservation, Tenant
from tierwise.ports import Batch
from tierwise.types import Answer, Chunk, Decision, Model, Request, Route

SERVICE = "batch"  # by which lists know the price
DOORS: Mapping[str, Door] = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETIONS, "/v1/messages": MESSAGES}
OURS = frozenset({inline.FIELD, "usage", "service_tier"})  # what a body may ask for that only a live call gives
CERTAIN = frozenset({"direct", "mode:premium"})


class Ready(NamedTuple):
    """A line as it can be sent, once its model's wire has taken it: `body` is what a single call would send."""

    request: Request
    route: Route
    model: Model
    body: bytes


def ready(engine: Engine, tenant: Tenant, endpoint: str, line: Line, request_id: str) -> Ready | None:
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
        return Ready(request, route, route.premium, api.encode(request, route.premium))
    except TierwiseError:
        return None


def sent(engine: Engine, tenant: Tenant, endpoint: str, line: Line, parcel: tuple[str, str]) -> Ready:
    """A line that was sent: `parcel` is its request id and the model that has it, whatever the config says by now."""
    request_id, name = parcel
    found = ready(engine, tenant, endpoint, line, request_id)
    if found is not None and found.model.name == name:
        return found
    request = DOORS[endpoint].decode(bytes(line.body), request_id, frozenset())
    model = engine.snapshot.models.get(name) or Model(name, "openai", name)
    return Ready(request, Route(request.asked, (model,)), model, b"")


def _certain(engine: Engine, request: Request, route: Route) -> bool:
    if route.name in engine.guards or route.name in engine.privates or request.body.keys() & OURS:
        return False
    return policy.path(request, route)[1] in CERTAIN and form.way(route.premium, request) == "native"


def reservation(engine: Engine, tenant: Tenant, found: Ready, size: int, started_ns: int) -> Reservation:
    """For a line of `size` bytes, at the batch price of the list that holds at `started_ns`."""
    request, model = found.request, found.model
    most = price.bound(request, size, (model,), engine.snapshot.ceiling)
    listed = None if model.pricing is None else tariff.valid(model.pricing.tariffs, started_ns // SECOND)
    nanos = most.nanos
    if listed is not None:
        said = (request.max_output or model.max_output) * request.n
        nanos = tariff.bound(listed, SERVICE, most.tokens - said, said)
    return Reservation(
        request.id,
        tenant.key_id,
        found.route.name,
        nanos,
        started_ns,
        bearing(engine.snapshot.bearers, tenant, found.route.name, frozenset()),
        most.tokens,
        tenant.team,
    )


class Settled(NamedTuple):
    """A line that was answered: its record for the ledger, and the body for its client."""

    record: Record
    body: bytes


def settled(engine: Engine, tenant: Tenant, endpoint: str, found: Ready, result: Result, began_ns: int) -> Settled:
    """By what its provider has counted, at the batch price of when it was sent."""
    chunks = tuple([_batched(chunk) for chunk in result.chunks])
    attempt, total_ms = _attempt(engine, found.model, began_ns)
    attempt.chunks += chunks
    answer: Answer = attempt.answer(complete=True)
    rule = policy.path(found.request, found.route)[1]
    attempt.settle("served", SERVICE)
    record = _subject(tenant, found, began_ns).record(
        [attempt], 200, Decision("serve", rule), total_ms, engine.snapshot.ceiling, engine.meter
    )
    engine.hours.settle(record, found.route, engine.clock.monotonic_ms())
    door = DOORS[endpoint]
    label = Label(f"{door.prefix}{found.request.id}", engine.clock.now_ns() // SECOND, found.model.name)
    return Settled(record, door.answer(answer, found.request, label))


def void(tenant: Tenant, request_id: str, route: str, began_ns: int, why: str) -> Record:
    """The end of a reservation that nothing was spent of."""
    decision = Decision("refuse", f"batch:{why}")
    return Record(request_id, tenant.key_id, route, began_ns, 0, 503, decision, (), 0, "computed", team=tenant.team)


def _subject(tenant: Tenant, found: Ready, began_ns: int) -> Subject:
    return Subject(found.request, found.route, tenant, began_ns)


def _attempt(engine: Engine, model: Model, began_ns: int) -> tuple[Attempt, float]:
    total_ms = max(engine.clock.now_ns() - began_ns, 0) / 1_000_000  # the clock may jump
    return Attempt(model, _silent(), 0.0, started_ns=began_ns, ended_ms=total_ms), total_ms


async def _silent() -> AsyncGenerator[Batch, None]:
    """Nobody listens to it: the answer has come by another way."""
    return
    yield ()


def _batched(chunk: Chunk) -> Chunk:
    """Providers don't say of a batch's answer that it is one's."""
    if chunk.usage is None:
        return chunk
    return msgspec.structs.replace(chunk, usage=msgspec.structs.replace(chunk.usage, service=SERVICE))
