"""Recorded answers as traffic: who said what to each prompt, an upstream that says it again, clients that ask.

The upstream speaks OpenAI's wire on the loopback and looks answers up by the prompt. Its cheap model gets worse when it
is told to, and nothing that a gateway can see but the answers tells so. Knows nothing of certificates or audits.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple

import aiohttp
import polars as pl

from tierwise.offline.outcomes import read
from tierwise.offline.recorded import answer_of, request_of
from tierwise.scorers.labelling import compared
from tierwise.types import Checks

BENCH = "zeroeval_gsm"
ROUTE, CHEAP, PREMIUM = "maths", "cheap", "premium"  # as the config names them
MODELS: Mapping[str, str] = {
    "cheap": "gpt-4o-mini-2024-07-18",
    "premium": "claude-3-5-sonnet-20241022",
    "worse": "gpt-3.5-turbo-0125",
}
CONNECTIONS = 24

Role = Literal["cheap", "premium", "worse"]
"""Whose recorded answer it is; "worse" is said in the name of the cheap model."""


class Spoken(NamedTuple):
    """A recorded answer. `score`: right or wrong, as the table has it. `harm`: what serving it instead of premium's
    does by the label that the gateway gives it; None where it can't tell."""

    text: str
    score: float
    input_tokens: int
    output_tokens: int
    harm: float | None


class Prompt(NamedTuple):
    text: str
    said: Mapping[Role, Spoken]


class Price(NamedTuple):
    """USD per million tokens."""

    input: float
    output: float

    def usd(self, said: Spoken) -> float:
        return (said.input_tokens * self.input + said.output_tokens * self.output) / 1e6


def prompts(data: Path) -> list[Prompt]:
    """Every prompt that all three have answered, in the order of the table."""
    frame = read(data / "outcomes" / f"{BENCH}.parquet", need=("query_id", "model", "score", "prompt", "response"))
    rows = frame.filter(pl.col("model").is_in(list(MODELS.values()))).sort("query_id").to_dicts()
    found: dict[str, dict[str, dict[str, object]]] = {}
    for row in rows:
        found.setdefault(str(row["prompt"]), {})[str(row["model"])] = row
    return [_prompt(text, said) for text, said in found.items() if len(said) == len(MODELS)]


def _prompt(text: str, rows: Mapping[str, Mapping[str, object]]) -> Prompt:
    request = request_of("", text, "", "")
    best = str(rows[MODELS["premium"]]["response"])
    said: dict[Role, Spoken] = {}
    for role, model in MODELS.items():
        row = rows[model]
        response = str(row["response"])
        label = compared(request, answer_of(CHEAP, response), answer_of(PREMIUM, best), Checks())
        harm = None if label is None else max(label.premium - label.draft, 0.0)
        tokens = (int(str(row["prompt_tokens"])), int(str(row["completion_tokens"])))
        said[role] = Spoken(response, float(str(row["score"])), *tokens, harm)  # type: ignore[index]
    return Prompt(text, said)


def prices(data: Path) -> dict[str, Price]:
    """Of the two models as the config names them."""
    listed = json.loads((data / "prices.json").read_text())["prices"]
    return {name: Price(**{k: listed[MODELS[name]][k] for k in ("input", "output")}) for name in (CHEAP, PREMIUM)}


# ------------------------------------------------------------------ upstream


class Upstream:
    """`worse`: the share of the cheap model's answers that are the worse model's."""

    def __init__(self, known: Sequence[Prompt], seed: int) -> None:
        self.worse = 0.0
        self.url = ""
        self._known = {prompt.text: prompt for prompt in known}
        self._chance = random.Random(seed)  # noqa: S311  a draw that anyone can repeat

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                body = self._answer(json.loads(await reader.readexactly(int(size.split(b":")[1]))))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                writer.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway has closed it
        finally:
            writer.close()

    def _answer(self, asked: dict[str, object]) -> bytes:
        messages = asked["messages"]
        assert isinstance(messages, list)
        name = str(asked["model"])
        role: Role = "premium" if name == MODELS["premium"] else "cheap"
        if role == "cheap" and self._chance.random() < self.worse:
            role = "worse"
        said = self._known[messages[-1]["content"]].said[role]
        message = {"role": "assistant", "content": said.text, "refusal": None}
        usage = {"prompt_tokens": said.input_tokens, "completion_tokens": said.output_tokens}
        usage["total_tokens"] = said.input_tokens + said.output_tokens
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        frame = {"id": "recorded", "object": "chat.completion", "created": 1_790_000_000, "model": name}
        return json.dumps(frame | {"choices": [choice], "usage": usage}).encode()


@asynccontextmanager
async def upstream(known: Sequence[Prompt], seed: int) -> AsyncIterator[Upstream]:
    """On a free port of the loopback, until the block ends."""
    found = Upstream(known, seed)
    server = await asyncio.start_server(found.talk, "127.0.0.1", 0, limit=1 << 20, backlog=256)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()


# ------------------------------------------------------------------ clients


class Seen(NamedTuple):
    """A request as its client saw it. `prompt`: its place; `nanos`: nano-dollars, as the reply says."""

    prompt: int
    id: str
    role: Role
    nanos: int
    baseline: int
    certificate: str
    rule: str
    at_ns: int
    seconds: float


@dataclass
class Clients:
    """Ask `url` at a pace, and keep what they saw in the order of asking."""

    known: Sequence[Prompt]
    key: str
    tell: Callable[[str], None]
    seen: list[Seen] = field(default_factory=list)

    async def ask(self, url: str, draws: Sequence[int], pace: float, until: Callable[[], bool] = lambda: False) -> int:
        """One request for each draw, in its order, at most `pace` a second. How many were, when `until` is true."""
        first, began = len(self.seen), time.perf_counter()
        waiting = iter(enumerate(draws))
        found: dict[int, Seen] = {}

        async def client(http: aiohttp.ClientSession) -> None:
            for number, place in waiting:
                await asyncio.sleep(max(began + number / pace - time.perf_counter(), 0))
                found[number] = await self._one(http, f"{url}/chat/completions", place)
                if number % 1000 == 999:
                    rate = number / (time.perf_counter() - began)
                    self.tell(f"{first + number + 1:,} requests, {rate:.0f} a second")
                if until():
                    return

        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        headers = {"authorization": f"Bearer {self.key}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
            await asyncio.gather(*(client(http) for _ in range(CONNECTIONS)))
        self.seen += [found[number] for number in sorted(found)]
        return len(found)

    async def _one(self, http: aiohttp.ClientSession, url: str, place: int) -> Seen:
        prompt = self.known[place]
        body = {"model": ROUTE, "messages": [{"role": "user", "content": prompt.text}]}
        began = time.perf_counter()
        async with http.post(url, json=body) as reply:
            if reply.status != 200:
                raise SystemExit(f"the gateway answered {reply.status}: {(await reply.text())[:500]}")
            answer, told = await reply.json(), reply.headers
        text = answer["choices"][0]["message"]["content"]
        return Seen(
            place,
            told["x-request-id"],
            _role(prompt, told["x-tierwise-model"], text),
            _nanos(told["x-tierwise-cost-usd"]),
            _nanos(told["x-tierwise-baseline-usd"]),
            told["x-tierwise-certificate"],
            told["x-tierwise-decision"],
            time.time_ns(),
            time.perf_counter() - began,
        )


def _role(prompt: Prompt, model: str, text: str) -> Role:
    """Whose words these are. Anything that nobody said is an error of the benchmark or of the gateway."""
    roles: tuple[Role, ...] = ("premium",) if model == PREMIUM else ("cheap", "worse")
    for role in roles:
        if prompt.said[role].text == text:
            return role
    raise SystemExit(f"the gateway served what {model} never said")


def _nanos(usd: str) -> int:
    return int(Decimal(usd) * 1_000_000_000)
