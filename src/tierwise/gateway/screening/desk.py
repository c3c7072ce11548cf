"""Requests that a person answers: handed to the store's desk while the client waits, and fetched again by its key.

Nothing is told to the client before the case is durable. Knows neither screens nor who answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tierwise.core.kept import turns_of
from tierwise.errors import NotFound
from tierwise.gateway.engine import SECOND
from tierwise.gateway.web.http import Reply
from tierwise.money import Tenant
from tierwise.ports import Clock, Store
from tierwise.proof import Case
from tierwise.types import Request, Route

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange


class Counter:
    """Where requests are handed over."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def hand(self, request: Request, route: Route, tenant: Tenant, why: str) -> str:
        """The case's id, once it is durable. Raises StoreError."""
        case = Case(
            id=request.id,
            route=route.name,
            key_id=tenant.key_id,
            at_ns=self._clock.now_ns(),
            why=why,
            turns=turns_of(request),
        )
        await self._store.proof.desk.hand(case)
        return case.id


async def show_case(app: App, exchange: Exchange) -> Reply:
    """GET /v1/cases/{id}: whether a person has answered, to the key that asked; for any other there is no such case."""
    case = await app.engine.store.proof.desk.case(exchange.rest)
    if case is None or case.key_id != exchange.tenant.key_id:
        raise NotFound("No case of this key has this id (any more); it is the x-request-id of the reply.")
    said: dict[str, str | int] = {"id": case.id, "object": "case", "status": "open"}
    if case.answered_ns:
        said |= {"status": "answered", "answer": case.answer, "answered_at": case.answered_ns // SECOND}
    return Reply(200, msgspec.json.encode(said))
