"""A process's side of an account: what it has drawn from it, and what its running requests hold of that.

A reservation that fits into the free part of its lease needs no database. Pure arithmetic on amounts; knows no clock,
no account, and nobody else's lease. The database's side is `budget.py`.
"""

from __future__ import annotations

from tierwise.money import Amount
from tierwise.types import Value

NOTHING = Amount()
BEATS = 3  # of use are kept at hand


class Lease(Value, frozen=True):
    """`drawn` is set aside for this process and not spent yet, `held` is reserved of it by running requests.

    `over` is how much of what was drawn lay above the budget's soft limit. `taken` was reserved since the last
    beat, `use` is reserved from beat to beat, the older the less it counts. `drawn` is below `held`, and may be below
    zero, where the lease was lost; then the next draw makes up for it.
    """

    drawn: Amount = NOTHING
    held: Amount = NOTHING
    over: Amount = NOTHING
    taken: Amount = NOTHING
    use: Amount = NOTHING

    @property
    def free(self) -> Amount:
        return self.drawn - self.held

    def lacks(self, amount: Amount, soft: bool = False) -> Amount:
        """How much more has to be drawn before `amount` can be held; nothing where it can be."""
        return at_least(amount - self._within(soft), NOTHING)

    def hold(self, amount: Amount) -> Lease:
        """Of what it does not lack. Whoever calls has looked."""
        return Lease(self.drawn, self.held + amount, self.over, self.taken + amount, self.use)

    def settle(self, reserved: Amount, spent: Amount) -> Lease:
        """End a request: what it spent is gone, up to what it had reserved; the rest of that is free again."""
        return Lease(self.drawn - at_most(spent, reserved), self.held - reserved, self.over, self.taken, self.use)

    def draw(self, grant: Grant) -> Lease:
        return Lease(self.drawn + grant.amount, self.held, self.over + grant.over, self.taken, self.use)

    def most(self, least: Amount) -> Amount:
        """What to ask for, with what is needed now: some beats' use on top."""
        busy = at_least(self.use, self.taken)
        return least + Amount(BEATS * busy.nanos, BEATS * busy.tokens)

    def beat(self) -> Lease:
        """A moment has passed."""
        use = self.use + self.taken
        return Lease(self.drawn, self.held, self.over, NOTHING, Amount(use.nanos // 2, use.tokens // 2))

    def idle(self, wanted: bool) -> Amount:
        """What to give back at a beat: whatever some beats' use will not need; all that is free where others wait."""
        kept = NOTHING if wanted else Amount(BEATS * self.use.nanos, BEATS * self.use.tokens)
        return at_least(self.free - kept, NOTHING)

    def give_back(self, part: Amount) -> Lease:
        return Lease(self.drawn - part, self.held, at_least(self.over - part, NOTHING), self.taken, self.use)

    def lost(self) -> Lease:
        """Others took this process for dead: nothing is drawn any more, and what runs, runs uncovered."""
        return Lease(NOTHING, self.held, NOTHING, self.taken, self.use)

    def _within(self, soft: bool) -> Amount:
        return self.free - self.over if soft else self.free


class Grant(Value, frozen=True):
    """What a draw gave, and how much of that lies above the budget's soft limit."""

    amount: Amount
    over: Amount = NOTHING


def at_least(amount: Amount, floor: Amount) -> Amount:
    """In each unit the larger."""
    return Amount(max(amount.nanos, floor.nanos), max(amount.tokens, floor.tokens))


def at_most(amount: Amount, ceiling: Amount) -> Amount:
    """In each unit the smaller."""
    return Amount(min(amount.nanos, ceiling.nanos), min(amount.tokens, ceiling.tokens))
