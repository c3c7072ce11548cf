"""What `POST /v1/moderations` costs where the shipped classifiers answer: CPU a request, requests a second, latency.

    python -m benchmarks.moderations [--seconds S] [--json F]

Taken as `benchmarks/gateway.py` takes its figures: the gateway pinned to one core, the load to another, every request
authenticated and booked in a SQLite ledger. There is no upstream.
Texts differ, as one that was just read would cost nothing.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import tempfile
from contextlib import ExitStack

import msgspec
import uvloop

from benchmarks.gateway import Figures, percentile, rss_mb, saturate, served
from benchmarks.load import Load

SHORT = "Where is my parcel # ? I have been waiting for two weeks now, and nobody answers the telephone at all."
CONFIG = """
[server]
port = {port}
[models.unused]
provider = "openai"
base_url = "http://127.0.0.1:9/v1"
model = "unused-1"
price = {{ input = 1, output = 2 }}
"""
CASES = (
    ("one text of 100 characters", SHORT),
    ("10 texts of 100 characters", [f"{number}. {SHORT}" for number in range(10)]),
    ("one text of 16,000 characters", SHORT * 160),
)


async def measure(load: Load, pid: int, seconds: float) -> list[Figures]:
    rows = []
    for case, text in CASES:
        body = msgspec.json.encode({"input": text})
        await load.expect(body, "direct")
        figures = await saturate(load, body, seconds, pid, case, connections=32)
        paced = await load.paced(body, 50, seconds)
        figures.added_p50_ms, figures.added_p99_ms = percentile(paced, 50), percentile(paced, 99)
        rows.append(figures)
    return rows


def show(rows: list[Figures], rss: float) -> None:
    print(f"{'case':<32}{'requests':>10}{'CPU us':>9}{'per s':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for row in rows:
        latency = f"{row.added_p50_ms:>9.2f}{row.added_p99_ms:>9.2f}"
        print(f"{row.case:<32}{row.requests:>10}{row.cpu_us:>9.0f}{row.per_second:>8.0f}{latency}")
    print(f"\nlatency is of the whole exchange, at 50 requests a second; memory after the run: {rss:.0f} MB RSS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="each measurement takes")
    parser.add_argument("--port", type=int, default=18082)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "tierwise.toml"
        config.write_text(CONFIG.format(port=options.port))
        gateway, base, key = stack.enter_context(served(config))
        load = Load(base, key, "/v1/moderations", b"#")
        rows = uvloop.run(measure(load, gateway.pid, options.seconds))
        rss = rss_mb(gateway.pid)
        show(rows, rss)
        if options.json:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"rows": rows, "rss_mb": rss})) + b"\n")


if __name__ == "__main__":
    main()
