"""Watches, without any label, whether a certified route's traffic is still like what was certified.

Two looks at some of the requests: the scores of drafts, and what prompts are about. An alarm raises the rate of audits
and tells people; it never loosens anything. Each process looks at its own requests only, and begins anew with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tierwise.core.certificate import Reference
from tierwise.gateway.engine import Engine
from tierwise.gateway.run import Live
from tierwise.scorers.clusters import Centroids, cluster_of
from tierwise.stats.drift import ClusterDrift, ScoreDrift

EVERY = 8  # requests: one of so many is looked at, for that takes a tenth of a millisecond


@dataclass
class RouteDrift:
    """Of one route. `seen`: requests so far."""

    scores: ScoreDrift
    clusters: ClusterDrift | None
    centroids: Centroids
    seen: int = 0

    def observe(self, live: Live) -> None:
        trail = live.outcome.trail if live.outcome else ()
        scores = [step.decision.score for step in trail if step.decision.score is not None]
        if scores and not self.scores.alarm:
            self.scores = self.scores.step(min(max(scores[-1], 0.0), 1.0))
        if self.clusters is not None and not self.clusters.alarm:
            self.clusters = self.clusters.step(cluster_of(live.request, self.centroids))

    @property
    def alarms(self) -> tuple[str, ...]:
        """What has changed: "scores", "prompts"."""
        found = (("scores", self.scores.alarm), ("prompts", self.clusters is not None and self.clusters.alarm))
        return tuple([kind for kind, alarm in found if alarm])


class DriftMonitor:
    """All certified routes. Belongs to one event loop."""

    def __init__(self, routes: dict[str, RouteDrift]) -> None:
        self._routes = routes

    def observe(self, live: Live) -> None:
        """An answered request that the policy decided."""
        drift = self._routes.get(live.route.name)
        if drift is not None:
            drift.seen += 1
            if drift.seen % EVERY == 0:
                drift.observe(live)

    def alarms(self) -> dict[str, tuple[str, ...]]:
        """The routes whose traffic has changed, and how."""
        return {name: found for name, drift in self._routes.items() if (found := drift.alarms)}


def drift_monitor(engine: Engine) -> DriftMonitor:
    """Of every route with a valid certificate that says what its traffic was like."""
    routes = {}
    for name, standing in engine.certificates.items():
        reference = standing.signed.certificate.reference if standing.name and standing.signed else None
        if reference is not None:
            routes[name] = _route_drift(reference, engine.centroids[name])
    return DriftMonitor(routes)


def _route_drift(reference: Reference, centroids: Centroids) -> RouteDrift:
    known = len(centroids) > 0 and len(centroids) == len(reference.clusters)
    clusters = ClusterDrift.within(reference.clusters, reference.delta) if known else None
    return RouteDrift(ScoreDrift.within(*reference.scores, reference.delta), clusters, centroids)
