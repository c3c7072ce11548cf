"""Charged by tariff, through the real door: what a list asks at an attempt's start, in the service it was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.plans import CHEAP, request
from tests.gateway.harness import CONFIG, GOOD, REFUSAL, by_model, running
from tests.gateway.test_aside import desk
from tests.gateway.test_booking import WORDS, attempt, record
from tests.support.shapes import OpenAI, Script
from tierwise.core.tariff import pricing
from tierwise.errors import BadRequest
from tierwise.gateway.booking import SECOND
from tierwise.gateway.prices.catalogue import ceiling
from tierwise.gateway.web.deadline import with_deadline
from tierwise.tariffs import ONE, Rates, Service, Tariff, Window
from tierwise.types import Chunk, Usage

LISTED = CONFIG.replace("price = {{ input = 1, output = 2 }}\n", "").replace(
    "price = {{ input = 10, output = 20 }}\n", ""
)
ALL_DAY = [{"start": "00:00", "end": "00:00", "multiplier": "0.5"}]
FLEX = {"flex": {"multiplier": "0.25"}, "priority": {"multiplier": "2"}}


def lists(folder: Path, **premium: Any) -> str:
    """A config whose models are priced by a list: cheap at 1 and 2 USD, premium at 10 and 20."""
    period = {"source": "list", "valid_from": "2020-01-01T00:00:00Z"}
    cheap = period | {"input": "1", "output": "2", "windows": ALL_DAY, "per_request": "0.000005", "services": FLEX}
    dear = period | {"input": "10", "output": "20", "cache_read": "1", "services": FLEX} | premium
    entries = [
        {"provider": "openai", "name": name, "host": "127.0.0.1", "periods": [said]}
        for name, said in (("cheap-1", cheap), ("premium-1", dear))
    ]
    (folder / "own.json").write_text(json.dumps({"models": entries}), encoding="utf-8")
    return LISTED + '\n[prices]\noverlays = ["own.json"]\n'


def served(service: str | None) -> Script:
    """A whole answer whose provider says which service it used."""
    body = OpenAI.whole(Script(text=GOOD), {"model": "cheap-1"}, "answer-1")
    text = msgspec.json.encode(body if service is None else body | {"service_tier": service})
    return Script(
        raw=b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)
    )


async def test_hours_and_fees_and_premium_s_own_rules(tmp_path: Path) -> None:
    """The draft by its window and its fee, the baseline by premium's list: now, not as of another day."""
    async with running(tmp_path, config=lists(tmp_path)) as gateway:
        booked = await record(gateway)
        (entry,) = booked.entries
        assert (entry.nanos, entry.cost_state) == (20 * 500 + WORDS * 1000 + 5000, "computed")
        assert (booked.baseline_nanos, booked.baseline_state) == (20 * 10_000 + WORDS * 20_000, "estimated")


async def test_a_list_that_does_not_hold_yet_is_unknown(tmp_path: Path) -> None:
    """At the model's own dearest price, never at nothing."""
    scripts = by_model(Script(text=REFUSAL), Script(text=GOOD))
    async with running(tmp_path, scripts, config=lists(tmp_path, valid_from="2099-01-01T00:00:00Z")) as gateway:
        entry = (await record(gateway)).entries[1]
        assert (entry.model, entry.cost_state) == ("premium", "unknown")
        assert entry.nanos == 20 * 20_000 + WORDS * 40_000


@pytest.mark.parametrize(
    ("service", "factor"), [("priority", 2.0), ("flex", 0.25), ("default", 1.0), (None, 1.0), ("batch", 1.0)]
)
async def test_the_service_that_was_used(tmp_path: Path, service: str | None, factor: float) -> None:
    """By the provider's own word; premium would have had the same."""
    async with running(tmp_path, by_model(served(service)), config=lists(tmp_path)) as gateway:
        booked = await record(gateway)
        assert booked.entries[0].nanos == (20 * 500 + WORDS * 1000) * factor + 5000
        assert booked.baseline_nanos == (20 * 10_000 + WORDS * 20_000) * factor


async def test_a_service_without_a_price(tmp_path: Path) -> None:
    """Is unknown, and counts at the most that the model can cost."""
    async with running(tmp_path, by_model(served("scale")), config=lists(tmp_path)) as gateway:
        (entry,) = (await record(gateway)).entries
        assert (entry.nanos, entry.cost_state) == (20 * 2000 + WORDS * 4000 + 5000, "unknown")


@pytest.mark.parametrize(
    ("said", "body", "expected"),
    [
        ("600", {}, "flex"),
        ("599", {}, None),
        (None, {}, None),
        ("86400", {"service_tier": "priority"}, "priority"),
        ("600", {"service_tier": None}, "flex"),
    ],
)
async def test_who_can_wait_is_asked_in_flex(
    tmp_path: Path, said: str | None, body: dict[str, Any], expected: str | None
) -> None:
    """And billed so, where nothing else is said; a client's own service wins."""
    async with running(tmp_path, config=lists(tmp_path)) as gateway:
        headers = {} if said is None else {"x_tierwise_deadline": said}
        booked = await record(gateway, headers=headers, **body)
        assert gateway.upstream.requests[0].body.get("service_tier") == expected
        factor = {"flex": 0.25, "priority": 2.0}.get(expected or "", 1.0)
        assert booked.entries[0].nanos == (20 * 500 + WORDS * 1000) * factor + 5000


async def test_without_flex_nothing_is_asked(tmp_path: Path) -> None:
    """A model whose list has none, or that has no list, is asked as ever."""
    async with running(tmp_path) as gateway:
        await record(gateway, headers={"x_tierwise_deadline": "900"})
        assert "service_tier" not in gateway.upstream.requests[0].body
        status, answer, _ = await gateway.chat(headers={"x_tierwise_deadline": "soon"})
        assert (status, answer["error"]["param"]) == (400, "x-tierwise-deadline")


async def test_calls_aside_have_a_start_too(tmp_path: Path) -> None:
    """And are charged by what is asked then."""
    async with desk(tmp_path) as at:
        (question,) = at.questions()
        dated = pricing((msgspec.structs.replace(TARIFF, starts=1_700_000_000, windows=()),), 0)
        listed = msgspec.structs.replace(question.model, pricing=dated)
        (heard,) = await at.ask(question._replace(model=listed))
        assert heard is not None
        usage = heard.entry.usage
        assert heard.entry.nanos == usage.input_tokens * 2000 + usage.output_tokens * 10_000
        assert heard.entry.cost_state == "computed"


def test_deadlines() -> None:
    """A number of seconds, up to a week."""
    asked = request()
    assert with_deadline(asked, "0.5").deadline_s == 0.5
    for wrong in ("", "0", "-1", "nan", "inf", "604801", "1h"):
        with pytest.raises(BadRequest, match="x-tierwise-deadline must be a number of seconds"):
            with_deadline(asked, wrong)


NIGHT = Window(0, 60, frozenset(range(7)), ONE // 2)
PLAIN = Rates(2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000, 10_000_000, 2_000_000, 2_000_000, 10_000_000)
TARIFF = Tariff(PLAIN, (), (NIGHT,), {"priority": Service(factor=2 * ONE)})


def test_the_start_of_the_attempt_counts() -> None:
    """One that begins at night and ends by day is a night's; what a cut stream did not say is as it was asked."""
    model = msgspec.structs.replace(CHEAP, provider="openai", pricing=pricing((TARIFF,), 0))
    made = attempt(Chunk("Hi"), Chunk(finish="stop", usage=Usage(100, 10)), model=model)
    made.started_ns = 3599 * SECOND
    assert made.entry("direct", request(), ceiling()).nanos == 100 * 1000 + 10 * 5000
    made.started_ns = 3600 * SECOND
    assert made.entry("direct", request(), ceiling()).nanos == 100 * 2000 + 10 * 10_000
    swift = msgspec.structs.replace(request(), body={"service_tier": msgspec.Raw(b'"priority"')})
    assert made.entry("direct", swift, ceiling()).nanos == 2 * (100 * 2000 + 10 * 10_000)
    cut = attempt(Chunk("Hi"), model=model)
    cut.started_ns = 3600 * SECOND
    plain, dear = cut.entry("direct", request(), ceiling()), cut.entry("direct", swift, ceiling())
    assert (dear.nanos, dear.cost_state) == (2 * plain.nanos, "estimated")
    told = attempt(Chunk("Hi"), Chunk(finish="stop", usage=Usage(100, 10, service="default")), model=model)
    told.started_ns = 3600 * SECOND
    assert told.entry("direct", swift, ceiling()).nanos == 100 * 2000 + 10 * 10_000
