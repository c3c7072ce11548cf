"""`tierwise train --screen`, as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import Result

from tests.offline.screening.test_screen_training import rows, written
from tests.support.terminal import call


def run(*words: str | Path) -> Result:
    return call(list(map(str, words)), env={"COLUMNS": "120", "TERM": "dumb"})


def train(*words: str | Path) -> Result:
    return run("train", *words)


def test_the_report(tmp_path: Path) -> None:
    """What is shown of each class and language, for people and for scripts; the file stands beside the data."""
    data = written(tmp_path, rows())
    ran = train("--screen", "moderation", "--data", data, "--labels", "spam", "--recall", "0.9")
    said = re.sub(r"\s+", " ", ran.output)
    assert ran.exit_code == 0
    assert "400 labelled texts; " in said
    assert re.search(r"spam 150 \d\.\d{4} \S+% \(9\S+%\) of \d+ \S+% \(\S+%\) of \d+ yes", said)
    assert re.search(r"spam de \d", said)
    assert 'trained = "rows.moderation.npz" under [routes.NAME.screens]' in said
    told = json.loads(
        train(
            "--screen", "moderation", "--data", data, "--labels", "spam", "--out", tmp_path / "b.npz", "--json"
        ).stdout
    )
    assert (told["goal"], told["share"], told["classes"][0]["head"]["name"]) == ("false_blocks", 0.02, "spam")
    assert (tmp_path / "b.npz").exists()


def test_what_is_not_certifiable_yet(tmp_path: Path) -> None:
    """Is said with the rows that lack; and what there was too little of."""
    data = written(tmp_path, [row | {"rare": int(not at)} for at, row in enumerate(rows(60, 60))])
    said = re.sub(r"\s+", " ", train("--screen", "moderation", "--data", data, "--labels", "spam,rare").output)
    assert re.search(r"spam: false blocks <= 2.0% is not certifiable yet: \d+ more rows that are not of it", said)
    assert "not yet" in said
    assert "Too few rows to learn from: rare" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--screen", "moderation"), "--screen takes labelled texts"),
        (("--screen", "moderation", "--data", "x", "--route", "r"), "neither --route nor --outcomes"),
        (("--screen", "moderation", "--sorter", "--data", "x"), "nor both kinds"),
        (("--screen", "moderation", "--data", "x", "--recall", "0.9", "--false-blocks", "0.1"), "not by both"),
        (("--screen", "moderation", "--data", "x", "--recall", "1"), "shares between"),
        (("--screen", "moderation", "--data", "x", "--false-blocks", "0"), "shares between"),
        (("--screen", "moderation", "--data", "x", "--out", "/nowhere/y.npz"), "/nowhere is no folder"),
        (("--sorter", "--data", "x", "--recall", "0.9"), "are for --screen"),
        (("--screen", "moderation", "--data", "/nowhere.jsonl"), "can't be read"),
    ],
)
def test_options_that_do_not_go_together(words: tuple[str, ...], said: str) -> None:
    """Are refused with what does."""
    done = train(*words)
    assert done.exit_code == 2
    assert said in re.sub(r"\s+", " ", done.stderr)
