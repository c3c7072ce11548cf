"""What can be wrong with a route's screens, and what they become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.test_settings import GOOD, config, problems
from tierwise.gateway.screening.guards import Guard, guard, shared_reader
from tierwise.gateway.settings import read_environment
from tierwise.gateway.snapshot import build
from tierwise.gateway.tables.screen_table import OFF, REPLY, ScreensTable, actions, floor, human
from tierwise.screens.moderation import CATEGORIES

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
            'thresholds = { "sexual/minor" = 0.3 }',
            'thresholds: no class "sexual/minor"; did you mean "sexual/minors"?',
        ),
        ('thresholds = { "leagl" = 0.5 }', 'thresholds: no class "leagl"; did you mean "legal"?'),
        ('thresholds = { "hate" = 1.5 }', "thresholds.hate: must be more than 0 and at most 1, got 1.5"),
        ('risk = ["leagl"]', 'risk: no class "leagl"; did you mean "legal"?'),
        ('policies = "nowhere"', "policies: there is no folder"),
        ('privacy_types = ["emial"]', 'privacy_types: no type "emial"; did you mean "email"?'),
        ('personal_regions = ["eu"]', 'personal_regions: no model in "eu"; there are none'),
        ('screener = "cheep"', 'screener: no model "cheep"; did you mean "cheap"?'),
        (
            'privacy = "flag"\nscreener = "cheap"',
            "screener: is asked where a screen is in doubt, and none is on: moderation, injection or risk",
        ),
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


COMMON = """
[screens]
moderation = "block"
privacy = "redact"
policies = "own"
"""


def test_what_holds_where_nothing_else_is_said(tmp_path: Path) -> None:
    """For routes and for models that are named; a route's own keys count over it, its other keys stay."""
    policy(tmp_path)
    routes = '[routes.own]\ntiers = ["cheap"]\nscreens = { moderation = "flag", privacy = "off" }\n'
    routes += '[routes.none]\ntiers = ["cheap"]\nscreens = "none"\n[routes.empty.screens]\n'
    routes += '[routes.empty]\ntiers = ["cheap"]\n'
    screens = config(tmp_path, f"{GOOD}{COMMON}{routes}").screens
    common = ScreensTable(moderation="block", privacy="redact", policies=str(tmp_path / "own"))
    assert screens["cheap"] is screens["premium"] is screens["support"]
    assert screens["support"] == screens["empty"] == common
    assert screens["own"] == msgspec.structs.replace(common, moderation="flag", privacy="off")
    assert screens["none"] == OFF
    assert all(table == OFF for table in config(tmp_path, GOOD).screens.values())


def test_mistakes_are_told_where_they_stand(tmp_path: Path) -> None:
    """Once: what a route takes over is not the route's mistake; what both make together is."""
    text = f'{GOOD}[routes.support.screens]\ninjection = "flag"\n[screens]\nrisk = ["leagl"]\nmoderatoin = 1\n'
    assert problems(tmp_path, text) == [
        'tierwise.toml:14: screens.risk: no class "leagl"; did you mean "legal"?',
        'tierwise.toml:15: screens.moderatoin: unknown key; did you mean "moderation"?',
    ]
    own = 'screener = "premium"\nmoderation = "off"\n'
    both = f'{GOOD}[routes.support.screens]\n{own}[screens]\nmoderation = "block"\n'
    (found,) = problems(tmp_path, both)
    assert found.startswith("tierwise.toml:12: routes.support.screens.screener: is asked where a screen is in doubt")
    silent = f'{GOOD}[routes.support.screens]\nmoderation = "off"\n[screens]\nmoderation = "block"\nscreener = "cheap"'
    assert config(tmp_path, silent).screens["support"].screener == "cheap"


@pytest.mark.parametrize("said", ['"off"', "false", "[]"])
def test_a_route_opts_out_by_one_word(tmp_path: Path, said: str) -> None:
    """Nothing else will do, and a table beside the word is no TOML."""
    (found,) = problems(tmp_path, f"{GOOD}screens = {said}\n")
    assert found.startswith('tierwise.toml:11: routes.support.screens: expected a table or "none", got ')
    (found,) = problems(tmp_path, f'{GOOD}screens = "none"\n[routes.support.screens]\n')
    assert "not valid TOML" in found


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


def test_what_a_model_is_that_is_named(tmp_path: Path) -> None:
    """Below every floor where it is a route's lower tier, and no route's last; what holds for all holds for it."""
    text = f'{GOOD}[screens]\nrisk = ["legal", "self-harm"]\nscreener = "premium"\n'
    environment = read_environment({"HOME": str(tmp_path)})
    found = build(config(tmp_path, text), environment)
    cheap, premium = found.direct["cheap"], found.direct["premium"]
    assert (cheap.tiers, cheap.below, premium.below) == ((found.models["cheap"],), True, False)
    assert cheap.floor == {"legal"}
    assert (sorted(cheap.human), cheap.human_reply) == (["self-harm"], REPLY)
    assert cheap.screener is found.models["premium"]
    also = build(config(tmp_path, f'{text}[routes.small]\ntiers = ["cheap"]\n'), environment)
    assert not also.direct["cheap"].below


def test_off_is_nothing() -> None:
    """No weights, no tags, no actions."""
    assert guard(OFF) is None
    assert guard(ScreensTable(privacy="redact", window=400)) is None
    assert (floor(OFF), human(OFF), actions(OFF)) == (frozenset(), frozenset(), {})


def test_a_category_counts_over_all_of_them() -> None:
    """And "allow" takes one out."""
    found = actions(ScreensTable(moderation="block", categories={"hate": "flag", "sexual": "allow"}, injection="flag"))
    rest = [name for name in CATEGORIES if name != "sexual"]
    assert found == dict.fromkeys(rest, "block") | {"hate": "flag", "injection": "flag"}


def test_one_reader_for_all_routes() -> None:
    """Weights are there once in a process."""
    assert shared_reader() is shared_reader()
    first = guard(ScreensTable(moderation="flag"))
    assert isinstance(first, Guard)
