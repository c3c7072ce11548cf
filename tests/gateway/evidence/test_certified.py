"""A trained route and its certificate, through the door: what it may do while it holds, and when it doesn't."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.test_certificate import certificate
from tests.gateway.harness import running
from tests.offline.synthetic import SURE, outcomes, saved
from tierwise.core.certificate import Certificate, Signed
from tierwise.errors import ConfigError
from tierwise.gateway.evidence.certified import binds, certified_by, own_key
from tierwise.gateway.settings import Config, load, new_signing_seed, read_environment, signing_path, signing_seed
from tierwise.gateway.snapshot import build
from tierwise.offline.train import Wanted, train
from tierwise.scorers.artefact import read as read_artefact
from tierwise.store.signing import packed, sign

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
[routes.support]
tiers = ["small", "big"]
mode = "enforce"
trained = "a.npz"
{route}
"""
QUESTION = "Question 1. What is the sum of the short plain single small usual series?"
YEAR = 365 * 86_400


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    rows = saved(folder / "o.parquet", outcomes(300, 2))
    wanted = Wanted(rows, folder / "a.npz", ("small", "big"), (), {"small": "cheap", "big": "premium"}, alpha=0.2)
    assert train(wanted).thresholds is not None
    return wanted.out


@pytest.fixture
def folder(tmp_path: Path, artefact: Path) -> Path:
    (tmp_path / "a.npz").write_bytes(artefact.read_bytes())
    (tmp_path / "small.json").write_text(json.dumps([{"text": SURE.format(42)}]))
    (tmp_path / "big.json").write_text(json.dumps([{"text": "It is 42."}]))
    return tmp_path


def config_of(folder: Path, route: str = "", price: int = 100) -> Config:
    text = CONFIG.replace("input = 100", f"input = {price}").format(route=route)
    (folder / "c.toml").write_text(text)
    return load(folder / "c.toml", {})


def issued(folder: Path, seed: bytes | None = None, **changes: Any) -> Signed:
    """A certificate of the route as it stands in the folder, valid for a year, signed by its own key, written there."""
    config, environment = config_of(folder), read_environment({"HOME": str(folder)})
    route = build(config, environment).routes["support"]
    now = int(time.time())
    limits = read_artefact(folder / "a.npz").thresholds
    given = {"route": "support", "binds": binds(route, folder / "a.npz"), "issued": now, "expires": now + YEAR}
    given |= {"thresholds": limits, "ladder": () if limits is None else (limits.accept,), "reference": None}
    document: Certificate = certificate(**{**given, **changes})
    own = new_signing_seed(config)
    signed = sign(document, seed or own)
    (folder / "a.certificate.json").write_bytes(packed(signed))
    return signed


async def answered(folder: Path, route: str = "", config: str = CONFIG) -> tuple[str, str]:
    """What a reply says of the certificate, and by which rule it was decided."""
    async with running(folder, config=config, route=route) as gateway:
        status, _, headers = await gateway.chat(text=QUESTION)
        assert status == 200
        return headers["x-tierwise-certificate"], headers["x-tierwise-decision"]


async def test_without_one(folder: Path) -> None:
    """A trained route does what `uncertified` says, and says so: nothing is served that nobody has certified."""
    assert await answered(folder) == ("none", "uncertified")
    assert await answered(folder, 'uncertified = "checks"') == ("none", "checks")


async def test_a_valid_one(folder: Path) -> None:
    """Its thresholds are served by; the route tells anybody with a key where it stands, with the document."""
    signed = issued(folder)
    async with running(folder, config=CONFIG) as gateway:
        _, _, headers = await gateway.chat(text=QUESTION)
        assert (headers["x-tierwise-certificate"], headers["x-tierwise-decision"]) == ("valid", "verifier")
        events, headers = await gateway.events(text=QUESTION)
        assert (events[-1], headers["x-tierwise-certificate"]) == ("[DONE]", "valid")
        url = f"{gateway.url}/routes/support/certificate"
        async with gateway.http.get(url, headers=gateway.headers()) as reply:
            said = await reply.json()
        assert (reply.status, said["route"], said["standing"]) == (200, "support", "valid")
        assert msgspec.convert(said["signed"], Signed) == signed
        async with gateway.http.get(url) as reply:
            assert reply.status == 401
        for wrong in ("routes/none/certificate", "routes/support/other", "routes/support"):
            async with gateway.http.get(f"{gateway.url}/{wrong}", headers=gateway.headers()) as reply:
                assert reply.status == 404
        _, _, headers = await gateway.chat(model="big", text=QUESTION)
        assert "x-tierwise-certificate" not in headers


async def test_stricter_thresholds(folder: Path) -> None:
    """What the certificate says is served by, not what training found."""
    limits = read_artefact(folder / "a.npz").thresholds
    assert limits is not None
    issued(folder, thresholds=msgspec.structs.replace(limits, accept=1.5, unheard=1.5, consult=1.5))
    assert await answered(folder) == ("valid", "escalated:check:score")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expires": 1_000}, "expired"),
        ({"route": "other"}, "suspended: is of another route"),
        ({"binds": {}}, "suspended: judge changed, models changed, policy changed, prices changed, prompts changed"),
    ],
)
async def test_one_that_does_not_hold(folder: Path, change: dict[str, Any], said: str) -> None:
    """The route falls back, and every reply says why."""
    issued(folder, **change)
    standing, rule = await answered(folder, 'uncertified = "checks"')
    assert standing.startswith(said)
    assert rule == "checks"


async def test_a_change_suspends_it(folder: Path) -> None:
    """A price, a check, another artefact: it was about something else."""
    issued(folder)
    dearer = CONFIG.replace("input = 100", "input = 101")
    assert (await answered(folder, config=dearer))[0] == "suspended: prices changed"
    assert (await answered(folder, 'hold = "window"'))[0] == "suspended: policy changed"
    assert (await answered(folder, "audit = 0.5"))[0] == "valid"
    rows = saved(folder / "other.parquet", outcomes(120, 9))
    train(Wanted(rows, folder / "a.npz", ("small", "big"), (), {"small": "cheap", "big": "premium"}, alpha=0.3))
    assert (await answered(folder))[0] == "suspended: verifier changed"


async def test_it_ends_while_the_gateway_runs(folder: Path) -> None:
    """At the second in which it expires, without a restart."""
    issued(folder, expires=int(time.time()) + 3)
    async with running(folder, config=CONFIG, route='uncertified = "checks"') as gateway:
        seen = []
        until = time.monotonic() + 8
        while time.monotonic() < until and "expired" not in seen:
            _, _, headers = await gateway.chat(text=QUESTION)
            seen.append(headers["x-tierwise-certificate"])
        assert seen[0] == "valid"
        assert seen[-1] == "expired"
        assert headers["x-tierwise-decision"] == "checks"


async def test_whose_key(folder: Path) -> None:
    """Its own, or the one that the route names; a file signed by anybody else is refused when the config is read."""
    other = issued(folder, seed=bytes(32))
    config, environment = config_of(folder), read_environment({"HOME": str(folder)})
    route = build(config, environment).routes["support"]
    assert own_key(config, environment) not in (None, other.key)
    with pytest.raises(ConfigError, match="is the one to be trusted"):
        certified_by(config, environment)(route, config.routes["support"])
    assert (await answered(folder, f'certificate_key = "{other.key.upper()}"'))[0] == "valid"
    signing_path(config).unlink()
    found = certified_by(config, environment)(route, config.routes["support"])
    assert (found.said, found.thresholds) == ("suspended: nobody's key is trusted", None)


def test_a_forged_one(folder: Path) -> None:
    """Is no certificate: the gateway does not start with it."""
    signed = issued(folder)
    weaker = msgspec.structs.replace(signed.certificate, alpha=0.001)
    (folder / "a.certificate.json").write_bytes(packed(Signed(weaker, signed.key, signed.signature)))
    config, environment = config_of(folder), read_environment({"HOME": str(folder)})
    route = build(config, environment).routes["support"]
    with pytest.raises(ConfigError, match="the signature is not this document's"):
        certified_by(config, environment)(route, config.routes["support"])


def test_the_signing_key(tmp_path: Path, folder: Path) -> None:
    """From the environment, or a file that only its owner may read; made once, and never for who only checks."""
    config = config_of(folder)
    environment = read_environment({"HOME": str(folder)})
    assert signing_seed(config, environment) is None
    assert not signing_path(config).exists()
    made = new_signing_seed(config)
    assert made == new_signing_seed(config) == signing_seed(config, environment) == signing_path(config).read_bytes()
    assert signing_path(config).stat().st_mode & 0o777 == 0o600
    given = read_environment({"HOME": str(folder), "TIERWISE_SIGNING_KEY": "ab" * 32})
    assert signing_seed(config, given) == bytes.fromhex("ab" * 32)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        signing_seed(config, read_environment({"HOME": "/", "TIERWISE_SIGNING_KEY": "short"}))
    signing_path(config).write_bytes(b"short")
    with pytest.raises(ConfigError, match="not a signing key"):
        signing_seed(config, environment)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ('certificate_key = "abc"', "is an Ed25519 public key: 64 hexadecimal digits"),
        ('certificate = "c.json"', "is about what was trained; this route has no `trained`"),
    ],
)
def test_keys_that_are_wrong(folder: Path, route: str, said: str) -> None:
    """Told with the line."""
    text = CONFIG.format(route=route).replace('trained = "a.npz"\n', "" if "c.json" in route else 'trained = "a.npz"\n')
    (folder / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(folder / "c.toml", {})
