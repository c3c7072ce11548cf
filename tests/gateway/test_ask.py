"""`tierwise ask`, as an operator types it, with scripted models and a real ledger."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.gateway.harness import GOOD, REFUSAL
from tests.support.terminal import call
from tierwise.gateway.clock import SystemClock
from tierwise.money import Record
from tierwise.store.sqlite import open_sqlite

CONFIG = """\
[server]
port = 0
[models.cheap]
provider = "scripted"
script = "cheap.json"
price = { input = 1, output = 2 }
[models.premium]
provider = "scripted"
script = "premium.json"
price = { input = 10, output = 20 }
[routes.support]
tiers = ["cheap", "premium"]
mode = "enforce"
uncertified = "checks"
premium_down = "draft"
[routes.flow]
tiers = ["cheap", "premium"]
mode = "enforce"
uncertified = "checks"
hold = "none"
"""
WORDS = "Where is my parcel?"
CHEAP: list[dict[str, Any]] = [
    {"match": "hard", "text": REFUSAL, "input_tokens": 10, "output_tokens": 4},
    {"match": "down", "fault": "overloaded"},
    {"match": "slow", "pieces": ["It ", "left ", "on Friday."], "input_tokens": 10, "output_tokens": 6, "gap": 30},
    {"text": GOOD, "input_tokens": 10, "output_tokens": 6},
]
PREMIUM: list[dict[str, Any]] = [
    {"match": "down", "fault": "refused"},
    {"match": "cut", "text": GOOD, "fault": "cut", "cut_after": 3},
    {"text": "On Friday, [bold]madam[/bold].", "input_tokens": 10, "output_tokens": 5},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(CONFIG)
    (tmp_path / "cheap.json").write_text(json.dumps(CHEAP))
    (tmp_path / "premium.json").write_text(json.dumps(PREMIUM))
    return tmp_path


def ask(folder: Path, *words: str) -> Result:
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "100"}
    return call(("ask", *words), env=env)


def trail(folder: Path, *words: str) -> dict[str, Any]:
    found = ask(folder, *words, "--json")
    assert (found.exit_code, found.stderr) == (0, "")
    story: dict[str, Any] = json.loads(found.stdout)
    return story


def booked(folder: Path, request_id: str) -> Record:
    async def look() -> tuple[Record | None, tuple[int, int]]:
        store = await open_sqlite(folder / "tierwise.db", clock=SystemClock(), instance="reader")
        try:
            return await store.record(request_id), await store.spent("operator")
        finally:
            await store.close()

    record, (posted, held) = asyncio.run(look())
    assert record is not None
    assert posted >= record.nanos
    assert held == 0
    return record


def test_a_served_draft(folder: Path) -> None:
    """The whole story, in fields for scripts; and the ledger has it under the operator's name."""
    story = trail(folder, WORDS)
    (step,) = story["steps"]
    assert (story["route"], story["model"], story["decision"], story["text"]) == ("support", "cheap", "checks", GOOD)
    assert (story["cost_usd"], story["baseline_usd"], story["saved_usd"]) == (
        "0.000022000",
        "0.000220000",
        "0.000198000",
    )
    assert story["baseline_state"] == "estimated"
    assert story["total_ms"] >= step["total_ms"] >= step["first_ms"] >= 0
    assert (step["model"], step["role"], step["outcome"], step["rule"]) == ("cheap", "draft", "served", "checks")
    assert (step["input_tokens"], step["output_tokens"], step["cost_usd"]) == (10, 6, "0.000022000")
    assert (step["cost_state"], step["score"]) == ("computed", 1.0)
    assert {check["check"] for check in step["checks"]} >= {"finish", "refusal"}
    record = booked(folder, story["request_id"])
    assert (record.key_id, record.route, record.status, record.nanos) == ("operator", "support", 200, 22_000)


def test_an_escalation(folder: Path) -> None:
    """Both attempts are told; what it cost more than premium alone is a negative saving."""
    story = trail(folder, "a hard one")
    draft, premium = story["steps"]
    assert (story["model"], story["decision"]) == ("premium", "escalated:check:refusal")
    assert (draft["outcome"], draft["rule"], draft["score"]) == ("rejected", "check:refusal", 0.0)
    assert (premium["role"], premium["outcome"]) == ("premium", "served")
    assert (story["cost_usd"], story["baseline_usd"], story["saved_usd"]) == (
        "0.000218000",
        "0.000200000",
        "-0.000018000",
    )
    assert [entry.outcome for entry in booked(folder, story["request_id"]).entries] == ["rejected", "served"]


def test_interrupted(folder: Path) -> None:
    """Ctrl-C in the middle of an answer: booked at once by what came, not at the most that it might have cost."""
    words = ("ask", "a slow one", "--route", "flow", "--stream", "--config", str(folder / "c.toml"))
    command = [sys.executable, "-m", "tierwise", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == b"It "
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    with closing(sqlite3.connect(folder / "tierwise.db")) as base:
        ((request_id,),) = base.execute("SELECT request_id FROM requests").fetchall()
    record = booked(folder, request_id)
    (entry,) = record.entries
    assert (record.status, entry.cost_state) == (499, "estimated")
    assert 0 < record.nanos < 100_000


def test_the_trail_as_a_person_reads_it(folder: Path) -> None:
    """The answer alone on stdout, as the model wrote it; the table beside it, and what failed."""
    found = ask(folder, "a hard one")
    assert found.exit_code == 0
    assert found.stdout == "On Friday, [bold]madam[/bold].\n"
    shown = found.stderr
    assert "tokens" in shown
    assert "10/4" in shown
    assert "0.00001800" in shown
    assert "rejected" in shown
    assert "checks of cheap:" in shown
    assert "refusal FAILED" in shown
    assert "answered by premium (escalated:check:refusal)" in shown
    assert "cost $0.000218000, always-premium $0.000200000 (computed), saved -$0.000018000" in shown


@pytest.mark.parametrize("route", ["support", "flow"])
def test_stream(folder: Path, route: str) -> None:
    """The same text, once, as it may be shown, and the trail after it."""
    found = ask(folder, WORDS, "--stream", "--route", route)
    assert (found.exit_code, found.stdout) == (0, GOOD + "\n")
    assert "answered by cheap" in found.stderr


def test_stream_with_json(folder: Path) -> None:
    """JSON stays JSON: the text is in it, and nowhere else."""
    assert trail(folder, WORDS, "--stream")["text"] == GOOD


def test_straight_to_a_model(folder: Path) -> None:
    """By mode, and by a model's own name."""
    assert trail(folder, WORDS, "--mode", "premium")["decision"] == "mode:premium"
    story = trail(folder, WORDS, "--route", "premium")
    assert (story["decision"], story["route"], story["steps"][0]["role"]) == ("direct", "premium", "direct")


def test_a_degraded_answer(folder: Path) -> None:
    """A rejected draft that stands in for a premium that is down is told as what it is."""
    (folder / "premium.json").write_text(json.dumps([{"fault": "unreachable"}]))
    story = trail(folder, "a hard one")
    assert (story["model"], story["decision"]) == ("cheap", "degraded:premium-down")
    assert [step["outcome"] for step in story["steps"]] == ["served", "failed"]
    assert story["baseline_state"] == "estimated"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((WORDS, "--route", "nope"), "nope"),
        (("all down",), "premium: scripted: the request is refused"),
        (("cut", "--route", "premium", "--stream"), "premium: scripted: the answer broke off"),
    ],
)
def test_errors(folder: Path, words: tuple[str, ...], told: str) -> None:
    """A line on stderr and exit code 2, whatever went wrong."""
    found = ask(folder, *words)
    assert found.exit_code == 2
    assert found.stderr.strip().startswith("error: ")
    assert told in found.stderr
    assert "Traceback" not in found.output


def test_a_failed_request_is_booked(folder: Path) -> None:
    """With what each attempt came to."""
    assert ask(folder, "all down").exit_code == 2

    with closing(sqlite3.connect(folder / "tierwise.db")) as conn:
        ((request_id,),) = conn.execute("SELECT request_id FROM requests").fetchall()
    record = booked(folder, request_id)
    assert (record.status, record.decision.rule, record.nanos) == (502, "provider_refused", 0)
    assert [(entry.outcome, entry.rule) for entry in record.entries] == [
        ("failed", "provider_overloaded"),
        ("failed", "provider_refused"),
    ]


def test_no_route(folder: Path) -> None:
    """A config without routes says what to do."""
    (folder / "c.toml").write_text("[server]\nport = 0\n")
    found = ask(folder, WORDS)
    assert found.exit_code == 2
    assert "no route is configured" in found.stderr


def test_second_opinions(folder: Path) -> None:
    """Who was asked about the draft, what they said, what it cost, and what the comparison came to."""
    others = "".join(
        f'[models.{name}]\nprovider = "scripted"\nscript = "{name}.json"\nprice = {{ input = 3, output = 4 }}\n'
        for name in ("left", "right")
    )
    route = '[routes.agree]\ntiers = ["cheap", "premium"]\nmode = "enforce"\nuncertified = "agreement"\n'
    (folder / "c.toml").write_text(CONFIG + others + route + 'opinions = ["left", "right"]\n')
    for name, answer in (("left", "The answer is 42."), ("right", "The answer is 41.")):
        (folder / f"{name}.json").write_text(json.dumps([{"text": answer, "input_tokens": 10, "output_tokens": 5}]))
    (folder / "cheap.json").write_text(
        json.dumps([{"text": "The answer is 42.", "input_tokens": 10, "output_tokens": 6}])
    )
    story = trail(folder, "Six times seven?", "--route", "agree")
    draft, left, right, premium = story["steps"]
    assert [step["role"] for step in story["steps"]] == ["draft", "opinion", "opinion", "premium"]
    assert (left["outcome"], left["rule"], left["cost_usd"]) == ("consulted", "about:cheap", "0.000050000")
    assert (right["text"], right["checks"], right["score"]) == ("The answer is 41.", [], None)
    agreement = {check["check"]: check for check in draft["checks"]}["agreement"]
    assert (agreement["passed"], agreement["value"]) == (False, 0.5)
    assert story["decision"] == "escalated:check:agreement"
    total = sum(int(step["cost_usd"].replace(".", "")) for step in story["steps"])
    assert int(story["cost_usd"].replace(".", "")) == total
    assert premium["outcome"] == "served"
    shown = " ".join(ask(folder, "Six times seven?", "--route", "agree").stderr.split())  # lines break anywhere
    assert "agreement FAILED (1 of 2 opinions agree)" in shown
    assert "opinion of right: The answer is 41." in shown
    assert "about:cheap" in shown
    assert "consulted" in shown
