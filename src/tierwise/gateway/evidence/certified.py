"""Whether a route's certificate holds today, and what the route may serve by it.

Default deny: a trained route without a certificate that is signed by the trusted key, in its time, and about exactly
these models, prices, rules and wordings, has no thresholds, and does what its `uncertified` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tierwise.core.certificate import Signed, bindings, lapses, name
from tierwise.gateway.settings import Config, Environment, signing_seed
from tierwise.gateway.tables.route_table import RouteTable
from tierwise.scorers import agreement, judge
from tierwise.scorers.artefact import sha256_of
from tierwise.store import signing
from tierwise.types import Route, Thresholds

VALID, NONE, EXPIRED = "valid", "none", "expired"


class Standing(msgspec.Struct, frozen=True):
    """`said` goes to clients as it is: "valid", "none", "expired", or "suspended" and why. `expires`: Unix seconds.

    `name` is the certificate's, where it is valid or has only expired: then its audits still tell of the route.
    """

    said: str = NONE
    thresholds: Thresholds | None = None
    expires: int = 0
    signed: Signed | None = None
    name: str = ""


Certified = Callable[[Route, RouteTable], Standing]


def certified_by(config: Config, environment: Environment) -> Certified:
    """By the config's own key, or the one that a route names; the clock is looked at once, on loading."""
    own = own_key(config, environment)
    return lambda route, table: standing(route, table, own, int(time.time()))


def own_key(config: Config, environment: Environment) -> str | None:
    """The public half of the signing key; None where there is no such key yet."""
    seed = signing_seed(config, environment)
    return None if seed is None else signing.public_key(seed)


def standing(route: Route, table: RouteTable, own: str | None, now: int) -> Standing:
    """`own`: the public key that is trusted where the route names none. Raises ConfigError for a file that is none."""
    path = Path(table.certificate)
    if not table.certificate or not path.exists():
        return Standing()
    trusted = table.certificate_key or own
    signed = signing.read(path, trusted)
    if trusted is None:
        return Standing("suspended: nobody's key is trusted", signed=signed)
    certificate = signed.certificate
    reasons = list(lapses(certificate, binds(route, Path(table.trained)), now))
    if certificate.route != route.name:
        reasons.append("is of another route")
    if reasons:
        if reasons == [EXPIRED]:
            return Standing(EXPIRED, signed=signed, name=name(certificate))
        return Standing(f"suspended: {', '.join(reasons)}", signed=signed)
    return Standing(VALID, certificate.thresholds, certificate.expires, signed, name(certificate))


def stand(route: Route, standing: Standing) -> Route:
    """The trained route as its certificate lets it be served."""
    return msgspec.structs.replace(
        route,
        thresholds=standing.thresholds,
        planned=True,
        certified=standing.said,
        certified_until=standing.expires,
        certificate=standing.name if standing.thresholds is not None else "",
    )


def binds(route: Route, trained: Path) -> dict[str, str]:
    """Hashes of all that a statement about this trained route depends on. Raises ConfigError."""
    served = msgspec.structs.replace(route, planned=True)
    return bindings(served, sha256_of(trained), {"judge": judge.WORDING, **agreement.INSTRUCTIONS})
