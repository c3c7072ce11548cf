"""What ends up in the ledger: every attempt's money with how sure it is, and what always-premium would have cost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.plans import CHEAP, PREMIUM, request, route
from tests.gateway.harness import CONFIG, GOOD, REFUSAL, Gateway, by_model, running
from tests.support.shapes import OpenAI, Script
from tierwise.core import price
from tierwise.core.tokens import UNTAUGHT
from tierwise.gateway.booking import EVERY, LESSONS, MODELS, Attempt, Fate, Meter, Subject
from tierwise.gateway.prices.catalogue import ceiling
from tierwise.money import Record, Tenant
from tierwise.ports import Batch
from tierwise.types import Chunk, Decision, Message, Model, Usage

CHEAP_PRICE = "price = { input = 1, output = 2 }"
PREMIUM_PRICE = "price = { input = 10, output = 20 }"
WORDS = len(GOOD.split())


async def nothing() -> AsyncGenerator[Batch, None]:
    return
    yield ()


def without(config: str, priced: str) -> str:
    """The config with a model whose price nobody knows."""
    doubled = priced.replace("{", "{{").replace("}", "}}")
    assert doubled in config
    return config.replace(doubled + "\n", "")


async def record(gateway: Gateway, model: str = "support", **extra: Any) -> Record:
    _, _, headers = await gateway.chat(model, **extra)
    return await gateway.record(headers["x-request-id"])


# ------------------------------------------------------------------ prices


async def test_unknown_price_counts_at_the_ceiling(tmp_path: Path) -> None:
    """A model without a price costs what the dearest known one would, and never nothing."""
    async with running(tmp_path, config=without(CONFIG, CHEAP_PRICE)) as gateway:
        (entry,) = (await record(gateway)).entries
        assert entry.cost_state == "unknown"
        assert entry.nanos == price.cost(Usage(20, WORDS), ceiling()) > WORDS * 20_000
        direct = await record(gateway, "cheap")
        assert (direct.entries[0].role, direct.baseline_nanos, direct.baseline_state) == (
            "direct",
            entry.nanos,
            "unknown",
        )


async def test_premium_without_a_price_saves_nothing(tmp_path: Path) -> None:
    """What always-premium would have cost is unknown, so no saving is claimed."""
    async with running(tmp_path, config=without(CONFIG, PREMIUM_PRICE)) as gateway:
        booked = await record(gateway)
        assert (booked.baseline_state, booked.baseline_nanos) == ("unknown", booked.nanos)


async def test_a_provider_that_says_what_it_charges(tmp_path: Path) -> None:
    """Its own word counts, before any price list."""
    asked = {"model": "cheap-1"}
    body = OpenAI.whole(Script(text=GOOD), asked, "answer-1")
    body["usage"]["cost"] = 0.000123456
    text = msgspec.json.encode(body)
    raw = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)
    async with running(tmp_path, by_model(Script(raw=raw))) as gateway:
        (entry,) = (await record(gateway)).entries
        assert (entry.cost_state, entry.nanos, entry.usage.cost_nanos) == ("provider_reported", 123_456, 123_456)


async def test_cached_input_costs_less(tmp_path: Path) -> None:
    """Tokens that the provider had in its cache are billed at that price, and premium's baseline at the full one."""
    config = CONFIG.replace("input = 1, output = 2", "input = 1, output = 2, cache_read = 0.1")
    async with running(tmp_path, by_model(Script(text=GOOD, cached_tokens=15)), config=config) as gateway:
        booked = await record(gateway)
        assert booked.nanos == 5 * 1000 + 15 * 100 + WORDS * 2000
        assert booked.baseline_nanos == 20 * 10_000 + WORDS * 20_000


# ------------------------------------------------------------------ baselines


async def test_baselines(tmp_path: Path) -> None:
    """A served draft's is an estimate; premium's own cost is its own; an answer that nobody got would cost nothing."""
    scripts = (
        Script(match="hard", model="cheap-1", text=REFUSAL),
        Script(match="down", status=400),
        *by_model(Script(text=GOOD)),
    )
    async with running(tmp_path, scripts) as gateway:
        served = await record(gateway)
        assert (served.baseline_nanos, served.baseline_state) == (20 * 10_000 + WORDS * 20_000, "estimated")
        hard = await record(gateway, text="hard")
        assert (hard.baseline_nanos, hard.baseline_state) == (hard.entries[1].nanos, "computed")
        assert hard.nanos > hard.baseline_nanos
        straight = await record(gateway, headers={"x_tierwise_mode": "premium"})
        assert (straight.baseline_nanos, straight.decision.rule) == (straight.nanos, "mode:premium")
        direct = await record(gateway, "cheap")
        assert (direct.baseline_nanos, direct.baseline_state) == (direct.nanos, "computed")
        down = await record(gateway, text="down")
        assert (down.nanos, down.baseline_nanos, down.baseline_state) == (0, 0, "computed")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refused_budget_is_booked(tmp_path: Path, stream: bool) -> None:
    """As a request that called nobody and cost nothing; what others hold and spend stays as it was."""
    async with running(tmp_path, budget=10_000_000) as gateway:
        body = {"model": "support", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        url = f"{gateway.url}/chat/completions"
        async with gateway.http.post(url, json=body, headers=gateway.headers()) as reply:
            assert reply.status == 429
            assert (await reply.json())["error"]["code"] == "budget_exceeded"
        booked = await gateway.record(reply.headers["x-request-id"])
        assert (booked.status, booked.decision, booked.entries) == (429, Decision("refuse", "budget_exceeded"), ())
        assert (booked.nanos, booked.baseline_nanos) == (0, 0)
        assert gateway.upstream.requests == []
        status, _, _ = await gateway.chat(max_tokens=10)  # what was refused holds nothing
        assert status == 200


async def test_times(tmp_path: Path) -> None:
    """First token and total, in milliseconds from each attempt's own start, and the request's over all."""
    scripts = by_model(Script(text=REFUSAL, first=0.05, gap=0.01), Script(text=GOOD, first=0.1, gap=0.01))
    async with running(tmp_path, scripts) as gateway:
        _, headers = await gateway.events()
        booked = await gateway.record(headers["x-request-id"])
        draft, premium = booked.entries
        for entry, first in ((draft, 50), (premium, 100)):
            assert entry.first_ms is not None
            assert first <= entry.first_ms < entry.total_ms < 2000
        assert booked.total_ms >= draft.total_ms + premium.total_ms


# ------------------------------------------------------------------ what was counted, and what was not


def attempt(*chunks: Chunk, fate: Fate = "served", model: Model = CHEAP) -> Attempt:
    made = Attempt(model, nothing(), 10.0, chunks=list(chunks), ended_ms=12.0)
    made.settle(fate, "rule")
    return made


def started(**usage: int) -> Chunk:
    """How a stream of Anthropic's begins."""
    message = {"type": "message", "content": [], "usage": usage}
    return Chunk(wire=msgspec.json.encode({"type": "message_start", "message": message}), dialect="anthropic")


END = Chunk(finish="stop")
TOLD = Chunk(usage=Usage(100, 7))
FOUR = "to be or not"
CASES: dict[str, tuple[Attempt, Usage | None, str]] = {
    # what was done, what it came to (None: as it is estimated), and how sure that is
    "counted": (attempt(Chunk("Hi"), END, TOLD), Usage(100, 7), "computed"),
    "counted-with-the-end": (
        attempt(Chunk("Hi"), Chunk(finish="stop", usage=Usage(100, 7))),
        Usage(100, 7),
        "computed",
    ),
    "counted-whole": (attempt(Chunk("Hi", finish="stop", usage=Usage(100, 7))), Usage(100, 7), "computed"),
    "nothing-said-and-counted": (attempt(Chunk(finish="stop", usage=Usage(100, 0))), Usage(100, 0), "computed"),
    "never-counted": (attempt(Chunk(FOUR), END), None, "estimated"),
    "cut": (attempt(Chunk(FOUR), fate="failed"), None, "estimated"),
    "left": (attempt(Chunk(FOUR), fate="cancelled"), None, "estimated"),
    "left-before-a-word": (attempt(fate="cancelled"), None, "estimated"),
    "failed-before-a-word": (attempt(fate="failed"), Usage(), "computed"),
    "running-total-then-cut": (
        attempt(Chunk("Hi", usage=Usage(100, 7, cost_nanos=5)), fate="failed"),
        Usage(100, 7),
        "estimated",
    ),
    "running-total-then-words": (attempt(Chunk("Hi", usage=Usage(100, 7)), Chunk(FOUR)), Usage(100, 11), "estimated"),
    "running-total-then-words-to-the-end": (
        attempt(Chunk("Hi", usage=Usage(100, 7)), Chunk(FOUR), END),
        Usage(100, 11),
        "estimated",
    ),
    "output-counted-as-zero": (
        attempt(Chunk(FOUR), END, Chunk(usage=Usage(100, 0, 50))),
        Usage(100, 4, 50),
        "estimated",
    ),
    "begun-then-cut": (
        attempt(started(input_tokens=90, cache_read_input_tokens=10, output_tokens=1), Chunk(FOUR), fate="failed"),
        Usage(100, 4, 10),
        "estimated",
    ),
    "begun-then-left": (
        attempt(started(input_tokens=90, output_tokens=3), fate="cancelled"),
        Usage(90, 3),
        "estimated",
    ),
    "begun-uncounted": (attempt(started(), Chunk(FOUR), fate="failed"), None, "estimated"),
}


@pytest.mark.parametrize(("made", "usage", "state"), CASES.values(), ids=CASES)
def test_what_counts(made: Attempt, usage: Usage | None, state: str) -> None:
    """A provider's count is for what had come by then: the rest is estimated, and it shows."""
    entry = made.entry("direct", request(), ceiling())
    estimated = price.estimate(request(), made.answer(complete=False))
    assert (entry.usage, entry.cost_state) == (estimated if usage is None else usage, state)
    assert entry.usage.cost_nanos is None
    assert entry.nanos == price.cost(entry.usage, CHEAP.price or ceiling())


def test_the_meter_counts_who_counts() -> None:
    """Every call that is paid for, by provider; one that failed before its first word is none."""
    meter, other = Meter(), msgspec.structs.replace(CHEAP, provider="anthropic")
    for made, _, _ in CASES.values():
        made.entry("direct", request(), ceiling(), meter)
    attempt(Chunk(FOUR), END, TOLD, model=other).entry("direct", request(), ceiling(), meter)
    assert meter.entries == {"scripted": len(CASES) - 1, "anthropic": 1}
    assert meter.reported == {"scripted": 4, "anthropic": 1}


def test_a_provider_that_never_counts() -> None:
    """Is shown with a rate of zero, not left out."""
    meter = Meter()
    attempt(Chunk(FOUR), END).entry("direct", request(), ceiling(), meter)
    assert (meter.entries, meter.reported) == ({"scripted": 1}, {"scripted": 0})


def test_a_model_is_learnt_from() -> None:
    """What its counted answers were worth is what the uncounted ones of it, and of no other, are taken for."""
    meter, said = Meter(), FOUR * 10
    plain = attempt(Chunk(said)).entry("direct", request(), ceiling(), meter).usage
    twice = Usage(2 * plain.input_tokens, 2 * plain.output_tokens)
    for _ in range(30):
        attempt(Chunk(said), END, Chunk(usage=twice)).entry("direct", request(), ceiling(), meter)
    learnt = attempt(Chunk(said), fate="failed").entry("direct", request(), ceiling(), meter).usage
    assert learnt.input_tokens == pytest.approx(twice.input_tokens, rel=0.05)
    assert learnt.output_tokens == pytest.approx(twice.output_tokens, rel=0.05)
    broken = attempt(Chunk("Hi", usage=Usage(100, 7)), Chunk(said)).entry("direct", request(), ceiling(), meter).usage
    assert broken.output_tokens == 7 + learnt.output_tokens
    other = attempt(Chunk(said), model=PREMIUM).entry("direct", request(), ceiling(), meter).usage
    assert other == plain


def test_a_question_of_its_own_is_learnt_from_as_it_was_asked() -> None:
    """A judge's prompt is not the client's."""
    meter = Meter()
    made = attempt(Chunk(FOUR), END, Chunk(usage=Usage(500, 4)))
    made.duty, made.asked = "judge", request(messages=(Message("user", "to be " * 200),))
    made.entry("direct", request(), ceiling(), meter)
    assert meter.ratio(CHEAP).input(made.asked) == pytest.approx(500, rel=0.05)


def test_lessons_are_thinned() -> None:
    """After the first ones one in EVERY teaches: what is known by then need not be read again and again."""
    meter, asked = Meter(), request()
    seen = []
    for _ in range(LESSONS + 2 * EVERY + 1):
        meter.teach(CHEAP, asked, attempt(Chunk(FOUR), END, TOLD), Usage(100, 7))
        seen.append(meter.ratio(CHEAP))
    changed = [at for at, ratio in enumerate(seen) if at == 0 or ratio != seen[at - 1]]
    assert changed == [*range(LESSONS), LESSONS, LESSONS + EVERY, LESSONS + 2 * EVERY]


def test_no_more_ratios_than_there_is_room_for() -> None:
    """The one that was learnt first goes."""
    meter = Meter()
    models = [msgspec.structs.replace(CHEAP, name=f"m{number}") for number in range(MODELS + 1)]
    for model in models:
        meter.teach(model, request(), attempt(Chunk(FOUR), END, TOLD), Usage(100, 7))
    assert meter.ratio(models[0]) == UNTAUGHT
    assert UNTAUGHT not in {meter.ratio(models[1]), meter.ratio(models[-1])}


# ------------------------------------------------------------------ any set of attempts


MADE = st.sampled_from([CHEAP, PREMIUM, msgspec.structs.replace(CHEAP, name="odd", price=None)])
FATES = st.sampled_from(["served", "rejected", "failed", "cancelled"])
USAGES = st.none() | st.builds(Usage, input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**6))
CHUNKS = st.lists(st.builds(Chunk, text=st.text(max_size=20), usage=USAGES), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(MADE, FATES, CHUNKS), max_size=4), st.booleans())
def test_any_attempts_add_up(made: list[tuple[Model, Fate, list[Chunk]]], ended: bool) -> None:
    """Nothing is negative, the sum is the sum, unknown is never free, and who was billed nothing said nothing."""
    attempts = []
    for model, fate, chunks in made:
        attempt = Attempt(model, nothing(), 10.0, chunks=chunks, ended_ms=12.0 if ended else None)
        attempt.settle(fate, "rule")
        attempts.append(attempt)
    subject = Subject(request(), route(), Tenant("k", "n"), 7)
    booked = subject.record(attempts, 200, Decision("serve", "r"), 5.0, ceiling())
    assert booked.nanos == sum(entry.nanos for entry in booked.entries)
    assert booked.baseline_nanos >= 0
    assert msgspec.json.decode(msgspec.json.encode(booked), type=Record) == booked
    for (model, fate, chunks), entry in zip(made, booked.entries, strict=True):
        assert entry.nanos >= 0
        assert entry.total_ms == (2.0 if ended else 0.0)
        assert (entry.cost_state == "unknown") == (model.price is None)
        said = any(chunk.usage for chunk in chunks)
        if not said and not (fate == "failed" and not chunks):
            assert entry.nanos > 0
            assert entry.cost_state in ("estimated", "unknown")
