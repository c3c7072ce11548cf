"""What the gateway costs: CPU a request and a token, requests a second, added latency, memory.

    make bench            # or: python -m benchmarks.gateway [--seconds S] [--json F]

A scripted OpenAI-compatible upstream and the load run in processes of their own on loopback; the gateway is pinned to
one core, everything else to another. CPU is user and system time of the gateway's whole process tree, from /proc,
divided by the requests that were answered. Every request is authenticated, decided, and booked in a SQLite ledger.
All of a row's requests say the same, which screens remember: `benchmarks/screened.py` asks what is new to them.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import msgspec
import polars as pl
import uvloop

from benchmarks.load import Load

TIERWISE = str(pathlib.Path(sys.executable).parent / "tierwise")
LEARNED = "learned.npz"
ROOT = pathlib.Path(__file__).parent.parent
TICK = os.sysconf("SC_CLK_TCK")
TEXT = "Please summarise the following note for a customer in two sentences. " * 12  # about 1 KB as a request
SLOW = "slowly, please"  # the upstream answers requests that hold it like a model of 100 tokens a second
TOKENS = 500  # of a streamed answer
ROUNDS = 7  # of a comparison of latencies
WORDS = ["the", "parcel", "order", "invoice", "customer", "we", "you", "can", "please", "check", "status", "address"]
WORDS += ["refund", "card", "payment", "time", "team", "support", "reply", "question", "next", "step", "open", "send"]

CONFIG = """
[server]
port = {port}
[store]
url = "sqlite:///{store}"
[models.cheap]
provider = "openai"
base_url = "{upstream}/v1"
model = "cheap-1"
price = {{ input = 0.15, output = 0.60 }}
[models.premium]
provider = "openai"
base_url = "{upstream}/v1"
model = "premium-1"
price = {{ input = 2.5, output = 10 }}
[routes.cascade]
tiers = ["cheap", "premium"]
evidence_usd_per_day = 0
mode = "enforce"
uncertified = "checks"
[routes.screened]
tiers = ["cheap", "premium"]
evidence_usd_per_day = 0
mode = "enforce"
uncertified = "checks"
[routes.screened.screens]
moderation = "flag"
injection = "flag"
risk = ["all"]
thresholds = {{ legal = 1.0, medical = 1.0, financial = 1.0, complex = 1.0, minors = 1.0 }}
[routes.audited]
tiers = ["cheap", "premium"]
audit = 0.02
evidence_usd_per_day = 100000
keep_days = 1
mode = "enforce"
uncertified = "checks"
[routes.window]
tiers = ["cheap", "premium"]
evidence_usd_per_day = 0
mode = "enforce"
uncertified = "checks"
hold = "window"
[routes.none]
tiers = ["cheap", "premium"]
evidence_usd_per_day = 0
mode = "enforce"
uncertified = "checks"
hold = "none"
[routes.learned]
tiers = ["cheap", "premium"]
evidence_usd_per_day = 0
mode = "enforce"
trained = "learned.npz"
"""


def words(count: int) -> list[str]:
    """Text that looks enough like an answer for the free checks to pass it."""
    draw = random.Random(1)  # noqa: S311  no secret
    text: list[str] = []
    while len(text) < count:
        sentence = [draw.choice(WORDS) for _ in range(draw.randint(6, 14))]
        text += [sentence[0].capitalize(), *sentence[1:-1], sentence[-1] + "."]
    text = [*text[: count - 1], "done."]
    return [text[0], *(f" {word}" for word in text[1:])]


def scripts() -> bytes:
    """What the upstream answers: 150 tokens (about 1 KB) whole, 500 in a stream, and 100 slowly."""
    rules = [
        {"match": SLOW, "tokens": words(100), "first": 0.1, "gap": 0.01},
        {"match": "stream", "tokens": words(TOKENS)},
        {"tokens": words(150)},
    ]
    return msgspec.json.encode([rule | {"text": "".join(rule["tokens"]), "input_tokens": 250} for rule in rules])


def learn(config: pathlib.Path) -> None:
    """A trained router and verifier of ordinary size, and their certificate, beside the config.

    They are fitted to made-up outcomes: only what they cost is real.
    """
    folder = config.parent
    draw = random.Random(2)  # noqa: S311  no secret
    rows = []
    for number in range(1200):
        text = "".join(words(150)[: draw.randint(60, 150)]) + f" {number}."
        prompt = TEXT[: draw.randint(300, len(TEXT))] + f" {number} " + draw.choice(WORDS)
        for model, good in (("cheap", 0.97), ("premium", 0.99)):
            row = {"query_id": str(number), "prompt": prompt, "model": model, "response": text}
            row |= {"score": float(draw.random() < good), "prompt_tokens": 250, "completion_tokens": 150}
            rows.append(row | {"cost_usd": 0.0001 if model == "cheap" else 0.002})
    pl.DataFrame(rows).write_parquet(folder / "outcomes.parquet")
    command = [TIERWISE, "train", "--config", str(config), "--route", "learned", "--alpha", "0.2", "--out", LEARNED]
    subprocess.run([*command, "--outcomes", "outcomes.parquet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


class Figures(msgspec.Struct):
    case: str
    requests: int
    cpu_us: float
    per_second: float
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    tokens_per_second: float | None = None
    cpu_us_token: float | None = None


@contextmanager
def process(
    command: list[str], core: int, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A child pinned to `core`; yields it and the address that it printed."""
    pinned = ["taskset", "-c", str(core), *command]
    child = subprocess.Popen(
        pinned, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if ready in line:
                yield child, line[line.index("http://") :].split()[0].removesuffix("/v1")
                break
        else:
            raise SystemExit(f"{command[:4]} did not start")
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


@contextmanager
def scripted(answers: bytes) -> Iterator[tuple[pathlib.Path, str]]:
    """An upstream on core 1 that gives these answers: an empty folder for whoever asks it, and its address."""
    with tempfile.TemporaryDirectory() as name, tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(answers)
        file.flush()
        command = [sys.executable, "-m", "tests.support.upstream", "--scripts", file.name]
        with process(command, 1, "http://") as (_, address):
            yield pathlib.Path(name), address


@contextmanager
def served(config: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A gateway by this config on core 0; yields it, its address, and a new key's text."""
    create = [TIERWISE, "keys", "create", "--config", str(config), "--name", "bench", "--json"]
    made = subprocess.run(create, capture_output=True, text=True, check=True)
    with process([TIERWISE, "serve", "--config", str(config)], 0, "http://") as (gateway, base):
        yield gateway, base, json.loads(made.stdout)["key"]


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    total = 0
    for each in tree(pid):
        fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mb(pid: int) -> float:
    total = 0
    for each in tree(pid):
        for line in pathlib.Path(f"/proc/{each}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


async def saturate(load: Load, body: bytes, seconds: float, pid: int, case: str, connections: int = 128) -> Figures:
    await load.run(body, connections, 0.5)
    before, start = cpu_seconds(pid), time.perf_counter()
    done = await load.run(body, connections, seconds)
    used, wall = cpu_seconds(pid) - before, time.perf_counter() - start
    return Figures(case, done, used / done * 1e6, done / wall)


async def added(load: Load, straight: Load, body: bytes, seconds: float, figures: Figures) -> None:
    """Latency at 200 requests a second through the gateway, less the same straight to the upstream.

    The two are taken in turn, several times, and the median of the differences counts: the machine's speed drifts.
    """
    differences: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        base = await straight.paced(body, 200, seconds / ROUNDS)
        through = await load.paced(body, 200, seconds / ROUNDS)
        differences.append(
            (percentile(through, 50) - percentile(base, 50), percentile(through, 99) - percentile(base, 99))
        )
    figures.added_p50_ms = statistics.median(difference for difference, _ in differences)
    figures.added_p99_ms = statistics.median(difference for _, difference in differences)


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def request(model: str, text: str = TEXT, *, stream: bool = False) -> bytes:
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream})


async def bare(load: Load, straight: Load, pid: int, seconds: float) -> Figures:
    figures = await saturate(load, request("cheap"), seconds, pid, "granian and our client, no work")
    await added(load, straight, request("cheap"), 2 * seconds, figures)
    return figures


async def measure(load: Load, straight: Load, pid: int, seconds: float) -> list[Figures]:
    rows = []
    for case, model, rule in (
        ("straight to a model", "cheap", "direct"),
        ("cascade, draft accepted", "cascade", "checks"),
        ("the same, all screens on", "screened", "checks"),
        ("the same, 2 % audited", "audited", "checks"),
        ("learned router and verifier", "learned", "verifier"),
    ):
        await load.expect(request(model), rule)
        figures = await saturate(load, request(model), seconds, pid, case)
        await added(load, straight, request(model), 2 * seconds, figures)
        rows.append(figures)
    for case, model, rule in (
        ("stream straight to a model", "cheap", "direct"),
        ("stream, hold = draft", "cascade", "checks"),
        ("stream, hold = window", "window", "checks"),
        ("stream, hold = none", "none", "router:cheap"),
    ):
        body = request(model, "stream this", stream=True)
        await load.expect(body, rule)
        figures = await saturate(load, body, seconds, pid, case, connections=16)
        figures.tokens_per_second = figures.per_second * TOKENS
        figures.cpu_us_token = figures.cpu_us / TOKENS
        rows.append(figures)
    return rows


async def first_tokens(load: Load) -> list[tuple[str, float, float]]:
    """(hold, ms to the first text, ms to the end) of a stream of 100 tokens, 100 a second; medians of 5."""
    rows = []
    for name, model in (("straight", "cheap"), ("none", "none"), ("window", "window"), ("draft", "cascade")):
        times = [await load.first_text(request(model, SLOW, stream=True)) for _ in range(5)]
        rows.append((name, statistics.median(first for first, _ in times), statistics.median(end for _, end in times)))
    return rows


def show(rows: list[Figures], floor: Figures, holds: list[tuple[str, float, float]], rss: float) -> None:
    print(f"{'case':<30}{'requests':>10}{'CPU us':>9}{'per s':>8}{'+p50 ms':>9}{'+p99 ms':>9}{'tok/s':>9}{'us/tok':>8}")
    for row in (floor, *rows):
        cells = [row.added_p50_ms, row.added_p99_ms, row.tokens_per_second, row.cpu_us_token]
        shown = ["" if value is None else f"{value:.2f}" if value < 1000 else f"{value:.0f}" for value in cells]
        print(
            f"{row.case:<30}{row.requests:>10}{row.cpu_us:>9.0f}{row.per_second:>8.0f}"
            f"{shown[0]:>9}{shown[1]:>9}{shown[2]:>9}{shown[3]:>8}"
        )
    print("\na stream of 100 tokens at 100 a second:   first text    end")
    for name, first, end in holds:
        print(f"  hold = {name:<32}{first:>8.0f} ms{end:>7.0f} ms")
    print(f"\nmemory of the gateway after the run: {rss:.0f} MB RSS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="each measurement takes")
    parser.add_argument("--port", type=int, default=18081)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with ExitStack() as stack:
        folder, upstream = stack.enter_context(scripted(scripts()))
        straight = Load(upstream, "none")
        with process([sys.executable, "-m", "benchmarks.floor", upstream, str(options.port)], 0, "http://") as (
            child,
            url,
        ):
            floor = uvloop.run(bare(Load(url, "none"), straight, child.pid, options.seconds))
        config = folder / "tierwise.toml"
        config.write_text(CONFIG.format(port=options.port, store="ledger.db", upstream=upstream))
        learn(config)
        gateway, base, key = stack.enter_context(served(config))
        load = Load(base, key)
        rows = uvloop.run(measure(load, straight, gateway.pid, options.seconds))
        holds = uvloop.run(first_tokens(load))
        rss = rss_mb(gateway.pid)
        show(rows, floor, holds, rss)
        if options.json:
            figures = {"floor": floor, "rows": rows, "first_text_ms": holds, "rss_mb": rss}
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")


if __name__ == "__main__":
    main()
