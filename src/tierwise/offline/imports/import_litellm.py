"""LiteLLM spend logs: the `/spend/logs` JSON, its UI's pages, or the table LiteLLM_SpendLogs as CSV or parquet.

The proxy keeps prompts and answers only where `store_prompts_in_spend_logs` is on; then the prompt is in
`proxy_server_request` (the client's body) more often than in `messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tierwise.offline.imports.chat import asked, opened, said, tokens
from tierwise.offline.imports.row import (
    Notes,
    Row,
    Unusable,
    exchange,
    first_tag,
    label,
    mapping,
    number,
    pick,
    seconds,
    whole,
)

_CHAT = ("completion", "responses", "anthropic_messages", "generate_content")
_CUT = "litellm_truncated"  # the marker in the middle of a text that was too long for its column
_REDACTED = "redacted-by-litellm"


def fits(record: Mapping[str, Any]) -> bool:
    return "request_id" in record and ("call_type" in record or "spend" in record)


def takes_note(record: Mapping[str, Any], notes: Notes) -> bool:
    return False


def rows(record: Mapping[str, Any], notes: Notes) -> Iterator[Row | Unusable]:
    metadata = mapping(record.get("metadata"))
    refused = _refused(record, metadata)
    if refused:
        yield Unusable(refused)
        return
    request = mapping(record.get("proxy_server_request")) or mapping(metadata.get("proxy_server_request"))
    body = mapping(request.get("body")) or request
    question = asked(opened(record.get("messages"))) or (asked(body) if body else None)
    reply = said(record.get("response"))
    problem = _problem(question.prompt if question else None, reply.response if reply else None)
    if problem:
        yield Unusable(problem)
        return
    yield _row(record, metadata, exchange(str(record["model"]), question, reply))


def _refused(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    if str(pick(record, "status") or pick(metadata, "status") or "success").lower() not in ("success", "200"):
        return "the call failed"
    kind = pick(record, "call_type")
    if kind and not any(part in str(kind) for part in _CHAT):
        return "not a chat call"
    if str(record.get("cache_hit")).lower() == "true":
        return "answered from the proxy's cache"
    return None if pick(record, "model") else "no model named"


def _problem(prompt: str | None, response: str | None) -> str | None:
    if prompt is None:
        return "no prompt in the log (the proxy's store_prompts_in_spend_logs is off)"
    if response is None:
        return "no answer in the log"
    if _REDACTED in prompt or _REDACTED in response:
        return "redacted by the proxy"
    if _CUT in prompt or _CUT in response:
        return "cut short by the proxy (its MAX_STRING_LENGTH_PROMPT_IN_DB is too small)"
    return None


def _row(record: Mapping[str, Any], metadata: Mapping[str, Any], row: Row) -> Row:
    inputs, outputs = tokens(mapping(record.get("response")).get("usage"))
    row.prompt_tokens = whole(record.get("prompt_tokens")) or inputs
    row.completion_tokens = whole(record.get("completion_tokens")) or outputs
    row.token_source = "api" if row.prompt_tokens is not None else None
    row.cost_usd = number(record.get("spend")) or None  # 0 is what the proxy writes where it knows no price
    row.latency_s = seconds(record.get("startTime"), record.get("endTime"))
    if row.latency_s is None and (ms := number(record.get("request_duration_ms"))) is not None:
        row.latency_s = ms / 1000
    row.provider = pick(record, "custom_llm_provider")
    label(row, metadata, metadata.get("requester_metadata"), metadata.get("spend_logs_metadata"))
    row.category = row.category or first_tag(record.get("request_tags"), skip=("User-Agent:",))
    return row
