"""What is asked of the database itself and waited for: keys, records, sums.

Knows which question is whose; nothing of how or when it is put.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tierwise.money import Amount, Key, Record, Spend, Traffic
from tierwise.store import keys
from tierwise.store.writer import Writer


class Queries:
    """The part of `ports.Store` that reads what was written, and keeps keys."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def add_key(self, key: Key) -> None:
        await self._writer.ask(lambda backend: keys.add_key(backend.db, key))

    async def revoke_key(self, key_id: str, at_ns: int) -> bool:
        found: bool = await self._writer.ask(lambda backend: keys.revoke_key(backend.db, key_id, at_ns))
        return found

    async def keys(self) -> Sequence[Key]:
        found: Sequence[Key] = await self._writer.ask(lambda backend: keys.all_keys(backend.db))
        return found

    async def record(self, request_id: str) -> Record | None:
        found: Record | None = await self._writer.ask(lambda backend: backend.ledger.record(request_id))
        return found

    async def spent(self, account: str) -> tuple[int, int]:
        money: tuple[int, int] = await self._writer.ask(lambda backend: backend.ledger.spent(account))
        return money

    async def sweep(self) -> int:
        """Settle now what dead instances left open; how many requests that were."""
        settled: int = await self._writer.ask(lambda backend: backend.sweep())
        return settled


class LedgerSums:
    """Implements `ports.Sums`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def used(self, accounts: Sequence[str]) -> Mapping[str, Amount]:
        found: Mapping[str, Amount] = await self._writer.ask(lambda backend: backend.ledger.used(accounts))
        return found

    async def spend(self, since: int, until: int) -> Sequence[Spend]:
        found: Sequence[Spend] = await self._writer.ask(lambda backend: backend.ledger.spend(since, until))
        return found

    async def traffic(self, since: int, until: int) -> Sequence[Traffic]:
        found: Sequence[Traffic] = await self._writer.ask(lambda backend: backend.ledger.traffic(since, until))
        return found
