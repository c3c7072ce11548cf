"""Tells people that something needs them: a line in the log, and a POST to the operator's webhook.

The body is JSON with `text`, a sentence that chat services show as it is, and the event's own fields. No prompt, no
answer and no key is ever in it. A webhook that fails is tried again twice, then left; the trail has the event anyway.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from tierwise.gateway.web.outbound import Unanswered, ask
from tierwise.proof import Event

TIMEOUT = 10.0  # seconds
PAUSES = (1.0, 5.0)  # seconds before another try

_log = logging.getLogger("tierwise.alerts")


class Alerts:
    """`webhook`: an address, None where there is none. Belongs to one event loop."""

    def __init__(self, webhook: str | None, pauses: tuple[float, ...] = PAUSES) -> None:
        self._webhook = webhook
        self._pauses = pauses
        self._sending: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def tell(self, event: Event, text: str) -> None:
        """At once, without waiting for anybody."""
        where = f"route {event.route}" if event.route else "gateway"
        _log.warning("%s: %s", where, text)
        if self._webhook is not None:
            body = {"text": f"Tierwise, {where}: {text}", "event": event.what, "route": event.route}
            details: dict[str, Any] = msgspec.json.decode(event.body)
            task = asyncio.ensure_future(self._send(msgspec.json.encode({**body, "at_ns": event.at_ns, **details})))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Wait for what is being sent. What fails now is not tried again: a gateway must stop within seconds."""
        self._closing.set()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, body: bytes) -> None:
        for pause in (*self._pauses, None):
            failure = await asyncio.to_thread(_post, self._webhook or "", body)
            if failure is None:
                return
            _log.warning("the webhook could not be told: %s", failure)
            if pause is None or await self._closes_within(pause):
                return

    async def _closes_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _post(address: str, body: bytes) -> str | None:
    """What went wrong; None where nothing did."""
    try:
        ask(address, {"content-type": "application/json"}, body, timeout=TIMEOUT)
    except Unanswered as error:
        return str(error)
    return None
