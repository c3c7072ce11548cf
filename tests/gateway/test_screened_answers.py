"""Screens of answers, at the client's end of the socket: what is stopped, how each wire ends it, what it costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.harness import CONFIG, GOOD, by_model, running
from tests.gateway.test_screens import HARM, HATE, PLAIN, WIRES, ask, found, screens
from tests.support.shapes import Script

CALM = "It rained all day in the small town, and the cat slept on the sofa by the window. "
BAD = CALM * 2 + HATE + ". " + CALM + "Good night."
FINE = (CALM * 8).strip()
BLOCK = screens('categories = { "hate" = "block" }')
ANTHROPIC = CONFIG.replace('provider = "openai"', 'provider = "anthropic"').replace("{url}/v1", "{url}")
PROVIDERS = {"openai": CONFIG, "anthropic": ANTHROPIC}


def events(raw: str) -> list[Any]:
    """The JSON of each event of a stream."""
    data = re.findall(r"^data: (.*)$", raw, re.MULTILINE)
    return [msgspec.json.decode(line) for line in data if line != "[DONE]"]


def text_of(wire: str, body: Any) -> str:
    match wire:
        case "chat/completions":
            return "".join(choice["message"]["content"] or "" for choice in body["choices"])
        case "completions":
            return "".join(choice["text"] for choice in body["choices"])
        case "messages":
            return "".join(block.get("text", "") for block in body["content"])
    return "".join(part["text"] for item in body["output"] for part in item["content"])


def streamed(wire: str, raw: str) -> str:
    """What a stream's reader has put together."""
    told = events(raw)
    match wire:
        case "chat/completions":
            return "".join(c["delta"].get("content") or "" for event in told for c in event["choices"])
        case "completions":
            return "".join(c["text"] for event in told for c in event["choices"])
        case "messages":
            return "".join(event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta")
    return "".join(event["delta"] for event in told if event["type"] == "response.output_text.delta")


def filtered(wire: str, body: Any) -> bool:
    """Whether a body ends as one does that a filter has stopped."""
    match wire:
        case "messages":
            return bool(body["stop_reason"] == "refusal")
        case "responses":
            return bool(body["incomplete_details"] == {"reason": "content_filter"} and body["status"] == "incomplete")
    return all(choice["finish_reason"] == "content_filter" for choice in body["choices"])


def ends_filtered(wire: str, raw: str) -> bool:
    told = events(raw)
    match wire:
        case "messages":
            last = [event["delta"]["stop_reason"] for event in told if event["type"] == "message_delta"]
            return last == ["refusal"] and [event["type"] for event in told].count("message_stop") == 1
        case "responses":
            return told[-1]["type"] == "response.incomplete" and filtered(wire, told[-1]["response"])
    finishes = [choice["finish_reason"] for event in told for choice in event["choices"] if choice["finish_reason"]]
    return finishes == ["content_filter"] and raw.count("[DONE]") == 1


def blocks_close(raw: str) -> bool:
    """Of a message's stream: each block begins once and ends once, and what grows is open."""
    grown: set[int] = set()
    for event in events(raw):
        match event["type"]:
            case "content_block_start":
                assert event["index"] == max(grown, default=-1) + 1
                grown.add(event["index"])
            case "content_block_delta" | "content_block_stop":
                assert event["index"] in grown
    kinds = [event["type"] for event in events(raw)]
    return kinds.count("content_block_start") == kinds.count("content_block_stop") and kinds.count("message_start") == 1


# ------------------------------------------------------------------ whole


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_whole_answer_is_stopped(tmp_path: Path, wire: str, provider: str) -> None:
    """It ends as one that a filter has stopped, without a word; what it has cost is booked, and saves nothing."""
    scripts = by_model(Script(text=BAD), Script(text=BAD))
    async with running(tmp_path, scripts, route=BLOCK, config=PROVIDERS[provider]) as gateway:
        status, body, headers = await ask(gateway, wire, PLAIN)
        assert (status, text_of(wire, body), filtered(wire, body)) == (200, "", True)
        assert headers["x-tierwise-decision"] == "blocked:moderation:hate"
        record = await gateway.record(headers["x-request-id"])
        draft, last = record.entries
        assert (draft.outcome, draft.rule) == ("rejected", "screen:hate")
        assert (last.outcome, last.rule) == ("rejected", "blocked:moderation:hate")
        assert min(draft.nanos, last.nanos) > 0
        assert (record.baseline_nanos, record.decision.action) == (0, "refuse")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
async def test_a_blocked_draft_escalates(tmp_path: Path, wire: str, stream: bool) -> None:
    """Like one that fails a check: premium answers, and nothing of the draft is seen."""
    async with running(tmp_path, by_model(Script(text=BAD)), route=BLOCK) as gateway:
        status, body, headers = await ask(gateway, wire, PLAIN, stream=stream)
        assert status == 200
        assert (streamed(wire, body) if stream else text_of(wire, body)) == GOOD
        assert headers["x-tierwise-decision"] == "escalated:screen:hate"
        assert "immigrants" not in str(body)


async def test_answers_are_not_read_where_nobody_asks(tmp_path: Path) -> None:
    """`answers = false`, or no moderation at all."""
    for lines in (('categories = { "hate" = "block" }', "answers = false"), ('injection = "block"',)):
        async with running(tmp_path, by_model(Script(text=BAD)), route=screens(*lines)) as gateway:
            assert (await gateway.chat(text=PLAIN))[1]["choices"][0]["message"]["content"] == BAD


async def test_a_flagged_answer_is_served_and_said(tmp_path: Path) -> None:
    """In a header where it was whole before it was sent, and in the ledger always."""
    async with running(tmp_path, by_model(Script(text=BAD)), route=screens('moderation = "flag"')) as gateway:
        _, body, headers = await gateway.chat(text=PLAIN)
        assert body["choices"][0]["message"]["content"] == BAD
        assert "moderation:hate" in headers["x-tierwise-flagged"]
        _, raw, headers = await ask(gateway, "chat/completions", PLAIN, stream=True, model="support")
        assert streamed("chat/completions", raw) == BAD
        assert "moderation:hate" in found(await gateway.record(headers["x-request-id"]))


async def test_what_a_model_thinks_and_calls_is_read(tmp_path: Path) -> None:
    """Reasoning, and the arguments of a call."""
    call = msgspec.json.encode({"text": HARM}).decode()
    route = screens('categories = { "hate" = "block", "self-harm" = "block" }')
    for script in (Script(text=GOOD, reasoning=BAD), Script(text="", tool_calls=(("post", call),))):
        async with running(tmp_path, by_model(script, script), route=route) as gateway:
            _, body, headers = await gateway.chat(text=PLAIN)
            assert body["choices"][0]["finish_reason"] == "content_filter"
            assert headers["x-tierwise-decision"].startswith("blocked:moderation:")
            assert "immigrants" not in str(body)
            assert "kill" not in str(body)


async def test_choices_that_are_stopped_together(tmp_path: Path) -> None:
    """All of them: one body has them all."""
    script = Script(text=BAD)
    async with running(tmp_path, by_model(script, script), route=BLOCK) as gateway:
        _, body, _ = await gateway.chat(text=PLAIN, n=2)
        assert [choice["finish_reason"] for choice in body["choices"]] == ["content_filter"] * 2
        assert text_of("chat/completions", body) == ""


# ------------------------------------------------------------------ streams

OPEN = 'hold = "none"\nescalate_above = 0.0\n' + BLOCK


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_is_stopped(tmp_path: Path, wire: str, provider: str) -> None:
    """What went out before is whole and fine; it ends as its wire ends one that a filter has stopped."""
    script = Script(text=BAD, gap=0.002)
    async with running(tmp_path, by_model(script, script), route=OPEN, config=PROVIDERS[provider]) as gateway:
        status, raw, headers = await ask(gateway, wire, PLAIN, stream=True)
        assert status == 200
        said = streamed(wire, raw)
        assert said
        assert (CALM * 2).startswith(said)
        assert ends_filtered(wire, raw)
        if wire == "messages":
            assert blocks_close(raw)
        if wire == "chat/completions":
            assert len({event["id"] for event in events(raw)}) == 1
            assert len({event["model"] for event in events(raw)}) == 1
        record = await gateway.record(headers["x-request-id"])
        (entry,) = record.entries
        assert (entry.outcome, entry.rule) == ("served", "blocked:moderation:hate")
        assert (record.status, record.decision.rule) == (200, "blocked:moderation:hate")
        assert entry.nanos > 0


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_that_is_fine_is_as_it_was(tmp_path: Path, wire: str, provider: str) -> None:
    """Word for word; a provider's own events stay as they are."""
    script = Script(text=FINE)
    async with running(tmp_path, by_model(script, script), config=PROVIDERS[provider], route=OPEN) as gateway:
        _, screened, _ = await ask(gateway, wire, PLAIN, stream=True)
        _, straight, _ = await ask(gateway, wire, PLAIN, stream=True, model="premium")
        assert streamed(wire, screened) == streamed(wire, straight) == FINE
        plain = re.sub(r"(chatcmpl|msg|resp|rs|fc|cmpl|req)[-_]\w+|\"(created|completed)(_at)?\":\d+", "", screened)
        assert plain == re.sub(
            r"(chatcmpl|msg|resp|rs|fc|cmpl|req)[-_]\w+|\"(created|completed)(_at)?\":\d+", "", straight
        )


async def test_nothing_goes_out_that_is_stopped_at_once(tmp_path: Path) -> None:
    """A stream whose first words are stopped is empty, and still a stream."""
    script = Script(text=HATE + ". " + CALM)
    async with running(tmp_path, by_model(script, script), route=OPEN) as gateway:
        status, raw, headers = await ask(gateway, "chat/completions", PLAIN, stream=True)
        assert (status, streamed("chat/completions", raw)) == (200, "")
        assert ends_filtered("chat/completions", raw)
        assert headers["x-tierwise-decision"] == "blocked:moderation:hate"
        (entry,) = (await gateway.record(headers["x-request-id"])).entries
        assert entry.outcome == "rejected"


def split(at: int) -> Script:
    """BAD in two pieces."""
    return Script(match=f"at {at}.", text=BAD, tokens=(BAD[:at], BAD[at:]))


@pytest.mark.parametrize("wire", ["chat/completions", "messages"])
async def test_split_at_every_character(tmp_path: Path, wire: str) -> None:
    """Wherever two chunks meet, over the whole of what is stopped and around it: no word of it goes out."""
    start = BAD.index(HATE)
    places = range(start - 5, start + len(HATE) + 5)
    async with running(tmp_path, [split(at) for at in places], route=OPEN, config=PROVIDERS["openai"]) as gateway:
        for at in places:
            _, raw, _ = await ask(gateway, wire, f"{PLAIN} at {at}.", stream=True)
            assert (CALM * 2).startswith(streamed(wire, raw))
            assert ends_filtered(wire, raw)


async def test_a_window_of_a_draft_that_was_released(tmp_path: Path) -> None:
    """With hold = "window" what has been released can't be replaced: a block ends it."""
    route = 'hold = "window"\nwindow = 4\n' + BLOCK
    async with running(tmp_path, by_model(Script(text=BAD)), route=route) as gateway:
        _, raw, headers = await ask(gateway, "chat/completions", PLAIN, stream=True)
        assert (CALM * 2).startswith(streamed("chat/completions", raw))
        assert ends_filtered("chat/completions", raw)
        assert len((await gateway.record(headers["x-request-id"])).entries) == 1


async def test_a_torn_stream_stays_torn(tmp_path: Path) -> None:
    """A provider's failure after the release is told as such, whatever was held back."""
    script = Script(text=CALM * 8, cut=90)
    async with running(tmp_path, by_model(script, script), route=OPEN) as gateway:
        told, _ = await gateway.events(text=PLAIN)
        assert told[-1][0] == "error"
        assert told[-1][1]["error"]["code"] == "provider_answer_torn"
