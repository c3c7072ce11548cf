"""POST /v1/feedback, through the door: what users thought of an answer, who may say it, what is kept."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.harness import CONFIG, GOOD, REFUSAL, Gateway, by_model, running
from tests.gateway.test_consult import AGREE, ASKED, SAME, more, scripts
from tests.support.shapes import Script
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.evidence.feedback import COMMENT_MAX
from tierwise.proof import EXACT, Label
from tierwise.store.sqlite import open_sqlite

CANARY = "the parcel of Mrs Canary"
UNKNOWN = "No answered request of this key has this id; it is each reply's x-request-id."


async def tell(gateway: Gateway, body: Any, key: str | None = None) -> tuple[int, Any]:
    """(status, JSON) of a feedback; bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = {"authorization": f"Bearer {key or gateway.key}", "content-type": "application/json"}
    async with gateway.http.post(f"{gateway.url}/feedback", data=io.BytesIO(raw), headers=headers) as reply:
        return reply.status, await reply.json()


async def answered(gateway: Gateway, **extra: Any) -> str:
    """The id of a request that got its answer."""
    status, _, headers = await gateway.chat(**extra)
    assert status == 200
    return str(headers["x-request-id"])


async def labels(gateway: Gateway, route: str = "support") -> Sequence[Label]:
    store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="reader")
    try:
        return await store.proof.labels(route)
    finally:
        await store.close()


# ------------------------------------------------------------------ what is kept


async def test_a_score(tmp_path: Path) -> None:
    """Is kept as a label of the model that answered, by the key that asked; nobody looked at premium's answer."""
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        status, said = await tell(gateway, {"request_id": request_id, "score": 0.25, "comment": CANARY})
        assert (status, said) == (200, {"object": "feedback", "request_id": request_id, "score": 0.25})
        (label,) = await labels(gateway)
        record = await gateway.record(request_id)
    assert label == Label(
        request_id=request_id,
        route="support",
        model="cheap",
        source="feedback",
        by=gateway.key_id,
        draft=0.25,
        premium=None,
        at_ns=label.at_ns,
        comment=CANARY,
        id=1,
    )
    assert record.started_ns < label.at_ns < record.started_ns + 60 * 10**9
    assert label.harm is None


def test_no_guarantee_counts_it() -> None:
    """Who complains is no random sample."""
    assert "feedback" not in EXACT


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ({"thumbs": "up"}, 1.0),
        ({"thumbs": "down"}, 0.0),
        ({"thumbs": "up", "score": None}, 1.0),
        ({"score": 0}, 0.0),
        ({"score": 1}, 1.0),
        ({"score": 0.5, "thumbs": None, "comment": ""}, 0.5),
    ],
)
async def test_thumbs_and_scores(tmp_path: Path, said: dict[str, Any], score: float) -> None:
    """Either of them; thumbs are 1 and 0."""
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        assert await tell(gateway, {"request_id": request_id} | said) == (
            200,
            {"object": "feedback", "request_id": request_id, "score": score},
        )
        assert [label.draft for label in await labels(gateway)] == [score]


async def test_whatever_was_answered(tmp_path: Path) -> None:
    """A stream, an escalated request, one under a floor, and a model that was asked by its own name."""
    refusing = Script(match="hard", model="cheap-1", text=REFUSAL)
    async with running(tmp_path, (refusing, *by_model(Script(text=GOOD)))) as gateway:
        _, headers = await gateway.events()
        ids = [headers["x-request-id"]]
        ids += [await answered(gateway, text="hard"), await answered(gateway, headers={"x_tierwise_tags": "legal"})]
        direct = await answered(gateway, model="cheap")
        for request_id in (*ids, direct):
            assert (await tell(gateway, {"request_id": request_id, "thumbs": "up"}))[0] == 200
        found = await labels(gateway)
        assert [(label.request_id, label.model) for label in found] == list(
            zip(ids, ("cheap", "premium", "premium"), strict=True)
        )
        assert [(label.request_id, label.model) for label in await labels(gateway, "cheap")] == [(direct, "cheap")]


async def test_others_who_were_asked_are_not_meant(tmp_path: Path) -> None:
    """Nobody but the client's own answer is."""
    said = scripts(Script(text=SAME), Script(text=SAME))
    async with running(tmp_path, said, route=AGREE, config=more(CONFIG)) as gateway:
        request_id = await answered(gateway, text=ASKED)
        assert [entry.role for entry in (await gateway.record(request_id)).entries] == ["draft", "opinion", "opinion"]
        await tell(gateway, {"request_id": request_id, "thumbs": "down"})
        assert [label.model for label in await labels(gateway)] == ["cheap"]


async def test_a_second_opinion_of_the_same_user(tmp_path: Path) -> None:
    """Each is kept, in the order in which they came; the first one is not rewritten."""
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        for thumbs in ("up", "down"):
            assert (await tell(gateway, {"request_id": request_id, "thumbs": thumbs}))[0] == 200
        assert [label.draft for label in await labels(gateway)] == [1.0, 0.0]


async def test_after_a_restart(tmp_path: Path) -> None:
    """A request is known as long as the ledger is, and so is what was said of it."""
    async with running(tmp_path) as gateway:
        first, second = await answered(gateway), await answered(gateway)
        await tell(gateway, {"request_id": first, "thumbs": "down"})
        key = gateway.key
    async with running(tmp_path) as gateway:
        assert (await tell(gateway, {"request_id": second, "thumbs": "up"}, key))[0] == 200
        assert [(label.request_id, label.draft) for label in await labels(gateway)] == [(first, 0.0), (second, 1.0)]


async def test_nothing_of_it_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what was kept nor what was refused."""
    caplog.set_level(logging.DEBUG)
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        for body in (
            {"request_id": request_id, "score": 0.5, "comment": CANARY},
            {"request_id": "req_other", "score": 0.5, "comment": CANARY},
            {"request_id": request_id, "score": 5, "comment": CANARY},
            {"request_id": request_id, "score": 0.5, "comment": CANARY * 200},
            f'{{"request_id": "{request_id}", "comment": "{CANARY}'.encode(),
        ):
            _, said = await tell(gateway, body)
            assert CANARY not in str(said)
    assert CANARY not in caplog.text


# ------------------------------------------------------------------ from whom it is taken


async def test_only_who_asked(tmp_path: Path) -> None:
    """For another key a request does not exist: the reply is the same as for an id that nobody has."""
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        asker = gateway.key
    async with running(tmp_path) as gateway:  # with a key of its own
        foreign = await tell(gateway, {"request_id": request_id, "thumbs": "up"})
        unknown = await tell(gateway, {"request_id": "req_0", "thumbs": "up"})
        assert foreign == unknown == (404, unknown[1])
        assert (unknown[1]["error"]["message"], unknown[1]["error"]["code"]) == (UNKNOWN, "not_found")
        assert (await tell(gateway, {"request_id": request_id, "thumbs": "up"}, "tw-nobody"))[0] == 401
        assert await labels(gateway) == []
        assert (await tell(gateway, {"request_id": request_id, "thumbs": "up"}, asker))[0] == 200


async def test_what_was_never_answered(tmp_path: Path) -> None:
    """An error, and a stream that broke off, are no answers: there is nothing to have an opinion of."""
    failing = (
        Script(match="down", status=400),
        Script(match="torn", tokens=("word ",) * 40, cut=20),
        *by_model(Script(text=GOOD)),
    )
    async with running(tmp_path, failing, route='premium_down = "refuse"') as gateway:
        status, _, headers = await gateway.chat(text="down")
        assert status >= 400
        _, torn = await gateway.events(model="premium", text="torn")
        for request_id in (headers["x-request-id"], torn["x-request-id"]):
            await gateway.record(request_id)
            assert (await tell(gateway, {"request_id": request_id, "thumbs": "up"}))[0] == 404
        assert await labels(gateway) == []


async def test_audits_are_nobodys(tmp_path: Path) -> None:
    """What the gateway asked of its own accord belongs to no key."""
    config = CONFIG.replace("evidence_usd_per_day = 0", "evidence_usd_per_day = 100\naudit = 1.0")
    async with running(tmp_path, config=config) as gateway:
        request_id = await answered(gateway)
        async with asyncio.timeout(5):
            while (aside := gateway.last_id()) == request_id:
                await asyncio.sleep(0.01)
        record = await gateway.record(aside)
        assert record.key_id.startswith("aside:")
        assert (await tell(gateway, {"request_id": aside, "thumbs": "up"}))[0] == 404


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "Say either `score`"),
        ({"score": 0.5, "thumbs": "up"}, "Say either `score`"),
        ({"score": None, "thumbs": None}, "Say either `score`"),
        ({"score": 1.01}, "`float` <= 1.0 - at `$.score`"),
        ({"score": -0.01}, "`float` >= 0.0 - at `$.score`"),
        ({"score": "0.5"}, "got `str` - at `$.score`"),
        ({"score": True}, "got `bool` - at `$.score`"),
        ({"thumbs": "sideways"}, "at `$.thumbs`"),
        ({"score": 1, "stars": 5}, "unknown field `stars`"),
        ({"score": 1, "comment": "x" * (COMMENT_MAX + 1)}, "length <= 2000 - at `$.comment`"),
        ({"score": 1, "comment": None}, "got `null` - at `$.comment`"),
        ({"score": 1, "request_id": ""}, "length >= 1 - at `$.request_id`"),
        ({"score": 1, "request_id": "x" * 101}, "length <= 100 - at `$.request_id`"),
        ({"score": 1, "request_id": 7}, "got `int` - at `$.request_id`"),
        (b'{"score": 1}', "missing required field `request_id`"),
        (b"[]", "got `array`"),
        (b"", "The request body is not JSON."),
        (b"{", "The request body is not JSON."),
        (b'{"request_id": "a", "score": NaN}', "The request body is not JSON."),
        (b'{"request_id": "a", "score": 1, "comment": "\xff"}', "The request body is not JSON."),
        (b'{"request_id": "a", "score": 1, "comment": "\\ud800"}', "The request body is not JSON."),
    ],
)
async def test_what_is_wrong_is_said(tmp_path: Path, body: Any, wrong: str) -> None:
    """With the field; nothing is kept then, although the request is there."""
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        sent = body if isinstance(body, bytes) else {"request_id": request_id} | body
        status, said = await tell(gateway, sent)
        assert (status, said["error"]["type"]) == (400, "invalid_request_error")
        assert wrong in said["error"]["message"]
        assert await labels(gateway) == []


async def test_the_longest_comment(tmp_path: Path) -> None:
    """Counted in characters, and kept to the last of them."""
    comment = "é\U0001f600\0'" * (COMMENT_MAX // 4)
    async with running(tmp_path) as gateway:
        request_id = await answered(gateway)
        assert (await tell(gateway, {"request_id": request_id, "score": 1, "comment": comment}))[0] == 200
        assert [label.comment for label in await labels(gateway)] == [comment]


async def test_bodies_and_methods(tmp_path: Path) -> None:
    """As everywhere: a body has a limit, and other methods are told so."""
    async with running(tmp_path) as gateway:
        assert (await tell(gateway, b" " * ((1 << 20) + 1)))[0] == 413
        async with gateway.http.get(f"{gateway.url}/feedback", headers=gateway.headers()) as reply:
            assert reply.status == 405
