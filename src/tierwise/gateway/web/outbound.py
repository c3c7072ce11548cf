"""Asks an address of the operator's choice: that one and no other, for a limited time and size.

What goes wrong is told without the address, which may be a secret. Blocks, so it is for a thread. Knows nothing of what
is asked.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any


class Unanswered(Exception):
    """In words for a log: the status, or the kind of error."""


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the operator trusts one address."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def ask(address: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float, most: int = 0) -> bytes:
    """The first `most` bytes of the reply to a POST of `body`, or to a GET. Raises Unanswered.

    The address is http:// or https://, as whoever read it from the config has checked.
    """
    try:
        request = urllib.request.Request(address, body, dict(headers))  # noqa: S310  http(s), see above
        with urllib.request.build_opener(_Straight).open(request, timeout=timeout) as reply:
            content: bytes = reply.read(most) if most else b""
            return content
    except urllib.error.HTTPError as error:
        error.close()
        raise Unanswered(f"HTTP {error.code}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unanswered(type(error).__name__) from None
