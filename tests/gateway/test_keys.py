"""Virtual keys, against a real store."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.errors import Unauthorized
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.keys import Ring, create_key, digest, list_keys, mint, revoke_key
from tierwise.store.sqlite import open_sqlite
from tierwise.types import Key, Tenant

PEPPER = b"p" * 32


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
