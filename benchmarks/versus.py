"""What a request costs in two versions of the gateway, in turn: a ratio in one run, because machines drift.

    python -m benchmarks.versus TREE [--slices N] [--seconds S] [--json F]

TREE is a checkout of the other version. Both gateways run at once on core 0, each with its own ledger; the load, on
core 1, goes to one and then the other for a part of a second, many times. What is compared is the CPU of each
gateway's whole process by the requests that it answered in its slice, neighbour with neighbour; the median of these
ratios, with a bootstrap interval of 95 %, is the figure.
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec
import uvloop

from benchmarks.gateway import ROOT, percentile, process, request, scripted, scripts
from benchmarks.load import Load

# What versions of long ago read too: `benchmarks.gateway.CONFIG` has keys that they refuse.
CONFIG = """
[server]
port = {port}
[store]
url = "sqlite:///{folder}/ledger.db"
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
mode = "enforce"
uncertified = "checks"
"""
CASES = (
    ("straight", request("cheap"), "direct", 128),
    ("cascade", request("cascade"), "checks", 128),
    ("stream of 500 tokens", request("cheap", "stream this", stream=True), "direct", 16),
)


class Side(msgspec.Struct):
    """One version that runs."""

    load: Load
    pid: int


class Compared(msgspec.Struct):
    """Microseconds of CPU a request, medians over slices; and `after` by `before`, slice by slice."""

    case: str
    slices: int
    before_us: float
    after_us: float
    ratio: float
    low: float
    high: float


@contextmanager
def version(tree: pathlib.Path, upstream: str, port: int) -> Iterator[Side]:
    """A gateway of the code in `tree`, on core 0."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "tierwise.toml"
        config.write_text(CONFIG.format(port=port, folder=folder, upstream=upstream))
        tierwise = [sys.executable, "-m", "tierwise"]
        create = [*tierwise, "keys", "create", "--config", str(config), "--name", "bench", "--json"]
        made = subprocess.run(create, capture_output=True, text=True, check=True, env=environment)
        with process([*tierwise, "serve", "--config", str(config)], 0, "http://", environment) as (gateway, base):
            yield Side(Load(base, json.loads(made.stdout)["key"]), gateway.pid)


def cpu_ns(pid: int) -> int:
    """Of all its threads, finer than the ticks of /proc/PID/stat."""
    return sum(int(task.read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


async def slice_us(side: Side, body: bytes, connections: int, seconds: float) -> float:
    before = cpu_ns(side.pid)
    done = await side.load.run(body, connections, seconds)
    return (cpu_ns(side.pid) - before) / done / 1e3


async def compare(before: Side, after: Side, slices: int, seconds: float) -> list[Compared]:
    rows = []
    for case, body, rule, connections in CASES:
        for side in (before, after):
            await side.load.expect(body, rule)
            await side.load.run(body, connections, 1.0)
        pairs = []
        for number in range(slices):
            order = (before, after) if number % 2 else (after, before)
            took = [await slice_us(side, body, connections, seconds) for side in order]
            pairs.append(tuple(took if number % 2 else reversed(took)))
        rows.append(compared(case, pairs))
    return rows


def compared(case: str, pairs: list[tuple[float, ...]]) -> Compared:
    ratios = [after / before for before, after in pairs]
    draw = random.Random(1)  # noqa: S311  no secret
    medians = [statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000)]
    before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(ratios)
    return Compared(case, len(pairs), before, after, ratio, percentile(medians, 3), percentile(medians, 97))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path, help="a checkout of the version to compare with")
    parser.add_argument("--slices", type=int, default=40, help="of each version, in each case")
    parser.add_argument("--seconds", type=float, default=0.4, help="each slice takes")
    parser.add_argument("--port", type=int, default=18083, help="the first of two")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with ExitStack() as stack:
        _, upstream = stack.enter_context(scripted(scripts()))
        before = stack.enter_context(version(options.tree.resolve(), upstream, options.port))
        after = stack.enter_context(version(ROOT, upstream, options.port + 1))
        rows = uvloop.run(compare(before, after, options.slices, options.seconds))
    print(f"{'case':<24}{'slices':>8}{'before us':>11}{'after us':>10}{'ratio':>8}   95 %")
    for row in rows:
        print(
            f"{row.case:<24}{row.slices:>8}{row.before_us:>11.1f}{row.after_us:>10.1f}{row.ratio:>8.3f}"
            f"   {row.low:.3f} to {row.high:.3f}"
        )
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)) + b"\n")


if __name__ == "__main__":
    main()
