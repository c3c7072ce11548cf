"""`tierwise train --sorter`, and a gateway that answers by what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import Result

from tests.gateway.harness import GOOD, by_model, running
from tests.offline.screening.test_sorting import rows, written
from tests.support.shapes import Script
from tests.support.terminal import call
from tierwise.gateway.settings import read_environment
from tierwise.gateway.setup.doctor import examine

ROUTE = """
[models.sorter]
provider = "sorter"
trained = "support.sorter.npz"
replies = "replies.json"
[routes.sorted]
tiers = ["sorter", "premium"]
mode = "enforce"
uncertified = "checks"
[routes.sorted.checks]
min_logprob = -0.4
"""


def run(*words: str) -> Result:
    return call(["train", *words], env={"COLUMNS": "100"})


def test_the_report(tmp_path: Path) -> None:
    """How much it would keep at which threshold, for people and for scripts; the file stands beside the data."""
    data = written(tmp_path, rows(noise=30))
    told = run("--sorter", "--data", str(data))
    assert told.exit_code == 0
    assert "150 texts, 3 labels" in told.stdout
    assert "min_logprob under [routes.NAME.checks]" in told.stdout
    assert (tmp_path / "rows.sorter.npz").exists()
    said = json.loads(run("--sorter", "--data", str(data), "--out", str(tmp_path / "b.npz"), "--json").stdout)
    assert (said["rows"], said["labels"], said["points"][1]["kept"]) == (150, 3, pytest.approx(0.75, abs=0.01))
    assert 0.7 < said["accuracy"] < 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sorter",), "--sorter takes labelled texts"),
        (("--sorter", "--data", "x", "--route", "r"), "neither --route nor --outcomes"),
        ((), "train takes --route NAME"),
        (("--route", "r", "--data", "x"), "train takes --route NAME"),
        (("--sorter", "--data", "x", "--out", "/nowhere/y.npz"), "/nowhere is no folder"),
    ],
)
def test_options_that_do_not_go_together(words: tuple[str, ...], said: str) -> None:
    """Are refused with what does."""
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr


async def test_a_sorter_as_the_cheap_tier(tmp_path: Path) -> None:
    """What it is sure of is answered by the reply, at no cost; the rest, and labels without one, go to premium."""
    data = written(tmp_path, rows())
    assert run("--sorter", "--data", str(data), "--out", str(tmp_path / "support.sorter.npz")).exit_code == 0
    replies = {"parcel": "It is on its way.", "refund": "We pay it back.", "strange": "Never."}
    (tmp_path / "replies.json").write_bytes(msgspec.json.encode(replies))
    async with running(tmp_path, by_model(Script()), route=ROUTE) as gateway:
        for words, model, text in (
            ("Where is my parcel 7?", "sorter", "It is on its way."),
            ("I want my money back for the lamp", "sorter", "We pay it back."),
            ("I forgot my password for the bike", "premium", GOOD),
            ("qwertz uiop", "premium", GOOD),
        ):
            messages = [{"role": "user", "content": words}]
            status, body, headers = await gateway.chat(model="sorted", messages=messages)
            assert status == 200
            assert body["choices"][0]["message"]["content"] == text
            assert headers["x-tierwise-model"] == model
            record = await gateway.record(headers["x-request-id"])
            (entry,) = [entry for entry in record.entries if entry.model == "sorter"]
            assert (entry.nanos, entry.cost_state) == (0, "computed")
            assert record.baseline_nanos > 0
        told = [finding.detail for finding in examine(gateway.config.path, read_environment({"HOME": str(tmp_path)}))]
        assert "a reply stands for labels that it never learnt: strange" in told
        assert "sorts into 3 labels, replies for 2" in told
