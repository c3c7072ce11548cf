"""`tierwise init --example`: every example runs as it is, and shows what it is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.terminal import call
from tierwise.gateway.settings import load
from tierwise.gateway.setup.examples import names


def run(folder: Path, *words: str) -> Result:
    env = {"TIERWISE_CONFIG": str(folder / "tierwise.toml"), "COLUMNS": "100", "TIERWISE_PEPPER": None}
    return call([*words], env=env)


@pytest.mark.parametrize("name", names())
def test_an_example_is_whole(tmp_path: Path, name: str) -> None:
    """Its config loads, doctor finds nothing to mend, and what it says to try has its files."""
    done = run(tmp_path, "init", "--example", name)
    assert done.exit_code == 0, done.stderr
    load(tmp_path / "tierwise.toml", {})
    found = json.loads(run(tmp_path, "doctor", "--json").stdout)
    assert [finding for finding in found if finding["level"] == "fail"] == []
    (command,) = [line.split() for line in done.stdout.splitlines() if line.startswith("  tierwise")]
    assert (tmp_path / command[2]).exists() or Path(command[2]).exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Unless it is forced."""
    (tmp_path / "replies.json").write_text("mine", encoding="utf-8")
    done = run(tmp_path, "init", "--example", "support")
    assert (done.exit_code, (tmp_path / "replies.json").read_text()) == (2, "mine")
    assert "is there already; --force overwrites it" in done.stderr
    assert not (tmp_path / "tierwise.toml").exists()
    assert run(tmp_path, "init", "--example", "support", "--force").exit_code == 0
    assert (tmp_path / "replies.json").read_text() != "mine"


def test_an_example_that_is_none(tmp_path: Path) -> None:
    """With those that there are; and the config keeps its name."""
    assert f"there are {', '.join(names())}" in run(tmp_path, "init", "--example", "poetry").stderr
    other = run(tmp_path, "init", "--example", "support", "--config", str(tmp_path / "other.toml"))
    assert "an example's config is called tierwise.toml" in other.stderr


def test_support_saves_and_is_right(tmp_path: Path) -> None:
    """Most of its traffic is answered by the sorter, rightly; law, danger and people in need never are."""
    run(tmp_path, "init", "--example", "support")
    said = json.loads(run(tmp_path, "drive", str(tmp_path / "traffic.jsonl"), "--route", "support", "--json").stdout)
    assert said["saved"] > 0.4
    assert said["right"] / said["judged"] > 0.97
    assert said["models"][0]["name"] == "sorter"
    rules = said["rules"]
    assert rules["floor:legal"] >= 4
    assert rules["floor:urgent"] >= 6
    assert sum(count for rule, count in rules.items() if rule.startswith("human:")) >= 2
    waiting = json.loads(run(tmp_path, "queue", "list", "--json").stdout)
    assert {row["why"] for row in waiting} <= {"self-harm", "minors"}
    assert len(waiting) >= 2
