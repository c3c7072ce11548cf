"""A candidate beside what serves now: which prompts stand for all, and what is told of the answers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.stocked import ROUTE, sample, texts, traffic
from tierwise.errors import ConfigError
from tierwise.offline.compare import LEAST, NEWEST, Chosen, Figure, Report, Standing, Trial, choose, placed, report
from tierwise.offline.drawn import Gathered
from tierwise.proof import Said, Sample, Texts
from tierwise.types import Model, Price, Route

PRICE = Price(1, 2, 1, 1)
TIERS = tuple(Model(name, "scripted", name, PRICE) for name in ("cheap", "premium"))
PRICED = Route("support", TIERS)
WORTH = 1_000  # nano-dollars of premium's stored answer
PLACES = (
    "Where is my parcel?", "Solve x + 3 = 7 for x.", "Translate good morning into French.",
    "Which drugs treat high blood pressure?",
)  # fmt: skip


def trial(quality: float = 1.0, nanos: int | None = 100, source: str = "equality", premium: float = 1.0) -> Trial:
    return Trial(source, quality, premium, nanos, 0.5)


def chosen(n: int, weights: Sequence[float] | None = None) -> Chosen:
    said = (Said(model="cheap", response="-"), Said(model="premium", response="-", nanos=WORTH, seconds=0.5))
    kept = tuple(msgspec.structs.replace(texts(f"q{row}", []), said=said) for row in range(n))
    return Chosen(kept, tuple(weights or [1.0] * n), n)


def told(*rows: Sequence[Trial | None], weights: Sequence[float] | None = None, route: Route = PRICED) -> Report:
    """Of the models "new", "cheap", "third", as many as a row has."""
    names = ("new", "cheap", "third")[: len(rows[0])]
    trials = [{name: one for name, one in zip(names, row, strict=True) if one is not None} for row in rows]
    return report(route, names, chosen(len(rows), weights), trials)


def first(found: Report) -> Standing:
    return found.standings[0]


# ------------------------------------------------------------------ which prompts


def stored(counts: Sequence[int], propensity: Sequence[float] | None = None) -> Gathered:
    """So many requests of each of PLACES, nearly the same words."""
    samples, kept = list[Sample](), list[Texts]()
    for place, count in enumerate(counts):
        for number in range(count):
            query = f"{place}-{number}"
            rate = 0.1 if propensity is None else propensity[place]
            samples.append(sample(len(samples) + 1, query, propensity=rate))
            kept.append(texts(query, [("premium", "-")], f"{PLACES[place]}{' Please!' * (number % 2)}"))
    return Gathered(samples, (), kept)


def places(found: Chosen) -> list[str]:
    return [next(text for text in PLACES if item.messages[0].text.startswith(text)) for item in found.texts]


def test_few_stand_for_all() -> None:
    """One of each kind of prompt; the heaviest first, and each weighs as many requests as it stands for."""
    found = choose(stored([5, 20, 10, 40]), ROUTE, 4)
    assert places(found) == [PLACES[3], PLACES[1], PLACES[2], PLACES[0]]
    assert found.weights == pytest.approx((400, 200, 100, 50))
    assert found.stored == 75


def test_what_was_likelier_to_be_drawn_stands_for_fewer() -> None:
    """Each of its rows for as many as its chance says."""
    found = choose(stored([20, 20, 20, 20], [0.5, 0.02, 0.1, 0.2]), ROUTE, 4)
    assert dict(zip(places(found), found.weights, strict=True)) == pytest.approx(
        {PLACES[0]: 40, PLACES[1]: 1_000, PLACES[2]: 200, PLACES[3]: 100}
    )


def test_as_many_as_are_asked_for() -> None:
    """No more; the weights sum to all requests, and a seed gives the same again."""
    gathered = traffic(120, 3)
    found = choose(gathered, ROUTE, 30)
    assert len(found.texts) == 30
    assert sum(found.weights) == pytest.approx(1_200)
    assert list(found.weights) == sorted(found.weights, reverse=True)
    assert choose(gathered, ROUTE, 30) == found
    assert len(choose(gathered, ROUTE, 500).texts) == 120


def test_old_prompts_make_room() -> None:
    """Of very many the newest stand for the route."""
    found = choose(stored([50, NEWEST]), ROUTE, 4)
    assert found.stored == NEWEST
    assert set(places(found)) == {PLACES[1]}


def test_too_few_are_stored() -> None:
    """Only those that premium has answered count, and the error says how to gather them."""
    gathered = traffic(30, 3)
    bare = [msgspec.structs.replace(item, said=item.said[:1]) for item in gathered.texts]
    few = gathered._replace(texts=[*bare[LEAST - 1 :], *gathered.texts[: LEAST - 1]])
    with pytest.raises(ConfigError, match=r"support: 19 of its requests are stored .* 20 are the least .* keep_days"):
        choose(few, ROUTE, 30)
    enough = gathered._replace(texts=[*bare[LEAST:], *gathered.texts[:LEAST]])
    assert choose(enough, ROUTE, 30).stored == LEAST


# ------------------------------------------------------------------ figures


def test_quality_and_harm() -> None:
    """Weighed, relative to premium's; what fails is not good, and what nobody can tell of is left out."""
    rows = [[trial(1.0)]] * 10 + [[trial(0.0)]] * 5 + [[trial(0.5, source="judge")]] * 5
    found = first(told(*rows, weights=[2.0] * 10 + [1.0] * 5 + [4.0] * 5))
    assert found.quality is not None
    assert found.harm is not None
    assert found.quality.value == pytest.approx(30 / 45)
    assert found.harm.value == pytest.approx(15 / 45)
    assert found.quality.low < found.quality.value < found.quality.high
    more = told(*rows, [trial(0.0, None, "failed")], [trial(0.9, source="")])
    own = first(more)
    assert (own.asked, own.labelled, own.failed) == (22, 21, 1)
    assert own.quality is not None
    assert own.quality.value == pytest.approx(12.5 / 21)
    assert more.labels == {"equality": 15, "judge": 5}


def test_where_premium_is_no_good() -> None:
    """By the operator's own checks: what it gets wrong is no harm, and who gets it right is better than premium."""
    rows = [[trial(1.0, source="checks", premium=0.0)]] * 5 + [[trial(1.0)]] * 15
    found = first(told(*rows))
    assert found.quality is not None
    assert found.harm is not None
    assert found.quality.value == pytest.approx(20 / 15)
    assert found.harm.value == 0
    hopeless = first(told(*[[trial(0.0, source="checks", premium=0.0)]] * 20))
    assert hopeless.quality is None


def test_costs() -> None:
    """Over premium's of the same prompts, of those with both costs known; with what a perfect verifier would add."""
    rows = [[trial(1.0, 100)]] * 15 + [[trial(0.0, 300)]] * 5
    found = told(*rows)
    own = first(found)
    assert own.usd == pytest.approx((15 * 100 + 5 * 300) / 20 * 1e-9)
    assert own.cost_ratio is not None
    assert own.cascade_at_best is not None
    assert own.cost_ratio.value == pytest.approx(0.15)
    assert own.cascade_at_best.value == pytest.approx(0.15 + 5 / 20)
    assert (own.seconds, found.premium_seconds) == (0.5, 0.5)
    assert found.premium_usd == pytest.approx(WORTH * 1e-9)
    part = first(told(*rows, [trial(1.0, None)]))
    assert part.cost_ratio is not None
    assert part.cost_ratio.value == own.cost_ratio.value
    for unknown in (told(*[[trial(1.0, None)]] * 20), told(*rows, route=ROUTE)):
        assert (first(unknown).cost_ratio, first(unknown).cascade_at_best, unknown.place) == (None, None, "unknown")
    assert told(*rows, route=ROUTE).premium_usd is None
    assert first(told(*rows, route=ROUTE)).usd == own.usd


def test_prompts_that_nobody_was_asked() -> None:
    """Count for nothing, and are told of."""
    found = told(*[[trial()]] * 20, [None], [None], weights=[3.0] * 20 + [10.0, 10.0])
    assert (found.prompts, found.asked, found.requests, found.stands_for) == (22, 20, 80.0, 60.0)
    assert first(found) == first(told(*[[trial()]] * 20, weights=[3.0] * 20))
    mixed = [[trial(float(row % 3 == 0))] for row in range(20)]
    assert first(told(*mixed, *[[None]] * 20)) == first(told(*mixed))  # they do not widen an interval either
    nothing = told([None], [None])
    assert (nothing.asked, first(nothing).quality, nothing.place, nothing.premium_usd) == (0, None, "few", None)


def test_the_difference() -> None:
    """On the prompts that both have a label for, in premium's points; not told of few."""
    rows = [[trial(1.0), trial(1.0)]] * 20 + [[trial(1.0), trial(0.0)]] * 10
    found = told(*rows, [trial(0.0), trial(1.0, source="")], [trial(0.0), None])
    assert found.compared == 30
    assert found.difference is not None
    assert found.difference.value == pytest.approx(1 / 3)
    assert 0 < found.difference.low < 1 / 3 < found.difference.high
    turned = told(*[row[::-1] for row in rows])
    assert turned.difference is not None
    assert turned.difference.value == pytest.approx(-1 / 3)
    few = told(*rows[: LEAST - 1])
    assert (few.difference, few.compared) == (None, LEAST - 1)
    alone = told(*[[trial()]] * 30)
    assert (alone.against, alone.difference, alone.compared) == (None, None, 0)


def test_the_same_prompts_tell_more() -> None:
    """Pairs have a narrower interval than two models on their own: what is hard is hard for both."""
    rng = np.random.default_rng(1)
    easy = rng.random(200) < 0.6
    worse = easy & (rng.random(200) < 0.9)
    found = told(*[[trial(float(one)), trial(float(other))] for one, other in zip(easy, worse, strict=True)])
    one, other = (item.quality for item in found.standings)
    assert found.difference is not None
    assert one is not None
    assert other is not None
    assert found.difference.low > 0
    assert one.low < other.high


# ------------------------------------------------------------------ the frontier


def standing(model: str, quality: float, cost: float, labelled: int = LEAST) -> Standing:
    good, paid = (Figure(value, value, value) for value in (quality, cost))
    return Standing(model, labelled, labelled, 0, good, good, 1.0, paid, 1.0, paid)


def frontier(*models: tuple[float, float]) -> tuple[str, tuple[str, ...]]:
    """(quality, cost), over premium's, of "new", "cheap", "third"."""
    names = ("new", "cheap", "third")
    return placed([standing(name, *one) for name, one in zip(names, models, strict=False)], "premium")


def test_places() -> None:
    """Beaten at its own cost by one, by two in turns, or by nobody."""
    assert frontier((0.5, 0.10), (0.5, 0.09)) == ("dominated", ("cheap",))
    assert frontier((0.5, 0.10), (0.6, 0.10)) == ("dominated", ("cheap",))
    assert frontier((1.0, 1.1), (0.6, 0.1)) == ("dominated", ("premium",))
    assert frontier((0.5, 0.10), (0.5, 0.09), (0.6, 0.05)) == ("dominated", ("third", "cheap"))
    assert frontier((0.55, 0.5), (0.5, 0.1)) == ("mixed", ("cheap", "premium"))
    assert frontier((0.7, 0.3), (0.5, 0.1), (0.9, 0.4)) == ("mixed", ("cheap", "third"))
    assert frontier((0.9, 0.3), (0.5, 0.1)) == ("frontier", ())
    assert frontier((0.1, 0.01), (0.5, 0.1)) == ("frontier", ())
    assert frontier((0.6, 0.1)) == ("frontier", ())


def test_places_of_the_report() -> None:
    """By the figures in it; a model without a cost is left out."""
    rows = [[trial(float(row < 11), 500), trial(float(row < 10), 100)] for row in range(LEAST)]
    assert (told(*rows).place, told(*rows).by) == ("mixed", ("cheap", "premium"))
    unpriced = [[trial(float(row < 11), 500), trial(float(row < 12), None)] for row in range(LEAST)]
    assert told(*unpriced).place == "frontier"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 1_200)), min_size=1, max_size=3, unique=True))
@settings(max_examples=200, deadline=None)
def test_a_place_is_what_it_says(models: list[tuple[int, int]]) -> None:
    """Whoever dominates costs no more and is as good; a mix of two at its cost is better."""
    points = dict(zip(("new", "cheap", "third"), [(cost / 1_000, good / 20) for good, cost in models], strict=False))
    place, by = frontier(*[(good / 20, cost / 1_000) for good, cost in models])
    points["premium"] = (1.0, 1.0)
    cost, good = points.pop("new")
    if place == "dominated":
        assert by
        assert all(points[name][0] <= cost and points[name][1] >= good for name in by)
    elif place == "mixed":
        left, right = points[by[0]], points[by[1]]
        share = (cost - left[0]) / (right[0] - left[0])
        assert 0 <= share <= 1
        assert left[1] + share * (right[1] - left[1]) > good
    else:
        assert place == "frontier"
        assert not any(one[0] <= cost and one[1] >= good for one in points.values())
        for one in points.values():
            for other in points.values():
                if one[0] <= cost < other[0]:
                    share = (cost - one[0]) / (other[0] - one[0])
                    assert one[1] + share * (other[1] - one[1]) <= good + 1e-6


def test_of_few_nothing_is_told() -> None:
    """Not where it stands either."""
    assert told(*[[trial(0.5, 100), trial(0.6, 90)]] * (LEAST - 1)).place == "few"
    assert told(*[[trial(0.5, 100), trial(0.6, 90)]] * LEAST).place == "dominated"


def test_every_text_is_weighed() -> None:
    """As `choose` gives them: the report's figures are the traffic's, not the prompts'."""
    picked = choose(stored([5, 20, 10, 40]), PRICED, 4)
    many = Chosen(picked.texts * 5, picked.weights * 5, picked.stored)

    def good(item: Texts) -> bool:
        return not item.messages[0].text.startswith(PLACES[3])

    found = report(PRICED, ("new",), many, [{"new": trial(float(good(item)))} for item in many.texts])
    assert found.standings[0].quality is not None
    assert found.standings[0].quality.value == pytest.approx(350 / 750)
