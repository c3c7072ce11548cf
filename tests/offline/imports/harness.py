"""Run `tierwise import` as a user does, on files made here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.testing import Result

from tests.support.terminal import call
from tierwise.offline.outcomes import read


def put(path: Path, value: Any) -> Path:
    """Text as it is; a list for a `.jsonl` file as lines, anything else as one JSON document."""
    if isinstance(value, str):
        path.write_text(value, encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(item)}\n" for item in value), encoding="utf-8")
    else:
        path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return path


def command(*words: str | Path) -> Result:
    return call(["import", *map(str, words)], env={"COLUMNS": "200"})


def imported(out: Path, *words: str | Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of the outcomes, in their order, and the report."""
    found = command(*words, "--out", out, "--json")
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    return read(out).to_dicts(), report


def refused(*words: str | Path) -> str:
    """The error that the command ends with."""
    found = command(*words)
    assert found.exit_code == 2, found.output
    assert found.stdout == ""
    return found.stderr.removeprefix("error: ").strip()


def extra(row: dict[str, Any]) -> Any:
    return json.loads(row["extra"] or "{}")


def columns(rows: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]
