"""Langfuse: observations and traces from its API, its UI or its blob storage, with the scores given to them.

Names come in camelCase (API, UI) or snake_case (blob storage). Only generations become rows. A score of an
observation counts for it; one of a whole trace counts where that trace has a single generation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tierwise.offline.imports.chat import Asked, asked, opened, said
from tierwise.offline.imports.row import (
    NO_SCORE,
    Notes,
    Row,
    Unusable,
    exchange,
    first_tag,
    grade,
    label,
    listed,
    mapping,
    number,
    pick,
    seconds,
    text,
    whole,
)

Scores = list[tuple[str, float | None]]


def fits(record: Mapping[str, Any]) -> bool:
    return (
        pick(record, "traceId", "trace_id") is not None
        or isinstance(opened(record.get("observations")), list)
        or str(record.get("type")).upper() in ("GENERATION", "SPAN")
    )


def takes_note(record: Mapping[str, Any], notes: Notes) -> bool:
    """A score of the scores' export."""
    if "value" not in record or "name" not in record or pick(record, "traceId", "trace_id") is None:
        return False
    whose = pick(record, "observationId", "observation_id") or pick(record, "traceId", "trace_id")
    notes.scores.setdefault(str(whose), []).append(_score(record))
    return True


def rows(record: Mapping[str, Any], notes: Notes) -> Iterator[Row | Unusable]:
    inner = opened(record.get("observations"))
    if not isinstance(inner, list):
        yield _generation(record, {}, notes)
        return
    found = [_generation(item, record, notes) for item in inner if isinstance(item, Mapping)]
    yield from found or [Unusable("a trace without its observations")]


def _generation(record: Mapping[str, Any], trace: Mapping[str, Any], notes: Notes) -> Row | Unusable:
    kind = str(pick(record, "type") or "GENERATION").upper()
    model = pick(record, "model", "providedModelName", "provided_model_name")
    if kind != "GENERATION" or (model is None and "type" not in record):
        return Unusable("not a generation")
    if str(record.get("level")).upper() == "ERROR":
        return Unusable("the call failed")
    if model is None:
        return Unusable("no model named")
    question, reply = asked(record.get("input")), said(record.get("output"))
    calls = opened(pick(record, "toolCalls", "tool_calls"))
    if calls and (reply is None or reply.finish != "tool_calls"):
        reply = said({"role": "assistant", "content": reply.response if reply else "", "tool_calls": calls})
    if question is None or reply is None:
        return Unusable("no prompt in the log" if question is None else "no answer in the log")
    row = exchange(str(model), _with_tools(question, record), reply)
    _fill(row, record)
    _label(row, record, trace)
    return _scored(row, record, trace, notes)


def _with_tools(question: Asked, record: Mapping[str, Any]) -> Asked:
    tools = opened(pick(record, "toolDefinitions", "tool_definitions"))
    if isinstance(tools, Mapping):
        tools = [opened(tool) for tool in tools.values()]
    if not isinstance(tools, list) or not tools or question.tools:
        return question
    return Asked(question.prompt, question.messages, [opened(tool) for tool in tools])


def _fill(row: Row, record: Mapping[str, Any]) -> None:
    usage = mapping(pick(record, "usageDetails", "usage_details")) or mapping(record.get("usage"))
    row.prompt_tokens = _sum(usage, "input", "cache") or _sum(usage, "prompt")
    row.completion_tokens = _sum(usage, "output") or _sum(usage, "completion")
    if row.prompt_tokens is None:
        row.prompt_tokens = whole(pick(record, "promptTokens", "inputUsage", "prompt_tokens", "input_tokens"))
        row.completion_tokens = whole(
            pick(record, "completionTokens", "outputUsage", "completion_tokens", "output_tokens")
        )
    row.token_source = "api" if row.prompt_tokens is not None else None
    costs = mapping(pick(record, "costDetails", "cost_details"))
    total = number(pick(record, "totalCost", "total_cost", "calculatedTotalCost", "calculated_total_cost"))
    parts = number(costs.get("total")) or sum(number(value) or 0 for name, value in costs.items() if name != "total")
    row.cost_usd = total or parts or None  # 0 stands where Langfuse knows no price
    taken = seconds(pick(record, "startTime", "start_time"), pick(record, "endTime", "end_time"))
    row.latency_s = number(record.get("latency")) if taken is None else taken


def _sum(usage: Mapping[str, Any], *kinds: str) -> int | None:
    """Langfuse's kinds of tokens don't overlap: `input` and `input_cached_tokens` add up."""
    found = [
        count
        for name, value in usage.items()
        if name.lower().startswith(kinds) and "cost" not in name.lower() and (count := whole(value)) is not None
    ]
    return sum(found) if found else None


def _label(row: Row, record: Mapping[str, Any], trace: Mapping[str, Any]) -> None:
    label(row, record.get("metadata"), trace.get("metadata"))
    tag = first_tag(pick(record, "tags") or trace.get("tags"))
    name = pick(record, "traceName", "trace_name") or trace.get("name") or record.get("name")
    row.category = row.category or tag or text(name)


def _scored(row: Row, record: Mapping[str, Any], trace: Mapping[str, Any], notes: Notes) -> Row | Unusable:
    whose = str(pick(record, "id") or "")
    row.trace = str(pick(record, "traceId", "trace_id") or trace.get("id") or "") or None
    inside = [score for score in listed(trace.get("scores")) if isinstance(score, Mapping)]
    about = [score for score in inside if pick(score, "observationId", "observation_id") == whose]
    wide = [score for score in inside if pick(score, "observationId", "observation_id") is None]
    own: Scores = [*notes.scores.get(whose, []), *_scores(record.get("scores")), *map(_score, about)]
    around: Scores = [*notes.scores.get(row.trace or "", []), *map(_score, wide)]
    if isinstance(opened(trace.get("scores")), Mapping):
        around += _scores(trace["scores"])
    for scores, whole_trace in ((own, False), (around, True)):
        wanted = [(name, value) for name, value in scores if notes.score_name in (None, name)]
        if len({name for name, _ in wanted}) > 1:
            return Unusable("scores of several names (--score NAME chooses)")
        values = [value for _, value in wanted]
        if not values:
            continue
        if None in values:
            return Unusable(NO_SCORE)
        mean = sum(value for value in values if value is not None) / len(values)
        row.trace_score, row.score = (mean, row.score) if whole_trace else (None, mean)
        break
    return row


def _score(record: Mapping[str, Any]) -> tuple[str, float | None]:
    kind = str(pick(record, "dataType", "data_type")).upper()
    words = pick(record, "stringValue", "string_value")
    return str(record.get("name", "")), grade(words if kind in ("CATEGORICAL", "TEXT") and words else record["value"])


def _scores(value: Any) -> Scores:
    """Of one observation: a list of scores, or name -> value (the UI's export: name -> values)."""
    value = opened(value)
    if isinstance(value, Mapping):
        return [(name, grade(item)) for name, items in value.items() for item in listed(items) or [items]]
    return [_score(item) for item in listed(value) if isinstance(item, Mapping) and "value" in item]
