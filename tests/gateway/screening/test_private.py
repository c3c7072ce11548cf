"""Rules for personal data, through the door: masked on every wire, turned back, stopped, or sent where it may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import GOOD, by_model, running
from tests.gateway.test_screens import bodied, screens
from tests.support.shapes import Script

EMAIL = "anna.canary@example.org"
CARD = "4111 1111 1111 1111"
ASKED = f"Please write to {EMAIL} about card {CARD}."
ECHO = "I have written to <EMAIL_1> about <CARD_1> as you asked, and it is on its way now."
WIRES = ("chat/completions", "responses", "messages", "completions")


async def post(gateway: Any, wire: str, body: dict[str, Any], **headers: str) -> tuple[int, str, Any]:
    sent = gateway.headers(content_type="application/json", **headers)
    async with gateway.http.post(f"{gateway.url}/{wire}", data=json.dumps(body).encode(), headers=sent) as reply:
        return reply.status, await reply.text(), reply.headers


def folder(place: Path, name: str) -> Path:
    (place / name).mkdir()
    return place / name


def seen(gateway: Any) -> str:
    """Everything that providers were sent."""
    return json.dumps([request.body for request in gateway.upstream.requests], default=repr)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
async def test_replaced_and_turned_back(tmp_path: Path, wire: str, stream: bool) -> None:
    """No provider sees a value and none is kept; the client reads its own again."""
    scripts = by_model(Script(tokens=tuple(f"{word} " for word in ECHO.split())))
    async with running(tmp_path, scripts, route=screens('privacy = "replace"')) as gateway:
        status, text, _ = await post(gateway, wire, bodied(wire, ASKED, stream=stream))
        assert status == 200
        joined = text if not stream else _joined(text)
        assert f"{EMAIL} about {CARD} as" in joined
        assert "<EMAIL_1>" not in joined
        assert EMAIL not in seen(gateway)
        assert "4111" not in seen(gateway)
    assert [place for place in tmp_path.rglob("*") if place.is_file() and EMAIL.encode() in place.read_bytes()] == []


def _joined(text: str) -> str:
    """What a stream says, whatever its wire."""
    said = []
    for line in text.splitlines():
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            delta = event.get("delta")
            choice = (event.get("choices") or [{}])[0]
            said.append(choice.get("text") or (choice.get("delta") or {}).get("content") or "")
            said.append(delta if isinstance(delta, str) else (delta or {}).get("text") or "")
    return "".join(said)


async def test_redacted_for_good(tmp_path: Path) -> None:
    """Nothing comes back."""
    async with running(tmp_path, by_model(Script(text=GOOD)), route=screens('privacy = "redact"')) as gateway:
        status, _, _ = await gateway.chat(text=ASKED)
        assert status == 200
        assert "[EMAIL] about card [CARD]" in seen(gateway)


async def test_told_and_stopped(tmp_path: Path) -> None:
    """Flagged by its types alone, in the reply and in the ledger; or refused before any model is asked."""
    async with running(
        folder(tmp_path, "a"), route=screens('privacy = "flag"', 'privacy_types = ["email"]')
    ) as gateway:
        status, _, headers = await gateway.chat(text=ASKED)
        assert (status, headers["x-tierwise-flagged"]) == (200, "privacy:email")
        record = await gateway.record(headers["x-request-id"])
        assert [item.detail for item in record.decision.evidence if item.check == "screen"] == ["privacy:email"]
        assert EMAIL in seen(gateway)
    async with running(folder(tmp_path, "b"), route=screens('privacy = "block"')) as gateway:
        status, body, headers = await gateway.chat(text=ASKED)
        assert (status, body["error"]["code"]) == (400, "content_filter")
        record = await gateway.record(headers["x-request-id"])
        assert (record.decision.rule, record.nanos) == ("blocked:privacy:email", 0)
        assert gateway.upstream.requests == []
        assert (await gateway.chat(text="Where is my parcel?"))[0] == 200


async def test_only_where_it_may_go(tmp_path: Path) -> None:
    """Without a model in the region it is refused by name and rule; masked it may go anywhere, as may anything else."""
    here = '[models.here]\nprovider = "openai"\nmodel = "x"\nbase_url = "http://127.0.0.1:9/v1"\nregion = "eu"'
    away = ('personal_regions = ["eu"]',)
    async with running(folder(tmp_path, "a"), route=screens(*away, here)) as gateway:
        status, body, _ = await gateway.chat(text=ASKED)
        assert (status, body["error"]["code"]) == (403, "personal_data")
        assert "cheap does not say where it runs (regions = eu)" in body["error"]["message"]
        assert EMAIL not in body["error"]["message"]
        assert gateway.upstream.requests == []
        assert (await gateway.chat(text="Where is my parcel?"))[0] == 200
    async with running(folder(tmp_path, "b"), route=screens(*away, 'privacy = "redact"', here)) as gateway:
        assert (await gateway.chat(text=ASKED))[0] == 200
    async with running(
        folder(tmp_path, "c"), route=screens(*away, 'privacy = "redact"', 'privacy_types = ["email"]', here)
    ) as gateway:
        assert (await gateway.chat(text=ASKED))[0] == 403  # the card is still in it


async def test_what_went_before_is_masked_too(tmp_path: Path) -> None:
    """A response that was kept holds the client's own values; going on from it no provider sees them."""
    scripts = by_model(Script(text=ECHO))
    async with running(tmp_path, scripts, route=screens('privacy = "replace"')) as gateway:
        _, text, _ = await post(gateway, "responses", bodied("responses", ASKED))
        first = json.loads(text)
        assert EMAIL in text
        status, text, _ = await post(
            gateway, "responses", bodied("responses", "Say it again.") | {"previous_response_id": first["id"]}
        )
        assert status == 200
        assert EMAIL in text
        assert len(gateway.upstream.requests) == 2
        assert EMAIL not in seen(gateway)


async def test_a_long_body_is_read_aside(tmp_path: Path) -> None:
    """And masked like any other."""
    async with running(tmp_path, by_model(Script(text=GOOD)), route=screens('privacy = "redact"')) as gateway:
        status, _, _ = await gateway.chat(text="It rains again. " * 2000 + ASKED)
        assert status == 200
        assert EMAIL not in seen(gateway)
