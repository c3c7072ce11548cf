"""`tierwise screen`, as a user runs it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from typer.testing import Result

from tests.offline.screening.test_screen_training import rows, written
from tests.screens.test_own import learnt
from tests.support.terminal import call
from tierwise.screens.cards import Cards, load_cards
from tierwise.screens.own import Head, Shown
from tierwise.screens.taught import dump


def run(*words: str | Path) -> Result:
    return call(["screen", *map(str, words)], env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    path = tmp_path / "comments.csv"
    path.write_text('id,comment\n1,hello there\n2,"I hate all Muslims, they are vermin"\n3,mail a@example.com\n')
    return path


def test_it_says_what_was_flagged_and_why(comments: Path, tmp_path: Path) -> None:
    """How many rows, of which screen and class, and what it can't see."""
    out = tmp_path / "out.jsonl"
    ran = run(comments, "--out", out)
    assert ran.exit_code == 0
    assert "Flagged 2 of 3 rows (66.7%) by their column comment." in ran.output
    assert re.search(r"moderation: hate +1 +33.3%", ran.output)
    assert re.search(r"privacy: email +1 +33.3%", ran.output)
    assert "vermin" not in ran.output
    assert [json.loads(line)["flagged"] for line in out.read_text().splitlines()] == [False, True, True]
    assert "3 of them were there from an earlier run." in run(comments, "--out", out).output


def test_json_is_for_scripts(comments: Path) -> None:
    """The report, and nothing else, without an output."""
    told = json.loads(run(comments, "--json", "--screens", "privacy, injection", "--text", "comment").stdout)
    assert told["why"] == {"privacy:email": 1}
    assert (told["rows"], told["flagged"], told["out"], told["screens"]) == (3, 1, None, ["privacy", "injection"])


def test_an_error_is_one_line(comments: Path) -> None:
    """Exit code 2, and what to do."""
    for words, said in ((("--text", "body"), "no column body"), (("--screens", "mood"), "no screen is called mood")):
        ran = run(comments, *words)
        assert ran.exit_code == 2
        assert said in re.sub(r"\s+", " ", ran.output)
        assert "Traceback" not in ran.output


def test_a_config_without_screens_changes_nothing(comments: Path, tmp_path: Path) -> None:
    """It is read, so a wrong one is told; the classifiers decide all the same."""
    config = tmp_path / "c.toml"
    config.write_text('[models.a]\nprovider = "scripted"\nscript = "a.json"\n[routes.r]\ntiers = ["a"]\n')
    assert run(comments, "--config", config, "--json").stdout == run(comments, "--json").stdout
    config.write_text("[routes.r]\ntears = 1\n")
    assert run(comments, "--config", config).exit_code == 2


CONFIG = """
[store]
url = "sqlite:///ledger.db"
[models.premium]
provider = "scripted"
script = "answers.json"
price = { input = 1, output = 2 }
[models.moderator]
provider = "scripted"
script = "answers.json"
price = { input = 1, output = 2 }
[routes.r]
tiers = ["premium"]
[routes.r.screens]
screener = "moderator"
thresholds = { hate = 1.0 }
categories = { hate = "block" }
[routes.other]
tiers = ["premium"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A route that is in doubt about hate, and a screener that finds it."""
    path = tmp_path / "tierwise.toml"
    path.write_text(CONFIG)
    (tmp_path / "answers.json").write_text(json.dumps([{"text": '{"hate": 0.9}', "input_tokens": 300}]))
    return path


def booked(folder: Path) -> list[tuple[str, str, int]]:
    """(who pays, as what, nano-dollars) of what the ledger has."""
    with closing(sqlite3.connect(folder / "ledger.db")) as db:
        return db.execute("SELECT key_id, role, nanos FROM spend").fetchall()


def test_a_routes_screener_is_asked_in_doubt(comments: Path, config: Path, tmp_path: Path) -> None:
    """By the route's own rules; what it costs is told, and booked to an account of its own as a screen."""
    out = tmp_path / "out.jsonl"
    told = json.loads(run(comments, "--config", config, "--out", out, "--json").stdout)
    assert (told["screens"], told["why"]) == (["moderation"], {"moderation:hate": 1})
    assert (told["doubtful"], told["asked"], told["undecided"]) == (1, 1, 0)
    assert [json.loads(line)["tier"] for line in out.read_text().splitlines()] == ["classifier", "llm", "classifier"]
    ((account, role, nanos),) = booked(tmp_path)
    assert (account, role, nanos) == ("aside", "screen", told["nanos"])
    assert nanos > 300_000
    again = run(comments, "--config", config, "--out", out, "--route", "r")
    assert "3 of them were there from an earlier run." in again.output
    assert "moderator was asked about 0 for $0" in again.output
    assert len(booked(tmp_path)) == 1


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        ([{"text": "no idea"}], ()),
        ([{"fault": "refused"}], ()),
        ([{"text": '{"hate": 0.0}'}], ("--cap", "0.000001")),
    ],
)
def test_nobody_decides(
    comments: Path, config: Path, tmp_path: Path, rules: list[object], options: tuple[str, ...]
) -> None:
    """Without a verdict, or the money for one, what the route blocks counts as found, and is told as undecided."""
    (tmp_path / "answers.json").write_text(json.dumps(rules))
    said = run(comments, "--config", config, "--out", tmp_path / "out.jsonl", *options).output
    assert "1 are undecided" in said
    assert ("the cap is reached" in said) == bool(options)
    line = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])
    assert (line["tier"], line["flagged"], line["doubts"]) == ("classifier", True, ["moderation:hate"])


def test_which_route(comments: Path, config: Path) -> None:
    """The one that is named, or the only one that screens; what does not go together is refused."""
    config.write_text(
        CONFIG + '[routes.other.screens]\nrisk = ["legal"]\nprivacy = "flag"\nprivacy_types = ["email"]\n'
    )
    told = json.loads(run(comments, "--config", config, "--route", "other", "--json").stdout)
    assert (told["screens"], told["why"], told["asked"]) == (["privacy", "risk"], {"privacy:email": 1}, 0)
    for words, said in (
        (("--config", config), "the routes r, other have screens; --route names one"),
        (("--config", config, "--route", "none"), "no route 'none'"),
        (("--route", "r"), "--route is one of a config"),
        (("--review", comments), "--review names a file of its own"),
    ):
        ran = run(comments, *words)
        assert ran.exit_code == 2
        assert said in re.sub(r"\s+", " ", ran.output)


def test_what_holds_for_all(comments: Path, config: Path, tmp_path: Path) -> None:
    """Where no route has screens of its own it counts, and its screener is asked; any route of it will do."""
    common = CONFIG[CONFIG.index("[routes.r.screens]") : CONFIG.index("[routes.other]")]
    config.write_text(CONFIG.replace(common, "") + common.replace("routes.r.", ""))
    told = json.loads(run(comments, "--config", config, "--json").stdout)
    assert (told["screens"], told["why"], told["asked"]) == (["moderation"], {"moderation:hate": 1}, 1)
    models = config.read_text().partition("[routes.r]")
    config.write_text(models[0] + common.replace("routes.r.", ""))
    assert json.loads(run(comments, "--config", config, "--json").stdout)["asked"] == 1
    assert [role for _, role, _ in booked(tmp_path)] == ["screen", "screen"]
    config.write_text(config.read_text() + '[routes.r]\ntiers = ["premium"]\nscreens = "none"\n')
    assert json.loads(run(comments, "--config", config, "--json").stdout)["asked"] == 1


def test_a_list_of_what_screens_are_worth() -> None:
    """Each head with its bounds, what it learnt from under which licence, and which weights it is about."""
    cards = load_cards()
    said = run("--list").output
    assert max(map(len, said.split("Bounds")[0].splitlines())) <= 80
    flat = re.sub(r"\s+", " ", said)
    for card in cards.heads:
        shown = card.recall
        rates = rf"{shown.k / shown.n:.1%} \({shown.bound:.1%}\) of {shown.n:,}" if shown.n else "no rows"
        risk = "risk: " if card.screen == "risk" else ""
        assert re.search(rf"{risk}{card.name} {card.threshold:.2f} {rates}", flat)
        for source in card.learnt:
            assert re.search(rf"{re.escape(f'{source.name} ({source.licence})')}: (all|[^.]*\b{card.name}\b)", flat)
    assert cards.weights in flat
    assert "as no public set is of it: risk: minors." in flat
    assert "sexual/minors" in flat
    assert msgspec.json.decode(run("--list", "--json").stdout, type=Cards) == cards


def test_a_list_of_own_heads(tmp_path: Path) -> None:
    """What `tierwise train --screen` has shown of them."""
    head = Head("spam", 0.9, Shown(59, 59, 0.9505), Shown(1, 300, 0.0157), certified=True)
    (tmp_path / "own.npz").write_bytes(dump(learnt("zebra", heads=(head,))))
    said = run("--list", "--trained", tmp_path / "own.npz").output
    assert re.search(r"spam +0.90 +100.0% \(95.0%\) of 59 +0.3% \(1.6%\) of 300", said)
    told = json.loads(run("--list", "--trained", tmp_path / "own.npz", "--json").stdout)
    assert told == {"screen": "moderation", "heads": [msgspec.to_builtins(head)]}
    assert run("--list", "--trained", tmp_path / "none.npz").exit_code == 2


def test_no_file_is_an_error() -> None:
    """That says what to give."""
    ran = run()
    assert (ran.exit_code, "FILE is missing" in ran.output) == (2, True)


def test_a_file_for_people(comments: Path, tmp_path: Path) -> None:
    """What is flagged or in doubt."""
    ran = run(comments, "--review", tmp_path / "review.jsonl")
    found = [json.loads(line) for line in (tmp_path / "review.jsonl").read_text().splitlines()]
    assert f"{len(found)} rows for people, the most doubtful first" in re.sub(r"\s+", " ", ran.output)
    assert "I hate all Muslims, they are vermin" in [one["text"] for one in found]


def test_beside_labels(tmp_path: Path) -> None:
    """How much of each class was found and how much wrongly flagged, with bounds."""
    path = tmp_path / "labelled.jsonl"
    every = [("I hate all Muslims, they are vermin", "hate", "en"), ("hello there", "", "de")]
    path.write_text("".join(json.dumps({"text": a, "kind": b, "lang": c}) + "\n" for a, b, c in every * 10))
    told = json.loads(run(path, "--screens", "moderation", "--labels", "kind", "--json").stdout)
    (hate,) = [one for one in told["measured"] if (one["name"], one["language"]) == ("moderation:hate", "")]
    assert (hate["recall"]["k"], hate["recall"]["n"], hate["false_blocks"]["n"]) == (10, 10, 10)
    assert hate["recall"]["bound"] == pytest.approx(0.05**0.1)
    said = run(path, "--screens", "moderation", "--labels", "kind").output
    assert re.search(r"moderation:hate +100.0% \(74.1%\) of 10", said)
    assert "95 % confidence" in said
    path.write_text(path.read_text().replace('"hate"', '"hateful"'))
    said = run(path, "--screens", "moderation", "--labels", "kind").output
    assert "no class of these screens: hateful" in re.sub(r"\s+", " ", said)
    assert "95 % confidence" not in said
    path.write_text("".join(json.dumps({"text": a, "bad": bool(b)}) + "\n" for a, b, _ in every))
    told = json.loads(run(path, "--labels", "bad", "--json").stdout)
    assert [(one["name"], one["recall"]["k"], one["recall"]["n"]) for one in told["measured"]] == [("any", 1, 1)]


def test_by_heads_of_the_operators_own(tmp_path: Path) -> None:
    """That `tierwise train --screen` wrote: by --trained, or the route's own."""
    data = written(tmp_path, rows())
    words = ["train", "--screen", "moderation", "--data", str(data), "--labels", "spam", "--out"]
    assert call([*words, str(tmp_path / "own.npz")], env={}).exit_code == 0
    fresh = written(tmp_path, [{"text": "Win a free sofa today, click here"}, {"text": "Where is it?"}], "new.jsonl")
    assert json.loads(run(fresh, "--trained", tmp_path / "own.npz", "--json").stdout)["why"]["moderation:spam"] == 1
    config = tmp_path / "tierwise.toml"
    screens = '[routes.r.screens]\ntrained = "own.npz"\ncategories = { spam = "flag" }\n'
    config.write_text(f'[models.a]\nprovider = "scripted"\nscript = "a.json"\n[routes.r]\ntiers = ["a"]\n{screens}')
    assert json.loads(run(fresh, "--config", config, "--json").stdout)["why"] == {"moderation:spam": 1}


def test_help_has_an_example_and_promises_nothing() -> None:
    """In 80 columns."""
    text = run("--help").output
    assert "Example: tierwise screen comments.csv" in re.sub(r"\s+", " ", text)
    assert "no model is asked" in re.sub(r"[\s│]+", " ", text)
    assert max(map(len, text.splitlines())) <= 80
