"""The database's side of money in two phases: nothing is drawn past a limit, nothing is lost, nothing is negative."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.budget import (
    NANOS,
    SHARE,
    SOON,
    Account,
    Leased,
    Share,
    Want,
    booked_on,
    correct,
    draw,
    give_back,
    held_on,
    own,
    post,
    usd,
)
from tierwise.core.lease import NOTHING, Grant, Lease
from tierwise.core.window import DAY_NS
from tierwise.errors import BudgetExceeded
from tierwise.money import Amount, Budget, Period, Reservation, Scope, Tenant

numbers = st.integers(min_value=0, max_value=2 * NANOS)
amounts = st.builds(Amount, numbers, st.integers(0, 5_000))


def money(nanos: int) -> Amount:
    return Amount(nanos)


def key(nanos: int | None, tokens: int | None = None, period: Period = "total", soft: int = 1_000_000) -> Budget:
    return Budget("key", "k", period, nanos, tokens, soft)


def want(budget: Budget, least: Amount, most: Amount | None = None, *, soft: bool = False) -> Want:
    return Want(budget, DAY_NS * 3 // 4, least, most or least, soft)


def share(posted: int, held: int, lease: int = 0) -> Share:
    return Share(Account(money(posted), money(held)), money(lease))


@given(numbers, numbers, numbers, numbers)
def test_a_draw_is_made_or_refused_at_the_limit_exactly(limit: int, posted: int, held: int, nanos: int) -> None:
    """It is refused just where posted + held + nanos is over the limit."""
    before = share(posted, held)
    if nanos and posted + held + nanos > limit:
        with pytest.raises(BudgetExceeded):
            draw(before, want(key(limit), money(nanos)))
    else:
        assert draw(before, want(key(limit), money(nanos))) == (share(posted, held + nanos, nanos), Grant(money(nanos)))


def test_the_limit_itself_may_be_drawn() -> None:
    """To the last nano-dollar, and not one more; tokens alike, and without a limit any number."""
    assert draw(share(4, 5), want(key(10), Amount(1, 9)))[0].account == Account(money(4), Amount(6, 9))
    with pytest.raises(BudgetExceeded):
        draw(share(4, 6), want(key(10), money(1)))
    tokens = Share(Account(Amount(10**9, 4), Amount(10**9, 5)))
    assert draw(tokens, want(key(None, 10), Amount(7, 1)))[1] == Grant(Amount(7, 1))
    with pytest.raises(BudgetExceeded):
        draw(tokens, want(key(None, 10), Amount(0, 2)))


def test_a_unit_that_is_not_lacking_is_not_looked_at() -> None:
    """A lease that has tokens enough may draw dollars, whatever a bill has done to the tokens."""
    passed = Share(Account(Amount(0, 99), NOTHING))
    assert draw(passed, want(key(10, 10), Amount(3, 0)))[1] == Grant(Amount(3, 0))


@given(amounts, amounts, amounts, amounts, st.integers(0, 6_000))
def test_what_is_drawn_beyond_the_need_leaves_most_to_others(
    posted: Amount, held: Amount, least: Amount, more: Amount, limit: int
) -> None:
    """At least the need, at most what was asked for and the fourth part of what is left; where that is little, none."""
    budget, before = key(None, limit), Share(Account(posted, held))
    try:
        after, grant = draw(before, want(budget, least, least + more))
    except BudgetExceeded:
        return
    assert grant.amount.nanos == least.nanos + more.nanos  # without a limit
    left = limit - posted.tokens - held.tokens - least.tokens
    spare = left // SHARE if left // SHARE >= least.tokens else 0
    assert grant.amount.tokens == least.tokens + max(min(more.tokens, spare), 0)
    assert after == Share(Account(posted, held + grant.amount), grant.amount)


def test_near_the_end_just_the_need_is_drawn() -> None:
    """A lease there would lie idle while another process refuses."""
    asked = want(key(1_000), money(100), money(10_000))
    assert draw(share(0, 0), asked)[1].amount == money(100 + 225)
    assert draw(share(500, 0), asked)[1].amount == money(100 + 100)
    assert draw(share(501, 0), asked)[1].amount == money(100)


def test_while_others_wait_just_the_need_is_drawn() -> None:
    """And then nobody is known to wait any more; who needs nothing gets nothing, and changes nothing."""
    waited = Share(Account(NOTHING, NOTHING, wanted_ns=7))
    after, grant = draw(waited, want(key(10_000), money(100), money(200)))
    assert (grant.amount, after.account.wanted_ns) == (money(100), 0)
    assert draw(waited, want(key(10_000), NOTHING, money(200))) == (waited, Grant(NOTHING))
    assert post(waited, NOTHING, NOTHING) == correct_share(waited) == give_back(waited, NOTHING) == waited


def correct_share(before: Share) -> Share:
    return Share(correct(before.account, NOTHING), before.lease)


def test_only_what_others_lease_can_be_asked_back() -> None:
    """Where the limit is passed without it, nobody is asked."""
    with pytest.raises(Leased):
        draw(share(40, 60, lease=20), want(key(100), money(40)))
    with pytest.raises(BudgetExceeded) as caught:
        draw(share(40, 60, lease=20), want(key(100), money(41)))
    assert not isinstance(caught.value, Leased)


def test_both_units_must_fit_without_what_others_lease() -> None:
    """Dollars that come back do not help a request that lacks tokens for good."""
    before = Share(Account(Amount(0, 90), Amount(100, 5)))
    with pytest.raises(BudgetExceeded) as caught:
        draw(before, want(key(100, 100), Amount(1, 20)))
    assert not isinstance(caught.value, Leased)


def test_a_soft_draw_fits_below_the_soft_limit() -> None:
    """Exactly; whoever draws above it learns how much of that is."""
    soft = key(1_000, 100, soft=800_000)
    assert draw(share(700, 50), want(soft, money(50), soft=True))[1] == Grant(money(50))
    with pytest.raises(BudgetExceeded):
        draw(share(700, 50), want(soft, money(51), soft=True))
    assert draw(share(700, 50), want(soft, money(70)))[1] == Grant(money(70), money(20))
    assert draw(share(700, 150), want(soft, money(70)))[1] == Grant(money(70), money(70))
    assert draw(share(0, 0), want(soft, Amount(0, 90)))[1] == Grant(Amount(0, 90), Amount(0, 10))
    assert draw(share(0, 0), want(key(None, soft=5), Amount(9, 9)))[1].over == NOTHING


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.integers(0, 100)), max_size=12))
def test_one_process_admits_soft_requests_exactly_below_the_soft_limit(steps: list[tuple[int, bool, int]]) -> None:
    """Whatever it has drawn before: its own idle lease never counts."""
    budget = key(1_000, soft=700_000)
    books, lease, running, spent = Share(Account()), Lease(), 0, 0
    for nanos, soft, percent in steps:
        lacks = lease.lacks(money(nanos), soft)
        fits = spent + running + nanos <= (700 if soft else 1_000)
        if lacks != NOTHING:
            try:
                books, grant = draw(books, want(budget, lacks, lease.most(lacks), soft=soft))
            except BudgetExceeded:
                assert not fits
                part = lease.idle(wanted=True)
                books, lease = give_back(books, part), lease.give_back(part)
                continue
            lease = lease.draw(grant)
        assert fits
        lease = lease.hold(money(nanos))
        running += nanos
        if percent > 50:
            cost = nanos * percent // 100
            books, lease = post(books, money(nanos), money(cost)), lease.settle(money(nanos), money(cost))
            running, spent = running - nanos, spent + cost


def test_an_end_is_paid_from_the_lease() -> None:
    """What it did not spend stays there; what a bill passed its bound by is posted all the same."""
    assert post(share(1, 9, lease=7), money(5), money(3)) == share(4, 6, lease=4)
    assert post(share(1, 9, lease=7), money(5), money(8)) == share(9, 4, lease=2)
    assert post(share(9, 1, lease=1), money(1), money(5)) == share(14, 0, lease=0)
    assert post(share(1, 2), NOTHING, money(5)) == share(6, 2)
    assert post(share(1, 9, lease=2), money(5), money(3)) == share(4, 7, lease=0)


def test_units_are_posted_apart() -> None:
    """Dollars up to their bound, tokens up to theirs."""
    before = Share(Account(NOTHING, Amount(50, 50)), Amount(50, 50))
    assert post(before, Amount(10, 10), Amount(4, 30)) == Share(Account(Amount(4, 30), Amount(46, 40)), Amount(46, 40))


def test_no_more_is_given_back_than_there_is() -> None:
    """A lease that others have ended has nothing to give."""
    assert give_back(share(3, 9, lease=7), money(5)) == share(3, 4, lease=2)
    assert give_back(share(3, 9, lease=7), money(8)) == share(3, 2, lease=0)


@given(numbers, numbers)
def test_giving_back_undoes_a_draw(posted: int, nanos: int) -> None:
    """What was drawn and not spent is free again."""
    before = share(posted, 7)
    after, grant = draw(before, want(key(None), money(nanos)))
    assert give_back(after, grant.amount) == before


def test_a_correction_never_leaves_less_than_nothing() -> None:
    """It goes either way, and what is held stays."""
    before = Account(Amount(10, 3), money(7), 5)
    assert correct(before, Amount(5, -2)) == Account(Amount(15, 1), money(7), 5)
    assert correct(before, Amount(-11, -4)) == Account(NOTHING, money(7), 5)


@pytest.mark.parametrize("bad", [Amount(-1, 0), Amount(0, -1)])
def test_amounts_that_can_not_be_are_refused(bad: Amount) -> None:
    """A negative one is a programming error: it would raise the budget."""
    for wrong in (
        lambda: draw(share(0, 9, 9), want(key(10), bad)),
        lambda: post(share(0, 9, 9), bad, NOTHING),
        lambda: post(share(0, 9, 9), NOTHING, bad),
        lambda: give_back(share(0, 9, 9), bad),
    ):
        with pytest.raises(ValueError, match="never negative"):
            wrong()


def refused(before: Share, nanos: int, budget: Budget, need: int = 0, *, soft: bool = False) -> BudgetExceeded:
    """Why, six hours before a day's budget renews."""
    asked = Want(budget, DAY_NS * 3 // 4, money(nanos), money(nanos), soft, money(need))
    with pytest.raises(BudgetExceeded) as caught:
        draw(before, asked)
    return caught.value


def test_the_refusal_says_every_amount_in_dollars() -> None:
    """Budget, spent, held, needed: the reader can add it up."""
    error = refused(share(NANOS // 2, NANOS // 4), NANOS // 2, key(NANOS))
    for amount in ("$1.00", "$0.50 is spent", "$0.25 is held", "may need $0.50"):
        assert amount in error.message


def test_what_the_lease_has_free_is_part_of_the_need() -> None:
    """Only a part of what it needs was lacking; the rest is held by nobody that runs."""
    error = refused(share(700, 250, lease=100), 60, key(1_000), need=160)
    assert "$0.0000007 is spent, $0.00000015 is held by running requests, and this request may need $0.00000016" in str(
        error
    )
    assert error.retry_after == SOON


def test_tokens_are_said_in_tokens() -> None:
    """With the comma that people read."""
    before = Share(Account(Amount(0, 9_000), Amount(0, 1_500)))
    with pytest.raises(BudgetExceeded) as caught:
        draw(before, want(Budget("team", "red", "day", tokens=12_000), Amount(0, 2_000)))
    assert caught.value.message == (
        "the budget of team red for the day of 1970-01-01 is 12,000 tokens: 9,000 are spent, 1,500 are held by running"
        " requests, and this request may need 2,000. It renews at 1970-01-02T00:00:00Z; this request may fit as soon as"
        " running ones have ended."
    )


@pytest.mark.parametrize(
    ("scope", "name", "words"),
    [
        ("key", "k", "the key's budget"),
        ("team", "red", "the budget of team red"),
        ("route", "support", "the budget of route support"),
        ("tag", "beta", "the budget of tag beta"),
        ("all", "", "the budget of all requests"),
        ("aside", "aside:support:2026-11-02", "the budget of aside:support:2026-11-02"),
    ],
)
def test_the_refusal_says_whose_budget_it_is(scope: Scope, name: str, words: str) -> None:
    """Of whom, as the configuration names it."""
    assert refused(share(10, 0), 1, Budget(scope, name, nanos=10)).message.startswith(f"{words} is $0.00000001: ")


def test_the_refusal_says_when_the_budget_renews() -> None:
    """Which budget it is, the moment, and how long that is from now."""
    error = refused(share(NANOS, 0), 1, key(NANOS, period="day"))
    assert error.message.startswith("the key's budget for the day of 1970-01-01 is $1.00: $1.00 is spent")
    assert error.message.endswith("this request may need $0.000000001. It renews at 1970-01-02T00:00:00Z.")
    assert error.retry_after == 6 * 3600


def test_the_refusal_of_a_soft_request_says_how_far_it_may_go() -> None:
    """And is measured by that."""
    error = refused(share(NANOS, 0), 1, key(2 * NANOS, soft=500_000), soft=True)
    assert "is $2.00, and this request may use it only up to $1.00: $1.00 is spent" in error.message
    assert "running ones" not in error.message
    never = refused(share(0, 0), NANOS + 1, key(2 * NANOS, soft=500_000), soft=True)
    assert "ask for a shorter answer" in never.message


def test_a_budget_for_good_does_not_renew() -> None:
    """And nobody is told to wait for it."""
    error = refused(share(NANOS, 0), 1, key(NANOS))
    assert error.message.endswith("It does not renew.")
    assert error.retry_after is None


@pytest.mark.parametrize("period", ["day", "total"])
def test_what_is_only_held_comes_free_soon(period: Period) -> None:
    """A request that fits beside what is spent need not wait for the next period."""
    error = refused(share(NANOS - 5, 5), 5, key(NANOS, period=period))
    assert "may fit as soon as running ones have ended" in error.message
    assert error.retry_after == SOON
    assert refused(share(NANOS - 4, 5), 5, key(NANOS, period=period)).retry_after != SOON


@pytest.mark.parametrize("period", ["day", "total"])
def test_a_request_that_never_fits_is_told_so(period: Period) -> None:
    """No period is long enough for what may need more than all of it."""
    error = refused(share(0, 0), NANOS + 1, key(NANOS, period=period))
    assert "ask for a shorter answer" in error.message
    assert error.retry_after is None
    assert "shorter" not in refused(share(1, 0), NANOS, key(NANOS, period=period)).message


def test_a_reservation_is_held_where_something_is_limited() -> None:
    """On each account once; its end is posted on its key's account too."""
    budgets = (key(5, period="day"), Budget("team", "red"), Budget("route", "support", tokens=9), key(None))
    asked = Reservation("r1", "k", "support", 3, DAY_NS, budgets)
    assert held_on(asked) == {"k:day:1970-01-02": budgets[0], "route=support": budgets[2]}
    assert booked_on("k", held_on(asked)) == ("k", "k:day:1970-01-02", "route=support")
    assert booked_on("k", ["k", "x"]) == ("k", "x")


def test_a_key_s_own_terms_are_one_budget() -> None:
    """In either unit; none where there is no limit."""
    assert own(Tenant("k", "name", None)) == ()
    assert own(Tenant("k", "name", 5, "week")) == (Budget("key", "k", "week", 5),)
    assert own(Tenant("k", "name", None, budget_tokens=7)) == (Budget("key", "k", "total", None, 7),)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "$0.00"), (1, "$0.000000001"), (100_000_000, "$0.10"), (1_234_500_000, "$1.2345"), (20 * NANOS, "$20.00")],
)
def test_dollars_are_exact(nanos: int, text: str) -> None:
    """No float comes near money; trailing zeros beyond cents are left out."""
    assert usd(nanos) == text


def test_a_reservation_without_budgets_is_held_nowhere() -> None:
    """It is posted on its key's account alone."""
    made = Reservation("r", "k", "support", 5, DAY_NS)
    assert held_on(made) == {}
    assert booked_on("k", held_on(made)) == ("k",)
