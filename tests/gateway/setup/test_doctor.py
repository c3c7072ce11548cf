"""The doctor, on real files and sockets."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest

from tests.gateway.test_trained import Artefact, valid
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.setup.doctor import Finding, examine, failed, local_weights
from tierwise.types import Thresholds

HOSTED = '[models.m]\nprovider = "openai"\nmodel = "gpt-4o-mini"\n[routes.r]\ntiers = ["m"]\n'
WEIGHTS = b"not really a model" * 100
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def checked(tmp_path: Path, text: str, **variables: str) -> dict[str, Finding]:
    """The findings by what they are about; a free port unless the text names one."""
    path = tmp_path / "c.toml"
    server = "" if "[server]" in text else "[server]\nport = 0\n"
    path.write_text(server + text, encoding="utf-8")
    environment = read_environment({"XDG_CACHE_HOME": str(tmp_path / "cache"), **variables})
    return {finding.what: finding for finding in examine(path, environment)}


def local(*sources: str, sha256: str = SHA256) -> str:
    return (
        f'[models.l]\nprovider = "local"\nweights = {list(sources)}\nsha256 = "{sha256}"\n[routes.r]\ntiers = ["l"]\n'
    )


def test_all_is_well(tmp_path: Path) -> None:
    """A hosted model with its key: nothing fails, and nothing was written."""
    found = checked(tmp_path, HOSTED, OPENAI_API_KEY="sk-not-to-be-shown")
    assert not failed(list(found.values()))
    assert {finding.level for finding in found.values()} <= {"ok", "warn"}
    assert found["model m"].detail == "openai gpt-4o-mini, key in OPENAI_API_KEY"
    assert found["price of m"].detail.startswith("0.15 USD in, 0.6 USD out per million tokens (https://")
    assert "sk-not-to-be-shown" not in repr(found)
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


def test_a_config_that_does_not_load(tmp_path: Path) -> None:
    """Every problem is a finding; where there is no file, init is the remedy."""
    environment = read_environment({})
    missing = examine(tmp_path / "no.toml", environment)
    assert missing[0].remedy == f"tierwise init --config {tmp_path / 'no.toml'}"
    path = tmp_path / "c.toml"
    path.write_text("[server]\nprot = 1\nhots = 2\n", encoding="utf-8")
    findings = examine(path, environment)
    assert failed(findings)
    assert [finding.remedy for finding in findings] == ["correct the file"] * 2


def test_a_key_that_is_not_set(tmp_path: Path) -> None:
    """Fails, with the variable to set; a server without a key is fine."""
    found = checked(tmp_path, HOSTED)
    assert found["model m"] == Finding("fail", "model m", "OPENAI_API_KEY is not set", "export OPENAI_API_KEY=...")
    own = checked(tmp_path, HOSTED.replace('"gpt-4o-mini"', '"x"\nbase_url = "http://127.0.0.1:9/v1"'))
    assert own["model m"].detail == "openai x at http://127.0.0.1:9/v1, without a key"
    assert own["price of m"].level == "warn"
    assert "counts as the dearest known" in own["price of m"].detail


def test_weights(tmp_path: Path) -> None:
    """Missing ones fail with how to get them; those that are here are weighed against the memory."""
    missing = checked(tmp_path, local("model.gguf"))
    assert missing["model l"].level == "fail"
    assert missing["model l"].remedy == "tierwise doctor --config c.toml --fetch"
    assert "shows once the weights are here" in missing["memory"].detail
    assert missing["llama.cpp"].level == "ok"
    (tmp_path / "model.gguf").write_bytes(WEIGHTS)
    there = checked(tmp_path, local("model.gguf"))
    assert there["model l"].level == "ok"
    assert there["memory"].level == "ok"
    assert there["price of l"].level == "warn"
    config = load(tmp_path / "c.toml", {})
    assert local_weights(config)["l"].sources == (str(tmp_path / "model.gguf"),)


def test_weights_of_another_hash_are_not_there(tmp_path: Path) -> None:
    """A file is known by its hash alone."""
    (tmp_path / "model.gguf").write_bytes(WEIGHTS)
    assert checked(tmp_path, local("model.gguf", sha256="00" * 32))["model l"].level == "fail"


def test_more_weights_than_memory(tmp_path: Path) -> None:
    """A sparse file of a terabyte, known by the mark of an earlier check, can't be held."""
    path = tmp_path / "model.gguf"
    path.write_bytes(WEIGHTS)
    assert checked(tmp_path, local("model.gguf"))["model l"].level == "ok"
    os.truncate(path, 1 << 40)
    (mark,) = (tmp_path / "cache" / "tierwise" / "weights").glob("*.ok")
    stat = path.stat()
    mark.write_text(
        json.dumps({"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": SHA256}),
        encoding="utf-8",
    )
    assert checked(tmp_path, local("model.gguf"))["memory"].level == "warn"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Fails while someone listens on it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        text = f"[server]\nport = {other.getsockname()[1]}\n{HOSTED}"
        found = checked(tmp_path, text)["port"]
        assert found.level == "fail"
        assert "is taken" in found.detail
    assert checked(tmp_path, text)["port"].level == "ok"
    nowhere = checked(tmp_path, f'[server]\nhost = "192.0.2.1"\n{HOSTED}')["port"]
    assert nowhere.level == "fail"


def test_stores(tmp_path: Path) -> None:
    """A missing folder, and a file that is no database, fail."""
    nowhere = checked(tmp_path, '[store]\nurl = "sqlite:///no/such/t.db"\n' + HOSTED)
    assert nowhere["store"].level == "fail"
    (tmp_path / "t.db").write_text("something else entirely", encoding="utf-8")
    store = '[store]\nurl = "sqlite:///t.db"\n' + HOSTED
    assert checked(tmp_path, store)["store"].detail.endswith("not an SQLite database")
    (tmp_path / "t.db").write_bytes(b"")
    assert checked(tmp_path, store)["store"].level == "ok"


def test_the_pepper(tmp_path: Path) -> None:
    """Lost, or readable by others, is a warning."""
    assert checked(tmp_path, HOSTED)["key pepper"].detail.endswith("made on first use")
    (tmp_path / "tierwise.db").write_bytes(b"")
    assert "keys made before fail" in checked(tmp_path, HOSTED)["key pepper"].detail
    path = tmp_path / "tierwise.pepper"
    path.write_bytes(b"p" * 32)
    path.chmod(0o644)
    assert checked(tmp_path, HOSTED)["key pepper"].remedy == f"chmod 600 {path}"
    path.chmod(0o600)
    assert checked(tmp_path, HOSTED)["key pepper"].level == "ok"
    assert checked(tmp_path, HOSTED, TIERWISE_PEPPER="p" * 16)["key pepper"].detail == "from TIERWISE_PEPPER"


def test_scripts_and_routes(tmp_path: Path) -> None:
    """A scripted model's file must be there; a config without a route is half of one, without a model none."""
    text = '[models.d]\nprovider = "scripted"\nscript = "d.json"\n'
    found = checked(tmp_path, text)
    assert found["model d"].level == "fail"
    assert found["config"].level == "warn"
    (tmp_path / "d.json").write_text('[{"text": "yes"}]', encoding="utf-8")
    assert checked(tmp_path, text)["model d"].detail == f"1 scripted answer from {tmp_path / 'd.json'}"
    nobody = checked(tmp_path, "[server]\nport = 8099\n")["config"]
    assert (nobody.level, nobody.remedy) == ("fail", "add a [models.NAME] table")


ROUTE = HOSTED.replace('tiers = ["m"]', 'tiers = ["m", "top"]') + "{more}\n"
ROUTE += (
    '[models.top]\nprovider = "scripted"\nscript = "s.json"\n[models.other]\nprovider = "scripted"\nscript = "s.json"\n'
)


def test_others_whom_nobody_asks(tmp_path: Path) -> None:
    """Opinions and a judge that no rule of their route asks are pointed out; without them a route is no finding."""
    more = 'opinions = ["other"]\njudge = "top"\nevidence_usd_per_day = 0'
    found = checked(tmp_path, ROUTE.format(more=more))
    assert "judge of r" not in checked(tmp_path, ROUTE.format(more='judge = "top"'))  # it labels
    assert found["opinions of r"].level == found["judge of r"].level == "warn"
    assert "agreement" in found["opinions of r"].remedy
    asked = checked(tmp_path, ROUTE.format(more='opinions = ["other"]\nuncertified = "agreement"'))
    assert not {"opinions of r", "judge of r", "route r"} & set(asked)


def test_an_artefact_that_is_not_there(tmp_path: Path) -> None:
    """The route could not be served."""
    found = checked(tmp_path, ROUTE.format(more='trained = "none.npz"'))
    assert found["route r"].level == "fail"


def test_artefacts(tmp_path: Path) -> None:
    """From which score on drafts are served; where nothing could be certified, that others are not asked either."""
    path = tmp_path / "c.toml"
    path.write_text(ROUTE.format(more='trained = "r.npz"\nopinions = ["other"]\njudge = "top"'), encoding="utf-8")

    def about(thresholds: Thresholds | None) -> dict[str, Finding]:
        artefact = Artefact(tiers=("m", "top"), thresholds=thresholds)
        found = examine(path, read_environment({}), lambda path: artefact, lambda route, table: valid(artefact))
        return {finding.what: finding for finding in found}

    good = about(Thresholds(0.8125, 0.5, 0.8125))
    assert good["route r"] == Finding(
        "ok", "route r", f"{tmp_path / 'r.npz'}: certified; drafts are served from a score of 0.812 on"
    )
    assert "judge of r" not in good
    none = about(None)
    assert {none[what].level for what in ("route r", "opinions of r")} == {"warn"}
    assert 'certificate: none; so it does what `uncertified = "observe"`' in none["route r"].detail


@pytest.mark.parametrize(("key", "what"), [("audit", "audit"), ("evidence_usd_per_day", "evidence_usd_per_day")])
def test_a_certificate_that_nobody_audits(tmp_path: Path, key: str, what: str) -> None:
    """Nobody would notice that it stops being true."""
    path = tmp_path / "c.toml"
    path.write_text(ROUTE.format(more=f'trained = "r.npz"\n{key} = 0'), encoding="utf-8")
    artefact = Artefact(tiers=("m", "top"), opinions=(), thresholds=Thresholds(0.8, 0.8, 0.8))
    findings = examine(path, read_environment({}), lambda path: artefact, lambda route, table: valid(artefact))
    (found,) = [finding for finding in findings if finding.what == "audit of r"]
    assert (found.level, found.remedy) == ("warn", f"{what} above 0")


def test_alerts(tmp_path: Path) -> None:
    """The variable must hold an address; the address is not shown."""
    text = HOSTED + '[alerts]\nwebhook_env = "HOOK"\n'
    assert checked(tmp_path, text)["alerts"].level == "fail"
    assert checked(tmp_path, text, HOOK="file:///etc/passwd")["alerts"].level == "fail"
    found = checked(tmp_path, text, HOOK="https://chat.example/secret-path")
    assert found["alerts"] == Finding("ok", "alerts", "alarms are POSTed to the address in HOOK")
    assert "alerts" not in checked(tmp_path, HOSTED)


# ------------------------------------------------------------------ budgets

MONEY = """\
[models.c]
provider = "openai"
model = "gpt-4o-mini"
[models.p]
provider = "openai"
model = "gpt-4o"
[routes.r]
tiers = ["c", "p"]
over_budget = "cheap"
[budgets.month]
usd = 12.5
tokens = 5000000
period = "month"
[budgets.trial]
tag = "trial"
tokens = 100
soft = 0.5
"""


def test_budgets_are_told(tmp_path: Path) -> None:
    """As they were understood; and a route that is set to degrade, and can't."""
    found = checked(tmp_path, MONEY, OPENAI_API_KEY="sk-x")
    assert found["budget month"].detail == "$12.50 and 5,000,000 tokens a month for the whole gateway, told at 80%"
    assert found["budget trial"].detail == "100 tokens in all for tag trial, told at 50%"
    assert {found[name].level for name in ("budget month", "budget trial")} == {"ok"}
    warned = found["over_budget of r"]
    assert (warned.level, warned.remedy) == ("warn", 'mode = "enforce"')
    enforced = checked(tmp_path, MONEY.replace("over_budget", 'mode = "enforce"\nover_budget'), OPENAI_API_KEY="sk-x")
    assert "over_budget of r" not in enforced
