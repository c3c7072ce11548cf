"""What is drawn, what it costs, and what comes of it in the store: through the door, off every client's path."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import Gateway, running
from tierwise.gateway.clock import SystemClock
from tierwise.proof import Label, Sample, Texts
from tierwise.store.sqlite import open_sqlite

CONFIG = """
[server]
port = 0
[store]
url = "sqlite:///ledger.db"
[models.small]
provider = "scripted"
script = "small.json"
price = {{ input = 1, output = 2 }}
[models.other]
provider = "scripted"
script = "other.json"
price = {{ input = 1, output = 2 }}
[models.big]
provider = "scripted"
script = "big.json"
price = {{ input = 100, output = 200 }}
[models.judge]
provider = "scripted"
script = "judge.json"
price = {{ input = 10, output = 20 }}
[routes.support]
tiers = ["small", "big"]
mode = "enforce"
uncertified = "checks"
floor = ["legal"]
{route}
"""
ALL = "audit = 1.0\nobserve = 1.0"
OPEN = "You can send the lamp back within thirty days, with its receipt."
ALIKE = "We take lamps back for a month; please bring what you paid with."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    says(tmp_path, small="The answer is 42.", big="It is 42.", other="The answer is 41.")
    return tmp_path


def says(folder: Path, **texts: str | Sequence[dict[str, Any]]) -> None:
    for name in ("small", "big", "other", "judge"):
        said = texts.get(name, "")
        rules = [{"text": said or "?"}] if isinstance(said, str) else said
        (folder / f"{name}.json").write_text(json.dumps(rules))


async def kept(gateway: Gateway, samples: int = 1) -> tuple[list[Sample], list[Label], list[Texts]]:
    """What the store has once there are so many samples; waits two seconds at the most."""
    store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="reader")
    try:
        for _ in range(200):
            found = list(await store.proof.samples("support"))
            if len(found) >= samples:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)  # for one too many
        found = list(await store.proof.samples("support"))
        return found, list(await store.proof.labels("support")), list(await store.proof.texts("support"))
    finally:
        await store.close()


def aside(gateway: Gateway) -> list[tuple[str, str, str, int]]:
    """(account, model, role, nano-dollars) of every attempt off the clients' path, in order."""
    with closing(sqlite3.connect(gateway.config.store_path)) as conn:
        query = (
            "SELECT r.key_id, e.model, e.role, e.nanos FROM requests AS r JOIN entries AS e USING (request_id)"
            " WHERE r.key_id LIKE 'aside:%' ORDER BY r.started_ns, e.seq"
        )
        return list(conn.execute(query))


async def test_a_served_draft_is_audited(folder: Path) -> None:
    """Premium is asked afterwards, the answers are compared, and nobody's key pays."""
    async with running(folder, config=CONFIG, route=ALL) as gateway:
        _, _, headers = await gateway.chat(text="How many is six times seven?")
        assert headers["x-tierwise-model"] == "small"
        (sample,), (label,), (texts,) = await kept(gateway)
        record = await gateway.record(headers["x-request-id"])
        ((account, model, role, nanos),) = aside(gateway)
    assert (sample.request_id, sample.kind, sample.served) == (headers["x-request-id"], "audit", "small")
    assert (sample.propensity, sample.certificate, sample.rung, sample.passed, sample.escalated) == (1.0, "", 0, 0, 0)
    assert 0 <= sample.uniform < 1
    assert (label.request_id, label.model, label.source, label.harm) == (sample.request_id, "small", "equality", 0.0)
    assert [said.model for said in texts.said] == ["small", "big"]
    assert texts.messages[-1].text == "How many is six times seven?"
    assert (account.startswith("aside:support:"), model, role) == (True, "big", "audit")
    assert nanos > 0
    assert [entry.model for entry in record.entries] == ["small"]


async def test_harm_is_seen(folder: Path) -> None:
    """Another result than premium's is harm; so is one that fails the operator's own test."""
    says(folder, small="The answer is 41.", big="It is 42.")
    async with running(folder, config=CONFIG, route=ALL) as gateway:
        await gateway.chat(text="How many is six times seven?")
        assert [label.harm for label in (await kept(gateway))[1]] == [1.0]
    tests = f'{ALL}\n[[routes.support.checks.vectors]]\nexpect = "42"\nwhen = "times"'
    says(folder, small="The answer is 42.", big="It comes to forty-two.")
    (folder / "ledger.db").unlink()
    async with running(folder, config=CONFIG, route=tests) as gateway:
        await gateway.chat(text="How many is six times seven?")
        (label,) = (await kept(gateway))[1]
        assert (label.source, label.draft, label.premium, label.harm) == ("checks", 1.0, 0.0, 0.0)


async def test_premium_is_observed(folder: Path) -> None:
    """Where premium serves, the drafts and the opinions are asked beside it."""
    route = ALL + '\nopinions = ["other"]'
    config = CONFIG.replace('uncertified = "checks"', 'uncertified = "observe"')
    async with running(folder, config=config, route=route) as gateway:
        _, _, headers = await gateway.chat(text="How many is six times seven?")
        assert headers["x-tierwise-model"] == "big"
        (sample,), (label,), (texts,) = await kept(gateway)
        assert (sample.kind, sample.served, label.model, label.harm) == ("observe", "big", "small", 0.0)
        assert (sample.passed, sample.escalated) == (0, 1)
        assert {said.model: said.response for said in texts.said} == {
            "big": "It is 42.", "small": "The answer is 42.", "other": "The answer is 41.",
        }  # fmt: skip
        assert [(model, role) for _, model, role, _ in aside(gateway)] == [("small", "observe"), ("other", "observe")]


async def test_what_was_asked_already_is_not_asked_again(folder: Path) -> None:
    """An escalated draft and its opinions are known; nothing is left to call."""
    route = ALL + '\nopinions = ["other"]'
    config = CONFIG.replace('uncertified = "checks"', 'uncertified = "agreement"')
    async with running(folder, config=config, route=route) as gateway:
        _, _, headers = await gateway.chat(text="How many is six times seven?")
        assert headers["x-tierwise-decision"] == "escalated:check:agreement"
        (sample,), (label,), (texts,) = await kept(gateway)
        assert (sample.kind, label.harm, len(texts.said)) == ("observe", 0.0, 3)
        assert sample.score is not None
        assert aside(gateway) == []


async def test_streams_are_drawn_too(folder: Path) -> None:
    """And asked whole of those who are asked beside."""
    async with running(folder, config=CONFIG, route=ALL) as gateway:
        events, _ = await gateway.events(text="How many is six times seven?")
        assert events[-1] == "[DONE]"
        (sample,), (label,), _ = await kept(gateway)
        assert (sample.kind, label.harm) == ("audit", 0.0)


@pytest.mark.parametrize(
    ("headers", "model"),
    [({"x-tierwise-tags": "legal"}, "support"), ({"x-tierwise-mode": "premium"}, "support"), ({}, "small")],
)
async def test_what_the_policy_does_not_decide_is_not_drawn(folder: Path, headers: dict[str, str], model: str) -> None:
    """A floor, a client that asks for premium, a model by its own name: no part of any claim."""
    async with running(folder, config=CONFIG, route=ALL) as gateway:
        await gateway.chat(model=model, headers=headers)
        assert (await kept(gateway, 0))[0] == []
        assert aside(gateway) == []


async def test_rates(folder: Path) -> None:
    """Nothing is drawn at a rate of 0, or without money for it; what went by is told by the next sample."""
    for route in ("audit = 0\nobserve = 0", f"{ALL}\nevidence_usd_per_day = 0"):
        async with running(folder, config=CONFIG, route=route) as gateway:
            await gateway.chat()
            assert ((await kept(gateway, 0))[0], aside(gateway)) == ([], [])
    async with running(
        folder, config=CONFIG, route="audit = 0.5\nobserve = 1.0\nevidence_usd_per_day = 1000"
    ) as gateway:
        asked = [(await gateway.chat(text="How many is six times seven?"))[2]["x-request-id"] for _ in range(40)]
        samples = sorted((await kept(gateway, 5))[0], key=lambda sample: asked.index(sample.request_id))
    assert 5 <= len(samples) <= 35
    places = [asked.index(sample.request_id) for sample in samples]
    assert [sample.passed for sample in samples] == [
        now - before - 1 for before, now in zip([-1, *places], places, strict=False)
    ]
    assert all(sample.uniform < sample.propensity == 0.5 for sample in samples)


async def test_the_daily_cap_holds(folder: Path) -> None:
    """Once the money for a day can't bear another call nothing is drawn; clients are served as before."""
    says(folder, small="The answer is 42.", big=[{"text": "It is 42.", "output_tokens": 2000}])  # 0.4 USD
    config = CONFIG.replace("input = 100, output = 200 }}", "input = 100, output = 200 }}\nmax_output = 2000")
    async with running(folder, config=config, route=f"{ALL}\nevidence_usd_per_day = 1.0") as gateway:
        for _ in range(6):
            status, _, headers = await gateway.chat(text="How many is six times seven?")
            assert (status, headers["x-tierwise-model"]) == (200, "small")
        await kept(gateway, 2)
        await asyncio.sleep(0.3)
        _, _, headers = await gateway.chat(text="How many is six times seven?")
        samples = (await kept(gateway, 0))[0]
        spent = sum(nanos for *_, nanos in aside(gateway))
    assert len(samples) == 2
    assert 800_000_000 <= spent <= 1_000_000_000


async def test_no_texts_are_kept_where_none_may_be(folder: Path) -> None:
    """Labels are; they say nothing of anybody."""
    async with running(folder, config=CONFIG, route=f"{ALL}\nkeep_days = 0") as gateway:
        await gateway.chat(text="How many is six times seven?")
        samples, labels, texts = await kept(gateway)
        assert (len(samples), len(labels), texts) == (1, 1, [])


async def test_open_text_takes_a_judge_or_people(folder: Path) -> None:
    """Without a judge there is no label; with one its word is, and its calls are booked."""
    says(folder, small=OPEN, big=ALIKE)
    async with running(folder, config=CONFIG, route=ALL) as gateway:
        await gateway.chat(text="May I return it?")
        samples, labels, _ = await kept(gateway)
        assert (len(samples), labels) == (1, [])
    for said, harm, source in (('{"verdict": "tie"}', 0.0, "judge"), ("hm", 1.0, "missing")):
        (folder / "ledger.db").unlink()
        says(folder, small=OPEN, big=ALIKE, judge=said)
        async with running(folder, config=CONFIG, route=f'{ALL}\njudge = "judge"') as gateway:
            await gateway.chat(text="May I return it?")
            (label,) = (await kept(gateway))[1]
            assert (label.source, label.harm) == (source, harm)
            assert [role for *_, role, _ in aside(gateway)] == ["audit", "judge", "judge"]
    (folder / "ledger.db").unlink()
    says(folder, small=OPEN, big=ALIKE, judge='{"verdict": "a"}')  # whichever stands first
    async with running(folder, config=CONFIG, route=f'{ALL}\njudge = "judge"') as gateway:
        await gateway.chat(text="May I return it?")
        assert [label.harm for label in (await kept(gateway))[1]] == [0.5]


async def test_premium_that_does_not_answer_says_nothing_of_the_draft(folder: Path) -> None:
    """Its failure is booked, and the sample is void."""
    says(folder, small="The answer is 42.", big=[{"fault": "refused"}])
    async with running(folder, config=CONFIG, route=ALL) as gateway:
        await gateway.chat(text="How many is six times seven?")
        samples, (label,), _ = await kept(gateway)
        assert (len(samples), label.source, label.harm) == (1, "void", 0.0)
        assert [role for *_, role, _ in aside(gateway)] == ["audit"]
