"""Holds a stream back while its client does not read: what nobody takes must not pile up here.

The server keeps whatever it is given until the client takes it (granian 2.8 over RSGI), and does not say how much that
is. But the kernel does: a socket that takes no more has a full queue, and then so has the server. Where there is no
/proc (Linux has it) the socket can't be found, and only an answer's own limit bounds a stream. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from contextlib import suppress
from pathlib import Path

SHORTEST, LONGEST = 0.002, 0.1  # seconds between two looks at a socket that takes no more; each is twice the last
_OPEN = Path("/proc/self/fd")


class Reader:
    """Who reads one stream. `client`: "host:port", as the server names the other end. Close it."""

    __slots__ = ("_handle",)

    def __init__(self, client: str) -> None:
        self._handle = _find(client)

    async def ready(self) -> None:
        """Returns once the client takes more, or has gone: whoever writes to it then will hear of that."""
        await asyncio.sleep(0)  # the server may be about to write what it has
        pause = SHORTEST
        # looked at now and then: at the moment when it takes more again, the server has not yet written what it has
        while self._handle is not None and not _takes(self._handle):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST)

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _takes(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLOUT)
    return bool(poll.poll(0))


def _find(client: str) -> int | None:
    """A descriptor of our own for the connection to `client`; None where it is not found.

    Takes some microseconds for each socket of the process.
    """
    host, _, port = client.rpartition(":")
    with suppress(OSError, ValueError):
        address = host.strip("[]"), int(port)
        for each in _OPEN.iterdir():
            with suppress(OSError):  # closed meanwhile, no socket, or one without another end
                if _leads_to(int(each.name), address):
                    return os.dup(int(each.name))
    return None


def _leads_to(number: int, address: tuple[str, int]) -> bool:
    """Whether a descriptor is a connection with that other end. Raises OSError for what is none."""
    looked_at = socket.socket(fileno=number)
    try:
        internet = looked_at.family in (socket.AF_INET, socket.AF_INET6)
        return internet and looked_at.getpeername()[:2] == address
    finally:
        looked_at.detach()  # it stays its owner's, and as it is: `socket.dup` would make it block
