"""A price list from an address: taken whole, refused whole, kept for the next start. From a real server."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.core.test_certificate import certificate
from tests.gateway.evidence.test_certified import YEAR, artefact
from tests.gateway.harness import GOOD, by_model, running
from tests.gateway.test_booking import WORDS, record
from tests.gateway.test_charging import LISTED
from tests.support.shapes import Script
from tierwise.core.certificate import Certificate
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.certified import binds
from tierwise.gateway.prices.price_feed import Feed
from tierwise.gateway.prices.price_lists import LARGEST
from tierwise.gateway.prices.priced import priced
from tierwise.gateway.settings import Config, Environment, load, new_signing_seed, read_environment
from tierwise.gateway.snapshot import build, fetched_path
from tierwise.gateway.wiring import open_engine
from tierwise.scorers.artefact import read as read_artefact
from tierwise.store.signing import packed, sign

__all__ = ["artefact"]  # a fixture

CONFIG = """
[models.small]
provider = "openai"
model = "cheap"
base_url = "http://127.0.0.1:9/v1"
[models.big]
provider = "openai"
model = "premium"
base_url = "http://127.0.0.1:9/v1"
[models.other]
provider = "openai"
model = "other"
base_url = "http://127.0.0.1:9/v1"
price = {{ input = 1, output = 1 }}
[routes.support]
tiers = ["small", "big"]
judge = "other"
mode = "enforce"
{trained}
[routes.plain]
tiers = ["other", "small"]
[screens]
moderation = "flag"
screener = "small"
[prices]
url = "{url}"
refresh_hours = 0.01
"""


class Page:
    """What the server answers with."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = b"", "200 OK", 0


@asynccontextmanager
async def page() -> AsyncIterator[tuple[str, Page]]:
    shown = Page()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        shown.asked += 1
        status = "200 OK" if b" /elsewhere " in asked else shown.status
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(shown.body)}\r\nlocation: /elsewhere\r\n\r\n"
        writer.write(head.encode() + shown.body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/prices.json", shown


def listing(big: str = "10", small: str | None = "1", **more: Any) -> bytes:
    """Prices in for both; out is as much. `more` goes into the period of `big`."""
    periods = {"premium": {"input": big, "output": big, **more}}
    if small is not None:
        periods["cheap"] = {"input": small, "output": small}
    entries = [
        {"provider": "openai", "name": name, "host": "127.0.0.1", "periods": [{"source": "feed", **said}]}
        for name, said in periods.items()
    ]
    return json.dumps({"models": entries}).encode()


def written(folder: Path, url: str, trained: str = "") -> tuple[Config, Environment]:
    (folder / "c.toml").write_text(CONFIG.format(url=url, trained=trained), encoding="utf-8")
    environment = read_environment({"HOME": str(folder)})
    return load(folder / "c.toml", {}), environment


def inputs(engine: Engine) -> list[int | None]:
    models = engine.snapshot.models
    return [None if (price := models[name].price) is None else price.input for name in ("small", "big")]


@asynccontextmanager
async def fed(folder: Path) -> AsyncIterator[tuple[Engine, Feed, Page, Config]]:
    async with page() as (url, shown):
        config, environment = written(folder, url)
        engine = await open_engine(config, environment)
        try:
            yield engine, Feed(engine, config, environment), shown, config
        finally:
            await engine.close()


async def test_a_list_is_taken_whole(tmp_path: Path) -> None:
    """By models and by every route that has them; what began before goes on as it began; the next start knows it."""
    async with fed(tmp_path) as (engine, feed, shown, config):
        before = engine.route("support")
        assert inputs(engine) == [None, None]
        shown.body = listing()
        assert await feed.refresh()
        assert inputs(engine) == [1_000_000, 10_000_000]
        route = engine.route("support")
        assert [tier.price.input for tier in route.tiers if tier.price] == [1_000_000, 10_000_000]
        assert route.judge == engine.snapshot.models["other"]
        assert engine.route("plain").tiers[1] is engine.snapshot.models["small"]
        assert engine.route("small").tiers == (engine.snapshot.models["small"],)
        assert route.screener is engine.route("big").screener is engine.snapshot.models["small"]
        assert before.tiers[0].price is None
        assert fetched_path(config).read_bytes() == shown.body
        assert [model.source for model in priced(config, int(time.time()))] == ["feed", "feed", "config"]
        snapshot = engine.snapshot
        assert await feed.refresh()
        assert engine.snapshot is snapshot  # the same prices change nothing
    later = build(config, read_environment({"HOME": str(tmp_path)}))
    assert later.models == snapshot.models


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", "200 OK", "not JSON"),
        (b"[" * 10_000, "200 OK", "not JSON"),
        (b'{"models": []}', "200 OK", "models"),
        (listing(big="-1"), "200 OK", "models.1.periods.1.input"),
        (listing(big="101"), "200 OK", "big: input would cost 101 instead of 10 USD"),
        (listing(big="0"), "200 OK", "big: input would cost 0 instead of 10 USD"),
        (listing(output="0.99"), "200 OK", "big: output would cost 0.99 instead of 10 USD"),
        (listing(small=None), "200 OK", "small would have no price any more"),
        (listing(), "503 Service Unavailable", "HTTP 503"),
        (listing(), "302 Found", "HTTP 302"),
        (b" " * (LARGEST + 1), "200 OK", "larger than 20 MB"),
    ],
)
async def test_a_wrong_list_changes_nothing(
    tmp_path: Path, body: bytes, status: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the running prices nor the file; the log says why, without the address."""
    async with fed(tmp_path) as (engine, feed, shown, config):
        shown.body = listing()
        assert await feed.refresh()
        snapshot, kept = engine.snapshot, fetched_path(config).read_bytes()
        shown.body, shown.status = body, status
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert not await feed.refresh()
        assert "the price list was not taken, the known prices stay" in caplog.text
        assert said in caplog.text
        assert "127.0.0.1" not in caplog.text
        assert engine.snapshot is snapshot
        assert fetched_path(config).read_bytes() == kept
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tierwise.prices")] == []


async def test_as_far_as_a_price_may_move(tmp_path: Path) -> None:
    """Ten times as dear or as cheap; and what was free may cost something."""
    async with fed(tmp_path) as (engine, feed, shown, _):
        for big in ("10", "100", "10", "1"):
            shown.body = listing(big=big)
            assert await feed.refresh()
            assert inputs(engine)[1] == int(big) * 1_000_000
        shown.body = listing(big="1", small="0.5")
        assert await feed.refresh()
    (tmp_path / "free").mkdir()
    async with fed(tmp_path / "free") as (engine, feed, shown, _):
        shown.body = listing(small="0")
        assert await feed.refresh()
        shown.body = listing(small="7")
        assert await feed.refresh()


async def test_nobody_there_and_nowhere_to_keep_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both are failures like any other."""
    async with fed(tmp_path) as (engine, feed, shown, config):
        shown.body = listing()
        fetched_path(config).mkdir()
        assert not await feed.refresh()
        assert "can't be written" in caplog.text
        assert inputs(engine) == [None, None]
        fetched_path(config).rmdir()
    assert not await feed.refresh()
    assert "URLError" in caplog.text


def test_a_damaged_file_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a line in the log: nobody wrote it who could mend it. Without an address it is not looked at."""
    config, environment = written(tmp_path, "https://prices.example/list.json")
    fetched_path(config).write_bytes(b"{")
    assert build(config, environment).models["small"].price is None
    assert "the price list that was fetched last is left out" in caplog.text
    fetched_path(config).write_bytes(listing())
    assert build(config, environment).models["small"].price is not None
    text = (tmp_path / "c.toml").read_text().replace("\nurl = ", "\n# url = ")
    (tmp_path / "c.toml").write_text(text)
    assert build(load(tmp_path / "c.toml", {}), environment).models["small"].price is None


def certify(folder: Path, config: Config, environment: Environment) -> None:
    """A certificate of the route as it stands."""
    route, now = build(config, environment).routes["support"], int(time.time())
    limits = read_artefact(folder / "a.npz").thresholds
    assert limits is not None
    document: Certificate = certificate(
        route="support",
        binds=binds(route, folder / "a.npz"),
        issued=now,
        expires=now + YEAR,
        thresholds=limits,
        ladder=(limits.accept,),
        reference=None,
    )
    (folder / "a.certificate.json").write_bytes(packed(sign(document, new_signing_seed(config))))


async def test_a_certificate_binds_the_list_and_not_the_hour(
    tmp_path: Path, artefact: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other prices suspend it while the gateway runs; the old ones revive it. A window's hours do neither."""
    (tmp_path / "a.npz").write_bytes(artefact.read_bytes())
    off_peak: dict[str, Any] = {"windows": [{"start": "22:00", "end": "06:00", "multiplier": "0.5"}]}
    async with page() as (url, shown):
        config, environment = written(tmp_path, url, 'trained = "a.npz"')
        fetched_path(config).write_bytes(listing(**off_peak))
        certify(tmp_path, config, environment)
        for hour in (0, 12):
            route = build(config, environment, moment=1_800_000_000 // 86_400 * 86_400 + hour * 3600).routes["support"]
            assert (
                binds(route, tmp_path / "a.npz")["prices"]
                == binds(build(config, environment).routes["support"], tmp_path / "a.npz")["prices"]
            )
        engine = await open_engine(config, environment)
        try:
            feed = Feed(engine, config, environment)
            assert engine.route("support").certified == "valid"
            shown.body = listing(big="9", **off_peak)
            assert await feed.refresh()
            route = engine.route("support")
            assert (route.certified, route.thresholds) == ("suspended: prices changed", None)
            assert engine.verifier(route) is engine.unverified["support"]
            assert engine.certificates["support"].said == "suspended: prices changed"
            assert "route support: its certificate is suspended: prices changed" in caplog.text
            assert engine.route("plain").certified == "none"
            shown.body = listing(**off_peak)
            assert await feed.refresh()
            assert engine.route("support").certified == "valid"
            assert engine.route("support").thresholds is not None
            shown.body = listing(services={"flex": {"multiplier": "0.5"}}, **off_peak)
            assert await feed.refresh()  # the price that is shown is the same; what is charged is not
            assert engine.route("support").certified == "suspended: prices changed"
            (tmp_path / "a.certificate.json").write_text("{")
            shown.body = listing(big="9", **off_peak)
            assert await feed.refresh()
            assert engine.route("support").certified == "suspended: it can't be read"
        finally:
            await engine.close()


async def test_a_gateway_fetches_by_itself(tmp_path: Path) -> None:
    """While it serves; requests from then on are charged by what came."""
    async with page() as (url, shown):
        entry = {"provider": "openai", "name": "cheap-1", "host": "127.0.0.1"}
        shown.body = json.dumps(
            {"models": [entry | {"periods": [{"source": "feed", "input": "3", "output": "5"}]}]}
        ).encode()
        config = LISTED + f'\n[prices]\nurl = "{url}"\n'
        async with running(tmp_path, by_model(Script(text=GOOD)), config=config) as gateway:
            async with asyncio.timeout(10):
                while not (gateway.config.folder / "tierwise.prices.json").exists():
                    await asyncio.sleep(0.01)
                while (entry_of := (await record(gateway)).entries[0]).cost_state == "unknown":
                    await asyncio.sleep(0.01)
            assert entry_of.nanos == 20 * 3000 + WORDS * 5000
            assert shown.asked == 1
