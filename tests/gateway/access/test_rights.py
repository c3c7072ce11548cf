"""What a key may ask for, and which routes there are for it: through the door, with a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import Gateway, running
from tierwise.gateway.access.keys import Terms
from tierwise.gateway.access.rights import HEADERS
from tierwise.money import RIGHTS

SENT = {
    "x-tierwise-mode": "premium",
    "x-tierwise-tags": "legal",
    "x-tierwise-session": "s-1",
    "x-tierwise-deadline": "60",
    "x-tierwise-explain": "true",
}
DOORS: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/completions": {"prompt": "hi"},
    "/embeddings": {"input": "hi"},
    "/responses": {"input": "hi"},
    "/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50},
}


async def ask(
    gate: Gateway, key: str, path: str = "/chat/completions", model: str = "support", **headers: str
) -> tuple[int, Any]:
    sent = {"authorization": f"Bearer {key}"} | headers
    async with gate.http.post(gate.url + path, json=DOORS[path] | {"model": model}, headers=sent) as reply:
        return reply.status, await reply.json()


def test_every_right_has_its_header() -> None:
    """No more, no less."""
    assert sorted(HEADERS.values()) == sorted(RIGHTS)
    assert set(HEADERS) == set(SENT)


async def test_headers_that_a_key_may_not_send(tmp_path: Path) -> None:
    """403 that names the header and the right, and nobody is asked; without the header it is served."""
    async with running(tmp_path) as gate:
        nothing = await gate.another(Terms(may=""))
        for header, right in HEADERS.items():
            others = await gate.another(Terms(may=",".join(each for each in RIGHTS if each != right)))
            for key in (nothing, others):
                status, body = await ask(gate, key, **{header: SENT[header]})
                error = body["error"]
                assert (status, error["type"], error["param"]) == (403, "permission_error", header)
                assert f"`{right}`" in error["message"]
            rest = {name: value for name, value in SENT.items() if name != header}
            assert (await ask(gate, others, **rest))[0] == 200
        assert len(gate.upstream.requests) == len(HEADERS)
        assert (await ask(gate, nothing))[0] == 200
        assert (await ask(gate, gate.key, **SENT))[0] == 200


@pytest.mark.parametrize("path", DOORS)
async def test_at_every_door(tmp_path: Path, path: str) -> None:
    """In the dialect's own shape."""
    async with running(tmp_path) as gate:
        key = await gate.another(Terms(may="tags"))
        status, body = await ask(gate, key, path, "cheap", **{"x-tierwise-mode": "premium"})
        assert (status, body["error"]["type"]) == (403, "permission_error")
        assert gate.upstream.requests == []


@pytest.mark.parametrize("path", [*DOORS, "/messages/count_tokens"])
async def test_routes_that_there_are_not(tmp_path: Path, path: str) -> None:
    """For this key: what is not on its list is as unknown as what nobody has heard of."""
    async with running(tmp_path) as gate:
        key = await gate.another(Terms(routes="cheap"))
        body = DOORS[path.removesuffix("/count_tokens")]
        found = {}
        for model in ("cheap", "premium", "nobody"):
            sent = {"authorization": f"Bearer {key}"}
            async with gate.http.post(gate.url + path, json=body | {"model": model}, headers=sent) as reply:
                found[model] = reply.status, (await reply.text()).replace(model, "...").rpartition("req_")[0]
        assert found["cheap"][0] == 200
        assert found["premium"][0] == 404
        assert found["premium"] == found["nobody"]


async def test_what_a_key_is_shown(tmp_path: Path) -> None:
    """Only what it may use; the models of its routes are not told of."""
    async with running(tmp_path) as gate:
        for routes, names in (("support", ["support"]), ("premium,support", ["support", "premium"]), (None, None)):
            headers = {"authorization": f"Bearer {await gate.another(Terms(routes=routes))}"}
            async with gate.http.get(f"{gate.url}/models", headers=headers) as reply:
                shown = [model["id"] for model in (await reply.json())["data"]]
            assert shown == (names or ["support", "cheap", "premium"])
            for path in ("models/support", "models/cheap", "models/premium", "routes/support/certificate"):
                async with gate.http.get(f"{gate.url}/{path}", headers=headers) as reply:
                    assert reply.status == (200 if path.split("/")[1] in shown else 404)
        kept = {"authorization": f"Bearer {await gate.another(Terms(routes='cheap'))}"}
        async with gate.http.get(f"{gate.url}/routes/support/certificate", headers=kept) as reply:
            assert reply.status == 404
