"""`tierwise replay` and `tierwise train`, as a person sees them in a terminal of 80 columns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import Result

from tests.offline.synthetic import OPINIONS, changed, outcomes, saved, without
from tests.support.terminal import call
from tierwise.scorers.trained import open_trained

LONG = "a-provider-of-models/with-quite-a-long-name-70B-Instruct-Turbo-2026-11"
CONFIG = """
[server]
port = 0
[models.cheap]
provider = "scripted"
script = "s.json"
[models.big]
provider = "scripted"
model = "premium"
script = "s.json"
[routes.support]
tiers = ["cheap", "big"]
max_harm = 0.2
confidence = 0.9
[routes.alone]
tiers = ["big"]
"""


class Files(NamedTuple):
    tested: Path
    fit: Path
    config: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("results")
    (folder / "s.json").write_text(json.dumps([{"text": "Yes."}]))
    (folder / "c.toml").write_text(CONFIG)
    tested = saved(folder / "t.parquet", outcomes(80, 1))
    return Files(tested, saved(folder / "f.parquet", outcomes(300, 2, first=1_000)), folder / "c.toml")


def run(*words: str | Path) -> Result:
    return call([*map(str, words)], env={"COLUMNS": "80"})


def replayed(files: Files, *words: str | Path) -> Result:
    return run("replay", files.tested, "--cheap", "cheap", "--premium", "premium", *words)


def trained(files: Files, *words: str | Path) -> Result:
    return run("train", "--outcomes", files.fit, "--config", files.config, *words)


def tables(text: str) -> list[str]:
    """The lines of the two tables, which must fit; sentences may be longer than a line."""
    lines = [line.rstrip() for line in text.splitlines()]
    start = next(at for at, line in enumerate(lines) if "APGR" in line)
    end = next(at for at, line in enumerate(lines) if line.startswith("policy ("))
    return lines[start:end]


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    for verb in ("replay", "train"):
        found = run(verb, "--help")
        assert f"Example: tierwise {verb} " in re.sub(r"[\s│]+", " ", found.output)
        assert max(map(len, found.output.splitlines())) <= 80


def test_a_replay(files: Files, tmp_path: Path) -> None:
    """Its tables, its policy and certificate in sentences; the figures and the picture in files."""
    out, png = tmp_path / "o.json", tmp_path / "o.png"
    words = [word for name in OPINIONS for word in ("--opinion", name)]
    found = replayed(
        files, *words, "--fit", files.fit, "--alpha", "0.2", "--delta", "0.1", "--json", out, "--plot", png
    )
    assert found.exit_code == 0, found.output
    assert found.stderr == ""
    text = found.stdout
    assert text.startswith("cheap -> premium, 80 queries, fitted to 300 labelled queries\n")
    assert "second opinions: other, third\n" in text
    shown = tables(text)
    assert max(map(len, shown)) <= 80
    assert "…" not in text
    assert re.match(r" +APGR +CPT 50 +CPT 80 +CPT 95 +cost-APGR$", shown[0])
    assert re.match(r"router +0\.\d\d +\d+% +\d+% +\d+%$", shown[1])
    assert re.match(r" +0\.\d\d\.\.0\.\d\d +\d+\.\.\d+ +\d+\.\.\d+ +\d+\.\.\d+$", shown[2])
    assert any(re.match(r"cascade +0\.\d\d +\d+% +\d+% +\d+% +0\.\d\d$", line) for line in shown)
    assert re.search(r"^premium +9\d\.\d% +0\.000\d+$", "\n".join(shown), re.MULTILINE)
    assert "the better of cheap and premium" in text
    assert re.search(r"policy \(verifier\): keeps \d+\.\d% cheap at \d+\.\d% quality, \d+\.\d% of premium's", text)
    assert re.search(r"certificate: harm <= 20\.0% with 90% confidence, \d+ failures? in 100 calibration queries", text)
    assert re.search(r"a decision takes \d+ us of CPU to route and \d+ us to verify", text)
    figures = json.loads(out.read_text())
    assert (figures["n"], figures["labels"], figures["policy"]["rule"]) == (80, 300, "verifier")
    assert f"{figures['router']['apgr']['value']:.2f}" in shown[1]
    assert png.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"o.json", "o.png"}


def test_a_replay_for_scripts(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json -` prints the figures, nothing beside them, and writes no file of that name."""
    monkeypatch.chdir(tmp_path)
    found = replayed(files, "--json", "-")
    assert (found.exit_code, json.loads(found.stdout)["n"]) == (0, 80)
    assert list(tmp_path.iterdir()) == []


def test_a_replay_without_labels(files: Files) -> None:
    """Says how to get a certificate."""
    found = replayed(files)
    assert found.exit_code == 0
    assert "80 queries, without labels" in found.stdout
    assert "policy (checks): keeps 100.0% cheap" in found.stdout
    assert "certificate: none without labels; --fit FILE learns from labelled rows" in found.stdout


def test_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    """Costs, and figures of a gap that is not there; long names are folded, and markup in them is text."""
    rows = [
        *changed(changed(outcomes(20, 1), "premium", score=0.0), cost_usd=None),
        *({**row, "model": name} for row in outcomes(20, 1) for name in (LONG, "[red]x") if row["model"] == "other"),
    ]
    words = ("--cheap", "cheap", "--premium", "premium", "--opinion", LONG, "--opinion", "[red]x")
    found = run("replay", saved(tmp_path / "o.parquet", rows), *words)
    assert found.exit_code == 0
    shown = tables(found.stdout)
    assert max(map(len, shown)) <= 80
    assert "…" not in found.stdout
    assert re.match(r"router +- +- +- +-$", shown[1])
    assert re.search(r"^cheap +\d+\.\d% +-$", "\n".join(shown), re.MULTILINE)
    assert re.search(r"^\[red\]x.* +\d+\.\d% +0\.\d{6}$", "\n".join(shown), re.MULTILINE)
    assert LONG in found.stdout.replace("\n", "") or LONG in "".join(line.split()[0] for line in shown)
    assert "note: costs are not known for every model, so nothing is said about dollars" in found.stdout
    assert "note: premium is no better than the cheap model here" in found.stdout
    assert "quality, where premium has none" in found.stdout


def test_nothing_is_certifiable(files: Files) -> None:
    """Says so, and about how many labels would do."""
    found = replayed(files, "--fit", files.fit, "--labels", "60", "--alpha", "0.01")
    assert "no saving is certifiable at harm <= 1.0% with 95% confidence from 20 calibration" in found.stdout
    assert re.search(r"about \d{3,} are needed", found.stdout)
    assert "policy (premium): keeps 0.0% cheap" in found.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--opinion", "forth"], "t.parquet: no rows of model forth"),
        (["--alpha", "3"], "--alpha and --delta lie between 0 and 1"),
        (["--seed", "-1"], "--seed is a whole number from 0 on"),
        (["--labels", "5"], "give some with --fit"),
        (["--fit", "no.parquet"], "no.parquet: no such file"),
        (["--json", "no/where.json"], "no is no folder"),
        (["--plot", "no/where.png"], "no is no folder"),
    ],
)
def test_errors_are_lines_not_tracebacks(files: Files, words: list[str], said: str) -> None:
    """On stderr, with exit code 2."""
    found = replayed(files, *words)
    assert found.exit_code == 2
    assert found.stderr.startswith("error: ")
    assert said in found.stderr
    assert found.stdout == ""


def test_a_training(files: Files, tmp_path: Path) -> None:
    """What was learnt and certified at the route's own limits, and what to do next."""
    out = tmp_path / "a.npz"
    found = trained(files, "--route", "support", "--out", out)
    assert found.exit_code == 0, found.output
    pattern = r"cheap: 300 labelled queries, 100 to certify by: keeps \d+\.\d% with harm <= 20\.0% \(bound \d+\.\d+%\)"
    assert re.search(pattern, found.stdout)
    assert f"Wrote {out} (" in found.stdout
    assert f'Next, in the config: [routes.support] trained = "{out}"' in found.stdout
    opened = open_trained(out)
    assert (opened.tiers, opened.opinions) == (("cheap", "big"), ())
    as_json = json.loads(trained(files, "--route", "support", "--out", out, "--json").stdout)
    assert (as_json["out"], as_json["alpha"], as_json["delta"]) == (str(out), 0.2, 0.1)
    assert as_json["thresholds"]["accept"] == as_json["tiers"][0]["threshold"]


def test_a_training_that_certifies_nothing(files: Files, tmp_path: Path) -> None:
    """Says that there is no saving yet, and writes the artefact all the same."""
    out = tmp_path / "a.npz"
    found = trained(files, "--route", "support", "--out", out, "--alpha", "0.001")
    assert "to certify by: no saving is certifiable yet: more labels, or a second opinion, may" in found.stdout
    assert open_trained(out).thresholds is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--route", "nope"], "no route 'nope'; it has support, alone"),
        (["--route", "alone"], "a route of one tier has nothing to decide"),
        (["--route", "support", "--alpha", "2"], "alpha and delta lie between 0 and 1"),
        (["--route", "support", "--out", "no/where.npz"], "no is no folder"),
    ],
)
def test_trainings_that_can_t_be(files: Files, words: list[str], said: str) -> None:
    """On stderr, with exit code 2."""
    found = trained(files, *words)
    assert found.exit_code == 2
    assert said in found.stderr


def test_a_training_without_responses(files: Files, tmp_path: Path) -> None:
    """Names the file and the column."""
    path = saved(tmp_path / "o.parquet", without(outcomes(20, 1), "response"))
    found = run("train", "--route", "support", "--outcomes", path, "--config", files.config)
    assert found.stderr == f"error: {path}: no column response\n"
