"""How far off tokens are that a provider did not count: `python -m benchmarks.usage --data DIR [--lessons N]`.

DIR is a folder of recorded answers as `tierwise fit --data` reads it, with `outcomes/` inside. For every model of every
bench, five-fold: what was learnt from N answers of the other folds estimates the answers of one. Rows are put in an
order by a hash of their query, so that no subject is learnt from alone. `api` rows were counted by the provider,
`cl100k` rows with that tokenizer for every model (its rates are what an untaught estimate starts from, so they
flatter it); `drift` rows have the provider's count of the output alone.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import polars as pl

from tierwise.core import price
from tierwise.core.tokens import UNTAUGHT
from tierwise.types import Answer, Choice, Message, Request, Tool, ToolCall, Usage

FOLDS = 5
ROWS = 600  # of a model on a bench, at the most
LIMIT = 0.05
COUNTED = {"api": "api", "cl100k_estimate": "cl100k"}
DRIFT = "llmdrift"
NOT_SENT = frozenset({"wildbench_noprompt", "routellm_mtbench"})  # whose prompts are not, or not all, in the data


class Row(NamedTuple):
    request: Request
    answer: Answer
    usage: Usage


class Error(NamedTuple):
    """Relative errors of a model on a bench: the median row's, without its sign, and that of the sum of all."""

    bench: str
    model: str
    source: str
    rows: int
    median: float
    total: float
    untaught: float  # the sum's, with nothing learnt
    bytes: float  # the sum's, at four bytes a token


def rows(path: Path, functions: dict[str, Any]) -> Iterator[tuple[str, str, str, Row]]:
    """(bench, model, who counted, the row), in the order of a hash."""
    table = pl.read_parquet(path).filter(pl.col("response").is_not_null() & (pl.col("completion_tokens") > 0))
    held = table.select(
        "bench", "query_id", "model", "prompt", "response", "prompt_tokens", "completion_tokens", "token_source"
    ).rows()
    for bench, query, model, prompt, response, asked, said, source in sorted(held, key=_place):
        who = "drift" if bench == DRIFT else COUNTED.get(source)
        if who is None:
            continue
        known = (
            functions.get(query.removeprefix("bfcl:"), ()) if who == "api" else ()
        )  # cl100k counts the question alone
        request = _request(prompt, known, model)
        answer = Answer(model, (_choice(response, bench, model),))
        sent = bench not in NOT_SENT and bool(asked)
        yield bench, model, who, Row(request, answer, Usage(int(asked) if sent else 0, int(said)))


def _place(row: Sequence[Any]) -> bytes:
    return hashlib.blake2b(str(row[1]).encode(), digest_size=8).digest()


def _request(prompt: str, functions: Sequence[Any], model: str) -> Request:
    """BFCL gives its functions as tools where the model's name ends in FC, else in its instructions."""
    if not functions:
        return Request(id="q", asked=model, messages=(Message("user", prompt),))
    if "gemini" in model or model.endswith("-FC"):
        tools = tuple(Tool(one["name"], one.get("description", ""), one.get("parameters")) for one in functions)
        return Request(id="q", asked=model, messages=(Message("user", prompt),), tools=tools)
    messages = (Message("system", json.dumps(functions)), Message("user", prompt))
    return Request(id="q", asked=model, messages=messages)


def _choice(response: str, bench: str, model: str) -> Choice:
    if bench.startswith("bfcl") and ("gemini" in model or model.endswith("-FC")) and response.startswith("["):
        try:
            calls = json.loads(response)
        except ValueError:
            return Choice(response)
        if calls and all(isinstance(call, dict) for call in calls):
            made = [
                (name, said if isinstance(said, str) else json.dumps(said)) for c in calls for name, said in c.items()
            ]
            return Choice(tool_calls=tuple(ToolCall(str(at), *call) for at, call in enumerate(made)))
    return Choice(response)


def measured(bench: str, model: str, source: str, held: Sequence[Row], lessons: int) -> Error:
    """Five-fold. Where prompts are not in the data, of the output alone; else of both together."""
    told, guessed, plain, flat = [], [], [], []
    for fold in range(FOLDS):
        ratio, taught = UNTAUGHT, [row for at, row in enumerate(held) if at % FOLDS != fold][:lessons]
        for row in taught:
            ratio = ratio.taught(*row)
        for row in held[fold::FOLDS]:
            told.append(_tokens(row.usage, row))
            guessed.append(_tokens(price.estimate(row.request, row.answer, ratio), row))
            plain.append(_tokens(price.estimate(row.request, row.answer), row))
            flat.append(_tokens(_flat(row), row))
    errors = [abs(guess / true - 1) for guess, true in zip(guessed, told, strict=True)]
    sums = [sum(some) / sum(told) - 1 for some in (guessed, plain, flat)]
    return Error(bench, model, source, len(told), median(errors), *sums)


def _tokens(usage: Usage, row: Row) -> int:
    return usage.output_tokens + (usage.input_tokens if row.usage.input_tokens else 0)


def _flat(row: Row) -> Usage:
    asked = sum(len(message.text.encode()) for message in row.request.messages)
    choice = row.answer.choices[0]
    said = choice.text + "".join(call.name + call.arguments for call in choice.tool_calls)
    return Usage(asked // 4 + 4 * len(row.request.messages), -(-len(said.encode()) // 4))


def errors(data: Path, lessons: int) -> list[Error]:
    with gzip.open(data / "bfcl_functions" / "functions.json.gz") as file:
        functions = {name: [held] if isinstance(held, dict) else held for name, held in json.load(file).items()}
    found = []
    for path in sorted((data / "outcomes").glob("*.parquet")):
        held: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for bench, model, source, row in rows(path, functions):
            kept = held[bench, model, source]
            if len(kept) < ROWS:
                kept.append(row)
        found += [measured(*name, kept, lessons) for name, kept in held.items() if len(kept) >= 50]
    return found


def show(found: Sequence[Error], limit: float = LIMIT) -> None:
    head = f"{'bench':30}{'counted':9}{'models':>7}{'rows':>8}{'median row':>12}{'worst':>8}{'sum':>9}{'worst':>8}"
    print(head + f"{'untaught':>10}{'bytes/4':>9}")
    for bench, source in sorted({(one.bench, one.source) for one in found}):
        some = [one for one in found if (one.bench, one.source) == (bench, source)]
        medians, sums = sorted(one.median for one in some), sorted((one.total for one in some), key=abs)
        print(
            f"{bench:30}{source:9}{len(some):7}{sum(one.rows for one in some):8}{median(medians):12.1%}"
            f"{medians[-1]:8.1%}{median(sums):+9.1%}{sums[-1]:+8.1%}"
            f"{median(one.untaught for one in some):+10.1%}{median(one.bytes for one in some):+9.1%}"
        )
    missed = [one for one in found if abs(one.total) > limit or one.median > limit]
    print(f"\nmissed {limit:.0%}: the sum {sum(abs(one.total) > limit for one in found)}, the median row", end=" ")
    print(f"{sum(one.median > limit for one in found)}, of {len(found)} models on benches")
    for one in sorted(missed, key=lambda one: -abs(one.total)):
        print(f"  {one.bench:30}{one.model:48}{one.source:8}{one.rows:6}  row {one.median:6.1%}  sum {one.total:+6.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lessons", type=int, default=100, help="answers that a model teaches by, before it is tried")
    options = parser.parse_args()
    show(errors(options.data, options.lessons))
