"""What the checks and features cost on texts that are made to be slow, and on ordinary ones.

    python -m benchmarks.hostile [--repeats 20] [--only NAME ...] [--json OUT.json]

Each text of `hostile_texts.py`, 16,000 characters, is given as an answer, and goes through all that a trained verifier
does with it, part by part: every check and measure, the answer's features, its derivation and its words; `verify` is
the whole, with a model of ordinary size whose weights are made up. The request is a document, so that every measure has
something to go by. What looks at calls sees the text once more as a call's argument (`verify_call` is that whole), and
`route` is the router's work where it is a request. No text comes twice, because what was read a moment ago is
remembered. Then the same for ordinary answers to ordinary questions.

Times are processor time of one thread, in microseconds. Prints JSON: of each part the median and the 99th percentile
over all texts and repeats, and the slowest text by its median; then each text's medians: the whole, and what takes
longest.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

from benchmarks.first_light_report import percentile
from benchmarks.hostile_texts import DOCUMENT, ORDINARY, TEXTS, Text
from tierwise.scorers.artefact import Artefact, TierModel, Typical
from tierwise.scorers.checks import looked_for
from tierwise.scorers.columns import DRAFT_NAMES, ROUTER_NAMES
from tierwise.scorers.derivation import derivation
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.features import answer_features, prompt_of, said_by
from tierwise.scorers.grams import BUCKETS, grams
from tierwise.scorers.parses import load
from tierwise.scorers.reading import clipped
from tierwise.scorers.stack import Base, Stack
from tierwise.scorers.trained import Trained
from tierwise.scorers.verifier import run
from tierwise.types import Answer, Checks, Choice, Message, Request, Tool, ToolCall

SETTINGS = Checks()
TOOLS = (Tool("note", parameters={"type": "object", "properties": {"text": {"type": "string"}}}),)
CALLED = {"numbers_used", "arguments_grounded", "tools"}  # what looks at calls
WHOLES = {"verify", "verify_call", "route", "both"}
Times = Mapping[str, Sequence[float]]
"""A part's name -> its microseconds, one a repeat."""


def parts(request: Request, answer: Answer) -> Iterator[tuple[str, float]]:
    """(name, microseconds) of each thing that is done with a draft, in the verifier's order."""
    for name, check in looked_for(request, answer):
        yield name, timed(run, name, check, request, answer, SETTINGS)
    yield "answer_features", timed(answer_features, request, answer)
    yield "derivation", timed(derivation, prompt_of(request), answer.text)
    yield "words", timed(_words, answer)


def _words(answer: Answer) -> None:
    grams(load_encoder().pieces.beginning(clipped(said_by(answer))))


def timed(work: Callable[..., object], *given: object) -> float:
    began = time.thread_time_ns()
    work(*given)
    return (time.thread_time_ns() - began) / 1000


def made_up() -> Trained:
    """A trained artefact of two tiers, with weights in every bucket, that knows nothing."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Any:
        return rng.random(shape, np.float32)

    def stack(names: tuple[str, ...], targets: tuple[str, ...], reads: tuple[str, ...]) -> Stack:
        columns, bases, tasks = len(names), len(reads), ("law", "physics")
        draft = array(BUCKETS) if "draft" in reads else array(0)
        return Stack(
            names, targets, tasks, (), array(BUCKETS), draft,
            tuple(Base(kind, array(BUCKETS), array(BUCKETS if kind == "draft" else 0), 0.0) for kind in reads),
            array(columns), array(columns) + 1, array(columns), np.arange(columns // 2), array(columns // 2),
            array(len(tasks)), array(bases), array(bases) + 1, 1.0,
            array(len(targets), columns + columns // 2 + len(tasks) + bases + 256) / 100, array(len(targets)),
        )  # fmt: skip

    router = stack(ROUTER_NAMES, ("cheap", "premium", "accept", "consult"), ("prompt", "prompt"))
    alone = stack((*ROUTER_NAMES, *DRAFT_NAMES), ("benefit", "harm"), ("prompt", "draft", "draft"))
    typical = Typical(20.0, 0.3, 0.6)
    return Trained(Artefact(("cheap", "premium"), (), (TierModel(router, alone, None),), (typical, typical), None))


def asked(prompt: str) -> Request:
    return Request(id="bench", asked="bench", messages=(Message("user", prompt),), tools=TOOLS)


def said(text: str) -> Answer:
    return Answer("cheap", (Choice(text, finish="stop"),))


def called(text: str) -> Answer:
    call = ToolCall("1", "note", msgspec.json.encode({"text": text}).decode())
    return Answer("cheap", (Choice("", tool_calls=(call,), finish="tool_calls"),))


def hostile(trained: Trained, texts: Mapping[str, Text], repeats: int) -> dict[str, Times]:
    """Each text's times, by part."""
    verifier, router = trained.verifier(SETTINGS), trained.router
    document = asked(DOCUMENT)
    router.score(document, None)
    found: dict[str, Times] = {}
    for name, text in texts.items():
        times: dict[str, list[float]] = defaultdict(list)
        for turn in range(0, 5 * repeats, 5):
            for part, micros in parts(document, said(text(turn))):
                times[part].append(micros)
            for part, micros in parts(document, called(text(turn + 1))):
                if part in CALLED:
                    times[part].append(micros)
            times["verify"].append(timed(verifier.score, document, said(text(turn + 2))))
            times["verify_call"].append(timed(verifier.score, document, called(text(turn + 3))))
            times["route"].append(timed(router.score, asked(text(turn + 4)), None))
        found[name] = times
    return found


def ordinary(trained: Trained, repeats: int) -> dict[str, Times]:
    """Of each ordinary answer, its parts' times, and those of routing its question and verifying it."""
    verifier, router = trained.verifier(SETTINGS), trained.router
    found: dict[str, Times] = {}
    for name, (prompt, text) in ORDINARY.items():
        times: dict[str, list[float]] = defaultdict(list)
        for turn in range(0, 2 * repeats, 2):
            request = asked(f"{prompt} {turn}")
            router.score(request, None)
            for part, micros in parts(request, said(f"{turn} {text}")):
                times[part].append(micros)
            request, draft = asked(f"{prompt} {turn + 1}"), said(f"{turn + 1} {text}")
            times["route"].append(timed(router.score, request, None))
            times["verify"].append(timed(verifier.score, request, draft))
            times["both"].append(times["route"][-1] + times["verify"][-1])
        found[name] = times
    return found


def summary(found: Mapping[str, Times]) -> dict[str, Any]:
    """Of each part over all texts, then of each text the slowest parts."""
    names = list(dict.fromkeys(name for times in found.values() for name in times))
    by_part = {}
    for name in names:
        mine = {text: times[name] for text, times in found.items() if name in times}
        every = [micros for times in mine.values() for micros in times]
        worst = max(mine, key=lambda text: median(mine[text]))
        by_part[name] = {
            "median_us": round(median(every), 1),
            "p99_us": round(percentile(every, 0.99), 1),
            "worst": worst,
            "worst_us": round(median(mine[worst]), 1),
        }
    by_text = {}
    for text, times in sorted(found.items(), key=lambda item: -median(item[1]["verify"])):
        slowest = sorted(set(times) - WHOLES, key=lambda name: -median(times[name]))[:3]
        by_text[text] = {name: round(median(times[name]), 1) for name in (*sorted(WHOLES & set(times)), *slowest)}
    return {"parts": by_part, "texts": by_text}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=TEXTS, metavar="NAME", help="hostile texts, not all of them")
    parser.add_argument("--json", type=Path, help="write it there instead")
    options = parser.parse_args()
    load()
    trained = made_up()
    chosen = {name: text for name, text in TEXTS.items() if not options.only or name in options.only}
    ordinary(trained, 3)  # warm
    gc.collect()
    gc.freeze()
    document = {
        "repeats": options.repeats,
        "hostile": summary(hostile(trained, chosen, options.repeats)),
        "ordinary": summary(ordinary(trained, 10 * options.repeats)),
    }
    packed = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
    if options.json is None:
        print(packed.decode(), end="")
    else:
        options.json.write_bytes(packed)


if __name__ == "__main__":
    main()
