"""The queue of answers that people compare: which, in which order, how likely, and blind."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offline.stocked import ROUTE, label, numbered, sample, texts
from tierwise.offline.drawn import Gathered, place
from tierwise.offline.review import DRAWN, FLOOR, Pair, Task, drawing, pairs, queue, tasks
from tierwise.offline.review import label as labelled
from tierwise.proof import Label, Source
from tierwise.types import Model

NAMES = sorted((f"q{at}" for at in range(100)), key=place)
BOTH = (("cheap", "Draft"), ("premium", "Answer"))


def gathered(labels: Sequence[Label] = (), scores: Sequence[float | None] = (None,) * 100) -> Gathered:
    samples = [sample(at + 1, name, score=score) for at, (name, score) in enumerate(zip(NAMES, scores, strict=True))]
    return Gathered(samples, numbered(labels), [texts(name, BOTH) for name in sorted(NAMES)])


def ids(found: Sequence[Task] | Sequence[Pair]) -> list[str]:
    return [(item.pair if isinstance(item, Task) else item).texts.request_id for item in found]


def test_pairs_for_people() -> None:
    """Drafts beside premium's answers, in one fixed order; not what rules have settled, but what a judge has said."""
    sources: list[Source] = ["equality", "checks", "judge", "missing", "void", "feedback", "human"]
    found = pairs(gathered([label(NAMES[at], (1, 1), source) for at, source in enumerate(sources)]), ROUTE)
    assert ids(found) == NAMES[2:]
    assert (found[0].draft.response, found[0].premium.response) == ("Draft", "Answer")


def test_pairs_need_two_answers_and_a_sample() -> None:
    """Opinions are nobody's to compare; of several tiers each draft is a pair."""
    route = msgspec.structs.replace(
        ROUTE,
        tiers=(ROUTE.tiers[0], Model("mid", "scripted", "m"), ROUTE.premium),
        opinions=(Model("o", "scripted", "o"),),
    )
    kept = [
        texts("q1", (*BOTH, ("mid", "M"), ("o", "O"))),
        texts("q2", (("cheap", "x"),)),
        texts("q3", (("premium", "x"),)),
        texts("q4", BOTH),
    ]
    found = pairs(Gathered([sample(at, f"q{at}") for at in (1, 2, 3)], [], kept), route)
    assert [pair.key for pair in found] == [("q1", "cheap"), ("q1", "mid")]


def test_what_certificates_rest_on_comes_first() -> None:
    """People's time is dear, and rows that are thinned out prove nothing."""
    base = gathered()
    samples = [msgspec.structs.replace(item, uniform=0.09 if item.id % 2 else 0.01) for item in base.samples]
    audit = sample(0, "audit", "audit", uniform=0.01, propensity=0.02)
    found = pairs(Gathered([audit, *samples], [], [*base.texts, texts("audit", BOTH)]), ROUTE)
    first = sorted(["audit", *NAMES[1::2]], key=place)
    assert ids(found) == [*first, *NAMES[::2]]
    chosen = tasks(found, [], "ada", "random", 60)
    assert [task.propensity for task in chosen] == [1.0] * 51 + [9 / 50] * 9
    few = tasks(found, [], "ada", "random", 17)
    assert [task.propensity for task in few] == [17 / 51] * 17


def test_a_session_goes_on_where_the_last_one_ended() -> None:
    """For each reviewer; others see the same pairs in the same order."""
    mine = [label(name, (1, 1), "human", by="ada") for name in NAMES[:10]]
    stored = gathered(mine)
    found = pairs(stored, ROUTE)
    left = tasks(found, stored.labels, "ada", "random", None)
    assert ids(left) == NAMES[10:]
    assert {task.propensity for task in left} == {1.0}
    assert ids(tasks(found, stored.labels, "bob", "random", None)) == NAMES
    assert queue(found, left, stored.labels, "ada") == queue(found, left, stored.labels, "ada")
    counts = queue(found, left, stored.labels, "ada")
    assert (counts.pairs, counts.labelled, counts.left) == (100, 10, 90)
    some = tasks(found, stored.labels, "ada", "random", 9)
    assert ids(some) == NAMES[10:19]
    assert {task.propensity for task in some} == {0.1}


def test_doubtful_pairs() -> None:
    """Where the verifier is unsure; what it is sure of comes less often, and with the probability that it does."""
    scores = [0.99 if at % 2 else 0.5 for at in range(100)]
    found = pairs(gathered(scores=scores), ROUTE)
    chosen = tasks(found, [], "ada", "doubtful", 30)
    sure, unsure = FLOOR + 0.99 * 0.01, FLOOR + 0.25
    assert {round(task.propensity, 9) for task in chosen} <= {
        round(30 * weight / (50 * (sure + unsure)), 9) for weight in (sure, unsure)
    }
    assert 15 <= len(chosen) <= 45
    assert sum(task.pair.score == 0.5 for task in chosen) > 2 * sum(task.pair.score == 0.99 for task in chosen)
    done = [label(name, (1, 1), "human", by="ada") for name in ids(chosen)[:5]]
    assert ids(tasks(found, done, "ada", "doubtful", 30)) == ids(chosen)[5:]  # no other pairs come in for these
    assert set(ids(chosen)) <= set(ids(tasks(found, [], "ada", "doubtful", 60)))
    assert {task.propensity for task in tasks(found, [], "ada", "doubtful", 100)} == {1.0}
    usual = tasks(found, [], "ada", "doubtful", None)
    assert usual == tasks(found, [], "ada", "doubtful", DRAWN)
    unscored = tasks(pairs(gathered(), ROUTE), [], "ada", "doubtful", 30)
    assert [task.propensity for task in unscored] == pytest.approx([0.3] * len(unscored))


def test_propensities_are_what_they_say() -> None:
    """Over many traffics, a pair of each kind is drawn as often as its labels will claim."""
    drawn, expected = 0, 0.0
    for start in range(0, 40_000, 200):
        names = [f"r{at}" for at in range(start, start + 200)]
        items = [texts(name, BOTH) for name in names]
        samples = [sample(at + 1, name, score=0.9 if at % 3 else 0.6) for at, name in enumerate(names)]
        chosen = tasks(pairs(Gathered(samples, [], items), ROUTE), [], "ada", "doubtful", 40)
        unsure = [task.propensity for task in chosen if task.pair.score == 0.6]
        drawn += len(unsure)
        expected += 67 * unsure[0]
    assert abs(drawn - expected) < 4 * expected**0.5


@given(st.lists(st.floats(0.05, 0.3), min_size=1, max_size=60), st.integers(1, 80))
def test_chances(weights: list[float], most: int) -> None:
    """In (0, 1], as many as were asked for on average, and proportional to the weights below 1."""
    found = np.array(drawing(weights, most))
    assert ((found > 0) & (found <= 1)).all()
    assert found.sum() == pytest.approx(min(most, len(weights)), abs=1e-6)
    free = found < 1
    ratios = found[free] / np.array(weights)[free]
    assert ratios == pytest.approx(np.full(free.sum(), ratios[0] if free.any() else 0.0))


def test_sides_are_by_chance() -> None:
    """The draft is as often A as B, for each reviewer otherwise, and the same when a session is resumed."""
    found = pairs(gathered(), ROUTE)
    sides = {name: [task.draft_is_a for task in tasks(found, [], name, "random", None)] for name in ("ada", "bob")}
    assert 30 <= sum(sides["ada"]) <= 70
    assert sides["ada"] != sides["bob"]
    assert sides["ada"] == [task.draft_is_a for task in tasks(found, [], "ada", "random", None)]


@pytest.mark.parametrize(
    ("word", "pair"), [("a", (1.0, 0.0)), ("b", (0.0, 1.0)), ("both", (1.0, 1.0)), ("neither", (0.0, 0.0))]
)
def test_a_label(word: str, pair: tuple[float, float]) -> None:
    """Says of the draft what was said of its side."""
    (one,) = pairs(gathered(), ROUTE)[:1]
    for draft_is_a in (True, False):
        task = Task(one, 0.25, draft_is_a)
        assert (task.a.model, task.b.model) == (("cheap", "premium") if draft_is_a else ("premium", "cheap"))
        made = labelled(task, word, "ada", 7)  # type: ignore[arg-type]
        assert (made.draft, made.premium) == (pair if draft_is_a else pair[::-1])
        assert (made.request_id, made.route, made.model) == (NAMES[0], "support", "cheap")
        assert (made.source, made.by, made.propensity, made.at_ns) == ("human", "ada", 0.25, 7)
