"""Packed request bodies: read as they were meant, never unpacked beyond the limit."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.harness import GOOD, running
from tierwise.errors import BadRequest, TooLarge, Unsupported
from tierwise.gateway.web.compression import decompress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "identity": bytes,
}


@given(st.binary(max_size=300), st.sampled_from(sorted(PACKERS)))
def test_what_was_packed_comes_out(data: bytes, name: str) -> None:
    """Byte for byte, to the limit exactly."""
    assert decompress(PACKERS[name](data), f" {name.upper()}", len(data)) == data


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_before_it_grows(name: str) -> None:
    """Some kilobytes that would be many megabytes; and what is torn is no body."""
    packed = PACKERS[name](bytes(50 << 20))
    assert len(packed) < 100_000
    with pytest.raises(TooLarge, match="1 MiB"):
        decompress(packed, name, 1 << 20)
    for broken in (packed[: len(packed) // 2], b"none of it", b""):
        with pytest.raises(BadRequest, match=name):
            decompress(broken, name, 100 << 20)


def test_other_packings_are_named() -> None:
    """With those that are read."""
    with pytest.raises(Unsupported, match="gzip, deflate, zstd; not as 'br'"):
        decompress(b"x", "br", 10)


async def test_through_the_door(tmp_path: Path) -> None:
    """A packed request is answered like any other; one too large, or packed otherwise, is refused by status."""
    body = msgspec.json.encode({"model": "premium", "messages": [{"role": "user", "content": "hi"}]})
    async with running(tmp_path) as gateway:
        url = f"{gateway.url}/chat/completions"
        for name, packer in PACKERS.items():
            headers = gateway.headers(content_encoding=name)
            async with gateway.http.post(
                f"{gateway.url}/chat/completions", data=packer(body), headers=headers
            ) as reply:
                assert (await reply.json())["choices"][0]["message"]["content"] == GOOD, name
        for data, name, status in (
            (gzip.compress(bytes(2 << 20)), "gzip", 413),
            (body, "br", 415),
            (body, "gzip", 400),
        ):
            headers = gateway.headers(content_encoding=name)
            async with gateway.http.post(url, data=data, headers=headers) as reply:
                assert (reply.status, (await reply.json())["error"]["type"]) == (status, "invalid_request_error")
