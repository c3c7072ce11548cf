"""Looks at the budgets in use every few seconds, and tells people when one passes its soft limit, or its limit.

Refusing is the store's work; this only reads. Every process looks, and whoever writes it into the trail first tells:
once for an account and a threshold. Knows nothing of what is asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tierwise.core.budget import own, usd
from tierwise.core.window import account, iso, window
from tierwise.errors import StoreError
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.alerts import Alerts
from tierwise.money import MILLION, Amount, Budget
from tierwise.ports import Store
from tierwise.proof import Event

PERIOD = 2.0  # seconds between two looks
SPENT = 0.5  # share of a budget from which on it, and not the size of a request, is why that was refused

_log = logging.getLogger("tierwise.budgets")


class Used(NamedTuple):
    """A budget, and what is spent of it or held by running requests. `name` is the config's, or the key's id."""

    name: str
    budget: Budget
    account: str
    amount: Amount

    @property
    def share(self) -> float:
        """Of the limit that is nearer."""
        spent = ((self.amount.nanos, self.budget.nanos), (self.amount.tokens, self.budget.tokens))
        return max([used / limit if limit else 1.0 for used, limit in spent if limit is not None], default=0.0)


class Budgets:
    """What this process knows of the budgets in use. Belongs to one event loop."""

    def __init__(self) -> None:
        self.used: tuple[Used, ...] = ()  # as of the last look
        self.keys: set[str] = set()  # ids of those that have asked for something, and have a budget
        self._refused: set[tuple[Budget, ...]] = set()

    def refuse(self, budgets: tuple[Budget, ...]) -> None:
        """A request was refused that these bear."""
        self._refused.add(budgets)

    def full(self, found: Sequence[Used]) -> set[str]:
        """Names of the budgets that made requests be refused since this was last asked: of each request, the fullest.

        None where that one is not half spent: then the request was too large.
        """
        refused, self._refused = self._refused, set()
        bearing = [[each for each in found if _same(each.budget, budgets)] for budgets in refused]
        fullest = [max(each, key=lambda used: used.share) for each in bearing if each]
        return {used.name for used in fullest if used.share >= SPENT}


class Watcher:
    """Belongs to one event loop.

    `configured`: budgets by name. Those of the keyring's keys are watched too, once a key has asked for something here.
    """

    def __init__(
        self, budgets: Budgets, configured: Mapping[str, Budget], keyring: Keyring, store: Store, alerts: Alerts
    ) -> None:
        self._budgets = budgets
        self._configured = configured
        self._keyring = keyring
        self._store = store
        self._alerts = alerts
        self._told: set[str] = set()  # keys of events

    async def refresh(self, now_ns: int) -> None:
        """Look, and tell what is new. Raises StoreError."""
        watched = dict(self._watched())
        accounts = {name: account(budget, now_ns) for name, budget in watched.items()}
        amounts = await self._store.sums.used(sorted(set(accounts.values()))) if accounts else {}
        nothing = Amount()
        found = [
            Used(name, budget, accounts[name], amounts.get(accounts[name], nothing)) for name, budget in watched.items()
        ]
        self._budgets.used = tuple(found)
        full = self._budgets.full(found)
        for each in found:
            if each.share >= 1 or each.name in full:
                await self._tell(each, "limit", now_ns)
            elif each.share * MILLION >= each.budget.soft:
                await self._tell(each, "soft", now_ns)

    async def follow(self) -> None:
        """Refresh for ever. A store that can't be read is looked at again."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.refresh(self._keyring.clock.now_ns())
            except StoreError as error:
                _log.warning("budgets can't be read, nobody is told of them now: %s", error.message)

    def _watched(self) -> Iterator[tuple[str, Budget]]:
        yield from self._configured.items()
        for tenant in self._keyring.tenants:
            for budget in own(tenant) if tenant.key_id in self._budgets.keys else ():
                yield tenant.key_id, budget

    async def _tell(self, used: Used, what: str, now_ns: int) -> None:
        budget = used.budget
        key = f"budget:{used.account}:{budget.nanos}:{budget.tokens}:{what}"  # a limit that is moved is told anew
        if key in self._told:
            return
        current = window(budget.period, now_ns)
        body = {
            "budget": used.name,
            "scope": budget.scope,
            "of": budget.name,
            "threshold": what,
            "share": round(used.share, 6),
            "nanos": used.amount.nanos,
            "limit_nanos": budget.nanos,
            "tokens": used.amount.tokens,
            "limit_tokens": budget.tokens,
            "renews": None if current is None else iso(current.end_ns),
        }
        route = budget.name if budget.scope == "route" else ""
        event = Event(at_ns=now_ns, route=route, what="budget", body=msgspec.json.encode(body).decode(), key=key)
        if await self._store.proof.note(event):
            self._alerts.tell(event, _words(used, what, now_ns))
        self._told.add(key)


def _same(budget: Budget, borne: tuple[Budget, ...]) -> bool:
    """Whether it is among those, which may be stricter than it."""
    return any((budget.scope, budget.name, budget.period) == (other.scope, other.name, other.period) for other in borne)


def _words(used: Used, what: str, now_ns: int) -> str:
    budget = used.budget
    whose = "of the whole gateway" if budget.scope == "all" else f"of {budget.scope} {budget.name}"
    current = window(budget.period, now_ns)
    when = "" if current is None else f" for the {current.period} of {current.name}"
    renews = "it does not renew" if current is None else f"it renews at {iso(current.end_ns)}"
    limits = []
    if budget.nanos is not None:
        limits.append(f"{usd(used.amount.nanos)} of {usd(budget.nanos)}")
    if budget.tokens is not None:
        limits.append(f"{used.amount.tokens:,} of {budget.tokens:,} tokens")
    passed = f"past its soft limit of {budget.soft / MILLION:.0%}" if what == "soft" else "requests are refused"
    named = "the budget" if used.name == budget.name else f"budget {used.name}"
    return f"{named} {whose}{when}: {' and '.join(limits)} is spent or held, {passed}; {renews}"
