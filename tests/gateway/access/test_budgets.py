"""Budgets as people hear of them: who is told what, and when; and what metrics say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tests.gateway.harness import CONFIG, running
from tests.gateway.test_alerts import QUICK, Hook, hook
from tests.store.clock import ManualClock
from tierwise.errors import StoreError
from tierwise.gateway.access.budgets import PERIOD, Budgets, Watcher
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.access.keys import digest
from tierwise.gateway.alerts import Alerts
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.metrics import budgeted
from tierwise.money import Amount, Budget, Key
from tierwise.ports import Proof, Store
from tierwise.store.sqlite import open_sqlite

PEPPER = b"p" * 32
USD = 10**9
TEAM = Budget("team", "sales", "month", 10 * USD, None, 800_000)
ROUTE = Budget("route", "support", "day", None, 1_000, 500_000)
ALL = Budget("all", "", "total", 50 * USD, 10**6, 800_000)
SPENDER = Key("key_1", "ann", digest("tw-a", PEPPER), "tw-a", 0, 3 * USD, period="week")
FREE = Key("key_2", "bob", digest("tw-b", PEPPER), "tw-b", 0)
TEAM_ACCOUNT, ROUTE_ACCOUNT = "team=sales:month:2026-09", "route=support:day:2026-09-21"


@dataclass
class Books:
    """The part of a store that a watcher reads: sums that a test sets, the keys, and a real trail."""

    proof: Proof
    shelf: list[Key] = field(default_factory=list)
    amounts: dict[str, Amount] = field(default_factory=dict)
    asked: list[Sequence[str]] = field(default_factory=list)
    broken: bool = False

    @property
    def sums(self) -> Books:
        return self

    async def used(self, accounts: Sequence[str]) -> Mapping[str, Amount]:
        self.asked.append(accounts)
        if self.broken:
            raise StoreError("no disk")
        return {name: amount for name, amount in self.amounts.items() if name in accounts}

    async def keys(self) -> Sequence[Key]:
        return self.shelf


@dataclass
class Office:
    """A watcher, its books, and the webhook that it tells."""

    books: Books
    budgets: Budgets
    watcher: Watcher
    alerts: Alerts
    keyring: Keyring
    clock: ManualClock
    on: Hook
    trail: Proof

    async def look(self, **amounts: Amount) -> None:
        self.books.amounts |= amounts
        await self.watcher.refresh(self.clock.now_ns())

    async def told(self) -> list[Any]:
        """What the webhook was told once everything is sent, of the least share first."""
        await self.alerts.close()
        return sorted([body for _, _, body in self.on.posts], key=lambda body: float(body["share"]))


@asynccontextmanager
async def office(folder: Path, configured: Mapping[str, Budget], *keys: Key) -> AsyncIterator[Office]:
    clock = ManualClock()
    store = await open_sqlite(folder / "t.db", clock=clock, instance="i")
    async with hook() as on:
        books, budgets, alerts = Books(store.proof, list(keys)), Budgets(), Alerts(on.url, QUICK)
        keyring = Keyring(cast(Store, books), PEPPER, clock)
        await keyring.refresh()
        watcher = Watcher(budgets, configured, keyring, cast(Store, books), alerts)
        yield Office(books, budgets, watcher, alerts, keyring, clock, on, store.proof)
        await alerts.close()
    await store.close()


async def test_soft_then_hard(tmp_path: Path) -> None:
    """Each once, with what is spent and when it renews; not before, and not again."""
    async with office(tmp_path, {"sales": TEAM}) as at:
        for nanos in (0, 8 * USD - 1, 8 * USD, 9 * USD, 10 * USD, 11 * USD):
            await at.look(**{TEAM_ACCOUNT: Amount(nanos)})
        soft, hard = await at.told()
        assert soft["text"] == (
            "Tierwise, gateway: the budget of team sales for the month of 2026-09: $8.00 of $10.00 is spent or held, "
            "past its soft limit of 80%; it renews at 2026-10-01T00:00:00Z"
        )
        assert {name: value for name, value in soft.items() if name not in ("text", "at_ns")} == {
            "event": "budget",
            "route": "",
            "budget": "sales",
            "scope": "team",
            "of": "sales",
            "threshold": "soft",
            "share": 0.8,
            "nanos": 8 * USD,
            "limit_nanos": 10 * USD,
            "tokens": 0,
            "limit_tokens": None,
            "renews": "2026-10-01T00:00:00Z",
        }
        assert (hard["threshold"], hard["nanos"], "requests are refused" in hard["text"]) == ("limit", 10 * USD, True)
        assert [event.what for event in await at.trail.trail()] == ["budget", "budget"]


async def test_a_new_month_is_told_anew(tmp_path: Path) -> None:
    """And so is a limit that was moved."""
    async with office(tmp_path, {"sales": TEAM}) as at:
        await at.look(**{TEAM_ACCOUNT: Amount(9 * USD)})
        at.clock.advance(15 * 86_400)
        await at.look(**{"team=sales:month:2026-10": Amount(7 * USD)})
        await at.look(**{"team=sales:month:2026-10": Amount(8 * USD)})
        assert len(await at.told()) == 2
    more = msgspec.structs.replace(TEAM, nanos=11 * USD)
    async with office(tmp_path, {"sales": more}) as at:
        await at.look(**{TEAM_ACCOUNT: Amount(9 * USD)})
        assert [body["limit_nanos"] for body in await at.told()] == [11 * USD]


async def test_several_processes_tell_once(tmp_path: Path) -> None:
    """Whoever writes it into the trail first; after a restart neither."""
    async with office(tmp_path, {"sales": TEAM}) as one, office(tmp_path, {"sales": TEAM}) as other:
        for at in (one, other, one):
            await at.look(**{TEAM_ACCOUNT: Amount(9 * USD)})
        assert (len(await one.told()), len(await other.told())) == (1, 0)


async def test_tokens_and_the_unit_that_is_nearer(tmp_path: Path) -> None:
    """A budget in both is past its limit where either is."""
    async with office(tmp_path, {"r": ROUTE, "whole": ALL}) as at:
        await at.look(**{ROUTE_ACCOUNT: Amount(10**12, 499), "all=": Amount(0, 799_999)})
        assert not at.on.posts
        await at.look(**{ROUTE_ACCOUNT: Amount(10**12, 500), "all=": Amount(7 * USD, 800_000)})
        route, whole = sorted(await at.told(), key=lambda body: str(body["scope"]), reverse=True)
        assert "route support: budget r of route support" in route["text"]
        assert "500 of 1,000 tokens is spent or held, past its soft limit of 50%" in route["text"]
        assert route["route"] == "support"
        assert "budget whole of the whole gateway: $7.00 of $50.00 and 800,000 of 1,000,000 tokens" in whole["text"]
        assert "it does not renew" in whole["text"]


async def test_keys_own_budgets(tmp_path: Path) -> None:
    """Those of live keys that are in use, by id; they have no soft limit."""
    async with office(tmp_path, {}, SPENDER, FREE) as at:
        await at.look()
        assert at.books.asked == []  # nobody has come
        at.budgets.keys |= {"key_1", "key_2"}
        await at.look(**{"key_1:week:2026-09-21": Amount(3 * USD - 1)})
        assert at.books.asked == [["key_1:week:2026-09-21"]]
        await at.look(**{"key_1:week:2026-09-21": Amount(3 * USD)})
        (told,) = await at.told()
        assert "budget key_1 of key key_1" not in told["text"]
        assert "the budget of key key_1 for the week of 2026-09-21: $3.00 of $3.00" in told["text"]
        at.books.shelf = [msgspec.structs.replace(SPENDER, revoked_ns=1)]
        await at.keyring.refresh()
        await at.look()
        assert (at.budgets.used, len(at.books.asked)) == ((), 2)


# ------------------------------------------------------------------ what was refused


async def test_a_refusal_is_told_before_the_last_cent_is_gone(tmp_path: Path) -> None:
    """What is left is too little for any request; the fullest of those who bear it is why."""
    async with office(tmp_path, {"sales": TEAM, "all": ALL}) as at:
        at.budgets.refuse((TEAM, ALL))
        await at.look(**{TEAM_ACCOUNT: Amount(7 * USD), "all=": Amount(26 * USD)})
        (told,) = await at.told()
        assert (told["budget"], told["threshold"], told["share"]) == ("sales", "limit", 0.7)
        await at.look()
        assert len(at.on.posts) == 1


async def test_a_stricter_one_of_a_key_is_still_its_own(tmp_path: Path) -> None:
    """Two budgets on one account are refused as one."""
    loose = Budget("key", "key_1", "week", 4 * USD, None, 800_000)
    async with office(tmp_path, {"ann": loose}, SPENDER) as at:
        at.budgets.keys.add("key_1")
        at.budgets.refuse((msgspec.structs.replace(SPENDER_BUDGET, soft=800_000),))
        await at.look(**{"key_1:week:2026-09-21": Amount(3 * USD - 5)})
        assert [(body["budget"], body["threshold"]) for body in await at.told()] == [("key_1", "limit")]


SPENDER_BUDGET = Budget("key", "key_1", "week", 3 * USD)


async def test_a_request_that_was_too_large_is_no_alarm(tmp_path: Path) -> None:
    """Nor is one of a budget that nobody knows any more."""
    async with office(tmp_path, {"sales": TEAM}) as at:
        at.budgets.refuse((TEAM,))
        at.budgets.refuse((ROUTE,))
        await at.look(**{TEAM_ACCOUNT: Amount(4 * USD)})
        await at.look(**{TEAM_ACCOUNT: Amount(7 * USD)})  # it was for the last look only
        assert await at.told() == []


async def test_books_that_can_not_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is told or forgotten of it."""
    caplog.set_level(logging.WARNING)
    async with office(tmp_path, {"sales": TEAM}) as at:
        at.books.broken = True
        at.budgets.refuse((TEAM,))
        with pytest.raises(StoreError):
            await at.look(**{TEAM_ACCOUNT: Amount(7 * USD)})
        following = asyncio.ensure_future(at.watcher.follow())
        try:
            async with asyncio.timeout(PERIOD * 4):
                while "budgets can't be read, nobody is told of them now: no disk" not in caplog.messages:
                    await asyncio.sleep(0.01)
                assert not at.on.posts
                at.books.broken = False
                await at.on.came.wait()
        finally:
            following.cancel()
        assert [body["threshold"] for body in await at.told()] == ["limit"]


# ------------------------------------------------------------------ a gateway that runs


async def test_a_gateway_watches_its_budgets(tmp_path: Path) -> None:
    """Its metrics tell of them within seconds, the trail has what was told; and it draws holdouts with its secret."""
    budgets = "[budgets.all]\nusd = 0.01\nsoft = 0.000001\n"
    async with running(tmp_path, config=CONFIG + budgets, route="holdout = 1.0", budget=USD) as gateway:
        _, _, headers = await gateway.chat(max_tokens=10)
        assert headers["x-tierwise-decision"] == "holdout"
        url = gateway.url.removesuffix("/v1") + "/metrics"
        found = ""
        async with asyncio.timeout(PERIOD * 4):
            while 'budget="all"} 0.01' not in found:
                async with gateway.http.get(url, headers=gateway.headers()) as reply:
                    found = await reply.text()
                await asyncio.sleep(0.05)
        assert f'tierwise_budget_limit_usd{{budget="{gateway.key_id}"}} 1.0' in found
        store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="reader")
        async with asyncio.timeout(PERIOD * 4):
            while not [event for event in await store.proof.trail() if event.what == "budget"]:
                await asyncio.sleep(0.05)
        await store.close()


# ------------------------------------------------------------------ metrics


async def test_metrics(tmp_path: Path) -> None:
    """Used and limit of each, in the units that it limits."""
    async with office(tmp_path, {"sales": TEAM, "r": ROUTE}, SPENDER) as at:
        at.budgets.keys.add("key_1")
        await at.look(**{TEAM_ACCOUNT: Amount(2_500_000_000, 7), ROUTE_ACCOUNT: Amount(5, 77)})
        lines = [line for line in budgeted(at.budgets.used) if not line.startswith("#")]
        assert lines == [
            'tierwise_budget_used_usd{budget="sales"} 2.5',
            'tierwise_budget_used_usd{budget="key_1"} 0.0',
            'tierwise_budget_limit_usd{budget="sales"} 10.0',
            'tierwise_budget_limit_usd{budget="key_1"} 3.0',
            'tierwise_budget_used_tokens{budget="r"} 77.0',
            'tierwise_budget_limit_tokens{budget="r"} 1000.0',
        ]
