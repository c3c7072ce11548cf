"""`tierwise drive`: a file of requests through real routes; who answers, what is right, what it cost."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.terminal import call

CONFIG = """
[store]
url = "sqlite:///ledger.db"
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
floor = ["legal"]
"""
CHEAP = [
    {"match": "broken", "fault": "refused"},
    {"match": "slow", "pieces": ["It ", "is."], "input_tokens": 10, "gap": 30},
    {"match": "why", "text": "I can't help with that."},
    {"text": "Paris it is."},
]
PREMIUM = [{"match": "nobody", "fault": "refused"}, {"text": "It is Rome, the capital."}]
LINES: list[dict[str, object]] = [
    {"text": "Which capital?", "expected": "paris"},
    {"text": "Which city?", "expected": "Rome"},
    {"text": "why?", "expected": "Rome"},
    {"messages": [{"role": "user", "content": "broken, say"}]},
    {"text": "Is it allowed?", "tags": ["legal"], "expected": "Rome"},
    {"text": "broken, nobody knows", "expected": "x"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "cheap.json").write_text(json.dumps(CHEAP), encoding="utf-8")
    (tmp_path / "premium.json").write_text(json.dumps(PREMIUM), encoding="utf-8")
    return tmp_path


def run(folder: Path, lines: str, *words: str) -> Result:
    (folder / "traffic.jsonl").write_text(lines, encoding="utf-8")
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "COLUMNS": "90", "TIERWISE_PEPPER": None}
    return call(["drive", str(folder / "traffic.jsonl"), *words], env=env)


def jsonl(*lines: dict[str, object]) -> str:
    return "\n\n".join(map(json.dumps, lines))


def test_interrupted(folder: Path) -> None:
    """Ctrl-C: what was under way is booked by what had come, beside what was answered."""
    (folder / "traffic.jsonl").write_text(jsonl({"text": "Which capital?"}, {"text": "a slow one"}), encoding="utf-8")
    words = ("drive", str(folder / "traffic.jsonl"), "--route", "support", "--config", str(folder / "c.toml"))
    command = [sys.executable, "-m", "tierwise", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 30
        while not booked(folder) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    (answered, interrupted) = booked(folder)
    assert (answered[0], interrupted[0]) == (200, 499)
    assert 0 < interrupted[1] < 100_000


def booked(folder: Path) -> list[tuple[int, int]]:
    """(status, nano-dollars) of the ledger's requests."""
    path = folder / "ledger.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as base, suppress(sqlite3.OperationalError):  # not made yet
        found = base.execute(
            "SELECT status, (SELECT SUM(nanos) FROM entries WHERE entries.request_id = requests.request_id) "
            "FROM requests ORDER BY status"
        )
        return found.fetchall()
    return []


def test_the_report(folder: Path) -> None:
    """Every request is in it, whoever answered or nobody; the ledger has the same sum."""
    said = json.loads(run(folder, jsonl(*LINES), "--route", "support", "--json").stdout)
    assert (said["requests"], said["answered"], said["judged"], said["right"]) == (6, 5, 4, 3)
    assert {share["name"]: (share["requests"], share["right"], share["judged"]) for share in said["models"]} == {
        "premium": (3, 2, 2),
        "cheap": (2, 1, 2),
    }
    assert said["rules"]["floor:legal"] == 1
    assert sum(said["rules"].values()) == 6
    assert 0 < said["nanos"] < said["baseline_nanos"]
    assert said["saved"] == pytest.approx(1 - said["nanos"] / said["baseline_nanos"])
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "TIERWISE_PEPPER": None}
    told = json.loads(call(["report", "--json"], env=env).stdout)
    assert json.dumps(said["nanos"]) in json.dumps(told)


def test_what_people_see(folder: Path) -> None:
    """Shares, decisions, money and what could be checked; of the first lines alone where so many are asked for."""
    out = run(folder, jsonl(*LINES), "--route", "support").stdout
    for words in ("answered by", "nobody", "floor:legal", "premium alone $", "Of 4 answers that can be checked 75.0%"):
        assert words in out
    few = run(folder, jsonl({"text": "hello"}, *LINES), "--route", "cheap", "--limit", "1").stdout
    assert "100.0%" in few
    assert "can be checked" not in few


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("{}", "line 1: a request has either `text` or `messages`"),
        ('{"text": "a"}\n{"text": "a", "messages": []}', "line 2: a request has either"),
        ('{"messages": [{"role": "nobody", "content": "x"}]}', "line 1:"),
        ("no json", "line 1: not a request"),
        ("\n", "holds no requests"),
        (jsonl({"text": "a", "tags": ["x"] * 33}), "has 33 tags; 32 are the most"),
    ],
)
def test_a_file_that_is_none(folder: Path, lines: str, said: str) -> None:
    """Is refused before anything is asked, with the line."""
    done = run(folder, lines, "--route", "support")
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_route_that_is_none(folder: Path) -> None:
    """With those that there are."""
    assert "no route 'default'; it has support" in run(folder, jsonl({"text": "a"})).stderr
    env = {"TIERWISE_CONFIG": str(folder / "c.toml")}
    assert "can't be read" in call(["drive", str(folder / "none")], env=env).stderr
