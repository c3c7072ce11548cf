"""The nouns of money: who pays, what limits them, what was spent, and the sums of it by the hour.

Frozen values beside those of `types.py`. Money is integer nano-dollars, times are Unix nanoseconds where a name ends
in `_ns`, hours are whole hours since 1970 (UTC).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tierwise.types import CostState, Decision, Duty, Usage, Value

Period = Literal["day", "week", "month", "total"]
Scope = Literal["key", "team", "route", "tag", "all", "aside"]
Arm = Literal["", "holdout", "treated"]
MILLION = 1_000_000
RIGHTS = ("premium", "tags", "session", "deadline", "explain")  # what a key may be kept from asking for
ASIDE = "aside:"
"""How the `key_id` of a request begins that no client made: audits, observation, comparisons."""


class Amount(Value, frozen=True):
    """What a budget counts in: both at once."""

    nanos: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.nanos + other.nanos, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.nanos - other.nanos, self.tokens - other.tokens)


class Budget(Value, frozen=True):
    """How much may be spent in a period; None: of that, as much as you like.

    `scope` and `name` say of whom: a key's id, a team, a route, a tag; "" for `all`; for `aside` the account itself.
    `soft` is the share, in millionths, from which on people are told, and routes degrade that are set to.
    """

    scope: Scope
    name: str
    period: Period = "total"
    nanos: int | None = None
    tokens: int | None = None
    soft: int = MILLION


class Tenant(Value, frozen=True):
    """Who asks: one virtual key, and its terms. None means without that limit."""

    key_id: str
    name: str
    budget_nanos: int | None = None
    period: Period = "total"  # after which the budget renews (UTC); "total": never
    rpm: int | None = None  # requests a minute
    tpm: int | None = None  # tokens a minute
    team: str = ""
    streams: int | None = None  # requests at once
    budget_tokens: int | None = None
    may: frozenset[str] | None = None  # which of `RIGHTS` it has; None: all
    routes: frozenset[str] | None = None  # and models, by name, that there are for it; None: all
    input_tpm: int | None = None  # of the tokens a minute, those in
    output_tpm: int | None = None  # ... and out

    @property
    def bounds_answers(self) -> bool:
        """Whether it has a limit that only holds where every answer ends by what was taken for it."""
        return not (self.tpm is self.output_tpm is None)


class Entry(Value, frozen=True):
    """One attempt's money and fate: a line of the ledger."""

    model: str
    provider_model: str
    role: Duty
    usage: Usage
    nanos: int
    cost_state: CostState
    outcome: Literal["served", "rejected", "consulted", "failed", "cancelled", "recovered"]
    rule: str  # the decision's rule, or the kind of error
    first_ms: float | None  # to the first token; None where none came
    total_ms: float


class Reservation(Value, frozen=True):
    """Made before the first call: an upper bound of what the request may cost, who asks, and which budgets bear it.

    With `soft` it must fit below their soft limits.
    """

    request_id: str
    key_id: str
    route: str
    nanos: int
    started_ns: int
    budgets: tuple[Budget, ...] = ()
    tokens: int = 0
    team: str = ""
    soft: bool = False

    @property
    def amount(self) -> Amount:
        return Amount(self.nanos, self.tokens)


class Record(msgspec.Struct, frozen=True):
    """Written when a request ends, however it ends: every attempt, and what always-premium would have cost."""

    request_id: str
    key_id: str
    route: str
    started_ns: int
    total_ms: float
    status: int  # what the client was told, as an HTTP status; 499 where it left
    decision: Decision
    entries: tuple[Entry, ...]
    baseline_nanos: int
    baseline_state: CostState
    team: str = ""
    arm: Arm = ""  # of the route's experiment, where it has one

    @property
    def nanos(self) -> int:
        return sum([entry.nanos for entry in self.entries])

    @property
    def tokens(self) -> int:
        return sum([entry.usage.input_tokens + entry.usage.output_tokens for entry in self.entries])

    @property
    def amount(self) -> Amount:
        return Amount(self.nanos, self.tokens)


class Correction(Value, frozen=True):
    """Puts right what a settled request is booked with: `nanos` more, or fewer where it is negative.

    A second one of the same request for the same reason is none. One of a request that the ledger does not know is
    taken as it is: an invoice says something of many requests at once.
    """

    request_id: str
    key_id: str
    route: str
    at_ns: int
    nanos: int
    reason: str  # "late": its true end came after it had been settled at its bound; or what an invoice said
    team: str = ""
    model: str = ""  # the configured model whose spend it corrects; "" where it is of several
    tokens: int = 0  # so many more, or fewer


class Key(Value, frozen=True):
    """A virtual key as the store keeps it: the digest, never the key."""

    id: str
    name: str
    digest: bytes
    prefix: str  # the first characters, to recognise it by
    created_ns: int
    budget_nanos: int | None = None
    revoked_ns: int | None = None
    period: Period = "total"
    rpm: int | None = None
    tpm: int | None = None
    team: str = ""
    streams: int | None = None
    budget_tokens: int | None = None
    may: str | None = None  # as of its `Tenant`, with commas between the names
    routes: str | None = None
    input_tpm: int | None = None
    output_tpm: int | None = None


class Spend(msgspec.Struct, frozen=True, gc=False):
    """Entries of one hour that agree in all that is named first, summed up.

    `key_id` is "aside" for whatever no client asked. `role` is "correction" for the corrections of that hour.
    """

    hour: int
    route: str
    team: str
    key_id: str
    model: str
    role: Duty | Literal["correction"]
    state: CostState
    entries: int = 0
    nanos: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Traffic(msgspec.Struct, frozen=True, gc=False):
    """Requests of one hour that agree in all that is named first, summed up. `key_id` as in `Spend`."""

    hour: int
    route: str
    team: str
    key_id: str
    arm: Arm
    requests: int = 0  # answered
    failed: int = 0  # all others
    drafts: int = 0  # of those answered: by a tier below premium
    nanos: int = 0  # of both
    baseline_nanos: int = 0
    unknown_nanos: int = 0  # of the baseline: where it is not known
    squares: float = 0.0  # of what each answered one cost, in dollars: for the interval around their mean
    total_ms: float = 0.0  # of those answered
