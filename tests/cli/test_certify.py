"""`tierwise certify` and `tierwise certificate`, from training to a check offline, as a person sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from typer.testing import Result

from tests.core.test_certificate import certificate
from tests.offline.synthetic import outcomes, saved
from tests.store.test_signing import PUBLIC, SEED
from tests.support.terminal import call
from tierwise.core.certificate import Segment
from tierwise.store.signing import packed, read, sign

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
trained = "support.tierwise.npz"
[routes.plain]
tiers = ["cheap", "big"]
"""


class Files(NamedTuple):
    folder: Path
    config: Path
    fresh: Path
    certificate: Path


def run(*words: str | Path, key: bool = True) -> Result:
    env = {"COLUMNS": "80", "TIERWISE_SIGNING_KEY": SEED.hex() if key else ""}
    return call([*map(str, words)], env=env)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A config with a trained route."""
    folder = tmp_path_factory.mktemp("certify")
    (folder / "s.json").write_text(json.dumps([{"text": "Yes."}]))
    (folder / "c.toml").write_text(CONFIG)
    fit = saved(folder / "t.parquet", outcomes(300, 2))
    made = run(
        "train", "--route", "support", "--outcomes", fit, "--config", folder / "c.toml",
        "--out", folder / "support.tierwise.npz",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    certificate = folder / "support.certificate.json"
    assert f"Wrote {certificate}, signed by " in made.stdout
    return Files(folder, folder / "c.toml", saved(folder / "f.parquet", outcomes(400, 3, first=300)), certificate)


def certified(files: Files, *words: str | Path) -> Result:
    return run("certify", "--route", "support", "--outcomes", files.fresh, "--config", files.config, *words)


def test_help_shows_an_example() -> None:
    """And fits in 80 columns."""
    for verb in (["certify"], ["certificate", "show"], ["certificate", "verify"]):
        found = run(*verb, "--help")
        assert f"Example: tierwise {' '.join(verb)} " in re.sub(r"[\s│]+", " ", found.output)
        assert max(map(len, found.output.splitlines())) <= 80


def test_training_has_certified_it(files: Files, tmp_path: Path) -> None:
    """By the rows that it held back, for an artefact wherever it is."""
    out = tmp_path / "other.tierwise.npz"
    line: list[str | Path] = [
        "train",
        "--route",
        "support",
        "--outcomes",
        files.folder / "t.parquet",
        "--config",
        files.config,
    ]
    said = json.loads(run(*line, "--out", out, "--json").stdout)
    assert said["certificate"] == str(tmp_path / "other.certificate.json")
    assert read(Path(said["certificate"])).certificate.n == 100
    said = json.loads(run(*line, "--out", out, "--alpha", "0.001", "--json").stdout)
    assert said["certificate"] is None


def test_a_certificate(files: Files) -> None:
    """How many labels it takes is said before; after, what is kept, what that saves, and each part's own bound."""
    found = certified(files)
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("To certify harm <= 20.0% with 90% confidence takes 11 labelled requests if none of")
    pattern = (
        r"Certified: keeps \d+\.\d% cheap at \d+\.\d% of premium's quality, saves \d+\.\d% \[\d+\.\d%, \d+\.\d%\] at"
        r" full cost\. Harm \d+\.\d\d%, bound \d+\.\d\d% \(\d+ failures\)\."
    )
    assert re.search(pattern, found.stdout), found.stdout
    assert re.search(r"class: billing +\d+ +\d+\.\d% +\d+ +\d+\.\d%", found.stdout)
    assert f"Wrote {files.certificate}, signed by " in found.stdout
    assert read(files.certificate, PUBLIC).certificate.n == 400


def test_as_json(files: Files) -> None:
    """The fields of a replay's certificate, and what they rest on."""
    said = json.loads(certified(files, "--json").stdout)
    names = {"alpha", "delta", "n", "threshold", "harm_bound", "kept_cheap", "harm_on_test", "retention", "cost_ratio"}
    assert names | {"labels_used", "method", "segments", "saving", "thresholds"} <= set(said)
    assert (said["alpha"], said["delta"], said["n"], said["labels_used"]) == (0.2, 0.1, 400, 400)
    assert said["certificate"] == str(files.certificate)
    assert len(said["tiers"]) == 1


def test_nothing_yet(files: Files) -> None:
    """A first-class answer, with exit code 1; the certificate that there was stays as it is."""
    before = files.certificate.read_bytes()
    found = certified(files, "--alpha", "0.003")
    assert found.exit_code == 1
    assert re.search(r"No saving is certifiable yet: ", found.stdout)
    assert files.certificate.read_bytes() == before
    few = saved(files.folder / "few.parquet", outcomes(8, 5, first=9_000))
    found = run("certify", "--route", "support", "--outcomes", few, "--config", files.config)
    assert re.search(r"certifiable yet: (\d+ more labels would allow it|at the strictest)", found.stdout)
    found = certified(files, "--form", "parity", "--rho", "1.0")
    assert found.exit_code == 1
    assert "the rows do not show it at 90% confidence" in found.stdout


def test_as_few_labels_as_it_takes(files: Files) -> None:
    """Says how many there were, and how many were needed."""
    found = certified(files, "--sequential")
    assert re.search(
        r"400 labelled requests, of whose labels \d+ were needed; sequential Learn-then-Test", found.stdout
    )
    said = json.loads(certified(files, "--sequential", "--json").stdout)
    assert said["labels_used"] < 400
    assert read(files.certificate).certificate.labels_used == said["labels_used"]


@pytest.mark.parametrize("form", ["parity", "expected"])
def test_other_forms(files: Files, form: str) -> None:
    """Are named in the document."""
    said = json.loads(certified(files, "--form", form, "--rho", "0.8", "--days", "7", "--json").stdout)
    assert said["form"] == form
    document = read(files.certificate).certificate
    assert (document.form, document.expires - document.issued) == (form, 7 * 86_400)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--route", "plain"], "route 'plain' has no `trained`: there is nothing to certify before `tierwise train`"),
        (["--route", "nope"], "no route 'nope'; it has support, plain"),
        (["--alpha", "0"], "alpha and delta"),
        (["--outcomes", "no.parquet"], "no.parquet: no such file"),
    ],
)
def test_errors_are_lines_not_tracebacks(files: Files, words: list[str], said: str) -> None:
    """On stderr, with exit code 2."""
    found = certified(files, *words)
    assert found.exit_code == 2
    assert said in found.stderr


def test_shown(files: Files) -> None:
    """In words, with everything that a reader needs to judge it."""
    certified(files)
    found = run("certificate", "show", files.certificate)
    assert found.exit_code == 0
    assert "Certificate of the route support (cheap -> big)" in found.stdout
    assert "is at most 20.00%, with confidence 90.00%." in found.stdout
    assert "evidence      400 requests, 400 labels from the outcomes' scores" in found.stdout
    climb = re.search(r"on an alarm +(0\.\d+(?: -> 0\.\d+)*) -> premium\n", found.stdout)
    assert climb is not None
    ladder = read(files.certificate).certificate.ladder
    assert [float(rung) for rung in climb[1].split(" -> ")] == pytest.approx(ladder, abs=0.01)
    assert json.loads(run("certificate", "show", files.certificate, "--json").stdout)["key"] == PUBLIC


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        ((0.5, 0.61, 0.9), "0.50 -> 0.61 -> 0.90 -> premium"),
        ((0.701, 0.7041, 0.9), "0.701 -> 0.704 -> 0.900 -> premium"),
        ((0.5,), "0.50 -> premium"),
    ],
)
def test_where_alarms_lead(tmp_path: Path, ladder: tuple[float, ...], said: str) -> None:
    """In a line, with as many digits as tell the thresholds apart."""
    path = tmp_path / "c.json"
    path.write_bytes(packed(sign(certificate(ladder=ladder), SEED)))
    assert f"  on an alarm   {said}\n" in run("certificate", "show", path).stdout


def test_parts_are_no_promise(tmp_path: Path) -> None:
    """A part's bound may lie above the limit: a reader is told why that breaks nothing. One is a failure."""
    path = tmp_path / "c.json"
    parts = (Segment("prompt: short", 610, 0.78, 7.0, 0.0215), Segment("prompt: long", 322, 0.55, 9.0, 0.0483))
    path.write_bytes(packed(sign(certificate(failures=1.0, harm_bound=0.0252, segments=parts), SEED)))
    text = run("certificate", "show", path).stdout
    assert "each taken alone; what is promised is about all requests together:\npart " in text
    assert re.search(r"prompt: long +322 +55\.0% +9 +4\.8%", text)
    assert "  harm          1 failure; at most 2.52%\n" in text


def test_a_key_that_is_none(files: Files) -> None:
    """Such as the fingerprint that a certificate is said to be signed by: what a key is, and where it stands."""
    found = run("certificate", "verify", files.certificate, "--key", "80cad1b628c34bda")
    assert found.exit_code == 2
    assert "64 hexadecimal digits" in " ".join(found.stderr.split())


def test_verified(files: Files) -> None:
    """With the public key alone; what is forged, expired or somebody else's does not pass."""
    certified(files)
    found = run("certificate", "verify", files.certificate, "--key", PUBLIC, key=False)
    assert (found.exit_code, "genuine: signed by the trusted key" in found.stdout) == (0, True)
    assert f"signed by the key in it, {PUBLIC}" in run("certificate", "verify", files.certificate).stdout
    said = json.loads(run("certificate", "verify", files.certificate, "--json").stdout)
    assert said == {"genuine": True, "trusted": False, "expired": False, "key": PUBLIC, "route": "support"}
    assert run("certificate", "verify", files.certificate, "--key", "00" * 32).exit_code == 2
    signed = read(files.certificate)
    old = files.folder / "old.json"
    old.write_bytes(packed(sign(msgspec.structs.replace(signed.certificate, expires=5), SEED)))
    found = run("certificate", "verify", old)
    assert (found.exit_code, "expired on 1970-01-01" in found.stdout) == (1, True)
    old.write_bytes(old.read_bytes().replace(b"1970", b"1971").replace(b'"expires": 5', b'"expires": 9999999999'))
    assert run("certificate", "verify", old).exit_code == 2
