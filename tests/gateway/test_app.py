"""The data plane through its real door: HTTP on a socket, a scripted upstream behind it, a ledger on disk."""

from __future__ import annotations

import asyncio
import io
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import AsyncOpenAI

from tests.gateway.harness import GOOD, REFUSAL, UPSTREAM_KEY, Gateway, by_model, running
from tests.support.shapes import Script
from tierwise.gateway.app import ROUTES
from tierwise.gateway.said import dollars
from tierwise.gateway.setup.first_run import end_key, new_key


async def test_good_draft(tmp_path: Path) -> None:
    """A draft that passes the checks is served, its price is the cheap model's, and the ledger knows it."""
    async with running(tmp_path) as gateway:
        status, body, headers = await gateway.chat()
        assert status == 200
        assert body["choices"][0]["message"]["content"] == GOOD
        assert headers["x-tierwise-route"] == "support"
        assert headers["x-tierwise-model"] == "cheap"
        assert headers["x-tierwise-decision"] == "checks"
        record = await gateway.record(headers["x-request-id"])
        (entry,) = record.entries
        assert (entry.model, entry.role, entry.outcome, entry.cost_state) == ("cheap", "draft", "served", "computed")
        assert entry.nanos == entry.usage.input_tokens * 1000 + entry.usage.output_tokens * 2000
        assert record.baseline_nanos == 10 * entry.nanos
        assert record.status == 200
        assert headers["x-tierwise-cost-usd"] == dollars(record.nanos)
        assert headers["x-tierwise-baseline-usd"] == dollars(record.baseline_nanos)
        assert [request.body["model"] for request in gateway.upstream.requests] == ["cheap-1"]


async def test_hard_request_escalates(tmp_path: Path) -> None:
    """A refused draft is dropped, premium answers, and both are paid for."""
    async with running(tmp_path, by_model(Script(text=REFUSAL))) as gateway:
        status, body, headers = await gateway.chat()
        assert status == 200
        assert body["choices"][0]["message"]["content"] == GOOD
        assert headers["x-tierwise-decision"] == "escalated:check:refusal"
        record = await gateway.record(headers["x-request-id"])
        draft, premium = record.entries
        assert (draft.outcome, draft.rule, premium.outcome) == ("rejected", "check:refusal", "served")
        assert record.nanos == draft.nanos + premium.nanos
        assert record.baseline_nanos == premium.nanos


async def test_upstream_is_asked_in_full(tmp_path: Path) -> None:
    """Fields that nobody reads travel on, the provider gets its own key and never the client's."""
    async with running(tmp_path) as gateway:
        await gateway.chat(seed=7, some_new_field={"a": [1, 2]})
        (request,) = gateway.upstream.requests
        assert request.body["seed"] == 7
        assert request.body["some_new_field"] == {"a": [1, 2]}
        assert request.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
        assert gateway.key not in str(request)


@pytest.mark.parametrize(
    ("model", "headers", "decision"),
    [
        ("premium", {}, "direct"),
        ("support", {"x_tierwise_mode": "premium"}, "mode:premium"),
        ("support", {"x_tierwise_tags": "invoice, Legal"}, "floor:legal"),
    ],
)
async def test_ways_to_premium(tmp_path: Path, model: str, headers: dict[str, str], decision: str) -> None:
    """A model by its own name, a mode asked for, and a floor each go straight to premium."""
    async with running(tmp_path) as gateway:
        status, _, said = await gateway.chat(model, headers=headers)
        assert (status, said["x-tierwise-decision"], said["x-tierwise-model"]) == (200, decision, "premium")


async def test_every_route_needs_a_key(tmp_path: Path) -> None:
    """Default deny: every route and method, known or not, answers 401 without a key and with a wrong one."""
    async with running(tmp_path) as gateway:
        base = gateway.url.removesuffix("/v1")
        paths = [
            *ROUTES,
            "/v1/models/support",
            "/",
            "/v1",
            "/v1/nothing",
            "/metrics",
            "/admin",
            "/v1/chat/completions/",
        ]
        for path in paths:
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                for headers in ({}, {"authorization": "Bearer tw-wrong"}, {"x-api-key": "tw-wrong"}):
                    async with gateway.http.request(method, base + path, headers=headers) as reply:
                        assert reply.status == 401, (method, path)
                        error = (await reply.json())["error"]
                        anthropic = path.startswith("/v1/messages")
                        assert sorted(error) == (
                            ["message", "type"] if anthropic else ["code", "message", "param", "type"]
                        )
                        assert "x-request-id" in reply.headers
                        assert "wrong" not in error["message"]


async def test_unknown_paths_and_methods(tmp_path: Path) -> None:
    """With a key, what is not there is 404 and what can't be done is 405, in OpenAI's shape."""
    async with running(tmp_path) as gateway:
        base = gateway.url.removesuffix("/v1")
        for method, path, status in (
            ("GET", "/v1/nothing", 404),
            ("GET", "/v1/chat/completions", 405),
            ("PUT", "/v1/models", 405),
        ):
            async with gateway.http.request(method, base + path, headers=gateway.headers()) as reply:
                assert reply.status == status
                assert (await reply.json())["error"]["type"] == "invalid_request_error"


async def test_x_api_key_is_a_key(tmp_path: Path) -> None:
    """The other dialects' header for keys is taken too."""
    async with (
        running(tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/models", headers={"x-api-key": gateway.key}) as reply,
    ):
        assert reply.status == 200


async def test_models(tmp_path: Path) -> None:
    """Routes and models are listed, and each can be looked at."""
    async with running(tmp_path) as gateway:
        async with gateway.http.get(f"{gateway.url}/models", headers=gateway.headers()) as reply:
            listed = await reply.json()
        assert [(each["id"], each["owned_by"]) for each in listed["data"]] == [
            ("support", "tierwise"),
            ("cheap", "openai"),
            ("premium", "openai"),
        ]
        async with gateway.http.get(f"{gateway.url}/models/cheap", headers=gateway.headers()) as reply:
            assert (await reply.json())["id"] == "cheap"
        async with gateway.http.get(f"{gateway.url}/models/none", headers=gateway.headers()) as reply:
            assert reply.status == 404


BAD: list[tuple[bytes, int, str | None]] = [
    (b"", 400, "invalid_json"),
    (b"{", 400, "invalid_json"),
    (b'{"model":"support","messages":[{"role":"user","content":"SECRETWORD"}],"n":NaN}', 400, "invalid_json"),
    (b'{"model":"support","messages":"SECRETWORD"}', 400, None),
    (b'{"model":"support","messages":[{"role":"user","content":7}]}', 400, None),
    (b'{"model":"support","messages":[{"role":"user","content":"\xff"}]}', 400, "invalid_json"),
    (b'{"model":"SECRETWORD","messages":[{"role":"user","content":"hi"}]}', 404, "model_not_found"),
    (b"[" * 200_000, 400, None),
    (
        b'{"model":"support","messages":[{"role":"user","content":"' + b"x" * (2 << 20) + b'"}]}',
        413,
        "request_too_large",
    ),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD, ids=range(len(BAD)))
async def test_bad_input(
    tmp_path: Path, body: bytes, status: int, code: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Every kind of bad input is a clear error with all four keys; nothing of it is logged or sent on."""
    caplog.set_level(logging.DEBUG)
    async with running(tmp_path) as gateway:
        for sent in (io.BytesIO(body), chunked(body)):
            url = f"{gateway.url}/chat/completions"
            async with gateway.http.post(
                url, data=sent, headers=gateway.headers(content_type="application/json")
            ) as reply:
                assert reply.status == status
                error = (await reply.json())["error"]
                assert sorted(error) == ["code", "message", "param", "type"]
                assert code is None or error["code"] == code
        assert gateway.upstream.requests == []
        status_after, _, _ = await gateway.chat()
        assert status_after == 200
    assert "SECRETWORD" not in caplog.text


async def chunked(body: bytes) -> Any:
    """A body of undeclared length."""
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


async def test_bad_headers(tmp_path: Path) -> None:
    """An unknown mode and too many tags are refused by name."""
    async with running(tmp_path) as gateway:
        bad: list[dict[str, str]] = [{"x_tierwise_mode": "cheap"}, {"x_tierwise_tags": ",".join(map(str, range(40)))}]
        for headers in bad:
            status, body, _ = await gateway.chat(headers=headers)
            assert status == 400
            assert body["error"]["param"] in ("x-tierwise-mode", "x-tierwise-tags")


@pytest.mark.parametrize(
    ("upstream", "status", "code"),
    [
        (Script(status=401, error=f"bad key {UPSTREAM_KEY}"), 502, "provider_refused"),
        (Script(status=500, error="boom"), 503, "provider_overloaded"),
        (Script(status=429, headers={"retry-after": "30"}), 503, "provider_overloaded"),
        (Script(garbage=True), 502, "provider_answer_torn"),
        (Script(delay=5), 504, "provider_timeout"),
    ],
    ids=["401", "500", "429", "garbage", "hang"],
)
async def test_provider_faults(tmp_path: Path, upstream: Script, status: int, code: str) -> None:
    """A provider's failure is told as what it is; its key never is; the failed attempt is in the ledger."""
    async with running(tmp_path, by_model(Script(text=GOOD), upstream)) as gateway:
        got, body, headers = await gateway.chat("premium")
        assert (got, body["error"]["code"]) == (status, code)
        assert UPSTREAM_KEY not in str(body)
        if upstream.status == 429:
            assert headers["retry-after"] == "30"
        record = await gateway.record(headers["x-request-id"])
        assert (record.status, record.decision.action) == (status, "refuse")
        assert [entry.outcome for entry in record.entries] == ["failed"]


async def test_cheap_tier_down(tmp_path: Path) -> None:
    """A cheap tier that fails costs the client nothing but time."""
    async with running(tmp_path, by_model(Script(status=400, error="no"))) as gateway:
        status, body, headers = await gateway.chat()
        assert (status, body["choices"][0]["message"]["content"]) == (200, GOOD)
        assert headers["x-tierwise-decision"] == "escalated:failed:provider_refused"


async def test_premium_down(tmp_path: Path) -> None:
    """A rejected draft is no answer because premium is down, unless the route says so."""
    scripts = by_model(Script(text=REFUSAL), Script(status=400, error="no"))
    async with running(tmp_path, scripts) as gateway:
        status, _, headers = await gateway.chat()
        assert status == 502
        record = await gateway.record(headers["x-request-id"])
        assert [entry.outcome for entry in record.entries] == ["rejected", "failed"]
        assert record.baseline_nanos == 0
    async with running(tmp_path, scripts, route='premium_down = "draft"') as gateway:
        status, body, headers = await gateway.chat()
        assert (status, body["choices"][0]["message"]["content"]) == (200, REFUSAL)
        assert headers["x-tierwise-decision"] == "degraded:premium-down"


async def test_budget(tmp_path: Path) -> None:
    """A key that has spent its budget is told so, in dollars, and nothing is called."""
    async with running(tmp_path, budget=100_000_000) as gateway:
        status, _, _ = await gateway.chat()
        assert status == 200
        assert gateway.upstream.requests[0].body["max_completion_tokens"] == 1024  # what was reserved for is the end
        status, body, headers = await gateway.chat(max_tokens=100_000_000)
        assert (status, body["error"]["code"], body["error"]["type"]) == (429, "budget_exceeded", "insufficient_quota")
        assert "$0.10" in body["error"]["message"]
        assert len(gateway.upstream.requests) == 1
        assert (await gateway.record(headers["x-request-id"])).entries == ()


async def test_usage_missing_is_estimated(tmp_path: Path) -> None:
    """A provider that does not count is charged by an estimate that says so, never by zero."""
    async with running(tmp_path, by_model(Script(text=GOOD, no_usage=True))) as gateway:
        _, _, headers = await gateway.chat()
        (entry,) = (await gateway.record(headers["x-request-id"])).entries
        assert entry.cost_state == "estimated"
        assert entry.nanos > 0


async def test_json_schema_is_checked(tmp_path: Path) -> None:
    """A draft that breaks the schema that was asked for escalates; one that keeps it is served."""
    schema = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}
    asked: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
    scripts = (
        Script(match="bad", model="cheap-1", text='{"label":"c"}'),
        *by_model(Script(text='{"label":"a"}'), Script(text='{"label":"b"}')),
    )
    async with running(tmp_path, scripts) as gateway:
        assert (await gateway.chat(text="good one", **asked))[2]["x-tierwise-decision"] == "checks"
        _, body, headers = await gateway.chat(text="bad one", **asked)
        assert headers["x-tierwise-decision"] == "escalated:check:json"
        assert body["choices"][0]["message"]["content"] == '{"label":"b"}'


async def test_official_sdk(tmp_path: Path) -> None:
    """The official client works unchanged, whole and streamed, with tools and usage."""
    scripts = (
        Script(match="tool", tool_calls=(("track", '{"id": 7}'),)),
        *by_model(Script(text=GOOD)),
    )
    tools: Any = [{"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}]
    async with running(tmp_path, scripts) as gateway, AsyncOpenAI(base_url=gateway.url, api_key=gateway.key) as client:
        whole = await client.chat.completions.create(model="support", messages=[{"role": "user", "content": "hi"}])
        assert whole.choices[0].message.content == GOOD
        assert whole.usage is not None
        assert whole.usage.total_tokens > 0
        stream = await client.chat.completions.create(
            model="support",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == GOOD
        assert chunks[-1].usage is not None
        called = await client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": "use the tool"}], tools=tools
        )
        assert called.choices[0].message.tool_calls is not None
        assert called.choices[0].message.tool_calls[0].id
        assert [model.id for model in (await client.models.list()).data] == ["support", "cheap", "premium"]


async def test_new_key_works_at_once(tmp_path: Path) -> None:
    """A key made by another process is taken without a restart, and a revoked one is not for long."""
    async with running(tmp_path) as gateway:
        key, text = await new_key(gateway.config, gateway.environment, "late", None)
        await wait_for(gateway, text, 200)
        assert await end_key(gateway.config, key.id)
        await wait_for(gateway, text, 401)


async def wait_for(gateway: Gateway, key: str, status: int) -> None:
    """Until the key has this status: at most five seconds, what is promised for a revocation."""
    async with asyncio.timeout(5):
        while True:
            async with gateway.http.get(f"{gateway.url}/models", headers={"authorization": f"Bearer {key}"}) as reply:
                if reply.status == status:
                    return
            await asyncio.sleep(0.05)


def test_dollars() -> None:
    """Nano-dollars are shown exactly."""
    assert dollars(1_234_567_890) == "1.234567890"
    assert dollars(5) == "0.000000005"
    assert msgspec.json.encode(dollars(0)) == b'"0.000000000"'
