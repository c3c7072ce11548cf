"""A key's money in two phases: reserve an upper bound before the first call, post what was spent, void the rest.

Pure integer arithmetic in nano-dollars. Knows nothing of requests, clocks or where an account is kept; whoever
keeps it makes the read and the write one transaction.
"""

from __future__ import annotations

from tierwise.core.window import SECOND_NS, Window, iso
from tierwise.errors import BudgetExceeded
from tierwise.money import Budget, Tenant
from tierwise.types import Value

NANOS = 1_000_000_000  # a dollar
SOON = 1.0  # seconds after which it is worth asking again where only running requests stand in the way


class Account(Value, frozen=True):
    """`posted` is spent for good, `held` is reserved by running requests; neither is ever negative.

    Only a reservation looks at `limit` (None: no limit). What a reserved request then really cost is posted even
    where it passes the limit: money that is gone can't be refused.
    """

    limit: int | None = None
    posted: int = 0
    held: int = 0


def reserve(account: Account, nanos: int, window: Window | None = None, at_ns: int = 0) -> Account:
    """Hold `nanos`. Raises BudgetExceeded where posted + held + nanos would pass the limit.

    `window` is what the account is for, and `at_ns` the time, where it renews: the refusal says when.
    """
    _amount(nanos)
    held = account.held + nanos
    if account.limit is not None and account.posted + held > account.limit:
        raise _refusal(account, account.limit, nanos, window, at_ns)
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


def _refusal(account: Account, limit: int, nanos: int, window: Window | None, at_ns: int) -> BudgetExceeded:
    whose = "" if window is None else f" for the {window.period} of {window.name}"
    renews = "It does not renew" if window is None else f"It renews at {iso(window.end_ns)}"
    wait = None if window is None else (window.end_ns - at_ns) / SECOND_NS
    if nanos > limit:
        wait = None
        renews += "; this request may need more than all of it, so ask for a shorter answer, or for a larger budget"
    elif account.posted + nanos <= limit:
        wait = SOON
        renews += "; this request may fit as soon as running ones have ended"
    return BudgetExceeded(
        f"the key's budget{whose} is {usd(limit)}: {usd(account.posted)} is spent, {usd(account.held)} is held by "
        f"running requests, and this request may need {usd(nanos)}. {renews}.",
        retry_after=wait,
    )


def own(tenant: Tenant) -> tuple[Budget, ...]:
    """What a key's own terms limit; nothing where they don't."""
    if tenant.budget_nanos is None and tenant.budget_tokens is None:
        return ()
    return (Budget("key", tenant.key_id, tenant.period, tenant.budget_nanos, tenant.budget_tokens),)


def usd(nanos: int) -> str:
    """Dollars for people, exact, at least two decimals: 1_500_000_000 is "$1.50"."""
    whole, rest = divmod(nanos, NANOS)
    digits = f"{rest:09d}"
    return f"${whole}.{digits[:2]}{digits[2:].rstrip('0')}"


def _amount(nanos: int) -> None:
    if nanos < 0:
        raise ValueError("an amount of money is never negative")
