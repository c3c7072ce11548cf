"""Where each route stands on its ladder: at its certified threshold, at a stricter one, or at premium.

Written by whoever audits, read by whoever serves; one small table in this process's memory.
"""

from __future__ import annotations

import msgspec

from tierwise.types import Route, Thresholds


class Rung(msgspec.Struct, frozen=True):
    """`accept` None: premium answers everything. `said` is what clients are told of the certificate then."""

    at: int
    accept: float | None
    said: str


class Rungs:
    """By route. A route that no alarm has moved is not in it."""

    def __init__(self) -> None:
        self._rungs: dict[str, Rung] = {}

    def move(self, route: str, rung: Rung) -> None:
        self._rungs[route] = rung

    def served(self, route: Route) -> Route:
        """The route as its rung lets it be served. Only a fresh certificate leads down again, and comes with a restart.

        Where the certificate has meanwhile expired, what needs none would be looser than what was refuted.
        """
        rung, limits = self._rungs.get(route.name), route.thresholds
        if rung is None:
            return route
        if rung.accept is None:
            return msgspec.structs.replace(route, mode="premium", certified=rung.said, rung=rung.at)
        if limits is None:
            return msgspec.structs.replace(route, mode="premium", rung=rung.at)
        accept = max(limits.accept, rung.accept)
        nobody = limits.consult >= limits.unheard  # is asked: the band stays empty
        stricter = Thresholds(accept, accept if nobody else limits.consult, max(limits.unheard, accept))
        return msgspec.structs.replace(route, thresholds=stricter, certified=rung.said, rung=rung.at)
