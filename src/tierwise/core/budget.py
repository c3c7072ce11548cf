"""A key's money in two phases: reserve an upper bound before the first call, post what was spent, void the rest.

Pure integer arithmetic in nano-dollars. Knows nothing of requests, time or where an account is kept; whoever
keeps it makes the read and the write one transaction.
"""

from __future__ import annotations

from tierwise.errors import BudgetExceeded
from tierwise.types import Value

NANOS = 1_000_000_000  # a dollar


class Account(Value, frozen=True):
    """`posted` is spent for good, `held` is reserved by running requests; neither is ever negative.

    Only a reservation looks at `limit` (None: no limit). What a reserved request then really cost is posted even
    where it passes the limit: money that is gone can't be refused.
    """

    limit: int | None = None
    posted: int = 0
    held: int = 0


def reserve(account: Account, nanos: int) -> Account:
    """Hold `nanos`. Raises BudgetExceeded where posted + held + nanos would pass the limit."""
    _amount(nanos)
    held = account.held + nanos
    if account.limit is not None and account.posted + held > account.limit:
        raise BudgetExceeded(
            f"the key's budget is {usd(account.limit)}: {usd(account.posted)} is spent, {usd(account.held)} is held by "
            f"running requests, and this request may need {usd(nanos)}"
        )
    return Account(account.limit, account.posted, held)


def post(account: Account, held: int, spent: int) -> Account:
    """End a request that had `held` reserved (0: nothing) and cost `spent`; the difference is free again."""
    _amount(held)
    _amount(spent)
    if held > account.held:
        raise ValueError("more would be released than is held")
    return Account(account.limit, account.posted + spent, account.held - held)


def void(account: Account, held: int) -> Account:
    """Release `held`: the request cost nothing."""
    return post(account, held, 0)


def usd(nanos: int) -> str:
    """Dollars for people, exact, at least two decimals: 1_500_000_000 is "$1.50"."""
    whole, rest = divmod(nanos, NANOS)
    digits = f"{rest:09d}"
    return f"${whole}.{digits[:2]}{digits[2:].rstrip('0')}"


def _amount(nanos: int) -> None:
    if nanos < 0:
        raise ValueError("an amount of money is never negative")
