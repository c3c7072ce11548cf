"""The ring of live keys, kept in step with the store: no look into the store on a request's path.

A revoked key stops working within `PERIOD` seconds on every replica; a new one works at once, because a key that is
not on the ring makes it look into the store, at most once in `PATIENCE` seconds whatever is thrown at it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from tierwise.errors import StoreError, Unauthorized
from tierwise.gateway.access.keys import Ring
from tierwise.money import Tenant
from tierwise.ports import Clock, Store

PERIOD = 2.0
PATIENCE = 0.5

_log = logging.getLogger("tierwise.keys")


class Keyring:
    def __init__(self, store: Store, pepper: bytes, clock: Clock) -> None:
        self._store = store
        self._pepper = pepper
        self.clock = clock
        self._ring = Ring((), pepper)
        self._read_ms = -1e12

    async def find(self, header_value: str | None) -> Tenant:
        """Whose key this is. Raises Unauthorized; StoreError for an unknown key while the store can't be read."""
        try:
            return self._ring.find(header_value)
        except Unauthorized as error:
            if error.code == "missing_api_key" or self.clock.monotonic_ms() - self._read_ms < PATIENCE * 1000:
                raise
        await self.refresh()
        return self._ring.find(header_value)

    @property
    def tenants(self) -> Collection[Tenant]:
        """Of the live keys, as of the last look."""
        return self._ring.tenants

    def tenant(self, key_id: str) -> Tenant | None:
        """Of a key that lives, as far as is known by now."""
        return self._ring.tenant(key_id)

    async def refresh(self) -> None:
        """Read the store. Raises StoreError, and keeps the ring that it had."""
        self._read_ms = self.clock.monotonic_ms()
        self._ring = Ring(await self._store.keys(), self._pepper)

    async def follow(self) -> None:
        """Refresh for ever. A store that can't be read leaves the ring as it is: keys go on working, none is added."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.refresh()
            except StoreError as error:
                _log.warning("keys can't be read, the last known ones stay: %s", error.message)
