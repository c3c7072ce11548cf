"""A route's own traffic as outcomes: the requests that its gateway drew, what every model said, and who labelled that.

A label that is due and lacks counts as harm, as it does in an audit: rows without one may well be the harder ones.
Where many lack, nothing is made of the rows, unless people have come to a part of them in an order that has nothing to
do with what they say. Knows neither the store nor any file, nor how rows were drawn (`drawn.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from tierwise.core.kept import answer_of, request_of
from tierwise.errors import ConfigError
from tierwise.offline.drawn import Row, Rows, place
from tierwise.offline.imports.chat import asked
from tierwise.offline.outcomes import typed
from tierwise.proof import EXACT, Label, Said, Source
from tierwise.scorers.labelling import compared
from tierwise.types import Route

if TYPE_CHECKING:
    import polars as pl

LACKING = 0.02  # share of the rows that may have no label
ANCHORS = 30  # rows that people have looked at, from which on they correct a judge
NOT_PEOPLE: tuple[Source, ...] = tuple(source for source in EXACT if source != "human")
NOT_JUDGE: tuple[Source, ...] = tuple(source for source in EXACT if source != "judge")

Pair = tuple[float, float]
"""How good the draft is, and premium's answer; each in [0, 1]."""
HARM: Pair = (0.0, 1.0)
Lack = Literal["refuse", "harm", "leave-out"]
"""What becomes of rows without a label: "refuse" takes LACKING of them as harm, and no more."""


class Counts(msgspec.Struct, frozen=True):
    """`requests` are used, `as_harm` of them for lack of a label; `labels` of theirs, by source.

    All others that were `drawn` are left out: likelier than others to be (`thinned`), without texts any more
    (`forgotten`), without an answer of every model (`incomplete`), known to the models that are to be certified
    (`seen`), not yet come to by people (`unreviewed`), without a label (`unlabelled`).
    """

    requests: int
    drawn: int
    thinned: int
    forgotten: int
    incomplete: int
    seen: int
    unreviewed: int
    unlabelled: int
    as_harm: int
    labels: dict[str, int]


class Labelled(NamedTuple):
    """Outcomes of the store. `judge`: who gave labels, where a model did; "": none. `people`: outcomes with their word
    on a uniform sample of the same requests, where `frame` has everybody else's; `looked` of them they looked at.
    """

    frame: pl.DataFrame
    counts: Counts
    judge: str
    people: pl.DataFrame | None = None
    looked: int = 0


def counted(labels: Iterable[Label], sources: Sequence[Source] = EXACT) -> Label | None:
    """Of several labels of one draft the one that counts: of the most believed source, the newest."""
    fit = [label for label in labels if label.source in sources and label.premium is not None]
    return min(fit, key=lambda label: (sources.index(label.source), -label.id), default=None)


def pair_of(label: Label | None) -> Pair:
    """What lacks a label counts as harm."""
    return HARM if label is None or label.premium is None else (label.draft, label.premium)


def labelled(found: Rows, route: Route, lack: Lack = "refuse") -> Labelled:
    """Outcomes by the label of each draft that is most believed. Raises ConfigError where too many lack one.

    Where people have come to a part of the rows only, in the order of `place`, that part is a uniform sample too.
    """
    lacking = [row for row in found.rows if None in _labels(row, route, EXACT)]
    missed = {row.texts.request_id for row in lacking}
    rows: Sequence[Row] = found.rows
    if lack == "refuse" and len(lacking) > LACKING * len(rows):
        rows = _reviewed(rows, lambda row: row.texts.request_id in missed, route)
    come_to = len(rows)
    if lack == "leave-out":
        rows = [row for row in rows if row.texts.request_id not in missed]
    elif lack == "refuse":
        rows = [row for row in rows if not _is_void(row, route, EXACT)]
    if not rows:
        raise ConfigError(_lacking(route, len(lacking), len(found.rows)))
    left = (len(found.rows) - come_to, come_to - len(rows))
    as_harm = sum(row.texts.request_id in missed for row in rows)
    frame = table(rows, [_scores(row, route, EXACT) for row in rows], route)
    by = [label for row in rows for label in _labels(row, route, EXACT)]
    return Labelled(frame, _counts(found, rows, by, (*left, as_harm)), _judges(by))


def corrected(found: Rows, route: Route) -> Labelled | None:
    """Outcomes by everybody's word but people's, and people's word on a uniform sample of them, to correct a judge by.

    None where no judge gave labels, where too many rows lack a label, or people have not looked at ANCHORS rows one
    after the other in the order of `place`. Where a rule settles a row there is nothing to correct.
    """
    lacking = sum(None in _labels(row, route, NOT_PEOPLE) for row in found.rows)
    rows = [row for row in found.rows if not _is_void(row, route, NOT_PEOPLE)]
    by = [label for row in rows for label in _labels(row, route, NOT_PEOPLE)]
    if not _judges(by) or lacking > LACKING * len(found.rows):
        return None
    anchors = _reviewed(rows, lambda row: None in _labels(row, route, NOT_JUDGE), route)
    looked = sum(_by_people(row, route) for row in anchors)
    if looked < ANCHORS:
        return None
    frame = table(rows, [_scores(row, route, NOT_PEOPLE) for row in rows], route)
    # what a judge alone said is not people's word: where they passed a row over it counts as harm
    people = table(anchors, [_scores(row, route, NOT_JUDGE) for row in anchors], route)
    void = len(found.rows) - len(rows)
    counts = _counts(found, rows, by, (0, void, lacking - void))
    return Labelled(frame, counts, _judges(by), people, looked)


def known(rows: Iterable[Row], route: Route) -> dict[tuple[str, str], Pair]:
    """What need not be bought: labels, by request and the draft's model; harm where a judge has given no verdict."""
    found = {}
    for row in rows:
        for model, label in zip(route.tiers, _labels(row, route, EXACT), strict=False):
            if label is not None or any(other.source == "missing" for other in row.labels.get(model.name, ())):
                found[row.texts.request_id, model.name] = pair_of(label)
    return found


# ------------------------------------------------------------------ labels of rows


def _labels(row: Row, route: Route, sources: Sequence[Source]) -> list[Label | None]:
    """One for each tier below premium; None where it lacks."""
    return [counted(row.labels.get(model.name, ()), sources) for model in route.tiers[:-1]]


def _scores(row: Row, route: Route, sources: Sequence[Source]) -> dict[str, Pair]:
    labels = _labels(row, route, sources)
    return {model.name: pair_of(label) for model, label in zip(route.tiers, labels, strict=False)}


def _by_people(row: Row, route: Route) -> bool:
    return any(label is not None for label in _labels(row, route, ("human",)))


def _is_void(row: Row, route: Route, sources: Sequence[Source]) -> bool:
    """Nobody could be asked about a draft of it, for reasons that have nothing to do with the draft."""
    return any(
        label is None and any(other.source == "void" for other in row.labels.get(model.name, ()))
        for model, label in zip(route.tiers, _labels(row, route, sources), strict=False)
    )


def _reviewed(rows: Sequence[Row], lacks: Callable[[Row], bool], route: Route) -> list[Row]:
    """The rows up to the last one that people came to, in the order of `place`, if next to none before it lacks one."""
    ordered = sorted(rows, key=lambda row: place(row.texts.request_id))
    missing = last = 0
    for number, row in enumerate(ordered, 1):
        missing += lacks(row)
        if missing <= LACKING * number and _by_people(row, route):
            last = number
    return ordered[:last]


def _lacking(route: Route, lacking: int, rows: int) -> str:
    judge = "" if route.judge is not None else "a `judge` in the config labels those that come, "
    return (
        f"route {route.name}: {lacking:,} of its {rows:,} rows have no label, and the others may not be like them: "
        f"{judge}`tierwise label --route {route.name}` lets people give them, `tierwise certify --sequential --buy "
        "USD` buys them from the judge, `tierwise certify --unlabelled-as-harm` counts them as harm"
    )


def _counts(found: Rows, rows: Sequence[Row], by: Iterable[Label | None], left: tuple[int, int, int]) -> Counts:
    unreviewed, unlabelled, as_harm = left
    sources = [label.source for label in by if label is not None]
    return Counts(
        requests=len(rows),
        drawn=found.drawn,
        thinned=found.thinned,
        forgotten=found.forgotten,
        incomplete=found.incomplete,
        seen=found.seen,
        unreviewed=unreviewed,
        unlabelled=unlabelled,
        as_harm=as_harm,
        labels={source: sources.count(source) for source in EXACT if source in sources},
    )


def _judges(labels: Iterable[Label | None]) -> str:
    return " and ".join(sorted({label.by for label in labels if label is not None and label.source == "judge"}))


# ------------------------------------------------------------------ the table


def table(rows: Sequence[Row], scores: Sequence[Mapping[str, Pair]], route: Route) -> pl.DataFrame:
    """One row for each answer, in the order of requests and models. `scores` by the draft's model.

    A premium's row has one score. Where drafts of several tiers were labelled beside different scores of it, theirs
    are moved along, so that each does the harm that it was labelled with.
    """
    import polars as pl

    lines = [line for row, known in zip(rows, scores, strict=True) for line in _lines(row, known, route)]
    lines.sort(key=lambda line: (line["query_id"], line["model"]))
    return typed(pl.DataFrame(lines, infer_schema_length=None))


def _lines(row: Row, known: Mapping[str, Pair], route: Route) -> list[dict[str, Any]]:
    premium = max(best for _, best in known.values())
    scores = {name: min(draft + (premium - best), 1.0) for name, (draft, best) in known.items()}
    scores[route.premium.name] = premium
    for model in route.opinions:
        scores[model.name] = _opinion(row, model.name, route, premium)
    texts = row.texts
    turns = [{"role": turn.role, "content": turn.text} for turn in texts.messages]
    conversation = asked(turns)
    shared = {
        "bench": route.name,
        "query_id": texts.request_id,
        "category": texts.tags[0] if texts.tags else "",
        "prompt": "" if conversation is None else conversation.prompt,
    }
    more: dict[str, Any] = {"messages": turns}
    if texts.tools:
        more["tools"] = [_tool(tool.name, tool.description, tool.parameters) for tool in texts.tools]
    if texts.json_answer:
        more["json_answer"] = True
    return [{**shared, **_said(row.said[name], more), "score": score} for name, score in scores.items()]


def _said(said: Said, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": said.model,
        "response": said.response,
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "cost_usd": said.nanos / 1e9,
        "latency_s": said.seconds,
        "token_source": "ledger",
        "extra": msgspec.json.encode({**more, "finish": said.finish}).decode(),
    }


def _opinion(row: Row, name: str, route: Route, premium: float) -> float:
    """By equality with premium's answer where that can be told; else premium's score stands in: nothing reads it."""
    request = request_of(row.texts, route.name)
    answers = answer_of(row.said[name]), answer_of(row.said[route.premium.name])
    found = compared(request, *answers, route.checks)
    return premium if found is None else found.draft


def _tool(name: str, description: str, parameters: str) -> dict[str, Any]:
    tool: dict[str, Any] = {"name": name, "description": description}
    return tool | {"parameters": msgspec.Raw(parameters.encode())} if parameters else tool
