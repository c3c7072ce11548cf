"""Leases: whatever processes draw, lose and give back, nothing is spent twice and no limit is passed."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.core.world import LIMIT, World
from tierwise.core.lease import BEATS, NOTHING, Grant, Lease
from tierwise.money import Amount

FULL = Lease(Amount(100, 50), Amount(30, 20))


def test_what_is_free_can_be_held_and_no_more() -> None:
    """To the last token; what lacks is said unit by unit."""
    assert FULL.free == Amount(70, 30)
    assert FULL.lacks(Amount(70, 30)) == NOTHING
    assert FULL.lacks(Amount(71, 33)) == Amount(1, 3)
    assert FULL.lacks(Amount(0, 31)) == Amount(0, 1)
    assert FULL.hold(Amount(70, 30)).free == NOTHING


def test_below_the_soft_limit_only_what_was_drawn_below_it_counts() -> None:
    """The rest of the lease is for others."""
    lease = Lease(Amount(100, 50), over=Amount(40, 0))
    assert lease.lacks(Amount(70, 50), soft=True) == Amount(10, 0)
    assert lease.lacks(Amount(70, 50)) == NOTHING


@pytest.mark.parametrize(
    ("spent", "drawn"),
    [(Amount(3, 4), Amount(97, 46)), (Amount(0, 0), Amount(100, 50)), (Amount(11, 3), Amount(90, 47))],
)
def test_an_end_takes_what_it_spent_and_at_most_what_it_had_reserved(spent: Amount, drawn: Amount) -> None:
    """The rest is free again; what a bill is more than its bound comes from no lease."""
    assert FULL.settle(Amount(10, 10), spent) == Lease(drawn, Amount(20, 10))


def test_a_draw_asks_for_some_beats_use_on_top() -> None:
    """Of the use so far, or of this beat's where that is more."""
    lease = Lease().hold(Amount(8, 2))
    assert lease.most(Amount(1, 1)) == Amount(1 + BEATS * 8, 1 + BEATS * 2)
    assert lease.beat().beat().most(NOTHING) == Amount(BEATS * 2, 0)
    grown = lease.draw(Grant(Amount(5, 6), Amount(1, 0))).draw(Grant(Amount(1, 1), Amount(1, 1)))
    assert (grown.drawn, grown.over, grown.held) == (Amount(6, 7), Amount(2, 1), Amount(8, 2))


def test_what_is_idle_goes_back() -> None:
    """All of it in the end, and at once where others wait; never what is held."""
    lease = Lease(Amount(100, 50), Amount(30, 20), use=Amount(10, 1))
    assert lease.idle(wanted=False) == Amount(70 - BEATS * 10, 30 - BEATS)
    assert lease.idle(wanted=True) == Amount(70, 30)
    for _ in range(5):
        lease = lease.beat()
        lease = lease.give_back(lease.idle(wanted=False))
    assert lease.free == NOTHING
    assert lease.idle(wanted=True) == NOTHING
    assert Lease(Amount(5, 5), Amount(9, 1)).idle(wanted=True) == Amount(0, 4)


def test_what_goes_back_goes_from_above_the_soft_limit_first() -> None:
    """So that less of the account is used, which is what the soft limit looks at."""
    lease = Lease(Amount(100, 50), over=Amount(40, 5))
    assert lease.give_back(Amount(30, 10)) == Lease(Amount(70, 40), over=Amount(10, 0))


def test_a_lost_lease_has_nothing_and_goes_on() -> None:
    """What runs is held, uncovered, and the next draw has to make up for it."""
    lost = FULL.lost()
    assert lost == Lease(NOTHING, Amount(30, 20))
    assert lost.lacks(Amount(5, 0)) == Amount(35, 20)
    assert lost.settle(Amount(30, 20), Amount(9, 9)).drawn == Amount(-9, -9)


amounts = st.builds(Amount, st.integers(0, 400), st.integers(0, 250))
whose = st.integers(0, 2)


class Leases(RuleBasedStateMachine):
    """Three processes and one budget a day, in any order of whatever can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(3)

    @rule(who=whose, amount=amounts, soft=st.booleans())
    def reserve(self, who: int, amount: Amount, soft: bool) -> None:
        self.world.reserve(who, amount, soft)

    @rule(who=whose, at=st.integers(0, 9), share=st.integers(0, 120))
    def end(self, who: int, at: int, share: int) -> None:
        running = self.world.processes[who].running
        if running:
            bound = running[at % len(running)].amount
            spent = Amount(bound.nanos * share // 100, bound.tokens * share // 100)
            self.world.end(who, at % len(running), spent)

    @rule(who=whose, most=st.integers(1, 3))
    def flush(self, who: int, most: int) -> None:
        self.world.flush(who, most)

    @rule(who=whose)
    def beat(self, who: int) -> None:
        self.world.beat(who)

    @rule(who=whose)
    def crash(self, who: int) -> None:
        self.world.crash(who)

    @rule(who=whose)
    def lose(self, who: int) -> None:
        self.world.lose(who)

    @rule(days=st.integers(0, 2))
    def jump(self, days: int) -> None:
        self.world.jump(days)

    @rule(nanos=st.integers(-300, 50), day=st.integers(1, 3))
    def correct(self, nanos: int, day: int) -> None:
        self.world.correct(f"k:day:1970-01-0{day}", Amount(nanos, nanos // 2))

    @invariant()
    def sound(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.finish()


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def history(chance: random.Random) -> World:
    """A few steps of two processes, most of them reservations and ends."""
    world = World()
    for number in range(9):
        who = chance.getrandbits(1)
        running = world.processes[who].running
        step = chance.random()
        if step < 0.4:
            world.reserve(who, Amount(chance.randrange(400), chance.randrange(250)), soft=chance.random() < 0.2)
        elif step < 0.7 and running:
            at = chance.randrange(len(running))
            bound, share = running[at].amount, 3.0 if step < 0.42 else chance.random()
            world.end(who, at, Amount(int(bound.nanos * share), int(bound.tokens * share)))
        elif step < 0.8:
            world.flush(who, chance.randrange(1, 3))
        elif step < 0.88:
            world.beat(who)
        elif step < 0.94:
            world.jump(chance.randrange(2))
        elif step < 0.97:
            world.crash(who)
        elif step < 0.985:
            world.lose(who)
        else:
            world.correct("k:day:1970-01-01", Amount(chance.randrange(-300, 50), 0))
        if number == 5:
            world.check()
    return world


@pytest.mark.unmeasured
def test_a_hundred_thousand_histories_balance() -> None:
    """Each is sound in its midst and at its end; and among them is enough of what is rare."""
    chance = random.Random(20_261_128)  # noqa: S311 - histories, not secrets
    refused = lost = passed = 0
    for _ in range(100_000):
        world = history(chance)
        refused += bool(world.refused)
        lost += any(process.was_lost for process in world.processes)
        world.finish()
        passed += any(kept.posted.nanos > LIMIT.nanos for kept in world.accounts.values())
    assert refused > 30_000
    assert lost > 1_000
    assert passed > 50
