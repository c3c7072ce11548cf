"""`tierwise screen`, as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tierwise.cli import app


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["screen", *map(str, words)], env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    path = tmp_path / "comments.csv"
    path.write_text('id,comment\n1,hello there\n2,"I hate all Muslims, they are vermin"\n3,mail a@example.com\n')
    return path


def test_it_says_what_was_flagged_and_why(comments: Path, tmp_path: Path) -> None:
    """How many rows, of which screen and class, and what it can't see."""
    out = tmp_path / "out.jsonl"
    ran = run(comments, "--out", out)
    assert ran.exit_code == 0
    assert "Flagged 2 of 3 rows (66.7%) by their column comment." in ran.output
    assert re.search(r"moderation: hate +1 +33.3%", ran.output)
    assert re.search(r"privacy: email +1 +33.3%", ran.output)
    assert "sexual/minors" in ran.output
    assert "vermin" not in ran.output
    assert [json.loads(line)["flagged"] for line in out.read_text().splitlines()] == [False, True, True]
    assert "3 of them were there from an earlier run." in run(comments, "--out", out).output


def test_json_is_for_scripts(comments: Path) -> None:
    """The report, and nothing else, without an output."""
    told = json.loads(run(comments, "--json", "--screens", "privacy, injection", "--text", "comment").stdout)
    assert told["why"] == {"privacy:email": 1}
    assert (told["rows"], told["flagged"], told["out"], told["screens"]) == (3, 1, None, ["privacy", "injection"])


def test_an_error_is_one_line(comments: Path) -> None:
    """Exit code 2, and what to do."""
    for words, said in ((("--text", "body"), "no column body"), (("--screens", "mood"), "no screen is called mood")):
        ran = run(comments, *words)
        assert ran.exit_code == 2
        assert said in re.sub(r"\s+", " ", ran.output)
        assert "Traceback" not in ran.output


def test_a_config_changes_nothing_yet(comments: Path, tmp_path: Path) -> None:
    """It is read, so a wrong one is told; the classifiers decide all the same."""
    config = tmp_path / "c.toml"
    config.write_text('[models.a]\nprovider = "scripted"\nscript = "a.json"\n[routes.r]\ntiers = ["a"]\n')
    assert run(comments, "--config", config, "--json").stdout == run(comments, "--json").stdout
    config.write_text("[routes.r]\ntears = 1\n")
    assert run(comments, "--config", config).exit_code == 2


def test_help_has_an_example_and_promises_nothing() -> None:
    """In 80 columns."""
    text = run("--help").output
    assert "Example: tierwise screen comments.csv" in re.sub(r"\s+", " ", text)
    assert "no model is asked" in re.sub(r"[\s│]+", " ", text)
    assert max(map(len, text.splitlines())) <= 80
