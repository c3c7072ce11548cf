"""Plain tables: CSV, parquet or JSON lines with the columns of the outcomes, under their own or other usual names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tierwise.offline.imports.chat import Asked, asked, opened
from tierwise.offline.imports.row import Notes, Row, Unusable, exchange, mapping, number, pick, text, whole

ALIASES: Mapping[str, tuple[str, ...]] = {
    "bench": ("bench", "benchmark", "dataset"),
    "query_id": ("query_id", "question_id", "prompt_id", "example_id", "sample_id", "task_id"),
    "category": ("category", "subject", "topic", "task", "tag", "route"),
    "prompt": ("prompt", "question", "input", "instruction", "query", "messages"),
    "model": ("model", "model_name", "model_id", "generator"),
    "response": ("response", "output", "completion", "generation", "model_output"),
    "answer": ("answer", "parsed_answer", "extracted_answer", "prediction", "pred"),
    "reference": ("reference", "gold", "ground_truth", "expected", "target", "ideal", "correct_answer"),
    "score": ("score", "label", "correct", "is_correct", "passed", "accuracy", "grade", "reward"),
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
    "cost_usd": ("cost_usd", "cost", "total_cost", "totalCost", "spend"),
    "latency_s": ("latency_s", "latency", "duration_s", "latency_ms", "duration_ms"),
    "token_source": ("token_source",),
    "extra": ("extra",),
    "tools": ("tools", "functions"),
    "provider": ("provider",),
}
KNOWN = frozenset(name for names in ALIASES.values() for name in names)


def fits(record: Mapping[str, Any]) -> bool:
    has = {column for column, names in ALIASES.items() if any(name in record for name in names)}
    return bool(has & {"prompt", "query_id"} and has & {"response", "score"})


def takes_note(record: Mapping[str, Any], notes: Notes) -> bool:
    return False


def rows(record: Mapping[str, Any], notes: Notes) -> Iterator[Row | Unusable]:
    asked_for = _get(record, "prompt")
    question = asked(asked_for) if asked_for is not None else None
    tools = opened(_get(record, "tools"))
    if question and isinstance(tools, list):
        question = Asked(question.prompt, question.messages, tools)
    row = exchange(str(_get(record, "model") or ""), question, None)
    response = next((record[name] for name in ALIASES["response"] if record.get(name) is not None), None)
    row.response = response if isinstance(response, str) else text(response)  # an empty answer is one
    fill(row, record)
    if row.query_id is None:
        yield Unusable("neither a prompt nor a query_id")
    elif row.response is None and _get(record, "score") is None:
        yield Unusable("neither a response nor a score")
    elif not row.model and any(name in record for name in ALIASES["model"]):
        yield Unusable("no model named")
    else:
        yield row


def fill(row: Row, record: Mapping[str, Any]) -> None:
    """Every column but prompt, model and response, where the record has it and the row not yet."""
    for name in ("bench", "category", "answer", "reference", "token_source", "provider"):
        if getattr(row, name) is None:
            setattr(row, name, text(_get(record, name)))
    row.query_id = text(_get(record, "query_id")) or row.query_id
    row.rate(_get(record, "score"))
    row.prompt_tokens = _first(row.prompt_tokens, whole(_get(record, "prompt_tokens")))
    row.completion_tokens = _first(row.completion_tokens, whole(_get(record, "completion_tokens")))
    row.cost_usd = number(_get(record, "cost_usd")) if row.cost_usd is None else row.cost_usd
    row.latency_s = _latency(record) if row.latency_s is None else row.latency_s
    row.extra = {**mapping(record.get("extra")), **row.extra}


def _get(record: Mapping[str, Any], column: str) -> Any:
    return pick(record, *ALIASES[column])


def _first(old: int | None, new: int | None) -> int | None:
    return new if old is None else old


def _latency(record: Mapping[str, Any]) -> float | None:
    ms = number(pick(record, "latency_ms", "duration_ms"))
    return number(pick(record, "latency_s", "latency", "duration_s")) if ms is None else ms / 1000
