"""`tierwise batch`, from a job without labels to a plan, as a person and as a script see it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import Result

from tests.cli.test_certify import CONFIG
from tests.offline.synthetic import Table, changed, outcomes, saved
from tests.support.terminal import call
from tierwise.offline.train import Wanted, train

TRAINED, JOB = 300, 500


class Files(NamedTuple):
    folder: Path
    job: Path
    rows: Table


def run(*words: str | Path) -> Result:
    return call([*map(str, words)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A config with a trained route, and a job whose labels are all known."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "s.json").write_text(json.dumps([{"text": "Yes."}]))
    (folder / "c.toml").write_text(CONFIG)
    fit = saved(folder / "t.parquet", outcomes(TRAINED, 2))
    train(Wanted(fit, folder / "support.tierwise.npz", ("cheap", "big"), (), {"big": "premium"}, alpha=0.2, delta=0.1))
    rows = [row for row in outcomes(JOB, 3, first=TRAINED - 10) if row["model"] in {"cheap", "premium"}]
    return Files(folder, saved(folder / "job.parquet", rows), rows)


def planned(files: Files, out: Path, *words: str | float | Path, job: Path | None = None) -> Result:
    options: list[str | Path] = ["--config", files.folder / "c.toml", "--outcomes", job or files.job, "--out", out]
    return run("batch", "--route", "support", *options, *map(str, words))


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    found = run("batch", "--help")
    assert "Example: tierwise batch --route support --outcomes job.parquet" in re.sub(r"[\s│]+", " ", found.output)
    assert max(map(len, found.output.splitlines())) <= 80


SAID = {
    "accuracy": r"at least 85% of all 490 rows get an answer that is as good as premium's; \d+ labels were used\.",
    "precision": r"at least 85% of the \d+ kept answers are good; \d+ labels were used\.",
    "recall": r"at least 60% of the rows that the cheap answer would harm are sent to premium; \d+ labels were used\.",
}


@pytest.mark.parametrize(("target", "at"), [("accuracy", 0.85), ("precision", 0.85), ("recall", 0.6)])
def test_a_plan(files: Files, tmp_path: Path, target: str, at: float) -> None:
    """What is kept, what is shown of it, what it costs, and what it is not."""
    out = tmp_path / "plan.jsonl"
    found = planned(files, out, "--target", target, "--at", at, "--delta", 0.1)
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("No part of this: queries that training has seen (10).\n")
    said = re.search(r"Keeps (\d+\.\d)% of 490 rows cheap: with 90% confidence " + SAID[target], found.stdout)
    assert said, found.stdout
    assert re.search(
        r"Costs \$0\.\d{4}, premium's answers to labelled rows counted; always premium \$0\.\d{4}: saves \$0\.\d{4} "
        r"\(\d+\.\d%\)\. Premium's other answers to kept rows, \$0\.\d{4}, are not counted\.",
        found.stdout,
    ), found.stdout
    assert f"Wrote {out}. This is about these rows only: it is no certificate, and changes nothing" in found.stdout
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    tiers = [line["tier"] for line in lines]
    assert (len(tiers), set(tiers)) == (490, {"cheap", "premium"})
    assert f"{tiers.count('cheap') / 490:.1%}" == f"{said[1]}%"
    assert not (tmp_path / "plan.jsonl.need").exists()


@pytest.mark.unmeasured
def test_labels_come_as_they_are_asked_for(files: Files, tmp_path: Path) -> None:
    """A script that labels what is named, and runs it again, comes to the same plan."""
    out, whole = tmp_path / "plan.jsonl", tmp_path / "whole.jsonl"
    aim: tuple[str | float, ...] = ("--target", "accuracy", "--at", 0.85, "--delta", 0.1, "--seed", 4)
    drafts = changed([row for row in files.rows if row["model"] == "cheap"], score=None)
    known = {(row["query_id"], row["model"]): row for row in files.rows}
    labelled: Table = []
    for _ in range(30):
        seen = {(row["query_id"], row["model"]) for row in labelled}
        rows = [row for row in drafts if (row["query_id"], "cheap") not in seen] + labelled
        job = saved(tmp_path / "job.parquet", rows)
        found = planned(files, out, *aim, "--ask", 50, "--json", job=job)
        said = json.loads(found.stdout)
        if said["state"] == "decided":
            break
        assert found.exit_code == 1
        assert said["out"] == f"{out}.need"
        assert said["need"] == [json.loads(line) for line in Path(said["out"]).read_text().splitlines()]
        labelled += [known[item["query_id"], model] for item in said["need"] for model in item["models"]]
    assert (found.exit_code, said["out"], "need" in said) == (0, str(out), False)
    assert {"rows", "kept", "kept_share", "threshold", "labels_used", "statement", "costs", "left_out"} <= set(said)
    assert said["costs"]["estimated"] > 0
    assert planned(files, whole, *aim).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    told = planned(files, out, *aim, job=job).stdout
    assert re.search(r"Of \d+ of 490 rows premium's price is estimated: the mean of the others\.", told)


def test_labels_that_are_missing(files: Files, tmp_path: Path) -> None:
    """Says how many, where they are listed, and what those that there are would settle for."""
    out = tmp_path / "plan.jsonl"
    aim: tuple[str | float, ...] = ("--target", "accuracy", "--at", 0.85)
    found = planned(files, out, *aim)
    used = int(re.findall(r"(\d+) labels were used", found.stdout)[0])
    drafts = changed([row for row in files.rows if row["model"] == "cheap"], score=None)
    job = saved(tmp_path / "job.parquet", drafts)
    found = planned(files, out, *aim, "--ask", 1, job=job)
    assert found.exit_code == 1
    assert not out.exists()
    assert (
        "Not decided yet: 1 more label is needed next; 0 labels were used so far, of 490 rows. Which queries, and "
        f"whose scores, is in {out}.need. Add those to the outcomes and run this again with the same seed: it goes on "
        "from here."
    ) in found.stdout
    settled = re.search(
        r"enough to keep 10\.0%: --labels 0 settles for that\. The next ones are for keeping 2", found.stdout
    )
    assert settled, found.stdout
    assert planned(files, out, *aim, "--labels", 0, job=job).exit_code == 0
    assert out.read_text().count('"cheap"') == 49
    fewer = planned(files, out, *aim, "--labels", used - 1)
    assert f"{used - 1} labels were used" in fewer.stdout


def test_nothing_is_kept(files: Files, tmp_path: Path) -> None:
    """A plan too, in which all goes up, with the reason and exit code 1."""
    out = tmp_path / "plan.jsonl"
    found = planned(files, out, "--target", "precision", "--at", 0.995)
    assert found.exit_code == 1
    assert re.search(
        r"Nothing is kept: of 490 rows no part shows precision >= 99\.5% with 95% confidence\. \d+ labels were used, "
        r"\d+ of them against the draft: too near to the target, or beyond it\. All rows go to premium\.",
        found.stdout,
    ), found.stdout
    assert re.search(r": \$0\.\d{4} more\.", found.stdout)
    assert out.read_text().count('"tier":"premium"') == 490
    few = planned(files, out, "--target", "precision", "--at", 0.85, "--labels", 3)
    assert few.exit_code == 1
    assert "3 labels were used, too few to show it; more may. All rows go to premium." in few.stdout
    said = json.loads(planned(files, out, "--target", "precision", "--labels", 3, "--json").stdout)
    assert (said["kept"], said["threshold"], said["statement"], said["state"]) == (0, None, "", "decided")


def test_a_row_without_a_draft(files: Files, tmp_path: Path) -> None:
    """Is told of, and is no part of the plan."""
    rows = [row for row in files.rows if (row["query_id"], row["model"]) != ("q00400", "cheap")]
    found = planned(files, tmp_path / "p.jsonl", "--target", "accuracy", job=saved(tmp_path / "j.parquet", rows))
    assert "No part of this: queries without a cheap answer (1)." in found.stdout
    assert "q00400" not in (tmp_path / "p.jsonl").read_text()


def test_what_can_t_be_done(files: Files, tmp_path: Path) -> None:
    """Told as a line, with exit code 2; the job's file is never written over."""
    before = files.job.read_bytes()
    job = saved(tmp_path / "j.need", files.rows)
    untrained: list[str | Path] = [
        "batch",
        "--route",
        "plain",
        "--outcomes",
        files.job,
        "--target",
        "recall",
        "--out",
        tmp_path / "p",
    ]
    for found, said in (
        (planned(files, files.job, "--target", "accuracy"), "is where the outcomes are"),
        (planned(files, tmp_path / "j", "--target", "accuracy", job=job), "is where the outcomes are"),
        (planned(files, tmp_path / "no" / "p.jsonl", "--target", "accuracy", job=tmp_path / "none"), "is no folder"),
        (planned(files, tmp_path / "p.jsonl", "--target", "accuracy", "--at", "95"), "lie between 0 and 1"),
        (planned(files, tmp_path / "p.jsonl", "--target", "f1"), "is not one of"),
        (planned(files, tmp_path / "p.jsonl"), "Missing option '--target'"),
        (run(*untrained, "--config", files.folder / "c.toml"), "has no `trained`"),
    ):
        assert found.exit_code == 2
        assert said in re.sub(r"[\s│]+", " ", found.output), found.output
    assert files.job.read_bytes() == before
    assert not (tmp_path / "p.jsonl").exists()
