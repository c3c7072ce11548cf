"""Inputs that every door reads well, and ways to spoil them: bytes, and values inside their JSON."""

from __future__ import annotations

import copy
import gzip
import random
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from backports import zstd

from tests.support.shapes import Anthropic, Embeddings, Json, Moderations, OpenAI, Responses, Script

PICTURE = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
CALL = {"id": "c1", "type": "function", "function": {"name": "track", "arguments": '{"id": 12345678901234567890}'}}
TOOL = {"name": "track", "description": "tracks", "parameters": SCHEMA, "strict": True}

CHAT: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hé\u2028"},
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "here"},
    ],
    "tools": [{"type": "function", "function": TOOL}],
    "tool_choice": {"type": "function", "function": {"name": "track"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 1,
    "max_tokens": 64,
    "temperature": 0.5,
    "top_p": 1,
    "stop": ["x"],
    "logprobs": False,
    "parallel_tool_calls": False,
}
RESPONSES: Json = {
    "model": "m",
    "instructions": "Be kind.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": PICTURE},
                {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
            ],
        },
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "track", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "output_text", "text": "here"}]},
    ],
    "tools": [{"type": "function", **TOOL}],
    "tool_choice": {"type": "function", "name": "track"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    "max_output_tokens": 64,
    "previous_response_id": None,
    "store": False,
}
MESSAGES: Json = {
    "model": "m",
    "max_tokens": 64,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                    "title": "a.pdf",
                },
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "c1", "name": "track", "input": {"id": 1}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "here"}]}],
        },
    ],
    "tools": [{"name": "track", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "track", "disable_parallel_tool_use": True},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "temperature": 0.5,
}
COMPLETIONS: Json = {
    "model": "m",
    "prompt": ["hi"],
    "max_tokens": 9,
    "stop": "x",
    "stream_options": {"include_usage": True},
}
MODERATED: Json = {
    "model": "m",
    "input": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
}
LINE: Json = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {**CHAT, "stream": False}}
FORM = (
    b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x\r\n'
    b'content-disposition: form-data; name="file"; filename="a%22.jsonl"\r\ncontent-type: application/jsonl\r\n\r\n'
    b"{}\n\r\n--x--\r\n"
)
VECTORS: Json = {"model": "m", "input": ["a", "b"], "encoding_format": "base64"}

ASKED: Json = {"model": "deepseek-1", "stream": True, "stream_options": {"include_usage": True}, "logprobs": True}
THINKING: Json = {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}
SAID = Script(text="Eins zwei drei.", reasoning="hm hm", cached_tokens=5, tool_calls=(("track", '{"id": 1}'),))
NOT = Script(status=400)


def seeds() -> list[tuple[int, Json | bytes]]:
    """(place among the targets, what it reads)."""
    openai = b"".join(event for event, _ in OpenAI.events(SAID, ASKED, "a1"))
    anthropic = b"".join(event for event, _ in Anthropic.events(SAID, ASKED, "a1"))
    body = msgspec.json.encode(CHAT)
    read = (CHAT, RESPONSES, COMPLETIONS, VECTORS, MESSAGES, MESSAGES)
    whole = (OpenAI.whole(SAID, ASKED, "a1"), Anthropic.whole(SAID, ASKED, "a1"), Embeddings.whole(SAID, VECTORS, "a1"))
    refused = tuple(b"\0" + msgspec.json.encode(dialect.error(NOT, "a1")) for dialect in (OpenAI, Anthropic))
    packed = (gzip.compress(body), zlib.compress(body), zstd.compress(body))
    responses = b"".join(event for event, _ in Responses.events(SAID, THINKING, "a1"))
    said = Responses.whole(SAID, THINKING, "a1")
    late = (said, responses, said, MODERATED, Moderations.whole(SAID, MODERATED, "a1"), FORM, LINE)
    return list(enumerate((*read, *whole, openai, anthropic, *refused, *packed, *late)))


ODD: tuple[Any, ...] = (
    None, True, "", "x", "null", "\U0001f600", "\0", 0, -1, 1 << 63, 1 << 70, 1e308, -0.0, [], {}, [[]], [None],
    {"": {}},
    "text", "function", "tool_use", "tool_result", "custom", "image", "input_image", "file", "assistant", "json_schema",
)  # fmt: skip
PIECES = (
    b"\n\n", b"\r", b"data: ", b"event: error\n", b"[DONE]", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"null",
    b"1e999", b"\xff", b"\xc3", b":", b",", b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b"\0",
)  # fmt: skip


def spoilt(seed: Json | bytes, draw: random.Random) -> bytes:
    """The seed with one to three things wrong."""
    data = seed
    for _ in range(draw.randint(1, 3)):
        if isinstance(data, dict) and draw.random() < 0.8:
            data = copy.deepcopy(data)
            _exchange(data, draw)
        else:
            data = _scratch(data if isinstance(data, bytes) else msgspec.json.encode(data), draw)
    return data if isinstance(data, bytes) else msgspec.json.encode(data)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _exchange(data: Json, draw: random.Random) -> None:
    places = list(_places(data))
    inside, key = draw.choice(places)
    other, where = draw.choice(places)
    roll = draw.random()
    if roll < 0.6:
        inside[key] = copy.deepcopy(draw.choice(ODD))
    elif roll < 0.8:
        inside[key] = copy.deepcopy(other[where])
    else:
        del inside[key]
        if not data:
            data["model"] = "m"


def _scratch(data: bytes, draw: random.Random) -> bytes:
    start = draw.randint(0, len(data))
    end = min(len(data), start + draw.choice((0, 1, 4, 40)))
    here = draw.randint(0, len(data))
    middle = draw.choice((b"", bytes([draw.randrange(256)]), draw.choice(PIECES), data[here : here + 60]))
    return data[:start] + middle + data[end:]


def inputs(count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` inputs for `doors.feed`, the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311  chance, no secret
    known = seeds()
    for number in range(count):
        target, good = known[number % len(known)]
        yield bytes([target]) + spoilt(good, draw)
