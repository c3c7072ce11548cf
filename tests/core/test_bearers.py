"""Which budgets bear a request."""

from __future__ import annotations

from tierwise.core.bearers import bearing, table, whole
from tierwise.core.window import account
from tierwise.money import Budget, Period, Scope, Tenant

TENANT = Tenant("key_1", "support", team="sales")
NOBODY: frozenset[str] = frozenset()


def budget(scope: Scope, name: str, nanos: int | None = 5, tokens: int | None = None, soft: int = 800_000) -> Budget:
    return Budget(scope, name, "month", nanos, tokens, soft)


ALL = [
    budget("key", "key_1"),
    budget("key", "support"),
    budget("team", "sales"),
    budget("route", "r"),
    budget("all", ""),
    budget("tag", "a"),
    budget("tag", "b"),
]
OTHERS = [budget("key", "key_2"), budget("team", "key_1"), budget("route", "s"), budget("tag", "c")]


def test_everybody_who_bears_it() -> None:
    """Key by id and by name, team, route, whole, and its tags that a budget names; nobody else's."""
    found = bearing(table([*OTHERS, *ALL]), TENANT, "r", frozenset({"b", "a", "d"}))
    assert list(found) == ALL


def test_without_budgets() -> None:
    """The key's own alone, or nothing."""
    assert bearing({}, TENANT, "r", frozenset({"a"})) == ()
    owner = Tenant("key_1", "support", 7, "day", budget_tokens=9)
    own = Budget("key", "key_1", "day", 7, 9)
    assert bearing({}, owner, "r", NOBODY) == (own,)
    assert bearing(table(OTHERS[:1]), owner, "s", NOBODY) == (own,)


def test_a_key_without_a_team_is_in_none() -> None:
    """Whatever is configured."""
    assert bearing(table(ALL), Tenant("key_3", "x"), "s", NOBODY) == (budget("all", ""),)


def test_a_key_that_is_named_as_its_id_pays_once() -> None:
    """Its name and its id lead to one budget."""
    assert bearing(table(ALL[:1]), Tenant("key_1", "key_1"), "r", NOBODY) == (ALL[0],)


def test_several_periods() -> None:
    """Each is kept by itself."""
    periods: tuple[Period, ...] = ("day", "month", "total")
    budgets = [Budget("team", "sales", period, 5) for period in periods]
    assert bearing(table(budgets), TENANT, "r", NOBODY) == tuple(budgets)


def test_two_on_one_account_are_one() -> None:
    """The stricter in each unit: a store keeps one limit an account."""
    owner = Tenant("key_1", "support", 7, "month", budget_tokens=None)
    found = bearing(table([budget("key", "key_1", 5, 9)]), owner, "r", NOBODY)
    assert found == (budget("key", "key_1", 5, 9),)
    owner = Tenant("key_1", "support", 3, "month", budget_tokens=8)
    found = bearing(table([budget("key", "key_1", 5, 9)]), owner, "r", NOBODY)
    assert found == (budget("key", "key_1", 3, 8),)
    tokens = Tenant("key_1", "support", None, "month", budget_tokens=8)
    assert bearing(table([budget("key", "key_1")]), tokens, "r", NOBODY) == (budget("key", "key_1", 5, 8),)
    assert bearing(table([budget("key", "key_1", None, 9)]), owner, "r", NOBODY) == (budget("key", "key_1", 3, 8),)


def test_the_lower_of_two_soft_limits_counts() -> None:
    """Whichever comes first."""
    for one, other in ((800_000, 500_000), (500_000, 800_000)):
        two = table([budget("all", "", soft=one), budget("all", "", soft=other)])
        assert bearing(two, TENANT, "r", NOBODY) == (budget("all", "", soft=500_000),)


def test_no_two_are_kept_on_one_account() -> None:
    """However they are named."""
    owner = Tenant("key_1", "support", 7, "month", team="sales")
    found = bearing(table(ALL), owner, "r", frozenset({"a", "b"}))
    assert len({account(each, 0) for each in found}) == len(found) == len(ALL)


def test_whole() -> None:
    """What no client asked for is borne by the whole gateway's budget alone."""
    assert whole(table(ALL)) == (budget("all", ""),)
    assert whole({}) == ()
