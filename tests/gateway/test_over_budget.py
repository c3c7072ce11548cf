"""Configured budgets through the real door: who is refused, who is served by the cheap tier, and what is booked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.plans import request
from tests.gateway.test_terms import NANOS, Desk, desk
from tierwise.errors import BudgetExceeded
from tierwise.gateway.aside import Purse, ask
from tierwise.gateway.consult import Question
from tierwise.gateway.evidence.draws import Draws
from tierwise.gateway.evidence.drift_monitor import drift_monitor
from tierwise.gateway.run import Live
from tierwise.gateway.screening.gate import Clean
from tierwise.money import Tenant
from tierwise.stats.propensity import uniform

CHEAP = 'over_budget = "cheap"\nfloor = ["legal"]\n'
SECRET = b"s" * 32
ROOM = 2_600_000  # nano-dollars: a request of both tiers needs less, up to 2.5 million; the cheap one a tenth of it


async def asked(at: Desk, tags: str = "", **extra: Any) -> tuple[int, str]:
    """(status, the decision or the error's code)."""
    status, body, headers = await at.ask(said={"x-tierwise-tags": tags}, **extra)
    return status, headers.get("x-tierwise-decision") or body["error"]["code"]


# ------------------------------------------------------------------ who bears what

LINES = {
    "key": 'key = "test"',
    "id": 'key = "key_1"',
    "route": 'route = "support"',
    "tag": 'tag = "Trial"',
    "all": "",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
async def test_whoever_bears_a_request_may_refuse_it(tmp_path: Path, line: str) -> None:
    """Its key by name and by id, its route, a tag of it, the whole gateway; until the period is over."""
    more = f'[budgets.b]\n{line}\nusd = {ROOM / 1e9}\nperiod = "day"\n'
    async with desk(tmp_path, more=more) as at:
        found = [await asked(at, "trial, other") for _ in range(10)]
        assert (found[0], found[-1]) == ((200, "checks"), (429, "budget_exceeded"))
        _, body, headers = await at.ask(said={"x-tierwise-tags": "trial"})
        assert body["error"]["message"].endswith("It renews at 2026-09-22T00:00:00Z.")
        assert int(headers["retry-after"]) > 3_600
        at.clock.advance(86_400)
        assert await asked(at, "trial") == (200, "checks")


@pytest.mark.parametrize("line", ['key = "other"', 'team = "sales"', 'route = "cheap"', 'tag = "trial"'])
async def test_what_is_not_the_request_s_does_not_bear_it(tmp_path: Path, line: str) -> None:
    """However little is in it."""
    async with desk(tmp_path, more=f"[budgets.b]\n{line}\nusd = 0.000000001\n") as at:
        assert await asked(at, "other") == (200, "checks")
        assert at.provider.calls[-1].request.max_output == 50


async def test_several_bear_it_together(tmp_path: Path) -> None:
    """Each is booked on, whole."""
    more = '[budgets.a]\nusd = 1\n[budgets.b]\nroute = "support"\nusd = 1\nperiod = "month"\n'
    async with desk(tmp_path, more=more, budget_nanos=10**9) as at:
        _, _, headers = await at.ask()
        await at.settled(headers["x-request-id"])
        for name in ("all=", "route=support:month:2026-09", "key_1"):
            assert await at.engine.store.spent(name) == (NANOS, 0)


async def test_an_answer_ends_by_what_a_budget_has_reserved(tmp_path: Path) -> None:
    """Also one that is not the key's own."""
    async with desk(tmp_path, more="[budgets.a]\nusd = 1\n") as at:
        await at.ask(max_tokens=None)
        assert at.provider.calls[-1].request.max_output == 500
    async with desk(tmp_path / "..") as at:
        await at.ask(max_tokens=None)
        assert at.provider.calls[-1].request.max_output is None


async def test_what_no_client_asked_for_is_borne_by_the_whole(tmp_path: Path) -> None:
    """Audits spend the gateway's money too; no route's budget pays for them."""
    for line, refused in (('route = "support"\n', False), ("", True)):
        (tmp_path / line[:3]).mkdir(exist_ok=True)
        async with desk(tmp_path / line[:3], more=f"[budgets.a]\n{line}usd = 0.000001\n") as at:
            route = at.engine.snapshot.routes["support"]
            questions = [Question(route.premium, request(), "audit")]
            try:
                await ask(at.engine, route, questions, "x", Purse("aside:x", None))
            except BudgetExceeded:
                assert refused
            else:
                assert not refused


async def test_tokens(tmp_path: Path) -> None:
    """What a request may take is held, what it took is spent."""
    async with desk(tmp_path, more='[budgets.a]\nroute = "support"\ntokens = 700\n') as at:
        statuses = [(await asked(at))[0] for _ in range(12)]
        assert statuses[:2] == [200, 200]
        _, body, _ = await at.ask()
        assert (body["error"]["code"], "tokens" in body["error"]["message"]) == ("budget_exceeded", True)
        assert statuses == sorted(statuses)
        assert statuses.count(200) * 50 + 50 <= 700  # 50 are taken by each, and more are held for the next


async def test_a_team_s(tmp_path: Path) -> None:
    """Its keys share it."""
    async with desk(tmp_path, more=f'[budgets.a]\nteam = "sales"\nusd = {ROOM / 1e9}\n', team="sales") as at:
        statuses = [(await asked(at))[0] for _ in range(10)]
        assert (statuses[0], statuses[-1]) == (200, 429)


# ------------------------------------------------------------------ degrading


@pytest.mark.parametrize("stream", [False, True])
async def test_a_route_may_degrade(tmp_path: Path, stream: bool) -> None:
    """What the budget can't bear in full is the cheap tier's, marked; what it can't bear at all is refused."""
    async with desk(tmp_path, more=CHEAP, budget_nanos=ROOM) as at:
        rules = [(await asked(at, stream=stream))[1] for _ in range(40)]
        assert list(dict.fromkeys(rules)) == ["checks", "degraded:over-budget", "budget_exceeded"]
        assert rules == sorted(rules, key=["checks", "degraded:over-budget", "budget_exceeded"].index)
        assert {call.model for call in at.provider.calls} == {"cheap"}
        assert (await at.engine.store.spent("key_1"))[0] <= ROOM


async def test_a_degraded_answer_is_booked_as_one(tmp_path: Path) -> None:
    """One call, by its rule, beside what premium would have cost."""
    async with desk(tmp_path, more=CHEAP, budget_nanos=ROOM - 10**6) as at:
        _, _, headers = await at.ask()
        assert headers["x-tierwise-decision"] == "degraded:over-budget"
        found = await at.settled(headers["x-request-id"])
        (line,) = found.entries
        assert (line.model, line.role, line.outcome, line.rule) == ("cheap", "draft", "served", "degraded:over-budget")
        assert (found.decision.rule, found.baseline_nanos) == ("degraded:over-budget", 10 * NANOS)


async def test_what_must_not_degrade(tmp_path: Path) -> None:
    """A risk floor and premium mode are refused instead."""
    async with desk(tmp_path, more=CHEAP, budget_nanos=ROOM - 10**6) as at:
        assert await asked(at, "legal") == (429, "budget_exceeded")
        status, _, _ = await at.ask(said={"x-tierwise-mode": "premium"})
        assert status == 429
        assert not at.provider.calls
        assert await asked(at) == (200, "degraded:over-budget")


async def test_below_the_soft_limit_as_ever_above_it_cheap(tmp_path: Path) -> None:
    """The budget could bear the whole plan, but it is kept for what must be."""
    more = CHEAP + f"[budgets.a]\nusd = {4 * ROOM / 1e9}\nsoft = 0.25\n"
    async with desk(tmp_path, more=more) as at:
        rules = [(await asked(at))[1] for _ in range(10)]
        assert (rules[0], rules[-1]) == ("checks", "degraded:over-budget")
        assert await asked(at, "legal") == (200, "floor:legal")


async def test_a_refusal_is_noted_for_the_watcher(tmp_path: Path) -> None:
    """With those that bore it; one that was served after all is none."""
    async with desk(tmp_path, more=CHEAP, budget_nanos=ROOM - 10**6) as at:
        await asked(at)
        assert at.engine.budgets._refused == set()
        await asked(at, "legal")
        assert [[each.name for each in borne] for borne in at.engine.budgets._refused] == [["key_1"]]


# ------------------------------------------------------------------ a key's requests at once


async def test_streams_at_once(tmp_path: Path) -> None:
    """The second is refused while the first runs, and let in once it has ended or its client has left."""
    going, running = asyncio.Event(), asyncio.Event()

    async def look(_: float) -> None:
        running.set()
        await going.wait()

    async with desk(tmp_path, look, streams=1) as at:
        first = asyncio.ensure_future(at.ask(stream=True))
        await running.wait()
        async with asyncio.timeout(5):
            status, body, headers = await at.ask()
        assert (status, body["error"]["code"], headers["retry-after"]) == (429, "rate_limit_exceeded", "1")
        assert "The key's limit is 1 requests at once, and 1 are running." in body["error"]["message"]
        first.cancel()
        going.set()
        async with asyncio.timeout(5):
            while (await at.ask())[0] != 200:
                await asyncio.sleep(0.01)
        assert [(await at.ask())[0] for _ in range(3)] == [200] * 3


# ------------------------------------------------------------------ the experiment


async def test_a_holdout_is_drawn_by_the_request_s_id(tmp_path: Path) -> None:
    """Nobody can foresee it, whoever has the secret can repeat it; premium answers, and the rule says why."""
    async with desk(tmp_path, more="holdout = 0.3\n", secret=SECRET) as at:
        drawn = []
        for _ in range(60):
            _, _, headers = await at.ask()
            held = uniform(SECRET, headers["x-request-id"], "holdout") < 0.3
            drawn.append(held)
            told = ("holdout", "premium") if held else ("checks", "cheap")
            assert (headers["x-tierwise-decision"], headers["x-tierwise-model"]) == told
        assert 0 < sum(drawn) < 60


async def test_a_holdout_is_no_evidence(tmp_path: Path) -> None:
    """The policy did not decide it, so no audit draws it; the others are drawn as ever."""
    share = "holdout = 0.5\nobserve = 1.0\naudit = 1.0\n"
    async with desk(tmp_path, more=share, secret=SECRET) as at:
        draws = Draws(at.engine, SECRET, drift_monitor(at.engine))
        for number in range(20):
            asked = live(at, number)
            await asked.run(100)
            sample = draws.take(asked)
            assert (sample is None) == (asked.arm == "holdout")


def live(at: Desk, number: int, mode: str | None = None, **changes: Any) -> Live:
    asked = request(id=f"req_{number}", max_output=50, **changes)
    return Live(at.engine, Clean(asked, at.engine.route("support", mode)), Tenant("key_1", "test", team="sales"))


async def test_arms_and_teams_are_booked(tmp_path: Path) -> None:
    """By what was drawn, also where a floor leads up anyway; not where premium was chosen before the draw."""
    async with desk(tmp_path, more='holdout = 0.5\nfloor = ["legal"]\n', secret=SECRET) as at:
        for number in range(20):
            held = uniform(SECRET, f"req_{number}", "holdout") < 0.5
            for tags in (frozenset[str](), frozenset({"legal"})):
                record = live(at, number, tags=tags).book(200, "")
                assert (record.arm, record.team) == ("holdout" if held else "treated", "sales")
            assert live(at, number, "premium").book(200, "").arm == ""


@pytest.mark.parametrize(
    ("share", "secret", "changes"),
    [(0.0, SECRET, {}), (0.5, b"", {}), (0.5, SECRET, {"uncertified": "observe"}), (0.5, SECRET, {"mode": "observe"})],
)
async def test_where_there_is_no_experiment(
    tmp_path: Path, share: float, secret: bytes, changes: dict[str, Any]
) -> None:
    """Without a share, without a secret to draw with, and where premium answers everything."""
    async with desk(tmp_path, more=f"holdout = {share}\n", secret=secret) as at:
        routes: Any = at.engine.snapshot.routes
        routes["support"] = msgspec.structs.replace(routes["support"], **changes)
        assert {live(at, number).arm for number in range(20)} == {""}
