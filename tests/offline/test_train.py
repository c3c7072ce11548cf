"""Training: outcomes in, an artefact out that the gateway serves by, with no more certified than the rows bear."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.gateway.harness import running
from tests.offline.synthetic import EASY, SKILLS, SURE, UNSURE, Skill, changed, outcomes, saved, without
from tierwise.cli.certificates import issue
from tierwise.errors import ConfigError
from tierwise.gateway.settings import load, read_environment
from tierwise.offline.certify import of_training
from tierwise.offline.findings import Findings
from tierwise.offline.train import CLUSTERS, Report, Wanted, train
from tierwise.offline.train import trained as made
from tierwise.scorers.artefact import read
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.trained import open_trained
from tierwise.stats.clusters import kmeans
from tierwise.types import Answer, Checks, Choice, Message, Request, Thresholds

LABELLED = 300


class Trained(NamedTuple):
    wanted: Wanted
    report: Report
    findings: Findings


@pytest.fixture(scope="module")
def outcomes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("outcomes") / "o.parquet", outcomes(LABELLED, 2))


@pytest.fixture(scope="module")
def trained(outcomes_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A route whose models the config calls otherwise than the outcomes do."""
    spelled = {"small": "cheap", "big": "premium", "second": "other"}
    out = tmp_path_factory.mktemp("trained") / "a.npz"
    wanted = Wanted(outcomes_file, out, ("small", "big"), ("second",), spelled, alpha=0.2, delta=0.1)
    report, fitted = made(wanted, lambda what, done, total: None)
    return Trained(wanted, report, of_training(wanted, fitted))


def asked(text: str) -> Request:
    return Request(id="q", asked="r", messages=(Message("user", text),))


def said(model: str, text: str) -> Answer:
    return Answer(model, (Choice(text, finish="stop"),))


def question(number: int) -> str:
    return f"Question {number}. What is the sum of the {' '.join(EASY)} plain usual short series?"


def refused(wanted: Wanted) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        train(wanted)
    assert not wanted.out.exists()
    return [text.replace(f"{wanted.outcomes.parent}/", "") for text in caught.value.problems]


def test_the_artefact(trained: Trained) -> None:
    """Opens; has the config's names, the certified thresholds, and how it was made."""
    wanted, report, _ = trained
    opened = open_trained(wanted.out)
    assert (opened.tiers, opened.opinions) == (("small", "big"), ("second",))
    assert opened.thresholds == report.thresholds is not None
    (tier,) = report.tiers
    assert (tier.tier, tier.labels, tier.calibrated, tier.alpha) == ("small", LABELLED, LABELLED // 3, 0.2)
    assert tier.threshold is not None
    assert 0.1 < tier.kept <= 1
    assert 0 < tier.harm_bound <= 0.21
    assert report.bytes == wanted.out.stat().st_size < 5_000_000
    artefact = read(wanted.out)
    assert artefact.notes["outcomes_sha256"] == hashlib.sha256(wanted.outcomes.read_bytes()).hexdigest()
    assert (artefact.notes["seed"], artefact.notes["alpha"], artefact.notes["delta"]) == (0, 0.2, 0.1)
    assert [one["tier"] for one in artefact.notes["tiers"]] == ["small"]
    assert [one.output_tokens for one in artefact.typical] == pytest.approx([22, 22], abs=1)
    assert [one.seconds for one in artefact.typical] == pytest.approx([0.22, 0.22], abs=0.01)
    assert artefact.typical[0].good < artefact.typical[1].good


def test_clusters_of_prompts(outcomes_file: Path, tmp_path: Path) -> None:
    """Twelve, of the rows that the models were fitted on and no others; none where those are few."""
    wanted = Wanted(outcomes_file, tmp_path / "a.npz", ("cheap", "premium"), alpha=0.2, seed=3)
    _, (fitted,) = made(wanted, lambda what, done, total: None)
    found = read(wanted.out).centroids
    assert found.dtype == np.float16
    assert found.shape == (CLUSTERS, 256)
    assert np.linalg.norm(found.astype(float), axis=1) == pytest.approx(np.ones(CLUSTERS), abs=2e-3)
    prompts = [fitted.pairs.prompt[row] for row in fitted.calibrated.train]
    whole = kmeans(load_encoder().encode_many(prompts), CLUSTERS, np.random.default_rng(3))
    assert found.astype(float) == pytest.approx(whole, abs=2e-3)
    few = saved(tmp_path / "few.parquet", outcomes(140, 2))
    train(replace(wanted, outcomes=few))
    assert read(wanted.out).centroids.shape == (0, 256)


def test_no_text_of_anybody_s_is_in_it(trained: Trained) -> None:
    """Neither prompts nor answers: only numbers, and names of tasks and models."""
    with np.load(trained.wanted.out) as archive:
        content = b"".join(archive[name].tobytes() for name in archive.files)
    for word in (b"asymptotic", b"Question", b"checked each step"):
        assert word not in content


def test_it_tells_drafts_apart(trained: Trained) -> None:
    """A sure draft from an unsure one, and one that another model contradicts."""
    opened = open_trained(trained.wanted.out)
    verifier = opened.verifier(Checks())
    request = asked(question(1))
    good, bad = (verifier.score(request, said("small", text.format(7))).score for text in (SURE, UNSURE))
    assert good > bad
    same, other = (
        verifier.score(request, said("small", SURE.format(7)), [said("second", SURE.format(result))]).score
        for result in (7, 1234)
    )
    assert same > other
    assert verifier.score(request, said("small", "")).score == 0.0
    first, last = opened.router.score(request, None).estimates
    assert 0 < first.accept <= 1
    assert last.good > 0.5


def test_a_seed_gives_the_same_again(trained: Trained, tmp_path: Path) -> None:
    """The same report and the same arrays."""
    again = train(replace(trained.wanted, out=tmp_path / "b.npz"))
    assert again.tiers == trained.report.tiers
    with np.load(trained.wanted.out) as one, np.load(tmp_path / "b.npz") as other:
        assert one.files == other.files
        assert all((one[name] == other[name]).all() for name in one.files)


def test_nothing_can_be_certified(trained: Trained, tmp_path: Path) -> None:
    """The artefact has no thresholds, so the route keeps to what it does without a certificate."""
    found = train(replace(trained.wanted, out=tmp_path / "b.npz", alpha=0.001))
    assert found.thresholds is None
    assert (found.tiers[0].threshold, found.tiers[0].kept) == (None, 0.0)
    assert open_trained(tmp_path / "b.npz").thresholds is None


def test_three_tiers(tmp_path: Path) -> None:
    """Each at its share of alpha and delta, for their harm adds up; the strictest thresholds serve both."""
    skills = {**SKILLS, "cheap": Skill(0.99, 0.5, 1e-7), "middle": Skill(0.99, 0.4, 1e-6)}
    path = saved(tmp_path / "o.parquet", outcomes(LABELLED, 2, skills=skills))
    wanted = Wanted(path, tmp_path / "a.npz", ("cheap", "middle", "premium"), alpha=0.3, delta=0.2)
    told: list[str] = []
    found = train(wanted, lambda what, done, total: told.append(what))
    assert sorted(set(told)) == ["cheap: measuring", "middle: measuring"]
    assert [(tier.tier, tier.alpha) for tier in found.tiers] == [("cheap", 0.15), ("middle", 0.15)]
    alone = {}
    for name in ("cheap", "middle"):
        two = replace(wanted, out=tmp_path / f"{name}.npz", tiers=(name, "premium"), alpha=0.15, delta=0.1)
        alone[name] = train(two)
    assert [tier.threshold for tier in found.tiers] == [alone[name].tiers[0].threshold for name in alone]
    singles = [one.thresholds for one in alone.values()]
    assert None not in singles
    known = [one for one in singles if one is not None]
    assert found.thresholds == Thresholds(
        *(max(getattr(one, name) for one in known) for name in ("accept", "consult", "unheard"))
    )
    artefact = read(wanted.out)
    assert (len(artefact.models), len(artefact.typical)) == (2, 3)
    assert len(open_trained(wanted.out).router.score(asked("x"), None).estimates) == 3


def test_one_tier_that_fails_fails_the_route(tmp_path: Path) -> None:
    """Where one of them may keep nothing, there is no threshold for both."""
    skills = {**SKILLS, "cheap": Skill(0.0, 0.0, 1e-7), "middle": Skill(1.0, 0.0, 1e-6)}
    alike = changed(outcomes(180, 2, skills=skills), prompt="Why?", category="c")
    path = saved(tmp_path / "o.parquet", changed(alike, "cheap", response="Because.", answer=None))
    found = train(Wanted(path, tmp_path / "a.npz", ("cheap", "middle", "premium"), alpha=0.1, delta=0.2))
    assert [tier.threshold is None for tier in found.tiers] == [True, False]
    assert found.thresholds is None


def test_names(outcomes_file: Path, tmp_path: Path) -> None:
    """Outcomes may use the config's names, or the providers'; where they have both, the config's are meant."""
    rows = outcomes(60, 1)
    mixed = [*rows, *({**row, "model": "wrong", "score": 0.0} for row in rows if row["model"] == "cheap")]
    path = saved(tmp_path / "o.parquet", mixed)
    found = train(Wanted(path, tmp_path / "a.npz", ("cheap", "premium"), (), {"cheap": "wrong"}, alpha=0.4))
    assert read(tmp_path / "a.npz").typical[0].good > 0.3
    assert found.tiers[0].tier == "cheap"
    wanted = Wanted(outcomes_file, tmp_path / "b.npz", ("small", "premium"), (), {"small": "cheep"})
    assert refused(wanted) == [f"o.parquet: no rows of model cheep; near names: cheap ({LABELLED} rows)"]


@pytest.mark.parametrize(
    ("changes", "said_"),
    [
        ({"tiers": ("cheap",)}, "a route of one tier has nothing to decide; training needs a cheap tier and a premium"),
        ({"alpha": 1.0}, "alpha and delta lie between 0 and 1, a seed is a whole number from 0 on"),
        ({"delta": 0.0}, "alpha and delta lie between 0 and 1, a seed is a whole number from 0 on"),
        ({"seed": -1}, "alpha and delta lie between 0 and 1, a seed is a whole number from 0 on"),
        ({"opinions": ("forth",)}, "o.parquet: no rows of model forth; "),
        ({"outcomes": Path("no.parquet")}, "no.parquet: no such file"),
    ],
)
def test_what_can_t_be_trained(outcomes_file: Path, tmp_path: Path, changes: Mapping[str, Any], said_: str) -> None:
    """Told before anything is written."""
    wanted = replace(Wanted(outcomes_file, tmp_path / "a.npz", ("cheap", "premium")), **changes)
    assert refused(wanted)[0].startswith(said_)


def test_outcomes_that_can_t_be_learnt_from(tmp_path: Path) -> None:
    """Without responses, with some missing, with too few rows."""
    rows = outcomes(20, 1)
    hole = [{**row, "response": None} if row["query_id"] == "q00003" else row for row in rows]
    for at, (table, said_) in enumerate([
        (without(rows, "response"), "no column response"),
        (changed(rows, response=None), "80 of 80 rows have no response"),
        (hole, "cheap has rows without a response: nothing to verify"),
        (outcomes(9, 1), "4 labelled queries are too few to fit anything to; 10 are the least"),
    ]):  # fmt: skip
        path = saved(tmp_path / f"{at}.parquet", table)
        assert refused(Wanted(path, tmp_path / "a.npz", ("cheap", "premium"))) == [f"{at}.parquet: {said_}"]


def test_a_place_that_can_t_be_written(tmp_path: Path) -> None:
    """Leaves nothing behind, and what stood there as it was."""
    path = saved(tmp_path / "o.parquet", outcomes(40, 1))
    (tmp_path / "folder").mkdir()
    for out, said_ in ((tmp_path / "no" / "a.npz", "no is no folder"), (tmp_path / "folder", "Is a directory")):
        with pytest.raises(ConfigError, match=said_):
            train(Wanted(path, out, ("cheap", "premium")))
    assert {one.name for one in tmp_path.iterdir()} == {"o.parquet", "folder"}


CONFIG = """
[server]
port = 0
[store]
url = "sqlite:///ledger.db"
[models.small]
provider = "scripted"
model = "cheap"
script = "small.json"
price = {{ input = 1, output = 2 }}
[models.big]
provider = "scripted"
model = "premium"
script = "big.json"
price = {{ input = 100, output = 200 }}
[models.second]
provider = "scripted"
model = "other"
script = "second.json"
price = {{ input = 1, output = 2 }}
[routes.support]
tiers = ["small", "big"]
opinions = ["second"]
mode = "enforce"
trained = "a.npz"
max_harm = 0.2
"""


async def test_the_gateway_serves_by_it(trained: Trained, tmp_path: Path) -> None:
    """A draft that it likes is served with the rule "verifier"; one that it doesn't escalates."""
    (tmp_path / "a.npz").write_bytes(trained.wanted.out.read_bytes())
    drafts = {1: SURE.format(42), 2: UNSURE.format(1234), 3: ""}
    opinions = {1: SURE.format(42), 2: SURE.format(42), 3: SURE.format(42)}
    for name, texts in (("small", drafts), ("second", opinions)):
        rules = [{"match": f"Question {number}.", "text": text} for number, text in texts.items()]
        (tmp_path / f"{name}.json").write_text(json.dumps(rules))
    (tmp_path / "big.json").write_text(json.dumps([{"text": "It is 42."}]))
    (tmp_path / "c.toml").write_text(CONFIG.format(url=""))
    config, environment = load(tmp_path / "c.toml", {}), read_environment({"HOME": str(tmp_path)})
    assert issue((config, environment), "support", trained.findings, tmp_path / "a.certificate.json", 1) is not None
    async with running(tmp_path, config=CONFIG) as gateway:
        for number, model in ((1, "small"), (2, "big"), (3, "big")):
            status, body, headers = await gateway.chat(text=question(number))
            assert status == 200
            assert headers["x-tierwise-model"] == model
            rule = headers["x-tierwise-decision"]
            record = await gateway.record(headers["x-request-id"])
            roles = [entry.role for entry in record.entries]
            if model == "small":
                assert rule == "verifier"
                assert body["choices"][0]["message"]["content"] == drafts[number]
                assert roles in (["draft"], ["draft", "opinion"])
                assert record.decision.score is not None
                assert record.decision.score >= (trained.report.thresholds or Thresholds(9, 9, 9)).accept
            else:
                assert rule.startswith("escalated:check:")
                assert (roles[0], roles[-1]) == ("draft", "premium")
