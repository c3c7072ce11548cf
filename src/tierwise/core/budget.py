"""The database's side of an account: what is drawn for a process, what is posted, what is given back.

Money in two phases: an upper bound is set aside before the first call, then what was spent is posted, and the rest is
free again. A process sets aside more than one request needs: its lease, see `lease.py`. Pure integer arithmetic in
nano-dollars and tokens. Knows nothing of requests' contents, clocks or where an account is kept; whoever keeps it makes
the read and the write one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tierwise.core.lease import NOTHING, Grant, at_least, at_most
from tierwise.core.window import SECOND_NS, account, iso, window
from tierwise.errors import BudgetExceeded
from tierwise.money import MILLION, Amount, Budget, Reservation, Tenant
from tierwise.types import Value

NANOS = 1_000_000_000  # a dollar
SOON = 1.0  # seconds after which it is worth asking again where only running requests stand in the way
SHARE = 4  # what is drawn beyond the need is at most the 4th part of what is left beyond it


class Account(Value, frozen=True):
    """`posted` is spent for good, `held` is the sum of all leases; neither is ever negative.

    `wanted_ns`: when somebody was refused only for want of what others lease; 0 where nobody was since the last draw.
    """

    posted: Amount = NOTHING
    held: Amount = NOTHING
    wanted_ns: int = 0


class Share(NamedTuple):
    """An account, and what one process leases of it."""

    account: Account
    lease: Amount = NOTHING


class Want(Value, frozen=True):
    """A process lacks `least` of what `budget` limits, and could do with `most`.

    `at_ns` is when the request began, `need` all that it may need, with what the lease has free for it. `soft`: it must
    fit below the soft limit.
    """

    budget: Budget
    at_ns: int
    least: Amount
    most: Amount
    soft: bool = False
    need: Amount = NOTHING


class Leased(BudgetExceeded):
    """Only what other processes lease stands in the way: some of that may be idle, and can be asked back."""


def held_on(reservation: Reservation) -> dict[str, Budget]:
    """The accounts that a reservation is held on: those of its budgets that limit anything."""
    if not reservation.budgets:
        return {}
    return {
        account(budget, reservation.started_ns): budget
        for budget in reservation.budgets
        if budget.nanos is not None or budget.tokens is not None
    }


def booked_on(key_id: str, held: Iterable[str]) -> tuple[str, ...]:
    """What a request's end is posted on, each once: the key's own account, then those that it was held on."""
    return tuple(dict.fromkeys((key_id, *held)))


def draw(share: Share, want: Want) -> tuple[Share, Grant]:
    """Set at least `least` aside. Raises BudgetExceeded where posted and held with that would pass the limit.

    Leased, where that is only because of what others hold; whoever keeps the account marks that it is wanted. Until the
    next draw nobody gets more than they need.
    """
    _positive(want.least)
    before, lease = share
    used = before.posted + before.held
    short = [unit for unit in UNITS if not unit.fits(want, used)]
    if short:
        others = before.posted + lease
        kind = Leased if all(unit.fits(want, others) for unit in short) else BudgetExceeded
        raise short[0].refusal(kind, share, want)
    most = want.least if before.wanted_ns else at_least(want.most, want.least)
    given = Amount(*(unit.grant(want, most, used) for unit in UNITS))
    over = Amount(*(unit.over(want.budget, used, given) for unit in UNITS))
    wanted_ns = before.wanted_ns if given == NOTHING else 0
    return Share(Account(before.posted, before.held + given, wanted_ns), lease + given), Grant(given, over)


def post(share: Share, reserved: Amount, spent: Amount) -> Share:
    """End a request that had `reserved` of the lease (nothing: it was not held here) and cost `spent`.

    What was reserved pays; what is beyond is posted all the same, even past the limit: money that is gone can't be
    refused. The rest of what was reserved stays in the lease.
    """
    _positive(reserved)
    _positive(spent)
    paid = at_most(at_most(spent, reserved), share.lease)
    before = share.account
    return Share(Account(before.posted + spent, before.held - paid, before.wanted_ns), share.lease - paid)


def give_back(share: Share, part: Amount) -> Share:
    """Of the lease, as much of it as there is."""
    _positive(part)
    part = at_most(part, share.lease)
    before = share.account
    return Share(Account(before.posted, before.held - part, before.wanted_ns), share.lease - part)


def correct(account: Account, more: Amount) -> Account:
    """What was posted was not right. It is never less than nothing."""
    return Account(at_least(account.posted + more, NOTHING), account.held, account.wanted_ns)


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


class _Unit:
    """One of the two that a budget counts in."""

    def __init__(self, field: str, verb: str, noun: str) -> None:
        self.field = field
        self.verb = verb
        self.noun = noun

    def of(self, amount: Amount) -> int:
        number: int = getattr(amount, self.field)
        return number

    def limit(self, budget: Budget, soft: bool = False) -> int | None:
        limit: int | None = getattr(budget, self.field)
        return limit if limit is None or not soft else limit * budget.soft // MILLION

    def fits(self, want: Want, used: Amount) -> bool:
        limit, least = self.limit(want.budget, want.soft), self.of(want.least)
        return limit is None or not least or self.of(used) + least <= limit

    def grant(self, want: Want, most: Amount, used: Amount) -> int:
        """Near the end of a budget just what is needed: a lease there would lie idle while another process refuses."""
        limit, least = self.limit(want.budget), self.of(want.least)
        if limit is None:
            return self.of(most)
        spare = (limit - self.of(used) - least) // SHARE
        return least + min(self.of(most) - least, spare) if spare >= least else least

    def over(self, budget: Budget, used: Amount, given: Amount) -> int:
        """What of it lies above the soft limit."""
        limit = self.limit(budget, soft=True)
        return 0 if limit is None else min(max(self.of(used) + self.of(given) - limit, 0), self.of(given))

    def refusal(self, kind: type[BudgetExceeded], share: Share, want: Want) -> BudgetExceeded:
        budget, need = want.budget, self.of(at_least(want.need, want.least))
        limit, first = self.limit(budget) or 0, self.limit(budget, want.soft) or 0
        posted = self.of(share.account.posted)
        held = self.of(share.account.held) - (need - self.of(want.least))  # without what is free for this request
        now = window(budget.period, want.at_ns)
        period = "" if now is None else f" for the {now.period} of {now.name}"
        below = f", and this request may use it only up to {self.words(first)}" if want.soft else ""
        renews = "It does not renew" if now is None else f"It renews at {iso(now.end_ns)}"
        wait = None if now is None else (now.end_ns - want.at_ns) / SECOND_NS
        if need > first:
            wait = None
            renews += "; this request may need more than all of it, so ask for a shorter answer, or for a larger budget"
        elif posted + need <= first:
            wait = SOON
            renews += "; this request may fit as soon as running ones have ended"
        return kind(
            f"{_whose(budget)}{period} is {self.words(limit)}{below}: {self.bare(posted)} {self.verb} spent, "
            f"{self.bare(held)} {self.verb} held by running requests, and this request may need {self.bare(need)}. "
            f"{renews}.",
            retry_after=wait,
        )

    def bare(self, number: int) -> str:
        return f"{number:,}" if self.noun else usd(number)

    def words(self, number: int) -> str:
        return self.bare(number) + self.noun


UNITS = (_Unit("nanos", "is", ""), _Unit("tokens", "are", " tokens"))


def _whose(budget: Budget) -> str:
    if budget.scope == "key":
        return "the key's budget"
    if budget.scope == "all":
        return "the budget of all requests"
    return f"the budget of {budget.name if budget.scope == 'aside' else f'{budget.scope} {budget.name}'}"


def _positive(amount: Amount) -> None:
    if amount.nanos < 0 or amount.tokens < 0:
        raise ValueError("an amount of money or tokens is never negative")
