"""`tierwise ask`: what is asked of nobody says who there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.terminal import call

CONFIG = """
[models.cheap]
provider = "scripted"
script = "none.json"
[routes.default]
tiers = ["cheap"]
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--route", "defalt"], "c.toml: no route or model 'defalt'; it has default, cheap"),
        (["--mode", "cheap"], "'cheap' is not one of 'premium'"),
    ],
)
def test_a_mistake_says_what_there_is(tmp_path: Path, words: list[str], said: str) -> None:
    """Before anything is opened: no store is made for it."""
    (tmp_path / "c.toml").write_text(CONFIG)
    found = call(["ask", "hello", *words, "--config", str(tmp_path / "c.toml")], env={"COLUMNS": "80"})
    assert found.exit_code == 2
    assert said in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]
