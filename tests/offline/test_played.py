"""The live plan over recorded rows: what is kept, asked about and paid, row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.offline.synthetic import bare, side
from tierwise.core import price
from tierwise.offline.outcomes import Pairs
from tierwise.offline.played import Fate, Recorded, models_of, play, typical
from tierwise.types import Escalations, Estimate, Message, Mode, Request, Route, Thresholds, Verdict

N = 400
LIMITS = Thresholds(0.6, 0.3, 0.8)


def recorded(seed: int = 1) -> Pairs:
    """Costs that are exactly tokens times a price, so that the plan knows what the table does."""
    rng = np.random.default_rng(seed)

    def one(model: str, usd: float) -> dict[str, object]:
        tokens = rng.integers(20, 200, N)
        words = {"prompt_tokens": rng.integers(5, 50, N), "completion_tokens": tokens}
        return {"cost": (words["prompt_tokens"] + 3 * tokens) * usd, **words}

    return bare(
        side("cheap", rng.random(N) < 0.7, **one("cheap", 4e-6)),
        side("premium", rng.random(N) < 0.9, **one("premium", 1e-5)),
        side("other", rng.random(N) < 0.7, **one("other", 1e-6)),
        side("third", rng.random(N) < 0.7, **one("third", 1e-6)),
    )


def test_what_is_played_is_what_is_counted() -> None:
    """Kept iff neither planned away nor below the thresholds; every call that was made is paid for, and no other."""
    pairs = recorded()
    rng = np.random.default_rng(2)
    alone, heard, accept, consult = rng.random((4, N))
    tiers, opinions = models_of(pairs)
    route = Route("r", tiers, thresholds=LIMITS, opinions=opinions, planned=True)
    usual = (typical(pairs.cheap)[0], typical(pairs.premium)[0])

    def router(row: int) -> Verdict:
        first = Estimate(0.5, float(accept[row]), float(consult[row]), usual[0])
        return Verdict(0.5, (), (first, Estimate(0.9, 1.0, 0.0, usual[1])))

    fate = play(pairs, route, Recorded(lambda row, asked: Verdict(float((heard if asked else alone)[row])), router))

    request = Request(id="q", asked="r", messages=(Message("user", "p"),))
    cost = {model.name: price.expected(request, model, tokens) for model, tokens in zip(tiers, usual, strict=True)}
    other = sum(price.expected(request, model, usual[0]) for model in opinions)
    trying = cost["cheap"] + consult * other + (1 - accept) * cost["premium"]
    assert not np.any(np.isclose(trying, cost["premium"], rtol=1e-9))
    planned = trying > cost["premium"]
    asked = ~planned & (alone >= LIMITS.consult) & (alone < LIMITS.unheard)
    kept = ~planned & np.where(asked, heard >= LIMITS.accept, alone >= LIMITS.unheard)
    assert 0.1 < planned.mean() < 0.9
    assert 0.1 < kept.mean() < 0.9
    assert (fate.kept == kept).all()
    assert (fate.asked == asked).all()
    assert [rule == "plan:premium" for rule in fate.rules] == planned.tolist()
    assert (fate.quality == np.where(kept, pairs.cheap.score, pairs.premium.score)).all()
    paid = np.where(planned, 0, pairs.cheap.cost) + np.where(kept, 0, pairs.premium.cost)
    paid += np.where(asked, pairs.opinions[0].cost + pairs.opinions[1].cost, 0)
    assert fate.dollars == pytest.approx(paid)


@pytest.mark.parametrize(
    ("mode", "hold", "thresholds", "keeps"),
    [("premium", "draft", LIMITS, 0), ("enforce", "draft", None, 0), ("enforce", "none", LIMITS, 1)],
    ids=["premium", "uncertified", "router"],
)
def test_other_routes(mode: Mode, hold: str, thresholds: Thresholds | None, keeps: int) -> None:
    """Premium alone, nothing certified, and a router that decides before there is a draft."""
    pairs = recorded()
    tiers, _ = models_of(pairs)
    route = Route("r", tiers, mode=mode, hold="none" if hold == "none" else "draft", thresholds=thresholds)
    worth = np.linspace(0, 1, N)
    fate = play(pairs, route, Recorded(lambda row, asked: Verdict(1.0), lambda row: Verdict(1 - float(worth[row]))))
    kept = (1 - worth < 0.5) if keeps else np.zeros(N, bool)
    assert (fate.kept == kept).all()
    assert fate.dollars == pytest.approx(np.where(kept, pairs.cheap.cost, pairs.premium.cost))
    assert not fate.asked.any()


def test_an_unknown_cost_stays_unknown() -> None:
    """Of the rows that paid it, and of no other."""
    pairs = bare(side("cheap", [1, 1], math.nan), side("premium", [1, 1], 2.0))
    tiers, _ = models_of(pairs)
    route = Route("r", tiers, mode="premium")

    def fate_of(one: Route) -> Fate:
        return play(pairs, one, Recorded(lambda row, asked: Verdict(1.0), lambda row: Verdict(0.0)))

    assert fate_of(route).dollars.tolist() == [2.0, 2.0]
    assert np.isnan(fate_of(Route("r", tiers, uncertified="checks")).dollars).all()


def test_prices_come_from_recorded_costs() -> None:
    """Exactly, where costs are tokens times a price; from the mean, where that would be below nothing."""
    tiers, opinions = models_of(recorded())
    prices = [model.price for model in (*tiers, *opinions)]
    assert [(found.input, found.output) for found in prices if found] == [
        (4_000_000, 12_000_000),
        (10_000_000, 30_000_000),
        (1_000_000, 3_000_000),
        (1_000_000, 3_000_000),
    ]
    assert [model.name for model in (*tiers, *opinions)] == ["cheap", "premium", "other", "third"]
    odd = side("cheap", [1, 1], [1.0, 0.5], prompt_tokens=[10, 20], completion_tokens=[10, 10])
    (found, _), _ = models_of(bare(odd, odd))
    assert found.price is not None
    assert found.price.input == found.price.output == round(1.5 / 50 * 1e12)


@pytest.mark.parametrize(
    "changes",
    [
        {"cost": math.nan, "prompt_tokens": 5, "completion_tokens": 5},
        {"cost": 1.0, "completion_tokens": 5},
        {"cost": 1.0, "prompt_tokens": 5, "completion_tokens": 5, "unpriced": 1},
    ],
    ids=["no cost", "no tokens", "some without"],
)
def test_no_price_where_nobody_knows(changes: dict[str, float]) -> None:
    """So the plan leaves nothing out."""
    (model, _), _ = models_of(bare(side("cheap", [1, 0, 1], **changes), side("premium", [1, 1, 1])))
    assert model.price is None


def test_what_is_typical() -> None:
    """Means over what is known; 0 where nothing is."""
    assert typical(side("m", [1, 1], completion_tokens=[10, math.nan], latency=[1.0, 2.0])) == (10.0, 1.5)
    assert typical(side("m", [1, 1])) == (0.0, 0.0)


def test_a_limit_of_escalations_refuses_nobody_in_a_replay() -> None:
    """It is about a key's last hour, of which a record knows nothing; nor does it know budgets."""
    pairs = recorded()
    tiers, _ = models_of(pairs)
    limits = Escalations(0.0, 1)
    route = Route("r", tiers, thresholds=Thresholds(0.5, 0.5, 0.5), escalations=limits, over_budget="cheap")
    fate = play(pairs, route, Recorded(lambda row, asked: Verdict(row % 2), lambda row: Verdict(0.0)))
    assert set(fate.rules) == {"verifier", "escalated:check:score"}
    assert fate.kept.sum() == N // 2
