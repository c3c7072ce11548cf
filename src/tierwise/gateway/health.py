"""GET /healthz: whether requests are served, for load balancers and supervisors.

They seldom have a key, so `[server] health = true` lets it be asked without one. So it says nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.gateway.web.http import Reply

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

PATH = "/healthz"
OK, SPOOLING, REFUSING = (b'{"status":"%s"}' % said for said in (b"ok", b"spooling", b"ledger_unavailable"))


async def health(app: App, exchange: Exchange) -> Reply:
    return state(app)


def state(app: App) -> Reply:
    """503 where nothing is served for as long as the ledger can't be written."""
    if app.engine.store.sound:
        return Reply(200, OK)
    return Reply(503, REFUSING) if app.running.refuses else Reply(200, SPOOLING)


def is_open(app: App, exchange: Exchange) -> bool:
    """Whether this may be asked without a key."""
    return app.running.open_health and exchange.scope.path == PATH and exchange.scope.method == "GET"
