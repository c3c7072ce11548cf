"""A budget as the operator writes it, and what can be wrong with it beyond its types.

Knows neither files nor which requests it bears (`core/bearers.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated

import msgspec

from tierwise.core.budget import NANOS
from tierwise.gateway.tables.route_table import Table, check_name
from tierwise.gateway.tables.toml_check import Problems, nearest
from tierwise.money import MILLION, Budget, Period, Scope

MAX_USD = Decimal(1_000_000_000)
NAMED = re.compile(r"[^=:\x00-\x1f]{1,100}")  # of keys and teams: an account's name is made with the others


class BudgetTable(Table, frozen=True):
    """Whom it limits: one of `key`, `team`, `route`, `tag`; none of them: the whole gateway."""

    key: str = ""  # its name, or its id; keys of one name share it
    team: str = ""
    route: str = ""  # or a model that clients name themselves
    tag: str = ""
    usd: Decimal | None = None
    tokens: Annotated[int, msgspec.Meta(ge=1, le=10**15)] | None = None  # in and out
    period: Period = "total"  # after which it renews (UTC); "total": never
    soft: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.8  # share from which on people are told

    @property
    def whose(self) -> tuple[tuple[Scope, str], ...]:
        """Everybody it names; it should be one at the most."""
        named: tuple[tuple[Scope, str], ...] = (
            ("key", self.key),
            ("team", self.team),
            ("route", self.route),
            ("tag", self.tag.strip().lower()),  # as tags come
        )
        return tuple([(scope, name) for scope, name in named if name])

    def budget(self) -> Budget:
        scope, name = self.whose[0] if self.whose else ("all", "")
        nanos = None if self.usd is None else int(self.usd * NANOS)
        return Budget(scope, name, self.period, nanos, self.tokens, round(self.soft * MILLION))


def check_budgets(tables: Mapping[str, BudgetTable], known: Collection[str], problems: Problems) -> None:
    """`known`: the names of routes and models."""
    seen: dict[tuple[Scope, str, Period], str] = {}
    for name, table in tables.items():
        path = ("budgets", name)
        check_name(path, name, problems)
        before = len(problems.found)
        _check(path, table, known, problems)
        if len(problems.found) > before:
            continue
        budget = table.budget()
        other = seen.setdefault((budget.scope, budget.name, budget.period), name)
        if other != name:
            problems.add(path, f"limits the same as [budgets.{other}], by the same period; one of them is enough")


def _check(path: tuple[str, ...], table: BudgetTable, known: Collection[str], problems: Problems) -> None:
    whose = table.whose
    if len(whose) > 1:
        problems.add(path, f"limits one thing: {' or '.join(f'`{scope}`' for scope, _ in whose)}, not both")
    if table.usd is None and table.tokens is None:
        problems.add(path, "needs `usd`, or `tokens`, or both: how much may be spent")
    if table.usd is not None and not (table.usd.is_finite() and 0 < table.usd <= MAX_USD):
        problems.add((*path, "usd"), f"must be more than 0 and at most {MAX_USD} USD")
    elif table.usd is not None and table.usd * NANOS % 1:
        problems.add((*path, "usd"), "has more than nine decimals; money is counted in billionths of a dollar")
    for scope, name in whose:
        if scope == "route" and name not in known:
            problems.add((*path, scope), f'no route or model "{name}"; {nearest(name, known)}')
        elif scope != "tag" and not NAMED.fullmatch(name):
            problems.add((*path, scope), "expected 1 to 100 characters, none of them = or :")
