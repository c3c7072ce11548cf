"""What the operator decides: the config file and the environment, as frozen values.

The only reader of TOML and of environment variables. Knows nothing of prices (`catalogue.py`) nor of what the models
and routes become (`snapshot.py`). A wrong file is refused whole, every mistake told at once, with its line.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.tables.batch_table import BatchesTable
from tierwise.gateway.tables.budget_table import BudgetTable, check_budgets
from tierwise.gateway.tables.model_table import (
    BASE_URLS,
    VARIABLE,
    ModelTable,
    check_model,
    complete_model,
    web_address,
)
from tierwise.gateway.tables.price_table import PricesTable, check_prices
from tierwise.gateway.tables.route_table import RouteTable, Table, check_route
from tierwise.gateway.tables.screen_table import ScreensTable, check_screens, screened
from tierwise.gateway.tables.store_table import StoreTable, check_store
from tierwise.gateway.tables.toml_check import read
from tierwise.gateway.whole_file import written_aside

_SECRET_NAME = re.compile(r".*(KEY|TOKEN|SECRET|PASSWORD|PEPPER)")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SECRET_BYTES = 32


class Server(Table, frozen=True):
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8080  # 0: any free one
    admin_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0  # kept for the admin API; 0: none
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1  # processes
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0  # that requests may go on for after SIGTERM
    max_body_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 10  # of a request, MiB
    health: bool = False  # whether GET /healthz answers without a key


class AlertsTable(Table, frozen=True):
    webhook_env: str = ""  # the name of a variable that holds an address to POST alarms to; "": nobody is told


class File(msgspec.Struct, frozen=True, kw_only=True):
    """The file as it is written."""

    server: Server = Server()
    store: StoreTable = StoreTable()
    alerts: AlertsTable = AlertsTable()
    prices: PricesTable = PricesTable()
    batches: BatchesTable = BatchesTable()
    screens: ScreensTable = ScreensTable()
    models: dict[str, ModelTable] = {}
    routes: dict[str, RouteTable] = {}
    budgets: dict[str, BudgetTable] = {}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A checked config. Holds no secret: keys stay in the environment and are named here, so it may be shown."""

    path: Path
    server: Server
    store: StoreTable
    alerts: AlertsTable
    prices: PricesTable
    batches: BatchesTable
    models: Mapping[str, ModelTable]
    routes: Mapping[str, RouteTable]
    budgets: Mapping[str, BudgetTable]
    screens: Mapping[str, ScreensTable]
    """What holds for each route, and for each model that a client names itself; one and the same table for several."""

    @property
    def folder(self) -> Path:
        """What relative paths in the file start from."""
        return self.path.parent

    @property
    def store_path(self) -> Path:
        """The SQLite file, or what stands for it: what belongs to the store is kept beside it."""
        return self.store.file(self.folder)


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the process was given. Secrets are looked up by name and never shown."""

    variables: Mapping[str, str]
    hub: str = "https://huggingface.co"  # HF_ENDPOINT: where hf: weights come from
    cache: Path  # XDG_CACHE_HOME/tierwise: where fetched weights are kept
    config: Path  # TIERWISE_CONFIG: the config file where a command names none

    def secret(self, name: str) -> str | None:
        """The value of the variable `name`; None where it is not set, or empty."""
        return self.variables.get(name, "").strip() or None

    @property
    def weights(self) -> Path:
        """The folder of fetched weights."""
        return self.cache / "weights"

    @property
    def api_key(self) -> str | None:
        """TIERWISE_API_KEY: the virtual key that a client command uses."""
        return self.secret("TIERWISE_API_KEY")

    def __repr__(self) -> str:
        return f"Environment(hub={self.hub!r}, cache={str(self.cache)!r}, config={str(self.config)!r})"


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Of this process, or of a mapping like its own; later changes of it are not seen."""
    home = Path(variables.get("HOME") or Path.home())
    return Environment(
        variables=dict(variables),
        hub=(variables.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/"),
        cache=Path(variables.get("XDG_CACHE_HOME") or home / ".cache") / "tierwise",
        config=Path(variables.get("TIERWISE_CONFIG") or "tierwise.toml"),
    )


def load(path: Path, env: Mapping[str, str]) -> Config:
    """The config in the file `path`. `env` is only looked at to refuse a key that was pasted into the file.

    Raises ConfigError with every mistake. A provider's key that is not set is none: `doctor` and the first call say it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; `tierwise init --config {path}` writes one") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    _check_secrets(path, text, env)
    file, problems = read(text, str(path), File)
    check_store(file.store, problems)
    if file.alerts.webhook_env and not VARIABLE.fullmatch(file.alerts.webhook_env):
        problems.add(("alerts", "webhook_env"), "is the name of an environment variable, not the address itself")
    check_prices(file.prices, path.absolute().parent, {*BASE_URLS, *file.models}, problems)
    for name, model in file.models.items():
        check_model(name, model, problems)
    identities = {
        name: (model.provider, model.model or name, model.base_url.rstrip("/") or BASE_URLS.get(model.provider, ""))
        for name, model in file.models.items()
    }
    regions = {model.region for model in file.models.values() if model.region}
    for name, route in file.routes.items():
        check_route(name, route, identities, problems)
    folder = path.absolute().parent
    screens = _screens(file, problems.given, folder)
    own = {name: screens[name] for name, route in file.routes.items() if isinstance(route.screens, ScreensTable)}
    check_screens(file.screens.complete(folder), own, file.models, regions, problems)
    check_budgets(file.budgets, {*file.routes, *file.models}, problems)
    problems.stop()
    return Config(
        path=path.absolute(),
        server=file.server,
        store=file.store,
        alerts=file.alerts,
        prices=file.prices,
        models={name: complete_model(name, model, folder) for name, model in file.models.items()},
        batches=file.batches,
        routes={name: route.complete(folder) for name, route in file.routes.items()},
        budgets=file.budgets,
        screens=screens,
    )


def _screens(file: File, given: Mapping[str, Any], folder: Path) -> dict[str, ScreensTable]:
    """`given`: what the file says."""
    common = file.screens.complete(folder)
    tables = dict.fromkeys(file.models, common)
    for name, route in file.routes.items():
        own = route.screens.complete(folder) if isinstance(route.screens, ScreensTable) else route.screens
        tables[name] = screened(common, own, given["routes"][name].get("screens", ()))
    return tables


def pepper_path(config: Config) -> Path:
    """Where the pepper is kept when the environment gives none: next to the store."""
    return config.store_path.parent / "tierwise.pepper"


def pepper(config: Config, environment: Environment) -> bytes:
    """TIERWISE_PEPPER, or else the file next to the store, made with 32 random bytes where there is none.

    Raises ConfigError where it is too short to be a secret, or the file can't be used.
    """
    given = environment.secret("TIERWISE_PEPPER")
    if given is not None:
        if len(given) < 16:
            raise ConfigError("TIERWISE_PEPPER: needs at least 16 characters, better 32 random bytes in hexadecimal")
        return given.encode()
    found = _kept(pepper_path(config), "key pepper")
    if len(found) < _SECRET_BYTES:
        raise ConfigError(
            f"{pepper_path(config)}: too short for a key pepper; keys made with it can't be checked. Restore it"
        )
    return found


def webhook(config: Config, environment: Environment) -> str | None:
    """Where alarms are told; None where the config names no variable. Raises ConfigError for what is no address."""
    name = config.alerts.webhook_env
    if not name:
        return None
    address = environment.secret(name)
    if address is None or web_address(address) is None:
        raise ConfigError(
            f"{config.path}: alerts.webhook_env: {name} does not hold an http:// or https:// address without a user"
        )
    return address


def signing_path(config: Config) -> Path:
    """Where the key that signs certificates is kept when the environment gives none: next to the store."""
    return config.store_path.parent / "tierwise.signing"


def signing_seed(config: Config, environment: Environment) -> bytes | None:
    """32 secret bytes: TIERWISE_SIGNING_KEY, or else the file next to the store; None where there is none.

    Raises ConfigError where it is no such key.
    """
    given = environment.secret("TIERWISE_SIGNING_KEY")
    if given is not None:
        if not _SHA256.fullmatch(given):
            raise ConfigError("TIERWISE_SIGNING_KEY: needs 64 hexadecimal digits, 32 random bytes")
        return bytes.fromhex(given)
    return new_signing_seed(config) if signing_path(config).exists() else None


def new_signing_seed(config: Config) -> bytes:
    """What the file next to the store holds, made where there is none. Raises ConfigError where it is no such key."""
    path = signing_path(config)
    found = _kept(path, "signing key")
    if len(found) != _SECRET_BYTES:
        raise ConfigError(f"{path}: not a signing key, which has {_SECRET_BYTES} bytes. Restore it")
    return found


def _kept(path: Path, what: str) -> bytes:
    """A secret's file, made with random bytes where there is none. Raises ConfigError."""
    try:
        if not path.exists():
            _write_once(path, secrets.token_bytes(_SECRET_BYTES))
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the {what} can't be kept there: {error.strerror}") from error


def _write_once(path: Path, content: bytes) -> None:
    """Never over another process's file: if that was first, its secret is the one."""
    with written_aside(path, content) as aside, suppress(FileExistsError):
        os.link(aside, path)


# ------------------------------------------------------------------ checks of meaning


def _check_secrets(path: Path, text: str, env: Mapping[str, str]) -> None:
    """Before all else, as other complaints quote what they complain of."""
    for name, value in env.items():
        if len(value) >= 16 and _SECRET_NAME.fullmatch(name) and value in text:
            line = text[: text.index(value)].count("\n") + 1
            raise ConfigError(
                f"{path}:{line}: holds the value of {name}; a config names the variable, never the secret"
            )
