"""The trained router and verifier: live they say what was said offline, and whatever is odd escalates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance import scorer as conformance
from tests.offline.synthetic import SKILLS, outcomes, without
from tierwise.errors import CheckFailed, ConfigError
from tierwise.offline.fit import predict
from tierwise.offline.learn import Learned, Scores, deploy, learn, scores
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, pair, typed
from tierwise.offline.recorded import answer_of, request_of
from tierwise.scorers.artefact import Artefact, TierModel, Typical, dump
from tierwise.scorers.columns import LATER
from tierwise.scorers.trained import JUDGE_ODDS, Trained, TrainedRouter, TrainedVerifier, open_trained
from tierwise.types import Answer, Checks, Choice, Evidence, Message, Request, Thresholds

QUERIES, SEEN = 400, 320  # enough for a model of words; the others are rows that nothing was fitted to
LIMITS = Thresholds(0.55, 0.2, 0.9)


@dataclass(frozen=True)
class Made:
    pairs: Pairs
    measured: Measured
    learned: Learned
    scores: Scores
    artefact: Artefact

    @property
    def trained(self) -> Trained:
        return Trained(self.artefact)

    @property
    def router(self) -> TrainedRouter:
        return self.trained.router

    @property
    def verifier(self) -> TrainedVerifier:
        return self.trained.verifier(Checks())

    def request(self, row: int) -> Request:
        pairs = self.pairs
        return request_of(pairs.query_id[row], pairs.prompt[row], pairs.category[row], pairs.extra[row])

    def draft(self, row: int) -> Answer:
        return answer_of("cheap", self.pairs.cheap.response[row], self.pairs.extra[row])

    def opinions(self, row: int) -> list[Answer]:
        return [answer_of(side.model, side.response[row]) for side in self.pairs.opinions]


@pytest.fixture(scope="module")
def made() -> Made:
    """Models of one tier and two opinions. Every fiftieth draft is empty, so that a check blocks it."""
    table = without(outcomes(QUERIES, 4), "answer")
    for row in table[:: 50 * len(SKILLS)]:
        assert row["model"] == "cheap"
        row["response"] = ""
    pairs = pair(typed(pl.DataFrame(table)), "cheap", "premium", ("other", "third"))
    measured = measure(pairs)
    rows = np.arange(SEEN)
    learned = learn(measured, pairs, rows, np.random.default_rng(0))
    model = deploy(learned, measured, pairs, (rows, scores(learned, measured, rows)), LIMITS)
    typical = (Typical(20.0, 0.3, 0.6), Typical(25.0, 0.5, 0.9))
    artefact = Artefact(("cheap", "premium"), ("other", "third"), (model,), typical, LIMITS)
    return Made(pairs, measured, learned, scores(learned, measured, np.arange(QUERIES)), artefact)


# ------------------------------------------------------------------ live and offline


def test_the_router_says_live_what_it_said_offline(made: Made) -> None:
    """Offline a score is the draft's, live it is premium's; estimates are those of each head."""
    odds = predict(made.artefact.models[0].router, made.measured.router, np.arange(QUERIES))
    for row in range(QUERIES):
        verdict = made.router.score(made.request(row), None)
        assert verdict.score == pytest.approx(1 - made.scores.router[row], abs=1e-4)
        cheap, premium = verdict.estimates
        assert [cheap.good, premium.good, cheap.accept, cheap.consult] == pytest.approx(odds[row].tolist(), abs=1e-4)
        assert (premium.accept, premium.consult) == (1.0, 0.0)
        assert (cheap.output_tokens, cheap.seconds, premium.output_tokens, premium.seconds) == (20.0, 0.3, 25.0, 0.5)


def test_the_verifier_says_live_what_it_said_offline(made: Made) -> None:
    """Of a draft alone, and beside two opinions; what a check blocks is 0.0 in both."""
    assert made.scores.alone is not None
    assert made.scores.consulted is not None
    assert 0 < made.measured.blocked.sum() < 20
    for row in range(QUERIES):
        request, draft = made.request(row), made.draft(row)
        alone = made.verifier.score(request, draft).score
        consulted = made.verifier.score(request, draft, made.opinions(row)).score
        assert alone == pytest.approx(made.scores.alone[row], abs=1e-4)
        assert consulted == pytest.approx(made.scores.consulted[row], abs=1e-4)
        assert (alone == 0.0) == (consulted == 0.0) == bool(made.measured.blocked[row])


def test_the_order_of_requests_changes_nothing(made: Made) -> None:
    """What is remembered of a prompt is the prompt's alone, not its task's or its form's."""
    one = made.request(0)
    other = msgspec.structs.replace(one, tags=frozenset({"unheard-of"}), json_answer=True)
    first = [made.router.score(request, None) for request in (one, other)]
    assert [made.router.score(request, None) for request in (other, one)] == first[::-1]
    assert first[0] != first[1]


def test_opinions_tell_something(made: Made) -> None:
    """A draft with which both agree scores higher than one with which they don't."""
    request, draft = made.request(SEEN), answer_of("cheap", "I checked, so the answer is 42.")
    agreed, differed = (
        made.verifier.score(
            request, draft, [answer_of(name, f"The answer is {number}.") for name in ("other", "third")]
        )
        for number in (42, 43)
    )
    assert agreed.score > differed.score
    assert agreed.evidence[-1] == Evidence("opinions", None, "2 of 2 agree", 1.0)
    assert differed.evidence[-1] == Evidence("opinions", None, "0 of 2 agree", 0.0)


@pytest.mark.parametrize("heard", [(), ("other",), ("third",), ("somebody",), ("third", "other")])
def test_opinions_that_are_missing(made: Made, heard: tuple[str, ...]) -> None:
    """Nobody answered, one did, or one that was not asked in training: there is a score all the same."""
    request, draft = made.request(1), made.draft(1)
    by_model = {answer.model: answer for answer in made.opinions(1)} | {"somebody": answer_of("somebody", "No.")}
    opinions = [by_model[name] for name in heard]
    score = made.verifier.score(request, draft, opinions).score
    assert 0.0 < score < 1.0
    if len(heard) == 2:  # their order is the artefact's
        assert score == made.verifier.score(request, draft, opinions[::-1]).score


def test_a_verifier_that_never_heard_opinions(made: Made) -> None:
    """It says of a draft beside them what it says of the draft alone."""
    model = made.artefact.models[0]
    deaf = msgspec.structs.replace(made.artefact, models=(TierModel(model.router, model.alone, None),), opinions=())
    verifier = Trained(deaf).verifier(Checks())
    request, draft = made.request(2), made.draft(2)
    assert verifier.score(request, draft, made.opinions(2)) == verifier.score(request, draft)


# ------------------------------------------------------------------ what fails


@pytest.mark.parametrize("draft", [None, Answer("premium", (Choice("42", finish="stop"),)), Answer("x", ())])
def test_a_draft_that_it_was_not_trained_for(made: Made, draft: Answer | None) -> None:
    """None, premium's own, and another model's: the verifier errs, so the request escalates."""
    with pytest.raises(CheckFailed, match="was not trained for this draft"):
        made.verifier.score(made.request(0), draft)


def test_blocked_drafts_score_zero(made: Made) -> None:
    """Whatever opinions and judges say; the check that did it is told."""
    draft = Answer("cheap", (Choice("The answer is 42.", finish="length"),))
    good = Evidence("judge", True, "", 1.0)
    verdict = made.verifier.score(made.request(0), draft, [answer_of("other", "42")], good)
    assert verdict.score == 0.0
    assert [found.check for found in verdict.evidence if found.passed is False] == ["finish"]


def test_a_check_that_can_be_outweighed(made: Made) -> None:
    """A wrong sum is evidence, and blocks nothing: what it is worth was learnt."""
    verdict = made.verifier.score(made.request(0), answer_of("cheap", "12 + 30 = 43, so the answer is 43."))
    assert [found.check for found in verdict.evidence if found.passed is False] == ["arithmetic"]
    assert 0.0 < verdict.score < 1.0


# ------------------------------------------------------------------ a judge


def judged(made: Made, passed: bool | None, value: float | None) -> float:
    verdict = made.verifier.score(made.request(3), made.draft(3), None, Evidence("judge", passed, "", value))
    assert verdict.evidence[-1].check == "judge"
    return verdict.score


def test_a_judge_moves_the_odds(made: Made) -> None:
    """Up or down, at most by what a judge is right; without a value, or undecided, not at all."""
    plain = made.verifier.score(made.request(3), made.draft(3)).score
    odds = plain / (1 - plain)
    for value, factor in ((1.0, JUDGE_ODDS), (0.0, 1 / JUDGE_ODDS), (0.5, 1.0), (None, 1.0)):
        assert judged(made, passed=True, value=value) == pytest.approx(odds * factor / (1 + odds * factor))
    assert judged(made, passed=None, value=0.25) < plain < judged(made, passed=True, value=0.75) < 1.0


def test_a_judge_that_rejects_ends_it(made: Made) -> None:
    """Whatever else there is."""
    assert judged(made, passed=False, value=1.0) == 0.0


# ------------------------------------------------------------------ the artefact, opened


def test_an_artefact_is_opened(made: Made, tmp_path: Path) -> None:
    """From its file it gives the same scores, and names its tiers, opinions and thresholds."""
    path = tmp_path / "a.npz"
    path.write_bytes(dump(made.artefact))
    opened = open_trained(path)
    assert (opened.tiers, opened.opinions, opened.thresholds) == (("cheap", "premium"), ("other", "third"), LIMITS)
    verifier = opened.verifier(Checks())
    for row in range(0, QUERIES, 40):
        request, draft = made.request(row), made.draft(row)
        assert opened.router.score(request, None) == made.router.score(request, None)
        assert verifier.score(request, draft, made.opinions(row)) == made.verifier.score(
            request, draft, made.opinions(row)
        )
    with pytest.raises(ConfigError):
        open_trained(tmp_path / "no.npz")


def test_an_artefact_of_an_earlier_version(made: Made, tmp_path: Path) -> None:
    """It did not measure LATER columns, and says what it has always said."""
    early = []
    for data in (made.measured.router, made.measured.alone, made.measured.consulted):
        assert data is not None
        kept = [place for place, name in enumerate(data.names) if name not in LATER]
        names = tuple(data.names[place] for place in kept)
        crossed = tuple(names.index(data.names[place]) for place in data.crossed)
        early.append(
            replace(data, names=names, columns=data.columns[:, kept], emphasis=data.emphasis[kept], crossed=crossed)
        )
    measured = replace(made.measured, router=early[0], alone=early[1], consulted=early[2])
    rows = np.arange(SEEN)
    learned = learn(measured, made.pairs, rows, np.random.default_rng(0))
    said = scores(learned, measured, np.arange(QUERIES))
    model = deploy(learned, measured, made.pairs, (rows, scores(learned, measured, rows)), LIMITS)
    path = tmp_path / "a.npz"
    path.write_bytes(dump(msgspec.structs.replace(made.artefact, models=(model,))))
    opened = open_trained(path)
    router, verifier = opened.router, opened.verifier(Checks())
    assert said.alone is not None
    assert said.consulted is not None
    for row in range(0, QUERIES, 10):
        request, draft = made.request(row), made.draft(row)
        assert router.score(request, None).score == pytest.approx(1 - said.router[row], abs=1e-4)
        assert verifier.score(request, draft).score == pytest.approx(said.alone[row], abs=1e-4)
        heard = verifier.score(request, draft, made.opinions(row)).score
        assert heard == pytest.approx(said.consulted[row], abs=1e-4)


def test_an_artefact_of_other_measurements(made: Made, tmp_path: Path) -> None:
    """Its columns would be taken for others: it is refused, whichever of its models they are of."""
    model = made.artefact.models[0]
    for name in ("router", "alone", "consulted"):
        stack = getattr(model, name)
        other = replace(stack, names=(*stack.names[:-1], "value_of_something_else"))
        odd = msgspec.structs.replace(made.artefact, models=(msgspec.structs.replace(model, **{name: other}),))
        path = tmp_path / "a.npz"
        path.write_bytes(dump(odd))
        with pytest.raises(
            ConfigError, match=r"a\.npz: trained by a version that measured other things; train it anew"
        ):
            open_trained(path)


# ------------------------------------------------------------------ the contract


@given(asked=conformance.REQUESTS, draft=conformance.ANSWERS, others=st.lists(conformance.ANSWERS, max_size=2))
@settings(max_examples=100, deadline=None)
def test_they_keep_the_contract_of_scorers(made: Made, asked: Request, draft: Answer, others: list[Answer]) -> None:
    """The conformance suite, on arbitrary requests and answers; opinions too."""
    conformance.keeps_the_contract(made.verifier, asked, draft)
    conformance.keeps_the_contract(made.router, asked, None)
    named = [
        msgspec.structs.replace(other, model=name) for other, name in zip(others, ("other", "third"), strict=False)
    ]
    verdict = made.verifier.score(asked, draft, named)
    assert 0.0 <= verdict.score <= 1.0
    assert all(found.value is None or isfinite(found.value) for found in verdict.evidence)


@given(draft=conformance.LONG_ANSWERS)
@settings(max_examples=30, deadline=None)
def test_they_take_bounded_time(made: Made, draft: Answer) -> None:
    """No answer and no prompt, however long, takes long."""
    asked = Request(id="r", asked="s", messages=(Message("user", draft.text),))
    conformance.takes_bounded_time(made.router, asked, None)
    conformance.takes_bounded_time(made.verifier, asked, draft)
