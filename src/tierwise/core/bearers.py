"""Which budgets bear a request: its key's own, and those that are configured for its key, team, route, tags, or all.

Pure. Knows neither accounts nor what is spent. Two budgets that would be kept on one account become one, the stricter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tierwise.core.budget import own
from tierwise.money import Budget, Scope, Tenant

Table = Mapping[tuple[Scope, str], tuple[Budget, ...]]
"""The configured budgets by whom they limit. A key stands there by its id or by its name."""


def table(budgets: Iterable[Budget]) -> Table:
    found: dict[tuple[Scope, str], tuple[Budget, ...]] = {}
    for budget in budgets:
        whose = budget.scope, budget.name
        found[whose] = (*found.get(whose, ()), budget)
    return found


def bearing(configured: Table, tenant: Tenant, route: str, tags: frozenset[str]) -> tuple[Budget, ...]:
    """Of a request; its key's first. Of its tags only those count that a budget names."""
    owned = own(tenant)
    if not configured:
        return owned
    whose: list[tuple[Scope, str]] = [("key", tenant.key_id), ("team", tenant.team), ("route", route), ("all", "")]
    if tenant.name != tenant.key_id:
        whose.insert(1, ("key", tenant.name))
    whose += [("tag", tag) for tag in sorted(tags)]
    found = {(budget.scope, budget.name, budget.period): budget for budget in owned}
    for who in whose:
        for budget in configured.get(who, ()):
            account = budget.scope, budget.name, budget.period
            other = found.get(account)
            found[account] = budget if other is None else _stricter(budget, other)
    return tuple(found.values())


def whole(configured: Table) -> tuple[Budget, ...]:
    """Those that bear everything, also what no client asked for."""
    return configured.get(("all", ""), ())


def _stricter(one: Budget, other: Budget) -> Budget:
    nanos, tokens = _least(one.nanos, other.nanos), _least(one.tokens, other.tokens)
    return Budget(one.scope, one.name, one.period, nanos, tokens, min(one.soft, other.soft))


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
