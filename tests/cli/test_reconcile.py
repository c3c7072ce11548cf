"""`tierwise reconcile`: providers' exports against a ledger that a gateway has written, and what is booked of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.terminal import call
from tierwise.gateway.settings import load
from tierwise.gateway.setup.first_run import opened
from tierwise.money import Entry, Record
from tierwise.proof import Event
from tierwise.types import Decision, Usage

CONFIG = """
[server]
port = 0
[models.flash]
provider = "deepseek"
model = "deepseek-flash"
api_key_env = "KEY"
[models.hosted]
provider = "deepseek"
model = "deepseek-flash"
base_url = "https://other.example/v1"
api_key_env = "KEY"
[models.big]
provider = "openai"
model = "gpt-4o"
api_key_env = "KEY"
[routes.r]
tiers = ["flash", "big"]
"""
KEY = {"KEY": "x"}
START = int(datetime(2026, 10, 1, 12, tzinfo=UTC).timestamp())
COST = "user_id,utc_date,model,wallet_type,cost,currency\n"


def row(day: int, usd: str, model: str = "deepseek-flash") -> str:
    return f"u,2026100{day},{model},Paid,{usd},USD\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two days: a dollar of DeepSeek's own each, and more elsewhere."""
    (tmp_path / "c.toml").write_text(CONFIG)
    asyncio.run(_write(tmp_path / "c.toml"))
    return tmp_path / "c.toml"


async def _write(config: Path) -> None:
    async with opened(load(config, KEY)) as store:
        for day in range(2):
            for name, tokens in (("flash", 1000), ("hosted", 70), ("big", 50)):
                usage, nanos = Usage(tokens, tokens // 10), tokens * 1_000_000
                entry = Entry(name, name, "direct", usage, nanos, "computed", "served", "direct", 1.0, 2.0)
                decision = Decision("serve", "direct", None, ())
                at_ns = (START + 86_400 * day) * 1_000_000_000
                await store.post(
                    Record(f"{name}{day}", "key_1", "r", at_ns, 2.0, 200, decision, (entry,), 0, "unknown")
                )


def run(*words: str | Path) -> Result:
    return call(["reconcile", *map(str, words)], env={"COLUMNS": "80"} | KEY)


def said(found: Result) -> str:
    return re.sub(r"[\s│]+", " ", found.output)


def export(place: Path, text: str, name: str = "cost.csv") -> Path:
    (place.parent / name).write_text(text)
    return place.parent / name


async def _trail(config: Path) -> Sequence[Event]:
    async with opened(load(config, KEY)) as store:
        return await store.proof.trail()


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    found = run("--help")
    assert "Example: tierwise reconcile cost_2026-10-01_2026-10-31.csv" in said(found)
    assert max(map(len, found.output.splitlines())) <= 80


def test_all_matches(place: Path) -> None:
    """Exit code 0; another host's model of the same name is not on this invoice."""
    found = run(export(place, COST + row(1, "1.00") + row(2, "0.996")), "--config", place)
    assert found.exit_code == 0, found.output
    assert "DeepSeek costs (CSV), 2026-10-01 to 2026-10-02 (UTC)" in found.stdout
    assert "2 of 2 days and models match." in found.stdout
    assert "In sum, cost: $2.00 in the ledger, $2.00 in the file" in found.stdout


def test_it_does_not_match(place: Path) -> None:
    """Exit code 1, and each day and model that differs, on either side; a tolerance may take it in."""
    file = export(place, COST + row(1, "1.10") + row(1, "0.05", "deepseek-v4-pro"))
    found = run(file, "--config", place, "--until", "2026-10-03")
    assert found.exit_code == 1
    assert max(map(len, found.output.splitlines())) <= 80
    for part in (
        "2026-10-01 deepseek-flash cost $1.00 $1.10 +$0.1000 (10 %)",
        "2026-10-01 deepseek-v4-pro cost $0.00 $0.0500 not in the ledger",
        "2026-10-02 deepseek-flash cost $1.00 $0.00 not in the file",
        "0 of 3 days and models match, 1 off, 1 not in the file, 1 not in the ledger.",
    ):
        assert part in said(found)
    found = run(export(place, COST + row(1, "1.10")), "--config", place, "--tolerance", "10 %")
    assert found.exit_code == 0


def test_as_json(place: Path) -> None:
    """Every row, those that match too, in integers."""
    page = {"data": [{"start_time": START - 43_200, "end_time": START + 43_200, "results": [
        {"input_tokens": 50, "output_tokens": 6, "model": "gpt-4o-2024-08-06"}]}]}  # fmt: skip
    found = run(export(place, json.dumps(page), "usage.json"), "--config", place, "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert (told["provider"], told["first"], told["last"]) == ("openai", "2026-10-01", "2026-10-01")
    assert told["matched"] is False
    assert told["rows"] == [{
        "day": "2026-10-01", "model": "gpt-4o", "state": "off",
        "ledger": {"input_tokens": 50, "output_tokens": 5, "nanos": 50_000_000},
        "file": {"input_tokens": 50, "output_tokens": 6, "nanos": None},
    }]  # fmt: skip
    assert told["booked"] == []


def test_booking(place: Path) -> None:
    """The difference is booked once: then all matches, and booking it again changes nothing. The trail has a line."""
    file = export(place, COST + row(1, "1.10") + row(1, "0.05", "deepseek-v4-pro") + row(2, "0.75"))
    first = run(file, "--config", place, "--book")
    assert first.exit_code == 1
    assert "Booked 3 corrections, -$0.1000 in sum." in first.stdout
    second = run(file, "--config", place, "--book", "--json")
    assert second.exit_code == 0, second.output
    told = json.loads(second.stdout)
    assert told["booked"] == []
    assert [each["ledger"]["nanos"] for each in told["rows"]] == [1_100_000_000, 50_000_000, 750_000_000]
    (event,) = asyncio.run(_trail(place))
    assert event.what == "invoice"
    body = json.loads(event.body)
    assert (body["corrections"], body["nanos"]) == (3, -100_000_000)
    assert re.fullmatch(r"invoice: cost\.csv, sha256 [0-9a-f]{16}", body["reason"])


def test_a_later_file_books_the_rest(place: Path) -> None:
    """The same day with more on it; what a file does not have is not booked away."""
    run(export(place, COST + row(1, "1.10")), "--config", place, "--book")
    found = run(export(place, COST + row(1, "1.25"), "later.csv"), "--config", place, "--book", "--until", "2026-10-03")
    assert "Booked 1 correction, $0.1500 in sum." in found.stdout
    assert "2026-10-02 deepseek-flash cost $1.00 $0.00 not in the file" in said(found)


def test_many_that_differ(place: Path) -> None:
    """A screenful is shown, and how many more there are; what was left out is told."""
    rows = "".join(row(1, "1", f"model-{number:02}") for number in range(50)) + row(1, "3", "yuan").replace(
        "USD", "CNY"
    )
    found = run(export(place, COST + rows), "--config", place)
    assert "model-38" in found.stdout
    assert "model-39" not in found.stdout
    assert "... and 11 more; --json has all of them" in found.stdout
    assert "note: left out of the file: 1 times a cost in CNY" in said(found)


@pytest.mark.parametrize(
    ("text", "words", "part"),
    [
        ("a,b\n1,2\n", (), "no export that is known: it has the fields a, b; expected one of"),
        (COST + row(1, "1"), ("--provider", "anthropic"), "expected one of Anthropic usage report (API)"),
        (
            COST + row(1, "1").replace("USD", "CNY"),
            (),
            "a cost in CNY, which the ledger does not keep: nothing to compare",
        ),
        (COST + row(1, "1"), ("--since", "2026-10-02"), "must be before --until, and not after the file's last day"),
        (COST + row(1, "1"), ("--tolerance", "lots"), "expected a percentage, such as 0.5"),
        (COST + row(1, "1"), ("--tolerance", "101"), "expected a percentage from 0 to 100"),
        ("utc_date,model,type,amount\n20261001,m,output_tokens,5\n", ("--book",), "says nothing of money"),
    ],
)
def test_what_can_not_be_done(place: Path, text: str, words: tuple[str, ...], part: str) -> None:
    """An error that says what was expected and what was found, and exit code 2."""
    found = run(export(place, text), "--config", place, *words)
    assert found.exit_code == 2, found.output
    assert part in said(found)


def test_no_store(tmp_path: Path) -> None:
    """A config that no gateway has run with: nothing is made."""
    (tmp_path / "c.toml").write_text(CONFIG)
    found = run(export(tmp_path / "c.toml", COST + row(1, "1")), "--config", tmp_path / "c.toml")
    assert found.exit_code == 2
    assert "has never run" in said(found)
    assert not (tmp_path / "tierwise.db").exists()
