"""OpenAI's own files and those shaped like them.

Stored completions (the list object, and the list of a completion's messages), outputs of evals, batch input and
output files, fine-tuning JSONL, and lines of a request and its response, by Chat Completions or Responses.
A stored completion and a batch output don't hold the prompt: it comes from the messages' list or the batch input,
given beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tierwise.offline.imports.chat import Asked, Said, asked, said, tokens
from tierwise.offline.imports.import_table import fill
from tierwise.offline.imports.row import (
    NO_SCORE,
    Notes,
    Row,
    Unusable,
    exchange,
    grade,
    label,
    listed,
    mapping,
    pick,
    text,
)

_MESSAGE_ID = re.compile(r"(chatcmpl-.+)-(\d+)")  # of a stored completion's message: whose, and its place


def fits(record: Mapping[str, Any]) -> bool:
    return (
        isinstance(record.get("choices"), list)
        or "custom_id" in record
        or str(record.get("object")) in ("eval.run.output_item", "response")
        or isinstance(record.get("messages"), list)
        or ("request" in record and "response" in record)
        or _MESSAGE_ID.fullmatch(str(record.get("id"))) is not None
    )


def takes_note(record: Mapping[str, Any], notes: Notes) -> bool:
    """A line of a batch input, or a message of a stored completion."""
    if "custom_id" in record and "body" in record and "response" not in record:
        question, ident = asked(record["body"]), str(record["custom_id"])
        known = notes.prompts.setdefault(ident, question)
        if known != question:
            notes.prompts[ident] = None
        return True
    message = _MESSAGE_ID.fullmatch(str(record.get("id")))
    if message and "role" in record and "choices" not in record:
        turn = {**record, "content": record.get("content_parts") or record.get("content")}
        notes.turns.setdefault(message[1], []).append((int(message[2]), turn))
        return True
    return False


def rows(record: Mapping[str, Any], notes: Notes) -> Iterator[Row | Unusable]:
    if record.get("object") == "eval.run.output_item":
        yield _graded(record, notes)
    elif "custom_id" in record:
        yield _batched(record, notes)
    elif "request" in record and "response" in record:
        yield _exchanged(record, asked(record["request"]), mapping(record["response"]) or record["response"])
    elif isinstance(record.get("choices"), list) or record.get("object") == "response":
        ident = str(record.get("id"))
        turns = [turn for _, turn in sorted(notes.turns.get(ident, ()), key=lambda item: item[0])]
        # A list of messages may end with the answer itself.
        while turns and turns[-1].get("role") == "assistant":
            turns.pop()
        yield _exchanged(record, asked(turns or _asked_in(record)), record)
    else:
        yield _tuned(record)


def _asked_in(record: Mapping[str, Any]) -> Any:
    return {name: record[name] for name in ("messages", "input", "instructions", "tools") if record.get(name)}


def _exchanged(record: Mapping[str, Any], question: Asked | None, body: Any) -> Row | Unusable:
    """`body` is the response; what else is known of the exchange stands in `record`."""
    reply = said(body)
    request = mapping(record.get("request"))
    inside: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    if inside.get("error") or record.get("error"):
        return Unusable("the call failed")
    model = pick(inside, "model") or pick(record, "model") or pick(request, "model")
    problem = _problem(question, reply, model)
    if problem:
        return Unusable(problem)
    row = exchange(str(model), question, reply)
    row.prompt_tokens, row.completion_tokens = tokens(pick(inside, "usage") or record.get("usage"))
    row.token_source = "api" if row.prompt_tokens is not None else None
    fill(row, record)
    return label(row, record.get("metadata"), inside.get("metadata"), request.get("metadata"))


def _problem(question: Asked | None, reply: Said | None, model: object) -> str | None:
    if question is None:
        return "no prompt (a stored completion's messages, or a batch's input file, must be given too)"
    if reply is None:
        return "no answer in the log"
    return None if model else "no model named"


def _batched(record: Mapping[str, Any], notes: Notes) -> Row | Unusable:
    response = mapping(record.get("response"))
    if record.get("error") or not str(response.get("status_code", 200)).startswith("2"):
        return Unusable("the call failed")
    ident = str(record["custom_id"])
    if ident in notes.prompts and notes.prompts[ident] is None:
        return Unusable("a custom_id of two different prompts")
    question = notes.prompts.get(ident) or asked(_asked_in(record))
    return _exchanged(record, question, response.get("body", response))


def _graded(record: Mapping[str, Any], notes: Notes) -> Row | Unusable:
    sample, item = mapping(record.get("sample")), mapping(record.get("datasource_item"))
    if sample.get("error"):
        error = mapping(sample["error"])
        if error.get("code") or error.get("message"):
            return Unusable("the call failed")
    body = {name: sample[name] for name in ("output", "finish_reason", "model", "usage") if name in sample}
    row = _exchanged({}, asked(sample.get("input")), body)
    if isinstance(row, Unusable):
        return row
    results = [result for result in listed(record.get("results")) if isinstance(result, Mapping)]
    results = [result for result in results if notes.score_name in (None, result.get("name"))]
    grades = [grade(pick(result, "score", "passed")) for result in results]
    if None in grades:
        return Unusable(NO_SCORE)
    row.score = sum(value for value in grades if value is not None) / len(grades) if grades else None
    row.reference = text(pick(item, "reference", "ground_truth", "expected", "ideal", "correct_label"))
    return label(row, item)


def _tuned(record: Mapping[str, Any]) -> Row | Unusable:
    """Messages that end with the answer, or have it beside them. Fine-tuning files name no model."""
    messages = listed(record.get("messages"))
    beside = pick(record, "response", "completion", "output")
    reply = said(beside)
    if beside is None:
        last = next((at for at, turn in enumerate(messages) if _is_last_turn(messages, at)), len(messages))
        reply, messages = said(messages[last:]), messages[:last]
    question = asked({**_asked_in(record), "messages": messages}) if messages else None
    if question is None or reply is None:
        return Unusable("no prompt in the log" if question is None else "no answer in the log")
    if "model" in record and not record["model"]:
        return Unusable("no model named")
    row = exchange(str(record.get("model", "")), question, reply)
    row.prompt_tokens, row.completion_tokens = tokens(record.get("usage"))
    row.token_source = "api" if row.prompt_tokens is not None else None
    fill(row, record)
    return label(row, record.get("metadata"))


def _is_last_turn(messages: list[Any], at: int) -> bool:
    return all(isinstance(turn, Mapping) and turn.get("role") == "assistant" for turn in messages[at:])
