"""Request bodies that came packed: gzip, deflate, zstd. Never unpacked beyond the limit, however small they came.

Knows neither HTTP nor what is in them.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping

from tierwise.errors import BadRequest, TooLarge, Unsupported

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WINDOW = 23  # of zstd, as a power of two in bytes: 8 MiB, which RFC 9659 sets as the most for HTTP
GZIP, ZLIB = 31, 15  # zlib's names for the two formats


def decompress(data: bytes, packing: str, limit: int) -> bytes:
    """Raises TooLarge for more than `limit` bytes, BadRequest for what is torn or no such data, Unsupported."""
    name = packing.strip().lower()
    if name in ("", "identity"):
        return data
    decoder = _DECODERS.get(name)
    if decoder is None:
        raise Unsupported(f"A body can be packed as one of: {', '.join(_DECODERS)}; not as {packing[:40]!r}.")
    try:
        found = decoder(data, limit + 1)
    except (zlib.error, zstd.ZstdError, EOFError):
        raise BadRequest(f"The request body is not valid {name} data.", code="invalid_encoding") from None
    if len(found) > limit:
        raise oversized(limit)
    return found


def _deflated(kind: int) -> Callable[[bytes, int], bytes]:
    def decoder(data: bytes, most: int) -> bytes:
        stream = zlib.decompressobj(kind)
        found = stream.decompress(data, most)
        if len(found) < most and not stream.eof:
            raise EOFError
        return found

    return decoder


def _zstd(data: bytes, most: int) -> bytes:
    stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW})
    found = stream.decompress(data, most)
    if len(found) < most and not stream.eof:
        raise EOFError
    return found


_DECODERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _deflated(GZIP),
    "deflate": _deflated(ZLIB),
    "zstd": _zstd,
}


def oversized(limit: int) -> TooLarge:
    return TooLarge(f"The request body is over the limit of {limit >> 20} MiB ([server] max_body_mb).")
