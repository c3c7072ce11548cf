"""`tierwise keys`, as a person sees it: what a key may spend and ask for, and when its budget renews."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import Result

from tests.conformance.store import entry, record
from tests.support.terminal import call
from tierwise.gateway.clock import SystemClock
from tierwise.money import Budget, Reservation
from tierwise.store.sqlite import open_sqlite

CONFIG = """
[store]
url = "sqlite:///ledger.db"
[models.cheap]
provider = "scripted"
script = "answers.json"
[routes.support]
tiers = ["cheap"]
"""
CREATE = ("keys", "create", "--name")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "answers.json").write_text("[]", encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "COLUMNS": "80", "TIERWISE_PEPPER": None}
    return call(words, env=env)


async def spend(folder: Path, key_id: str, began_ns: int) -> None:
    """Three dollars are spent, and two more are held when the list is made."""
    store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="test")
    daily = (Budget("key", key_id, "day", 25 * 10**9),)
    for name in ("r1", "r2"):
        await store.reserve(Reservation(f"{name}-{began_ns}", key_id, "support", 2 * 10**9, began_ns, daily))
    for name in ("r1", "r2"):
        await store.post(record(f"{name}-{began_ns}", entry(1_500_000_000), key_id=key_id))
    await store.close()


def test_terms_are_kept_and_shown(folder: Path) -> None:
    """As JSON for scripts, with what was there before it; the renewal is the next midnight."""
    terms = ("--budget", "25", "--period", "day", "--rpm", "60", "--tpm", "90000", "--output-tpm", "7000")
    none: dict[str, object] = {"budget_tokens": None, "streams": None, "team": "", "may": None, "routes": None}
    none |= {"input_tpm": None, "output_tpm": 7_000}
    made = json.loads(run(folder, *CREATE, "team", *terms, "--json").stdout)
    said = {"budget_nanos": 25 * 10**9, "period": "day", "rpm": 60, "tpm": 90_000}
    assert made == {"id": made["id"], "name": "team", "key": made["key"]} | said | none
    today = datetime.now(UTC)
    asyncio.run(spend(folder, made["id"], time.time_ns()))
    asyncio.run(spend(folder, made["id"], time.time_ns() - 3 * 86_400 * 10**9))
    (row,) = json.loads(run(folder, "keys", "list", "--json").stdout)
    assert {name: row[name] for name in said} == said
    assert row["renews"] in {f"{(today + timedelta(days=days)).date().isoformat()}T00:00:00Z" for days in (1, 2)}
    assert (row["spent_nanos"], row["held_nanos"]) == (6 * 10**9, 0)
    assert (row["period_spent_nanos"], row["period_held_nanos"]) == (3 * 10**9, 0)
    assert {"id", "name", "prefix", "created", "revoked"} < set(row)
    table = run(folder, "keys", "list").stdout
    for shown in (
        "$25.000000 day",
        f"renews {row['renews'][:10]}",
        "60 rpm",
        "90,000 tpm",
        "7,000 tpm out",
        "$3.000000",
        "($6.000000)",
    ):
        assert shown in table
    assert made["id"] in table
    assert row["prefix"] in table
    assert max(map(len, table.splitlines())) <= 80


def test_teams_tokens_and_streams_are_kept_and_shown(folder: Path) -> None:
    """A budget of tokens renews like one of dollars, and may stand alone."""
    terms = ("--budget-tokens", "2000000", "--period", "week", "--team", "sales", "--streams", "8")
    made = json.loads(run(folder, *CREATE, "ann", *terms, "--json").stdout)
    said = {"budget_nanos": None, "budget_tokens": 2_000_000, "period": "week", "team": "sales", "streams": 8}
    assert {name: made[name] for name in said} == said
    (row,) = json.loads(run(folder, "keys", "list", "--json").stdout)
    assert {name: row[name] for name in said} == said
    assert row["period_tokens"] == 0
    assert row["renews"] is not None
    table = run(folder, "keys", "list").stdout
    for shown in ("2,000,000 tokens week", "0 tokens", "8 at once", "team sales", f"renews {row['renews'][:10]}"):
        assert shown in table
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "may", "routes", "shown"),
    [
        (("--may", "tags, premium,tags"), ["tags", "premium"], None, ["may: tags,premium"]),
        (("--may", "none", "--routes", "support"), [], ["support"], ["may: nothing", "routes: support"]),
        (
            ("--routes", "support,tierwise-moderation"),
            None,
            ["support", "tierwise-moderation"],
            ["routes: "],
        ),
    ],
)
def test_rights_are_kept_and_shown(
    folder: Path, options: tuple[str, ...], may: object, routes: object, shown: list[str]
) -> None:
    """What it may ask for, and which routes and models there are for it."""
    made = json.loads(run(folder, *CREATE, "ann", *options, "--json").stdout)
    assert (made["may"], made["routes"]) == (may, routes)
    (row,) = json.loads(run(folder, "keys", "list", "--json").stdout)
    assert (row["may"], row["routes"]) == (may, routes)
    table = run(folder, "keys", "list").stdout
    assert all(each in table for each in shown)
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--may", "everything"), "--may: 'everything' is none of premium, tags, session, deadline, explain"),
        (("--may", "tags,"), "--may: '' is none of"),
        (("--routes", "nobody,support"), "--routes: 'nobody' is none of support"),
        (("--routes", ""), "--routes: '' is none of support"),
    ],
)
def test_rights_that_there_are_not(folder: Path, options: tuple[str, ...], said: str) -> None:
    """No key is made."""
    made = run(folder, *CREATE, "ann", *options)
    assert (made.exit_code, said in made.stderr) == (2, True)
    assert json.loads(run(folder, "keys", "list", "--json").stdout) == []


def test_a_key_without_terms(folder: Path) -> None:
    """Has none of them; what has no budget has no period either."""
    made = json.loads(run(folder, *CREATE, "free", "--json").stdout)
    assert (made["budget_nanos"], made["period"], made["rpm"], made["tpm"]) == (None, None, None, None)
    assert json.loads(run(folder, *CREATE, "once", "--budget", "1", "--json").stdout)["period"] == "total"
    free, once = json.loads(run(folder, "keys", "list", "--json").stdout)
    assert (free["renews"], free["period"], once["renews"], once["period"]) == (None, None, None, "total")
    table = run(folder, "keys", "list").stdout
    assert "$1.000000 total" in table
    assert "renews" not in table


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--period", "month"), "give --budget too"),
        (("--budget", "1", "--period", "year"), "Invalid value for '--period'"),
        (("--rpm", "0"), "Invalid value for '--rpm'"),
        (("--tpm", "0"), "Invalid value for '--tpm'"),
        (("--input-tpm", "0"), "Invalid value for '--input-tpm'"),
        (("--output-tpm", "x"), "Invalid value for '--output-tpm'"),
        (("--streams", "0"), "Invalid value for '--streams'"),
        (("--budget-tokens", "0"), "Invalid value for '--budget-tokens'"),
        (("--team", "a=b"), "--team 'a=b': expected 1 to 100 characters, none of them = or :"),
    ],
)
def test_terms_that_make_no_sense_are_refused(folder: Path, words: tuple[str, ...], said: str) -> None:
    """With what is wrong; no key is made."""
    found = run(folder, *CREATE, "x", *words)
    assert found.exit_code == 2
    assert said in re.sub(r"\s+", " ", found.stderr)
    assert "No keys." in run(folder, "keys", "list").stdout


def test_several_workers_are_said_to_count_each(folder: Path) -> None:
    """Who sets a limit a minute is told what it comes to."""
    assert "workers" not in run(folder, *CREATE, "x", "--rpm", "60").stdout
    (folder / "c.toml").write_text("[server]\nworkers = 4\n" + CONFIG, encoding="utf-8")
    assert "all together up to 4 times that" in run(folder, *CREATE, "x", "--rpm", "60").stdout
    assert "all together up to 4 times that" in run(folder, *CREATE, "x", "--streams", "5").stdout
    assert "workers" not in run(folder, *CREATE, "x", "--budget", "5").stdout
    assert "workers" not in run(folder, *CREATE, "x", "--rpm", "60", "--json").stdout
