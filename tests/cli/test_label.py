"""`tierwise label` and `tierwise outcomes`, and commands that work on a route's own traffic, as a person sees them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
import pytest
from typer.testing import Result

from tests.offline.stocked import kept, label, sample, texts, traffic
from tests.store.test_signing import SEED
from tests.support.terminal import call
from tierwise.cli.reviewing import CHARS, harmless
from tierwise.gateway.settings import load
from tierwise.gateway.setup.first_run import opened
from tierwise.offline.drawn import Gathered, place
from tierwise.proof import Label, Said, Texts, Turn
from tierwise.store.signing import read

CONFIG = """
[models.cheap]
provider = "scripted"
script = "s.json"
[models.premium]
provider = "scripted"
script = "s.json"
[models.judge]
provider = "scripted"
script = "judge.json"
price = { input = 1, output = 1 }
[routes.support]
tiers = ["cheap", "premium"]
judge = "judge"
max_harm = 0.2
confidence = 0.9
trained = "support.tierwise.npz"
[routes.other]
tiers = ["cheap", "premium"]
keep_days = 0
"""
NAMES = sorted((f"q{at}" for at in range(6)), key=place)
EVIL = "Sure \x1b]0;mine\x07 \x1b[2J[bold]x[/bold] \u202eabc\rover"


def run(folder: Path, *words: str | Path, say: str | None = None) -> Result:
    env = {"COLUMNS": "80", "TIERWISE_SIGNING_KEY": SEED.hex(), "USER": "ada"}
    return call([*map(str, words), "--config", str(folder / "c.toml")], typed=say, env=env)


def review(folder: Path, say: str, *words: str) -> Result:
    found = run(folder, "label", "--route", "support", *words, say=say)
    assert found.exit_code == 0, found.output
    return found


def count(folder: Path, *words: str) -> tuple[int, int, int]:
    found = json.loads(run(folder, "label", "--route", "support", "--json", *words).stdout)
    return found["pairs"], found["labelled"], found["left"]


def labels(folder: Path) -> Sequence[Label]:
    async def of_people() -> Sequence[Label]:
        async with opened(load(folder / "c.toml", {})) as store:
            return [item for item in await store.proof.labels("support") if item.source == "human"]

    return asyncio.run(of_people())


def placed(folder: Path, *parts: Gathered) -> Path:
    (folder / "c.toml").write_text(CONFIG)
    (folder / "s.json").write_text("[]")
    kept(folder / "c.toml", *parts)
    return folder


def six(*changed: Texts) -> Gathered:
    """Six pairs, which say which is which."""
    items = {name: texts(name, (("cheap", f"draft of {name}"), ("premium", f"answer to {name}"))) for name in NAMES}
    items |= {item.request_id: item for item in changed}
    return Gathered([sample(at, name) for at, name in enumerate(NAMES, 1)], [], list(items.values()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return placed(tmp_path, six())


def test_help_shows_an_example(tmp_path: Path) -> None:
    """And fits in 80 columns."""
    for verb in ("label", "outcomes"):
        found = run(tmp_path, verb, "--help")
        assert f"Example: tierwise {verb} " in re.sub(r"[\s│]+", " ", found.output)
        assert max(map(len, found.output.splitlines())) <= 80


def test_a_session(folder: Path) -> None:
    """Each answer is kept at once, of the side that it was said of; the next session goes on from there."""
    found = review(folder, "a\nB\nab\nn\nq\n")
    assert "1 of 6" in found.stdout
    assert "4 kept, as labels of ada." in found.stdout
    said = labels(folder)
    assert [item.request_id for item in said] == NAMES[:4]
    screens = found.stdout.split(" of 6 ")[1:]
    for item, screen, word in zip(said, screens, ("a", "b", "both", "neither"), strict=False):
        draft_is_a = screen.index("draft of") < screen.index("answer to")
        sides = {"a": (1.0, 0.0), "b": (0.0, 1.0), "both": (1.0, 1.0), "neither": (0.0, 0.0)}[word]
        assert (item.draft, item.premium) == (sides if draft_is_a else sides[::-1])
        assert (item.by, item.propensity, item.model) == ("ada", 1.0, "cheap")
    assert len({screen.index("draft of") < screen.index("answer to") for screen in screens}) == 2
    assert count(folder) == (6, 4, 2)
    again = review(folder, "a\na\n")
    assert "5 of 6" in again.stdout
    assert count(folder) == (6, 6, 0)
    assert "Nothing is left: all pairs of support in this order are labelled (6 in all)." in review(folder, "").stdout
    assert count(folder, "--reviewer", "bob") == (6, 0, 6)


def test_who_sees_it_sees_no_names(folder: Path) -> None:
    """Nor prices or scores."""
    found = review(folder, "q\n")
    for word in ("cheap", "premium", "judge", "score", "$", "0.0"):
        assert word not in found.stdout.replace("scored", "")


def test_skipping_and_going_back(folder: Path) -> None:
    """What was skipped comes again next time; what is answered anew counts as it was answered last."""
    review(folder, "s\na\nu\nn\nwhat?\n\ns\nq\n")
    said = labels(folder)
    assert [item.request_id for item in said] == [NAMES[1], NAMES[1]]
    assert (said[1].draft, said[1].premium) == (0.0, 0.0)
    found = review(folder, "u\nq\n")  # there is nothing before the first
    assert found.stdout.count("2 of 6") == 2
    assert count(folder) == (6, 1, 5)


def test_an_end_without_a_word(folder: Path) -> None:
    """Where nobody is there any more what was said is kept."""
    review(folder, "a\n")
    assert count(folder) == (6, 1, 5)


def test_part_of_the_queue(folder: Path) -> None:
    """With the probability that a pair was to be in it."""
    assert "1 of 3" in review(folder, "a\na\na\na\n", "--limit", "3").stdout
    assert {item.propensity for item in labels(folder)} == {0.5}
    review(folder, "a\n" * 6, "--order", "doubtful", "--limit", "2", "--reviewer", "bob")
    mine = [item for item in labels(folder) if item.by == "bob"]
    assert {round(item.propensity, 6) for item in mine} <= {round(1 / 3, 6)}
    assert count(folder, "--order", "doubtful", "--limit", "2", "--reviewer", "bob") == (6, len(mine), 0)


def test_texts_can_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    """Neither escape sequences, nor markup, nor marks that turn a line round."""
    evil = texts(NAMES[0], (("cheap", EVIL), ("premium", "\x9b2J\x00\ud800".encode("utf-8", "replace").decode())), EVIL)
    evil = msgspec.structs.replace(evil, messages=(*evil.messages, Turn("[red]\x1b[2J", "Hi")))
    found = review(placed(tmp_path, six(evil)), "f\nq\n")
    for bad in ("\x1b", "\x07", "\x9b", "\x00", "\u202e", "\r"):
        assert bad not in found.stdout
    assert found.stdout.count(r"Sure \x1b]0;mine\x07 \x1b[2J[bold]x[/bold] \u202eabc\x0dover") == 4
    assert r"\x9b2J\x00" in found.stdout


def test_written_out() -> None:
    """Every control, every half of a character; what is text stays as it is."""
    assert harmless("a\tb\r\nc\n") == "a\tb\nc\n"
    assert harmless("\x1b\x7f\x85\u2028\u2069") == r"\x1b\x7f\x85\u2028\u2069"
    assert harmless("\ud83d") == r"\ud83d"
    assert harmless("Grüße, 日本 👩‍🚀 \\x1b") == "Grüße, 日本 👩‍🚀 \\x1b"


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """With a note of how much is left, and all of it for who wants to see it; so are long conversations."""
    long = texts(NAMES[0], (("cheap", "x" * 4_000), ("premium", "line\n" * 100)))
    long = msgspec.structs.replace(long, messages=tuple(Turn("user", f"turn {at}") for at in range(10)))
    short = review(placed(tmp_path, six(long)), "q\n").stdout
    assert short.count("x") < CHARS + 50
    assert f"[... {4_000 - CHARS:,} characters more; f shows them]" in re.sub(r"\s+", " ", short)
    assert short.count("line") == 30
    assert "4 earlier messages; f shows them" in short
    assert "turn 3" not in short
    full = review(tmp_path, "f\nq\n").stdout
    assert full.count("x") >= 4_000 + CHARS
    assert full.count("line") == 130
    assert "turn 3" in full


def test_how_an_answer_ended(tmp_path: Path) -> None:
    """Nothing at all is said to be nothing, and what was cut off to be cut off."""
    said = (Said(model="cheap", response=""), Said(model="premium", response="Then", finish="length"))
    found = review(placed(tmp_path, six(msgspec.structs.replace(texts(NAMES[0], ()), said=said))), "q\n").stdout
    assert "(nothing)" in found
    assert "(it ended early: length)" in found


def test_nothing_to_compare(tmp_path: Path) -> None:
    """Says why."""
    placed(tmp_path, Gathered([sample(1, "q")], [label("q", (1, 1))], [texts("q", (("cheap", "1"), ("premium", "1")))]))
    assert "nothing to compare on support: its gateway has drawn none yet" in review(tmp_path, "").stdout
    found = run(tmp_path, "label", "--route", "other").stdout
    assert "nothing to compare on other: keep_days = 0" in found
    assert run(tmp_path, "label", "--route", "nope").exit_code == 2


def test_at_a_real_terminal(folder: Path) -> None:
    """With keys typed by a person, one after the other."""
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "tierwise", "label", "--route", "support", "--config", str(folder / "c.toml")]
    env = os.environ | {"COLUMNS": "80", "TERM": "xterm", "USER": "ada"}
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=env) as process:
        os.close(slave)
        for shown, keys in (("1 of 6", b"ab\n"), ("2 of 6", b"n\n"), ("3 of 6", b"q\n")):
            _until(master, shown, "quit\r\n> ")
            os.write(master, keys)
        assert process.wait(20) == 0
    os.close(master)
    assert [(item.draft, item.premium) for item in labels(folder)] == [(1.0, 1.0), (0.0, 0.0)]


def _until(master: int, *words: str) -> None:
    said = ""
    while not all(word in re.sub(r"\x1b\[[\d;]*m", "", said) for word in words):
        assert select.select([master], [], [], 20)[0], said
        said += os.read(master, 65_536).decode()


# ------------------------------------------------------------------ outcomes


def test_outcomes(tmp_path: Path) -> None:
    """Rows of all requests that were drawn, and why others are not among them."""
    placed(tmp_path, traffic(60, 1))
    found = run(tmp_path, "outcomes", "--route", "support", "--out", tmp_path / "o.parquet")
    assert found.exit_code == 0, found.output
    assert "60 of the route's own requests; labels: 60 by equality with premium's answer." in found.stdout
    assert f"Wrote {tmp_path / 'o.parquet'}." in found.stdout
    assert pl.read_parquet(tmp_path / "o.parquet").height == 120
    said = json.loads(run(tmp_path, "outcomes", "--route", "support", "--out", tmp_path / "o.parquet", "--json").stdout)
    assert (said["requests"], said["drawn"], said["labels"]) == (60, 60, {"equality": 60})


def test_outcomes_without_labels(tmp_path: Path) -> None:
    """Are refused, or what is left of them is not to certify by."""
    placed(tmp_path, traffic(60, 1, lambda name, draft, best: [label(name, (draft, best))] if name[-1] != "7" else []))
    words = ("outcomes", "--route", "support", "--out", tmp_path / "o.parquet")
    found = run(tmp_path, *words)
    assert found.exit_code == 2
    assert "6 of its 60 rows have no label" in found.stderr
    found = run(tmp_path, *words, "--unlabelled", "leave-out")
    assert "left out: 6 that have no label" in found.stdout
    assert "Do not certify by it" in found.stdout
    found = run(tmp_path, *words, "--unlabelled", "harm")
    assert "6 without a label count as harm" in found.stdout
    assert "Do not" not in found.stdout
    assert run(tmp_path, *words[:-1], tmp_path / "no" / "o.parquet").exit_code == 2


# ------------------------------------------------------------------ a route's own traffic


class Trained(NamedTuple):
    artefact: bytes
    output: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A route that was trained on 300 requests of its own."""
    folder = placed(tmp_path_factory.mktemp("trained"), traffic(300, 2))
    made = run(folder, "train", "--route", "support", "--out", folder / "support.tierwise.npz")
    assert made.exit_code == 0, made.output
    return Trained((folder / "support.tierwise.npz").read_bytes(), made.output)


@pytest.fixture
def own(tmp_path: Path, trained: Trained) -> Path:
    (tmp_path / "support.tierwise.npz").write_bytes(trained.artefact)
    return placed(tmp_path, traffic(300, 2))


def fresh(folder: Path, n: int, give: object, **more: int) -> None:
    more_traffic = traffic(n, 3, give, first=300, **more)  # type: ignore[arg-type]
    ids = [msgspec.structs.replace(item, id=0) for item in more_traffic.samples]
    kept(folder / "c.toml", more_traffic._replace(samples=ids))


def certify(folder: Path, *words: str) -> Result:
    return run(folder, "certify", "--route", "support", *words)


def test_training_on_a_routes_own_traffic(trained: Trained) -> None:
    """And a certificate that says who labelled."""
    assert "cheap: 300 labelled queries, 100 to certify by" in trained.output
    assert "300 of the route's own requests; labels: 300 by equality with premium's answer." in trained.output


def test_certifying_by_a_routes_own_traffic(own: Path) -> None:
    """Rows that training saw are left out; whose labels these are stands in the certificate."""
    found = certify(own)
    assert found.exit_code == 2
    assert "route support: each of its 300 rows was used to train or to certify before" in found.stderr
    fresh(own, 400, lambda name, draft, best: [label(name, (draft, best))])
    found = certify(own)
    assert found.exit_code == 0, found.output
    assert "400 of the route's own requests; labels: 400 by equality with premium's answer." in found.stdout
    assert "left out: 300 that were trained on" in found.stdout
    assert "400 labelled requests; fixed-sequence" in found.stdout
    assert read(own / "support.certificate.json").certificate.labels == "equality with premium's answer"
    assert json.loads(certify(own, "--json").stdout)["n"] == 400
    for words in (["--judge", "M"], ["--anchors", "store", "--sequential"], ["--anchors", "store"]):
        assert certify(own, *words).exit_code == 2
    assert "leave out --outcomes" in certify(own, "--anchors", "store", "--outcomes", "x.parquet").stderr


def test_rows_without_labels_are_not_passed_over(own: Path) -> None:
    """They are refused, or harm."""
    fresh(own, 400, lambda name, draft, best: [label(name, (draft, best))] if int(name[1:]) % 10 else [])
    found = certify(own)
    assert found.exit_code == 2
    assert "40 of its 400 rows have no label" in found.stderr
    found = certify(own, "--unlabelled-as-harm")
    assert "40 without a label count as harm" in found.stdout
    if found.exit_code == 0:
        assert "40 without a label count as harm" in read(own / "support.certificate.json").certificate.labels


def judged(kind: bool) -> object:
    """A judge's word, who is too kind or is not, with people's on the first half in their own order."""

    def give(name: str, draft: float, best: float) -> list[Label]:
        said = [label(name, (1.0 if kind else draft, 1.0 if kind else best), "judge", by="judge")]
        if place(name) < 0.5:
            said.append(label(name, (draft, best), "human", by="ada"))
        return said

    return give


def test_people_correct_a_judge(own: Path) -> None:
    """Without being asked to, where there are enough of them; else the judge's word stands as such."""
    fresh(own, 600, judged(kind=False))
    found = certify(own)
    assert found.exit_code == 0, found.output
    document = read(own / "support.certificate.json").certificate
    assert re.fullmatch(r"the judge judge; corrected by people, who looked at (29|30)\d of them", document.labels)
    assert "prediction-powered" in document.method
    certify(own, "--anchors", "none")
    document = read(own / "support.certificate.json").certificate
    assert re.fullmatch(r"people \((29|30)\d\), the judge judge \((29|30)\d\)", document.labels)
    assert "exact binomial" in document.method
    certify(own, "--sequential")
    assert "sequential" in read(own / "support.certificate.json").certificate.method


def test_a_kind_judge_is_corrected(own: Path) -> None:
    """What the judge lets pass, people don't."""
    fresh(own, 600, judged(kind=True))
    blind = json.loads(certify(own, "--anchors", "none", "--json", "--alpha", "0.05").stdout)
    seeing = json.loads(certify(own, "--anchors", "store", "--json", "--alpha", "0.05").stdout)
    assert seeing["failures"] == 0
    assert 0 < seeing["kept_cheap"] < blind["kept_cheap"]
    assert seeing["harm_bound"] > 0.01


def test_as_judged(own: Path) -> None:
    """Where nobody has looked the certificate says whose word it is."""
    fresh(own, 400, lambda name, draft, best: [label(name, (draft, best), "judge", by="judge")])
    assert certify(own).exit_code == 0
    labels_said = read(own / "support.certificate.json").certificate.labels
    assert labels_said == "the judge judge"
    found = certify(own, "--anchors", "store")
    assert found.exit_code == 2
    assert "once they have looked at 30 of its rows" in found.stderr


# ------------------------------------------------------------------ labels that are bought

RULES = [
    {"match": '"a":{"text":"I am not', "text": '{"verdict": "b"}'},
    {"match": '"b":{"text":"I am not', "text": '{"verdict": "a"}'},
    {"text": '{"verdict": "tie"}'},
]


@pytest.fixture
def unlabelled(own: Path) -> Path:
    (own / "judge.json").write_text(json.dumps(RULES))
    fresh(own, 500, lambda name, draft, best: [])
    return own


def test_buying_labels(unlabelled: Path) -> None:
    """As few as it takes, and none that was bought before; what they may cost is said first, what they did, after."""
    found = certify(unlabelled, "--sequential", "--buy", "5", "--alpha", "0.05")
    assert found.exit_code == 0, found.output
    assert re.search(
        r"500 labels lack\. Each that the test asks for is bought from the judge judge, for \$0\.00\d+ at the most; "
        r"\$5\.00 for today in all\.",
        found.stdout,
    )
    bought = int(re.search(r"(\d+) labels were bought for \$0\.\d+\.", found.stdout)[1])  # type: ignore[index]
    assert 20 < bought < 400
    document = read(unlabelled / "support.certificate.json").certificate
    assert (document.labels_used, document.labels) == (bought, "the judge judge")
    assert "bought one by one" in document.method
    assert bought <= document.n < 500
    assert 0 < document.failures / document.n <= 0.05
    assert 0.3 < document.kept_cheap < 0.8
    again = certify(unlabelled, "--sequential", "--buy", "5", "--alpha", "0.05")
    assert f"{500 - bought} labels lack" in again.stdout
    assert "of which $0.1" in again.stdout
    assert "0 labels were bought for $0.00." in again.stdout
    assert read(unlabelled / "support.certificate.json").certificate.labels_used == bought


def test_the_money_ends_first(unlabelled: Path) -> None:
    """Nothing is certified, the labels stay, and the next purse goes on from there."""
    found = certify(unlabelled, "--sequential", "--buy", "0.008", "--alpha", "0.01", "--json")
    assert found.exit_code == 1, found.output
    assert json.loads(found.stdout)["certificate"] is None
    said = re.search(
        r"(\d+) labels were bought for \$0\.00\d+; the money is spent, and the bound does not hold yet\.", found.stderr
    )
    assert said is not None
    assert 5 < int(said[1]) < 9
    assert not (unlabelled / "support.certificate.json").exists()
    more = certify(unlabelled, "--sequential", "--buy", "5", "--alpha", "0.05")
    assert f"{500 - int(said[1])} labels lack" in more.stdout
    assert more.exit_code == 0


def test_what_was_shown_before_the_money_ended(unlabelled: Path) -> None:
    """Stands, though a looser threshold might have been shown as well."""
    found = certify(unlabelled, "--sequential", "--buy", "0.008", "--alpha", "0.05")
    assert found.exit_code == 0, found.output
    assert "; the money is spent, before looser thresholds could be tried. They are kept." in found.stdout
    few = read(unlabelled / "support.certificate.json").certificate
    assert few.kept_cheap < 0.2
    certify(unlabelled, "--sequential", "--buy", "5", "--alpha", "0.05")
    assert read(unlabelled / "support.certificate.json").certificate.kept_cheap > few.kept_cheap


def test_what_is_bought_for(unlabelled: Path) -> None:
    """The route's own traffic, label by label."""
    for words in (["--buy", "1"], ["--buy", "1", "--sequential", "--outcomes", "x.parquet"]):
        found = certify(unlabelled, *words)
        assert (found.exit_code, "--buy is for --sequential" in found.stderr) == (2, True)
