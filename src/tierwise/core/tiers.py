"""Which tiers to try for one request, and in which order: cascade routing by enumeration.

With at most six tiers there are at most 63 chains "try this, then that", so all of them are priced and the best
is taken; a chain of one tier is routing, a longer one is a cascade (Dekoninck et al., "A Unified Approach to Routing
and Cascading for LLMs", arXiv 2410.10347, whose trade-off is the same: quality minus what it costs, at one exchange
rate). A chain is priced as Tierwise plays it: a rejected draft is dropped, the last answer is final.

Knows nothing of requests, scores or models: estimates come in, a plan goes out. It can't be better than they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import combinations
from math import inf

import msgspec

from tierwise.types import Value

MAX_TIERS = 6
ROUNDING = 1e-12  # of what is compared: less than this apart is a tie


class Tier(Value, frozen=True):
    """What is expected of one tier, given the request (and the drafts that were rejected so far).

    `good`: P(its answer is good). `cost`: dollars of trying it, all told (see `full_cost`). `accept`: P(its draft is
    accepted); of no account for the last tier of a chain, whose answer is final. `latency`: seconds, with everything
    that is done before its answer is accepted or dropped. `good_if_accepted`: P(good, given accepted), which a
    verifier that knows something lifts above `good`; None: it knows nothing. Raises ValueError outside the ranges.
    """

    good: float
    cost: float
    accept: float
    latency: float
    good_if_accepted: float | None = None

    def __post_init__(self) -> None:
        shares = (self.good, self.accept, self.served)
        if not all(0 <= share <= 1 for share in shares) or not all(
            0 <= item < inf for item in (self.cost, self.latency)
        ):
            raise ValueError("a tier's probabilities lie from 0 to 1, its cost and latency are finite and not negative")

    @property
    def served(self) -> float:
        """P(good) of a draft of this tier that is served because it was accepted."""
        return self.good if self.good_if_accepted is None else self.good_if_accepted


class Plan(Value, frozen=True):
    """A chain of tiers (positions, increasing) and what is expected of it for one request.

    `quality` is P(what is served is good), `cost` dollars, `latency` seconds, `net` dollars: the quality's worth minus
    cost and the worth of the time. `gain`: how much `net` exceeds that of the best single tier, 0.0 for a single one.
    """

    order: tuple[int, ...]
    quality: float
    cost: float
    latency: float
    net: float
    gain: float = 0.0

    @property
    def cascades(self) -> bool:
        """Whether anything is tried before the final answer. False: do not cascade here."""
        return len(self.order) > 1


def full_cost(call: float, extras: Collection[tuple[float, float]] = (), lost_cache: float = 0.0) -> float:
    """Dollars of trying a tier: its call, each extra (its share of requests, its dollars), the prompt cache it forgoes.

    Extras are second opinions and judges, asked in the uncertain band only. `lost_cache` is what the prompt costs more
    because the conversation's cached prefix lies with another model.
    """
    return call + sum(share * dollars for share, dollars in extras) + lost_cache


def best(
    tiers: Sequence[Tier],
    value_of_quality: float,
    value_of_second: float = 0.0,
    *,
    after: int = -1,
    final: Collection[int] | None = None,
) -> Plan:
    """The chain of greatest net worth; of equal ones the one of fewer tiers, then the cheaper one.

    `value_of_quality`: dollars that one more good answer is worth (1 / lambda); `value_of_second`: dollars. `final`:
    the tiers whose answer may be served unverified; None: any. `after`: the draft of that tier was rejected; the plan
    is for the tiers above it, whose numbers the caller has estimated anew, and what is spent is spent.

    Raises ValueError for more than MAX_TIERS tiers, where none is left, and for a worth below 0 or not finite.
    """
    plans = _plans(tiers, (value_of_quality, value_of_second), after, final)
    top = max(plans, key=lambda plan: plan.net)
    scale = value_of_quality * top.quality + top.cost + value_of_second * top.latency
    ties = [plan for plan in plans if plan.net >= top.net - ROUNDING * scale]
    chosen = min(ties, key=lambda plan: (len(plan.order), plan.cost))
    if not chosen.cascades:
        return chosen
    alone = max(plan.net for plan in plans if not plan.cascades)
    return msgspec.structs.replace(chosen, gain=chosen.net - alone)


@lru_cache(maxsize=64)
def _chains(count: int, after: int) -> tuple[tuple[int, ...], ...]:
    """Every increasing chain of the tiers above `after`: single ones, then pairs, then longer ones."""
    left = range(after + 1, count)
    return tuple(chain for length in range(1, len(left) + 1) for chain in combinations(left, length))


def _plans(tiers: Sequence[Tier], worth: tuple[float, float], after: int, final: Collection[int] | None) -> list[Plan]:
    if len(tiers) > MAX_TIERS:
        raise ValueError(f"at most {MAX_TIERS} tiers can be planned for")
    if not all(0 <= item < inf for item in worth):
        raise ValueError("the worth of quality and of time is finite and not negative")
    chains = _chains(len(tiers), max(after, -1))
    plans = [_plan(tiers, chain, *worth) for chain in chains if final is None or chain[-1] in final]
    if not plans:
        raise ValueError("there is no tier left that may answer")
    return plans


def _plan(tiers: Sequence[Tier], order: tuple[int, ...], value: float, second: float) -> Plan:
    reached, quality, cost, latency = 1.0, 0.0, 0.0, 0.0
    for place in order[:-1]:
        tier = tiers[place]
        cost += reached * tier.cost
        latency += reached * tier.latency
        quality += reached * tier.accept * tier.served
        reached *= 1 - tier.accept
    last = tiers[order[-1]]
    cost += reached * last.cost
    latency += reached * last.latency
    quality += reached * last.good
    return Plan(order, quality, cost, latency, value * quality - cost - second * latency)
