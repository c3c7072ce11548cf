"""`tierwise compare`, from a route's stored prompts to a sentence, as a person sees it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from signal import SIGINT
from typing import Any

import msgspec
import pytest
from typer.testing import Result

from tests.offline.stocked import label, traffic
from tests.support.terminal import call
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.evidence.compared import account
from tierwise.offline.drawn import Gathered
from tierwise.proof import Label, Sample, Texts
from tierwise.store.sqlite import open_sqlite

CONFIG = """
[server]
port = 0
[store]
url = "sqlite:///ledger.db"
[models.cheap]
provider = "scripted"
script = "cheap.json"
price = { input = 1, output = 2 }
[models.fresh]
provider = "scripted"
script = "fresh.json"
price = { input = 2, output = 4 }
max_output = 200
[models.other]
provider = "scripted"
script = "other.json"
[models.third]
provider = "scripted"
script = "third.json"
price = { input = 1, output = 2 }
[models.premium]
provider = "scripted"
script = "premium.json"
price = { input = 100, output = 200 }
[routes.support]
tiers = ["cheap", "premium"]
[routes.single]
tiers = ["premium"]
"""
STORED = 120
WRONG = "The answer is 5."


def prices(gathered: Gathered) -> Gathered:
    """Premium's answers cost 300,000 nano-dollars each, the cheap ones 30,000."""
    nanos = {"premium": 300_000, "cheap": 30_000}
    kept = [
        msgspec.structs.replace(
            item, said=tuple(msgspec.structs.replace(said, nanos=nanos[said.model]) for said in item.said)
        )
        for item in gathered.texts
    ]
    return gathered._replace(texts=kept)


def stock(folder: Path, gathered: Gathered) -> None:
    async def keep() -> None:
        store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="stock")
        items: list[Sample | Label | Texts] = [*gathered.samples, *gathered.labels, *gathered.texts]
        for item in items:
            store.proof.keep(item)
        await store.close()

    asyncio.run(keep())


def answers(gathered: Gathered, wrong: int, **more: Any) -> list[dict[str, Any]]:
    """Premium's own words, but for one prompt in so many."""
    said = [{one.model: one.response for one in item.said} for item in gathered.texts]
    return [
        {"match": item.messages[-1].text, "text": one["premium"] if at % wrong else WRONG, **more}
        for at, (item, one) in enumerate(zip(gathered.texts, said, strict=True))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    gathered = prices(traffic(STORED, 4, lambda request_id, draft, premium: ()))
    stock(tmp_path, gathered)
    (tmp_path / "c.toml").write_text(CONFIG)
    for name in ("cheap", "other", "third", "premium"):
        (tmp_path / f"{name}.json").write_text('[{"text": "?"}]')
    (tmp_path / "fresh.json").write_text(json.dumps(answers(gathered, 10)))
    (tmp_path / "other.json").write_text(json.dumps(answers(gathered, 2)))
    return tmp_path


def run(folder: Path, *words: str, route: str = "support") -> Result:
    command = ["compare", "--route", route, "--config", str(folder / "c.toml"), *words]
    return call(command, env={"COLUMNS": "80"})


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    found = call(["compare", "--help"], env={"COLUMNS": "80"})
    assert "Example: tierwise compare --route support --candidate" in re.sub(r"[\s│]+", " ", found.output)
    assert max(map(len, found.output.splitlines())) <= 80


def test_a_better_candidate(folder: Path) -> None:
    """What is asked and what it may cost is said before; after, the figures, and what they mean."""
    found = run(folder, "--candidate", "fresh", "--prompts", "100")
    assert found.exit_code == 0, found.output
    said = found.stdout
    assert said.startswith("100 prompts stand for the 120 that are stored. Asking fresh, for $1.00 at the most.\n")
    assert "100 of 100 prompts, 100% of the traffic; labels: 200 by equality with premium's answer. Spent $0." in said
    assert re.search(r"^fresh +\d+\.\d% +\d+\.\d% +0\.000\d+ +\d+\.\d% +\d\.\d\d", said, re.MULTILINE)
    assert re.search(r"^cheap +\d+\.\d% +\d+\.\d% +0\.000030 +10\.0% +0\.50", said, re.MULTILINE)
    assert re.search(r"100\.0% +0\.0% +0\.000300 +100\.0% +0\.50", said)
    assert re.search(r"fresh is better than cheap by \d+\.\d points \[\d+\.\d, \d+\.\d\], on 100 prompts\.", said)
    assert "By these figures fresh is on the frontier: nothing else is as good at its cost." in said
    assert re.search(r"a verifier that never errs, it would cost \d+\.\d% \[\d+\.\d, \d+\.\d\] of always premium", said)
    assert "labels" not in said.split("on 100 prompts.")[1]


def test_as_json(folder: Path) -> None:
    """All figures, and nothing else on stdout."""
    said = json.loads(run(folder, "--candidate", "fresh", "--json").stdout)
    assert (said["candidate"], said["against"], said["premium"]) == ("fresh", "cheap", "premium")
    assert (said["stored"], said["prompts"], said["asked"], said["compared"]) == (STORED, STORED, STORED, STORED)
    fresh, cheap = said["standings"]
    assert fresh["quality"]["value"] == pytest.approx(0.9)
    assert fresh["harm"]["value"] == pytest.approx(0.1)
    assert cheap["cost_ratio"]["value"] == pytest.approx(0.1)
    assert said["difference"]["value"] == pytest.approx(fresh["quality"]["value"] - cheap["quality"]["value"])
    assert 0 < said["spent_usd"] < 0.1
    assert (said["place"], said["ended"]) == ("frontier", "")


def test_two_models_of_the_config(folder: Path) -> None:
    """Both are asked; the route's own tier stands beside them, from what is stored."""
    found = run(folder, "--candidate", "other", "--against", "fresh", "--usd", "900")
    assert found.exit_code == 0, found.output
    assert re.search(r"other is worse than fresh by \d+\.\d points \[\d+\.\d, \d+\.\d\], on 120 prompts", found.stdout)
    assert re.search(r"^cheap +\d", found.stdout, re.MULTILINE)
    assert "Where other stands on the frontier is not known: it, or premium, has no price." in found.stdout
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        asked = dict(conn.execute("SELECT model, count(*) FROM entries GROUP BY model").fetchall())
        (payer,) = conn.execute("SELECT DISTINCT key_id FROM reservations").fetchone()
    assert asked == {"other": STORED, "fresh": STORED}
    assert payer == account("support", "other")


def test_alike(folder: Path) -> None:
    """No difference is told where there is none to be told."""
    (folder / "other.json").write_text((folder / "fresh.json").read_text())
    found = run(folder, "--candidate", "other", "--against", "fresh", "--prompts", "60", "--usd", "900")
    assert "No difference between other and fresh can be told from 60 prompts (+0.0 points [0.0, 0.0])." in found.stdout


def test_the_money_ends(folder: Path) -> None:
    """What there is is shown, with why there is no more; of few prompts no verdict is given."""
    found = run(folder, "--candidate", "fresh", "--usd", "0.003")
    assert found.exit_code == 0, found.output
    assert "too few to tell a difference." in found.stdout
    assert "labels are too few to tell where fresh stands on the frontier." in found.stdout
    assert "It ended early: the cap is reached; before each call its price at the most is set aside" in found.stdout
    found = run(folder, "--candidate", "fresh", "--usd", "0.000001")
    assert "No prompt was asked: the cap is reached; before each call" in found.stdout
    found = run(folder, "--candidate", "other", "--usd", "0.001")
    assert "the cap is reached; other has no price in the config, so each call counts as the dearest" in found.stdout


def test_open_text(tmp_path: Path, folder: Path) -> None:
    """Without a judge it has no label; what a judge has said of stored answers is not bought again."""
    gathered = traffic(40, 9, lambda request_id, draft, premium: [label(request_id, (0.0, 1.0), "judge", by="third")])
    told = [
        msgspec.structs.replace(
            item,
            said=tuple(
                msgspec.structs.replace(said, response=f"{said.model.title()} would say that it depends on the lamp.")
                for said in item.said
            ),
        )
        for item in gathered.texts
    ]
    (folder / "ledger.db").unlink()
    stock(folder, gathered._replace(texts=told))
    (folder / "fresh.json").write_text(json.dumps([{"text": "Lamps go back within thirty days."}]))
    found = run(folder, "--candidate", "fresh")
    assert "40 of its answers have no label, and are left out: a judge can compare open text" in found.stdout
    (folder / "third.json").write_text(
        json.dumps(
            [
                {"match": '"a":{"text":"Lamps', "text": '{"verdict": "a"}'},
                {"match": '"b":{"text":"Lamps', "text": '{"verdict": "b"}'},
            ]
        )
    )
    (folder / "c.toml").write_text(CONFIG.replace("[routes.single]", 'judge = "third"\n[routes.single]'))
    said = json.loads(run(folder, "--candidate", "fresh", "--json").stdout)
    assert said["labels"] == {"judge": 80}
    assert [item["quality"]["value"] for item in said["standings"]] == [1.0, 0.0]
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        query = "SELECT count(*) FROM entries WHERE role = 'judge'"
        assert conn.execute(query).fetchone()[0] == 80  # both orders of the candidate's 40
    without = run(folder, "--candidate", "fresh", "--no-judge").stdout
    assert "40 of its answers have no label" in without


def test_failures_are_told(folder: Path) -> None:
    """And a candidate that answers nothing is an error, not a quality of nothing."""
    rules = json.loads((folder / "fresh.json").read_text())
    (folder / "fresh.json").write_text(json.dumps([{**rules[3], "text": "", "fault": "refused"}, *rules]))
    found = run(folder, "--candidate", "fresh")
    assert "1 call of fresh failed: an answer that did not come is not good." in found.stdout
    (folder / "fresh.json").write_text(json.dumps([{"fault": "refused"}]))
    found = run(folder, "--candidate", "fresh")
    assert found.exit_code == 2
    assert re.search(r"fresh answered none of \d+ prompts; `tierwise doctor` may tell why", found.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--candidate", "nope"], "no model 'nope'; it has cheap, fresh, other, third, premium"),
        (["--candidate", "fresh", "--against", "nope"], "no model 'nope'"),
        (["--candidate", "premium"], "premium is the premium of route support, which all others are measured by"),
        (["--candidate", "cheap"], "cheap would be compared with itself; --against names another model"),
        (["--candidate", "fresh", "--against", "fresh"], "fresh would be compared with itself"),
        (["--candidate", "fresh", "--usd", "much"], "expected an amount in USD"),
        (["--candidate", "fresh", "--prompts", "3"], "greater than or equal to 20"),
    ],
)
def test_errors_are_lines_not_tracebacks(folder: Path, words: list[str], said: str) -> None:
    """On stderr, with exit code 2, before anything is asked."""
    found = run(folder, *words)
    assert found.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", found.stderr)


def test_routes_that_can_not_be_compared_on(folder: Path) -> None:
    """One that is not there, one without stored prompts; one without a cheap tier has nobody to compare with."""
    assert "no route 'nope'; it has support, single" in run(folder, "--candidate", "fresh", route="nope").stderr
    found = run(folder, "--candidate", "fresh", route="single")
    assert found.exit_code == 2
    assert "route single: 0 of its requests are stored with premium's answer, and 20 are the least" in found.stderr
    assert "evidence_usd_per_day" in found.stderr
    (folder / "c.toml").write_text(CONFIG.replace('["cheap", "premium"]', '["premium"]'))
    alone = run(folder, "--candidate", "fresh")
    assert "Route support has no cheaper tier to compare fresh with; --against names a model." in alone.stdout


def test_ctrl_c(folder: Path) -> None:
    """What was asked by then is shown and booked, and nothing stays held."""
    rules = json.loads((folder / "fresh.json").read_text())
    (folder / "fresh.json").write_text(json.dumps([{**rule, "first": 0.2} for rule in rules]))
    command = [sys.executable, "-m", "tierwise", "compare", "--route", "support", "--candidate", "fresh"]
    with subprocess.Popen(
        [*command, "--config", str(folder / "c.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
    ) as process:
        with closing(sqlite3.connect(folder / "ledger.db")) as conn:
            until = time.monotonic() + 20
            while conn.execute("SELECT count(*) FROM entries").fetchone()[0] < 10 and time.monotonic() < until:
                time.sleep(0.02)
        process.send_signal(SIGINT)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "It ended early: it was interrupted." in said
    assert re.search(r"^\d\d of 120 prompts, ", said, re.MULTILINE)
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        posted, held = conn.execute("SELECT posted_nanos, held_nanos FROM accounts").fetchone()
    assert posted > 0
    assert held == 0
