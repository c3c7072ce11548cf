"""What is missing before the gateway can serve, and how to get it.

Looks, and changes nothing. Asks no provider anything: that a key is right shows with the first call.
"""

from __future__ import annotations

import errno
import importlib.util
import re
import resource
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tierwise.core.budget import usd
from tierwise.errors import ConfigError
from tierwise.gateway.evidence.certified import Certified, certified_by
from tierwise.gateway.scoring import Open, scoring
from tierwise.gateway.settings import Config, Environment, load, pepper_path, webhook
from tierwise.gateway.snapshot import build
from tierwise.gateway.tables.model_table import ModelTable
from tierwise.gateway.tables.reply_table import replies
from tierwise.providers import scripted
from tierwise.providers.weights import Weights, find
from tierwise.scorers.sorter import read
from tierwise.scorers.trained import open_trained
from tierwise.types import Price, Route, Value

Level = Literal["ok", "warn", "fail"]

# Resident memory of llama.cpp over the size of its file: 0.64 GB for 491 MB and 1.85 GB for 1.12 GB were measured.
MEMORY_FACTOR = 1.7
# Two sockets a request, and some for the store, the upstreams' pools and the children.
DESCRIPTORS_MIN = 1024
_GB = 1e9
_SQLITE = b"SQLite format 3\0"


class Finding(Value, frozen=True):
    """`remedy` is what to do about it, empty where there is nothing to do."""

    level: Level
    what: str
    detail: str
    remedy: str = ""


def examine(
    path: Path, environment: Environment, opened: Open = open_trained, certified: Certified | None = None
) -> list[Finding]:
    """Every check of the config file at `path`; where it does not load, only why not.

    `opened` reads artefacts, `certified` says what they may serve by.
    """
    try:
        config = load(path, environment.variables)
    except ConfigError as error:
        init = f"tierwise init --config {path}" if not path.exists() else "correct the file"
        return [Finding("fail", "config", problem, init) for problem in error.problems]
    return [
        _answered(config, path),
        *_keys(config, environment),
        *_local(config, environment),
        *_scripts(config),
        *_sorters(config),
        *_prices(config, environment),
        *_routes(config, environment, opened, certified),
        *_budgets(config),
        *_alerts(config, environment),
        _port(config),
        _store(config),
        _pepper(config, environment),
        _descriptors(),
    ]


def failed(findings: list[Finding]) -> bool:
    return any(finding.level == "fail" for finding in findings)


def local_weights(config: Config) -> dict[str, Weights]:
    """The files that the config's local models need, by model name."""
    return {
        name: Weights(sources=model.weights, sha256=model.sha256)
        for name, model in config.models.items()
        if model.provider == "local"
    }


# ------------------------------------------------------------------ models


def _answered(config: Config, path: Path) -> Finding:
    """Whether there is anybody who answers."""
    routes, models = len(config.routes), len(config.models)
    if not models:
        return Finding("fail", "config", f"{path}: no model, so nobody answers", "add a [models.NAME] table")
    if not routes:
        return Finding("warn", "config", f"{path}: no route, so clients name a model", "add a [routes.NAME] table")
    return Finding("ok", "config", f"{path}: {_count(models, 'model')}, {_count(routes, 'route')}")


def _keys(config: Config, environment: Environment) -> Iterator[Finding]:
    for name, model in config.models.items():
        what = f"model {name}"
        if model.provider in ("local", "scripted", "sorter"):
            continue
        if not model.api_key_env:
            yield Finding("ok", what, f"{_called(model)} at {model.base_url}, without a key")
        elif environment.secret(model.api_key_env):
            yield Finding("ok", what, f"{_called(model)}, key in {model.api_key_env}")
        else:
            yield Finding("fail", what, f"{model.api_key_env} is not set", f"export {model.api_key_env}=...")


def _local(config: Config, environment: Environment) -> Iterator[Finding]:
    wanted = local_weights(config)
    if not wanted:
        return
    if importlib.util.find_spec("xllamacpp") is None:
        yield Finding("fail", "llama.cpp", "xllamacpp is not installed", 'pip install "tierwise[local]"')
    else:
        yield Finding("ok", "llama.cpp", "xllamacpp is installed")
    needed, missing = 0.0, False
    for name, weights in wanted.items():
        file = find(weights, environment.weights)
        missing = missing or file is None
        if file is None:
            fetch = f"tierwise doctor --config {config.path.name} --fetch"
            yield Finding("fail", f"model {name}", "its weights are not on this machine", fetch)
        else:
            size = file.stat().st_size
            needed += size * MEMORY_FACTOR
            yield Finding("ok", f"model {name}", f"{_called(config.models[name])}, weights of {size / _GB:.2f} GB")
    yield _memory(needed, missing)


def _memory(needed: float, missing: bool) -> Finding:
    available = _available_bytes()
    parts = [
        f"all local models at once need about {needed / _GB:.1f} GB" if needed else "",
        "what is needed shows once the weights are here" if missing else "",
        f"{available / _GB:.1f} GB is available"
        if available is not None
        else "this system does not say what is available",
    ]
    detail = "; ".join(part for part in parts if part)
    if available is not None and needed > available:
        return Finding("warn", "memory", detail, "use a smaller model, or free memory")
    return Finding("ok", "memory", detail)


def _available_bytes() -> int | None:
    """What Linux says could be used without swapping."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _scripts(config: Config) -> Iterator[Finding]:
    for name, model in config.models.items():
        if model.provider == "scripted":
            try:
                rules = scripted.load(Path(model.script))
            except ConfigError as error:
                yield Finding("fail", f"model {name}", error.message, "correct `script`, or the file")
            else:
                yield Finding("ok", f"model {name}", f"{_count(len(rules), 'scripted answer')} from {model.script}")


def _sorters(config: Config) -> Iterator[Finding]:
    for name, model in config.models.items():
        if model.provider == "sorter":
            try:
                labels, said = read(Path(model.trained)).labels, replies(model)
            except ConfigError as error:
                yield Finding("fail", f"model {name}", error.message, "correct `trained` and `replies`, or the files")
                continue
            strange = sorted(set(said or {}) - set(labels))
            if strange:
                detail = f"a reply stands for labels that it never learnt: {', '.join(strange[:5])}"
                yield Finding("warn", f"model {name}", detail, f"correct {model.replies}")
            answered = "" if said is None else f", replies for {len(said.keys() & set(labels))}"
            yield Finding("ok", f"model {name}", f"sorts into {_count(len(labels), 'label')}{answered}")


def _prices(config: Config, environment: Environment) -> Iterator[Finding]:
    snapshot = build(config, environment)
    for name in snapshot.unpriced():
        top = snapshot.ceiling
        yield Finding(
            "warn",
            f"price of {name}",
            f"unknown: counts as the dearest known, {_usd(top.input)} in and {_usd(top.output)} out per million tokens",
            f"price = {{ input = ..., output = ... }} under [models.{name}]",
        )
    for name, model in snapshot.models.items():
        if model.price is not None:
            yield Finding("ok", f"price of {name}", _rates(model.price))


def _rates(price: Price) -> str:
    return f"{_usd(price.input)} in, {_usd(price.output)} out per million tokens ({price.source})"


# ------------------------------------------------------------------ routes


def _routes(config: Config, environment: Environment, opened: Open, certified: Certified | None) -> Iterator[Finding]:
    allowed = certified or certified_by(config, environment)
    for name, route in build(config, environment).routes.items():
        table = config.routes[name]
        try:
            served = scoring(route, table, opened, allowed).route
        except ConfigError as error:
            for problem in error.problems:
                yield Finding("fail", f"route {name}", problem, "correct the route, or train it anew")
            continue
        if table.trained:
            yield _trained(served, table.trained)
            yield from _unaudited(served)
        yield from _never_asked(served)


def _trained(route: Route, path: str) -> Finding:
    what = f"route {route.name}"
    if route.thresholds is None:
        detail = f'{path}: certificate: {route.certified}; so it does what `uncertified = "{route.uncertified}"` says'
        return Finding("warn", what, detail, f"tierwise certify --route {route.name} --outcomes NEW, or train it anew")
    return Finding("ok", what, f"{path}: certified; drafts are served from a score of {route.thresholds.accept:.3f} on")


def _unaudited(route: Route) -> Iterator[Finding]:
    if route.thresholds is not None and not (route.audit and route.aside_nanos):
        what = "audit" if not route.audit else "evidence_usd_per_day"
        detail = "its certificate is never audited: that it stops being true would not be noticed"
        yield Finding("warn", f"audit of {route.name}", detail, f"{what} above 0")


def _budgets(config: Config) -> Iterator[Finding]:
    for name, table in config.budgets.items():
        budget = table.budget()
        whose = "the whole gateway" if budget.scope == "all" else f"{budget.scope} {budget.name}"
        limits = [] if budget.nanos is None else [usd(budget.nanos)]
        limits += [] if budget.tokens is None else [f"{budget.tokens:,} tokens"]
        period = "in all" if budget.period == "total" else f"a {budget.period}"
        detail = f"{' and '.join(limits)} {period} for {whose}, told at {table.soft:.0%}"
        yield Finding("ok", f"budget {name}", detail)
    for name, route in config.routes.items():
        if route.over_budget == "cheap" and route.mode != "enforce":
            detail = f'mode = "{route.mode}": premium answers, and what a budget can\'t bear is refused'
            yield Finding("warn", f"over_budget of {name}", detail, 'mode = "enforce"')


def _alerts(config: Config, environment: Environment) -> Iterator[Finding]:
    try:
        address = webhook(config, environment)
    except ConfigError as error:
        yield Finding("fail", "alerts", error.message, f"export {config.alerts.webhook_env}=https://...")
    else:
        if address is not None:
            yield Finding("ok", "alerts", f"alarms are POSTed to the address in {config.alerts.webhook_env}")


def _never_asked(route: Route) -> Iterator[Finding]:
    """Others who are configured, and whom no rule of the route ever asks."""
    if route.judge is not None and not route.aside_nanos:
        detail = "is never asked: it labels what is gathered beside answers, and nothing is"
        yield Finding("warn", f"judge of {route.name}", detail, "evidence_usd_per_day above 0")
    if route.thresholds is None and route.opinions and route.uncertified != "agreement":
        remedy = 'uncertified = "agreement", or a trained verifier (`trained`)'
        yield Finding("warn", f"opinions of {route.name}", "no draft waits for them", remedy)


# ------------------------------------------------------------------ the machine


def _port(config: Config) -> Finding:
    host, port = config.server.host, config.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        detail = f"{host}:{port} is taken; is a gateway running?" if taken else f"{host}:{port}: {error.strerror}"
        return Finding("fail", "port", detail, "another [server] port, or --port")
    return Finding("ok", "port", f"{host}:{port} is free")


def _store(config: Config) -> Finding:
    if not config.store.embedded:
        return Finding("ok", "store", "PostgreSQL; it is asked when the gateway starts")
    path = config.store_path
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # SQLite writes its journal next to the file
        if path.exists():
            with path.open("r+b") as file:
                head = file.read(len(_SQLITE))
            if head not in (b"", _SQLITE):
                return Finding("fail", "store", f"{path}: not an SQLite database", "another [store] url")
    except OSError as error:
        return Finding("fail", "store", f"{path}: {error.strerror}", "another [store] url, or write permission")
    return Finding("ok", "store", f"{path}, " + ("there and writable" if path.exists() else "made on first use"))


def _pepper(config: Config, environment: Environment) -> Finding:
    path = pepper_path(config)
    if environment.secret("TIERWISE_PEPPER"):
        return Finding("ok", "key pepper", "from TIERWISE_PEPPER")
    if not path.exists():
        if config.store_path.exists():
            return Finding("warn", "key pepper", f"{path} is not there: keys made before fail", "restore it")
        return Finding("ok", "key pepper", f"{path}, made on first use")
    if path.stat().st_mode & 0o077:
        return Finding("warn", "key pepper", f"{path} can be read by others", f"chmod 600 {path}")
    return Finding("ok", "key pepper", f"{path}")


def _descriptors() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Finding("ok", "open files", "no limit")
    detail = f"{soft}: about {max(soft - 64, 0) // 2} requests at once"
    if soft < DESCRIPTORS_MIN:
        return Finding("warn", "open files", detail, "ulimit -n 65536")
    return Finding("ok", "open files", detail)


def _called(model: ModelTable) -> str:
    return f"{model.provider} {model.model}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _usd(pico: int) -> str:
    return f"{pico / 1e6:.6f}".rstrip("0").rstrip(".") + " USD"
