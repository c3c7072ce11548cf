"""GET /openapi.json: every path is in it, and what it says holds."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import msgspec

from tests.gateway.harness import running
from tierwise.gateway.app import ROUTES
from tierwise.gateway.web.openapi import OPERATIONS


def test_every_path_is_described() -> None:
    """No more, no less."""
    assert set(OPERATIONS) == {(method, path) for path, methods in ROUTES.items() for method in methods}


async def test_the_document(tmp_path: Path) -> None:
    """Its schemas take what clients send, and not what the gateway refuses; every reference leads somewhere."""
    async with running(tmp_path) as gateway:
        async with gateway.http.get(gateway.url.replace("/v1", "/openapi.json"), headers=gateway.headers()) as reply:
            raw = await reply.read()
        document = msgspec.json.decode(raw)
        assert document["openapi"] == "3.1.0"
        assert raw.count(b'"$ref"') > 10
        schema = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"][
            "schema"
        ]
        validator = jsonschema_rs.validator_for({**schema, "components": document["components"]})
        good: dict[str, object] = {"model": "support", "messages": [{"role": "user", "content": "hi"}]}
        assert validator.is_valid(good)
        assert (await gateway.chat(model="support", text="hi"))[0] == 200
        bads: tuple[dict[str, object], ...] = ({"messages": []}, good | {"messages": 1}, good | {"temperature": "hot"})
        for bad in bads:
            assert not validator.is_valid(bad)
            async with gateway.http.post(
                f"{gateway.url}/chat/completions", json=bad, headers=gateway.headers()
            ) as reply:
                assert reply.status == 400
        statuses = document["paths"]["/v1/messages"]["post"]["responses"]
        assert {"200", "400", "401", "409", "429", "502"} <= set(statuses)
