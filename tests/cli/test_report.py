"""`tierwise report`, from a store that a gateway has written to a page, as a person sees it."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from typer.testing import Result

from tests.offline.reports.lives import FIRST, Kept, Life, certificate, lived
from tests.store.test_signing import SEED
from tests.support.terminal import call
from tierwise.core.certificate import Certificate, name
from tierwise.core.window import DAY_NS
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.evidence.certified import binds
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.snapshot import build
from tierwise.money import Entry, Record
from tierwise.proof import Event, Said, Texts, Turn
from tierwise.store.signing import packed, sign
from tierwise.store.sqlite import open_sqlite
from tierwise.types import Decision, Usage

CONFIG = """
[server]
port = 0
[models.small]
provider = "scripted"
script = "s.json"
price = {input = 1, output = 2}
[models.big]
provider = "scripted"
model = "premium"
script = "s.json"
price = {input = 10, output = 20}
[routes.support]
tiers = ["small", "big"]
trained = "support.tierwise.npz"
[routes.plain]
tiers = ["small", "big"]
"""
SECRET = "what somebody asked"
KEY = {"TIERWISE_SIGNING_KEY": SEED.hex()}


class Place(NamedTuple):
    folder: Path
    config: Path
    certificate: Certificate


def run(*words: str | Path) -> Result:
    return call([*map(str, words)], env={"COLUMNS": "80"} | KEY)


def reported(place: Place, *words: str | Path, route: str = "support") -> Result:
    return run("report", "--route", route, "--config", place.config, *words)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A config, an artefact, its certificate, and a store in which forty days have passed."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "s.json").write_text(json.dumps([{"text": "Yes."}]))
    (folder / "c.toml").write_text(CONFIG)
    (folder / "support.tierwise.npz").write_bytes(b"an artefact")
    environment = read_environment(KEY)
    config = load(folder / "c.toml", {})
    bound = binds(build(config, environment).routes["support"], folder / "support.tierwise.npz")
    today = SystemClock().now_ns() // DAY_NS
    document = certificate(binds=bound, issued=(today - 40) * 86_400, expires=(today + 50) * 86_400)
    (folder / "support.certificate.json").write_bytes(packed(sign(document, SEED)))
    asyncio.run(
        _write(folder / "tierwise.db", lived(Life(days=40, requests=800), document), document, today - 39 - FIRST)
    )
    return Place(folder, folder / "c.toml", document)


async def _write(path: Path, kept: Kept, document: Certificate, later: int) -> None:
    """All of a life, so many days later than it was, and texts that must not be shown."""
    store = await open_sqlite(path, clock=SystemClock(), instance="i1")
    proof, moved = store.proof, later * DAY_NS
    for sample in kept.samples:
        proof.keep(msgspec.structs.replace(sample, at_ns=sample.at_ns + moved, id=0))
    for label in kept.labels:
        proof.keep(msgspec.structs.replace(label, at_ns=label.at_ns + moved, id=0, comment=SECRET))
    await proof.note(Event(at_ns=moved, route="plain", what="drift", body="{}"))  # the chain is over all routes
    for event in kept.trail:
        await proof.note(msgspec.structs.replace(event, at_ns=event.at_ns + moved, id=0))
    said = (Said(model="small", response=SECRET),)
    await proof.keep(Texts(request_id="r1", route="support", at_ns=moved, messages=(Turn("user", SECRET),), said=said))
    for day in kept.spend[-10:]:
        at_ns = (day.day + later) * DAY_NS
        await store.post(_record(f"a{day.day}", at_ns, 4_000_000, 11_500_000, "key_1"))
        await store.post(_record(f"b{day.day}", at_ns, 500_000, 0, "aside:support:x"))
    await store.close()


def _record(request: str, at_ns: int, nanos: int, baseline: int, key: str) -> Record:
    entry = Entry("small", "small", "draft", Usage(1, 1), nanos, "computed", "served", "verifier", 1.0, 2.0)
    decision = Decision("serve", "verifier", 0.9, ())
    return Record(request, key, "support", at_ns, 2.0, 200, decision, (entry,), baseline, "computed")


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    found = run("report", "--help")
    assert "Example: tierwise report --route support --html support.html" in re.sub(r"[\s│]+", " ", found.output)
    assert max(map(len, found.output.splitlines())) <= 80


def test_in_a_terminal(place: Place) -> None:
    """State, saving, quality, labels and what happened, in plain text."""
    found = reported(place)
    assert found.exit_code == 0, found.output
    for part in (
        "in force, no audit alarm", "The route answered 10 requests, 100 % of them by the cheaper model (small).",
        "Net saving against the premium model alone: $0.0700, or 60.9 %.", "certified, with 95 % confidence",
        "have not refuted it", "Harm, of all requests (limit 3 %)", "people, who saw both answers blind",
        f"certificate: {name(place.certificate)}: valid", "0, certified 0.712 (now)", "It is not used in the guarantee",
    ):  # fmt: skip
        assert part in found.stdout
    assert SECRET not in found.stdout


def test_as_a_page(place: Place, tmp_path: Path) -> None:
    """One file, with both pictures and no text of anybody's."""
    found = reported(place, "--html", tmp_path / "r.html")
    assert found.exit_code == 0, found.output
    assert found.stdout == f"Wrote {tmp_path / 'r.html'}\n"
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "in force, no audit alarm" in text
    assert "the chain of digests is sound" in text
    assert SECRET not in text
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]


def test_as_json(place: Place, tmp_path: Path) -> None:
    """The figures, and nothing else on stdout, with a page beside it or without."""
    found = json.loads(reported(place, "--json", "--html", tmp_path / "r.html").stdout)
    assert (tmp_path / "r.html").exists()
    assert found["standing"] == "valid"
    assert found["name"] == name(place.certificate)
    assert found["money"]["net_nanos"] == 10 * (11_500_000 - 4_000_000 - 500_000)
    assert found["quality"]["labelled"] == len(found["audit"]["points"]) > 300
    assert SECRET not in json.dumps(found)


def test_days(place: Place) -> None:
    """The last ones, today included."""
    found = json.loads(reported(place, "--json", "--days", "3").stdout)
    assert found["money"]["requests"] == 3
    assert reported(place, "--days", "0").exit_code == 2


def test_a_route_that_is_not_certified(place: Place) -> None:
    """It is said; another route's samples and money are not its own."""
    found = reported(place, route="plain")
    assert found.exit_code == 0
    assert "not certified" in found.stdout
    assert "The route answered no requests" in found.stdout
    assert "nothing on this page is a guarantee" in found.stdout


def copied(place: Place, folder: Path) -> Place:
    for file in place.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return place._replace(folder=folder, config=folder / "c.toml")


def test_a_change_suspends_it(place: Place, tmp_path: Path) -> None:
    """Another artefact is another verifier: what stands is told as a client is told."""
    other = copied(place, tmp_path)
    (tmp_path / "support.tierwise.npz").write_bytes(b"another artefact")
    found = reported(other)
    assert "not in force" in found.stdout
    assert "suspended: verifier changed" in found.stdout


def test_a_trail_that_was_changed(place: Place, tmp_path: Path) -> None:
    """Said before all else, on the page too."""
    other = copied(place, tmp_path)
    with closing(sqlite3.connect(tmp_path / "tierwise.db")) as conn, conn:
        found = conn.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'trail' AND type = 'trigger'").fetchall()
        for (trigger,) in found:
            conn.execute(f"DROP TRIGGER {trigger}")
        conn.execute("UPDATE trail SET body = '{}' WHERE id = 2")
    assert reported(other, "--html", tmp_path / "r.html").exit_code == 0
    assert "the chain of digests is broken at line 2" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "note: The audit trail is broken at line 2" in reported(other).stdout


def test_what_can_not_be_done(place: Place, tmp_path: Path) -> None:
    """An unknown route, no store, no folder to write to: an error of ours each, before anything is written."""
    assert "no route 'x'" in reported(place, route="x").output
    assert "is no folder" in reported(place, "--html", tmp_path / "no" / "r.html", "--json").stderr
    assert reported(place, "--html", tmp_path / "no" / "r.html", "--json").stdout == ""
    (tmp_path / "s.json").write_text("[]")
    (tmp_path / "c.toml").write_text(CONFIG)
    found = run("report", "--route", "plain", "--config", tmp_path / "c.toml")
    assert found.exit_code == 2
    assert "a gateway with this config has never run" in re.sub(r"\s+", " ", found.output)
    assert not (tmp_path / "tierwise.db").exists()
    (tmp_path / "full").mkdir()
    assert "can't be written" in re.sub(r"\s+", " ", reported(place, "--html", tmp_path / "full").output)
