"""Asks lines of a batch one by one, by the very door that a request of the same key comes in by."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from tierwise.errors import RateLimited, Stopping, StoreError, TierwiseError
from tierwise.gateway.app import ROUTES, Exchange
from tierwise.gateway.batches.context import Resources
from tierwise.gateway.batches.lines import RequestLine, result_line
from tierwise.gateway.chat import internal
from tierwise.gateway.doors import encode_error
from tierwise.money import Tenant

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol  # granian.rsgi names it without exporting it
    from granian.rsgi import Scope

STORE_RETRY = 5.0  # seconds after which a line is asked again that the ledger was not there for

Reason = Literal["cancelled", "expired", "failed", "stopping", "broken"]

_log = logging.getLogger("tierwise.batches")


class Halt:
    """Why no line of a batch is asked any more; None as long as they are."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.happened = asyncio.Event()
        self.for_good = asyncio.Event()  # nobody goes on with it
        self.woken = asyncio.Event()  # by that, or by whatever else may let a batch go on

    def __call__(self, reason: Reason) -> None:
        """The first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.happened.set()
            self.woken.set()
            if not self.resumable:
                self.for_good.set()

    @property
    def resumable(self) -> bool:
        """By whoever goes on with it."""
        return self.reason in ("stopping", "broken")


class LineResult(NamedTuple):
    """`answered` False: it is a line of the error file."""

    answered: bool
    line: bytes


class InternalRequest:
    """A request that came by no socket: as much of granian's protocol as it takes to answer it as a whole."""

    method = "POST"
    query_string = ""

    def __init__(self, path: str, body: bytes) -> None:
        self.path = path
        self.headers = {"content-length": str(len(body))}
        self._body = body

    async def __call__(self) -> bytes:
        return self._body

    async def client_disconnect(self) -> None:
        """Never: nobody waits at the other end."""
        await asyncio.Event().wait()


class DirectCalls:
    """Of one batch."""

    def __init__(self, resources: Resources, key_id: str, batch: tuple[str, str], halt: Halt) -> None:
        """`batch`: its id, and the path of its endpoint."""
        self._resources = resources
        self._key_id = key_id
        self._batch_id, self._endpoint = batch
        self._halt = halt

    def tenant(self) -> Tenant | None:
        """Halts where there is none any more."""
        tenant = self._resources.app.keyring.tenant(self._key_id)
        if tenant is None:
            self._halt("failed")
        return tenant

    async def result(self, line: RequestLine) -> LineResult | None:
        """None where the batch was halted before there was one."""
        while self._halt.reason is None:
            async with self._resources.slots:
                tenant = self.tenant()
                found = None if tenant is None or self._halt.reason is not None else await self._ask(tenant, line)
            if not isinstance(found, float):
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(self._halt.happened.wait(), found)
        return None

    async def _ask(self, tenant: Tenant, line: RequestLine) -> LineResult | float | None:
        """As `result`, or the seconds after which to ask again."""
        endpoint, app = self._endpoint, self._resources.app
        request = InternalRequest(endpoint, bytes(line.body))
        exchange = Exchange(cast("Scope", request), cast("HTTPProtocol", request))
        exchange.tenant = tenant
        try:
            reply = await ROUTES[endpoint]["POST"](app, exchange)
        except Stopping:
            self._halt("stopping")
            return None
        except StoreError:
            return STORE_RETRY
        except TierwiseError as error:
            if isinstance(error, RateLimited) and error.retry_after is not None:
                return max(error.retry_after, 0.01)
            failure = error
        except Exception as error:  # noqa: BLE001  a worker loop: one line must not end all of a batch
            _log.error("request %s of batch %s failed: %s", exchange.id, self._batch_id, type(error).__name__)
            failure = internal()
        else:
            if reply is not None:
                return LineResult(True, result_line(line, exchange.id, reply.status, reply.body))
            failure = internal()
        body = encode_error(endpoint, None, failure, exchange.id)
        return LineResult(False, result_line(line, exchange.id, failure.status, body))
