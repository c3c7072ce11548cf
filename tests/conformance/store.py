"""What every Store does. An implementation subclasses `StoreConformance` and supplies the fixture `store`, empty."""

import asyncio
import secrets

import msgspec
import pytest

from tierwise.core.window import account
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.money import Budget, Entry, Key, Period, Record, Reservation
from tierwise.ports import Store
from tierwise.types import Decision, Evidence, Usage

DOLLAR = 1_000_000_000
NOW = 1_790_000_000_000_000_000  # 2026-09-21, a Monday, 14:13:20 UTC
DAY = 86_400 * DOLLAR

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
            with pytest.raises(BudgetExceeded, match=r"\$1\.00 is spent, \$0\.00 is held"):
                await store.reserve(timed(f"c{month}", 1, days))
            assert await window_of(store, days) == (DOLLAR, 0)
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
        assert all(type(outcome) is StoreError for outcome in outcomes[20:])
        assert await store.spent("k1") == (0, 100)

    async def test_a_record_of_another_key_is_refused(self, store: Store) -> None:
        """A request's money can't move to a key that did not reserve it."""
        await store.reserve(reservation("r1", 5))
        with pytest.raises(StoreError, match="another key"):
            await store.post(record("r1", entry(1), key_id="k2"))
        assert await store.spent("k1") == (0, 5)

    async def test_keys_come_back_as_they_were_added(self, store: Store) -> None:
        """Digest, terms and all."""
        first, second = key("k1"), key("k2", budget=DOLLAR, period="week")
        second = msgspec.structs.replace(second, rpm=60, tpm=10**12)
        await store.add_key(first)
        await store.add_key(second)
        assert list(await store.keys()) == [first, second]

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

    async def test_close_writes_what_is_queued_and_refuses_what_comes_after(self, store: Store) -> None:
        """In order; twice is fine."""
        queued = [store.reserve(reservation(f"r{i}")) for i in range(500)]
        await asyncio.gather(store.close(), store.close())
        assert await asyncio.gather(*queued) == [None] * 500
        with pytest.raises(StoreError, match="closed"):
            await store.reserve(reservation("late"))
