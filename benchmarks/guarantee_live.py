"""The guarantee, live: a cheap model is certified, served, silently gets worse, is found out, and premium takes over.

    python -m benchmarks.guarantee_live --data DIR [--requests 20000] [--seed 0] [--out benchmarks/results] [--quick]

`tierwise serve` runs as a process of its own; the models behind it replay answers that were recorded (GSM8K, ZeroEval):
GPT-4o mini is the cheap one, Claude 3.5 Sonnet the premium. Both are told by the prompt, at recorded tokens and prices.

1. observe: premium answers, and the cheap model is asked beside it. TRAINED prompts, each once; `tierwise train`.
2. observe: requests drawn, with replacement, from the other prompts, as all later ones; `tierwise certify`.
3. enforce: drafts are served by the certificate, and audited at random.
4. the cheap model silently gets worse: WORSE of its answers are GPT-3.5's. Until premium answers everything.
5. what is left, at premium.

No prompt of 2 to 5 was trained on. They repeat, some 60 times each: there are 923 prompts in all. A label is what the
gateway makes of two answers by itself; whether an answer is right the gateway never learns, so it stands beside.
The gateway draws and names requests at random, so no two runs are alike, whatever the seed.
Writes guarantee_live.json, .png and .md. About four minutes; --quick is a smoke test, with every draft audited.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.guarantee_live_page import page
from benchmarks.guarantee_live_plot import draw
from benchmarks.guarantee_live_report import Evidence, Phase, Run, figures
from benchmarks.guarantee_live_traffic import MODELS, ROUTE, Clients, Price, Upstream, prices, prompts, upstream
from tierwise.gateway.clock import SystemClock
from tierwise.store.signing import read as read_certificate
from tierwise.store.sqlite import open_sqlite

TIERWISE = str(Path(sys.executable).parent / "tierwise")
TRAINED = 600  # prompts
CERTIFIED, HEALTHY, QUICK = 0.1, 0.35, 0.1  # of the requests
LEAST = 600  # requests to certify on
WORSE = 0.7  # of the cheap model's answers
AUDIT = 0.1
PACE = 100  # requests a second; labels are looked at every two seconds
CONFIG = """
[server]
port = 0
[store]
url = "sqlite:///ledger.db"
{models}
[routes.{route}]
tiers = ["cheap", "premium"]
mode = "{mode}"
max_harm = 0.03
confidence = 0.95
observe = {observe}
audit = {audit}
evidence_usd_per_day = 20
{trained}
"""
MODEL = """[models.{name}]
provider = "openai"
base_url = "{url}/v1"
model = "{model}"
max_output = 1024
price = {{ input = {price.input}, output = {price.output} }}
"""


@dataclass
class Stage:
    """A folder with a config, in which the gateway and the commands run. `said`: what commands printed."""

    folder: Path
    upstream: Upstream
    prices: dict[str, Price]
    said: dict[str, str] = field(default_factory=dict)

    def write(self, mode: str, observe: float, audit: float, *, trained: bool) -> None:
        models = "".join(
            MODEL.format(name=name, url=self.upstream.url, model=MODELS[name], price=price)
            for name, price in self.prices.items()
        )
        line = f'trained = "{ROUTE}.tierwise.npz"' if trained else ""
        text = CONFIG.format(models=models, route=ROUTE, mode=mode, observe=observe, audit=audit, trained=line)
        (self.folder / "tierwise.toml").write_text(text)

    async def command(self, *words: str) -> str:
        """What it printed. Ends the benchmark where it fails."""
        process = await self._start(*words)
        printed = (await process.communicate())[0].decode()
        if process.returncode:
            raise SystemExit(f"tierwise {' '.join(words)} ended with {process.returncode}:\n{printed}")
        self.said[words[0]] = re.sub(r"\s*\n", "\n", printed).strip()
        return printed

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[str]:
        """`tierwise serve` until the block ends; its base URL."""
        process = await self._start("serve")
        assert process.stdout is not None
        printed = ""
        while "Serving on http" not in printed:
            line = (await process.stdout.readline()).decode()
            if not line:
                raise SystemExit(f"tierwise serve ended before it served:\n{printed}")
            printed += line
        drained = asyncio.ensure_future(process.stdout.read())
        try:
            yield printed.split()[-1]
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)
            self.said["serve"] = self.said.get("serve", "") + printed + (await drained).decode()

    async def _start(self, *words: str) -> Process:
        env = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "160", "NO_COLOR": "1"}
        return await asyncio.create_subprocess_exec(
            TIERWISE, *words, cwd=self.folder, env=env, stdout=PIPE, stderr=STDOUT
        )

    async def evidence(self) -> Evidence:
        """All that the store has of the route."""
        store = await open_sqlite(self.folder / "ledger.db", clock=SystemClock(), instance=os.urandom(8).hex())
        try:
            proof = store.proof
            return Evidence(
                await proof.samples(ROUTE),
                await proof.labels(ROUTE),
                await proof.texts(ROUTE),
                await proof.trail(ROUTE),
                await proof.days(ROUTE),
            )
        finally:
            await store.close()


@dataclass
class Live:
    """The five phases. `lost`: drawn requests that the gateway had no room for."""

    stage: Stage
    clients: Clients
    pace: float
    phases: list[Phase] = field(default_factory=list)
    lost: int = 0

    async def ask(self, name: str, url: str, draws: Sequence[int]) -> None:
        began = time.perf_counter()
        count = await self.clients.ask(url, draws, self.pace)
        end = len(self.clients.seen)
        self.phases.append(Phase(name, end - count, end, time.perf_counter() - began))
        self.clients.tell(f"{name}: done")

    async def settle(self, url: str) -> None:
        """Until the gateway has worked on all that it drew: nothing has come for a while."""
        before = -1
        while (now := len((await self.stage.evidence()).labels)) != before:
            before = now
            await asyncio.sleep(2)
        told = await self._get(f"{url.removesuffix('/v1')}/metrics")
        self.lost += sum(int(count) for count in re.findall(r"^tierwise_samples_lost_total (\d+)$", told, re.MULTILINE))

    async def rung(self, url: str) -> tuple[int, int]:
        """(where it is, rungs in all)."""
        state = json.loads(await self._get(f"{url}/routes/{ROUTE}/certificate"))["audit"]
        return (0, 1) if state is None else (state["rung"], state["rungs"])

    async def _get(self, url: str) -> str:
        headers = {"authorization": f"Bearer {self.clients.key}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as reply:
            return await reply.text()

    async def enforce(self, url: str, healthy: Sequence[int], rest: Sequence[int]) -> None:
        """What is left once premium answers everything is asked too, but not before."""
        await self.ask("enforce", url, healthy)
        self.stage.upstream.worse = WORSE
        up = asyncio.Event()
        watching = asyncio.ensure_future(self._watch(url, up))
        began = time.perf_counter()
        count = await self.clients.ask(url, rest, self.pace, up.is_set)
        end = len(self.clients.seen)
        self.phases.append(Phase("worse", end - count, end, time.perf_counter() - began))
        watching.cancel()
        if count < len(rest):
            await self.ask("premium", url, rest[count:])
        await self.settle(url)

    async def _watch(self, url: str, up: asyncio.Event) -> None:
        """Twice a second, as an operator's monitor would."""
        last = 0
        while not up.is_set():
            await asyncio.sleep(0.5)
            at, rungs = await self.rung(url)
            if at != last:
                self.clients.tell(f"alarm: rung {at} of {rungs - 1}")
                last = at
            if at == rungs - 1:
                up.set()


async def play(options: argparse.Namespace, folder: Path) -> Run:
    known, listed = prompts(options.data), prices(options.data)
    began = time.perf_counter()

    def tell(text: str) -> None:
        print(f"{time.perf_counter() - began:6.1f} s  {text}", flush=True)

    chance = random.Random(options.seed)  # noqa: S311  a draw that anyone can repeat
    order = chance.sample(range(len(known)), len(known))
    trained, others = order[:TRAINED], order[TRAINED:]
    certified = max(round(options.requests * CERTIFIED), LEAST)
    healthy = round(options.requests * (QUICK if options.quick else HEALTHY))
    left = max(options.requests - len(trained) - certified - healthy, 100)
    draws = [chance.choice(others) for _ in range(certified + healthy + left)]
    async with upstream(known, options.seed) as models:
        stage = Stage(folder, models, listed)
        stage.write("observe", 1.0, 0.0, trained=False)
        made = json.loads(await stage.command("keys", "create", "--name", "bench", "--json"))
        live = Live(stage, Clients(known, made["key"], tell), options.pace)
        async with stage.gateway() as url:
            await live.ask("train", url, trained)
            await live.settle(url)
        tell("tierwise train")
        await stage.command("train", "--route", ROUTE)
        stage.write("observe", 1.0, 0.0, trained=True)
        async with stage.gateway() as url:
            await live.ask("certify", url, draws[:certified])
            await live.settle(url)
        tell("tierwise certify")
        await stage.command("certify", "--route", ROUTE)
        audit = 1.0 if options.quick else AUDIT
        stage.write("enforce", 0.1, audit, trained=True)
        async with stage.gateway() as url:
            await live.enforce(url, draws[certified : certified + healthy], draws[certified + healthy :])
        signed = read_certificate(folder / f"{ROUTE}.certificate.json")
        return Run(
            known, listed, live.clients.seen, live.phases, await stage.evidence(), signed.certificate,
            audit, WORSE, live.lost, stage.said, time.perf_counter() - began, options.pace,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pace", type=float, default=PACE, help="requests a second, at most")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="audit every draft: a smoke test")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = uvloop.run(play(options, Path(folder)))
    found = figures(run)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "guarantee_live.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.out / "guarantee_live.md").write_text(page(found, run))
    draw(run, found, options.out / "guarantee_live.png")
    print(page(found, run))


if __name__ == "__main__":
    main()
