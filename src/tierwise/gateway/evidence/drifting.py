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
class Looks:
    """At one route. `seen`: requests so far."""

    scores: ScoreDrift
    clusters: ClusterDrift | None
    centroids: Centroids
    seen: int = 0

    def see(self, live: Live) -> None:
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


class Drifting:
    """All certified routes. Belongs to one event loop."""

    def __init__(self, looks: dict[str, Looks]) -> None:
        self._looks = looks

    def see(self, live: Live) -> None:
        """An answered request that the policy decided."""
        looks = self._looks.get(live.route.name)
        if looks is not None:
            looks.seen += 1
            if looks.seen % EVERY == 0:
                looks.see(live)

    def alarms(self) -> dict[str, tuple[str, ...]]:
        """The routes whose traffic has changed, and how."""
        return {name: found for name, looks in self._looks.items() if (found := looks.alarms)}


def drifting(engine: Engine) -> Drifting:
    """Of every route with a valid certificate that says what its traffic was like."""
    looks = {}
    for name, standing in engine.certificates.items():
        reference = standing.signed.certificate.reference if standing.name and standing.signed else None
        if reference is not None:
            looks[name] = _looks(reference, engine.centroids[name])
    return Drifting(looks)


def _looks(reference: Reference, centroids: Centroids) -> Looks:
    known = len(centroids) > 0 and len(centroids) == len(reference.clusters)
    clusters = ClusterDrift.within(reference.clusters, reference.delta) if known else None
    return Looks(ScoreDrift.within(*reference.scores, reference.delta), clusters, centroids)
