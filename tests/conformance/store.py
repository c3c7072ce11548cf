"""What every Store does. An implementation subclasses `StoreConformance`.

It supplies the fixtures `store`, empty, and `other`: a second instance on the same database.
"""

import asyncio
import secrets

import msgspec
import pytest

from tierwise.core.window import account
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.money import Amount, Budget, Correction, Entry, Key, Period, Record, Reservation, Spend
from tierwise.ports import Store
from tierwise.types import Decision, Evidence, Usage

DOLLAR = 1_000_000_000
NOW = 1_790_000_000_000_000_000  # 2026-09-21, a Monday, 14:13:20 UTC
HOUR = 3_600 * DOLLAR
DAY = 24 * HOUR

DRAFT = Entry(
    "cheap", "small-1", "draft", Usage(220, 45, 10, 5, 3), 61_000, "computed", "rejected", "empty", 210.5, 640
)
PREMIUM = Entry(
    "large",
    "large-1",
    "premium",
    Usage(220, 60, cost_nanos=9),
    9,
    "provider_reported",
    "served",
    "escalated",
    None,
    12.25,
)


def reservation(request_id: str, nanos: int = DOLLAR, *, key_id: str = "k1", budget: int | None = None) -> Reservation:
    budgets = () if budget is None else (Budget("key", key_id, nanos=budget),)
    return Reservation(request_id, key_id, "support", nanos, NOW, budgets)


def timed(request_id: str, nanos: int, days: float = 0, period: Period = "month", *, key_id: str = "k1") -> Reservation:
    """A dollar a period; the request begins so many days from NOW."""
    began = NOW + int(days * DAY)
    return Reservation(request_id, key_id, "support", nanos, began, (Budget("key", key_id, period, DOLLAR),))


async def window_of(store: Store, days: float = 0, period: Period = "month", key_id: str = "k1") -> tuple[int, int]:
    """(posted, held) of the window that the moment lies in."""
    return await store.spent(account(Budget("key", key_id, period), NOW + int(days * DAY)))


def entry(nanos: int) -> Entry:
    return Entry("cheap", "small-1", "direct", Usage(1, 1), nanos, "computed", "served", "direct", 1.0, 2.0)


def record(request_id: str, *entries: Entry, key_id: str = "k1") -> Record:
    decision = Decision("serve", "checks_passed", 0.93, (Evidence("finish", True, "stop"), Evidence("schema", None)))
    return Record(request_id, key_id, "support", NOW, 1900.5, 200, decision, entries, 900_000, "computed")


def key(key_id: str = "k1", *, digest: bytes | None = None, budget: int | None = None, period: Period = "total") -> Key:
    secret = digest or secrets.token_bytes(32)
    return Key(key_id, f"name of {key_id}", secret, "tw_abc", NOW, budget, period=period)


class StoreConformance:
    async def test_a_record_comes_back_as_it_was_posted(self, store: Store) -> None:
        """Every field of every entry, the decision and its evidence."""
        posted = record("r1", DRAFT, PREMIUM)
        await store.reserve(reservation("r1"))
        await store.post(posted)
        assert await store.record("r1") == posted

    async def test_a_request_without_an_end_has_no_record(self, store: Store) -> None:
        """Neither an unknown one nor one that still runs."""
        await store.reserve(reservation("r1"))
        assert await store.record("r1") is None
        assert await store.record("r2") is None

    async def test_reserve_holds_and_post_spends_and_releases(self, store: Store) -> None:
        """Held until the end, then what was really spent, and no more."""
        assert await store.spent("k1") == (0, 0)
        await store.reserve(reservation("r1", 500))
        assert await store.spent("k1") == (0, 500)
        await store.post(record("r1", entry(100), entry(20)))
        assert await store.spent("k1") == (120, 0)

    async def test_an_unawaited_write_is_queued_at_once_and_in_order(self, store: Store) -> None:
        """The caller may go on: what it asks afterwards sees it."""
        store.reserve(reservation("r1", 500))
        store.post(record("r1", entry(100)))
        assert await store.record("r1") is not None
        assert await store.spent("k1") == (100, 0)

    async def test_a_request_without_calls_is_recorded(self, store: Store) -> None:
        """Refused before any call: no reservation, no entry, no money; and still on record."""
        await store.post(record("r1"))
        assert await store.record("r1") == record("r1")
        assert await store.spent("k1") == (0, 0)

    async def test_a_second_end_is_ignored(self, store: Store) -> None:
        """Money is counted once, and what was posted first stands."""
        await store.reserve(reservation("r1", 500))
        await asyncio.gather(store.post(record("r1", entry(100))), store.post(record("r1", entry(7))))
        await store.post(record("r1", entry(9)))
        assert await store.spent("k1") == (100, 0)
        assert await store.record("r1") == record("r1", entry(100))

    async def test_a_budget_is_never_overspent_by_concurrent_requests(self, store: Store) -> None:
        """A hundred at once on a dollar, each may need eight cents: twelve get in."""
        asked = [store.reserve(reservation(f"r{i}", DOLLAR * 8 // 100, budget=DOLLAR)) for i in range(100)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert outcomes.count(None) == 12
        assert all(isinstance(outcome, BudgetExceeded) for outcome in outcomes if outcome)
        assert await store.spent("k1") == (0, DOLLAR * 96 // 100)

    async def test_released_budget_can_be_reserved_again(self, store: Store) -> None:
        """What a request reserved and did not spend is there for the next."""
        await store.reserve(reservation("r1", DOLLAR, budget=DOLLAR))
        with pytest.raises(BudgetExceeded, match=r"\$1\.00"):
            await store.reserve(reservation("r2", 1, budget=DOLLAR))
        await store.post(record("r1", entry(DOLLAR // 4)))
        await store.reserve(reservation("r3", DOLLAR * 3 // 4, budget=DOLLAR))
        with pytest.raises(BudgetExceeded):
            await store.reserve(reservation("r4", 1, budget=DOLLAR))

    async def test_one_keys_budget_is_not_anothers(self, store: Store) -> None:
        """A key that is spent refuses nobody else in the same group, limited or not."""
        asked = (
            store.reserve(reservation("r1", DOLLAR, budget=DOLLAR)),
            store.reserve(reservation("r2", 1, budget=DOLLAR)),
            store.reserve(reservation("r3", DOLLAR, key_id="k2", budget=DOLLAR)),
            store.reserve(reservation("r4", 9 * DOLLAR, key_id="k3")),
        )
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), BudgetExceeded, type(None), type(None)]

    async def test_a_window_s_budget_renews(self, store: Store) -> None:
        """Spent is spent until the period ends; then all of it is there again, and the key's total goes on."""
        for month, days in enumerate((0, 10, 41)):  # September, October, November
            await store.reserve(timed(f"a{month}", DOLLAR, days))
            with pytest.raises(BudgetExceeded, match=r"for the month of 2026-\d\d is \$1\.00"):
                await store.reserve(timed(f"b{month}", 1, days))
            await store.post(record(f"a{month}", entry(DOLLAR)))
            assert await window_of(store, days) == (DOLLAR, 0)
            with pytest.raises(BudgetExceeded, match=r"\$1\.00 is spent, \$0\.00 is held"):
                await store.reserve(timed(f"c{month}", 1, days))
            assert await store.spent("k1") == ((month + 1) * DOLLAR, 0)

    @pytest.mark.parametrize(
        ("period", "inside", "outside"), [("day", 0.4, 0.41), ("week", 6.4, 6.41), ("month", 9, 10)]
    )
    async def test_a_window_ends_at_its_boundary(
        self, store: Store, period: Period, inside: float, outside: float
    ) -> None:
        """Midnight (UTC), Sunday's midnight, the month's last."""
        await store.reserve(timed("r1", DOLLAR, 0, period))
        with pytest.raises(BudgetExceeded) as caught:
            await store.reserve(timed("r2", DOLLAR, inside, period))
        assert caught.value.retry_after is not None
        await store.reserve(timed("r3", DOLLAR, outside, period))

    async def test_a_request_is_booked_on_the_window_in_which_it_began(self, store: Store) -> None:
        """It ends in the next one, in which nothing of it is held, released or spent."""
        await store.reserve(timed("old", DOLLAR // 2))
        await store.reserve(timed("new", DOLLAR, 10))
        assert (await window_of(store), await window_of(store, 10)) == ((0, DOLLAR // 2), (0, DOLLAR))
        await store.post(record("old", entry(7)))
        assert (await window_of(store), await window_of(store, 10)) == ((7, 0), (0, DOLLAR))
        assert await store.spent("k1") == (7, DOLLAR)

    async def test_a_clock_that_jumps_back_opens_no_window_twice(self, store: Store) -> None:
        """Nor does one that had run ahead: what was spent in a window is found there again."""
        for step, days in enumerate((0, 10, 0, 10, -1, 41, 10)):
            first = days not in (0, 10, 0, 10, -1, 41)[:step] and days != -1
            outcome = await asyncio.gather(store.reserve(timed(f"r{step}", DOLLAR, days)), return_exceptions=True)
            assert [type(each) for each in outcome] == [type(None) if first else BudgetExceeded]

    async def test_a_window_is_never_overspent_by_concurrent_requests(self, store: Store) -> None:
        """A hundred at once on a dollar a month, each may need eight cents, half of them in the month before."""
        asked = [store.reserve(timed(f"r{i}", DOLLAR * 8 // 100, 9 + i % 2)) for i in range(100)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert outcomes[0::2].count(None) == outcomes[1::2].count(None) == 12
        assert await window_of(store, 9) == await window_of(store, 10) == (0, DOLLAR * 96 // 100)
        assert await store.spent("k1") == (0, 2 * DOLLAR * 96 // 100)

    async def test_one_window_s_budget_is_not_another_s(self, store: Store) -> None:
        """Neither another key's, nor another period's, nor a key's that has none: all in one group."""
        asked = (
            store.reserve(timed("r1", DOLLAR)),
            store.reserve(timed("r2", DOLLAR, key_id="k2")),
            store.reserve(timed("r3", DOLLAR, period="day")),
            store.reserve(reservation("r4", 9 * DOLLAR)),
            store.reserve(reservation("r5", DOLLAR, key_id="k3", budget=DOLLAR)),
            store.reserve(timed("r6", DOLLAR, key_id="k3")),
            store.reserve(timed("r7", 1)),
        )
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [*[type(None)] * 6, BudgetExceeded]
        assert await store.spent("k1") == (0, 11 * DOLLAR)

    async def test_a_bad_item_fails_alone(self, store: Store) -> None:
        """Negative money, a number no column holds, text that is no text, an id used twice: the rest is written."""
        bad = (reservation("b1", -1), reservation("b2", 2**63), reservation("b\ud800"), reservation("r3"))
        good = [reservation(f"r{i}", 5) for i in range(20)]
        outcomes = await asyncio.gather(*map(store.reserve, (*good, *bad)), return_exceptions=True)
        assert outcomes[:20] == [None] * 20
        assert all(isinstance(outcome, StoreError) for outcome in outcomes[20:])
        assert await store.spent("k1") == (0, 100)

    async def test_a_record_of_another_key_is_refused(self, store: Store) -> None:
        """A request's money can't move to a key that did not reserve it."""
        await store.reserve(reservation("r1", 5))
        with pytest.raises(StoreError, match="another key"):
            await store.post(record("r1", entry(1), key_id="k2"))
        assert await store.spent("k1") == (0, 5)

    async def test_what_is_posted_is_never_less_than_nothing(self, store: Store) -> None:
        """Whether it was held on a budget or on none; others of its group are posted."""
        for name, budget in (("r", None), ("b", 100)):
            ids = [f"{name}{number}" for number in range(3)]
            for request_id in ids:
                await store.reserve(reservation(request_id, 5, budget=budget))
            before = await store.spent("k1")
            good, bad, other = [
                store.post(record(each, entry(nanos))) for each, nanos in zip(ids, (5, -4, 3), strict=True)
            ]
            await good
            await other
            with pytest.raises(StoreError):
                await bad
            assert (await store.spent("k1"))[0] == before[0] + 8

    async def test_keys_come_back_as_they_were_added(self, store: Store) -> None:
        """Digest, terms and all."""
        first, second = key("k1"), key("k2", budget=DOLLAR, period="week")
        second = msgspec.structs.replace(second, rpm=60, tpm=10**12, team="red", streams=4, budget_tokens=10**15)
        second = msgspec.structs.replace(second, input_tpm=10**12, output_tpm=7)
        third = msgspec.structs.replace(key("k3"), may="", routes="support,cheap")
        for each in (first, second, third):
            await store.add_key(each)
        assert list(await store.keys()) == [first, second, third]

    async def test_a_digest_is_kept_once(self, store: Store) -> None:
        """Two keys that open with the same secret would be one."""
        await store.add_key(key("k1", digest=b"x" * 32))
        with pytest.raises(StoreError):
            await store.add_key(key("k2", digest=b"x" * 32))

    async def test_a_key_is_revoked_once(self, store: Store) -> None:
        """The first revocation stands; an unknown key has none."""
        await store.add_key(key("k1"))
        assert await store.revoke_key("k1", NOW + 1)
        assert not await store.revoke_key("k1", NOW + 2)
        assert not await store.revoke_key("k2", NOW)
        assert [each.revoked_ns for each in await store.keys()] == [NOW + 1]

    async def test_a_team_s_budget_is_that_of_all_its_keys(self, store: Store) -> None:
        """Beside each key's own: whichever is used up first refuses, and says whose it is."""
        team = Budget("team", "red", "month", DOLLAR)

        def asked(request_id: str, key_id: str, nanos: int) -> Reservation:
            budgets = (Budget("key", key_id, "day", DOLLAR * 3 // 4), team)
            return Reservation(request_id, key_id, "support", nanos, NOW, budgets, team="red")

        await store.reserve(asked("r1", "k1", DOLLAR // 2))
        with pytest.raises(BudgetExceeded, match=r"^the key's budget for the day of 2026-09-21 is"):
            await store.reserve(asked("r2", "k1", DOLLAR // 2))
        await store.reserve(asked("r3", "k2", DOLLAR // 2))
        with pytest.raises(BudgetExceeded, match=r"^the budget of team red for the month of 2026-09 is"):
            await store.reserve(asked("r4", "k2", 1))
        await store.post(record("r1", entry(0)))
        await store.reserve(asked("r5", "k3", DOLLAR // 2))
        assert await store.spent(account(team, NOW)) == (0, DOLLAR)

    async def test_tokens_are_a_budget_too(self, store: Store) -> None:
        """Alone or beside dollars; what a request did not use is there for the next."""
        budget = Budget("route", "support", "day", 10 * DOLLAR, 1_000)

        def asked(request_id: str, tokens: int) -> Reservation:
            return Reservation(request_id, "k1", "support", 5, NOW, (budget,), tokens)

        await store.reserve(asked("r1", 600))
        with pytest.raises(
            BudgetExceeded, match=r"the budget of route support .* is 1,000 tokens: 0 are spent, 600 are"
        ):
            await store.reserve(asked("r2", 401))
        await store.post(record("r1", entry(3)))  # two tokens
        await store.reserve(asked("r3", 998))
        with pytest.raises(BudgetExceeded):
            await store.reserve(asked("r4", 1))
        assert await store.sums.used(["route=support:day:2026-09-21", "k1"]) == {
            "route=support:day:2026-09-21": Amount(8, 1_000),
            "k1": Amount(8, 1_000),
        }

    async def test_a_soft_request_fits_below_the_soft_limit(self, store: Store) -> None:
        """To the last nano-dollar; others go on above it, and leave it no more room."""
        budget = Budget("key", "k1", nanos=DOLLAR, soft=600_000)

        def asked(request_id: str, cents: int, soft: bool) -> Reservation:
            return Reservation(request_id, "k1", "support", cents * DOLLAR // 100, NOW, (budget,), soft=soft)

        await store.reserve(asked("r1", 50, True))
        with pytest.raises(BudgetExceeded, match=r"only up to \$0\.60"):
            await store.reserve(asked("r2", 11, True))
        await store.reserve(asked("r3", 10, True))
        await store.reserve(asked("r4", 40, False))
        with pytest.raises(BudgetExceeded):
            await store.reserve(asked("r5", 1, True))
        await store.post(record("r4", entry(0)))
        await store.post(record("r1", entry(0)))
        await store.reserve(asked("r6", 50, True))
        with pytest.raises(BudgetExceeded):
            await store.reserve(asked("r7", 1, True))

    async def test_an_experiment_s_arm_and_a_team_come_back(self, store: Store) -> None:
        """With the record, and in the sums."""
        posted = msgspec.structs.replace(record("r1", entry(3)), team="red", arm="holdout")
        await store.post(posted)
        assert await store.record("r1") == posted
        (traffic,) = await store.sums.traffic(0, NOW // HOUR + 1)
        assert (traffic.team, traffic.arm, traffic.requests, traffic.nanos) == ("red", "holdout", 1, 3)

    async def test_the_hours_sum_up_what_was_spent(self, store: Store, other: Store) -> None:
        """By both stores; of the hours asked for, in order; aside is what no client asked."""
        hours = [0, 0, 1, 1, 2, 3]
        for number, hour in enumerate(hours):
            key_id = "aside:x" if number == 1 else "k1"
            ended = msgspec.structs.replace(record(f"r{number}", entry(1 << number), DRAFT, key_id=key_id))
            await (store, other)[number % 2].post(msgspec.structs.replace(ended, started_ns=NOW + hour * HOUR))
        await other.sums.used(["k1"])  # what it queued is written by then
        first = NOW // HOUR
        spend = await store.sums.spend(first, first + 3)
        found = [(each.hour - first, each.key_id, each.role, each.entries, each.nanos) for each in spend]
        assert found == [
            (0, "aside", "direct", 1, 2),
            (0, "aside", "draft", 1, 61_000),
            (0, "k1", "direct", 1, 1),
            (0, "k1", "draft", 1, 61_000),
            (1, "k1", "direct", 2, 12),
            (1, "k1", "draft", 2, 122_000),
            (2, "k1", "direct", 1, 16),
            (2, "k1", "draft", 1, 61_000),
        ]
        assert sum(each.input_tokens for each in spend) == 5 * 221
        traffic = await other.sums.traffic(first + 1, first + 2)
        assert [(each.requests, each.nanos, each.total_ms) for each in traffic] == [(2, 122_012, 3_801)]

    async def test_a_correction_is_booked_once(self, store: Store, other: Store) -> None:
        """On the accounts of its request, and in the hour in which it is made."""
        await store.reserve(reservation("r1", 500, budget=DOLLAR))
        await store.post(record("r1", entry(100)))
        correction = Correction("r1", "k1", "support", NOW + HOUR, 40, "invoice", model="cheap")
        await asyncio.gather(store.correct(correction), store.correct(correction))
        assert await store.spent("k1") == (140, 0)
        await other.correct(correction)
        await other.correct(msgspec.structs.replace(correction, reason="credit", nanos=-1_000))
        assert (await other.spent("k1"))[0] == 0
        hour = NOW // HOUR + 1
        assert list(await store.sums.spend(hour, hour + 1)) == [
            Spend(hour, "support", "", "k1", "cheap", "correction", "computed", nanos=-100)
        ]

    async def test_two_stores_never_overspend_a_budget(self, store: Store, other: Store) -> None:
        """A cent each, a dollar, both at once; ends make room, wherever they come."""
        posted = 0
        for turn in range(2):
            names = [f"r{turn}-{number}" for number in range(80)]
            asked = [
                (store, other)[number % 2].reserve(reservation(name, DOLLAR // 100, budget=DOLLAR))
                for number, name in enumerate(names)
            ]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            fits = [at for at, outcome in enumerate(outcomes) if outcome is None]
            assert all(isinstance(outcome, BudgetExceeded) for outcome in outcomes if outcome)
            assert posted + len(fits) * DOLLAR // 100 <= DOLLAR
            for at in fits:
                await (store, other)[at % 2].post(record(names[at], entry(DOLLAR // 200)))
            posted += len(fits) * DOLLAR // 200
            spent = [(await each.spent("k1"))[0] for each in (store, other, store)]
            assert spent[1:] == [posted, posted]
        assert posted >= DOLLAR * 7 // 10

    async def test_what_one_store_leases_and_does_not_use_another_gets(self, store: Store, other: Store) -> None:
        """It is given back while the reservation waits: a request is refused for what is used, not for what is idle."""
        await store.reserve(reservation("r1", DOLLAR * 9 // 10, budget=DOLLAR))
        await store.post(record("r1", entry(DOLLAR // 10)))
        await other.reserve(reservation("r2", DOLLAR * 9 // 10, budget=DOLLAR))
        assert await other.spent("k1") == (DOLLAR // 10, DOLLAR * 9 // 10)

    async def test_close_writes_what_is_queued_and_refuses_what_comes_after(self, store: Store) -> None:
        """In order; twice is fine."""
        queued = [store.reserve(reservation(f"r{i}")) for i in range(500)]
        await asyncio.gather(store.close(), store.close())
        assert await asyncio.gather(*queued) == [None] * 500
        with pytest.raises(StoreError, match="closed"):
            await store.reserve(reservation("late"))
