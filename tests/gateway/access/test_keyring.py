"""The ring of live keys: in step with the store, and no way to make it read the store for every request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

import pytest

from tests.store.clock import ManualClock
from tierwise.errors import StoreError, Unauthorized
from tierwise.gateway.access.keyring import PATIENCE, Keyring
from tierwise.gateway.access.keys import digest
from tierwise.money import Key
from tierwise.ports import Store

PEPPER = b"p" * 32


class Shelf:
    """The part of a store that a keyring reads; counts how often. `broken` makes it fail."""

    def __init__(self, *texts: str) -> None:
        self.reads = 0
        self.broken = False
        self.read = asyncio.Event()
        self.shelved = [Key(f"id-{text}", text, digest(text, PEPPER), text[:3], 0) for text in texts]

    async def keys(self) -> Sequence[Key]:
        self.reads += 1
        self.read.set()
        if self.broken:
            raise StoreError("no disk")
        return self.shelved


def ring(shelf: Shelf, clock: ManualClock) -> Keyring:
    return Keyring(cast(Store, shelf), PEPPER, clock)


async def test_a_known_key_costs_no_read() -> None:
    """However often it comes."""
    shelf = Shelf("tw-a")
    keyring = ring(shelf, ManualClock())
    await keyring.refresh()
    for _ in range(100):
        assert (await keyring.find("Bearer tw-a")).key_id == "id-tw-a"
    assert shelf.reads == 1


async def test_a_new_key_works_at_once() -> None:
    """It is not on the ring yet, so the store is asked."""
    shelf, clock = Shelf("tw-a"), ManualClock()
    keyring = ring(shelf, clock)
    await keyring.refresh()
    shelf.shelved += Shelf("tw-b").shelved
    clock.advance(PATIENCE)
    assert (await keyring.find("tw-b")).key_id == "id-tw-b"


async def test_guessing_does_not_reach_the_store() -> None:
    """Wrong keys make it look at most once in PATIENCE seconds; no key at all, never."""
    shelf, clock = Shelf("tw-a"), ManualClock()
    keyring = ring(shelf, clock)
    await keyring.refresh()
    for _ in range(50):
        clock.advance(PATIENCE / 25)
        for guess in ("tw-x", "Bearer tw-y", "x" * 300):
            with pytest.raises(Unauthorized):
                await keyring.find(guess)
    assert shelf.reads <= 1 + 2
    reads = shelf.reads
    clock.advance(10)
    for nothing in (None, "", "Basic dXNlcjpwYXNz", "Bearer "):
        with pytest.raises(Unauthorized) as caught:
            await keyring.find(nothing)
        assert caught.value.code == "missing_api_key"
    assert shelf.reads == reads


async def test_a_store_that_can_not_be_read() -> None:
    """Known keys go on working; an unknown one can't be told from a new one, and that is said."""
    shelf, clock = Shelf("tw-a"), ManualClock()
    keyring = ring(shelf, clock)
    await keyring.refresh()
    shelf.broken = True
    clock.advance(1)
    with pytest.raises(StoreError):
        await keyring.find("tw-b")
    with pytest.raises(Unauthorized):  # no second look so soon
        await keyring.find("tw-b")
    assert (await keyring.find("tw-a")).name == "tw-a"


async def test_it_follows_the_store(caplog: pytest.LogCaptureFixture) -> None:
    """A revoked key ends without a request that asks; a store that fails in between is a warning, not an end."""
    caplog.set_level(logging.WARNING)
    shelf = Shelf("tw-a")
    keyring = ring(shelf, ManualClock())
    await keyring.refresh()
    shelf.broken = True
    shelf.read.clear()
    following = asyncio.ensure_future(keyring.follow())
    try:
        await asyncio.wait_for(shelf.read.wait(), 4)
        shelf.broken = False
        shelf.shelved = []
        assert (await keyring.find("tw-a")).name == "tw-a"
        shelf.read.clear()
        await asyncio.wait_for(shelf.read.wait(), 4)
        await asyncio.sleep(0)
        with pytest.raises(Unauthorized):
            await keyring.find("tw-a")
    finally:
        following.cancel()
    assert "keys can't be read, the last known ones stay: no disk" in caplog.text
