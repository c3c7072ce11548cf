"""Budgets as the config has them: what they come to, and what can be wrong with them beyond their types."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.test_settings import GOOD, config, problems
from tierwise.gateway.settings import read_environment
from tierwise.gateway.snapshot import build
from tierwise.money import Budget

B = "[budgets.b]\n"


@pytest.mark.parametrize(
    ("lines", "budget"),
    [
        ('key = "ann"\nusd = 25', Budget("key", "ann", "total", 25 * 10**9, None, 800_000)),
        ('team = "sales"\nusd = 0.1\nperiod = "day"', Budget("team", "sales", "day", 10**8, None, 800_000)),
        ('route = "support"\ntokens = 7\nsoft = 0.5', Budget("route", "support", "total", None, 7, 500_000)),
        ('route = "cheap"\ntokens = 7\nsoft = 1', Budget("route", "cheap", "total", None, 7, 1_000_000)),
        ('tag = " Trial "\nusd = 0.000000001\ntokens = 7', Budget("tag", "trial", "total", 1, 7, 800_000)),
        ('usd = 1\nperiod = "month"', Budget("all", "", "month", 10**9, None, 800_000)),
    ],
)
def test_what_a_table_comes_to(tmp_path: Path, lines: str, budget: Budget) -> None:
    """Dollars exactly, tags as they come, the soft limit in millionths."""
    found = config(tmp_path, GOOD + B + lines + "\n")
    snapshot = build(found, read_environment({"HOME": str(tmp_path)}))
    assert snapshot.budgets == {"b": budget}
    assert snapshot.bearers == {(budget.scope, budget.name): (budget,)}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("soft = 0.5", "needs `usd`, or `tokens`, or both: how much may be spent"),
        ('usd = 1\nkey = "a"\ntag = "b"', "limits one thing: `key` or `tag`, not both"),
        ("usd = 0", "usd: must be more than 0 and at most 1000000000 USD"),
        ("usd = nan", "usd: must be more than 0 and at most 1000000000 USD"),
        ("usd = 0.0000000001", "usd: has more than nine decimals; money is counted in billionths of a dollar"),
        ("tokens = 0", "tokens: must be at least 1 and at most 1000000000000000, got 0"),
        ("usd = 1\nsoft = 0", "soft: must be more than 0 and at most 1, got 0"),
        ("usd = 1\nsoft = 1.1", "soft: must be more than 0 and at most 1, got 1.1"),
        ('usd = 1\nperiod = "year"', 'period: "year" is not one of day, week, month, total; valid: day, month'),
        ('usd = 1\nroute = "suport"', 'route: no route or model "suport"; did you mean "support"?'),
        ('usd = 1\nteam = "a=b"', "team: expected 1 to 100 characters, none of them = or :"),
        ('usd = 1\nkey = "aside:x"', "key: expected 1 to 100 characters, none of them = or :"),
        ('usd = 1\nkeys = "a"', 'keys: unknown key; did you mean "key"?'),
    ],
)
def test_mistakes(tmp_path: Path, lines: str, said: str) -> None:
    """What limits nothing, or nobody, is refused before a request comes."""
    (found,) = problems(tmp_path, GOOD + B + lines + "\n")
    assert ": budgets.b" in found
    assert said in found


def test_two_of_one_kind(tmp_path: Path) -> None:
    """Only by another period: a store keeps one limit an account."""
    two = '[budgets.a]\nteam = "t"\nusd = 5\n[budgets.b]\nteam = "t"\nusd = 6\n'
    (found,) = problems(tmp_path, GOOD + two)
    assert found.endswith("budgets.b: limits the same as [budgets.a], by the same period; one of them is enough")
    assert len(config(tmp_path, GOOD + two + 'period = "day"\n').budgets) == 2


def test_a_name(tmp_path: Path) -> None:
    """It is shown in metrics, so it needs no escape there."""
    (found,) = problems(tmp_path, GOOD + '[budgets."a b"]\nusd = 5\n')
    assert "a name has 1 to 100 of the characters" in found


# ------------------------------------------------------------------ what a route does about money


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("over_budget", '"cheap"'),
        ("escalations_per_hour_share", "0.5"),
        ("escalations_per_hour_usd", "2"),
        ("holdout", "0.01"),
    ],
)
def test_a_route_of_one_tier_has_nothing_to_choose(tmp_path: Path, key: str, value: str) -> None:
    """Neither to degrade to, nor to escalate to, nor to compare with."""
    line = f"{key} = {value}\n"
    (found,) = problems(tmp_path, GOOD.replace('["cheap", "premium"]', '["premium"]') + line)
    assert f"routes.support.{key}: needs a second model in `tiers`" in found
    assert config(tmp_path, GOOD + line).routes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("escalations_per_hour_share = 1.5", "must be at least 0 and at most 1"),
        ("escalations_per_hour_usd = 0", "must be more than 0"),
        ('over_escalation = "drafts"', "did you mean"),
        ('over_budget = "premium"', "is not one of refuse, cheap"),
        ("holdout = 2", "must be at least 0 and at most 1"),
    ],
)
def test_mistakes_of_a_route(tmp_path: Path, line: str, said: str) -> None:
    """Told with what would be right."""
    (found,) = problems(tmp_path, GOOD + line + "\n")
    assert said in found


def test_what_a_route_comes_to(tmp_path: Path) -> None:
    """In the core's units; nothing where the config says nothing."""
    lines = (
        'escalations_per_hour_share = 0.5\nescalations_per_hour_usd = 2.5\nover_escalation = "draft"\nholdout = 0.1\n'
    )
    environment = read_environment({"HOME": str(tmp_path)})
    route = build(config(tmp_path, GOOD + lines), environment).routes["support"]
    assert route.escalations is not None
    assert (route.escalations.share, route.escalations.nanos, route.escalations.over) == (0.5, 2_500_000_000, "draft")
    assert route.holdout == 0.1
    bare = build(config(tmp_path, GOOD), environment).routes["support"]
    assert (bare.escalations, bare.holdout, bare.over_budget) == (None, 0.0, "refuse")
    dear = build(config(tmp_path, GOOD + "escalations_per_hour_usd = 2\n"), environment).routes["support"]
    assert dear.escalations is not None
    assert (dear.escalations.share, dear.escalations.nanos) == (None, 2 * 10**9)
