"""GET /metrics, through the door: the audits of certified routes, in the form that Prometheus reads."""

from __future__ import annotations

import asyncio
import json
import re
from math import inf
from pathlib import Path
from typing import Any

from tests.gateway.evidence.test_certified import CONFIG, QUESTION, artefact, folder, issued
from tests.gateway.harness import CONFIG as DOOR
from tests.gateway.harness import GOOD, REFUSAL, Gateway, by_model, running
from tests.offline.synthetic import SURE
from tests.support.shapes import Script
from tierwise.core.certificate import name
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.app import App, Exchange
from tierwise.gateway.evidence.audits import UP, State
from tierwise.gateway.evidence.gathering import AT_ONCE, WAITING
from tierwise.gateway.metrics import metrics
from tierwise.gateway.running import Running
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine

__all__ = ["artefact", "folder"]  # fixtures

AUDITED = "audit = 1.0\nobserve = 0.0\nevidence_usd_per_day = 1000"
OF = {  # of an audit's state
    "tierwise_audit_e_value": "e_value",
    "tierwise_audit_alarm_at": "alarm_at",
    "tierwise_audit_rung": "rung",
    "tierwise_audit_rows": "rows",
    "tierwise_audit_labels": "drawn",
    "tierwise_audit_harm": "harm",
}
COUNTERS = ("tierwise_samples_lost_total", "tierwise_usage_total", "tierwise_usage_reported_total")
BUDGETS = tuple(f"tierwise_budget_{what}_{unit}" for unit in ("usd", "tokens") for what in ("used", "limit"))
KINDS = dict.fromkeys((*OF, *BUDGETS), "gauge") | dict.fromkeys(COUNTERS, "counter")
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{(?:route|provider|budget)="([^"\\\n]*)"\})? (\S+)')

Values = dict[tuple[str, str], float]
"""(a metric's name, a route's, provider's or budget's, or "") -> the value."""


def parsed(text: str) -> tuple[Values, dict[str, str]]:
    """(values, kind of each metric). Fails for what is not the text exposition format 0.0.4."""
    assert text.endswith("\n")
    values: Values = {}
    kinds: dict[str, str] = {}
    told = ""
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            told, meaning = line.removeprefix("# HELP ").split(" ", 1)
            assert told not in kinds
            assert meaning
        elif line.startswith("# TYPE "):
            named, kind = line.removeprefix("# TYPE ").split(" ")
            assert named == told
            kinds[named] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found is not None, line
            assert found[1] == told, "a metric's lines stand together, after its kind"
            assert kinds[told]
            assert (found[1], found[2] or "") not in values
            values[found[1], found[2] or ""] = float(found[3])
    return values, kinds


async def scraped(gateway: Gateway) -> Values:
    url = gateway.url.removesuffix("/v1") + "/metrics"
    async with gateway.http.get(url, headers=gateway.headers()) as reply:
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        values, kinds = parsed(await reply.text())
    assert kinds == KINDS
    return values


async def state(gateway: Gateway, route: str = "support") -> Any:
    """What the route says of its audit."""
    url = f"{gateway.url}/routes/{route}/certificate"
    async with gateway.http.get(url, headers=gateway.headers()) as reply:
        return (await reply.json())["audit"]


async def audited(gateway: Gateway, drawn: int) -> dict[str, Any]:
    """The state once so many audits have their labels."""
    async with asyncio.timeout(15):
        while (found := await state(gateway))["drawn"] < drawn:
            await asyncio.sleep(0.05)
    return dict(found)


# ------------------------------------------------------------------ who is told


async def test_a_key_is_asked_for(tmp_path: Path) -> None:
    """As everywhere, and by other methods there is nothing."""
    async with running(tmp_path) as gateway:
        url = gateway.url.removesuffix("/v1") + "/metrics"
        async with gateway.http.get(url) as reply:
            assert reply.status == 401
            assert "tierwise_" not in await reply.text()
        async with gateway.http.post(url, headers=gateway.headers()) as reply:
            assert reply.status == 405
        assert await scraped(gateway) == {("tierwise_samples_lost_total", ""): 0}


# ------------------------------------------------------------------ what is told


async def test_before_the_first_audit(folder: Path) -> None:
    """A route under a certificate is there, and so is what an alarm takes; of harm nothing is known."""
    issued(folder, delta=0.1)
    other = '[routes.other]\ntiers = ["small", "big"]\n[routes.support]'
    async with running(folder, config=CONFIG.replace("[routes.support]", other), route=AUDITED) as gateway:
        values = await scraped(gateway)
        assert await state(gateway, "other") is None
    assert {route for _, route in values} == {"", "support"}  # nobody has been asked yet, so no provider is there
    assert ("tierwise_audit_harm", "support") not in values
    assert values["tierwise_audit_alarm_at", "support"] == 20  # half of delta is the first rung's
    assert values["tierwise_audit_e_value", "support"] == 1
    assert {values[f"tierwise_audit_{name}", "support"] for name in ("rows", "labels", "rung")} == {0}


async def test_values_are_the_audits(folder: Path) -> None:
    """To the last digit what the route itself says of it."""
    issued(folder)
    big = [{"text": "It is 43.", "times": 3}, {"text": "It is 42."}]
    (folder / "big.json").write_text(json.dumps(big))
    async with running(folder, config=CONFIG, route=AUDITED) as gateway:
        for _ in range(12):
            assert (await gateway.chat(text=QUESTION))[2]["x-tierwise-model"] == "small"
        said = await audited(gateway, 12)
        values = await scraped(gateway)
    assert [values[metric, "support"] for metric in OF] == [said[field] for field in OF.values()]
    assert (said["rows"], said["harm"], said["rung"]) == (12, 0.25, 0)


async def test_an_alarm_is_seen(folder: Path) -> None:
    """The rung tells of it, and clients are told as much."""
    certificate = name(issued(folder).certificate)
    (folder / "small.json").write_text(json.dumps([{"text": SURE.format(43)}]))
    async with running(folder, config=CONFIG, route=AUDITED) as gateway:
        async with asyncio.timeout(15):
            while (await gateway.chat(text=QUESTION))[2]["x-tierwise-model"] == "small":
                await asyncio.sleep(0.01)
        _, _, headers = await gateway.chat(text=QUESTION)
        said, values = await state(gateway), await scraped(gateway)
    assert (headers["x-tierwise-certificate"], headers["x-tierwise-decision"]) == (UP, "mode:premium")
    assert (said["certificate"], said["rung"], said["rungs"]) == (certificate, 1, 2)
    assert values["tierwise_audit_rung", "support"] == 1


async def test_samples_that_there_is_no_room_for(tmp_path: Path) -> None:
    """Are counted: audits that fall behind would be seen by that alone."""
    config = DOOR.replace("evidence_usd_per_day = 0", AUDITED)
    config = config.replace("first_token = 1", "first_token = 60")
    async with running(tmp_path, by_model(Script(text="It is 42."), Script(delay=30)), config=config) as gateway:
        lanes = asyncio.Semaphore(20)

        async def ask() -> None:
            async with lanes:
                assert (await gateway.chat())[0] == 200

        await asyncio.gather(*(ask() for _ in range(WAITING + AT_ONCE)))
        async with asyncio.timeout(5):
            while len(gateway.upstream.requests) < WAITING + 2 * AT_ONCE:
                await asyncio.sleep(0.01)  # until as many as may be are worked on
        for _ in range(3):
            await ask()
        assert (await scraped(gateway))["tierwise_samples_lost_total", ""] == 3


async def test_who_counts(tmp_path: Path) -> None:
    """Every call that is paid for, by provider, and those that were counted: their quotient is the capture rate."""
    config = DOOR.replace('provider = "openai"', 'provider = "anthropic"', 1)
    scripts = (
        Script(match="down", status=400),
        Script(match="hard", model="cheap-1", text=REFUSAL),
        *by_model(Script(text=GOOD, no_usage=True)),
    )
    async with running(tmp_path, scripts, config=config) as gateway:
        for text in ("plain", "plain", "hard"):
            assert (await gateway.chat(text=text))[0] == 200
        assert (await gateway.chat("premium", text="down"))[0] == 502
        values = await scraped(gateway)
    assert {name: value for name, value in values.items() if "usage" in name[0]} == {
        ("tierwise_usage_total", "anthropic"): 3,
        ("tierwise_usage_reported_total", "anthropic"): 1,
        ("tierwise_usage_total", "openai"): 1,
        ("tierwise_usage_reported_total", "openai"): 1,
    }


async def test_what_is_learnt_is_used(tmp_path: Path) -> None:
    """A model whose tokens are thrice what is usual is billed so where it is cut before it counts."""
    long = " ".join(["parcel"] * 60)
    scripts = (Script(match="cut", text=long, cut=50), Script(text=long, input_tokens=60, output_tokens=190))
    async with running(tmp_path, scripts) as gateway:
        for _ in range(30):
            assert (await gateway.chat("cheap", max_tokens=500))[0] == 200
        _, headers = await gateway.events("cheap", "Where was my parcel cut?", max_tokens=500)
        (entry,) = (await gateway.record(headers["x-request-id"])).entries
    assert (entry.outcome, entry.cost_state) == ("failed", "estimated")
    assert 120 <= entry.usage.output_tokens <= 190
    assert entry.usage.input_tokens >= 50


# ------------------------------------------------------------------ numbers as they are written


ODD = State("aa", 2, 3, 123_456_789, 1_234_567, 1 / 3, inf, 40.000000000001, "none")


class Known(Running):
    """With an audit that no test can wait for."""

    def audit_state(self, route: str) -> State | None:
        return ODD


async def test_large_and_odd_numbers(tmp_path: Path) -> None:
    """Are written in full, and an e-value may be beyond all numbers; a route is called as it is."""
    text = DOOR.format(url="http://127.0.0.1:1", route="").replace("[routes.support]", '[routes."a.b:c/d-e"]')
    (tmp_path / "c.toml").write_text(text)
    engine = await open_engine(load(tmp_path / "c.toml", {}), read_environment({"HOME": str(tmp_path)}))
    app = App(Known(engine), Keyring(engine.store, bytes(32), engine.clock))
    try:
        reply = await metrics(app, Exchange.__new__(Exchange))
    finally:
        await engine.close()
    values, _ = parsed(reply.body.decode())
    assert [values[metric, "a.b:c/d-e"] for metric in OF] == [inf, 40.000000000001, 2, 123_456_789, 1_234_567, 1 / 3]
