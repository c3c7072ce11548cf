"""`tierwise report` without a route: from a store that a gateway has written to whatever a person or a script reads."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.support.terminal import call
from tierwise.core.window import DAY_NS, iso
from tierwise.gateway.clock import SystemClock
from tierwise.money import Arm, Entry, Key, Record
from tierwise.proof import Label
from tierwise.store.sqlite import open_sqlite
from tierwise.types import CostState, Decision, Duty, Usage

CONFIG = """
[server]
port = 0
[models.small]
provider = "scripted"
script = "s.json"
price = {input = 1, output = 2}
[models.big]
provider = "scripted"
model = "premium"
script = "s.json"
price = {input = 10, output = 20}
[routes.support]
tiers = ["small", "big"]
"""
CENT, ASKED = 10**7, 40  # requests of each arm and hour
SECRET = "what somebody thought"
NOW = SystemClock().now_ns()
TODAY = NOW // DAY_NS


def run(place: Path, *words: str | Path, columns: int = 80) -> Result:
    given = ["report", *map(str, words), "--config", str(place / "c.toml")]
    return call(given, env={"COLUMNS": str(columns)})


def told(found: Result) -> str:
    assert found.exit_code == 0, found.output
    return " ".join(found.stdout.split())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config, and a store in which ten days have passed before today, and half of the eleventh."""
    folder = tmp_path_factory.mktemp("spending")
    (folder / "s.json").write_text(json.dumps([{"text": "Yes."}]))
    (folder / "c.toml").write_text(CONFIG)
    asyncio.run(_write(folder / "tierwise.db"))
    return folder


async def _write(path: Path) -> None:
    store = await open_sqlite(path, clock=SystemClock(), instance="i1")
    await store.add_key(Key("key_1", "Help desk", b"1", "tw_1", 1))
    posted = []
    for day in range(TODAY - 10, TODAY):
        for number in range(ASKED):
            arms: tuple[tuple[Arm, int, Duty], ...] = (("holdout", 5 * CENT, "premium"), ("treated", CENT, "draft"))
            for arm, nanos, role in arms:
                at_ns = day * DAY_NS + number % 20 * 3600 * 10**9
                posted.append(
                    store.post(record(f"{arm}{day}.{number}", at_ns, nanos, role, arm=arm, baseline=5 * CENT))
                )
        posted.append(store.post(record(f"a{day}", day * DAY_NS, CENT, "audit", key_id="aside:support:x")))
        posted.append(store.post(record(f"e{day}", day * DAY_NS, CENT, "draft", state="estimated", baseline=5 * CENT)))
    for waited in posted:
        await waited
    for number in range(ASKED):
        for arm, model in (("holdout", "big"), ("treated", "small")):
            request = f"{arm}{TODAY - 1}.{number}"
            await store.proof.keep(
                Label(request_id=request, route="support", model=model, source="feedback", draft=1.0, premium=None,
                      at_ns=NOW - 3600 * 10**9, comment=SECRET)
            )  # fmt: skip
    await store.close()


def record(request: str, at_ns: int, nanos: int, role: Duty, **more: Any) -> Record:
    state: CostState = more.pop("state", "computed")
    model, served = ("small", "served") if role == "draft" else ("big", "served")
    entry = Entry(model, model, role, Usage(90, 10), nanos, state, served, "verifier", 1.0, 2.0)  # type: ignore[arg-type]
    decision = Decision("serve", "verifier", 0.9, ())
    values: dict[str, Any] = {"key_id": "key_1", "baseline": 0, "arm": ""} | more
    return Record(
        request, values["key_id"], "support", at_ns, 2.0, 200, decision, (entry,), values["baseline"], "computed", "",
        values["arm"],
    )  # fmt: skip


# ------------------------------------------------------------------ from a store


def test_in_a_terminal(place: Path) -> None:
    """Spent, saved, sure, forecast, experiment; tables by name; nothing wider than the screen."""
    found = run(place, "--days", "20", "--running-cost", "100")
    text = told(found)
    for part in (
        "$24.20 on 810 answered requests (50.6 % answered by cheaper models): $20.00 for premium models' answers",
        "$16.30 net, or 40.2 %", "0.41 % of the spend is estimated", "Too few days to forecast: 9 whole days known",
        "pay for a year", "Route support: 400 of 800 requests, drawn at random", "others cost $0.040000 less",
        "by feedback, on 40 answers of the route and 40 that were held out", "Help desk", "(audits)",
    ):  # fmt: skip
        assert part in text, part
    assert SECRET not in text
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_as_json(place: Path) -> None:
    """Exact, and nothing else on stdout; the tables that are asked for, each once."""
    found = json.loads(run(place, "--days", "20", "--json", "--by", "key", "--by", "key").stdout)
    assert found["whole"]["spent_nanos"] == 2420 * CENT
    assert found["whole"]["net_nanos"] == (4050 - 2420) * CENT
    assert {key: [row["name"] for row in rows] for key, rows in found["tables"].items()} == {
        "key": ["Help desk", "aside"]
    }
    assert found["experiments"][0]["quality"]["source"] == "feedback"
    assert SECRET not in json.dumps(found)


def test_the_period(place: Path) -> None:
    """Days, or from a day up to another; this month where nothing is said, its forecast from before it too."""
    since, until = (iso((TODAY - back) * DAY_NS)[:10] for back in (4, 2))
    for words in (("--since", since, "--until", until), ("--since", since, "--until", f"{until}T00:00")):
        found = json.loads(run(place, "--json", *words).stdout)
        assert found["whole"]["requests"] == 2 * (2 * ASKED + 1)
        assert found["ahead"] is None
    assert json.loads(run(place, "--json", "--days", "2").stdout)["whole"]["requests"] == 2 * ASKED + 1
    month = json.loads(run(place, "--json").stdout)
    assert month["since"] * 3600 * 10**9 <= NOW < month["until"] * 3600 * 10**9
    assert iso(month["since"] * 3600 * 10**9)[8:] == "01T00:00:00Z"
    assert month["ahead"]["days"] == 9


def test_a_table_alone(place: Path) -> None:
    """Whole, not shortened, and no other."""
    text = told(run(place, "--days", "20", "--by", "day"))
    assert len(re.findall(r"\d{4}-\d\d-\d\d", text)) == 10
    assert "Help desk" not in text
    assert "earlier)" not in text
    assert "(3 earlier)" in told(run(place, "--days", "20"))


def test_files(place: Path, tmp_path: Path) -> None:
    """Page, tables and FOCUS, all at once; whole, and only what was asked for."""
    names = {"--html": "m.html", "--csv": "m.csv", "--focus": "f.csv"}
    words = [word for option, name in names.items() for word in (option, tmp_path / name)]
    assert told(run(place, "--days", "20", *words, columns=300)).startswith("Wrote ")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    assert (tmp_path / "m.html").read_text(encoding="utf-8").count("<svg") == 4
    rows = list(csv.DictReader(StringIO((tmp_path / "f.csv").read_text(encoding="utf-8"))))
    assert {row["ProviderName"] for row in rows} == {"Scripted"}
    assert {row["ResourceName"] for row in rows} == {"small", "premium"}
    assert {row["SubAccountName"] for row in rows} == {"Help desk", "aside"}
    assert (tmp_path / "m.csv").read_bytes().startswith(b"by,id,name,")


def test_printed_for_a_pipe(place: Path) -> None:
    """Only CSV, or only FOCUS, on stdout."""
    assert run(place, "--days", "20", "--csv", "-").stdout.splitlines()[0].startswith("by,id,name")
    focus = run(place, "--days", "20", "--focus", "-").stdout
    assert focus.startswith("BilledCost,")
    assert len(list(csv.DictReader(StringIO(focus)))) == 10 * 4


# ------------------------------------------------------------------ without one


def test_help() -> None:
    """What is for money stands apart; it fits in 80 columns."""
    found = call(["report", "--help"], env={"COLUMNS": "80"})
    assert "Money, without --route" in found.output
    assert max(map(len, found.output.splitlines())) <= 80


BAD = [
    (("--by", "week"), "expected route, team, key, model or day"),
    (("--since", "yesterday"), "expected a day like"),
    (("--running-cost", "much"), "expected an amount in USD"),
    (("--days", "3", "--since", "2026-01-01"), "--days is the last days"),
    (("--days", "3", "--until", "2026-01-01"), "--days is the last days"),
    (("--since", "2026-02-01", "--until", "2026-02-01"), "--since must be before --until"),
    (("--since", "2999-01-01"), "not in the future"),
    (("--json", "--csv", "-"), "only one of"),
    (("--csv", "-", "--focus", "-"), "only one of"),
    (("--csv", "no/such.csv"), "is no folder"),
    (("--html", "no/such.html"), "is no folder"),
    ((), "has never run"),
    *(
        (("--route", "support", option, value), f"{option} is of the report on money")
        for option, value in (
            ("--since", "2026-01-01"), ("--until", "2026-01-01"), ("--by", "key"), ("--csv", "-"), ("--focus", "-"),
            ("--running-cost", "0"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_what_can_not_be_done(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """An error that says what was wrong, before anything is read or made."""
    (tmp_path / "s.json").write_text("[]")
    (tmp_path / "c.toml").write_text(CONFIG)
    found = run(tmp_path, *words)
    assert found.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", found.output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.toml", "s.json"]
