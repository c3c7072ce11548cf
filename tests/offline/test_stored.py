"""Labels of the store as outcomes: which one counts, what a lack of them means, and what people's part proves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offline.stocked import ROUTE, label, numbered, sample, texts, traffic
from tierwise.core import kept
from tierwise.errors import ConfigError
from tierwise.offline import outcomes, recorded
from tierwise.offline.drawn import Gathered, Rows, place, uniform
from tierwise.offline.learn import harm
from tierwise.offline.stored import ANCHORS, HARM, corrected, counted, known, labelled, pair_of
from tierwise.proof import EXACT, Offered, Said, Texts, Turn
from tierwise.types import Model


def rows(gathered: Gathered) -> Rows:
    return uniform(gathered, ROUTE)


def with_labels(n: int, give: dict[int, list[tuple[str, float, float]]]) -> Rows:
    """n rows in the order of review; `give`: (source, draft, premium) of each, by its place in that order."""
    names = sorted((f"q{at}" for at in range(n)), key=place)
    said = [
        label(names[at], (draft, premium), source, by="M" if source == "judge" else "ada")  # type: ignore[arg-type]
        for at, labels in give.items()
        for source, draft, premium in labels
    ]
    samples = [sample(at + 1, name) for at, name in enumerate(names)]
    return rows(Gathered(samples, numbered(said), [texts(name, (("cheap", "x"), ("premium", "y"))) for name in names]))


def scores(frame: pl.DataFrame, model: str) -> dict[str, float]:
    found = frame.filter(pl.col("model") == model)
    return dict(zip(found["query_id"].to_list(), found["score"].to_list(), strict=True))


def test_the_label_that_counts() -> None:
    """People's before tests', these before equality, a judge last; of one source the newest; never feedback."""
    given = numbered([label("q", (0.0, 1.0), source) for source in reversed(EXACT)])
    for source in EXACT:
        best = counted(given)
        assert best is not None
        assert best.source == source
        given.remove(best)
    assert counted(given) is None
    newer = numbered([label("q", (1.0, 1.0), "human"), label("q", (0.0, 1.0), "human")])
    assert counted(newer) == newer[1] == counted(newer[::-1])
    others = [label("q", (1.0, None), "feedback"), label("q", (1.0, 1.0), "recheck"), label("q", (1.0, 1.0), "missing")]
    assert counted(others) is None
    assert counted([label("q", (1.0, None), "human")]) is None
    assert pair_of(None) == HARM


def test_outcomes_of_whole_rows(tmp_path: Path) -> None:
    """One row for each answer, that pairs up as any other outcomes do, the same bytes each time."""
    gathered = traffic(50, 1)
    found = labelled(rows(gathered), ROUTE)
    outcomes.write(found.frame, tmp_path / "o.parquet")
    frame = outcomes.read(tmp_path / "o.parquet", need=("query_id", "model", "score", "prompt", "response"))
    assert list(frame.columns) == list(outcomes.COLUMNS)
    pairs = outcomes.pair(frame, "cheap", "premium")
    assert len(pairs) == 50
    assert harm(pairs).tolist() == [item.harm for item in sorted(gathered.labels, key=lambda item: item.request_id)]
    assert pairs.category[0] in {"billing", "law", "physics"}
    assert pairs.cheap.cost[0] == pytest.approx(1e-6)
    assert pairs.cheap.latency[0] == 0.5
    assert found.counts.labels == {"equality": 50}
    assert found.judge == ""
    turned = Gathered(gathered.samples[::-1], gathered.labels[::-1], gathered.texts[::-1])
    again = labelled(rows(turned), ROUTE)
    outcomes.write(again.frame, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "o.parquet").read_bytes()


def test_requests_and_answers_come_back() -> None:
    """As offline rooms read them they are what the gateway would ask and compare: turns, tools, calls, how it ended."""
    item = Texts(
        request_id="q",
        route="support",
        at_ns=1,
        messages=(
            Turn("system", "Be short."),
            Turn("user", "Hi"),
            Turn("assistant", "Yes?"),
            Turn("user", "Look it up"),
        ),
        said=(
            Said(model="cheap", response='[{"find":"{\\"q\\": 1}"}]', finish="tool_calls"),
            Said(model="premium", response="No [markup] here", finish="length"),
        ),
        tools=(Offered("find", "finds", '{"type":"object","properties":{"q":{"type":"integer"}}}'), Offered("end")),
        tags=("billing",),
    )
    found = labelled(rows(Gathered([sample(1, "q")], [label("q", (1, 1))], [item])), ROUTE)
    for said in item.said:
        row = found.frame.row(by_predicate=pl.col("model") == said.model, named=True)
        asked = recorded.request_of(row["query_id"], row["prompt"], row["category"], row["extra"])
        expected = kept.request_of(item, "replay")
        assert msgspec.structs.replace(asked, dialect="") == msgspec.structs.replace(expected, dialect="")
        assert recorded.answer_of(said.model, row["response"], row["extra"]) == kept.answer_of(said)


def test_opinions_are_graded_by_equality() -> None:
    """Where that can be told; else premium's own score stands in."""
    route = msgspec.structs.replace(ROUTE, opinions=(Model("other", "scripted", "o"),))
    answers = [("cheap", "12"), ("premium", "The answer is 12."), ("other", "The answer is 13.")]
    open_text = [("cheap", "Ask Ann."), ("premium", "Please ask Ann about it."), ("other", "I would ask Ann, I think.")]
    kept_texts = [texts("q1", answers, "What is 5 + 7?"), texts("q2", open_text, "Whom do I ask?")]
    gathered = Gathered([sample(1, "q1"), sample(2, "q2")], [label("q1", (1, 1)), label("q2", (1, 1))], kept_texts)
    found = labelled(uniform(gathered, route), route)
    assert scores(found.frame, "other") == {"q1": 0.0, "q2": 1.0}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=4))
def test_each_tier_does_the_harm_that_it_was_labelled_with(pairs: list[tuple[float, float]]) -> None:
    """Whatever premium's score was beside each draft."""
    names = [f"t{at}" for at in range(len(pairs))]
    tiers = tuple(Model(name, "scripted", name) for name in (*names, "premium"))
    route = msgspec.structs.replace(ROUTE, tiers=tiers)
    kept_texts = [texts("q", [(name, "x") for name in (*names, "premium")])]
    labels = [label("q", pair, model=name) for name, pair in zip(names, pairs, strict=True)]
    found = labelled(uniform(Gathered([sample(1, "q")], labels, kept_texts), route), route)
    premium = scores(found.frame, "premium")["q"]
    for name, (draft, best) in zip(names, pairs, strict=True):
        mine = scores(found.frame, name)["q"]
        assert 0 <= mine <= 1
        assert max(premium - mine, 0) == pytest.approx(max(best - draft, 0), abs=1e-12)


def test_binary_labels_stay_binary() -> None:
    """Or an exact test could not be made of them."""
    found = labelled(rows(traffic(40, 2)), ROUTE)
    assert set(found.frame["score"].to_list()) <= {0.0, 1.0}


# ------------------------------------------------------------------ rows without a label


def test_a_few_without_a_label_count_as_harm() -> None:
    """As an audit counts them, whether the judge gave no verdict or nobody was asked."""
    given: dict[int, list[tuple[str, float, float]]] = {at: [("equality", 1.0, 1.0)] for at in range(100)}
    given[7] = [("missing", 0.0, 1.0)]
    del given[8]
    found = labelled(with_labels(100, given), ROUTE)
    assert (found.counts.requests, found.counts.unlabelled, found.counts.as_harm) == (100, 0, 2)
    assert sum(score == 0 for score in scores(found.frame, "cheap").values()) == 2


def test_a_few_that_nobody_could_be_asked_about_are_left_out() -> None:
    """They have nothing to do with the draft; where there are many, they may well have."""
    given: dict[int, list[tuple[str, float, float]]] = {at: [("equality", 1.0, 1.0)] for at in range(100)}
    given[7] = [("void", 0.0, 0.0)]
    found = labelled(with_labels(100, given), ROUTE)
    assert (found.counts.requests, found.counts.unlabelled, found.counts.as_harm) == (99, 1, 0)
    assert len(scores(found.frame, "cheap")) == 99
    given |= {8: [("void", 0.0, 0.0)], 9: [("void", 0.0, 0.0)]}
    with pytest.raises(ConfigError, match="3 of its 100 rows have no label"):
        labelled(with_labels(100, given), ROUTE)
    as_harm = labelled(with_labels(100, given), ROUTE, "harm")
    assert (as_harm.counts.requests, as_harm.counts.as_harm) == (100, 3)


def test_many_without_a_label_are_refused() -> None:
    """With what helps; or they count as harm, or are left out, where somebody wants that."""
    given: dict[int, list[tuple[str, float, float]]] = {at: [("equality", 1.0, 1.0)] for at in range(97)}
    found = with_labels(100, given)
    with pytest.raises(ConfigError) as refused:
        labelled(found, ROUTE)
    said = str(refused.value)
    for words in ("3 of its 100 rows", "tierwise label --route support", "a `judge`", "--buy", "--unlabelled-as-harm"):
        assert words in said
    with pytest.raises(ConfigError, match="not be like them: `tierwise label"):
        labelled(found, msgspec.structs.replace(ROUTE, judge=Model("M", "scripted", "m")))
    as_harm = labelled(found, ROUTE, "harm")
    assert (as_harm.counts.requests, as_harm.counts.as_harm) == (100, 3)
    without = labelled(found, ROUTE, "leave-out")
    assert (without.counts.requests, without.counts.as_harm, without.counts.unlabelled) == (97, 0, 3)
    assert without.counts.unreviewed == 0
    with pytest.raises(ConfigError, match="of its 5 rows have no label"):
        labelled(with_labels(5, {}), ROUTE, "leave-out")


def test_the_part_that_people_have_come_to() -> None:
    """Is a uniform sample, whatever lies behind it; rows that rules settle are in it as they come."""
    given: dict[int, list[tuple[str, float, float]]] = {at: [("equality", 1.0, 1.0)] for at in range(0, 200, 2)}
    given |= {at: [("human", 0.0, 1.0)] for at in range(1, 120, 2)}
    found = labelled(with_labels(200, given), ROUTE)
    assert (found.counts.requests, found.counts.unreviewed, found.counts.as_harm) == (120, 80, 0)
    assert found.counts.unlabelled == 0
    assert found.counts.labels == {"human": 60, "equality": 60}
    first = sorted((f"q{at}" for at in range(200)), key=place)[:120]
    assert sorted(scores(found.frame, "cheap")) == sorted(first)
    del given[61]  # one that they passed over is in it, as harm
    skipped = labelled(with_labels(200, given), ROUTE)
    assert (skipped.counts.requests, skipped.counts.as_harm) == (120, 1)
    for at in range(61, 75, 2):  # several end it
        given.pop(at, None)
    ended = labelled(with_labels(200, given), ROUTE)
    assert ended.counts.requests == 60


def test_doubtful_pairs_are_no_such_part() -> None:
    """People who looked here and there have proved nothing of all."""
    given: dict[int, list[tuple[str, float, float]]] = {at: [("human", 1.0, 1.0)] for at in range(3, 200, 4)}
    with pytest.raises(ConfigError, match="150 of its 200 rows have no label"):
        labelled(with_labels(200, given), ROUTE)


# ------------------------------------------------------------------ people correct a judge


def judged(n: int, looked: int, kind: float = 1.0) -> dict[int, list[tuple[str, float, float]]]:
    """A third of the rows by equality, the others by a judge; people have come to the first `looked` of all."""
    given: dict[int, list[tuple[str, float, float]]] = {}
    for at in range(n):
        given[at] = [("equality", 1.0, 1.0)] if at % 3 == 0 else [("judge", kind, 1.0)]
        if at % 3 and at < looked:
            given[at].append(("human", 0.0, 1.0))
    return given


def test_people_correct_a_judge() -> None:
    """The judge's word of every row, theirs of the first ones, in which equality speaks for itself."""
    found = corrected(with_labels(300, judged(300, 60)), ROUTE)
    assert found is not None
    assert found.people is not None
    assert (found.looked, found.judge) == (40, "M")
    assert found.counts.labels == {"equality": 100, "judge": 200}
    assert set(scores(found.frame, "cheap").values()) == {1.0}
    theirs = scores(found.people, "cheap")
    names = sorted((f"q{at}" for at in range(300)), key=place)
    assert set(theirs) == set(names[:60])
    assert {name for name, score in theirs.items() if score == 0} == {names[at] for at in range(60) if at % 3}


def test_who_can_t_correct_a_judge() -> None:
    """Too few people, people who chose what to look at, or no judge."""
    edge = ANCHORS * 3 // 2
    assert corrected(with_labels(300, judged(300, edge)), ROUTE) is not None
    assert corrected(with_labels(300, judged(300, edge - 1)), ROUTE) is None
    chosen = judged(300, 0)
    for at in range(100, 200):
        chosen[at].append(("human", 0.0, 1.0))
    assert corrected(with_labels(300, chosen), ROUTE) is None
    given: dict[int, list[tuple[str, float, float]]] = {at: [("equality", 1.0, 1.0)] for at in range(100)}
    assert corrected(with_labels(100, given), ROUTE) is None


def test_what_lacks_is_harm_to_the_judge_and_to_people() -> None:
    """A verdict that there is none of counts as harm, and is people's to correct; what they passed over is harm."""
    given = judged(300, 60)
    given[1] = [("missing", 0.0, 1.0), ("human", 1.0, 1.0)]
    given[100] = [("missing", 0.0, 1.0)]
    given[2] = [("judge", 1.0, 1.0)]
    found = corrected(with_labels(300, given), ROUTE)
    assert found is not None
    assert found.people is not None
    names = sorted((f"q{at}" for at in range(300)), key=place)
    mine, theirs = scores(found.frame, "cheap"), scores(found.people, "cheap")
    assert (mine[names[1]], theirs[names[1]]) == (0.0, 1.0)
    assert (mine[names[2]], theirs[names[2]]) == (1.0, 0.0)
    assert mine[names[100]] == 0.0
    assert found.counts.as_harm == 2
    given |= {at: [("missing", 0.0, 1.0)] for at in range(100, 106)}
    assert corrected(with_labels(300, given), ROUTE) is None


def test_what_nobody_could_judge_is_left_out_whoever_looked() -> None:
    """Or people would make rows count that are not among the judge's."""
    given = judged(300, 60)
    given[1] = [("void", 0.0, 0.0), ("human", 1.0, 1.0)]
    given[200] = [("void", 0.0, 0.0)]
    found = corrected(with_labels(300, given), ROUTE)
    assert found is not None
    assert found.people is not None
    names = sorted((f"q{at}" for at in range(300)), key=place)
    assert not {names[1], names[200]} & (set(scores(found.frame, "cheap")) | set(scores(found.people, "cheap")))
    assert (found.counts.requests, found.counts.as_harm, found.counts.unlabelled) == (298, 0, 2)


def test_what_is_known_before_labels_are_bought() -> None:
    """Every label that counts, and harm where the judge has given no verdict already."""
    found = with_labels(
        5,
        {0: [("equality", 1.0, 1.0)], 1: [("missing", 0.0, 1.0)], 2: [("void", 0.0, 0.0)], 3: [("feedback", 1.0, 1.0)]},
    )
    names = sorted((f"q{at}" for at in range(5)), key=place)
    assert known(found.rows, ROUTE) == {(names[0], "cheap"): (1.0, 1.0), (names[1], "cheap"): HARM}
