"""Commands on recorded answers, as a person sees them in a terminal of 80 columns."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import Result

from tests.offline.imports.harness import put
from tests.support.terminal import call

ROW = {"prompt": "p", "model": "m", "response": "r", "score": 1}


def run(*words: str | Path) -> Result:
    return call([*map(str, words)], env={"COLUMNS": "80"})


def test_help_shows_an_example() -> None:
    """And every kind of log."""
    found = run("import", "--help")
    text = re.sub(r"[\s│]+", " ", found.output)
    assert "Example: tierwise import" in text
    assert "auto, litellm, langfuse, openai; or plain tables: jsonl, csv, parquet." in text
    assert max(map(len, found.output.splitlines())) <= 80


def test_what_a_person_sees(tmp_path: Path) -> None:
    """A table of models, and what became of the rest."""
    lines = [ROW, {**ROW, "model": "n [red]", "score": 0, "cost": 0.25}, {**ROW, "score": 9}]
    file = put(tmp_path / "a.jsonl", lines)
    found = run("import", file, "--out", tmp_path / "o.parquet")
    assert found.exit_code == 0
    assert "m           1       1       1.000       0          -" in found.stdout
    assert "n [red]     1       1       0.000       1  $0.250000" in found.stdout
    assert f"2 rows of 1 queries in {tmp_path}/o.parquet" in found.stdout
    assert "1 queries have rows of two models or more" in found.stdout
    assert "not used, 1 times: a score that is not from 0 to 1" in found.stdout
