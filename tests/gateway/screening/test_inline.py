"""The request parameter `moderation`, on every wire, whole and in streams, for providers of two dialects."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import by_model, running
from tests.gateway.test_screened_answers import CALM, OPEN, PROVIDERS, blocks_close, ends_filtered, events, filtered
from tests.gateway.test_screens import HARM, HATE, PLAIN, WIRES, ask
from tests.support.shapes import Script
from tierwise.screens.moderation import CATEGORIES

NONE = 'hold = "none"\nescalate_above = 0.0\n'
BOTH = by_model(Script(text=HATE), Script(text=HATE))


def results(wire: str, told: Any) -> tuple[list[Any], list[Any]]:
    """(of the input, of the output) as lists on every wire."""
    if wire == "responses":
        return [told["input"]], [told["output"]]
    assert [told[side]["type"] for side in ("input", "output")] == ["moderation_results"] * 2
    return told["input"]["results"], told["output"]["results"]


def check(wire: str, told: Any) -> None:
    """HARM was asked, and HATE answered."""
    (asked,), (answered,) = results(wire, told)
    for result in (asked, answered):
        assert (result["type"], result["model"], result["flagged"]) == (
            "moderation_result",
            "tierwise-moderation",
            True,
        )
        assert set(result["categories"]) == set(result["category_scores"]) == set(CATEGORIES)
        assert set(map(tuple, result["category_applied_input_types"].values())) == {("text",)}
    assert (asked["categories"]["self-harm"], answered["categories"]["self-harm"]) == (True, False)
    assert answered["categories"]["hate"]


def last(wire: str, raw: str) -> Any:
    """The member, in the last event of a stream, or the one before the mark of the end."""
    told = events(raw)
    found = [event for event in told if "moderation" in event.get("response", event)]
    assert found[-1:] == told[-1:]
    assert len(found) == 1
    return found[0]["response"]["moderation"] if wire == "responses" else found[0]["moderation"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wire", WIRES)
async def test_scores_of_what_was_asked_and_answered(tmp_path: Path, wire: str, provider: str, stream: bool) -> None:
    """In the reply's member; providers see none of it; nothing else of the reply changes."""
    asked = {"model": "omni-moderation-latest"}
    async with running(tmp_path, BOTH, route=NONE, config=PROVIDERS[provider]) as gateway:
        status, body, _ = await ask(gateway, wire, HARM, stream=stream, moderation=asked)
        assert status == 200
        check(wire, last(wire, body) if stream else body["moderation"])
        assert not any("moderation" in request.body for request in gateway.upstream.requests)
        if stream:
            assert len({event["id"] for event in events(body) if "chunk" in str(event.get("object"))}) <= 1
            if wire == "messages":
                assert blocks_close(body)
        else:
            _, plain, _ = await ask(gateway, wire, HARM)
            assert body.keys() - {"moderation"} == plain.keys()


@pytest.mark.parametrize("value", [True, {}, {"policy": {"input": {"mode": "score"}}}])
async def test_forms_of_it(tmp_path: Path, value: Any) -> None:
    """`true` is enough."""
    async with running(tmp_path, BOTH, route=NONE) as gateway:
        check("chat/completions", (await gateway.chat(text=HARM, moderation=value))[1]["moderation"])


@pytest.mark.parametrize("value", [False, None])
async def test_not_asked(tmp_path: Path, value: Any) -> None:
    """Then there is none."""
    async with running(tmp_path) as gateway:
        assert "moderation" not in (await gateway.chat(text=PLAIN, moderation=value))[1]


@pytest.mark.parametrize("value", ["yes", 1, {"policy": {"input": {"mode": "stop"}}}])
async def test_no_such_form(tmp_path: Path, value: Any) -> None:
    """The field is named, before anything is called."""
    async with running(tmp_path) as gateway:
        status, body, _ = await gateway.chat(text=PLAIN, moderation=value)
        assert (status, body["error"]["param"]) == (400, "moderation")
        assert gateway.upstream.requests == []


async def test_several_choices(tmp_path: Path) -> None:
    """A result each."""
    async with running(tmp_path, BOTH, route=NONE) as gateway:
        _, body, _ = await gateway.chat(text=PLAIN, n=2, moderation=True)
        (asked,), answered = results("chat/completions", body["moderation"])
        assert (asked["flagged"], [result["flagged"] for result in answered]) == (False, [True, True])


@pytest.mark.parametrize("wire", WIRES)
async def test_flagged_input_is_stopped_where_the_client_says_so(tmp_path: Path, wire: str) -> None:
    """With `"mode": "block"`, and booked like any block."""
    policy = {"policy": {"input": {"mode": "block"}}}
    async with running(tmp_path, BOTH, route=NONE) as gateway:
        status, body, headers = await ask(gateway, wire, HARM, moderation=policy)
        assert status == 400
        assert "moderation:self-harm" in body["error"]["message"]
        record = await gateway.record(headers["x-request-id"])
        assert (record.nanos, record.decision.rule.startswith("blocked:moderation:")) == (0, True)
        assert (await ask(gateway, wire, PLAIN, moderation=policy))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
async def test_a_flagged_answer_is_stopped_where_the_client_says_so(tmp_path: Path, wire: str, stream: bool) -> None:
    """It ends as one that a filter has stopped."""
    policy = {"policy": {"output": {"mode": "block"}}}
    async with running(tmp_path, BOTH, route=NONE) as gateway:
        _, body, headers = await ask(gateway, wire, PLAIN, stream=stream, moderation=policy)
        assert ends_filtered(wire, body) if stream else filtered(wire, body)
        assert headers["x-tierwise-decision"].startswith("blocked:moderation:")
        assert "immigrants" not in json.dumps(body)


async def test_beside_a_routes_own_screens(tmp_path: Path) -> None:
    """The scores are of what was served."""
    script = Script(text=CALM + HATE + ". " + CALM, gap=0.002)
    async with running(tmp_path, by_model(script, script), route=OPEN) as gateway:
        _, raw, _ = await ask(gateway, "chat/completions", PLAIN, stream=True, moderation=True)
        assert ends_filtered("chat/completions", re.sub(r"data: .*\"moderation\".*\n\n", "", raw))
        (_,), (answered,) = results("chat/completions", last("chat/completions", raw))
        assert not answered["flagged"]
