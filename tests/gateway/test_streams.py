"""The three ways to hold a stream, at the client's end of the socket, with an upstream that takes its time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.gateway.harness import CONFIG, GOOD, REFUSAL, Gateway, Seen, by_model, parse, running, said
from tests.support.shapes import Script

WORDS = 40
LONG = "".join(f" parcel{number}" for number in range(WORDS))
SLOW = Script(text=LONG, first=0.02, gap=0.02)
WINDOW = 'hold = "window"\nwindow = 8'
NONE = 'hold = "none"'


def first_text(seen: list[Seen]) -> Seen:
    return next(piece for piece in seen if b'"content":" parcel' in piece.raw)


def one_clean_stream(events: list[Any]) -> None:
    """One id, one role, one finish, one end mark, and it is last."""
    assert events[-1] == "[DONE]"
    assert events.count("[DONE]") == 1
    chunks = events[:-1]
    assert all(isinstance(chunk, dict) and chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert len({chunk["id"] for chunk in chunks}) == 1
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert sum("role" in choice["delta"] for choice in choices) == 1
    assert "role" in choices[0]["delta"]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]


def honest_end(events: list[Any], code: str = "provider_answer_torn") -> None:
    """An error event with all four keys is last, and nothing says that the answer is whole."""
    kind, body = events[-1]
    assert kind == "error"
    assert sorted(body["error"]) == ["code", "message", "param", "type"]
    assert body["error"]["code"] == code
    assert "[DONE]" not in events
    assert not any(choice["finish_reason"] for event in events[:-1] for choice in event["choices"])


# ------------------------------------------------------------------ hold = "draft"


async def test_draft_shows_nothing_before_it_is_whole(tmp_path: Path) -> None:
    """Not even the reply's head comes before the upstream is at the end of the draft."""
    async with running(tmp_path, by_model(SLOW)) as gateway:
        seen = await gateway.watch()
        assert seen[0].produced == WORDS
        events = parse(b"".join(piece.raw for piece in seen))
        one_clean_stream(events)
        assert said(events) == LONG


@pytest.mark.parametrize("cheap", [Script(text=REFUSAL), Script(text=LONG, cut=20)], ids=["refused", "cut"])
@pytest.mark.parametrize("route", ["", WINDOW.replace("8", "30")], ids=["draft", "window"])
async def test_what_was_held_is_never_seen(tmp_path: Path, cheap: Script, route: str) -> None:
    """A draft that is refused or broken off before its release is replaced by premium's clean stream alone."""
    async with running(tmp_path, by_model(cheap), route=route) as gateway:
        events, headers = await gateway.events()
        one_clean_stream(events)
        assert said(events) == GOOD
        assert headers["x-tierwise-model"] == "premium"
        assert all(chunk["model"] == "premium-1" for chunk in events[:-1])
        assert "sorry" not in str(events)
        assert "parcel0" not in str(events)
        draft, premium = (await gateway.record(headers["x-request-id"])).entries
        assert draft.outcome == ("failed" if cheap.cut else "rejected")
        assert draft.nanos > 0  # what was produced is paid for
        assert premium.outcome == "served"


# ------------------------------------------------------------------ hold = "window"


async def test_window_flows_once_it_is_full(tmp_path: Path) -> None:
    """Nothing before the window is full, then text while the upstream is still at it."""
    async with running(tmp_path, by_model(SLOW), route=WINDOW) as gateway:
        seen = await gateway.watch()
        assert seen[0].produced >= 8
        assert first_text(seen).produced < WORDS - 5
        assert len({piece.produced for piece in seen}) > 10  # the rest came as it was produced, not in one burst
        events = parse(b"".join(piece.raw for piece in seen))
        one_clean_stream(events)
        assert said(events) == LONG
        assert len(gateway.upstream.requests) == 1


async def test_window_drops_a_bad_beginning_early(tmp_path: Path) -> None:
    """The first look that finds a refusal stops the upstream; what it has produced is billed, and no more."""
    cheap = Script(text=REFUSAL + LONG, gap=0.02)
    async with running(tmp_path, by_model(cheap), route=WINDOW.replace("8", "40")) as gateway:
        events, headers = await gateway.events()
        one_clean_stream(events)
        assert said(events) == GOOD
        await asyncio.wait_for(gateway.upstream.aborted.wait(), 10)
        (abort,) = gateway.upstream.aborts
        assert abort.tokens < 40
        draft, _ = (await gateway.record(headers["x-request-id"])).entries
        assert (draft.outcome, draft.rule, draft.cost_state) == ("rejected", "check:refusal", "estimated")
        assert 0 < draft.usage.output_tokens < 40
        assert draft.nanos == draft.usage.input_tokens * 1000 + draft.usage.output_tokens * 2000


async def test_answer_shorter_than_its_window(tmp_path: Path) -> None:
    """It is verified whole, and served."""
    async with running(tmp_path, by_model(Script(text=GOOD)), route=WINDOW.replace("8", "4000")) as gateway:
        events, headers = await gateway.events()
        one_clean_stream(events)
        assert (said(events), headers["x-tierwise-decision"]) == (GOOD, "checks")


TOOLS = [{"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}]


@pytest.mark.parametrize(
    ("cheap", "asked"),
    [
        (
            Script(text='{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]}', gap=0.01),
            {"response_format": {"type": "json_object"}},
        ),
        (Script(text=LONG, gap=0.01), {"tools": TOOLS}),
        (Script(text=LONG, gap=0.01), {"n": 2}),
    ],
    ids=["json", "tools", "n"],
)
async def test_window_can_not_judge_parts(tmp_path: Path, cheap: Script, asked: dict[str, Any]) -> None:
    """JSON, tools and several choices are only right as a whole: their drafts are held to the end."""
    async with running(tmp_path, by_model(cheap), route=WINDOW) as gateway:
        seen = await gateway.watch(**asked)
        assert seen[0].produced == len(cheap.pieces) * asked.get("n", 1)
        assert b"[DONE]" in seen[-1].raw


# ------------------------------------------------------------------ hold = "none"


async def test_none_flows_at_once(tmp_path: Path) -> None:
    """Text comes with the first token."""
    async with running(tmp_path, by_model(SLOW), route=NONE) as gateway:
        seen = await gateway.watch()
        assert first_text(seen).produced < WORDS // 2
        one_clean_stream(parse(b"".join(piece.raw for piece in seen)))


async def test_none_asks_one_model_only(tmp_path: Path) -> None:
    """The router sends short prompts to cheap and long ones to premium; never does one request reach both."""
    async with running(tmp_path, by_model(Script(text=REFUSAL)), route=NONE) as gateway:
        events, headers = await gateway.events()
        assert (said(events), headers["x-tierwise-decision"]) == (REFUSAL, "router:cheap")
        events, headers = await gateway.events(text="Where is it? " * 200)
        assert (said(events), headers["x-tierwise-decision"]) == (GOOD, "router:premium")
        assert [request.body["model"] for request in gateway.upstream.requests] == ["cheap-1", "premium-1"]
        status, _, headers = await gateway.chat()  # a whole answer has no stream to hold: it is verified as ever
        assert (status, headers["x-tierwise-decision"]) == (200, "escalated:check:refusal")


# ------------------------------------------------------------------ all three


async def test_time_to_first_token(tmp_path: Path) -> None:
    """It is measured for each, and it is shorter the less is held back: none, then window, then draft."""
    more = "".join(
        f'\n[routes.{hold}]\ntiers = ["cheap", "premium"]\nmode = "enforce"\nuncertified = "checks"\nhold = "{hold}"\n'
        "window = 16"
        for hold in ("none", "window", "draft")
    )
    slow = Script(text=LONG, first=0.03, gap=0.03)
    async with running(tmp_path, by_model(slow), route=more) as gateway:
        none, window, draft = await asyncio.gather(*(gateway.watch(hold) for hold in ("none", "window", "draft")))
        first = [first_text(seen).seconds for seen in (none, window, draft)]
        assert first == sorted(first)
        assert first[2] >= WORDS * 0.03
        assert first[0] < first[2] / 2
        said_by_each = {said(parse(b"".join(piece.raw for piece in seen))) for seen in (none, window, draft)}
        assert said_by_each == {LONG}


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize(
    ("model", "route", "scripts"),
    [
        ("support", WINDOW, by_model(Script(text=LONG, gap=0.005, cut=30))),
        ("support", NONE, by_model(Script(text=LONG, gap=0.005, cut=30))),
        ("support", "", by_model(Script(text=REFUSAL), Script(text=LONG, gap=0.005, cut=30))),
        ("premium", "", by_model(Script(), Script(text=LONG, gap=0.005, cut=30))),
        ("premium", "", by_model(Script(), Script(text=LONG, gap=0.005, no_end=True))),
    ],
    ids=["window", "none", "escalated", "direct", "no-end"],
)
async def test_cut_after_release(tmp_path: Path, model: str, route: str, scripts: tuple[Script, ...]) -> None:
    """What was shown can't be taken back: the client is told, and what was produced is billed."""
    async with running(tmp_path, scripts, route=route) as gateway:
        events, headers = await gateway.events(model)
        honest_end(events)
        assert LONG.startswith(said(events))
        assert said(events)
        record = await gateway.record(headers["x-request-id"])
        assert record.status == 502
        assert record.entries[-1].outcome == "failed"
        assert record.entries[-1].nanos > 0


async def test_stall_after_release(tmp_path: Path) -> None:
    """An upstream that stands still is given up at the idle limit, and the client told."""
    async with running(tmp_path, by_model(Script(text=LONG, gap=5.0)), route=NONE) as gateway:
        events, headers = await gateway.events()
        honest_end(events, "provider_timeout")
        assert (await gateway.record(headers["x-request-id"])).status == 504


async def test_error_before_the_stream_began(tmp_path: Path) -> None:
    """It is a plain error reply with its own status, not a stream."""
    async with running(tmp_path, by_model(Script(), Script(status=400, error="no"))) as gateway:
        (body,), headers = await gateway.events("premium")
        assert body["error"]["code"] == "provider_refused"
        assert headers["content-type"] == "application/json"


async def exchange(gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """A streamed request over a bare socket: its reply, up to the mark that ends a chunked body."""
    body = b'{"model":"premium","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(10):
        return await reader.readuntil(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("premium", [Script(text=GOOD), Script(text=LONG, gap=0.002, cut=5)], ids=["whole", "cut"])
async def test_http_body_ends(tmp_path: Path, premium: Script) -> None:
    """The last chunk is sent however the stream ended, at once, and the connection serves the next request."""
    async with running(tmp_path, by_model(Script(), premium)) as gateway:
        place = urlsplit(gateway.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            for _ in range(3):
                reply = await exchange(gateway, reader, writer)
                assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"transfer-encoding: chunked" in reply.lower()
                assert (b"[DONE]" in reply) == (premium.cut is None)
                assert (b"event: error" in reply) == (premium.cut is not None)
        finally:
            writer.close()
            await writer.wait_closed()


# ------------------------------------------------------------------ what a client did not ask for


@pytest.mark.parametrize("model", ["support", "premium"])
async def test_usage_only_where_asked(tmp_path: Path, model: str) -> None:
    """The gateway always asks for it, to bill by; the client's stream ends with it only where the client asked."""
    async with running(tmp_path) as gateway:
        events, headers = await gateway.events(model)
        assert not any(event.get("usage") for event in events[:-1])
        assert all(event["choices"] for event in events[:-1])
        (entry,) = (await gateway.record(headers["x-request-id"])).entries
        assert entry.cost_state == "computed"
        events, _ = await gateway.events(model, stream_options={"include_usage": True})
        assert (events[-2]["choices"], events[-1]) == ([], "[DONE]")
        assert events[-2]["usage"]["completion_tokens"] == entry.usage.output_tokens
        assert not any(event.get("usage") for event in events[:-2])


@pytest.mark.parametrize("model", ["support", "premium"])
async def test_several_choices(tmp_path: Path, model: str) -> None:
    """Each of n choices streams to its own end."""
    async with running(tmp_path) as gateway:
        events, _ = await gateway.events(model, n=2)
        assert events[-1] == "[DONE]"
        for index in (0, 1):
            mine = [choice for event in events[:-1] for choice in event["choices"] if choice["index"] == index]
            assert "".join(choice["delta"].get("content") or "" for choice in mine) == GOOD
            assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == ["stop"]


@pytest.mark.parametrize("route", ["", WINDOW, NONE], ids=["draft", "window", "none"])
async def test_logprobs_only_where_asked(tmp_path: Path, route: str) -> None:
    """Log-probabilities that the verifier asked for stay inside, whole and streamed."""
    config = CONFIG.replace("[models.premium]", "logprobs = true\n[models.premium]")
    async with running(tmp_path, by_model(Script(text=LONG)), route=route, config=config) as gateway:
        _, body, _ = await gateway.chat()
        events, _ = await gateway.events()
        assert said(events) == LONG
        for each in (body, *events[:-1]):
            assert all(choice.get("logprobs") is None for choice in each["choices"])
        assert all(request.body["logprobs"] is True for request in gateway.upstream.requests)
        _, body, _ = await gateway.chat(logprobs=True)
        assert body["choices"][0]["logprobs"]["content"]
        events, _ = await gateway.events(logprobs=True)
        assert any(choice["logprobs"] for event in events[:-1] for choice in event["choices"])


async def test_unlikely_draft_escalates(tmp_path: Path) -> None:
    """What the log-probabilities are asked for: a draft that its own model holds unlikely is not served."""
    config = CONFIG.replace("[models.premium]", "logprobs = true\n[models.premium]")
    async with running(tmp_path, by_model(Script(text=LONG, logprob=-3.0)), config=config) as gateway:
        events, headers = await gateway.events()
        assert said(events) == GOOD
        assert headers["x-tierwise-decision"].startswith("escalated:check:")


async def test_escalation_over_dialects(tmp_path: Path) -> None:
    """Premium may speak another wire: the client's stream is one clean stream of its own dialect all the same."""
    config = CONFIG.replace(
        '[models.premium]\nprovider = "openai"',
        '[models.premium]\nprovider = "anthropic"',
    )
    async with running(tmp_path, by_model(Script(text=REFUSAL)), config=config) as gateway:
        events, headers = await gateway.events()
        one_clean_stream(events)
        assert said(events) == GOOD
        assert events[0]["model"] == "premium"
        assert events[0]["id"] == f"chatcmpl-{headers['x-request-id']}"
        events, _ = await gateway.events(stream_options={"include_usage": True})
        assert events[-2]["usage"]["completion_tokens"] > 0
