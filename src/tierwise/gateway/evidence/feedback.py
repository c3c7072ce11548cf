"""POST /v1/feedback: what a user thought of an answer. Kept, shown in the report, and never part of a guarantee.

Who complains is no random sample, so no certificate and no audit counts it. Only the key that asked may say how good
the answer was; for every other key the request does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from tierwise.errors import BadRequest, NotFound
from tierwise.gateway.web.http import Reply, read_body
from tierwise.money import Record
from tierwise.proof import Label

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

COMMENT_MAX = 2_000  # characters
THUMBS = {"up": 1.0, "down": 0.0}


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a `score` in [0, 1], or `thumbs`."""

    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    thumbs: Literal["up", "down"] | None = None
    comment: Annotated[str, msgspec.Meta(max_length=COMMENT_MAX)] = ""


async def feedback(app: App, exchange: Exchange) -> Reply:
    body = _decoded(await read_body(exchange.headers, exchange.proto, app.running.max_body, app.timer))
    record = await app.engine.store.record(body.request_id)
    served = None if record is None or record.key_id != exchange.tenant.key_id else _served(record)
    if record is None or served is None:
        raise NotFound("No answered request of this key has this id; it is each reply's x-request-id.")
    score = body.score if body.thumbs is None else THUMBS[body.thumbs]
    label = Label(
        request_id=record.request_id,
        route=record.route,
        model=served,
        source="feedback",
        by=exchange.tenant.key_id,
        draft=score or 0.0,
        premium=None,
        at_ns=app.engine.clock.now_ns(),
        comment=body.comment,
    )
    await app.engine.store.proof.keep(label)
    return Reply(200, msgspec.json.encode({"object": "feedback", "request_id": record.request_id, "score": score}))


def _decoded(raw: bytes) -> Body:
    try:
        body = msgspec.json.decode(raw, type=Body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Not a feedback: {error}") from None  # names fields and types, never a comment
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The request body is not JSON.") from None
    if (body.score is None) == (body.thumbs is None):
        raise BadRequest('Say either `score`, from 0 to 1, or `thumbs`, "up" or "down".', param="score")
    return body


def _served(record: Record) -> str | None:
    """The model whose answer the client got."""
    return next((entry.model for entry in record.entries if entry.outcome == "served"), None)
