"""Money in two phases: nothing is reserved past a limit, nothing is lost, nothing is negative."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tierwise.core.budget import NANOS, Account, post, reserve, usd, void
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
