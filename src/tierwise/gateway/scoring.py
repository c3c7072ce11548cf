"""Who scores a route's requests and drafts: what was trained for it, or else the rules that need no training.

Knows the contract of a trained artefact, not its format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.evidence.certified import Certified, Standing, stand
from tierwise.gateway.tables.route_table import RouteTable
from tierwise.ports import Scorer
from tierwise.scorers.clusters import Centroids
from tierwise.scorers.columns import similarity
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.router import LengthRouter
from tierwise.scorers.verifier import FreeChecks
from tierwise.types import Checks, Route


class Trained(Protocol):
    """What `scorers/trained.py` opens. The names are of configured models."""

    @property
    def tiers(self) -> tuple[str, ...]: ...
    @property
    def opinions(self) -> tuple[str, ...]: ...
    @property
    def router(self) -> Scorer: ...
    @property
    def centroids(self) -> Centroids: ...
    def verifier(self, checks: Checks) -> Scorer: ...


Open = Callable[[Path], Trained]
"""Raises ConfigError for a file that is damaged, or no artefact."""


class Scoring(msgspec.Struct, frozen=True):
    """`route` is as it is served: with what its artefact and its certificate say of it.

    `verifier` judges by the certified thresholds, `unverified` where there are none, or no more.
    """

    route: Route
    router: Scorer
    verifier: Scorer
    unverified: Scorer
    standing: Standing = Standing()
    centroids: Centroids | None = None  # None: nothing is trained


def scoring(route: Route, table: RouteTable, opened: Open, certified: Certified) -> Scoring:
    """Raises ConfigError for an artefact, or a certificate, that can't be used here.

    Where nothing is certified, drafts are judged as if nothing were trained; the router still chooses for streams that
    are not held back.
    """
    unverified = _untrained(route)
    if not table.trained:
        return Scoring(route, LengthRouter(), unverified, unverified)
    trained = opened(Path(table.trained))
    wrong = tuple(_mismatches(route, trained))
    if wrong:
        raise ConfigError(*(f"routes.{route.name}.trained: {table.trained}: {text}" for text in wrong))
    standing = certified(route, table)
    return Scoring(
        stand(route, standing), trained.router, trained.verifier(route.checks), unverified, standing, trained.centroids
    )


def _untrained(route: Route) -> FreeChecks:
    return FreeChecks(route.checks, similarity(load_encoder()) if route.opinions else None)


def _mismatches(route: Route, trained: Trained) -> Iterator[str]:
    tiers = tuple(model.name for model in route.tiers)
    opinions = tuple(model.name for model in route.opinions)
    if trained.tiers != tiers:
        yield f"was trained for the tiers {_list(trained.tiers)}, the route has {_list(tiers)}; train it anew"
    if sorted(trained.opinions) != sorted(opinions):
        yield f"was trained with the opinions {_list(trained.opinions)}, the route has {_list(opinions)}; train it anew"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
