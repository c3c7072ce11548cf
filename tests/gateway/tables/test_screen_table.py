"""What can be wrong with a route's screens, and what they become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.test_settings import GOOD, config, problems
from tierwise.gateway.screening.guards import Guard, guard, shared_reader
from tierwise.gateway.settings import read_environment
from tierwise.gateway.snapshot import build
from tierwise.gateway.tables.screen_table import OFF, REPLY, ScreensTable, actions, floor, human
from tierwise.screens.moderation import TRAINED

OWN = {"name": "warranty", "description": "d", "floor": "human", "threshold": 0.8, "examples": ["It broke."]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('moderation = "blok"', 'moderation: "blok" is not one of off, flag, block, human; did you mean "block"?'),
        ('categories = { "hat" = "block" }', 'categories: no category "hat"; did you mean "hate"?'),
        (
            'categories = { "hate" = "off" }',
            'categories.hate: "off" is not one of allow, flag, block, human; valid: allow, block, flag, human',
        ),
        (
            'categories = { "sexual/minors" = "block" }',
            'categories: no classifier knows "sexual/minors", so it would never be found; leave it out',
        ),
        ('thresholds = { "leagl" = 0.5 }', 'thresholds: no class "leagl"; did you mean "legal"?'),
        ('thresholds = { "hate" = 1.5 }', "thresholds.hate: must be more than 0 and at most 1, got 1.5"),
        ('risk = ["leagl"]', 'risk: no class "leagl"; did you mean "legal"?'),
        ('policies = "nowhere"', "policies: there is no folder"),
        ('privacy_types = ["emial"]', 'privacy_types: no type "emial"; did you mean "email"?'),
        ('personal_regions = ["eu"]', 'personal_regions: no model in "eu"; there are none'),
        ('screener = "cheep"', 'screener: no model "cheep"; did you mean "cheap"?'),
        ("window = 10", "window: must be at least 40 and at most 4000, got 10"),
        ("personal_retention_days = -1", "personal_retention_days: must be at least 0 and at most 36500, got -1"),
        ('moderations = "flag"', 'moderations: unknown key; did you mean "moderation"?'),
    ],
)
def test_mistakes(tmp_path: Path, line: str, said: str) -> None:
    """Each is told with its line and what would be right."""
    found = problems(tmp_path, f"{GOOD}\n[routes.support.screens]\n{line}\n")
    assert len(found) == 1
    assert f"routes.support.screens.{said}" in found[0]


def policy(folder: Path, file: str = "warranty.json", **changes: Any) -> None:
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / file).write_text(json.dumps(OWN | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"floor": "cheap"}, "warranty.json: no policy"), ({"threshold": 2}, "warranty.json: threshold is above 0")],
)
def test_a_policy_that_is_none(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """The file is named, and what is wrong in it."""
    policy(tmp_path, **changes)
    (found,) = problems(tmp_path, GOOD + '\n[routes.support.screens]\npolicies = "own"\n')
    assert f"routes.support.screens.policies: {said}" in found


def test_what_a_route_becomes(tmp_path: Path) -> None:
    """Classes are floors or people's, the operator's own too; what a person answers need not be a class."""
    policy(tmp_path)
    policy(tmp_path, "legal.json", name="legal", floor="human")
    lines = ('risk = ["all"]', 'policies = "own"', 'categories = { "hate" = "human" }', 'screener = "cheap"')
    loaded = config(tmp_path, "\n".join((GOOD, "[routes.support.screens]", *lines, "")))
    route = build(loaded, read_environment({"HOME": str(tmp_path)})).routes["support"]
    assert route.human == {"self-harm", "minors", "warranty", "legal", "flagged:hate"}
    assert {"medical", "financial"} <= route.floor
    assert not route.floor & route.human
    assert (route.human_reply, route.screener and route.screener.name) == (REPLY, "cheap")


def test_off_is_nothing() -> None:
    """No weights, no tags, no actions."""
    assert guard(OFF) is None
    assert guard(ScreensTable(privacy="redact", window=400)) is None
    assert (floor(OFF), human(OFF), actions(OFF)) == (frozenset(), frozenset(), {})


def test_a_category_counts_over_all_of_them() -> None:
    """And "allow" takes one out."""
    found = actions(ScreensTable(moderation="block", categories={"hate": "flag", "sexual": "allow"}, injection="flag"))
    rest = [name for name in TRAINED if name != "sexual"]
    assert found == dict.fromkeys(rest, "block") | {"hate": "flag", "injection": "flag"}


def test_one_reader_for_all_routes() -> None:
    """Weights are there once in a process."""
    assert shared_reader() is shared_reader()
    first = guard(ScreensTable(moderation="flag"))
    assert isinstance(first, Guard)
