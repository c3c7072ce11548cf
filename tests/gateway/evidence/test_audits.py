"""A certified route whose cheap model gets worse: it finds out by itself, climbs, tells, and stays up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.gateway.evidence.test_certified import CONFIG, QUESTION, artefact, folder, issued
from tests.gateway.harness import Gateway, child, running
from tests.offline.synthetic import SURE
from tierwise.core.certificate import Reference, name
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.evidence import audits
from tierwise.gateway.evidence.certified import binds
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.setup.first_run import new_key
from tierwise.gateway.snapshot import build
from tierwise.proof import Event, Label, Said, Sample, Texts, Turn
from tierwise.scorers.artefact import read as read_artefact
from tierwise.store.sqlite import open_sqlite
from tierwise.store.trail import broken
from tierwise.types import Thresholds

__all__ = ["artefact", "folder"]  # fixtures

AUDITED = "audit = 1.0\nobserve = 1.0\nevidence_usd_per_day = 1000"
JUDGE = '[models.judge]\nprovider = "scripted"\nscript = "judge.json"\nprice = {{ input = 1, output = 1 }}\n'
WORSE = SURE.format(43)  # big says 42


class Webhook(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.told: list[dict[str, Any]] = []


class Hook(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def laddered(folder: Path, **changes: Any) -> str:
    """A certificate whose ladder has a stricter step, which the sure draft passes too."""
    limits = read_artefact(folder / "a.npz").thresholds
    assert limits is not None
    steps = (limits.accept, limits.accept + 1e-6)
    return name(issued(folder, ladder=steps, **changes).certificate)


def says(folder: Path, small: str) -> None:
    (folder / "small.json").write_text(json.dumps([{"text": small}]))


async def asked(gateway: Gateway, times: int) -> list[tuple[str, str]]:
    """(who answered, what was said of the certificate) of so many requests, each of them audited before the next."""
    seen = []
    for _ in range(times):
        _, _, headers = await gateway.chat(text=QUESTION)
        seen.append((headers["x-tierwise-model"], headers["x-tierwise-certificate"]))
    return seen


async def trail(gateway: Gateway) -> list[Event]:
    store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="reader")
    try:
        return list(await store.proof.trail())
    finally:
        await store.close()


async def until_served_by(gateway: Gateway, model: str, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while (await asked(gateway, 1))[0][0] != model:
            await asyncio.sleep(0.05)


async def test_a_model_that_gets_worse_is_found_out(folder: Path, webhook: Webhook) -> None:
    """The route climbs to premium, says so to clients and people, and a restart doesn't bring it down again."""
    certificate = laddered(folder)
    says(folder, WORSE)
    config = CONFIG.replace("[routes.support]", '[alerts]\nwebhook_env = "HOOK"\n[routes.support]')
    async with running(
        folder, config=config, route=AUDITED, variables={"HOOK": f"http://127.0.0.1:{webhook.server_port}/hook"}
    ) as gateway:
        assert (await asked(gateway, 1)) == [("small", "valid")]
        await until_served_by(gateway, "big")
        assert (await asked(gateway, 1)) == [("big", audits.UP)]
        events = await trail(gateway)
        async with gateway.http.get(f"{gateway.url}/routes/support/certificate", headers=gateway.headers()) as reply:
            state = (await reply.json())["audit"]
    assert broken(events) is None
    assert [event.what for event in events] == ["certificate", "alarm", "alarm"]
    bodies = [msgspec.json.decode(event.body) for event in events[1:]]
    assert [body["rung"] for body in bodies] == [1, 2]
    assert [body["threshold"] is None for body in bodies] == [False, True]
    assert all(body["certificate"] == certificate and body["p_value"] <= 0.025 for body in bodies)
    assert all(body["harm"] > 0.2 for body in bodies)
    assert (state["certificate"], state["rung"], state["rungs"]) == (certificate, 2, 3)
    assert [told["event"] for told in webhook.told] == ["alarm"] * 2
    assert "audits refute the certificate" in webhook.told[0]["text"]
    assert not any(text in json.dumps(webhook.told) for text in ("I have checked", "Question 1", "It is"))
    async with running(folder, config=CONFIG, route=AUDITED) as gateway:
        assert (await asked(gateway, 1)) == [("big", audits.UP)]
        assert len(await trail(gateway)) == len(events)
    laddered(folder, n=401)
    async with running(folder, config=CONFIG, route=AUDITED) as gateway:
        assert (await asked(gateway, 1)) == [("small", "valid")]  # a fresh certificate


async def test_one_that_holds_is_left_alone(folder: Path) -> None:
    """A hundred audits without harm, and what they come to is told to whoever asks."""
    laddered(folder)
    async with running(folder, config=CONFIG, route=AUDITED) as gateway:
        assert set(await asked(gateway, 60)) == {("small", "valid")}
        url = f"{gateway.url}/routes/support/certificate"
        async with asyncio.timeout(10):
            state: dict[str, Any] = {"drawn": 0}
            while state["drawn"] < 60:
                await asyncio.sleep(0.1)
                async with gateway.http.get(url, headers=gateway.headers()) as reply:
                    state = (await reply.json())["audit"]
        assert (state["rung"], state["harm"], state["verdict"]) == (0, 0.0, "none")
        assert state["e_value"] < 1
        async with gateway.http.get(f"{gateway.url.removesuffix('/v1')}/metrics", headers=gateway.headers()) as reply:
            assert 'tierwise_audit_labels{route="support"} 60' in await reply.text()


async def test_traffic_that_changes_is_audited_more(folder: Path) -> None:
    """Scores far from the certified ones are told of, and raise the rate; nothing is served otherwise."""
    issued(folder, reference=Reference((0.0, 0.05, 0.01), (), 0.01))
    route = "audit = 0.2\nobserve = 0.0\nevidence_usd_per_day = 1000"
    async with running(folder, config=CONFIG, route=route) as gateway:
        async with asyncio.timeout(20):
            while not any(event.what == "drift" for event in await trail(gateway)):
                assert set(await asked(gateway, 40)) == {("small", "valid")}
        (event,) = [event for event in await trail(gateway) if event.what == "drift"]
        assert msgspec.json.decode(event.body)["kind"] == "scores"
        rates = [1.0]
        async with asyncio.timeout(20):
            while not min(rates) < 0.5 < max(rates):  # what is drawn reaches the store a moment later
                await asked(gateway, 20)
                store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="reader")
                rates = [sample.propensity for sample in await store.proof.samples("support")]
                await store.close()


async def test_a_judge_that_changes_ends_it(folder: Path) -> None:
    """Asked anew about what people have labelled, it says otherwise: then nobody knows, and premium answers."""
    certificate = issued(folder).certificate
    store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="writer")
    later = (certificate.issued + 1) * 10**9
    for number in range(90):
        known = Label(
            request_id=f"r{number:03}", route="support", model="small", source="judge", draft=1.0, premium=1.0
        )
        known = msgspec.structs.replace(known, by="judge", at_ns=1)
        store.proof.keep(known)
        store.proof.keep(msgspec.structs.replace(known, source="human", at_ns=2))
        store.proof.keep(msgspec.structs.replace(known, source="recheck", draft=0.0, at_ns=later))
    await store.close()
    async with running(folder, config=CONFIG, route=AUDITED) as gateway:
        assert (await asked(gateway, 1)) == [("big", audits.JUDGE)]
        assert [event.what for event in await trail(gateway)] == ["certificate", "judge"]


async def test_the_judge_is_asked_anew(folder: Path) -> None:
    """Now and then, about a pair that people have labelled; what it says is kept for its own audit, and booked."""
    config = CONFIG.replace("[routes.support]", JUDGE + "[routes.support]")
    route = f'{AUDITED}\njudge = "judge"'
    (folder / "judge.json").write_text('[{"text": "{\\"verdict\\": \\"tie\\"}"}]')
    (folder / "c.toml").write_text(config.format(route=route))
    loaded = load(folder / "c.toml", {})
    bound = binds(build(loaded, read_environment({"HOME": str(folder)})).routes["support"], folder / "a.npz")
    issued(folder, binds=bound, thresholds=Thresholds(0.0, 0.0, 0.0), ladder=(0.0,))
    says(folder, "You can send the lamp back within thirty days, with its receipt, from any of our shops.")
    (folder / "big.json").write_text('[{"text": "We take lamps back for a month; please bring what you paid with."}]')
    store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="writer")
    said = (Said(model="small", response="yes, if new"), Said(model="big", response="only while it is new"))
    turns = (Turn("user", "May I?"),)
    store.proof.keep(Texts(request_id="r1", route="support", at_ns=SystemClock().now_ns(), messages=turns, said=said))
    store.proof.keep(Label(request_id="r1", route="support", model="small", draft=1.0, premium=1.0, source="human"))
    async with running(folder, config=config, route=route) as gateway:
        async with asyncio.timeout(20):
            found: list[Label] = []
            while not found:
                assert {model for model, _ in await asked(gateway, 10)} == {"small"}
                found = [label for label in await store.proof.labels("support") if label.source == "recheck"]
    assert {(label.request_id, label.model, label.by, label.harm) for label in found} == {("r1", "small", "judge", 0.0)}
    await store.close()


async def test_expiry_does_not_lead_down(folder: Path) -> None:
    """A certificate that its audits have refuted, and that has expired since: nothing looser is served instead."""
    certificate = name(issued(folder, expires=1_000).certificate)
    async with running(folder, config=CONFIG, route='uncertified = "checks"') as gateway:
        assert await asked(gateway, 1) == [("small", "expired")]
    store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="writer")
    drawn = Sample(
        request_id="", route="support", at_ns=1, kind="audit", served="small", uniform=0.01, propensity=0.02,
        certificate=certificate,
    )  # fmt: skip
    harmed = Label(request_id="", route="support", model="small", source="equality", draft=0.0, premium=1.0)
    for number in range(20):
        store.proof.keep(msgspec.structs.replace(drawn, request_id=f"r{number}"))
        store.proof.keep(msgspec.structs.replace(harmed, request_id=f"r{number}"))
    await store.close()
    async with running(folder, config=CONFIG, route='uncertified = "checks"') as gateway:
        assert await asked(gateway, 1) == [("big", audits.UP)]


async def test_every_worker_comes_to_the_same_alarm(folder: Path) -> None:
    """Two processes, each of which sees a part of the requests: both climb, and it is told once."""
    laddered(folder)
    says(folder, WORSE)
    config = CONFIG.replace("port = 0", "port = 0\nworkers = 2").format(route=AUDITED)
    path = folder / "c.toml"
    path.write_text(config)
    loaded, environment = load(path, {}), read_environment({"HOME": str(folder)})
    _, key = await new_key(loaded, environment, "test", None)
    body = {"model": "support", "messages": [{"role": "user", "content": QUESTION}]}
    async with child(path) as gateway:
        in_a_row = 0
        async with asyncio.timeout(25):
            while in_a_row < 40:  # each on a connection of its own, so each worker answers about half
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(
                        f"{gateway.url}/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
                    ) as reply,
                ):
                    await reply.read()
                    in_a_row = in_a_row + 1 if reply.headers["x-tierwise-model"] == "big" else 0
                await asyncio.sleep(0.02)
    store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="reader")
    events = [event for event in await store.proof.trail() if event.what == "alarm"]
    await store.close()
    assert [msgspec.json.decode(event.body)["rung"] for event in events] == [1, 2]
