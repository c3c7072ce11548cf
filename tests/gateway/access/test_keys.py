"""Virtual keys, against a real store."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.store import DAY, NOW, entry, record
from tierwise.core.window import iso
from tierwise.errors import Unauthorized
from tierwise.gateway.access.keys import Ring, Terms, create_key, digest, list_keys, mint, revoke_key, standings
from tierwise.gateway.clock import SystemClock
from tierwise.money import Budget, Key, Period, Reservation, Tenant
from tierwise.store.sqlite import open_sqlite

PEPPER = b"p" * 32
KEYS: tuple[tuple[str, int | None, Period], ...] = (("a", 90, "month"), ("b", 90, "total"), ("c", None, "month"))


def key(text: str, revoked_ns: int | None = None) -> Key:
    return Key("key_1", "team", digest(text, PEPPER), text[:9], 1, 5, revoked_ns)


def test_a_minted_key_has_256_random_bits() -> None:
    """43 characters of URL-safe base64 after the prefix, never twice the same."""
    keys = {mint() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(text.startswith("tw-") and len(text) == 3 + 43 for text in keys)


def test_the_digest_depends_on_the_pepper() -> None:
    """A stolen store alone can't be tested against."""
    assert len(digest("tw-a", PEPPER)) == 32
    assert digest("tw-a", PEPPER) == digest("tw-a", PEPPER)
    assert digest("tw-a", PEPPER) != digest("tw-a", b"q" * 32)
    assert digest("tw-a", PEPPER) != digest("tw-b", PEPPER)


async def test_a_key_s_life(tmp_path: Path) -> None:
    """Made, listed without its text, used, revoked."""
    store = await open_sqlite(tmp_path / "t.db", clock=SystemClock(), instance="test")
    try:
        made, text = await create_key(store, PEPPER, "team", 7, 2)
        await create_key(store, PEPPER, "older", None, 1)
        listed = await list_keys(store)
        assert [found.name for found in listed] == ["older", "team"]
        assert text not in repr(listed)
        assert made.prefix == text[:9]
        assert Ring(listed, PEPPER).find(f"Bearer {text}") == Tenant(made.id, "team", 7)
        assert await revoke_key(store, made.id, 9)
        assert not await revoke_key(store, made.id, 9)
        ring = Ring(await list_keys(store), PEPPER)
        assert len(ring) == 1
        with pytest.raises(Unauthorized):
            ring.find(f"Bearer {text}")
    finally:
        await store.close()


async def test_terms_go_with_the_key(tmp_path: Path) -> None:
    """Into the store, and to whoever asks with it."""
    store = await open_sqlite(tmp_path / "t.db", clock=SystemClock(), instance="test")
    try:
        terms = Terms("week", 60, 9_000, "sales", 8, 2_000_000, "tags,premium", "support")
        made, text = await create_key(store, PEPPER, "team", 7, 2, terms)
        rights = frozenset({"premium", "tags"}), frozenset({"support"})
        tenant = Tenant(made.id, "team", 7, "week", 60, 9_000, "sales", 8, 2_000_000, *rights)
        ring = Ring([made], PEPPER)
        assert (ring.find(text), list(ring.tenants)) == (tenant, [tenant])
        listed = await list_keys(store)
        assert listed == [made]
    finally:
        await store.close()


async def test_standings(tmp_path: Path) -> None:
    """In all, and of the budget that a key has now; a month later that is whole again."""
    store = await open_sqlite(tmp_path / "t.db", clock=SystemClock(), instance="test")
    try:
        keys = [
            (await create_key(store, PEPPER, name, budget, at, Terms(period)))[0]
            for at, (name, budget, period) in enumerate(KEYS)
        ]
        for key in keys:
            period: Period = key.period if key.budget_nanos is not None else "total"
            held = (Budget("key", key.id, period, key.budget_nanos),)
            for number, began in enumerate((NOW, NOW, NOW + 10 * DAY)):
                request = f"{key.name}-{number}"
                await store.reserve(Reservation(request, key.id, "support", 5, began, held))
            await store.post(record(f"{key.name}-0", entry(3), key_id=key.id))
        september, october, later = [await standings(store, NOW + days * DAY) for days in (0, 10, 60)]
        assert [standing.key for standing in september] == keys
        assert {(standing.posted, standing.held) for standing in september + october + later} == {(3, 10)}
        money = [[(each.window_posted, each.window_held) for each in found] for found in (september, october, later)]
        assert money == [[(3, 5), (3, 10), (3, 10)], [(0, 5), (3, 10), (3, 10)], [(0, 0), (3, 10), (3, 10)]]
        renewals = [[each.window and iso(each.window.end_ns)[:10] for each in found] for found in (september, october)]
        assert renewals == [["2026-10-01", None, None], ["2026-11-01", None, None]]
    finally:
        await store.close()


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER   {} ", "{}", " {} "])
def test_headers_that_hold_a_key(header: str) -> None:
    """`Authorization: Bearer KEY`, and the bare key of `x-api-key`."""
    text = mint()
    assert Ring([key(text)], PEPPER).find(header.format(text)).key_id == "key_1"


@pytest.mark.parametrize("header", [None, "", "  ", "Bearer", "Bearer ", "Basic dXNlcjpwdw=="])
def test_headers_without_a_key(header: str | None) -> None:
    """Told apart from a wrong key, with how to send one."""
    with pytest.raises(Unauthorized, match="No API key was given") as caught:
        Ring([key("tw-a")], PEPPER).find(header)
    assert caught.value.code == "missing_api_key"


@pytest.mark.parametrize("header", ["Bearer tw-b", "Bearer tw-a tw-a", "Bearer " + "a" * 1_000_000, "Bearer tw-\udcff"])
def test_wrong_keys(header: str) -> None:
    """Unknown, odd or huge: refused, and not quoted."""
    with pytest.raises(Unauthorized, match="not valid here") as caught:
        Ring([key("tw-a")], PEPPER).find(header)
    assert caught.value.code == "invalid_api_key"
    assert header[7:20] not in caught.value.message


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_no_header_but_the_key_s_opens(header: str) -> None:
    """Whatever else is sent is Unauthorized and never another error."""
    with pytest.raises(Unauthorized):
        Ring([key("tw-the-only-key")], PEPPER).find(header)
    with pytest.raises(Unauthorized):
        Ring([key("tw-the-only-key", revoked_ns=3)], PEPPER).find("tw-the-only-key")
