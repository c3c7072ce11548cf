"""The least that a gateway on these parts can cost: granian takes a request, our client passes it on, nothing else.

python -m benchmarks.floor http://127.0.0.1:9100 18080
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from tierwise.dialects.openai_upstream import decode_error
from tierwise.providers.http import Upstream


async def main(url: str, port: int) -> None:
    upstream = Upstream("floor", f"{url}/v1", {}, decode_error)

    async def app(scope: Any, proto: Any) -> None:
        reply = await upstream.open("/chat/completions", await proto())
        try:
            body = await reply.read()
        finally:
            reply.close()
        proto.response_bytes(200, [("content-type", "application/json")], body)

    server = Server(app, port=port, interface=Interfaces.RSGI, websockets=False, log_enabled=False)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    asyncio.get_running_loop().call_later(0.5, lambda: print(f"http://127.0.0.1:{port}", flush=True))
    await server.serve()
    await upstream.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
