"""One row on its way into the outcomes, and how the values of any log are read: numbers, grades, times, labels.

Knows no log format. A value that can't be read is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from tierwise.offline.imports.chat import Asked, Said, opened

NO_SCORE = "a score that is not from 0 to 1"


@dataclass(slots=True, kw_only=True)
class Row:
    """`query_id` None: made of the prompt. `trace`: what `trace_score` was given for, where that may be several rows.

    `provider` None: not known; it decides whose list price a cost is computed by.
    """

    model: str
    query_id: str | None = None
    bench: str | None = None
    category: str | None = None
    prompt: str | None = None
    response: str | None = None
    answer: str | None = None
    reference: str | None = None
    score: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    token_source: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    provider: str | None = None
    trace: str | None = None
    trace_score: float | None = None
    refused: str | None = None  # why the row can't be used after all

    def rate(self, value: Any) -> None:
        """Take `value` as the score where there is none yet; a value that is no score refuses the row."""
        if self.score is None and value is not None:
            self.score = grade(value)
            self.refused = NO_SCORE if self.score is None else self.refused


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a record gives no row; the reason is counted and shown, so it holds nothing of the record."""

    reason: str


@dataclass(slots=True)
class Notes:
    """What one file says about the rows of another, by the id that they share; and which scores are wanted."""

    score_name: str | None = None
    prompts: dict[str, Asked | None] = field(default_factory=dict)  # None: two prompts with one id
    turns: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    scores: dict[str, list[tuple[str, float | None]]] = field(default_factory=dict)


def exchange(model: str, question: Asked | None, reply: Said | None) -> Row:
    """A row of what was asked and said, with what the columns have no place for in `extra`."""
    row = Row(model=model)
    if question:
        row.query_id, row.prompt = question.query_id, question.prompt
        extra = {"messages": question.messages, "tools": question.tools}
        row.extra.update({name: value for name, value in extra.items() if value})
    if reply:
        row.response = reply.response
        row.extra.update({name: value for name, value in (("finish", reply.finish), ("text", reply.text)) if value})
    return row


def pick(record: Mapping[str, Any], *names: str) -> Any:
    """The first of these that holds something; empty text counts as nothing."""
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, be it as text or as the list of pairs that parquet makes of one; empty where it is none."""
    value = opened(value)
    if isinstance(value, list) and all(isinstance(item, Mapping) and "key" in item for item in value):
        return {str(item["key"]): item.get("value") for item in value}
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """A list, be it as JSON text; empty where it is none."""
    value = opened(value)
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else str(value)


def number(value: Any) -> float | None:
    """Finite and not negative."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else round(found)


_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "correct", "right", "pass", "passed", "good", "thumbs_up"), 1.0),
    **dict.fromkeys(("false", "no", "n", "incorrect", "wrong", "fail", "failed", "bad", "thumbs_down"), 0.0),
}


def grade(value: Any) -> float | None:
    """A score from 0 to 1, or a word that means one of the two; None for everything else."""
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    found = number(value)
    return found if found is not None and found <= 1 else None


def seconds(start: Any, end: Any) -> float | None:
    """Between two times: datetimes, ISO 8601 text, or Unix seconds."""
    first, last = _moment(start), _moment(end)
    return None if first is None or last is None or last < first else round(last - first, 6)


def _moment(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return number(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return number(value)


def label(row: Row, *sources: Any) -> Row:
    """Fill what is still unknown from metadata: `score`, `category`, `query_id`, `reference`."""
    for source in map(mapping, sources):
        row.rate(source.get("score"))
        row.category = row.category or text(source.get("category"))
        row.query_id = text(source.get("query_id")) or row.query_id
        row.reference = row.reference or text(source.get("reference"))
    return row


def first_tag(tags: Any, skip: Iterable[str] = ()) -> str | None:
    return next((tag for tag in map(str, filter(None, listed(tags))) if not tag.startswith(tuple(skip))), None)
