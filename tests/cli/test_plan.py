"""`tierwise plan`, from a ledger that a gateway has written, as a person sees it."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.terminal import call
from tierwise.gateway.settings import load
from tierwise.gateway.setup.first_run import opened
from tierwise.money import Entry, Record
from tierwise.types import Decision, Usage

CONFIG = """
[server]
port = 0
[models.flash]
provider = "deepseek"
model = "deepseek-flash"
api_key_env = "KEY"
[models.big]
provider = "openai"
model = "gpt-5.4"
api_key_env = "KEY"
[models.own]
provider = "scripted"
script = "s.json"
price = {input = 1, output = 2}
[routes.r]
tiers = ["flash", "big"]
"""
KEY = {"KEY": "x"}
HOUR_NS = 3_600_000_000_000
START = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
WEEK = ("--since", "2026-10-01", "--until", "2026-10-08")


def record(name: str, hour: int, nanos: int, *, key: str = "key_1", tokens: int = 1000) -> Record:
    entry = Entry(name, name, "direct", Usage(tokens, 0), nanos, "computed", "served", "direct", 1.0, 2.0)
    decision = Decision("serve", "direct", None, ())
    ident, at_ns = f"{name}{hour}{key}", START + hour * HOUR_NS
    return Record(ident, key, "r", at_ns, 2.0, 200, decision, (entry,), nanos, "computed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week in which both models are asked at noon, and a tenth of the money is for audits."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "s.json").write_text("[]")
    (folder / "c.toml").write_text(CONFIG)
    asyncio.run(_write(folder))
    return folder / "c.toml"


async def _write(folder: Path) -> None:
    async with opened(load(folder / "c.toml", KEY)) as store:
        for day in range(7):
            await store.post(record("big", 24 * day + 12, 90_000_000))
            await store.post(record("big", 24 * day + 12, 10_000_000, key="aside:r:audit", tokens=111))
            await store.post(record("flash", 24 * day + 8, 50_000_000, tokens=500_000))
        await store.post(record("removed", 24 * 20, 1_000_000))


def run(*words: str | Path) -> Result:
    return call(["plan", *map(str, words)], env={"COLUMNS": "80"} | KEY)


def said(found: Result) -> str:
    return re.sub(r"\s+", " ", found.output)


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    found = run("--help")
    assert "Example: tierwise plan --model deepseek-flash" in re.sub(r"[\s│]+", " ", found.output)
    assert max(map(len, found.output.splitlines())) <= 80


def test_in_a_terminal(place: Path) -> None:
    """Each model with what is on offer for it, which is cheapest, and what was taken for granted."""
    found = run("--config", place, *WEEK)
    assert found.exit_code == 0, found.output
    assert max(map(len, found.output.splitlines())) <= 80
    for part in (
        "Volumes from 2026-10-01 08:00 to 2026-10-08 00:00 UTC, 6.7 days", "big: 35.5 k tokens a month",
        "pay as you go $3.19", "batch $3.03 -5 %", "off-peak",
            "Cheapest at today's volume: batch, $0.1597 less a month.",
        "less than a week", "audits and observation, which no client waits for",
    ):  # fmt: skip
        assert part in said(found)


def test_as_json(place: Path) -> None:
    """Exact integers, for one model, with a share that waits and GPUs of one's own."""
    found = run("--config", place, *WEEK, "--model", "big", "--batch-share", "0.5", "--gpu-usd-per-hour", "0.05",
                "--tokens-per-second", "0.5", "--gpus", "1", "--committed", "2:100", "--json")  # fmt: skip
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["since"] == START // 10**9 + 8 * 3600
    (model,) = told["models"]
    assert (model["model"], model["tokens"], model["nanos"]) == ("big", 7 * 1111, 700_000_000)
    plans = {plan["name"]: plan for plan in model["plans"]}
    assert plans["batch"]["nanos"] == round(plans["pay as you go"]["nanos"] * 0.75)
    assert plans["committed"]["nanos"] == 2_000_000_000
    assert plans["own GPUs, always on"]["units"] == 1
    assert plans["own GPUs, when they pay"]["cheapest"]
    assert any("--batch-share" in text for text in told["assumptions"])


def test_only_what_is_asked_for(place: Path) -> None:
    """A window counts from the ledger's first entry in it; what the config does not know has no batch."""
    told = json.loads(run("--config", place, "--since", "2026-10-02T09:00", "--until", "2026-10-03", "--json").stdout)
    assert told["until"] - told["since"] == 12 * 3600
    assert [model["model"] for model in told["models"]] == ["big"]
    (model,) = json.loads(run("--config", place, "--since", "2026-10-21", "--until", "2026-10-22", "--json").stdout)[
        "models"
    ]
    assert (model["model"], [plan["name"] for plan in model["plans"]]) == ("removed", ["pay as you go"])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--gpus", "2"), "--gpu-usd-per-hour and --tokens-per-second are needed together"),
        (("--gpu-usd-per-hour", "2"), "are needed together"),
        (("--committed", "2"), "expected USD_PER_MONTH:TOKENS_PER_MINUTE"),
        (("--committed", "2:0"), "expected USD_PER_MONTH:TOKENS_PER_MINUTE"),
        (("--committed", "x:5"), "expected an amount in USD"),
        (("--committed", "2:100"), "are for one model: say --model, one of big, flash"),
        (("--model", "gone"), "no entries of 'gone'"),
        (("--batch-share", "1.5"), "expected a share from 0 to 1"),
        (("--batch-share", "half"), "expected a share, such as 0.2"),
    ],
)
def test_what_can_not_be_done(place: Path, words: tuple[str, ...], part: str) -> None:
    """An error that says what to do, and exit code 2."""
    found = run("--config", place, *WEEK, *words)
    assert found.exit_code == 2
    assert part in re.sub(r"[\s│]+", " ", found.output)


def test_no_such_time(place: Path, tmp_path: Path) -> None:
    """An empty window, one before the ledger's first entry, a store that is not there."""
    assert "must be before --until" in said(run("--config", place, "--since", "2026-10-08", "--until", "2026-10-01"))
    assert "the ledger has no entries from 2026-09-01" in said(
        run("--config", place, "--since", "2026-09-01", "--until", "2026-09-02")
    )
    (tmp_path / "s.json").write_text("[]")
    (tmp_path / "c.toml").write_text(CONFIG)
    found = run("--config", tmp_path / "c.toml")
    assert found.exit_code == 2
    assert "a gateway with this config has never run" in said(found)
    assert not (tmp_path / "tierwise.db").exists()
