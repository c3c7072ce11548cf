"""What a gateway would have kept of made-up traffic: samples, texts and labels of the sums of `synthetic.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np

from tests.offline.synthetic import SKILLS, Table, outcomes
from tierwise.gateway.settings import load
from tierwise.gateway.setup.first_run import opened
from tierwise.offline.drawn import Gathered
from tierwise.proof import Kind, Label, Said, Sample, Source, Texts, Turn
from tierwise.types import Model, Route

ROUTE = Route(
    "support",
    tuple(Model(name, "scripted", name) for name in ("cheap", "premium")),
    observe=0.1,
    audit=0.02,
    keep_days=30,
)


def texts(request_id: str, answers: Iterable[tuple[str, str]], question: str = "What is it?", **more: object) -> Texts:
    said = tuple(
        Said(
            model=model,
            response=response,
            input_tokens=20,
            output_tokens=20,
            nanos=1_000 if model == "cheap" else 50_000,
            seconds=0.5,
        )
        for model, response in answers
    )
    return Texts(request_id=request_id, route="support", at_ns=1, messages=(Turn("user", question),), said=said, **more)  # type: ignore[arg-type]


def sample(number: int, request_id: str, kind: Kind = "observe", **more: object) -> Sample:
    values: dict[str, object] = {"uniform": 0.001, "propensity": 0.1, "served": "premium"} | more
    return Sample(id=number, request_id=request_id, route="support", at_ns=1, kind=kind, **values)  # type: ignore[arg-type]


def label(request_id: str, pair: tuple[float, float | None], source: Source = "equality", **more: object) -> Label:
    values: dict[str, object] = {"model": "cheap"} | more
    return Label(request_id=request_id, route="support", source=source, draft=pair[0], premium=pair[1], **values)  # type: ignore[arg-type]


Labels = Callable[[str, float, float], Iterable[Label]]
"""(request id, how good the draft is, and premium's answer) -> who says so."""


def by_equality(request_id: str, draft: float, premium: float) -> list[Label]:
    return [label(request_id, (draft, premium))]


def traffic(n: int, seed: int, labels: Labels = by_equality, *, first: int = 0) -> Gathered:
    """So many observed requests, in the order of their ids."""
    rows: Table = outcomes(n, seed, first=first, skills={name: SKILLS[name] for name in ("cheap", "premium")})
    samples, kept, said = list[Sample](), list[Texts](), list[Label]()
    numbers = np.random.default_rng(seed).random(n) / 10
    for place, (query, group) in enumerate(groupby(rows, key=lambda row: str(row["query_id"]))):
        cheap, premium = group
        answers = [(row["model"], row["response"]) for row in (cheap, premium)]
        kept.append(texts(query, answers, cheap["prompt"], tags=(cheap["category"],)))
        samples.append(sample(place + 1, query, uniform=float(numbers[place]), score=float(numbers[place]) * 10))
        said += labels(query, cheap["score"], premium["score"])
    return Gathered(samples, numbered(said), kept)


def numbered(labels: Sequence[Label]) -> list[Label]:
    """As a store gives them back."""
    return [msgspec.structs.replace(item, id=at) for at, item in enumerate(labels, 1)]


def kept(path: Path, *parts: Gathered) -> None:
    """Writes them to the store of the config at `path`, as a gateway does."""

    async def keep() -> None:
        async with opened(load(path, {})) as store:
            for part in parts:
                items: tuple[Sample | Texts | Label, ...] = (*part.samples, *part.texts, *part.labels)
                for written in [store.proof.keep(item) for item in items]:
                    await written

    asyncio.run(keep())
