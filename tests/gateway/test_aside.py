"""Calls that no client waits for: reserved first, booked whatever becomes of them, and never over the day's cap."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import plans
from tests.gateway.harness import CONFIG as DOOR
from tests.gateway.harness import by_model, running
from tests.store.spooled import reserved
from tests.support.shapes import Script
from tierwise.core import price
from tierwise.dialects import anthropic_requests, openai_upstream
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.gateway.aside import Heard, Purse, ask, purse, size_of
from tierwise.gateway.consult import Question
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine
from tierwise.money import Record
from tierwise.providers.scripted import Rule, ScriptedProvider
from tierwise.types import Decision, Image, Message, Request, Route, Text, Tool, ToolCall

CONFIG = """
[store]
url = "sqlite:///ledger.db"
[models.cheap]
provider = "scripted"
script = "answers.json"
price = { input = 1, output = 2 }
max_output = 500
[models.premium]
provider = "scripted"
script = "answers.json"
price = { input = 10, output = 20 }
max_output = 1000
[routes.support]
tiers = ["cheap", "premium"]
evidence_usd_per_day = 0.5
"""
SAID = Rule(text="It is 42.", input_tokens=20, output_tokens=30)
CHEAP_NANOS, PREMIUM_NANOS = 20 * 1_000 + 30 * 2_000, 20 * 10_000 + 30 * 20_000
PAYER = Purse("aside:support:2026-01-01", None)


@dataclass
class Desk:
    """An engine of its own on the folder's ledger."""

    engine: Engine
    path: Path

    @property
    def route(self) -> Route:
        return self.engine.route("support")

    def served(self, *rules: Rule, look: Any = asyncio.sleep) -> ScriptedProvider:
        """Both models answer by these rules from now on; `look` is called before each answer."""
        provider = ScriptedProvider(rules or (SAID,), look)
        self.engine = dataclasses.replace(self.engine, providers=dict.fromkeys(self.engine.providers, provider))
        return provider

    def questions(self, *duties: Any, **changes: Any) -> list[Question]:
        """Premium is asked for an audit, else the cheap model."""
        cheap, premium = self.route.tiers
        asked = plans.request(**changes)
        return [Question(premium if duty == "audit" else cheap, asked, duty) for duty in duties or ("audit",)]

    async def ask(self, *questions: Question, payer: Purse = PAYER) -> list[Heard | None]:
        return await ask(self.engine, self.route, questions, "req_1", payer)

    async def spent(self, account: str = PAYER.account) -> tuple[int, int]:
        """(posted, held)."""
        return await self.engine.store.spent(account)

    async def records(self) -> list[Record | None]:
        """Of all reservations; None where one is open."""
        await self.spent()  # after what is on its way
        with closing(sqlite3.connect(self.path)) as conn:
            ids = [str(row[0]) for row in conn.execute("SELECT request_id FROM reservations ORDER BY id")]
        return [await self.engine.store.record(one) for one in ids]


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    (folder / "answers.json").write_text("[]")
    (folder / "c.toml").write_text(CONFIG)
    config = load(folder / "c.toml", {})
    engine = await open_engine(config, read_environment({"HOME": str(folder)}))
    try:
        made = Desk(engine, config.store_path)
        made.served()
        yield made
    finally:
        await engine.close()


# ------------------------------------------------------------------ who pays


async def test_a_purse_for_each_day(tmp_path: Path) -> None:
    """Of a route, by the day in UTC; what it may spend is the config's dollars."""
    day = 20_000 * 86_400 * 10**9
    async with desk(tmp_path) as at:
        assert purse(at.route, day) == purse(at.route, day + 86_400 * 10**9 - 1)
        assert purse(at.route, day) == Purse("aside:support:2024-10-04", 500_000_000)
        assert purse(at.route, day - 1).account == "aside:support:2024-10-03"


# ------------------------------------------------------------------ the books


async def test_what_is_booked(tmp_path: Path) -> None:
    """One record for all calls, of the purse's account, with their duties; nothing would have been paid else."""
    async with desk(tmp_path) as at:
        heard = await at.ask(*at.questions("audit", "observe", "judge"))
        (record,) = await at.records()
        assert record is not None
        entries = record.entries
        assert (record.key_id, record.route, record.status) == (PAYER.account, "support", 200)
        assert record.decision == Decision("serve", "about:req_1")
        assert (record.baseline_nanos, record.baseline_state) == (0, "computed")
        assert [(entry.role, entry.model) for entry in entries] == [
            ("audit", "premium"),
            ("observe", "cheap"),
            ("judge", "cheap"),
        ]
        assert {(entry.outcome, entry.rule, entry.cost_state) for entry in entries} == {
            ("consulted", "about:req_1", "computed")
        }
        assert [entry.nanos for entry in entries] == [PREMIUM_NANOS, CHEAP_NANOS, CHEAP_NANOS]
        assert [(one.answer.text, one.answer.model) for one in heard if one] == [
            ("It is 42.", entry.model) for entry in entries
        ]
        assert [one.entry for one in heard if one] == list(entries)
        assert await at.spent() == (record.nanos, 0)
        assert abs(record.started_ns - at.engine.clock.now_ns()) < 60 * 10**9


async def test_it_is_reserved_before_anybody_is_called(tmp_path: Path) -> None:
    """Durably, for all calls at their bounds; and given back."""
    async with desk(tmp_path) as at:
        seen = []

        async def look(seconds: float) -> None:
            seen.append([(item.key_id, item.nanos) for item in reserved(at.path)])

        at.served(look=look)
        asked = at.questions("audit", "observe")
        size = size_of(asked[0].request)
        bound = size * 10_000 + 1000 * 20_000 + size * 1_000 + 500 * 2_000
        await at.ask(*asked)
        assert seen == [[(PAYER.account, bound)]] * 2
        assert await at.spent() == (PREMIUM_NANOS + CHEAP_NANOS, 0)


async def test_all_are_asked_at_once(tmp_path: Path) -> None:
    """Nobody waits for another one's answer."""
    async with desk(tmp_path) as at:
        together = asyncio.Barrier(3)

        async def meet(seconds: float) -> None:
            await together.wait()

        at.served(look=meet)
        async with asyncio.timeout(5):
            assert all(await at.ask(*at.questions("audit", "observe", "observe")))


async def test_who_fails_is_booked(tmp_path: Path) -> None:
    """As nothing, where nothing came; the others are heard."""
    async with desk(tmp_path) as at:
        failing = at.served(Rule(match="hard", fault="overloaded"), SAID)
        hard = plans.request(messages=(Message("user", "hard"),))
        easy, other = at.questions("audit", "observe")
        heard = await at.ask(easy._replace(request=hard), other)
        assert [one is None for one in heard] == [True, False]
        assert heard[1] is not None
        assert heard[1].entry.model == "cheap"
        (record,) = await at.records()
        assert record is not None
        assert [(entry.outcome, entry.rule, entry.nanos) for entry in record.entries] == [
            ("failed", "provider_overloaded", 0),
            ("consulted", "about:req_1", CHEAP_NANOS),
        ]
        assert await at.spent() == (CHEAP_NANOS, 0)
        assert len(failing.calls) == 2


async def test_who_takes_too_long_is_booked(tmp_path: Path) -> None:
    """As what it has done until then is worth: by its own question, which need not be the others'."""
    async with desk(tmp_path) as at:
        slow = at.served(Rule(match="hard", first=30), SAID)
        at.engine = dataclasses.replace(at.engine, patience={"premium": 0.05})
        hard = plans.request(messages=(Message("user", "hard " * 200),))
        easy, other = at.questions("observe", "audit")
        async with asyncio.timeout(5):
            heard = await at.ask(easy, other._replace(request=hard))
        assert [one is None for one in heard] == [False, True]
        (record,) = await at.records()
        assert record is not None
        entry = record.entries[1]
        assert (entry.outcome, entry.rule, entry.cost_state) == ("cancelled", "provider_timeout", "estimated")
        assert entry.usage == price.estimate(hard, None)
        assert 0 < entry.nanos == (await at.spent())[0] - CHEAP_NANOS
        assert [call.cancelled for call in slow.calls] == [False, True]


async def test_an_end_in_between_books_what_came(tmp_path: Path) -> None:
    """Whoever stops the gateway: nothing stays held, what was said is paid for, and no upstream goes on."""
    async with desk(tmp_path) as at:
        hanging = at.served(Rule(pieces=("It ", "is ", "42."), gap=30))
        asking = asyncio.ensure_future(at.ask(*at.questions("audit", "observe", stream=True)))
        async with asyncio.timeout(5):
            while sum(call.given for call in hanging.calls) < 2:
                await asyncio.sleep(0.002)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        (record,) = await at.records()
        assert record is not None
        for entry in record.entries:
            assert (entry.outcome, entry.cost_state, entry.usage.output_tokens) == ("cancelled", "estimated", 1)
            assert entry.nanos > 0
        assert await at.spent() == (record.nanos, 0)
        assert len(hanging.cancelled) == 2


async def test_an_end_before_anybody_was_called(tmp_path: Path) -> None:
    """While its reservation waits for a lease: nothing is held then, and it cost nothing."""
    async with desk(tmp_path) as at:
        unasked = at.served()
        asking = asyncio.ensure_future(at.ask(*at.questions(), payer=PAYER._replace(cap=10**12)))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await at.records(), await at.spent(), len(unasked.calls)) == ([], (0, 0), 0)


# ------------------------------------------------------------------ the cap


async def test_over_the_cap_nobody_is_called(tmp_path: Path) -> None:
    """Not even those of the calls that there would be money for; to the last nano-dollar."""
    async with desk(tmp_path) as at:
        asked = at.questions("observe", "audit")
        ceiling = at.engine.snapshot.ceiling
        bound = sum(price.bound(q.request, size_of(q.request), (q.model,), ceiling).nanos for q in asked)
        unasked = at.served()
        with pytest.raises(BudgetExceeded):
            await at.ask(*asked, payer=PAYER._replace(cap=bound - 1))
        assert (len(unasked.calls), await at.records(), await at.spent()) == (0, [], (0, 0))
        assert all(await at.ask(*asked, payer=PAYER._replace(cap=bound)))
        with pytest.raises(BudgetExceeded):
            await at.ask(*asked, payer=PAYER._replace(cap=bound))  # some of it is spent now
        assert all(await at.ask(*asked, payer=Purse("aside:support:2026-01-02", bound)))


async def test_two_processes_keep_one_cap(tmp_path: Path) -> None:
    """What both hold and have spent stays within it at every moment, and all of it is spent that can be."""
    rule = Rule(text="It is.", input_tokens=90, output_tokens=900)
    cost = 90 * 10_000 + 900 * 20_000
    async with desk(tmp_path) as one, desk(tmp_path) as two:
        (question,) = one.questions()
        bound = price.bound(
            question.request, size_of(question.request), (question.model,), one.engine.snapshot.ceiling
        ).nanos
        payer = PAYER._replace(cap=4 * bound)
        together, seen = asyncio.Barrier(2), []

        def looking() -> Any:
            first = iter((True,))

            async def look(seconds: float) -> None:
                if next(first, False):
                    await together.wait()
                with closing(sqlite3.connect(one.path)) as conn:
                    seen.append(conn.execute("SELECT posted_nanos + held_nanos FROM accounts").fetchone()[0])

            return look

        async def keep_asking(at: Desk) -> None:
            refused = 0
            while refused < 3:
                try:
                    await at.ask(*at.questions(), payer=payer)
                except BudgetExceeded:
                    refused += 1
                    await asyncio.sleep(0.01)

        providers = [at.served(rule, look=looking()) for at in (one, two)]
        async with asyncio.timeout(20):
            await asyncio.gather(*(at.ask(*at.questions(), payer=payer) for at in (one, two)))
            assert min(seen) >= 2 * bound
            await asyncio.gather(*(keep_asking(at) for at in (one, two, one, two, one)))
        posted, held = await one.spent()
        assert max(seen) <= 4 * bound
        assert 3 * bound < posted == cost * sum(len(provider.calls) for provider in providers)
        assert posted + held <= 4 * bound  # what the other process leases is held, idle or not


async def test_without_a_ledger_nobody_is_called(tmp_path: Path) -> None:
    """What can't be booked is not spent."""
    async with desk(tmp_path) as at:
        unasked = at.served()
        await at.engine.store.close()
        with pytest.raises(StoreError):
            await at.ask(*at.questions())
        assert len(unasked.calls) == 0


@pytest.mark.parametrize(("given", "sent"), [(None, 1000), (77, 77), (5000, 5000)])
async def test_every_answer_has_an_end(tmp_path: Path, given: int | None, sent: int) -> None:
    """The client's own limit, or else the model's, by which it was reserved."""
    async with desk(tmp_path) as at:
        provider = at.served()
        await at.ask(*at.questions(max_output=given))
        assert [call.request.max_output for call in provider.calls] == [sent]


# ------------------------------------------------------------------ through the door


async def test_a_streaming_client_is_audited_whole(tmp_path: Path) -> None:
    """Premium is asked the same question for one answer in one piece; the client's key does not pay for it."""
    config = DOOR.replace("evidence_usd_per_day = 0", "evidence_usd_per_day = 100\naudit = 1.0")
    scripts = by_model(Script(text="It is 42."), Script(text="It is 42."))
    async with running(tmp_path, scripts, config=config) as gateway:
        _, headers = await gateway.events(text="What is it?", stream_options={"include_usage": True}, n=1, user="u-1")
        async with asyncio.timeout(5):
            while len(gateway.upstream.requests) < 2:
                await asyncio.sleep(0.01)
        record = await gateway.record(gateway.last_id())
        client = await gateway.record(headers["x-request-id"])
        audit = gateway.upstream.requests[1].body
    async with desk(tmp_path) as at:
        assert await at.spent(gateway.key_id) == (client.nanos, 0)
        assert await at.spent(record.key_id) == (record.nanos, 0)
    assert record.key_id.startswith("aside:support:2")
    assert record.decision.rule.startswith("about:req_")
    assert [(entry.role, entry.outcome) for entry in record.entries] == [("audit", "consulted")]
    assert audit["messages"] == [{"role": "user", "content": "What is it?"}]
    assert (audit["model"], audit["user"], audit["max_completion_tokens"]) == ("premium-1", "u-1", 4096)
    assert not {"stream", "stream_options", "n"} & set(audit)


# ------------------------------------------------------------------ how large a request is

WORDS = st.text(max_size=8)
CALLS = st.builds(ToolCall, WORDS, WORDS, st.just("{}") | st.just('{"a": "é\\n"}'))
PARTS = st.builds(Text, WORDS) | st.builds(Image, st.just("https://x.test/a.png"), st.none() | st.just("low"))
TURNS = st.one_of(
    st.builds(Message, st.sampled_from(["system", "user"]), WORDS),
    st.builds(Message, st.just("user"), st.lists(PARTS, max_size=30).map(tuple)),
    st.builds(Message, st.just("assistant"), WORDS, st.lists(CALLS, max_size=30).map(tuple)),
    st.builds(Message, st.just("tool"), WORDS, st.just(()), st.text(min_size=1, max_size=8)),
)
TOOLS = st.builds(Tool, WORDS, WORDS, st.none() | st.just({"type": "object"}), st.booleans())
ASKED = st.builds(
    plans.request,
    messages=st.lists(TURNS, min_size=1, max_size=6).map(lambda turns: (Message("user", "hello"), *turns)),
    tools=st.lists(TOOLS, max_size=40).map(tuple),
    schema=st.none() | st.integers(0, 2000).map(lambda size: {"type": "object", "description": "ä" * size}),
    json_answer=st.booleans(),
    max_output=st.just(1000),
    dialect=st.just("kept"),
)


@settings(max_examples=150, deadline=None)
@given(ASKED)
def test_no_wire_is_longer(asked: Request) -> None:
    """A token is a byte at the least, so the reservation bounds the input, whoever is asked."""
    model = plans.PREMIUM
    assert len(openai_upstream.encode_request(asked, model)) <= size_of(asked)
    assert len(anthropic_requests.encode_request(asked, model)) <= size_of(asked)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(WORDS, WORDS, max_size=5), st.integers(0, 3000))
def test_a_clients_own_fields_count(own: dict[str, str], more: int) -> None:
    """They travel on where the dialect is the same, whatever they are."""
    fields = own | {"é" * 9: "x" * more}
    body = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    asked = plans.request(body=body, max_output=1000)
    assert len(openai_upstream.encode_request(asked, plans.PREMIUM)) <= size_of(asked)
