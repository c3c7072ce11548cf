"""Money in two phases: nothing is reserved past a limit, nothing is lost, nothing is negative."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tierwise.core.budget import NANOS, SOON, Account, post, reserve, usd, void
from tierwise.core.window import DAY_NS, window
from tierwise.errors import BudgetExceeded

amounts = st.integers(min_value=0, max_value=2 * NANOS)


@given(amounts, amounts, amounts, amounts)
def test_a_reservation_holds_or_is_refused_at_the_limit_exactly(limit: int, posted: int, held: int, nanos: int) -> None:
    """It is refused just where posted + held + nanos is over the limit, and then nothing has changed."""
    account = Account(limit, posted, held)
    if posted + held + nanos > limit:
        with pytest.raises(BudgetExceeded):
            reserve(account, nanos)
    else:
        assert reserve(account, nanos) == Account(limit, posted, held + nanos)


def test_the_limit_itself_may_be_reserved() -> None:
    """To the last nano-dollar, and not one more."""
    assert reserve(Account(10, 4, 5), 1) == Account(10, 4, 6)
    with pytest.raises(BudgetExceeded):
        reserve(Account(10, 4, 6), 1)
    assert void(Account(10, 4, 6), 6) == Account(10, 4, 0)


@given(amounts, amounts)
def test_void_undoes_reserve(held: int, nanos: int) -> None:
    """What was reserved and not spent is free again."""
    account = Account(None, 7, held)
    assert void(reserve(account, nanos), nanos) == account


def test_an_end_without_a_reservation_is_posted() -> None:
    """A request refused before any call holds nothing, and may still cost."""
    assert post(Account(10, 1, 2), 0, 5) == Account(10, 6, 2)


def test_money_that_is_gone_is_posted_past_the_limit() -> None:
    """Only a reservation is refused: a bill that came in is not."""
    assert post(Account(10, 9, 1), 1, 5) == Account(10, 14, 0)


@pytest.mark.parametrize(("held", "spent"), [(-1, 0), (0, -1), (3, 0)])
def test_amounts_that_can_not_be_are_refused(held: int, spent: int) -> None:
    """Negative money, and a release of more than is held, are programming errors."""
    with pytest.raises(ValueError, match=r"never negative|more would be released"):
        post(Account(None, 0, 2), held, spent)


def test_a_negative_reservation_is_refused() -> None:
    """It would raise the budget."""
    with pytest.raises(ValueError, match="never negative"):
        reserve(Account(), -1)


def test_the_refusal_says_every_amount_in_dollars() -> None:
    """Budget, spent, held, needed: the reader can add it up."""
    with pytest.raises(BudgetExceeded) as caught:
        reserve(Account(NANOS, NANOS // 2, NANOS // 4), NANOS // 2)
    for amount in ("$1.00", "$0.50 is spent", "$0.25 is held", "may need $0.50"):
        assert amount in caught.value.message


def refused(account: Account, nanos: int, *, renews: bool = True) -> BudgetExceeded:
    """Why, six hours before a day's budget renews."""
    current = window("day", 0) if renews else None
    with pytest.raises(BudgetExceeded) as caught:
        reserve(account, nanos, current, DAY_NS * 3 // 4)
    return caught.value


def test_the_refusal_says_when_the_budget_renews() -> None:
    """Which budget it is, the moment, and how long that is from now."""
    error = refused(Account(NANOS, NANOS, 0), 1)
    assert error.message.startswith("the key's budget for the day of 1970-01-01 is $1.00: $1.00 is spent")
    assert error.message.endswith("this request may need $0.000000001. It renews at 1970-01-02T00:00:00Z.")
    assert error.retry_after == 6 * 3600


def test_a_budget_for_good_does_not_renew() -> None:
    """And nobody is told to wait for it."""
    error = refused(Account(NANOS, NANOS, 0), 1, renews=False)
    assert error.message.endswith("It does not renew.")
    assert error.retry_after is None


@pytest.mark.parametrize("renews", [True, False])
def test_what_is_only_held_comes_free_soon(renews: bool) -> None:
    """A request that fits beside what is spent need not wait for the next period."""
    error = refused(Account(NANOS, NANOS - 5, 5), 5, renews=renews)
    assert "may fit as soon as running ones have ended" in error.message
    assert error.retry_after == SOON
    assert refused(Account(NANOS, NANOS - 4, 5), 5, renews=renews).retry_after != SOON


@pytest.mark.parametrize("renews", [True, False])
def test_a_request_that_never_fits_is_told_so(renews: bool) -> None:
    """No period is long enough for what may need more than all of it."""
    error = refused(Account(NANOS, 0, 0), NANOS + 1, renews=renews)
    assert "ask for a shorter answer" in error.message
    assert error.retry_after is None
    assert "shorter" not in refused(Account(NANOS, 1, 0), NANOS, renews=renews).message


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "$0.00"), (1, "$0.000000001"), (100_000_000, "$0.10"), (1_234_500_000, "$1.2345"), (20 * NANOS, "$20.00")],
)
def test_dollars_are_exact(nanos: int, text: str) -> None:
    """No float comes near money; trailing zeros beyond cents are left out."""
    assert usd(nanos) == text


class Budget(RuleBasedStateMachine):
    """Any order of reserve, post and void against the sums kept by hand."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.account = Account(NANOS)
        self.held: list[int] = []
        self.spent = 0

    @rule(target=running, nanos=st.integers(0, NANOS // 2))
    def reserve(self, nanos: int) -> int:
        before = self.account
        try:
            self.account = reserve(before, nanos)
        except BudgetExceeded:
            assert before.posted + before.held + nanos > NANOS
            nanos = 0
        else:
            assert self.account.posted + self.account.held <= NANOS
        self.held.append(nanos)
        return nanos

    @rule(nanos=consumes(running), share=st.integers(0, 100))
    def post(self, nanos: int, share: int) -> None:
        spent = nanos * share // 100
        self.account = post(self.account, nanos, spent)
        self.held.remove(nanos)
        self.spent += spent

    @rule(nanos=consumes(running))
    def void(self, nanos: int) -> None:
        self.account = void(self.account, nanos)
        self.held.remove(nanos)

    @invariant()
    def sums_hold(self) -> None:
        assert self.account == Account(NANOS, self.spent, sum(self.held))
        assert self.account.posted + self.account.held <= NANOS


TestBudget = Budget.TestCase
