"""What a reply says of itself in its body, where it is asked to: in every dialect, whole and streamed."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.gateway.harness import CONFIG, GOOD, REFUSAL, Gateway, by_model, running
from tests.support.shapes import Script

CLAUDE = """
[models.claude]
provider = "anthropic"
base_url = "{url}/v1"
model = "claude-1"
price = {{ input = 3, output = 15 }}
limits = {{ connect = 1, first_token = 1, idle = 1, total = 20 }}
"""
EXPLAIN, COST = {"x-tierwise-explain": "true"}, {"x-tierwise-cost": "true"}
HI = [{"role": "user", "content": "hi"}]
DOORS: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": HI},
    "/completions": {"prompt": "hi", "max_tokens": 500},
    "/responses": {"input": "hi"},
    "/messages": {"messages": HI, "max_tokens": 500},
}
SCRIPTS = (*by_model(Script(text=REFUSAL)), Script(text=GOOD))
SPENT = 20 * 1000 + 9 * 2000 + 20 * 10_000 + 12 * 20_000  # a refused draft, and premium's answer
BASE = 20 * 10_000 + 12 * 20_000


class Said(NamedTuple):
    status: int
    raw: bytes
    headers: Any

    @property
    def events(self) -> list[tuple[str, Any]]:
        """(name or "", JSON) of a stream's events, without the end marker."""
        blocks = [block for block in self.raw.decode().split("\n\n") if block and not block.endswith("[DONE]")]
        found = [re.fullmatch(r"(?:event: (\S+)\n)?data: (.*)", block, re.DOTALL) for block in blocks]
        return [(each[1] or "", decoded(each[2])) for each in found if each]


def decoded(text: str | bytes) -> Any:
    """Numbers as they are written."""
    return msgspec.json.Decoder(float_hook=Decimal).decode(text)


async def ask(gate: Gateway, path: str, headers: dict[str, str], model: str = "support", **more: Any) -> Said:
    body = DOORS[path] | {"model": model} | more
    async with gate.http.post(gate.url + path, json=body, headers=gate.headers() | headers) as reply:
        return Said(reply.status, await reply.read(), reply.headers)


def plain(said: bytes) -> bytes:
    """Without what is of the moment: ids, times, milliseconds."""
    said = re.sub(rb"(req_|msg_|req-)[0-9a-f]+", rb"\1", said)
    return re.sub(rb'"(created|created_at|completed_at)":[0-9]+', rb'"\1":0', said)


def carrier(path: str, said: Said, stream: bool) -> Any:
    """Where a reply has its usage."""
    if not stream:
        return decoded(said.raw)
    name, last = said.events[-2 if path == "/messages" else -1]
    assert name == {"/messages": "message_delta", "/responses": "response.completed"}.get(path, "")
    return last["response"] if path == "/responses" else last


def stripped(body: Any) -> Any:
    """Without what was asked for."""
    body = {name: value for name, value in body.items() if name != "tierwise"}
    added = ("cost", "baseline_cost", "cost_details")
    if isinstance(body.get("usage"), dict):
        body["usage"] = {name: value for name, value in body["usage"].items() if name not in added} or None
    return body


@pytest.mark.parametrize("model", ["support", "claude"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", DOORS)
async def test_in_every_dialect(tmp_path: Path, path: str, stream: bool, model: str) -> None:
    """What is added is right, and all else is as it is without it; where nobody asks nothing is added."""
    async with running(tmp_path, SCRIPTS, config=CONFIG + CLAUDE) as gate:
        usage = {"stream_options": {"include_usage": True}} if stream and "completions" in path else {}
        bare = await ask(gate, path, {}, model, stream=stream, **usage)
        full = await ask(gate, path, EXPLAIN | COST, model, stream=stream, **usage)
        assert b"tierwise" not in bare.raw
        assert b'"cost"' not in bare.raw
        assert (bare.status, full.status) == (200, 200)
        found = carrier(path, full, stream)
        record = await gate.record(full.headers["x-request-id"])
        cost = Decimal(record.nanos).scaleb(-9)
        told = found["usage"]
        assert (told["cost"], told["baseline_cost"]) == (cost, Decimal(record.baseline_nanos).scaleb(-9))
        assert (found["tierwise"]["cost_usd"], found["tierwise"]["route"]) == (cost, record.route)
        assert found["tierwise"]["request_id"] == record.request_id
        if stream:
            assert [name for name, _ in bare.events] == [name for name, _ in full.events]
            assert full.raw.endswith(b"data: [DONE]\n\n") == bare.raw.endswith(b"data: [DONE]\n\n") == ("comp" in path)
            before = msgspec.json.encode([stripped(event) for _, event in bare.events])
            clean = [stripped(event) for _, event in full.events]
            for event in clean:
                if "response" in event:
                    event["response"] = stripped(event["response"])
            assert decoded(plain(msgspec.json.encode(clean))) == decoded(plain(before))
        else:
            same = msgspec.json.encode(stripped(found))
            assert decoded(plain(same)) == decoded(plain(bare.raw))


async def test_the_decision(tmp_path: Path) -> None:
    """Every model's step with its rule and its checks, every call with its price; no text of anybody."""
    async with running(tmp_path, SCRIPTS) as gate:
        said = await ask(gate, "/chat/completions", EXPLAIN)
        told = decoded(said.raw)["tierwise"]
        draft, final = told["steps"]
        assert (draft["model"], draft["action"], draft["rule"], draft["score"]) == (
            "cheap",
            "escalate",
            "check:refusal",
            0,
        )
        checks = {each["check"]: each["passed"] for each in draft["evidence"]}
        assert (checks["refusal"], checks["finish"], checks["json"]) == (False, True, None)
        assert all(set(each) == {"check", "passed", "value"} for each in draft["evidence"])
        assert (final["model"], final["action"], final["rule"]) == ("premium", "serve", "escalated:check:refusal")
        assert (told["model"], told["route"], told["certificate"]) == ("premium", "support", "none")
        assert told["decision"]["rule"] == said.headers["x-tierwise-decision"]
        first, second = told["attempts"]
        assert (first["model"], first["role"], first["outcome"], first["rule"]) == (
            "cheap",
            "draft",
            "rejected",
            "check:refusal",
        )
        assert (first["input_tokens"], first["output_tokens"], first["cost_usd"]) == (20, 9, Decimal("0.000038"))
        assert (second["model"], second["outcome"], second["cost_usd"], second["cost_state"]) == (
            "premium", "served", Decimal(BASE).scaleb(-9), "computed",
        )  # fmt: skip
        assert 0 <= second["first_ms"] <= second["total_ms"]
        assert (told["cost_usd"], told["baseline_usd"]) == (Decimal(SPENT).scaleb(-9), Decimal(BASE).scaleb(-9))
        raw = msgspec.json.encode(told, enc_hook=str).decode()
        assert REFUSAL[:10] not in raw
        assert GOOD[:10] not in raw
        assert "usage" not in told
        assert b'"cost"' not in said.raw


async def test_the_cost_is_exact(tmp_path: Path) -> None:
    """To the nano-dollar, as a number; what served, and what went into it besides."""
    async with running(tmp_path, SCRIPTS) as gate:
        said = await ask(gate, "/chat/completions", COST)
        assert b'"cost":0.000478000,' in said.raw
        assert decoded(said.raw)["usage"]["cost_details"] == {
            "served_cost": Decimal(BASE).scaleb(-9),
            "other_cost": Decimal("0.000038"),
            "cost_state": "computed",
        }
        assert b"tierwise" not in said.raw


async def test_the_least_sure_state_is_told(tmp_path: Path) -> None:
    """Of what a provider did not count the cost is estimated, and so is the sum."""
    draft = Script(text=REFUSAL, no_usage=True)
    async with running(tmp_path, by_model(draft)) as gate:
        told = decoded((await ask(gate, "/chat/completions", COST)).raw)["usage"]
        assert told["cost_details"]["cost_state"] == "estimated"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/responses"])
async def test_as_openrouter_has_it(tmp_path: Path, path: str, stream: bool) -> None:
    """`usage: {"include": true}` is for us, and goes no further; a stream then has its usage too."""
    async with running(tmp_path, SCRIPTS) as gate:
        said = await ask(gate, path, {}, stream=stream, usage={"include": True})
        found = carrier(path, said, stream)
        assert (found["usage"]["cost"], "tierwise" in found) == (Decimal(SPENT).scaleb(-9), False)
        assert found["usage"].get("total_tokens") == 32
        assert all("usage" not in request.body for request in gate.upstream.requests)


async def test_somebody_else_s_usage(tmp_path: Path) -> None:
    """What is not this is a field that nobody here reads: it goes on, and nothing is added."""
    async with running(tmp_path, SCRIPTS) as gate:
        for usage in ({"include": False}, {"x": 1}, "much", None):
            gate.upstream.requests.clear()
            said = await ask(gate, "/chat/completions", {}, "cheap", usage=usage)
            assert b'"cost"' not in said.raw
            assert gate.upstream.requests[0].body["usage"] == usage
        said = await ask(gate, "/messages", {}, usage={"include": True})
        assert b'"cost"' not in said.raw


async def test_a_header_that_is_neither(tmp_path: Path) -> None:
    """400 that names it; false is as if it were not there."""
    async with running(tmp_path, SCRIPTS) as gate:
        for header in ("x-tierwise-explain", "x-tierwise-cost"):
            said = await ask(gate, "/chat/completions", {header: "yes"})
            assert (said.status, decoded(said.raw)["error"]["param"]) == (400, header)
            said = await ask(gate, "/chat/completions", {header: "false"})
            assert (said.status, b"tierwise" in said.raw, b'"cost"' in said.raw) == (200, False, False)


async def test_a_provider_s_body_keeps_its_bytes(tmp_path: Path) -> None:
    """But for white space between its members: its numbers, its escapes, and its own `cost`, which ours replaces."""
    body = (
        b'{ "id":"x", "big":18446744073709551616, "choices":[{"index":0,"message":{"role":"assistant","content":'
        b'"a\\u00e9  b"},"finish_reason":"stop", "z":1e-05}], '
        b'"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.25,"q":[ 1]} }'
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with running(tmp_path, [Script(raw=head + body)]) as gate:
        assert (await ask(gate, "/chat/completions", {}, "cheap")).raw == body
        said = await ask(gate, "/chat/completions", COST, "cheap")
        start = body.replace(b" ", b"", 1).replace(b', "', b',"', 2).split(b', "usage"')[0]
        assert said.raw.startswith(
            start + b',"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.250000000,"q":[ 1],'
        )
        assert decoded(said.raw)["usage"]["cost_details"]["cost_state"] == "provider_reported"


async def test_without_a_usage_of_the_provider(tmp_path: Path) -> None:
    """The cost stands alone, in a stream too."""
    async with running(tmp_path, by_model(Script(text=GOOD, no_usage=True))) as gate:
        for stream in (False, True):
            said = await ask(gate, "/chat/completions", COST, "cheap", stream=stream)
            record = await gate.record(said.headers["x-request-id"])
            found = carrier("/chat/completions", said, stream)
            assert found["usage"]["cost"] == Decimal(record.nanos).scaleb(-9)
            assert found["usage"]["cost_details"]["cost_state"] == "estimated"


@pytest.mark.parametrize("path", DOORS)
async def test_a_stream_flows_all_the_same(tmp_path: Path, path: str) -> None:
    """Its text goes out as it comes: only its end waits until it is known what it has cost."""
    script = Script(text=" word" * 20, gap=0.03)
    async with running(tmp_path, by_model(script)) as gate:
        body, headers = DOORS[path] | {"model": "cheap", "stream": True}, gate.headers() | EXPLAIN
        async with gate.http.post(gate.url + path, json=body, headers=headers) as reply:
            raw = b""
            while b"word" not in raw:
                raw += await reply.content.readany()
            assert gate.produced < 10
            assert b"tierwise" in await reply.read()


@pytest.mark.parametrize("path", DOORS)
async def test_a_torn_stream(tmp_path: Path, path: str) -> None:
    """Ends in its error as ever: it says nothing of a decision, and what had come is all there."""
    for script in (Script(text=GOOD, cut=3), Script(text=GOOD, in_band_error=True)):
        async with running(tmp_path, by_model(script)) as gate:
            bare = await ask(gate, path, {}, "cheap", stream=True)
            full = await ask(gate, path, EXPLAIN | COST, "cheap", stream=True)
            assert [name for name, _ in bare.events] == [name for name, _ in full.events]
            assert full.events[-1][0] == "error"
            assert b"tierwise" not in full.raw


async def test_what_comes_after_the_finish_is_not_lost(tmp_path: Path) -> None:
    """Where the provider breaks off after its finish reason, all that had come goes out before the error."""
    events = (
        b'data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"}}]}\n\n'
        b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        b"data: {broken\n\n"
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(events)
    async with running(tmp_path, [Script(raw=head + events)]) as gate:
        bare = await ask(gate, "/chat/completions", {}, "cheap", stream=True)
        full = await ask(gate, "/chat/completions", EXPLAIN, "cheap", stream=True)
        assert bare.raw == full.raw
        assert b'"finish_reason":"stop"' in full.raw
        assert full.events[-1][0] == "error"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_again_with_the_same_key(tmp_path: Path, stream: bool) -> None:
    """The reply is the same one, with what it said of itself."""
    async with running(tmp_path, SCRIPTS) as gate:
        headers = EXPLAIN | COST | {"idempotency-key": "a"}
        first, again = [await ask(gate, "/chat/completions", headers, stream=stream) for _ in range(2)]
        assert first.raw == again.raw
        assert b'"tierwise"' in again.raw
        assert len(gate.upstream.requests) == 2


async def test_vectors_and_verdicts(tmp_path: Path) -> None:
    """Bodies without answers say it too."""
    async with running(tmp_path, [Script(input_tokens=7)]) as gate:
        for path in ("/embeddings", "/moderations"):
            body, headers = {"model": "cheap", "input": "hi"}, gate.headers() | EXPLAIN | COST
            async with gate.http.post(gate.url + path, json=body, headers=headers) as reply:
                said = decoded(await reply.read())
            assert said["tierwise"]["model"] == "cheap"
            assert said.get("usage", {}).get("cost") == (Decimal("0.000007") if path == "/embeddings" else None)
