"""Second opinions, through the door: who is asked what about a draft, what comes of it, and what it costs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.plans import CHEAP, OTHER, PREMIUM, SMALL, request, route
from tests.gateway.harness import CONFIG, Gateway, by_model, running
from tests.gateway.test_leaving import PATIENT, give_up, left
from tests.support.shapes import Script
from tierwise.core import price
from tierwise.core.cascade import Reserve
from tierwise.gateway.consult import FORM_BYTES, bound
from tierwise.gateway.prices.catalogue import ceiling
from tierwise.money import Record
from tierwise.scorers import judge
from tierwise.scorers.agreement import same_prompt_form

SAME, APART, LONGER = "The answer is 42.", "The answer is 41.", "Six times seven is 42. The answer is 42."
ASKED = "What is six times seven?"
AGREE = 'opinions = ["left", "right"]'


def more(config: str) -> str:
    """A config with two more models, and a route that asks them."""
    cheap = config[config.index("[models.cheap]") : config.index("[models.premium]")]
    models = "".join(
        cheap.replace("cheap", name).replace("input = 1, output = 2", rates)
        for name, rates in (("left", "input = 3, output = 4"), ("right", "input = 5, output = 6"))
    )
    config = config.replace('uncertified = "checks"', 'uncertified = "agreement"')
    return config.replace("[routes.support]", models + "[routes.support]")


def scripts(left: Script, right: Script, cheap: str = LONGER, premium: str = SAME) -> tuple[Script, ...]:
    named = (("left-1", left), ("right-1", right))
    others = tuple(msgspec.structs.replace(script, model=name) for name, script in named)
    return (*by_model(Script(text=cheap), Script(text=premium)), *others)


def cost(words: str, rates: tuple[int, int]) -> int:
    """Nano-dollars of a scripted answer: 20 tokens in, one a word out."""
    return 20 * rates[0] * 1000 + len(words.split()) * rates[1] * 1000


async def asked(gateway: Gateway, **body: Any) -> tuple[Any, Record]:
    """(headers, record) of a request that was answered."""
    status, _, headers = await gateway.chat(text=ASKED, **body)
    assert status == 200
    return headers, await gateway.record(headers["x-request-id"])


def fates(record: Record) -> list[tuple[str, str, str]]:
    return [(entry.model, entry.role, entry.outcome) for entry in record.entries]


def bodies(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What each model was sent last."""
    return {sent.body["model"]: sent.body for sent in gateway.upstream.requests}


# ------------------------------------------------------------------ agreement


async def test_a_draft_that_others_agree_with(tmp_path: Path) -> None:
    """It is served; the two who were asked are in the books, and what they cost is off the savings."""
    async with running(tmp_path, scripts(Script(text=SAME), Script(text=SAME)), route=AGREE, config=more(CONFIG)) as on:
        headers, record = await asked(on)
        assert (headers["x-tierwise-model"], headers["x-tierwise-decision"]) == ("cheap", "agreement")
        assert fates(record) == [
            ("cheap", "draft", "served"),
            ("left", "opinion", "consulted"),
            ("right", "opinion", "consulted"),
        ]
        assert {entry.rule for entry in record.entries[1:]} == {"about:cheap"}
        assert [entry.nanos for entry in record.entries] == [
            cost(LONGER, (1, 2)),
            cost(SAME, (3, 4)),
            cost(SAME, (5, 6)),
        ]
        assert record.nanos == sum(entry.nanos for entry in record.entries)
        assert (record.baseline_nanos, record.baseline_state) == (cost(LONGER, (10, 20)), "estimated")
        assert headers["x-tierwise-cost-usd"] == f"0.{record.nanos:09d}"
        evidence = {found.check: found for found in record.decision.evidence}
        assert (evidence["agreement"].passed, evidence["agreement"].detail) == (True, "2 of 2 opinions agree")


async def test_a_draft_that_one_disagrees_with(tmp_path: Path) -> None:
    """It escalates, and all four calls are paid for."""
    pair = scripts(Script(text=SAME), Script(text=APART))
    async with running(tmp_path, pair, route=AGREE, config=more(CONFIG)) as gateway:
        headers, record = await asked(gateway)
        assert headers["x-tierwise-decision"] == "escalated:check:agreement"
        assert [entry.outcome for entry in record.entries] == ["rejected", "consulted", "consulted", "served"]
        assert record.entries[0].rule == "check:agreement"
        assert (record.baseline_nanos, record.baseline_state) == (cost(SAME, (10, 20)), "computed")
        assert record.nanos == sum(
            [cost(LONGER, (1, 2)), cost(SAME, (3, 4)), cost(APART, (5, 6)), cost(SAME, (10, 20))]
        )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_opinions_are_whole_and_single(tmp_path: Path, stream: bool) -> None:
    """However the client wants its answer, and whatever of its body nobody here reads travels on to them too."""
    body = {"stream_options": {"include_usage": True}} if stream else {"n": 2}
    pair = scripts(Script(text=SAME), Script(text=SAME))
    async with running(tmp_path, pair, route=AGREE, config=more(CONFIG)) as gateway:
        asking = {"model": "support", "messages": [{"role": "user", "content": ASKED}], "stream": stream, "seed": 7}
        url = f"{gateway.url}/chat/completions"
        async with gateway.http.post(url, json=asking | body, headers=gateway.headers()) as reply:
            assert reply.status == 200
            assert reply.headers["x-tierwise-decision"] == "agreement"
            assert "42" in await reply.text()
        sent = bodies(gateway)
        for name in ("left-1", "right-1"):
            assert sent[name]["messages"] == sent["cheap-1"]["messages"]
            assert sent[name]["seed"] == 7
            assert {"stream", "stream_options", "n"} & set(sent[name]) == set()


async def test_tools_are_kept(tmp_path: Path) -> None:
    """Calls of tools are compared as such."""
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    call = Script(text="", tool_calls=(("weather", '{"city": "Rome"}'),))
    spaced = Script(text="", tool_calls=(("weather", '{ "city":"Rome" }'),))
    pair = (msgspec.structs.replace(call, model="cheap-1"), *scripts(call, spaced)[1:])
    async with running(tmp_path, pair, route=AGREE, config=more(CONFIG)) as gateway:
        headers, _ = await asked(gateway, tools=tools)
        assert headers["x-tierwise-decision"] == "agreement"
        assert bodies(gateway)["right-1"]["tools"] == tools


async def test_another_form_of_the_question(tmp_path: Path) -> None:
    """Others are asked for a program, the draft is not; its value is what is compared."""
    pair = scripts(Script(text="```python\nans = 6 * 7\n```"), Script(text="```python\nans = 7 + 35\n```"))
    form = AGREE + '\nopinion_form = "code"'
    async with running(tmp_path, pair, route=form, config=more(CONFIG)) as gateway:
        headers, _ = await asked(gateway)
        assert headers["x-tierwise-decision"] == "agreement"
        sent = bodies(gateway)
        assert sent["cheap-1"]["messages"][0]["content"] == ASKED
        assert "Python program" in sent["left-1"]["messages"][0]["content"]


async def test_a_window_does_not_open_before_others_were_heard(tmp_path: Path) -> None:
    """A stream that is to be compared is held whole, and nothing of a rejected draft is seen."""
    pair = scripts(Script(text=APART), Script(text=APART), premium="Well: 41.")
    windowed = AGREE + '\nhold = "window"\nwindow = 2'
    async with running(tmp_path, pair, route=windowed, config=more(CONFIG)) as gateway:
        seen = b"".join(piece.raw for piece in await gateway.watch(text=ASKED))
        assert b"42" not in seen
        assert seen.endswith(b"[DONE]\n\n")


# ------------------------------------------------------------------ who does not answer


@pytest.mark.parametrize(
    "down",
    [Script(status=500), Script(status=429), Script(drop=True), Script(garbage=True), Script(first=30)],
    ids=["error", "limited", "cut", "garbage", "late"],
)
async def test_one_who_does_not_answer(tmp_path: Path, down: Script) -> None:
    """It is left out: the other one's word is enough, and nobody waits longer than the model's limits."""
    head, left, tail = more(CONFIG).partition("[models.left]")
    config = head + left + tail.replace("first_token = 1", "first_token = 0.2", 1)
    pair = scripts(down, Script(text=SAME))
    async with running(tmp_path, pair, route=AGREE, config=config) as gateway:
        headers, record = await asyncio.wait_for(asked(gateway), 4)
        assert headers["x-tierwise-decision"] == "agreement"
        failed = record.entries[1]
        assert (failed.model, failed.role, failed.outcome) == ("left", "opinion", "failed")
        assert failed.rule.startswith("provider_")
        assert [found.detail for found in record.decision.evidence if found.check == "agreement"] == [
            "1 of 1 opinions agree"
        ]


async def test_nobody_answers(tmp_path: Path) -> None:
    """Then nobody agrees."""
    pair = scripts(Script(status=400), Script(status=400))
    async with running(tmp_path, pair, route=AGREE, config=more(CONFIG)) as gateway:
        headers, record = await asked(gateway)
        assert headers["x-tierwise-decision"] == "escalated:check:agreement"
        assert [entry.outcome for entry in record.entries] == ["rejected", "failed", "failed", "served"]
        assert record.nanos == cost(LONGER, (1, 2)) + cost(SAME, (10, 20))


# ------------------------------------------------------------------ a client that leaves


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_leaving_while_others_are_asked(tmp_path: Path, stream: bool) -> None:
    """They were asked at the same time; they are stopped, and booked with what they had been asked."""
    pair = scripts(Script(text=SAME, first=10), Script(text=SAME, first=10))
    async with running(tmp_path, pair, route=AGREE, config=more(PATIENT)) as gateway:
        await give_up(gateway, stream=stream)
        async with asyncio.timeout(10):
            while len(gateway.upstream.aborts) < 2:
                await asyncio.sleep(0.01)
        record = await left(gateway)
        assert record.status == 499
        assert fates(record) == [
            ("cheap", "draft", "cancelled"),
            ("left", "opinion", "cancelled"),
            ("right", "opinion", "cancelled"),
        ]
        assert all(entry.nanos > 0 for entry in record.entries)
        assert [entry.cost_state for entry in record.entries] == ["computed", "estimated", "estimated"]
        assert record.baseline_nanos == cost(LONGER, (10, 20))  # of the draft, which its client had paid for


# ------------------------------------------------------------------ budgets


async def test_a_budget_covers_those_who_are_asked(tmp_path: Path) -> None:
    """What would do for the tiers is refused where opinions could pass it; and they end by what was reserved."""
    size = len(msgspec.json.encode({"model": "support", "messages": [{"role": "user", "content": ASKED}]})) + 40
    tiers = size * (1 + 10) * 1000 + (1024 * 2 + 4096 * 20) * 1000
    others = size * (3 + 5) * 1000 + (1024 * 4 + 1024 * 6) * 1000
    pair = scripts(Script(text=SAME), Script(text=SAME))
    async with running(tmp_path, pair, route=AGREE, config=more(CONFIG), budget=tiers + others // 2) as gateway:
        status, body, _ = await gateway.chat(text=ASKED)
        assert (status, body["error"]["code"]) == (429, "budget_exceeded")
    (tmp_path / "second").mkdir()
    async with running(tmp_path / "second", pair, route=AGREE, config=more(CONFIG), budget=tiers + others) as gateway:
        assert (await asked(gateway))[0]["x-tierwise-decision"] == "agreement"
        assert {body["max_completion_tokens"] for body in bodies(gateway).values()} == {1024}


def test_bound() -> None:
    """Each tier and opinion once, a judge's questions at their own size, another form of the question at its."""
    asked = request(max_output=100)
    top = ceiling()
    plain, form = route(), route(opinion_form="reason")
    models, judges = (CHEAP, PREMIUM, OTHER), (SMALL,)
    tiers = price.bound(asked, 1000, models, top).nanos
    assert bound(Reserve(models), asked, plain, 1000, top).nanos == tiers
    assert (
        bound(Reserve(models), asked, form, 1000, top).nanos == price.bound(asked, 1000 + FORM_BYTES, models, top).nanos
    )
    judging = bound(Reserve(models, judges), asked, plain, 1000, top).nanos - tiers
    question = request(max_output=judge.MAX_OUTPUT)
    assert judging == 2 * price.bound(question, judge.bound(), judges, top).nanos
    several = request(max_output=100, n=3)
    assert bound(Reserve((), judges * 2), several, plain, 1000, top).nanos == 2 * judging


@pytest.mark.parametrize("form", ["same", "reason", "code"])
def test_another_form_is_not_longer_than_reserved(form: Any) -> None:
    """In bytes, whatever the request's own."""
    before, after = request(), same_prompt_form(request(), form)
    words = [str(item.messages[-1].content).encode() for item in (before, after)]
    assert len(words[1]) - len(words[0]) <= FORM_BYTES
