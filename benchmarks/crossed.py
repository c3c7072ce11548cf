"""What it costs to speak one wire to the client and another to the provider: CPU a request, of every pair.

    python -m benchmarks.crossed [--seconds S] [--rounds N] [--out FOLDER]

Measured like `benchmarks/gateway.py`: one gateway on one core, everything else on another, a model named directly, the
same question and the same answer in every wire. The pairs are taken in turn, several rounds; a pair's ratio is the
median over the rounds of what it takes, by what chat to chat takes in the same round: the machine's speed drifts.
The bar: an answer that comes whole costs at most 1.5 times as much over two wires as chat to chat.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import uvloop

from benchmarks.gateway import ROOT, TEXT, TOKENS, saturate, scripted, scripts, served
from benchmarks.load import Load

BAR = 1.5
CLIENTS = ("chat", "responses", "messages")
PROVIDERS = ("chat", "responses", "anthropic")
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
SAME = {("chat", "chat"), ("responses", "responses"), ("messages", "anthropic")}
WIRES = {"chat": 'provider = "openai"', "responses": 'provider = "openai"\napi = "responses"'}
WIRES["anthropic"] = 'provider = "anthropic"'
CONFIG = """
[server]
port = {port}
[store]
url = "sqlite:///ledger.db"
"""
MODEL = """
[models.{name}]
{wire}
base_url = "{upstream}/v1"
model = "{name}-1"
price = {{ input = 0.15, output = 0.60 }}
"""
Pair = tuple[str, str, bool]
"""The client's wire, the provider's, and whether the answer is streamed."""


class Cost(msgspec.Struct):
    client: str
    provider: str
    streamed: bool
    cpu_us: float  # a request; the median over the rounds
    ratio: float  # to chat to chat
    per_second: float


def body(client: str, model: str, text: str, *, stream: bool) -> bytes:
    said: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    more = {"chat": said, "responses": {"input": text}, "messages": said | {"max_tokens": 1024}}[client]
    return msgspec.json.encode({"model": model, **more, "stream": stream})


def pairs() -> Iterator[Pair]:
    for stream in (False, True):
        for client in CLIENTS:
            for provider in PROVIDERS:
                yield client, provider, stream


async def measure(base: str, key: str, pid: int, seconds: float, rounds: int) -> list[Cost]:
    taken: dict[Pair, list[float]] = {pair: [] for pair in pairs()}
    rates: dict[Pair, list[float]] = {pair: [] for pair in pairs()}
    for _ in range(rounds):
        for pair in pairs():
            client, provider, stream = pair
            load = Load(base, key, PATHS[client])
            asked = body(client, provider, "stream this" if stream else TEXT, stream=stream)
            await load.expect(asked, "direct")
            figures = await saturate(load, asked, seconds, pid, "", connections=16 if stream else 128)
            taken[pair].append(figures.cpu_us)
            rates[pair].append(figures.per_second)
    costs = []
    for pair, values in taken.items():
        plain = taken["chat", "chat", pair[2]]
        ratio = statistics.median(value / base for value, base in zip(values, plain, strict=True))
        costs.append(Cost(*pair, statistics.median(values), ratio, statistics.median(rates[pair])))
    return costs


def page(costs: list[Cost], seconds: float, rounds: int) -> str:
    """As Markdown."""
    lines = ["# One wire to the client, another to the provider", ""]
    lines += [f"CPU of the gateway on one core, medians of {rounds} rounds of {seconds:g} s; in brackets the ratio to"]
    lines += [
        "chat to chat. Each request is authenticated, decided and booked. Whole answers have 150 tokens, streamed"
    ]
    lines += [f"ones {TOKENS}, each token an event of its own. In bold: the same wire on both sides.", ""]
    for stream in (False, True):
        unit = "streamed: CPU us a token" if stream else "whole: CPU us a request"
        lines += [f"| {unit} | " + " | ".join(f"to {provider}" for provider in PROVIDERS) + " |"]
        lines += ["|---" + "|---:" * len(PROVIDERS) + "|"]
        for client in CLIENTS:
            row = [cost for cost in costs if cost.client == client and cost.streamed is stream]
            lines += [f"| {client} | " + " | ".join(_cell(cost) for cost in row) + " |"]
        lines.append("")
    worst = max((cost for cost in costs if not cost.streamed), key=lambda cost: cost.ratio)
    met = "met" if worst.ratio <= BAR else "missed"
    lines += [f"The bar, at most {BAR} times chat to chat for whole answers, is {met}: the dearest pair is"]
    lines += [f"{worst.client} to {worst.provider}, {worst.ratio:.2f} times.", ""]
    return "\n".join(lines)


def _cell(cost: Cost) -> str:
    shown = f"{cost.cpu_us / TOKENS:.2f}" if cost.streamed else f"{cost.cpu_us:.0f}"
    cell = f"{shown} ({cost.ratio:.2f})"
    return f"**{cell}**" if (cost.client, cost.provider) in SAME else cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="each measurement takes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=18082)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with ExitStack() as stack:
        folder, upstream = stack.enter_context(scripted(scripts()))
        config = folder / "tierwise.toml"
        models = [MODEL.format(name=name, wire=wire, upstream=upstream) for name, wire in WIRES.items()]
        config.write_text(CONFIG.format(port=options.port) + "".join(models))
        gateway, base, key = stack.enter_context(served(config))
        costs = uvloop.run(measure(base, key, gateway.pid, options.seconds, options.rounds))
    text = page(costs, options.seconds, options.rounds)
    print(text)
    figures = {"seconds": options.seconds, "rounds": options.rounds, "costs": costs}
    (options.out / "crossed.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    (options.out / "crossed.md").write_text(text)


if __name__ == "__main__":
    main()
