"""What screens cost a request, with all of them on: CPU of the gateway, added latency, and of a streamed piece.

    python -m benchmarks.screened [--seconds S] [--json F]

The same route with and without screens, in turn, in one gateway and one run: what counts is the difference. Requests
differ, and answers come again only when their sentences have been forgotten, as what was read before costs next to
nothing. `benchmarks/gateway.py` has what it stands on.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import pathlib
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import msgspec
import uvloop

from benchmarks.gateway import CONFIG, WORDS, cpu_seconds, percentile, request, scripted, served, words
from benchmarks.load import Load
from tierwise.gateway.screening.guards import Guard, shared_reader
from tierwise.gateway.tables.screen_table import ScreensTable
from tierwise.screens.window import Window
from tierwise.types import Chunk, Message, Request

ROUNDS = 5
ANSWERS = 1000  # with so many there are more sentences between two that are equal than a reader remembers
PIECES = 4000
TEXTS = 200
ALL = ScreensTable(moderation="flag", injection="flag", risk=("all",))


class Figures(msgspec.Struct):
    """Medians of the rounds; `ratio` and what is added are of the pairs of rounds."""

    plain_cpu_us: float
    screened_cpu_us: float
    ratio: float
    added_p50_ms: float
    look_us: float  # CPU of a request of 1 KB
    again_us: float  # ... whose text but for one sentence stood in one before
    answer_us: float  # ... and of an answer
    piece_p50_us: float  # of a streamed piece of a word
    piece_p99_us: float
    piece_most_us: float


def text(draw: random.Random, size: int) -> str:
    """Sentences of a customer's mail, `size` characters."""
    said = ""
    while len(said) < size:
        sentence = " ".join(draw.choice(WORDS) for _ in range(draw.randint(6, 14)))
        said += sentence.capitalize() + ". "
    return said[:size]


def scripts() -> bytes:
    """Answers of about 1 KB, by the number that a request begins with."""
    draw = random.Random(5)  # noqa: S311  no secret
    answers = [text(draw, 1000) for _ in range(ANSWERS)]
    rules = [
        {"match": f"Case {number}: ", "text": one, "tokens": [one], "input_tokens": 250}
        for number, one in enumerate(answers)
    ]
    return msgspec.json.encode(rules)


def bodies_for(route: str) -> Iterator[bytes]:
    """Requests of 1 KB, no two of which say the same."""
    draw = random.Random(3)  # noqa: S311  no secret
    for number in itertools.count():
        yield request(route, f"Case {number % ANSWERS}: {text(draw, 1000)}")


class Varied(Load):
    """Asks each of many bodies in turn."""

    async def each(self, bodies: Iterator[bytes], connections: int, seconds: float) -> list[float]:
        """Milliseconds of each answer, closed loop."""
        until, times = time.perf_counter() + seconds, list[float]()

        async def one() -> None:
            client = await self._client()
            while time.perf_counter() < until:
                message = self._message(next(bodies))
                start = time.perf_counter()
                await client.ask(message)
                times.append((time.perf_counter() - start) * 1000)
            client.close()

        await asyncio.gather(*(one() for _ in range(connections)))
        return times


async def measure(load: Varied, pid: int, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """(CPU us a request without, with, and added ms at one connection), round by round."""
    bodies = {route: bodies_for(route) for route in ("cascade", "screened")}
    await load.expect(next(bodies["screened"]), "checks")
    used: dict[str, list[float]] = {route: [] for route in bodies}
    added: list[float] = []
    for _ in range(ROUNDS):
        alone: dict[str, float] = {}
        for route, asked in bodies.items():
            before = cpu_seconds(pid)
            times = await load.each(asked, 32, seconds)
            used[route].append((cpu_seconds(pid) - before) / len(times) * 1e6)
            alone[route] = percentile(await load.each(asked, 1, seconds / 2), 50)
        added.append(alone["screened"] - alone["cascade"])
    return used["cascade"], used["screened"], added


def inside() -> tuple[tuple[float, float, float], list[float]]:
    """(CPU us of a look at a request of 1 KB, of one at a text that goes on, of an answer; us of streamed pieces)."""
    draw, guard = random.Random(4), Guard(ALL, shared_reader())  # noqa: S311  no secret
    said = [text(draw, 1000) for _ in range(TEXTS)]
    again = [f"{one} And so on with the next step." for one in said]
    answers = [(opened(guard), Chunk(text(draw, 1000), finish="stop")) for _ in range(TEXTS)]
    looks = [timed([partial(guard.look, asked(one)) for one in some]) for some in (said, again)]
    answer = timed([partial(window.feed, (chunk,)) for window, chunk in answers])
    window, pieces = opened(guard), list[float]()
    for word in words(PIECES):
        start = time.perf_counter()
        window.feed((Chunk(word),))
        pieces.append((time.perf_counter() - start) * 1e6)
    return (looks[0], looks[1], answer), pieces


def opened(guard: Guard) -> Window:
    window = guard.window(lambda found: None)
    assert window is not None
    return window


def asked(said: str) -> Request:
    return Request(id="q", asked="r", messages=(Message("user", said),))


def timed(calls: Sequence[Callable[[], object]]) -> float:
    """CPU us of each."""
    start = time.process_time()
    for call in calls:
        call()
    return (time.process_time() - start) / len(calls) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="each measurement takes")
    parser.add_argument("--port", type=int, default=18083)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    looks, pieces = inside()
    with ExitStack() as stack:
        folder, upstream = stack.enter_context(scripted(scripts()))
        config = folder / "tierwise.toml"
        plain = CONFIG.partition("[routes.audited]")[0]
        config.write_text(plain.format(port=options.port, store="ledger.db", upstream=upstream))
        gateway, base, key = stack.enter_context(served(config))
        load = Varied(base, key)
        without, with_all, added = uvloop.run(measure(load, gateway.pid, options.seconds))
    ratio = statistics.median(one / other for one, other in zip(with_all, without, strict=True))
    cpu = statistics.median(without), statistics.median(with_all)
    piece = percentile(pieces, 50), percentile(pieces, 99), max(pieces)
    figures = Figures(*cpu, ratio, statistics.median(added), *looks, *piece)
    for name, value in msgspec.structs.asdict(figures).items():
        print(f"{name:<18}{value:>10.2f}")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")


if __name__ == "__main__":
    main()
