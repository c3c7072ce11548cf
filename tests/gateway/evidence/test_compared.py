"""A candidate on stored prompts: what it is asked, who labels it, what that costs, and where it ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.offline.stocked import texts
from tierwise.gateway.evidence.compared import MONEY, SILENT, STOPPED, Comparison, Run, Tell, Trial, Wanted, account
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine
from tierwise.proof import Texts

CONFIG = """
[server]
port = 0
[store]
url = "sqlite:///ledger.db"
[models.fresh]
provider = "scripted"
script = "fresh.json"
price = {{ input = 1, output = 2 }}
max_output = 20
{model}
[models.small]
provider = "scripted"
script = "small.json"
price = {{ input = 1, output = 2 }}
[models.middle]
provider = "scripted"
script = "middle.json"
[models.big]
provider = "scripted"
script = "big.json"
price = {{ input = 100, output = 200 }}
[models.third]
provider = "scripted"
script = "third.json"
price = {{ input = 1, output = 2 }}
[routes.support]
tiers = ["small", "middle", "big"]
{route}
"""
JUDGED = 'judge = "third"'
NAMES = ("fresh", "small", "middle")
CENT = 10_000_000  # nano-dollars
RIGHT, WRONG = "The answer is 42.", "The answer is 41."
OPEN, ALIKE = "You can send the lamp back within thirty days.", "We take lamps back for a month."
LONGER = f"{OPEN} Please bring what you paid with."
ACCOUNT = account("support", "fresh")


def says(folder: Path, **scripts: str | Sequence[Mapping[str, Any]]) -> None:
    for name in ("fresh", "small", "middle", "big", "third"):
        said = scripts.get(name, "?")
        (folder / f"{name}.json").write_text(json.dumps([{"text": said}] if isinstance(said, str) else said))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    says(tmp_path, fresh=RIGHT)
    return tmp_path


def kept(count: int = 1, *, first: int = 0, **said: str) -> list[Texts]:
    answers = {"small": WRONG, "big": RIGHT} | said
    return [
        texts(f"q{number:03}", answers.items(), f"How many is six times seven, number {number:03}?")
        for number in range(first, first + count)
    ]


@asynccontextmanager
async def comparison(
    folder: Path, wanted: Wanted, route: str = "", model: str = "", tell: Tell = lambda done, total: None
) -> AsyncIterator[Comparison]:
    path = folder / "tierwise.toml"
    path.write_text(CONFIG.format(route=route, model=model))
    environment = read_environment({"HOME": str(folder)})
    engine = await open_engine(load(path, environment.variables), environment)
    try:
        yield Comparison(engine, wanted, tell)
    finally:
        await engine.close()


async def compared(folder: Path, prompts: Sequence[Texts], route: str = "", model: str = "", **more: Any) -> Run:
    given: dict[str, Any] = {"names": NAMES, "texts": prompts, "cap": CENT} | more
    wanted = Wanted("support", **given)
    async with comparison(folder, wanted, route, model) as found:
        return await found.run()


def entries(folder: Path) -> list[tuple[str, str, str, str]]:
    """(account, model, role, outcome) of every attempt, in order."""
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        query = "SELECT r.key_id, e.model, e.role, e.outcome FROM requests AS r JOIN entries AS e USING (request_id)"
        return list(conn.execute(f"{query} ORDER BY r.started_ns, e.seq"))


def money(folder: Path) -> tuple[int, int]:
    """(posted, held) of the account."""
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        row = conn.execute("SELECT posted_nanos, held_nanos FROM accounts WHERE name = ?", (ACCOUNT,)).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


async def test_a_candidate_beside_what_is_stored(folder: Path) -> None:
    """It alone is asked; each answer is labelled by premium's stored one; an account of its own pays."""
    found = await compared(folder, kept(2, middle=RIGHT))
    assert found.ended == ""
    for trials in found.trials:
        assert set(trials) == set(NAMES)
        assert trials["fresh"][:3] == trials["middle"][:3] == ("equality", 1.0, 1.0)
        assert trials["small"][:3] == ("equality", 0.0, 1.0)
        assert trials["small"].nanos is not None
        assert trials["middle"].nanos is None  # the config knows no price for it
        assert (trials["fresh"].nanos or 0) > 0
    assert entries(folder) == [(ACCOUNT, "fresh", "observe", "consulted")] * 2
    assert money(folder) == (found.spent, 0) == (sum(trials["fresh"].nanos or 0 for trials in found.trials), 0)


async def test_what_it_is_asked(folder: Path) -> None:
    """The prompt as it was kept, and nothing of what anybody answered."""
    says(folder, fresh=[{"match": f"number {number:03}?", "text": f"It is {number + 40}."} for number in range(4)])
    found = await compared(folder, kept(4))
    assert [trials["fresh"].quality for trials in found.trials] == [0.0, 0.0, 1.0, 0.0]


async def test_who_else_is_asked(folder: Path) -> None:
    """The first model beside it where nothing is stored, or it is to be anew; no other one."""
    says(folder, fresh=RIGHT, small=RIGHT)
    bare = [texts("q", [("big", RIGHT)], "How many?")]
    found = await compared(folder, [*kept(1, first=1), *bare])
    assert [trials["small"].quality for trials in found.trials] == [0.0, 1.0]
    assert ["middle" in trials for trials in found.trials] == [False, False]
    assert [model for _, model, _, _ in entries(folder)].count("small") == 1
    (again,) = (await compared(folder, kept(), anew=frozenset({"small"}))).trials
    assert again["small"].quality == 1.0
    assert [model for _, model, _, _ in entries(folder)].count("small") == 2


def judge(*places: tuple[str, str]) -> list[dict[str, Any]]:
    """Says (verdict) where an answer beginning so stands first."""
    return [{"match": f'"a":{{"text":"{text}', "text": json.dumps({"verdict": word})} for text, word in places]


@pytest.mark.parametrize(
    ("places", "quality"),
    [
        ([(OPEN, "a"), (ALIKE, "b")], 1.0),
        ([(OPEN, "b"), (ALIKE, "a")], 0.0),
        ([(OPEN, "a"), (ALIKE, "a")], 0.5),
        ([(OPEN, "tie"), (ALIKE, "tie")], 1.0),
    ],
    ids=["better", "worse", "a place", "tied"],
)
async def test_a_judge_of_open_text(folder: Path, places: list[tuple[str, str]], quality: float) -> None:
    """Is asked in both orders; one that prefers a place has half a preference."""
    says(folder, fresh=OPEN, third=judge(*places))
    (trials,) = (await compared(folder, kept(big=ALIKE, small=LONGER), JUDGED)).trials
    assert trials["fresh"][:3] == ("judge", quality, 1.0)
    asked = [(model, role) for _, model, role, _ in entries(folder)]
    assert asked.count(("third", "judge")) == 4  # of the cheap tier's answer too
    assert asked[0] == ("fresh", "observe")


async def test_what_a_judge_has_said_before(folder: Path) -> None:
    """Of a stored answer is not asked again; of the candidate's it is."""
    says(folder, fresh=OPEN, third=judge((OPEN, "a"), (ALIKE, "b")))
    known = {("q000", "small"): 0.5, ("q000", "fresh"): 0.5}
    (trials,) = (await compared(folder, kept(big=ALIKE, small=LONGER), JUDGED, known=known)).trials
    assert trials["small"][:3] == ("judge", 0.5, 1.0)
    assert trials["fresh"][:3] == ("judge", 1.0, 1.0)
    assert [role for _, _, role, _ in entries(folder)].count("judge") == 2


@pytest.mark.parametrize(
    ("route", "script", "more"),
    [
        ("", judge((OPEN, "a"), (ALIKE, "b")), {}),
        (JUDGED, judge((OPEN, "a"), (ALIKE, "b")), {"judge": False}),
        (JUDGED, [{"text": "It is good."}], {}),
        (JUDGED, [{"fault": "refused"}], {}),
    ],
    ids=["none", "not to be asked", "no verdict", "down"],
)
async def test_what_nobody_can_tell_of(folder: Path, route: str, script: Any, more: Any) -> None:
    """Has no label, for better or worse; what it cost is known."""
    says(folder, fresh=OPEN, third=script)
    found = await compared(folder, kept(2, big=ALIKE, small=LONGER), route, **more)
    assert [trials["fresh"].source for trials in found.trials] == ["", ""]
    assert [trials["small"].source for trials in found.trials] == ["", ""]
    assert all(trials["fresh"].nanos for trials in found.trials)


async def test_the_operators_own_checks(folder: Path) -> None:
    """Come first, as in the gateway."""
    tests = '[[routes.support.checks.vectors]]\nexpect = "42"'
    (trials,) = (await compared(folder, kept(big="It comes to forty-two."), tests)).trials
    assert trials["fresh"][:3] == ("checks", 1.0, 0.0)
    assert trials["small"][:3] == ("checks", 0.0, 0.0)


async def test_calls_that_fail(folder: Path) -> None:
    """Are made twice, and then count as answers that are not good; a candidate that never answers ends it soon."""
    says(folder, fresh=[{"fault": "overloaded", "times": 1}, {"text": RIGHT}])
    (trials,) = (await compared(folder, kept())).trials
    assert trials["fresh"].source == "equality"
    assert [outcome for _, _, _, outcome in entries(folder)] == ["failed", "consulted"]
    says(folder, fresh=[{"match": "number 001?", "fault": "refused"}, {"text": RIGHT}])
    found = await compared(folder, kept(3))
    assert [trials["fresh"].failed for trials in found.trials] == [False, True, False]
    assert found.trials[1]["fresh"] == Trial("failed", 0.0, 1.0, None, 0.0)
    assert found.trials[1]["small"].source == "equality"
    says(folder, fresh=[{"fault": "refused"}])
    silent = await compared(folder, kept(40))
    assert silent.ended.startswith("fresh answers nothing")
    assert SILENT <= sum(bool(trials) for trials in silent.trials) < 40


async def test_the_cap(folder: Path) -> None:
    """Is never passed, holds for one run, and a prompt is paid for whole or left out."""
    whole = await compared(folder, kept(1))
    assert (whole.spent, whole.ended) == (money(folder)[0], "")
    cap = 60 * whole.spent
    found = await compared(folder, kept(80), cap=cap)
    assert found.ended == MONEY
    done = [trials for trials in found.trials if trials]
    assert 0 < len(done) < 60
    assert found.spent == len(done) * whole.spent <= cap
    assert money(folder) == (whole.spent + found.spent, 0)
    again = await compared(folder, kept(80), cap=cap)
    assert again.spent == found.spent
    nothing = await compared(folder, kept(30), cap=1)
    assert (nothing.spent, nothing.ended) == (0, MONEY)
    assert not any(nothing.trials)


async def test_money_that_is_held_is_waited_for(folder: Path) -> None:
    """What all may cost at the most is far more than the cap, and what they do cost is not."""
    one = (await compared(folder, kept(1))).spent
    model = "max_output = 4000"
    says(folder, fresh=[{"text": RIGHT, "first": 0.02}])
    text = CONFIG.replace("max_output = 20", "")
    path = folder / "tierwise.toml"
    path.write_text(text.format(route="", model=model))
    environment = read_environment({"HOME": str(folder)})
    engine = await open_engine(load(path, environment.variables), environment)
    try:
        wanted = Wanted("support", NAMES, kept(10), cap=2 * 4000 * 2_000 + 10 * one)
        found = await Comparison(engine, wanted, lambda done, total: None).run()
    finally:
        await engine.close()
    assert found.ended == ""
    assert all(found.trials)


async def test_open_text_without_money_for_the_judge(folder: Path) -> None:
    """Is left out altogether: what has a label must not depend on what was settled for free."""
    says(folder, fresh=[{"match": "000?", "text": RIGHT}, {"text": OPEN}], third=judge((OPEN, "a"), (ALIKE, "b")))
    free = (await compared(folder, kept(1))).spent
    found = await compared(folder, [*kept(1), *kept(1, first=1, big=ALIKE, small=LONGER)], JUDGED, cap=60 * free)
    assert found.ended == MONEY
    assert [bool(trials) for trials in found.trials] == [True, False]
    assert found.spent > free


async def test_an_interrupt(folder: Path) -> None:
    """Ends it: what was asked is told, what was under way is booked, and nothing stays held."""
    says(folder, fresh=[{"match": "number 000?", "text": RIGHT}, {"text": RIGHT, "first": 30.0}])
    told = asyncio.Event()
    wanted = Wanted("support", NAMES, kept(30), cap=CENT)
    async with comparison(folder, wanted, tell=lambda done, total: told.set()) as found:
        task = asyncio.ensure_future(found.run())
        await asyncio.wait_for(told.wait(), 5)
        task.cancel()
        stopped = await asyncio.wait_for(task, 5)
    assert (stopped.ended, [bool(trials) for trials in stopped.trials].count(True)) == (STOPPED, 1)
    assert money(folder)[1] == 0
    assert {outcome for _, _, _, outcome in entries(folder)} == {"consulted", "cancelled"}


async def test_it_tells_how_far_it_is(folder: Path) -> None:
    """Of all prompts, how many are done."""
    seen: list[tuple[int, int]] = []
    wanted = Wanted("support", NAMES, kept(12), cap=CENT)
    async with comparison(folder, wanted, tell=lambda done, total: seen.append((done, total))) as found:
        await found.run()
    assert seen == [(done, 12) for done in range(1, 13)]
