"""A request that came by no socket, for doors that know nothing else."""

from __future__ import annotations

import asyncio


class Letter:
    """A request that came by no socket: as much of granian's protocol as it takes to answer it as a whole."""

    method = "POST"
    query_string = ""

    def __init__(self, path: str, body: bytes) -> None:
        self.path = path
        self.headers = {"content-length": str(len(body))}
        self._body = body

    async def __call__(self) -> bytes:
        return self._body

    async def client_disconnect(self) -> None:
        """Never: nobody waits at the other end."""
        await asyncio.Event().wait()
