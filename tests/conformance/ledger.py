"""What the ledger does on every database. An implementation subclasses `LedgerConformance` and supplies `make`.

Each call of `make` opens another connection to one database, empty and migrated when the test began. The fixture closes
them; those that were made in another thread are closed there, by the test.
"""

import os
import random
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from msgspec.structs import replace

from tests.conformance.proof import label, sample, texts
from tests.conformance.store import DAY, DOLLAR, DRAFT, NOW, PREMIUM, entry, record
from tests.store.audit import check
from tierwise.core.budget import Leased, Want, held_on
from tierwise.core.lease import NOTHING, Grant
from tierwise.errors import BudgetExceeded, RowRefused, StoreError
from tierwise.money import Amount, Budget, Correction, Period, Record, Reservation, Spend, Traffic
from tierwise.store import instances
from tierwise.store.database import Database, Row
from tierwise.store.instances import Instance, recovered
from tierwise.store.ledger import Item, Ledger
from tierwise.types import Usage

Make = Callable[[], Database]
KEY = Budget("key", "k1", nanos=1_000)
CENT = DOLLAR // 100


def want(nanos: int, tokens: int = 0, budget: Budget = KEY, most: int = 0) -> Want:
    return Want(budget, NOW, Amount(nanos, tokens), Amount(max(nanos, most), tokens))


def held(request_id: str, nanos: int, *budgets: Budget, tokens: int = 0, days: float = 0) -> Reservation:
    return Reservation(request_id, "k1", "support", nanos, NOW + int(days * DAY), budgets or (KEY,), tokens, "red")


def leased(ledger: Ledger, *items: Reservation) -> None:
    """Drawn to the last nano-dollar, and written."""
    for item in items:
        for budget in held_on(item).values():
            ledger.draw([Want(budget, item.started_ns, item.amount, item.amount)])
    assert ledger.write(items) == [None] * len(items)


def accounts(db: Database) -> dict[str, list[int]]:
    rows = db.execute("SELECT name, posted_nanos, held_nanos, posted_tokens, held_tokens FROM accounts")
    return {name: numbers for name, *numbers in rows if any(numbers)}


def everything(db: Database) -> list[list[Row]]:
    tables = ("reservations", "requests", "entries", "accounts", "leases", "corrections", "spend", "traffic")
    return [sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for table in tables]  # noqa: S608


class Failing:
    """A database that is gone after so many more transactions; for good, or for one.

    `meanwhile`: what others do before its first new account.
    """

    def __init__(
        self, db: Database, left: int, *, once: bool = False, meanwhile: Callable[[], object] | None = None
    ) -> None:
        self.lock = db.lock
        self.change = db.change
        self._db = db
        self._left = left
        self._once = once
        self._meanwhile = meanwhile

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        if sql.startswith("INSERT INTO accounts") and self._meanwhile is not None:
            self._meanwhile()
            self._meanwhile = None
        return self._db.execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Generator[None]:
        self._left -= 1
        if self._left == -1 or (self._left < 0 and not self._once):
            raise StoreError("the ledger can't be written")
        with self._db.transaction():
            yield

    def scrub(self) -> None: ...
    def migrate(self) -> None: ...
    def close(self) -> None: ...


class LedgerConformance:
    @pytest.fixture
    def db(self, make: Make) -> Iterator[Database]:
        """After each test the books are sound."""
        db = make()
        yield db
        check(db.execute)

    @pytest.fixture
    def ledger(self, db: Database) -> Ledger:
        return Ledger(db, "i1")

    @pytest.fixture
    def other(self, make: Make) -> Ledger:
        return Ledger(make(), "i2")

    # ---------------------------------------------------------- leases

    def test_what_is_drawn_pays_what_is_spent(self, db: Database, ledger: Ledger) -> None:
        """Held is what is leased and not spent yet; the rest of a reservation stays in the lease."""
        assert ledger.draw([want(100, 7)]) == [Grant(Amount(100, 7))]
        assert ledger.write([held("r1", 80, tokens=7)]) == [None]
        assert accounts(db) == {"k1": [0, 100, 0, 7]}
        assert ledger.write([record("r1", entry(30))]) == [None]
        assert accounts(db) == {"k1": [30, 70, 2, 5]}
        ledger.give_back({"k1": Amount(60, 9)})
        assert accounts(db) == {"k1": [30, 10, 2, 0]}
        ledger.expire()
        assert accounts(db) == {"k1": [30, 0, 2, 0]}
        assert db.execute("SELECT * FROM leases") == []

    def test_all_is_drawn_or_nothing(self, db: Database, ledger: Ledger) -> None:
        """One account that has too little refuses the others too."""
        team = Budget("team", "red", "day", nanos=50)
        with pytest.raises(BudgetExceeded, match="the budget of team red for the day of 2026-09-21"):
            ledger.draw([want(10), want(51, budget=team)])
        assert accounts(db) == {}
        assert ledger.draw([want(10), want(50, budget=team)]) == [Grant(Amount(10)), Grant(Amount(50))]
        assert accounts(db) == {"k1": [0, 10, 0, 0], "team=red:day:2026-09-21": [0, 50, 0, 0]}

    def test_one_account_twice_is_drawn_twice(self, db: Database, ledger: Ledger) -> None:
        """The second sees the first."""
        with pytest.raises(BudgetExceeded):
            ledger.draw([want(600), want(401)])
        ledger.draw([want(600), want(400)])
        assert accounts(db) == {"k1": [0, 1_000, 0, 0]}

    def test_two_never_draw_more_than_there_is(self, db: Database, ledger: Ledger, other: Ledger) -> None:
        """In turns, with as much on top as they like; in the end it is all drawn."""
        drawn = 0
        for turn in range(1_000):
            try:
                (grant,) = (ledger, other)[turn % 2].draw([want(3, most=10_000)])
            except BudgetExceeded:
                break
            drawn += grant.amount.nanos
        assert 1_000 - 3 < drawn <= 1_000
        assert accounts(db) == {"k1": [0, drawn, 0, 0]}

    def test_who_leases_is_asked_to_give_back(self, ledger: Ledger, other: Ledger) -> None:
        """Until something is drawn; who leases nothing of it is not asked, nor where it would not help."""
        ledger.draw([want(900)])
        with pytest.raises(BudgetExceeded) as caught:
            other.draw([want(1_001)])
        assert not isinstance(caught.value, Leased)
        assert (ledger.wanted(), other.wanted()) == (frozenset(), frozenset())
        with pytest.raises(Leased):
            other.draw([want(1, budget=Budget("team", "red", nanos=5)), want(101)])
        assert (ledger.wanted(), other.wanted()) == (frozenset({"k1"}), frozenset())
        assert other.used(["team=red"]) == {"team=red": NOTHING}
        ledger.give_back({"k1": Amount(500)})
        assert ledger.wanted() == frozenset({"k1"})
        assert other.draw([want(101, most=1_000)]) == [Grant(Amount(101))]
        assert ledger.wanted() == frozenset()

    def test_no_more_is_given_back_than_is_leased(self, db: Database, ledger: Ledger, other: Ledger) -> None:
        """Nor anybody else's, nor of an account that nobody knows."""
        ledger.draw([want(100)])
        other.draw([want(50)])
        ledger.give_back({"k1": Amount(1_000), "k9": Amount(5)})
        assert accounts(db) == {"k1": [0, 50, 0, 0]}

    def test_a_budget_holds_while_many_draw_at_once(self, make: Make, db: Database) -> None:
        """Four connections, each in a thread of its own, on two accounts in either order, until nothing is left."""
        team = Budget("team", "red", nanos=5_000)
        key = Budget("key", "k1", nanos=2_000)

        def work(number: int) -> int:
            db, chance = make(), random.Random(number)  # noqa: S311 - amounts, not secrets
            ledger, drawn = Ledger(db, f"t{number}"), 0
            for step in range(60):
                wants = [want(chance.randrange(1, 30), budget=key), want(chance.randrange(1, 90), budget=team)]
                try:
                    grants = ledger.draw(wants if step % 2 else wants[::-1])
                except BudgetExceeded:
                    continue
                drawn += sum(grant.amount.nanos for grant in grants)
                ledger.write([record(f"t{number}-{step}", entry(0))])
            db.close()
            return drawn

        with ThreadPoolExecutor(4) as pool:
            drawn = sum(pool.map(work, range(4)))
        found = accounts(db)
        assert found["k1"][1] + found["team=red"][1] == drawn
        assert found["k1"][1] <= 2_000
        assert found["team=red"][1] <= 5_000

    def test_an_end_is_booked_on_every_budget_of_its_request(self, db: Database, ledger: Ledger) -> None:
        """Key, team, route and all, each in its own period, and on the key's own account."""
        budgets = (
            Budget("key", "k1", "month", 500),
            Budget("team", "red", "week", tokens=90),
            Budget("route", "support", "day", 300, 90),
            Budget("all", "", nanos=10_000),
            Budget("tag", "free"),
        )
        leased(ledger, held("r1", 100, *budgets, tokens=50))
        ledger.write([record("r1", entry(30), entry(4))])
        names = ["k1", "k1:month:2026-09", "team=red:week:2026-09-21", "route=support:day:2026-09-21", "all="]
        assert {name: numbers[0::2] for name, numbers in accounts(db).items()} == {name: [34, 4] for name in names}
        assert ledger.used([*names, "tag=free"]) == {name: Amount(34, 4) for name in names} | {"tag=free": NOTHING}

    def test_what_runs_is_used_and_an_idle_lease_of_ours_is_not(self, ledger: Ledger, other: Ledger) -> None:
        """What others lease is: whether it runs is theirs to know. Without a limit, what runs here counts."""
        ledger.draw([want(300)])
        leased(ledger, held("r1", 40, KEY, tokens=5))
        assert (ledger.spent("k1"), other.spent("k1")) == ((0, 40), (0, 340))
        assert (ledger.used(["k1"]), other.used(["k1"])) == ({"k1": Amount(40, 5)}, {"k1": Amount(340, 5)})
        other.write([held("r2", 60, Budget("team", "red"))])
        assert (ledger.spent("k1"), other.spent("k1")) == ((0, 40), (0, 400))
        other.write([record("r2")])
        assert other.spent("k1") == (0, 340)

    def test_a_bill_may_pass_its_bound_and_not_the_lease_of_others(self, db: Database, ledger: Ledger) -> None:
        """It is posted past the limit; what others hold stays theirs."""
        leased(ledger, held("r1", 400), held("r2", 600))
        ledger.write([record("r1", entry(5_000))])
        assert accounts(db) == {"k1": [5_000, 600, 2, 0]}
        with pytest.raises(BudgetExceeded):
            ledger.draw([want(1)])

    def test_a_request_is_booked_in_the_window_in_which_it_began(self, db: Database, ledger: Ledger) -> None:
        """Whenever it ends, and wherever the clock has jumped meanwhile."""
        moments: list[tuple[Period, int]] = [("day", 0), ("month", 0), ("day", 30), ("month", 30), ("day", 0)]
        for period, days in moments:
            budget = Budget("key", "k1", period, 100)
            leased(ledger, held(f"{period}{days}{len(ledger.open)}", 10, budget, days=days))
        ledger.write([record(name, entry(3)) for name in list(ledger.open)])
        ledger.expire()
        assert accounts(db) == {
            "k1": [15, 0, 10, 0],
            "k1:day:2026-09-21": [6, 0, 4, 0],
            "k1:month:2026-09": [3, 0, 2, 0],
            "k1:day:2026-10-21": [3, 0, 2, 0],
            "k1:month:2026-10": [3, 0, 2, 0],
        }

    # ---------------------------------------------------------- what comes twice, too late, or is bad

    @pytest.mark.parametrize("size", [1, 3, 1_000])
    def test_a_replay_moves_nothing(self, make: Make, db: Database, ledger: Ledger, size: int) -> None:
        """All of it, a part, in other groups, by the same process or by another in its name: what is there stays."""
        ledger.draw([want(900, 90)])
        items: list[Item] = [held(f"r{n}", 10 + n, tokens=n) for n in range(8)]
        items += [record(f"r{n}", entry(n), entry(1)) for n in range(6)]
        items += [Correction("r1", "k1", "support", NOW, 5, "invoice"), Correction("r9", "k1", "support", NOW, 5, "x")]
        assert ledger.write(items) == [None] * len(items)
        before = everything(db)
        for again in (ledger, Ledger(db, "i1"), Ledger(make(), "i1")):
            for start in range(0, len(items), size):
                part = items[start : start + size]
                assert again.write(part) == [None] * len(part)
            assert everything(db) == before
            assert list(again.open) == ["r6", "r7"]
        assert Ledger(db, "i2").write(items[8:]) == [None] * 8
        assert everything(db) == before

    def test_half_a_group_that_was_written_is_written_once(self, db: Database, ledger: Ledger) -> None:
        """A group that is written again with what is new in it books the new alone."""
        leased(ledger, held("r1", 10), held("r2", 10))
        ledger.write([record("r1", entry(4))])
        ledger.write([held("r1", 10), record("r1", entry(4)), record("r2", entry(5)), record("r2", entry(5))])
        assert accounts(db) == {"k1": [9, 11, 4, 0]}
        assert (ledger.duplicates, ledger.open) == (2, {})
        assert ledger.write([record("r3"), record("r3")]) == [None, None]  # nothing of it but the count

    def test_an_id_is_one_reservation_s(self, db: Database, ledger: Ledger, other: Ledger) -> None:
        """Another amount, key, or process under it is refused, in the same group too."""
        assert ledger.write([held("r1", 10), held("r1", 10)]) == [None, None]
        for wrong in (
            held("r1", 11),
            replace(held("r1", 10), key_id="k2"),
            held("r1", 10, Budget("team", "b", nanos=9)),
        ):
            (outcome, fine) = ledger.write([wrong, held(f"n{wrong.nanos}{wrong.key_id}{len(ledger.open)}", 0)])
            assert type(outcome) is RowRefused
            assert fine is None
        first, second = ledger.write([held("r2", 10), held("r2", 12)])
        assert first is None
        assert type(second) is RowRefused
        (outcome,) = other.write([held("r1", 10)])
        assert type(outcome) is RowRefused
        ledger.draw([want(20)])

    def test_an_end_that_comes_too_late_corrects_the_bound(self, db: Database, ledger: Ledger, other: Ledger) -> None:
        """In both units, on all its budgets, once, from whichever process; what recovery wrote stays."""
        team = Budget("team", "red", "day", 500, 500)
        leased(ledger, held("r1", 100, KEY, team, tokens=40), held("r2", 50, KEY))
        assert instances.settle(db, Ledger(db, "i1")) == 0  # it has no row of its own: nobody knows what it left
        instances.settle(db, ledger)
        assert accounts(db) == {"k1": [150, 0, 40, 0], "team=red:day:2026-09-21": [100, 0, 40, 0]}
        late = replace(record("r1", DRAFT, PREMIUM), team="red")
        assert other.write([late, late]) == [None, None]
        assert ledger.write([late, record("r2", entry(50))]) == [None, None]
        true = DRAFT.nanos + PREMIUM.nanos
        used = 220 + 45 + 220 + 60
        assert accounts(db) == {"k1": [true + 50, 0, used + 2, 0], "team=red:day:2026-09-21": [true, 0, used, 0]}
        assert (other.duplicates, ledger.duplicates) == (1, 1)
        found = ledger.record("r1")
        assert found == recovered(held("r1", 100, KEY, team, tokens=40))
        rows = db.execute("SELECT request_id, reason, at_ns, nanos, tokens, team FROM corrections ORDER BY request_id")
        assert rows == [
            ("r1", "late", NOW + 1_900_500_000, true - 100, used - 40, "red"),
            ("r2", "late", NOW + 1_900_500_000, 0, 2, ""),
        ]

    def test_what_recovery_settles_twice_is_settled_once(self, db: Database, ledger: Ledger, other: Ledger) -> None:
        """Two processes may find the same dead one; and an end that came before stands."""
        leased(ledger, held("r1", 100), held("r2", 100))
        ledger.write([record("r2", entry(7))])
        lost = [recovered(held(name, 100)) for name in ("r1", "r2")]
        for _ in range(2):
            assert other.write(lost, "recovery") == [None, None]
        assert accounts(db) == {"k1": [107, 93, 2, 0]}
        assert db.execute("SELECT * FROM corrections") == []
        assert other.duplicates == 0

    def test_corrections_move_what_is_posted(self, db: Database, ledger: Ledger) -> None:
        """On every budget of the request, up and down; one a request and reason; never below what it is booked with."""
        leased(ledger, held("r1", 100, KEY, Budget("team", "red", nanos=500)))
        ledger.write([record("r1", entry(60))])

        def correct(nanos: int, reason: str) -> Correction:
            return Correction("r1", "k1", "support", NOW + DAY, nanos, reason, "red", "cheap")

        assert (
            ledger.write([correct(25, "invoice 7"), correct(25, "invoice 7"), correct(-80, "invoice 8")]) == [None] * 3
        )
        assert {name: numbers[0] for name, numbers in accounts(db).items()} == {"k1": 5, "team=red": 5}
        ledger.write([correct(-80, "invoice 9")])
        assert {name: numbers[0] for name, numbers in accounts(db).items()} == {"k1": 0, "team=red": 0}
        hour = (NOW + DAY) // (3_600 * DOLLAR)
        assert ledger.spend(hour, hour + 1) == [
            Spend(hour, "support", "red", "k1", "cheap", "correction", "computed", nanos=-60)
        ]
        assert ledger.traffic(hour, hour + 1) == []

    def test_an_invoice_corrects_many_requests_at_once(self, db: Database, ledger: Ledger) -> None:
        """No request has its id: it is taken as it is, and an account never has less than nothing."""
        aside = Correction("invoice:openai:2026-09-21:small:-9", "aside:invoice", "", NOW, -9, "invoice", "", "small")
        assert ledger.write([aside, aside, replace(aside, reason="more", nanos=4)]) == [None] * 3
        assert accounts(db) == {"aside:invoice": [4, 0, 0, 0]}
        hour = NOW // (3_600 * DOLLAR)
        assert ledger.spend(hour, hour + 1) == [
            Spend(hour, "", "", "aside", "small", "correction", "computed", nanos=-5)
        ]

    @pytest.mark.parametrize("size", [1, 2, 1_000])
    def test_a_bad_item_fails_alone(self, db: Database, ledger: Ledger, size: int) -> None:
        """Whatever is wrong with it; what stands before and behind it is written."""
        bad: list[Item] = [
            held("b1", -1),
            held("b2", 2**63),
            held("b3", 5, tokens=-1),
            held("b\ud800", 5),
            record("b4", entry(-1)),
            record("b5", replace(entry(1), rule="\ud800")),
            replace(record("b6"), total_ms=float("nan")),
            record("b7", replace(entry(1), total_ms=float("inf"))),
            record("b8", replace(entry(1), usage=Usage(-1, 1))),
            replace(record("b9"), status=600),
            record("r0", entry(1), key_id="k2"),
            Correction("r0", "k2", "support", NOW, 5, "invoice"),
            Correction("b10", "k1", "support", NOW, 2**63, "invoice"),
            sample("b11", uniform=2.0),
            label("b12", draft=1.5),
            texts("b13", route="\ud800"),
        ]
        ledger.draw([want(900)])
        items: list[Item] = [held("r0", 1)]
        for number, wrong in enumerate(bad, 1):
            items += [held(f"r{number}", 1), wrong, record(f"r{number}", entry(1)), sample(f"r{number}")]
        outcomes: list[object] = []
        for start in range(0, len(items), size):
            outcomes += ledger.write(items[start : start + size])
        refused = [item for item, outcome in zip(items, outcomes, strict=True) if outcome is not None]
        assert refused == bad
        assert {type(outcome) for outcome in outcomes if outcome} == {RowRefused}
        assert not any("b1" in str(outcome) or "800" in str(outcome) for outcome in outcomes)
        assert accounts(db) == {"k1": [len(bad), 900 - len(bad), 2 * len(bad), 0]}
        assert list(ledger.open) == ["r0"]

    def test_a_database_that_goes_away_leaves_the_rest_to_be_written_again(self, db: Database) -> None:
        """It is known how much was written; nothing is half written, and nothing twice."""
        Ledger(db, "i1").draw([want(900)])
        items: list[Item] = [held(f"r{n}", 10) for n in range(6)]
        items[1], items[4] = held("r1", -1), held("r4", -1)
        for left in range(2, 16):
            ledger = Ledger(Failing(db, left), "i1")
            written = 0
            try:
                while written < len(items):
                    written += len(ledger.write(items[written:]))
            except StoreError:
                pass
            names = {name for (name,) in db.execute("SELECT request_id FROM reservations")}
            assert names >= {item.request_id for item in items[:written] if isinstance(item, Reservation)} - {
                "r1",
                "r4",
            }
        assert written == len(items)
        assert names == {"r0", "r2", "r3", "r5"}
        with pytest.raises(StoreError):
            Ledger(Failing(db, 0), "i1").write(items[:1])
        with pytest.raises(StoreError):
            Ledger(Failing(db, 0), "i1").draw([want(1)])
        with pytest.raises(StoreError):
            Ledger(Failing(db, 0), "i1").give_back({"k1": Amount(1)})
        assert accounts(db) == {"k1": [0, 900, 0, 0]}

    def test_one_transaction_that_fails_loses_nothing_and_moves_nothing(self, db: Database) -> None:
        """Whichever of them it was: what has no outcome is what was not written."""
        for left in range(14):
            ledger = Ledger(Failing(db, left, once=True), f"i{left}")
            items = [held(f"r{left}-{n}", -1 if n in (1, 4) else 0, Budget("team", "red")) for n in range(6)]
            outcomes: list[object] = []
            while len(outcomes) < len(items):
                with suppress(StoreError):
                    outcomes += ledger.write(items[len(outcomes) :])
            assert [type(outcome) is RowRefused for outcome in outcomes] == [False, True, False, False, True, False]
            assert list(ledger.open) == [f"r{left}-{n}" for n in (0, 2, 3, 5)]

    def test_an_account_may_be_new_to_two_at_once(self, db: Database, other: Ledger) -> None:
        """Both draw from it."""
        late = Ledger(Failing(db, 9, meanwhile=lambda: other.draw([want(10)])), "i1")
        late.draw([want(5)])
        assert accounts(db) == {"k1": [0, 15, 0, 0]}

    def test_an_end_takes_nothing_from_a_lease_that_did_not_hold_it(self, db: Database, ledger: Ledger) -> None:
        """The key's own account is posted on, and what is leased of it is for others of its requests."""
        ledger.draw([want(500)])
        leased(ledger, held("r1", 40, Budget("team", "red", nanos=100)))
        ledger.write([record("r1", entry(30))])
        assert accounts(db) == {"k1": [30, 500, 2, 0], "team=red": [30, 10, 2, 0]}

    # ---------------------------------------------------------- who lives

    def test_a_beat_says_whether_one_was_known(self, db: Database, ledger: Ledger) -> None:
        """Not at the first, nor after somebody has settled it."""
        me = Instance("i1", "here", 1)
        assert [instances.beat(db, ledger, me, now) for now in (1, 2)] == [False, True]
        instances.settle(db, Ledger(db, "i1"))
        assert [instances.beat(db, ledger, me, now) for now in (3, 4)] == [False, True]

    def test_what_a_dead_one_left_is_spent_and_what_it_leased_is_free(
        self, db: Database, ledger: Ledger, other: Ledger
    ) -> None:
        """At the bound, before the lease is free; its living neighbours keep theirs."""
        for name, each, now in (("i1", ledger, 1), ("i2", other, 100)):
            assert not instances.beat(db, each, Instance(name, "elsewhere", 1), now)
            each.draw([want(300, 30)])
        ledger.write([held(f"r{n}", 20, tokens=5) for n in range(4)])
        ledger.write([record("r0", entry(1)), record("r2", entry(1))])
        assert instances.beat(db, ledger, Instance("i1", "elsewhere", 1), 2)
        me = Instance("i3", "here", 1)
        assert instances.sweep(db, me, alive_ns=2) == 0
        assert instances.sweep(db, me, alive_ns=3, busy=["i1"]) == 2
        assert instances.sweep(db, me, alive_ns=3) == 0
        assert accounts(db) == {"k1": [42, 300, 14, 30]}
        assert [row[0] for row in db.execute("SELECT id FROM instances")] == ["i2"]
        found = other.record("r1")
        assert found is not None
        assert (found.status, found.tokens, found.team, found.baseline_state) == (0, 5, "red", "unknown")

    def test_what_can_not_be_settled_stays_listed(self, db: Database, ledger: Ledger, other: Ledger) -> None:
        """Here because the account can't hold the sum; so that nothing of it is ever free that may have been spent."""
        other.write([record("r0", entry(2**63 - 1))])
        instances.beat(db, ledger, Instance("i1", "elsewhere", 1), 1)
        ledger.draw([want(50, budget=Budget("team", "red", nanos=100))])
        ledger.write([held("r1", 50, Budget("team", "red", nanos=100))])
        for _ in range(2):
            assert instances.sweep(db, Instance("i2", "here", 1), alive_ns=9) == 1
        assert accounts(db)["team=red"] == [0, 50, 0, 0]
        assert db.execute("SELECT id FROM instances") == [("i1",)]

    def test_an_ended_process_of_this_host_is_dead_at_once(self, db: Database, ledger: Ledger) -> None:
        """Unless its journal is just being read; a living one is not, nor one of another host with the same number."""
        host = socket.gethostname()
        gone = 2**22 + 1  # above what Linux gives
        for name, where, pid in (("d1", host, gone), ("d2", "elsewhere", gone), ("d3", host, os.getpid())):
            instances.beat(db, Ledger(db, name), Instance(name, where, pid), 5)
        me = Instance("i1", host, os.getpid())
        instances.sweep(db, me, 0, ["d1"])
        assert len(db.execute("SELECT id FROM instances")) == 3
        instances.sweep(db, me, 0)
        assert db.execute("SELECT id FROM instances ORDER BY id") == [("d2",), ("d3",)]

    def test_a_replay_in_a_dead_one_s_name_is_settled(self, db: Database, ledger: Ledger, make: Make) -> None:
        """What its journal says ended is spent as it was; the rest at its bound, though nobody lists it any more."""
        ledger.draw([want(500)])
        dead = Ledger(make(), "i1")
        dead.write([held("r1", 50), held("r2", 50), record("r1", entry(3))])
        assert instances.settle(db, dead) == 1
        assert accounts(db) == {"k1": [53, 0, 2, 0]}
        assert instances.settle(db, dead) == 0

    def test_one_that_lives_after_all_books_what_it_does(self, db: Database, ledger: Ledger) -> None:
        """Its settled request is put right, a new one is booked; its leases are gone."""
        me = Instance("i1", "elsewhere", 1)
        instances.beat(db, ledger, me, 1)
        leased(ledger, held("r1", 100))
        instances.sweep(db, Instance("i2", "here", 1), alive_ns=9)
        ledger.write([record("r1", entry(30))])
        assert not instances.beat(db, ledger, me, 10)
        leased(ledger, held("r2", 50))
        ledger.write([record("r2", entry(20))])
        assert accounts(db) == {"k1": [50, 30, 4, 0]}

    # ---------------------------------------------------------- sums by the hour

    def test_the_sums_of_an_hour_are_those_of_its_entries(self, ledger: Ledger) -> None:
        """Of all that agree in route, team, key, model, role and state; requests apart, by arm."""
        first = replace(record("r1", DRAFT, PREMIUM), team="red", arm="treated")
        again = replace(record("r2", DRAFT), team="red", arm="treated", started_ns=NOW + 1, status=502)
        aside = record("r3", entry(7), key_id="aside:support:2026-09-21")
        served = replace(record("r4", replace(DRAFT, outcome="served")), baseline_state="unknown")
        later = replace(record("r5", entry(1)), started_ns=NOW + 3_600 * DOLLAR)
        ledger.write([first, again, aside, served, later])
        hour = NOW // (3_600 * DOLLAR)
        draft = Spend(hour, "support", "red", "k1", "cheap", "draft", "computed", 2, 122_000, 440, 90, 20, 10, 6)
        premium = Spend(hour, "support", "red", "k1", "large", "premium", "provider_reported", 1, 9, 220, 60)
        alone = Spend(hour, "support", "", "k1", "cheap", "draft", "computed", 1, 61_000, 220, 45, 10, 5, 3)
        paid = Spend(hour, "support", "", "aside", "cheap", "direct", "computed", 1, 7, 1, 1)
        assert ledger.spend(hour, hour + 1) == [paid, alone, draft, premium]
        assert ledger.spend(hour + 1, hour + 9) == [
            Spend(hour + 1, "support", "", "k1", "cheap", "direct", "computed", 1, 1, 1, 1)
        ]
        found = ledger.traffic(hour, hour + 1)
        cost = (61_009 / 1e9) ** 2
        assert found[2] == Traffic(
            hour, "support", "red", "k1", "treated", 1, 1, 0, 122_009, 1_800_000, 0, cost, 1900.5
        )
        assert (found[1].drafts, found[1].unknown_nanos) == (1, 900_000)
        assert (found[0].key_id, found[0].requests, found[0].nanos) == ("aside", 1, 7)
        assert ledger.traffic(hour + 2, hour + 9) == []

    def test_any_history_leaves_the_books_sound(self, make: Make, db: Database) -> None:
        """Three processes, a few hundred groups of whatever there is, at random: all sums agree with the rows."""
        chance = random.Random(5)  # noqa: S311 - a history, not a secret
        ledgers = [Ledger(make(), f"i{n}") for n in range(3)]
        budgets = (KEY, Budget("team", "red", "day", 400, 300), Budget("route", "support", "week", tokens=900))
        names: list[str] = []
        for number in range(150):
            ledger = ledgers[number % 3]
            group: list[Item] = []
            for each in range(chance.randrange(5)):
                asked = held(
                    f"r{number}-{each}",
                    chance.randrange(40),
                    *chance.sample(budgets, chance.randrange(1, 4)),
                    tokens=chance.randrange(20),
                    days=chance.choice((0, 0, 0.6, 8)),
                )
                try:
                    ledger.draw(
                        [Want(b, asked.started_ns, asked.amount, asked.amount) for b in held_on(asked).values()]
                    )
                except BudgetExceeded:
                    continue
                group.append(asked)
                names.append(asked.request_id)
            group += [_ended(item, chance) for item in ledger.open.values() if chance.random() < 0.7]
            if names and chance.random() < 0.3:
                name = chance.choice(names)
                group.append(Correction(name, "k1", "support", NOW, chance.randrange(-30, 30), f"c{number % 4}"))
            assert ledger.write(group) == [None] * len(group)
            if chance.random() < 0.1:
                instances.settle(db, ledger)
                ledgers[number % 3] = Ledger(make(), f"i{number}x")
            if number % 30 == 0:
                check(db.execute)


def _ended(item: Reservation, chance: random.Random) -> Record:
    spent = [entry(chance.randrange(20)) for _ in range(chance.randrange(3))]
    return replace(record(item.request_id, *spent), started_ns=item.started_ns, status=chance.choice((200, 200, 502)))
