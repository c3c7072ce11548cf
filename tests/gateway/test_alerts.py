"""Telling people: what goes to the log and to a webhook, and what happens where the webhook does not take it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.harness import CONFIG, UPSTREAM_KEY, running
from tierwise.errors import ConfigError
from tierwise.gateway.alerts import PAUSES, TIMEOUT, Alerts
from tierwise.gateway.settings import Config, load, read_environment, webhook
from tierwise.proof import Event

SECRET = "T0K3N-of-the-webhook"
EVENT = Event(at_ns=7, route="support", what="alarm", body='{"certificate": "aa", "rung": 1, "threshold": null}')
QUICK = (0.01, 0.01)


@dataclass
class Hook:
    """An operator's webhook that gives these statuses in turn, then 204 for ever; `pause` seconds before each."""

    statuses: Sequence[int] = ()
    pause: float = 0.0
    url: str = ""
    posts: list[tuple[str, str, Any]] = field(default_factory=list)  # (path, content type, JSON)
    methods: set[str] = field(default_factory=set)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        number = len(self.posts)
        self.methods.add(request.method)
        self.posts.append((request.path_qs, request.content_type, await request.json() if request.can_read_body else 0))
        self.came.set()
        await asyncio.sleep(self.pause)
        status = self.statuses[number] if number < len(self.statuses) else 204
        headers = {"location": f"{self.url}/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def hook(*statuses: int, pause: float = 0.0) -> AsyncIterator[Hook]:
    found = Hook(statuses, pause)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        found.url = f"http://{host}:{port}"
        yield found
    finally:
        await runner.cleanup()


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not so():
            await asyncio.sleep(0.002)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [said for said in caplog.messages if said.startswith("the webhook could not be told")]


# ------------------------------------------------------------------ what is told


async def test_people_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """A line in the log, and a POST of JSON: a sentence as chat services show it, and the event's own fields."""
    async with hook() as on:
        alerts = Alerts(f"{on.url}/in/{SECRET}?v=2", QUICK)
        alerts.tell(EVENT, "audits refute it")
        assert (on.posts, caplog.messages) == ([], ["route support: audits refute it"])  # nobody waits for it
        await alerts.close()
    path, kind, body = on.posts[0]
    assert (on.methods, path, kind) == ({"POST"}, f"/in/{SECRET}?v=2", "application/json")
    assert body == {
        "text": "Tierwise, route support: audits refute it",
        "event": "alarm",
        "route": "support",
        "at_ns": 7,
        "certificate": "aa",
        "rung": 1,
        "threshold": None,
    }
    assert (len(on.posts), len(caplog.messages)) == (1, 1)


async def test_several_at_once() -> None:
    """Each goes its own way; one that takes long holds up no other."""
    async with hook(pause=0.2) as on:
        alerts = Alerts(on.url, QUICK)
        started = asyncio.get_running_loop().time()
        for number in range(4):
            alerts.tell(EVENT, f"number {number}")
        await alerts.close()
        assert asyncio.get_running_loop().time() - started < 0.7
    assert sorted(body["text"][-8:] for _, _, body in on.posts) == [f"number {number}" for number in range(4)]


async def test_without_a_webhook(caplog: pytest.LogCaptureFixture) -> None:
    """The log alone is told."""
    alerts = Alerts(None)
    alerts.tell(EVENT, "audits refute it")
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await alerts.close()
    assert caplog.messages == ["route support: audits refute it"]


# ------------------------------------------------------------------ a webhook that fails


async def test_a_failure_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Until it is taken, and then no more; the log says what went wrong, and never the address."""
    async with hook(500, 429) as on:
        Alerts(f"{on.url}/in/{SECRET}", QUICK).tell(EVENT, "audits refute it")
        await until(lambda: len(on.posts) == 3)
        await asyncio.sleep(0.1)
    assert len(on.posts) == 3
    assert on.posts[0] == on.posts[1] == on.posts[2]
    assert failures(caplog) == [f"the webhook could not be told: HTTP {status}" for status in (500, 429)]
    assert SECRET not in caplog.text
    assert "127.0.0.1" not in caplog.text


async def test_it_is_left_after_three_tries(caplog: pytest.LogCaptureFixture) -> None:
    """And then is told of the next event all the same."""
    async with hook(*(503,) * 3) as on:
        alerts = Alerts(on.url, QUICK)
        alerts.tell(EVENT, "audits refute it")
        await until(lambda: len(failures(caplog)) == 3)
        await asyncio.sleep(0.1)
        assert len(on.posts) == 3
        alerts.tell(EVENT, "again")
        await alerts.close()
    assert [body["text"][-5:] for _, _, body in on.posts[3:]] == ["again"]
    assert len(failures(caplog)) == 3


def test_patience() -> None:
    """Seconds, with a pause that grows; in all not longer than people need to look themselves."""
    assert len(PAUSES) == 2
    assert 0 < PAUSES[0] < PAUSES[1]
    assert sum(PAUSES) + 3 * TIMEOUT < 60


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_sent_elsewhere(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """What is told is for one address: a redirection is a failure like any other."""
    async with hook(*(status,) * 3) as on:
        Alerts(f"{on.url}/in", QUICK).tell(EVENT, "audits refute it")
        await until(lambda: len(failures(caplog)) == 3)
    assert [path for path, _, _ in on.posts] == ["/in"] * 3
    assert (on.methods, failures(caplog)[0]) == ({"POST"}, f"the webhook could not be told: HTTP {status}")


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/" + SECRET, f"http://127.0.0.1:{{port}}/{SECRET} \n"])
async def test_nobody_there(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """A closed port, an address that nothing can be sent to: told by the kind of error alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Alerts(address.format(port=port), QUICK).tell(EVENT, "audits refute it")
    await until(lambda: len(failures(caplog)) == 3)
    assert SECRET not in caplog.text
    assert str(port) not in caplog.text
    assert failures(caplog)[0].removeprefix("the webhook could not be told: ") in ("URLError", "InvalidURL")


async def test_a_server_that_speaks_something_else(caplog: pytest.LogCaptureFixture) -> None:
    """Is one that fails."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(SECRET.encode() + b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        Alerts(f"http://127.0.0.1:{port}", QUICK).tell(EVENT, "audits refute it")
        await until(lambda: len(failures(caplog)) == 3)
    assert failures(caplog)[0] == "the webhook could not be told: BadStatusLine"
    assert SECRET not in caplog.text


# ------------------------------------------------------------------ the end


async def test_closing_waits_for_what_is_on_its_way() -> None:
    """An alarm just before the end is told all the same."""
    async with hook(pause=0.2) as on:
        alerts = Alerts(on.url, QUICK)
        alerts.tell(EVENT, "audits refute it")
        await on.came.wait()
        assert len(asyncio.all_tasks()) > 1
        await alerts.close()
        await alerts.close()
    assert len(on.posts) == 1


async def test_closing_waits_for_no_pause(caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that is being stopped does not wait for a webhook that fails: neither in a pause, nor before one."""
    async with hook(500, 500, 500) as on:
        alerts = Alerts(on.url, (30.0, 30.0))
        alerts.tell(EVENT, "audits refute it")
        await until(lambda: len(failures(caplog)) == 1)
        alerts.tell(EVENT, "again")
        async with asyncio.timeout(10):
            await alerts.close()
    assert (len(on.posts), len(failures(caplog))) == (2, 2)


# ------------------------------------------------------------------ which webhook

ALERTS = '[alerts]\nwebhook_env = "{name}"\n[routes.support]'


def config(folder: Path, name: str = "TIERWISE_WEBHOOK") -> Config:
    text = CONFIG.replace("[routes.support]", ALERTS.format(name=name)).format(url="http://127.0.0.1:1", route="")
    (folder / "c.toml").write_text(text)
    return load(folder / "c.toml", {})


def found(folder: Path, address: str | None) -> str | None:
    given = {"HOME": str(folder)} | ({} if address is None else {"TIERWISE_WEBHOOK": address})
    return webhook(config(folder), read_environment(given))


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.com/services/T/B/x",
        "http://10.0.0.1:8080",
        "HTTPS://x.test/?a=b&sig=%2F#f",
        "http://[::1]/",
    ],
)
def test_a_webhook(tmp_path: Path, address: str) -> None:
    """What the variable holds that the config names, with whatever query a service needs."""
    assert found(tmp_path, address) == address
    assert found(tmp_path, f" {address}\n") == address


def test_no_webhook(tmp_path: Path) -> None:
    """Where the config names no variable, whatever the environment holds."""
    plain = CONFIG.format(url="http://127.0.0.1:1", route="")
    (tmp_path / "c.toml").write_text(plain)
    environment = read_environment({"HOME": "/", "TIERWISE_WEBHOOK": "https://x.test/"})
    assert webhook(load(tmp_path / "c.toml", {}), environment) is None
    assert config(tmp_path, "").alerts.webhook_env == ""
    assert webhook(config(tmp_path, ""), environment) is None


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "  ",
        "hooks.example.com/T0K3N",
        "ftp://x.test/T0K3N",
        "file:///etc/T0K3N",
        "https:///T0K3N",
        "http://[::1/T0K3N",
        "http://x.test:port/T0K3N",
        "http://x.test:0/T0K3N",
        "https://user:T0K3N@x.test/",
        "https://T0K3N@x.test/",
        "https://x.test/T0\tK3N",
    ],
)
def test_what_is_no_webhook(tmp_path: Path, address: str | None) -> None:
    """Is told with the variable's name, and never with what it holds."""
    with pytest.raises(ConfigError) as told:
        found(tmp_path, address)
    wanted = "alerts.webhook_env: TIERWISE_WEBHOOK does not hold an http:// or https:// address without a user"
    assert str(told.value) == f"{tmp_path / 'c.toml'}: {wanted}"
    assert told.value.__cause__ is told.value.__context__ is None


@pytest.mark.parametrize("name", ["https://hooks.example.com/T0K3N", "1A", "A B"])
def test_the_name_of_the_variable(tmp_path: Path, name: str) -> None:
    """An address in the config is refused, and not repeated."""
    with pytest.raises(
        ConfigError, match="webhook_env: is the name of an environment variable, not the address"
    ) as told:
        config(tmp_path, name)
    assert name not in str(told.value)
    line = (tmp_path / "c.toml").read_text().split("\n").index(f'webhook_env = "{name}"') + 1
    assert f"c.toml:{line}:" in str(told.value)


async def test_a_gateway_without_the_webhook_that_it_should_have(tmp_path: Path) -> None:
    """Does not start: nobody would be told of an alarm."""
    broken = CONFIG.replace("[routes.support]", ALERTS.format(name="UPSTREAM_KEY"))
    with pytest.raises(ConfigError, match="UPSTREAM_KEY does not hold") as told:
        async with running(tmp_path, config=broken):
            raise AssertionError("it serves")
    assert UPSTREAM_KEY not in str(told.value)
