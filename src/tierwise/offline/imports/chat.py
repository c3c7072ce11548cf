"""What was asked and what was said, out of the shapes that logs keep them in.

Reads chat messages, Responses input and output, Anthropic content blocks, text completions, and plain text. Reads
leniently, because a log is what it is; the wire is read strictly, in `dialects`. Knows no log format.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

_INSTRUCTIONS = ("system", "developer")
_CALLS = ("function_call", "tool_use")
_ITEMS = (*_CALLS, "message", "text", "output_text", "reasoning", "thinking", "function_call_output")
_ENCODE = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Asked:
    """`prompt` is the whole conversation as text. `messages` is None where that is one question and nothing else."""

    prompt: str
    messages: list[dict[str, Any]] | None = None
    tools: list[Any] | None = None

    @property
    def query_id(self) -> str:
        """The same for the same conversation and names of tools; spacing and the form of letters don't count."""
        messages = self.messages or [{"role": "user", "content": self.prompt}]
        turns = [(turn["role"], " ".join(unicodedata.normalize("NFC", _plain(turn)).split())) for turn in messages]
        seen = _ENCODE([turns, sorted(_tool_names(self.tools or []))])
        return f"q-{hashlib.sha256(seen).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True)
class Said:
    """`response` is the text, or the tool calls as `[{"name": "arguments"}]`; `text` is what came with the calls."""

    response: str
    finish: str | None = None
    text: str = ""


def opened(value: Any) -> Any:
    """JSON inside text, as CSV cells and database columns hold it; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def asked(value: Any) -> Asked | None:
    """A prompt, a list of messages, or the body of a request; None where there is nothing in it."""
    shape = _shape(value, ("messages", "input", "prompt"))
    if shape is None:
        text = _as_text(value)
        return Asked(text) if text.strip() else None
    if isinstance(shape, list):
        return _conversation(shape, None)
    tools = opened(shape.get("tools") or shape.get("functions")) or None
    body = next((opened(shape[name]) for name in ("messages", "input", "prompt") if shape.get(name)), None)
    if body is None:
        return _conversation([shape], None) if shape.get("role") else None
    turns = body if isinstance(body, list) else [{"role": "user", "content": body}]
    before = shape.get("system") or shape.get("instructions")
    if before:
        turns = [{"role": "system", "content": before}, *turns]
    return _conversation(turns, tools if isinstance(tools, list) else None)


_WRAPPERS = ("output", "message", "generated_text", "completion", "response")


def said(value: Any) -> Said | None:
    """An answer's text, message, list of output items or whole response body; None where there is nothing in it.

    JSON that is none of these is itself the answer: models that are asked for JSON give it.
    """
    shape = _shape(value, ("choices", "content", *_WRAPPERS))
    if shape is None:
        text = _as_text(value)
        return Said(text) if text.strip() else None
    if isinstance(shape, list):
        return _joined(shape, None)
    if isinstance(shape.get("choices"), list):
        choice = next((item for item in shape["choices"] if isinstance(item, Mapping)), {})
        return _joined([choice.get("message") or choice], choice.get("finish_reason"))
    for name in _WRAPPERS:
        if shape.get(name):
            inner = said(shape[name])
            return inner and Said(inner.response, inner.finish or _finish(shape), inner.text)
    return _joined([shape], _finish(shape))


def _shape(value: Any, keys: tuple[str, ...]) -> Any:
    """The JSON structure of a known shape that `value` is, or holds as text; None where it is something else.

    Text may hold any JSON that a person or a model wrote, so it has to name a role or its object to be a structure.
    """
    inner = opened(value)
    items = inner if isinstance(inner, list) else [inner]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    marked = all("role" in item or item.get("type") in _ITEMS for item in items)
    if isinstance(inner, list):
        return inner if marked else None
    if isinstance(value, str):
        whole = any(isinstance(inner.get(name), list) for name in ("choices", "messages"))
        return inner if marked or whole or inner.get("object") == "response" else None
    return inner if marked or any(name in inner for name in keys) else None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return _ENCODE(value).decode() if value else ""


def tokens(usage: Any) -> tuple[int | None, int | None]:
    """(input, output) tokens of a `usage` object. What a cache gave is part of the input."""
    usage = opened(usage)
    if not isinstance(usage, Mapping):
        return None, None
    given = {name: int(value) for name, value in usage.items() if isinstance(value, int | float) and value >= 0}
    inputs = given.get("prompt_tokens", given.get("input_tokens"))
    if inputs is not None and "prompt_tokens" not in given:  # Anthropic counts what a cache gave apart
        inputs += given.get("cache_read_input_tokens", 0) + given.get("cache_creation_input_tokens", 0)
    return inputs, given.get("completion_tokens", given.get("output_tokens"))


# ------------------------------------------------------------------ conversations


def _conversation(turns: Iterable[Any], tools: list[Any] | None) -> Asked | None:
    messages = [_message(turn) for turn in turns if isinstance(turn, Mapping | str)]
    messages = [turn for turn in messages if turn["content"].strip() or turn.get("tool_calls")]
    if not messages:
        return None
    if len(messages) == 1 and messages[0]["role"] == "user":
        return Asked(messages[0]["content"], None, tools)
    flat = all(turn["role"] in _INSTRUCTIONS or turn["role"] == "user" for turn in messages)
    texts = (_plain(turn) if flat else f"{turn['role']}: {_plain(turn)}" for turn in messages)
    return Asked("\n\n".join(texts), messages, tools)


def _message(turn: Mapping[str, Any] | str) -> dict[str, Any]:
    if isinstance(turn, str):
        return {"role": "user", "content": turn}
    kind = turn.get("type")
    role = str(
        turn.get("role") or {"function_call": "assistant", "function_call_output": "tool"}.get(str(kind), "user")
    )
    message: dict[str, Any] = {"role": role, "content": _text(turn.get("content", turn.get("output")))}
    calls = list(_calls([turn]))
    if calls:
        message["tool_calls"] = [
            {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}
            for ident, name, arguments in calls
        ]
    answered = turn.get("tool_call_id") or (turn.get("call_id") if kind == "function_call_output" else None)
    return {**message, "tool_call_id": str(answered)} if answered else message


def _plain(turn: Mapping[str, Any]) -> str:
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in turn.get("tool_calls", ())]
    return "\n".join(part for part in (turn["content"].strip(), *calls) if part)


def _tool_names(tools: Iterable[Any]) -> Iterator[str]:
    for tool in tools:
        if isinstance(tool, Mapping):
            inner = tool.get("function")
            yield str((inner if isinstance(inner, Mapping) else tool).get("name", ""))


# ------------------------------------------------------------------ content


def _text(content: Any) -> str:
    """Text parts joined; of another part (a picture, a file) its kind and a digest, so that two of them differ."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "\n".join(text for text in map(_part, parts) if text)


def _part(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    kind = str(part.get("type", ""))
    if isinstance(part.get("text"), str):
        return str(part["text"])
    if kind in _CALLS or kind in ("thinking", "reasoning", "redacted_thinking"):
        return ""
    if kind == "tool_result":
        return _text(part.get("content"))
    if kind == "refusal":
        return str(part.get("refusal", ""))
    return f"[{kind or 'data'} {hashlib.sha256(_ENCODE(part)).hexdigest()[:8]}]"


def _calls(items: Iterable[Any]) -> Iterator[tuple[str, str, str]]:
    """(id, name, arguments) of every tool call in messages, output items or content blocks."""
    for item in items:
        if not isinstance(item, Mapping):
            continue
        if item.get("type") in _CALLS:
            yield _call(item, item)
        calls = opened(item.get("tool_calls"))
        old = [{"function": item["function_call"]}] if isinstance(item.get("function_call"), Mapping) else []
        for call in map(opened, [*(calls if isinstance(calls, list) else []), *old]):
            if isinstance(call, Mapping):
                function = call.get("function")
                yield _call(call, function if isinstance(function, Mapping) else call)
        if isinstance(item.get("content"), list):
            yield from _calls(item["content"])


def _call(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> tuple[str, str, str]:
    arguments = next((inner[name] for name in ("arguments", "input", "args") if name in inner), "{}")
    text = arguments if isinstance(arguments, str) else _ENCODE(arguments).decode()
    return str(outer.get("call_id") or outer.get("id") or ""), str(inner.get("name", "")), text


def _joined(items: list[Any], finish: Any) -> Said | None:
    """Messages, output items or content blocks of one answer; of a conversation the last turns, all the model's."""
    items = [item for item in items if not (isinstance(item, Mapping) and item.get("type") == "reasoning")]
    roles = [item.get("role") if isinstance(item, Mapping) else None for item in items]
    last = max((at for at, role in enumerate(roles) if role not in (None, "assistant", "model", "ai")), default=-1)
    items = items[last + 1 :]
    calls = [{name: arguments} for _, name, arguments in _calls(items)]
    text = "\n".join(part for part in map(_spoken, items) if part)
    done = str(finish) if finish else None
    if calls:
        return Said(_ENCODE(calls).decode(), done or "tool_calls", text)
    return Said(text, done) if text.strip() else None


def _spoken(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    if "content" in item:
        return _text(item["content"]) or str(item.get("refusal") or "")
    return _part(item) if item.get("type") or isinstance(item.get("text"), str) else ""


def _finish(body: Mapping[str, Any]) -> str | None:
    named = body.get("finish_reason") or body.get("stop_reason") or body.get("done_reason")
    if not named and body.get("status") == "incomplete":
        return "length"
    words = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
    return words.get(str(named), str(named)) if named else None
