"""SIGHUP: another config takes over while requests run, and none of them notices."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.harness import CONFIG, GOOD, Gateway, by_model, child, parse, placed, running, said
from tests.support.shapes import Script
from tests.support.upstream import serve as serve_upstream
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine

LONG = "".join(f" parcel{number}" for number in range(30))
NONE = 'hold = "none"'


@dataclass
class Changing:
    """A gateway whose file is edited."""

    gateway: Gateway
    log: pytest.LogCaptureFixture

    async def reload(self, old: str, new: str, within: float = 5.0) -> list[str]:
        """What the log says of it, once it is done."""
        path = self.gateway.config.path
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return await self.again(within)

    async def again(self, within: float = 5.0) -> list[str]:
        self.log.clear()
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(within):
            while not any("reloaded" in line for line in self.log.messages):
                await asyncio.sleep(0.01)
        return list(self.log.messages)


@asynccontextmanager
async def changing(
    folder: Path, log: pytest.LogCaptureFixture, *scripts: Script, route: str = NONE, **more: Any
) -> AsyncIterator[Changing]:
    scripts = scripts or by_model(Script(text=GOOD))
    async with running(folder, scripts, route=route, **more) as gateway:
        yield Changing(gateway, log)


async def until(true: Callable[[], bool], within: float = 3.0) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


async def test_new_requests_see_the_new_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Routes, models, prices and the limit of a body; what is gone is unknown."""
    async with changing(tmp_path, caplog) as change:
        gateway = change.gateway
        assert (await gateway.chat("help"))[0] == 404
        said = await change.reload("[routes.support]", "[routes.help]")
        assert said == ["the config was reloaded: 2 models, 1 routes"]
        status, _, before = await gateway.chat("help")
        assert (status, before["x-tierwise-route"]) == (200, "help")
        assert (await gateway.chat("support"))[0] == 404
        await change.reload("input = 1, output = 2", "input = 2, output = 4")
        _, _, after = await gateway.chat("help")
        assert float(after["x-tierwise-cost-usd"]) == 2 * float(before["x-tierwise-cost-usd"])
        assert await sized(gateway, 1_500_000) == 413
        await change.reload("max_body_mb = 1", "max_body_mb = 2")
        assert await sized(gateway, 1_500_000) == 200
        async with gateway.http.get(f"{gateway.url}/models", headers=gateway.headers()) as reply:
            assert [model["id"] for model in (await reply.json())["data"]] == ["help", "cheap", "premium"]


async def sized(gateway: Gateway, size: int) -> int:
    """The status of a request of that many bytes."""
    body = b'{"model":"help","messages":[{"role":"user","content":"hi"}]' + b" " * size + b"}"
    url, headers = f"{gateway.url}/chat/completions", gateway.headers()
    async with gateway.http.post(url, data=io.BytesIO(body), headers=headers) as reply:
        return reply.status


async def test_a_request_keeps_what_it_began_with(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its route, its provider and its price, to its end, though the file has none of them any more."""
    slow = Script(model="cheap-1", text=LONG, gap=0.05)
    async with (
        changing(tmp_path, caplog, slow, Script(text=GOOD)) as change,
        serve_upstream([Script(text="New.")]) as other,
    ):
        gateway = change.gateway
        streaming = asyncio.ensure_future(gateway.events())
        await until(lambda: gateway.produced > 2)
        await change.reload("input = 10, output = 20", "input = 11, output = 21")  # the next config shares its model
        old = f'base_url = "{gateway.upstream.url}/v1"\nmodel = "cheap-1"'
        await change.reload(old, f'base_url = "{other.url}/v1"\nmodel = "cheap-1"')
        await change.reload("input = 1, output = 2", "input = 100, output = 200")
        assert not streaming.done()
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
        assert (names.count("Auditor.follow"), names.count("Watcher.follow")) == (1, 1)
        status, body, _ = await gateway.chat()
        assert (status, body["choices"][0]["message"]["content"]) == (200, "New.")
        assert gateway.upstream.open_connections > 0
        events, headers = await asyncio.wait_for(streaming, 5)
        assert (said(events), events[-1]) == (LONG, "[DONE]")
        record = await gateway.record(headers["x-request-id"])
        assert record.nanos == 20 * 1000 + 30 * 2000
        await until(lambda: gateway.upstream.open_connections == 0)  # nobody needs it any more


async def test_an_unchanged_model_keeps_its_connections(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And its quota: reloading is no way to more of it."""
    config = CONFIG.replace("max_output = 1024", "max_output = 1024\nrpm = 3")
    async with changing(tmp_path, caplog, route="", config=config) as change:
        gateway = change.gateway
        for _ in range(3):
            assert (await gateway.chat("cheap"))[0] == 200
            await change.again()
        assert gateway.upstream.accepted == 1
        assert (await gateway.chat("cheap"))[0] == 503
        await change.reload("rpm = 3", "rpm = 30")
        assert (await gateway.chat("cheap"))[0] == 200
        await until(lambda: gateway.upstream.open_connections == 1)


async def test_what_is_remembered_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys' limits, replies under their idempotency keys, responses to go on from."""
    async with changing(tmp_path, caplog) as change:
        gateway = change.gateway
        _, first, _ = await gateway.chat(headers={"idempotency-key": "one"})
        async with gateway.http.post(
            f"{gateway.url}/responses", json={"model": "cheap", "input": "hi"}, headers=gateway.headers()
        ) as reply:
            response = await reply.json()
        await change.reload("[models.premium]", '[models.third]\nprovider = "openai"\nmodel = "x"\n[models.premium]')
        _, again, headers = await gateway.chat(headers={"idempotency-key": "one"})
        assert (again, headers["x-tierwise-replayed"]) == (first, "true")
        asked = {"model": "cheap", "input": "and then?", "previous_response_id": response["id"]}
        async with gateway.http.post(f"{gateway.url}/responses", json=asked, headers=gateway.headers()) as reply:
            assert reply.status == 200
        assert len(gateway.upstream.requests[-1].body["messages"]) == 3


async def test_an_engine_that_takes_over(tmp_path: Path) -> None:
    """It has all that its predecessor has learnt and counted, whatever its config says."""
    path = tmp_path / "tierwise.toml"
    path.write_text(CONFIG.format(url="http://127.0.0.1:9", route=""))
    environment = read_environment({"HOME": str(tmp_path)})
    config = load(path, {})
    before = replace(await open_engine(config, environment), secret=b"secret")
    try:
        engine = await open_engine(config, environment, before=(config, before))
        for name in ("store", "clock", "sessions", "meter", "budgets", "hours", "secret"):
            assert getattr(engine, name) is getattr(before, name)
        assert engine.rungs is not before.rungs  # they are found anew, by the certificates of now
    finally:
        await before.close()


MISTAKES = [
    ('tiers = ["cheap", "premium"]', 'tiers = ["chaep", "premium"]\nfoo = 1', ["chaep", "foo"]),
    ("[server]", "[server\n", ["tierwise.toml"]),
    ("[routes.support]", '[alerts]\nwebhook_env = "NOBODY_SET_THIS"\n[routes.support]', ["NOBODY_SET_THIS"]),
    ('uncertified = "checks"', 'uncertified = "checks"\ntrained = "none.bin"', ["none.bin"]),
]


@pytest.mark.parametrize(("old", "new", "told"), MISTAKES, ids=["names", "syntax", "webhook", "artefact"])
async def test_a_wrong_file_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, told: list[str]
) -> None:
    """The log has a line for every mistake; the old config serves on, and a right file is taken as ever."""
    async with changing(tmp_path, caplog) as change:
        gateway = change.gateway
        connections = gateway.upstream.accepted
        lines = await change.reload(old, new)
        assert all(line.startswith("the config was not reloaded, the old one stays: ") for line in lines)
        assert len(lines) == len(told)
        for word in told:
            assert any(word in line for line in lines)
        assert (await gateway.chat())[0] == 200
        assert gateway.upstream.accepted == connections + 1
        gateway.config.path.unlink()
        assert "no such file" in (await change.again())[0]
        gateway.config.path.write_text(CONFIG.format(url=gateway.upstream.url, route=NONE))
        assert (await change.again())[-1] == "the config was reloaded: 2 models, 1 routes"
        assert (await gateway.chat())[0] == 200


async def test_what_takes_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Is said, and stays; all else of that file is taken."""
    async with changing(tmp_path, caplog) as change:
        gateway = change.gateway
        new = 'host = "0.0.0.0"\nport = 9\nworkers = 3\n[store]\nurl = "sqlite:///other.db"'
        await change.reload("[routes.support]", "[routes.help]")
        lines = await change.reload('port = 0\nmax_body_mb = 1\n[store]\nurl = "sqlite:///ledger.db"', new)
        fixed = sorted(line.partition(" ")[0] for line in lines if "takes a restart" in line)
        assert fixed == ["server.host", "server.port", "server.workers", "store.url"]
        assert (await gateway.chat("help"))[0] == 200
        assert not (tmp_path / "other.db").exists()
        assert (await change.again())[:-1] == lines[:-1]  # it is still not so


async def test_what_follows_the_store_is_there_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The old config's followers end; a gateway that was reloaded often has as many tasks as one that was not."""
    async with changing(tmp_path, caplog) as change:
        assert (await change.gateway.chat())[0] == 200
        await change.again()
        await asyncio.sleep(0.1)
        before = len(asyncio.all_tasks())
        for number in range(5):
            await change.reload(
                "max_output = 1024" if not number else f"max_output = {number}", f"max_output = {number + 1}"
            )
            assert (await change.gateway.chat())[0] == 200
        await until(lambda: len(asyncio.all_tasks()) <= before)
        await until(lambda: change.gateway.upstream.open_connections == 1)


async def test_evidence_of_the_old_config_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was drawn before is asked of the models of then, though the file has them no more, and kept."""
    config = CONFIG.replace("evidence_usd_per_day = 0", "evidence_usd_per_day = 10\nobserve = 1.0\naudit = 1.0")
    scripts = by_model(Script(text="Cheap says this.", delay=0.3), Script(text=GOOD, delay=0.5))
    async with changing(tmp_path, caplog, *scripts, route="", config=config) as change:
        gateway = change.gateway
        assert (await gateway.chat())[0] == 200
        await change.reload("cheap-1", "cheap-2")
        assert samples(gateway.config.store_path) == 0
        await until(lambda: samples(gateway.config.store_path) == 1, 5)
        assert [request.body["model"] for request in gateway.upstream.requests] == ["cheap-1", "premium-1"]


def samples(path: Path) -> int:
    with closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("SELECT count(*) FROM samples").fetchone()[0])


async def test_the_end_does_not_wait_for_the_old_config(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A gateway stops in time though requests of several configs hang, and all are booked."""
    slow = Script(model="cheap-1", text=LONG, gap=30.0)
    config = CONFIG.replace("idle = 1", "idle = 60").replace("port = 0", "port = 0\ndrain_seconds = 1")
    async with changing(tmp_path, caplog, slow, Script(text=GOOD), config=config) as change:
        streams = []
        for number in range(3):
            change.gateway.upstream.asked.clear()
            streams.append(asyncio.ensure_future(change.gateway.events()))
            await asyncio.wait_for(change.gateway.upstream.asked.wait(), 10)
            await change.reload(
                "max_output = 1024" if not number else f"max_output = {number}", f"max_output = {number + 1}"
            )
        began = asyncio.get_running_loop().time()
        os.kill(os.getpid(), signal.SIGTERM)
        ended = await asyncio.wait_for(asyncio.gather(*streams), 6)
        assert all(events[-1][1]["error"]["code"] == "gateway_stopping" for events, _ in ended)
        assert asyncio.get_running_loop().time() - began < 6


# ------------------------------------------------------------------ in processes of their own


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_request_fails(tmp_path: Path, workers: int) -> None:
    """Clients ask on and on, whole and streamed, while the file changes between right and wrong ones."""
    async with placed(tmp_path, *by_model(Script(text=GOOD, gap=0.002)), route=NONE) as place:
        place.edit("port = 0", f"port = 0\nworkers = {workers}")
        right = place.config.path.read_text()
        async with child(place.config.path) as gateway:
            done = asyncio.Event()
            clients = [asyncio.ensure_future(asking(place, gateway, done, number)) for number in range(8)]
            for number in range(6):
                model = "cheap" if number % 2 else "premium"
                place.config.path.write_text(
                    "wrong" if number == 3 else right + f'[routes.r{number}]\ntiers = ["{model}"]\n'
                )
                gateway.process.send_signal(signal.SIGHUP)
                if number == 3:
                    await asyncio.sleep(0.2)
                    assert (await place.ask(gateway, model="r2"))[0] == 200
                    continue
                async with asyncio.timeout(10):
                    while not await everywhere(place, gateway, f"r{number}"):
                        await asyncio.sleep(0.02)
            done.set()
            counts = await asyncio.gather(*clients)
            assert min(counts) > 5
            gateway.process.terminate()
            assert await gateway.ended() == 0
        assert (await place.spent())[1] == 0


async def asking(place: Any, gateway: Any, done: asyncio.Event, number: int) -> int:
    """How many requests were answered; all were."""
    count = 0
    async with aiohttp.ClientSession() as http:
        while not done.is_set():
            status, text, _ = await place.ask(gateway, http=http, stream=number % 2 == 0)
            assert status == 200, text
            if number % 2 == 0:
                assert parse(text.encode())[-1] == "[DONE]"
            count += 1
    return count


async def everywhere(place: Any, gateway: Any, model: str) -> bool:
    """Whether each of several connections, which the kernel spreads over the workers, knows the model."""
    statuses = []
    for _ in range(8):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            statuses.append((await place.ask(gateway, http=http, model=model))[0])
    return set(statuses) == {200}
