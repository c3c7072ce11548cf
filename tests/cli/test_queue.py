"""`tierwise queue`, as a person sees it: what waits, what was asked, an answer that is kept once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.test_keys import CONFIG
from tests.support.terminal import call
from tierwise.gateway.clock import SystemClock
from tierwise.proof import Case, Turn
from tierwise.store.sqlite import open_sqlite

HOUR = 3_600 * 10**9
BEGAN = 1_790_000_000 * 10**9  # 2026-09-21T14:13:20Z


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "answers.json").write_text("[]", encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str, typed: str | None = None) -> Result:
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "COLUMNS": "120", "TIERWISE_PEPPER": None, "USER": "ada"}
    return call(["queue", *words], env=env, typed=typed)


def case(name: str, words: str, *, hours: int = 0, route: str = "support") -> Case:
    return Case(
        id=name,
        route=route,
        key_id="k1",
        at_ns=BEGAN + hours * HOUR,
        why="human:self-harm",
        turns=(Turn("system", "Be kind."), Turn("user", words)),
    )


def hand(folder: Path, *cases: Case) -> None:
    async def handed() -> None:
        store = await open_sqlite(folder / "ledger.db", clock=SystemClock(), instance="test")
        for one in cases:
            await store.proof.desk.hand(one)
        await store.close()

    asyncio.run(handed())


def listed(folder: Path, *options: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run(folder, "list", "--json", *options).stdout)
    return found


def test_nobody_waits(folder: Path) -> None:
    """And nobody has been answered: it says so."""
    assert run(folder, "list").stdout.strip() == "Nobody waits."
    assert run(folder, "list", "--answered").stdout.strip() == "Nobody has been answered yet."
    assert run(folder, "work").stdout.strip() == "0 answered, 0 left."


def test_the_list(folder: Path) -> None:
    """The oldest first, with why and how the last words began, on one line each; or those of one route."""
    hand(folder, case("r2", "Where is\nmy parcel? " * 9, hours=1, route="claims"), case("r1", "I can't go on."))
    lines = run(folder, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "r1", "r2"]
    assert "2026-09-21 14:13" in lines[1]
    assert "human:self-harm" in lines[1]
    assert lines[1].rstrip().endswith("I can't go on.")
    assert [row["id"] for row in listed(folder, "--route", "claims")] == ["r2"]


def test_a_terminal_obeys_no_client(folder: Path) -> None:
    """Escapes and markup of a client's are shown as what they are."""
    hand(folder, case("r1", "\x1b[2Jgone [bold]loud[/]"))
    for words in (("list",), ("show", "r1")):
        out = run(folder, *words).stdout
        assert "\x1b" not in out
        assert "\\x1b[2Jgone [bold]loud[/]" in out


def test_one_case(folder: Path) -> None:
    """The whole conversation; as JSON too."""
    hand(folder, case("r1", "I can't go on."))
    out = run(folder, "show", "r1").stdout
    assert out.index("human:self-harm") < out.index("Be kind.") < out.index("I can't go on.")
    said = json.loads(run(folder, "show", "r1", "--json").stdout)
    assert said["turns"][1] == {"role": "user", "text": "I can't go on.", "calls": [], "answers": ""}
    assert said["at"] == "2026-09-21T14:13:20Z"
    assert "no such case" in run(folder, "show", "r9").stderr


def test_an_answer(folder: Path) -> None:
    """Is kept with who gave it; a second one is refused, and so is an empty one."""
    hand(folder, case("r1", "I can't go on."))
    assert run(folder, "answer", "r1", "--text", "-", "--by", "bob", typed="I am calling you.\n").exit_code == 0
    assert listed(folder) == []
    (row,) = listed(folder, "--answered")
    assert (row["answer"], row["by"]) == ("I am calling you.", "bob")
    assert "answered it already" in run(folder, "answer", "r1", "--text", "me too").stderr
    assert "is empty" in run(folder, "answer", "r1", "--text", "  ").stderr
    assert "100,000 are the most" in run(folder, "answer", "r1", "--text", "a" * 100_001).stderr
    assert "I am calling you." in run(folder, "show", "r1").stdout


def test_working_through_it(folder: Path) -> None:
    """Answers of several lines, skipping, quitting; each answer is kept at once."""
    hand(folder, *[case(f"r{place}", f"words {place}", hours=place) for place in range(4)])
    done = run(folder, "work", typed="first line\nsecond line\n\ns\nyes\n\nq\n")
    assert done.stdout.rstrip().endswith("2 answered, 2 left.")
    assert "3 of 4" in done.stdout
    assert {row["id"]: (row["answer"], row["by"]) for row in listed(folder, "--answered")} == {
        "r0": ("first line\nsecond line", "ada"),
        "r2": ("yes", "ada"),
    }
    assert run(folder, "work", typed="at the end of input").stdout.rstrip().endswith("1 answered, 1 left.")
    assert run(folder, "work", typed="").stdout.rstrip().endswith("0 answered, 1 left.")
