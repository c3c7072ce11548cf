"""What a cascade saves on real customer-service queries, and what it costs in accuracy: two local models, one gateway.

    python -m benchmarks.first_light --data DIR [--queries 300] [--out benchmarks/results] [--resume]

Three arms answer the same queries ("which of these ten intents is it?", as JSON by schema) through a running gateway:
always-cheap (the model `small`), always-premium (`large`) and the cascade (the route `support`, which escalates a draft
whose mean log-probability is below a threshold). The threshold is the median over other rows, answered by `small`
beforehand, so that about half escalates. Cost, model and decision are what the gateway's headers say.

Rules fixed before anything was measured: ten intents a set are drawn by the seed, from CLINC150's domains banking,
credit_cards and travel and from all of BANKING77; measured rows come from the test splits, the threshold's from train.
The arms run one after the other, a set at a time: asked back to back, the second would find its prompt already read.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import first_light_report as report

SEED = 7
DOMAINS = ("banking", "credit_cards", "travel")  # of CLINC150: those that a company's customers ask about
INTENTS = 10
TUNING = 30  # rows a set that fix the threshold
ARMS = ("small", "large", "support")
SYSTEM = (
    "You sort customer messages into one of these intents:\n{intents}\n"
    'Answer with JSON only, the one intent that fits best, in this form: {{"intent": "..."}}'
)
CONFIG = """
[server]
port = {port}
[store]
url = "sqlite:///ledger.db"
{models}
[routes.support]
tiers = ["small", "large"]
mode = "enforce"
uncertified = "checks"
checks = {{ min_logprob = {threshold:.6f} }}
"""


class Query(msgspec.Struct, frozen=True):
    set: str
    text: str
    intent: str
    intents: tuple[str, ...]


class Result(msgspec.Struct, frozen=True):
    """One answer. `logprob` is the mean a token, where the arm asks for it; money in USD, time in ms."""

    arm: str
    number: int
    set: str
    correct: bool
    valid: bool
    model: str
    decision: str
    cost: float
    baseline: float
    input_tokens: int
    output_tokens: int
    ms: float
    logprob: float | None = None
    logprobs: tuple[float, ...] = ()


# ------------------------------------------------------------------ queries


def rows(data: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(data / name / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def draw(data: Path, count: int) -> tuple[list[Query], list[Query]]:
    """(measured, tuning) queries, by the rules in the header."""
    chance = random.Random(SEED)  # noqa: S311  a draw that anyone can repeat
    measured: list[Query] = []
    tuning: list[Query] = []
    for name, half in (("clinc150", count - count // 2), ("banking77", count // 2)):
        found = [row for row in rows(data, name) if row.get("domain", DOMAINS[0]) in DOMAINS]
        intents = tuple(sorted(chance.sample(sorted({row["intent"] for row in found}), INTENTS)))
        for split, wanted, into in (("test", half, measured), ("train", TUNING, tuning)):
            pool = [row for row in found if row["intent"] in intents and row["orig_split"] == split]
            into += [Query(name, row["text"], row["intent"], intents) for row in chance.sample(pool, wanted)]
    return measured, tuning


def body(query: Query, model: str) -> bytes:
    labels = [intent.replace("_", " ") for intent in query.intents]
    schema = {
        "type": "object",
        "properties": {"intent": {"enum": labels}},
        "required": ["intent"],
        "additionalProperties": False,
    }
    asked = {
        "model": model,
        "messages": [
            {"role": "system", "content": SYSTEM.format(intents="\n".join(f"- {label}" for label in labels))},
            {"role": "user", "content": query.text},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "intent", "schema": schema}},
        "temperature": 0,
        "max_tokens": 40,
    }
    return msgspec.json.encode(asked | ({"logprobs": True} if model == "small" else {}))


# ------------------------------------------------------------------ asking


class Gateway:
    """A running gateway, asked one request at a time."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def ask(self, arm: str, number: int, query: Query) -> Result:
        start = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", body(query, arm), self._headers)
        reply = self._connection.getresponse()
        raw = reply.read()
        ms = (time.perf_counter() - start) * 1000
        if reply.status != http.HTTPStatus.OK:
            raise SystemExit(f"the gateway answered {reply.status}: {raw.decode()}")
        answer = msgspec.json.decode(raw)
        choice = answer["choices"][0]
        said = _intent(choice["message"]["content"])
        tokens = [item["logprob"] for item in (choice.get("logprobs") or {}).get("content") or ()]
        return Result(
            arm=arm,
            number=number,
            set=query.set,
            correct=said == query.intent.replace("_", " "),
            valid=said is not None,
            model=reply.headers["x-tierwise-model"],
            decision=reply.headers["x-tierwise-decision"],
            cost=float(reply.headers["x-tierwise-cost-usd"]),
            baseline=float(reply.headers["x-tierwise-baseline-usd"]),
            input_tokens=answer["usage"]["prompt_tokens"],
            output_tokens=answer["usage"]["completion_tokens"],
            ms=ms,
            logprob=sum(tokens) / len(tokens) if tokens else None,
            logprobs=tuple(round(value, 4) for value in tokens),
        )


def _intent(content: str) -> str | None:
    try:
        said = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None
    return said.get("intent") if isinstance(said, dict) else None


def starter_models() -> str:
    """The two local models as the starter config has them: weights, hashes, prices of machine time."""
    from tierwise.gateway.settings import read_environment  # noqa: PLC0415
    from tierwise.gateway.setup.starter import starter  # noqa: PLC0415

    text = starter(read_environment({"HOME": str(Path.home())}))
    return text[text.index("[models.small]") : text.index("[routes.default]")]


@contextmanager
def gateway(folder: Path, port: int, threshold: float) -> Iterator[Gateway]:
    config = folder / "tierwise.toml"
    config.write_text(CONFIG.format(port=port, models=starter_models(), threshold=threshold))
    tierwise = str(Path(sys.executable).parent / "tierwise")
    create = [tierwise, "keys", "create", "--config", str(config), "--name", "bench", "--json"]
    key = json.loads(subprocess.run(create, capture_output=True, text=True, check=True).stdout)["key"]
    child = subprocess.Popen([tierwise, "serve", "--config", str(config)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        if "http://" not in (line := child.stdout.readline()):
            raise SystemExit(f"the gateway did not start: {line}")
        yield Gateway(port, key)
    finally:
        child.terminate()
        child.wait(20)
        child.stdout.close()


# ------------------------------------------------------------------ the run


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2


def load(log: Path) -> list[Result]:
    """What an interrupted run has left; a line that it did not get to the end of is dropped."""
    if not log.exists():
        return []
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    log.write_bytes(whole + b"\n" if whole else b"")
    return [msgspec.json.decode(line, type=Result) for line in whole.splitlines()]


def same_run(options: argparse.Namespace) -> None:
    """Refuse to mix answers to other questions into a run that is resumed."""
    mark = options.out / "first_light.run"
    this = msgspec.json.encode([SEED, options.queries, TUNING, SYSTEM])
    if options.resume and mark.exists() and mark.read_bytes() != this:
        raise SystemExit("--resume: the run there has another prompt, seed or number of queries; start anew without it")
    mark.write_bytes(this)


def run(options: argparse.Namespace) -> tuple[float, list[Result], list[Result]]:
    """(threshold, tuning results, measured results); each result is appended to the log as it comes."""
    measured, tuning = draw(options.data, options.queries)
    log = options.out / "first_light.jsonl"
    same_run(options)
    if not options.resume:
        log.unlink(missing_ok=True)
    done = load(log)
    seen = {(result.arm, result.number) for result in done}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as name, Progress(*columns) as bars, log.open("ab") as file:

        def go(live: Gateway, arm: str, todo: Sequence[tuple[int, Query]], label: str) -> None:
            for number, query in bars.track(todo, description=label):
                if (label, number) not in seen:
                    result = msgspec.structs.replace(live.ask(arm, number, query), arm=label)
                    done.append(result)
                    file.write(msgspec.json.encode(result) + b"\n")
                    file.flush()

        with gateway(Path(name), options.port, -100.0) as live:
            go(live, "small", list(enumerate(tuning)), "tuning")
        threshold = median([r.logprob for r in done if r.arm == "tuning" and r.logprob is not None])
        with gateway(Path(name), options.port, threshold) as live:
            for part in ("clinc150", "banking77"):
                todo = [(number, query) for number, query in enumerate(measured) if query.set == part]
                for arm in ARMS:
                    go(live, arm, todo, arm)
    return threshold, [r for r in done if r.arm == "tuning"], [r for r in done if r.arm != "tuning"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with clinc150/ and banking77/")
    parser.add_argument("--queries", type=int, default=300, help="half from each set (at most 300)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    parser.add_argument("--port", type=int, default=18085)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    threshold, tuning, measured = run(options)
    example = draw(options.data, options.queries)[0][0]
    facts = {
        "queries": options.queries,
        "seed": SEED,
        "threshold": threshold,
        "cores": os.cpu_count(),
        "prompt": SYSTEM,
        "example": json.loads(body(example, "support")),
        "models": starter_models(),
    }
    report.write(options.out, tuning, measured, facts)


if __name__ == "__main__":
    main()
