"""POST /v1/moderations, by the shipped classifiers and by a provider: through the door, with a real ledger."""

from __future__ import annotations

import asyncio
import time
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gateway.harness import CONFIG, GOOD, Gateway, by_model, running
from tests.support.shapes import Script
from tierwise.gateway.access.keys import Terms
from tierwise.gateway.screening.moderations import LONGEST, NAME
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.screen import WINDOW

VILE = "fuck you, you stupid bitch, I will kill you"
KIND = "Where is my parcel, please?"
MODERATING = """
[models.omni]
provider = "openai"
base_url = "{url}/v1"
model = "omni-moderation-latest"
api_key_env = "UPSTREAM_KEY"
{price}limits = {{ connect = 1, first_token = 1, idle = 1, total = 20 }}
"""
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


class Said(NamedTuple):
    status: int
    body: Any
    headers: Any
    raw: bytes


async def moderate(
    gate: Gateway, given: Any, key: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Said:
    sent = (headers or {}) | {"authorization": f"Bearer {key or gate.key}"}
    async with gate.http.post(f"{gate.url}/moderations", json={"input": given} | more, headers=sent) as reply:
        return Said(reply.status, await reply.json(), reply.headers, await reply.read())


def provided(price: str = "price = { input = 1, output = 2 }") -> str:
    text = MODERATING.replace("{price}", f"{price}\n".replace("{", "{{").replace("}", "}}"))
    return CONFIG + text


# ------------------------------------------------------------------ by the classifiers


async def test_the_shape_of_an_answer(tmp_path: Path) -> None:
    """OpenAI's, with all 13 categories; the ledger has an entry of it, of no cost, and nobody else is asked."""
    async with running(tmp_path) as gate:
        said = await moderate(gate, VILE)
        assert (said.status, said.body["model"], said.body["id"][:5]) == (200, NAME, "modr-")
        (result,) = said.body["results"]
        assert list(result) == ["flagged", "categories", "category_scores", "category_applied_input_types"]
        assert result["flagged"]
        assert result["flagged"] == any(result["categories"].values())
        assert list(result["categories"]) == list(result["category_scores"]) == list(CATEGORIES)
        assert all(0 <= score <= 1 for score in result["category_scores"].values())
        applied = result["category_applied_input_types"]
        assert applied == {name: ["text"] for name in CATEGORIES}
        assert (said.headers["x-tierwise-model"], said.headers["x-tierwise-cost-usd"]) == (NAME, "0.000000000")
        record = await gate.record(said.headers["x-request-id"])
        (entry,) = record.entries
        assert (record.route, record.status, record.key_id, record.nanos) == (NAME, 200, gate.key_id, 0)
        assert (entry.model, entry.role, entry.cost_state, entry.outcome) == (NAME, "direct", "computed", "served")
        assert (record.baseline_nanos, record.baseline_state) == (0, "computed")
        assert gate.upstream.requests == []


@pytest.mark.parametrize(
    "model", [None, NAME, "omni-moderation-latest", "text-moderation-stable", "omni-moderation-2024-09-26"]
)
async def test_names_that_mean_the_classifiers(tmp_path: Path, model: str | None) -> None:
    """None, their own, and OpenAI's where nobody has configured them; an answer a text, in their order."""
    async with running(tmp_path) as gate:
        named: dict[str, Any] = {} if model is None else {"model": model}
        said = await moderate(gate, [KIND, VILE], **named)
        assert [result["flagged"] for result in said.body["results"]] == [False, True]
        assert said.body["model"] == NAME


async def test_parts(tmp_path: Path) -> None:
    """They are one input; of a picture beside a text nothing is said; a picture alone is refused."""
    async with running(tmp_path) as gate:
        parts = [{"type": "text", "text": "fuck you, you"}, PICTURE, {"type": "text", "text": "stupid bitch, I will"}]
        (result,) = (await moderate(gate, parts)).body["results"]
        assert result["flagged"]
        assert "image" not in str(result["category_applied_input_types"])
        (calm,) = (await moderate(gate, [{"type": "text", "text": KIND}, PICTURE])).body["results"]
        assert not calm["flagged"]
        refused = await moderate(gate, [PICTURE])
        assert (refused.status, refused.body["error"]["param"]) == (400, "input")


async def test_a_long_text_is_read_to_its_end(tmp_path: Path) -> None:
    """In windows: what its last one is flagged in, it is flagged in; over the limit it is refused."""
    calm = f"{KIND} " * (2 * WINDOW // len(KIND))
    async with running(tmp_path) as gate:
        said = await moderate(gate, [calm, calm + f"{VILE} " * 200, f"{VILE} " * 200 + calm])
        assert [result["flagged"] for result in said.body["results"]] == [False, True, True]
        for result in said.body["results"][1:]:
            assert result["category_scores"]["harassment"] > 0.7
        half = "a" * (LONGEST // 2)
        refused = await moderate(gate, [half, f"{half}b"])
        assert (refused.status, refused.body["error"]["param"]) == (400, "input")


async def test_others_get_their_turn(tmp_path: Path) -> None:
    """While a very long text is read, requests are answered; many long ones are as one very long one."""
    async with running(tmp_path) as gate:
        await moderate(gate, KIND)
        for given in (f"{KIND} " * 34_000, [f"{KIND} " * 250] * 128):
            reading = asyncio.ensure_future(moderate(gate, given))
            await asyncio.sleep(0.05)
            answered = 0
            while not reading.done():
                began = time.monotonic()
                assert (await gate.chat("cheap"))[0] == 200
                answered += time.monotonic() - began < 0.5
            assert answered > 4
            assert (await reading).status == 200


async def test_what_is_wrong(tmp_path: Path) -> None:
    """Is named; nothing is booked of it."""
    async with running(tmp_path) as gate:
        for given, more, status, param in (
            ([], {}, 400, "input"),
            ([KIND] * 129, {}, 400, "input"),
            (KIND, {"model": "support"}, 400, "model"),
            (KIND, {"model": "nobody"}, 404, "model"),
            (KIND, {"model": 3}, 400, "model"),
        ):
            said = await moderate(gate, given, **more)
            assert (said.status, said.body["error"]["param"]) == (status, param)
        async with gate.http.post(f"{gate.url}/moderations", data=b"{", headers=gate.headers()) as reply:
            assert (reply.status, (await reply.json())["error"]["code"]) == (400, "invalid_json")
        assert (await moderate(gate, KIND, "tw-nobody")).status == 401
        async with gate.http.post(
            f"{gate.url}/moderations", data=BytesIO(b" " * (2 << 20)), headers=gate.headers()
        ) as reply:
            assert reply.status == 413


async def test_limits_of_the_key_count(tmp_path: Path) -> None:
    """Requests a minute; tokens are not taken for good, as none are."""
    async with running(tmp_path) as gate:
        key = await gate.another(Terms(rpm=3, tpm=1_000, streams=1), budget=0)
        for _ in range(3):
            assert (await moderate(gate, "word " * 700, key)).status == 200  # and its budget of nothing is enough
        refused = await moderate(gate, KIND, key)
        assert (refused.status, refused.body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(refused.headers["retry-after"]) > 0


async def test_a_key_that_is_kept_to_routes(tmp_path: Path) -> None:
    """Has the classifiers only where they are among them."""
    async with running(tmp_path, config=provided()) as gate:
        kept = await gate.another(Terms(routes="support"))
        free = await gate.another(Terms(routes=f"support,{NAME}"))
        assert (await moderate(gate, KIND, kept)).status == 404
        assert (await moderate(gate, KIND, kept, model="omni")).status == 404
        assert (await moderate(gate, KIND, kept, model="support")).status == 400
        assert (await moderate(gate, KIND, await gate.another(Terms(routes="omni")), model="support")).status == 404
        assert (await moderate(gate, KIND, free)).status == 200


# ------------------------------------------------------------------ by a provider


async def test_a_provider_s_answer(tmp_path: Path) -> None:
    """Goes out byte for byte, and so does the request but for the model's name; it costs nothing, as it is priced."""
    body = (
        b'{ "id": "modr-1", "model":"o", "results": [{"flagged":true, "category_scores":{"hate":1e-05}}], '
        b'"n":18446744073709551616 }'
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with running(tmp_path, [Script(raw=head + body)], config=provided()) as gate:
        given = [{"type": "text", "text": "hi  there"}, PICTURE]
        said = await moderate(gate, given, model="omni", new_field={"b": 1, "a": 1 << 60})
        assert (said.status, said.raw) == (200, body)
        (sent,) = gate.upstream.requests
        assert (sent.path, sent.headers["authorization"][:10]) == ("/v1/moderations", "Bearer sk-")
        assert sent.body == {"input": given, "model": "omni-moderation-latest", "new_field": {"b": 1, "a": 1 << 60}}
        assert said.headers["x-tierwise-model"] == "omni"
        record = await gate.record(said.headers["x-request-id"])
        assert [(entry.model, entry.nanos, entry.cost_state) for entry in record.entries] == [("omni", 0, "computed")]


async def test_a_provider_without_a_price(tmp_path: Path) -> None:
    """Nobody knows what it costs, and the ledger says so; the configured name goes before the classifiers'."""
    config = provided("").replace("[models.omni]", "[models.omni-moderation-latest]")
    async with running(tmp_path, [Script()], config=config) as gate:
        said = await moderate(gate, [KIND, VILE], model="omni-moderation-latest")
        assert [result["flagged"] for result in said.body["results"]] == [False, True]
        assert len(gate.upstream.requests) == 1
        (entry,) = (await gate.record(said.headers["x-request-id"])).entries
        assert (entry.nanos, entry.cost_state, entry.outcome) == (0, "unknown", "served")
        assert (await moderate(gate, KIND)).body["model"] == NAME


@pytest.mark.parametrize(
    ("upstream", "status", "code"),
    [(401, 502, "provider_refused"), (403, 502, "provider_refused"), (503, 503, "provider_overloaded")],
)
async def test_a_provider_s_refusal(tmp_path: Path, upstream: int, status: int, code: str) -> None:
    """Is told as everywhere, and its text never."""
    script = Script(status=upstream, error="canary of the provider")
    async with running(tmp_path, [script], config=provided()) as gate:
        said = await moderate(gate, KIND, model="omni")
        assert (said.status, said.body["error"]["code"]) == (status, code)
        assert b"canary" not in said.raw
        record = await gate.record(said.headers["x-request-id"])
        assert (record.status, record.nanos) == (status, 0)


async def test_an_answer_without_results(tmp_path: Path) -> None:
    """Is none."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    async with running(tmp_path, [Script(raw=head)], config=provided()) as gate:
        said = await moderate(gate, KIND, model="omni")
        assert (said.status, said.body["error"]["code"]) == (502, "provider_answer_torn")


async def test_a_chat_model_of_another_wire(tmp_path: Path) -> None:
    """Is refused by name; again with the same key is the same reply."""
    config = provided().replace('provider = "openai"', 'provider = "anthropic"', 1)
    async with running(tmp_path, by_model(Script(text=GOOD), Script()), config=config) as gate:
        said = await moderate(gate, KIND, model="cheap")
        assert (said.status, said.body["error"]["param"]) == (400, "model")
    async with running(tmp_path, [Script()], config=provided()) as gate:
        twice = [await moderate(gate, KIND, model="omni", headers={"idempotency-key": "a"}) for _ in range(2)]
        assert twice[0].raw == twice[1].raw
        assert len(gate.upstream.requests) == 1
