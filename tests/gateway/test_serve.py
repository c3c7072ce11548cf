"""The serving process: how it starts, how it ends, and what it says where it can't."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.harness import CONFIG, GOOD, UPSTREAM_KEY, Child, Place, by_model, child, parse, placed, said
from tests.support.shapes import Script

LONG = "".join(f" parcel{number}" for number in range(30))
FREE = ("--port", "0")


async def stream(place: Place, gateway: Child, began: asyncio.Event) -> tuple[list[Any], bool]:
    """(events, whether the body came to its end) of a stream; `began` is set by its first piece."""
    body = {"model": "support", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    raw = b""
    url = f"{gateway.url}/chat/completions"
    async with place.http.post(url, json=body, headers=place.headers) as reply:
        try:
            async for piece in reply.content.iter_any():
                raw += piece
                began.set()
        except aiohttp.ClientError:
            return parse(raw), False
    return parse(raw), True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
async def test_a_signal_ends_it_well(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0 within five seconds, nothing left open in the ledger, and the port is free again."""
    async with placed(tmp_path, *by_model(Script(text=GOOD))) as place:
        async with child(place.config.path, *FREE) as gateway:
            assert gateway.url.startswith("http://127.0.0.1:")
            assert (await place.ask(gateway))[0] == 200
            gateway.process.send_signal(number)
            assert await gateway.ended() == 0
            with pytest.raises(aiohttp.ClientConnectorError):
                await place.ask(gateway)
        assert (await place.spent())[1] == 0


async def test_a_signal_lets_a_stream_end(tmp_path: Path) -> None:
    """What has begun comes to its end, and is booked at its price."""
    scripts = by_model(Script(text=LONG, gap=0.03))
    async with placed(tmp_path, *scripts, route='hold = "none"') as place:
        async with child(place.config.path, *FREE) as gateway:
            began = asyncio.Event()
            streaming = asyncio.ensure_future(stream(place, gateway, began))
            await asyncio.wait_for(began.wait(), 10)
            gateway.process.terminate()
            events, whole = await asyncio.wait_for(streaming, 5)
            assert (whole, events[-1], said(events)) == (True, "[DONE]", LONG)
            assert await gateway.ended() == 0
        assert await place.spent() == (20 * 1000 + 30 * 2000, 0)


async def test_a_signal_does_not_wait_for_a_provider_that_hangs(tmp_path: Path) -> None:
    """It ends within five seconds all the same: the client is told, and what was produced is booked."""
    scripts = by_model(Script(text=LONG, gap=30.0))
    async with placed(tmp_path, *scripts, route='hold = "none"') as place:
        place.edit("idle = 1", "idle = 60")
        place.edit("port = 0", "port = 0\ndrain_seconds = 0.5")
        async with child(place.config.path, *FREE) as gateway:
            began = asyncio.Event()
            streaming = asyncio.ensure_future(stream(place, gateway, began))
            await asyncio.wait_for(began.wait(), 10)
            gateway.process.terminate()
            assert await gateway.ended() == 0
            events, _ = await asyncio.wait_for(streaming, 2)
            kind, body = events[-1]
            assert (kind, body["error"]["code"]) == ("error", "gateway_stopping")
            assert "[DONE]" not in events
        posted, held = await place.spent()
        assert 0 < posted < 100_000  # by what was produced, not by the bound
        assert held == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
async def test_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    """After the first a stream goes on, for as long as the config says; after the second its client is told."""
    scripts = by_model(Script(text=LONG, gap=0.2))
    async with placed(tmp_path, *scripts, route='hold = "none"') as place:
        place.edit("port = 0", f"port = 0\nworkers = {workers}\ndrain_seconds = 600")
        async with child(place.config.path) as gateway:
            began = asyncio.Event()
            streaming = asyncio.ensure_future(stream(place, gateway, began))
            await asyncio.wait_for(began.wait(), 10)
            gateway.process.send_signal(number)
            done, _ = await asyncio.wait((streaming,), timeout=1)
            assert not done
            gateway.process.send_signal(number)
            events, _ = await asyncio.wait_for(streaming, 2)
            assert events[-1][1]["error"]["code"] == "gateway_stopping"
            assert await gateway.ended() == 0
        assert (await place.spent())[1] == 0


async def test_ctrl_c_is_one_signal(tmp_path: Path) -> None:
    """A terminal sends it to every process of the gateway at once: workers are told by their parent alone."""
    scripts = by_model(Script(text=LONG, gap=0.03))
    async with placed(tmp_path, *scripts, route='hold = "none"') as place:
        place.edit("port = 0", "port = 0\nworkers = 2")
        async with child(place.config.path) as gateway:
            began = asyncio.Event()
            streaming = asyncio.ensure_future(stream(place, gateway, began))
            await asyncio.wait_for(began.wait(), 10)
            os.killpg(gateway.process.pid, signal.SIGINT)
            events, _ = await asyncio.wait_for(streaming, 5)
            assert (events[-1], said(events)) == ("[DONE]", LONG)
            assert await gateway.ended() == 0
            assert gateway.process.stdout is not None
            assert b"KeyboardInterrupt" not in await gateway.process.stdout.read()


async def test_port_in_use(tmp_path: Path) -> None:
    """A second gateway does not share the first one's port: one line, exit code 2."""
    async with placed(tmp_path) as place, child(place.config.path, *FREE) as gateway:
        port = gateway.url.removesuffix("/v1").rpartition(":")[2]
        second = await asyncio.to_thread(failing, place.config.path, "--port", port)
        assert second == [f"error: port {port} on 127.0.0.1 is in use; stop what uses it, or choose --port"]


def failing(path: Path, *options: str) -> list[str]:
    """What `serve` says that must not serve."""
    command = (sys.executable, "-m", "tierwise", "serve", "--config", str(path), *options)
    env = os.environ | {"UPSTREAM_KEY": UPSTREAM_KEY}
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()


def test_bad_config(tmp_path: Path) -> None:
    """Every problem at once, a line each."""
    path = tmp_path / "bad.toml"
    path.write_text('[server]\nprot = 1\n[routes.x]\ntiers = ["nobody"]\n')
    lines = failing(path)
    assert [line.partition(" ")[0] for line in lines] == ["error:"] * len(lines)
    assert "server.prot" in lines[0]
    assert "nobody" in lines[1]
    assert failing(tmp_path / "none.toml")[0].startswith(f"error: {tmp_path}/none.toml: no such file")


@pytest.mark.parametrize("host", ["192.0.2.1", "not a host"])
def test_host_that_is_not_ours(tmp_path: Path, host: str) -> None:
    """One line, exit code 2."""
    path = tmp_path / "tierwise.toml"
    path.write_text(CONFIG.format(url="http://127.0.0.1:9", route=""))
    (line,) = failing(path, "--host", host)
    assert line.startswith(f"error: can't listen on {host}")


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


async def test_ipv6(tmp_path: Path) -> None:
    """Its URL has the brackets that it needs; a machine without IPv6 says so."""
    async with placed(tmp_path, *by_model(Script(text=GOOD))) as place:
        if not has_ipv6():
            (line,) = await asyncio.to_thread(failing, place.config.path, "--host", "::1")
            assert line.startswith("error: can't listen on")
            return
        async with child(place.config.path, "--host", "::1", *FREE) as gateway:
            assert gateway.url.startswith("http://[::1]:")
            assert (await place.ask(gateway))[0] == 200


async def test_two_workers_one_ledger(tmp_path: Path) -> None:
    """Both processes take connections, both book, and a signal to the first ends both."""
    async with placed(tmp_path, *by_model(Script(text=GOOD))) as place:
        place.edit("port = 0", "port = 0\nworkers = 2")
        async with child(place.config.path) as gateway:
            async with asyncio.timeout(5):
                done = 0
                while len(place.bookings()) < 2:
                    connector = aiohttp.TCPConnector(force_close=True)
                    async with aiohttp.ClientSession(connector=connector) as http:  # the kernel spreads connections
                        assert (await place.ask(gateway, http=http))[0] == 200
                        done += 1
            gateway.process.terminate()
            assert await gateway.ended() == 0
        assert sum(place.bookings().values()) == done
        cost = 20 * 1000 + len(GOOD.split()) * 2000
        assert await place.spent() == (done * cost, 0)


async def test_a_worker_that_dies(tmp_path: Path) -> None:
    """The rest of the gateway stops too, and says by its exit code that this was no orderly end."""
    async with placed(tmp_path) as place:
        place.edit("port = 0", "port = 0\nworkers = 2")
        async with child(place.config.path) as gateway:
            os.kill(children(gateway.process.pid)[-1], signal.SIGKILL)
            assert await gateway.ended() != 0
            assert children(gateway.process.pid) == []


async def test_workers_that_can_not_start(tmp_path: Path) -> None:
    """The reason is a line, not a traceback."""
    async with placed(tmp_path) as place:
        place.edit("port = 0", "port = 0\nworkers = 2")
        place.edit("ledger.db", "none/ledger.db")
        lines = await asyncio.to_thread(failing, place.config.path)
        assert all(line.startswith("error: ") for line in lines)
        assert "ledger" in lines[0]
        assert "worker" in lines[-1]


async def test_workers_do_not_outlive_the_first_process(tmp_path: Path) -> None:
    """Where it is killed, nobody is left who serves unwatched."""
    async with placed(tmp_path) as place:
        place.edit("port = 0", "port = 0\nworkers = 2")
        async with child(place.config.path) as gateway:
            workers = children(gateway.process.pid)
            assert len(workers) >= 2
            gateway.process.kill()
            async with asyncio.timeout(5):
                while any(Path(f"/proc/{pid}/stat").exists() and not zombie(pid) for pid in workers):
                    await asyncio.sleep(0.02)


def children(pid: int) -> list[int]:
    """Its workers: the processes that it has started, but for the interpreter's own helper."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        return []
    pids = [int(word) for word in path.read_text().split()]
    return [each for each in pids if b"resource_tracker" not in Path(f"/proc/{each}/cmdline").read_bytes()]


def zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
