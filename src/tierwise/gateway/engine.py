"""Everything that answering a request needs, in one value: models, routes, upstreams, scorers, store, clock.

Knows no client wire. `Engine.route` says what a client's `model` means; `run.py` answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from tierwise.core import policy
from tierwise.errors import BadRequest, BudgetExceeded, NotFound
from tierwise.gateway.access.budgets import Budgets
from tierwise.gateway.access.escalations import Hours
from tierwise.gateway.booking import Meter
from tierwise.gateway.evidence.certified import EXPIRED, Standing
from tierwise.gateway.evidence.rungs import Rungs
from tierwise.gateway.screening.gate import Desk
from tierwise.gateway.screening.guards import Guard
from tierwise.gateway.screening.private import Private
from tierwise.gateway.sessions import Sessions
from tierwise.gateway.snapshot import Snapshot
from tierwise.money import Arm, Record, Reservation
from tierwise.ports import Clock, Provider, Scorer, Store
from tierwise.providers.batches import BatchApi
from tierwise.scorers.clusters import Centroids
from tierwise.stats.propensity import uniform
from tierwise.types import Route

SECOND = 1_000_000_000  # nanoseconds
MODES = ("premium",)  # what a client may ask for with `x-tierwise-mode`: it can only lead upwards


@dataclass
class Engine:
    """`snapshot` and `certificates` are swapped whole where prices change; a request keeps the route it began with."""

    snapshot: Snapshot
    providers: Mapping[str, Provider]  # by configured model name
    verifiers: Mapping[str, Scorer]  # by route name
    unverified: Mapping[str, Scorer]  # by route name
    routers: Mapping[str, Scorer]  # by route name
    store: Store
    clock: Clock
    certificates: Mapping[str, Standing] = field(default_factory=dict)  # by route name
    centroids: Mapping[str, Centroids] = field(default_factory=dict)  # by the name of a trained route
    batches: Mapping[str, BatchApi] = field(default_factory=dict)  # by the name of a model that is asked so too
    patience: Mapping[str, float] = field(default_factory=dict)  # seconds of a whole answer, by model; none: no limit
    sessions: Sessions = field(default_factory=Sessions)
    rungs: Rungs = field(default_factory=Rungs)
    meter: Meter = field(default_factory=Meter)
    budgets: Budgets = field(default_factory=Budgets)
    hours: Hours = field(default_factory=Hours)
    guards: Mapping[str, Guard] = field(default_factory=dict)  # by the name of a route, or model, that is screened
    privates: Mapping[str, Private] = field(default_factory=dict)  # ... that has rules for personal data
    desk: Desk | None = None  # where requests go that a person answers
    secret: bytes = b""  # what experiments are drawn with, the same in every process; none: there are no experiments

    def route(self, asked: str, mode: str | None = None) -> Route:
        """A route by its name, or a configured model by its own. Raises NotFound, or BadRequest for an unknown mode."""
        route = self.snapshot.routes.get(asked)
        if route is None:
            direct = self.snapshot.direct.get(asked)
            if direct is None:
                raise unknown(asked)
            return direct
        if route.thresholds is not None and self.clock.now_ns() >= route.certified_until * SECOND:
            route = msgspec.structs.replace(route, thresholds=None, certified=EXPIRED, certificate="")
        route = self.rungs.served(route)
        if mode is None:
            return route
        if mode not in MODES:
            raise BadRequest(f"x-tierwise-mode must be one of: {', '.join(MODES)}.", param="x-tierwise-mode")
        return msgspec.structs.replace(route, mode="premium", insisted=route.mode == "enforce")

    def arm(self, route: Route, request_id: str) -> Arm:
        """Of the route's experiment, by chance: nobody can foresee or steer it."""
        if not route.holdout or not self.secret or not policy.enforced(route):
            return ""
        return "holdout" if uniform(self.secret, request_id, "holdout") < route.holdout else "treated"

    def verifier(self, route: Route) -> Scorer:
        """Who judges drafts on a route as it is served now."""
        return (self.unverified if route.thresholds is None else self.verifiers)[route.name]

    def reserve(self, held: Reservation) -> Awaitable[None]:
        """Promise it to the ledger; people are told of budgets that refuse it. Raises BudgetExceeded, StoreError."""
        return self._within(held) if held.budgets else self.store.reserve(held)

    async def _within(self, held: Reservation) -> None:
        """... budgets."""
        self.budgets.keys.add(held.key_id)
        try:
            await self.store.reserve(held)
        except BudgetExceeded:
            if not held.soft:
                self.budgets.refuse(held.budgets)
            raise

    def post(self, record: Record) -> None:
        """Queue a record. Nobody waits for it: a reservation that is never settled counts in full until it is."""
        self.store.post(record)

    def after(self, before: Engine) -> Engine:
        """This engine, with what the one that it takes over from remembers and measures."""
        return replace(
            self,
            clock=before.clock,
            sessions=before.sessions,
            meter=before.meter,
            budgets=before.budgets,
            hours=before.hours,
            secret=before.secret,
        )

    async def release(self, heir: Engine | None = None) -> None:
        """Let go of upstreams, but for those that `heir` has too."""
        kept = () if heir is None else tuple(heir.providers.values())
        for provider in self.providers.values():
            if not any(provider is other for other in kept):
                await provider.close()

    async def close(self) -> None:
        """Let go of upstreams, then of the store once it has written everything."""
        await self.release()
        await self.store.close()


def unknown(asked: str) -> NotFound:
    """What a client is told who names a route or model that there is not."""
    return NotFound(
        f"No route or model is called {asked[:100]!r}; GET /v1/models lists what there is.",
        param="model",
        code="model_not_found",
    )
