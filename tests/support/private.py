"""Personal data that must not be kept anywhere: canaries of every type, requests with them, and who looks for them.

Point `session` at a gateway: with `prepare` the test masks what it sends, as the gateway itself does where its screens
are on (then `prepare` changes nothing). Then `leaks` of every file, log line, metric and body that it leaves.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.gateway.harness import Gateway

CANARIES = {
    "name": "Barbara Yudina",
    "address": "14 Crown Street",
    "email": "barbara.canary@example.com",
    "phone": "+49 30 90182014",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "national_id": "514-69-0360",
    "ip": "192.168.10.254",
    "secret": "sk-" + "proj-" + "A1b2C3d4E5f6G7h8I9j0",
}
WORDS = (
    "Please send it to {name}, {address}, LONDON, or write to {email}, or call {phone}. Pay with card {card} or from "
    "{iban}. My SSN is {national_id}, I am at {ip} and my key is {secret} ."
).format(**CANARIES)
ARGUMENTS = json.dumps({"to": CANARIES["email"], "note": f'"{CANARIES["iban"]}"'})
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": WORDS},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": ARGUMENTS}}]},
    {"role": "tool", "tool_call_id": "c1", "content": f"sent to {CANARIES['email']}"},
]  # fmt: skip
USED: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": WORDS}]},
    {"role": "assistant", "content": [
        {"type": "tool_use", "id": "c1", "name": "mail", "input": {"to": CANARIES["email"]}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": CANARIES["phone"]}]},
]  # fmt: skip
ASKED: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": CALLED, "user": CANARIES["email"]},
    "/completions": {"prompt": WORDS, "max_tokens": 50},
    "/messages": {"messages": USED, "max_tokens": 50, "system": WORDS},
    "/responses": {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": WORDS}]}],
        "instructions": WORDS,
    },
}


def leaks(raw: bytes | str) -> list[str]:
    """The types of canaries that are in it, however they are spelt: in JSON, an address or base64, without blanks."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    small, plain = text.lower(), re.sub(r"[\s\\.-]", "", text).lower()
    return [
        kind
        for kind, value in CANARIES.items()
        if any(spelt.lower() in small for spelt in _spellings(value)) or re.sub(r"[\s.-]", "", value).lower() in plain
    ]


def _spellings(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield quote(value)
    yield value.encode().hex()
    for start in range(3):  # wherever it stands in a text that is encoded
        yield base64.b64encode(b" " * start + value.encode()).decode()[4 : -4 or None]


def kept(folder: Path) -> dict[str, list[str]]:
    """What leaks of each file that a gateway has left in its folder, journals and all; files that leak nothing too."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".toml", ".shm")]
    return {path.name: leaks(path.read_bytes()) for path in files}


async def session(gateway: Gateway, prepare: Callable[[bytes], bytes]) -> list[bytes]:
    """Every wire, whole and streamed, answered, refused and broken; the bodies that came back."""
    bodies = []
    for path, asked in ASKED.items():
        for model in ("support", "premium", "nobody"):
            for stream in (False, True):
                raw = prepare(json.dumps({"model": model, "stream": stream, **asked}).encode())
                bodies.append(await _sent(gateway, path, raw))
        wrong = {**asked, "model": "support", "temperature": WORDS, "metadata": {"user_id": CANARIES["email"]}}
        bodies.append(await _sent(gateway, path, prepare(json.dumps(wrong).encode())))
    bodies.append(await _sent(gateway, "/chat/completions", json.dumps({"messages": WORDS}).encode()[:-1]))
    async with gateway.http.get(gateway.url.removesuffix("/v1") + "/metrics", headers=gateway.headers()) as reply:
        assert reply.status == 200
        bodies.append(await reply.read())
    return bodies


async def _sent(gateway: Gateway, path: str, raw: bytes) -> bytes:
    headers = gateway.headers(content_type="application/json")
    async with gateway.http.post(gateway.url + path, data=raw, headers=headers) as reply:
        return await reply.read()
