"""Config to engine: which file serves each provider name, and what each model's upstream is given.

The one place where provider names meet provider files: a table, so that a new provider is a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from tierwise.dialects import anthropic_answers, openai_upstream
from tierwise.gateway.access.quotas import rationed
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.certified import Certified, certified_by
from tierwise.gateway.scoring import Open, scoring
from tierwise.gateway.screening.desk import Counter
from tierwise.gateway.screening.guards import guard
from tierwise.gateway.screening.private import private
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.snapshot import build
from tierwise.gateway.storage import storage
from tierwise.gateway.tables.model_table import ModelTable
from tierwise.gateway.tables.reply_table import replies
from tierwise.gateway.tables.screen_table import ScreensTable
from tierwise.ports import Provider, Store
from tierwise.providers import anthropic, deepseek, openai, responses, scripted
from tierwise.providers.batches import AnthropicBatches, BatchApi, OpenAIBatches, ProviderClient
from tierwise.providers.http import Limits, Upstream
from tierwise.providers.local import LocalOptions, LocalProvider
from tierwise.providers.sorter import SorterProvider
from tierwise.providers.structured import structured
from tierwise.providers.weights import Weights
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.sorter import Sorter, read
from tierwise.scorers.trained import open_trained

T = TypeVar("T")
Builder = Callable[[str, ModelTable, Environment], Provider]
Before = tuple[Config, Engine]
"""What runs now."""


async def open_engine(
    config: Config,
    environment: Environment,
    opened: Open = open_trained,
    certified: Certified | None = None,
    before: Before | None = None,
) -> Engine:
    """Everything ready to answer; nothing is called yet. Raises ConfigError, StoreError.

    `opened` reads artefacts, `certified` says what they may serve by. An engine that takes over from the one `before`
    has its store, its memories, and its upstreams of models whose table is the same: their connections, their loaded
    weights, and what they have used of their quotas.
    """
    snapshot = build(config, environment)
    allowed = certified or certified_by(config, environment)
    scorings = {name: scoring(route, config.routes[name], opened, allowed) for name, route in snapshot.routes.items()}
    clock = SystemClock() if before is None else before[1].clock
    known = {} if before is None else _unchanged(config, *before)
    built = {
        name: structured(_BUILDERS[table.provider](name, table, environment), table.structured)
        for name, table in config.models.items()
        if name not in known
    }
    if before is None:
        store: Store = await storage(config, environment, clock)
    else:
        store = before[1].store
    engine = Engine(
        snapshot=msgspec.structs.replace(snapshot, routes={name: item.route for name, item in scorings.items()}),
        providers=known | rationed(built, config.models, clock),
        verifiers={name: item.verifier for name, item in scorings.items()},
        unverified={name: item.unverified for name, item in scorings.items()},
        routers={name: item.router for name, item in scorings.items()},
        store=store,
        clock=clock,
        certificates={name: item.standing for name, item in scorings.items()},
        centroids={name: item.centroids for name, item in scorings.items() if item.centroids is not None},
        guards=_made(guard, config.screens),
        privates=_made(private, config.screens),
        desk=Counter(store, clock),
        batches={name: _batches(name, table, environment) for name, table in config.models.items() if table.batch},
        patience={name: _patience(table) for name, table in config.models.items()},
    )
    return engine if before is None else engine.after(before[1])


def _made(make: Callable[[ScreensTable], T | None], tables: Mapping[str, ScreensTable]) -> dict[str, T]:
    """By name, where there is something to it. What holds for several is made, and remembers what it read, once."""
    known = {id(table): table for table in tables.values()}
    made = {key: make(table) for key, table in known.items()}
    found = {name: made[id(table)] for name, table in tables.items()}
    return {name: one for name, one in found.items() if one is not None}


def _unchanged(config: Config, known: Config, engine: Engine) -> dict[str, Provider]:
    """The upstreams of models whose table is the same in both configs."""
    return {name: engine.providers[name] for name, table in config.models.items() if known.models.get(name) == table}


def _limits(table: ModelTable) -> Limits:
    limits = table.limits
    return Limits(connect=limits.connect, first_byte=limits.first_token, idle=limits.idle, total=limits.total)


def _patience(table: ModelTable) -> float:
    """Seconds that a whole answer may take, over what the provider allows itself: it should be the one to say so."""
    return table.limits.connect + table.limits.first_token


def _key(table: ModelTable, environment: Environment) -> str | None:
    return environment.secret(table.api_key_env) if table.api_key_env else None


def _openai(name: str, table: ModelTable, environment: Environment) -> Provider:
    headers = openai.headers(_key(table, environment))
    upstream = Upstream(name, table.base_url, headers, openai_upstream.decode_error, _limits(table))
    return responses.ResponsesProvider(upstream) if table.api == "responses" else openai.OpenAIProvider(upstream)


def _deepseek(name: str, table: ModelTable, environment: Environment) -> Provider:
    headers = openai.headers(_key(table, environment))
    upstream = Upstream(name, table.base_url, headers, openai_upstream.decode_error, _limits(table))
    return openai.OpenAIProvider(upstream, deepseek.adapt)


def _anthropic(name: str, table: ModelTable, environment: Environment) -> Provider:
    headers = anthropic.headers(_key(table, environment))
    return anthropic.AnthropicProvider(
        Upstream(name, table.base_url, headers, anthropic_answers.decode_error, _limits(table))
    )


def _batches(name: str, table: ModelTable, environment: Environment) -> BatchApi:
    key, url = _key(table, environment), table.base_url
    if table.provider == "anthropic":
        return AnthropicBatches(ProviderClient(name, url, anthropic.headers(key), anthropic_answers.decode_error))
    return OpenAIBatches(ProviderClient(name, url, openai.headers(key), openai_upstream.decode_error))


def _local(name: str, table: ModelTable, environment: Environment) -> Provider:
    options = LocalOptions(
        threads=table.threads,
        context=table.context or 4096,
        idle=table.idle_minutes * 60,
        hub=environment.hub,
        alias=table.model or name,
    )
    return LocalProvider(name, Weights(table.weights, table.sha256), environment.cache / "weights", options)


def _scripted(name: str, table: ModelTable, environment: Environment) -> Provider:
    return scripted.ScriptedProvider(scripted.load(Path(table.script)))


def _sorter(name: str, table: ModelTable, environment: Environment) -> Provider:
    return SorterProvider(Sorter(read(Path(table.trained)), load_encoder()).sort, replies(table))


_BUILDERS: Mapping[str, Builder] = {
    "openai": _openai,
    "deepseek": _deepseek,
    "anthropic": _anthropic,
    "local": _local,
    "scripted": _scripted,
    "sorter": _sorter,
}
