"""OpenAI's Batches: begin one over an uploaded file, list them, look at one, cancel one. `batch_run.py` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from tierwise.dialects.openai_chat import bad_request
from tierwise.errors import BadRequest, NotFound
from tierwise.gateway.batches.file_store import DAY, SECOND, BatchObject, in_thread, new_id
from tierwise.gateway.batches.files_api import PURPOSE, encode_page, file_store_of, parse_page, parse_query
from tierwise.gateway.web.http import Reply, read_body

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

PAGE, PAGE_MAX = 20, 100

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"]
Name = Annotated[str, msgspec.Meta(max_length=64)]
Value = Annotated[str, msgspec.Meta(max_length=512)]


class Body(msgspec.Struct, frozen=True):
    """What begins a batch."""

    input_file_id: str
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Annotated[dict[Name, Value], msgspec.Meta(max_length=16)] | None = None


async def create(app: App, exchange: Exchange) -> Reply:
    """POST /v1/batches."""
    file_store, key_id = file_store_of(app), exchange.tenant.key_id
    raw = await read_body(exchange.headers, exchange.proto, app.running.max_body, app.timer)
    try:
        body = msgspec.json.decode(raw, type=Body)
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise bad_request(error) from None
    file = await in_thread(file_store.file, key_id, body.input_file_id, "input_file_id")
    if file.purpose != PURPOSE:
        raise BadRequest('A batch takes a file that was uploaded with the purpose "batch".', param="input_file_id")
    now_ns = app.engine.clock.now_ns()
    now = now_ns // SECOND
    batch = BatchObject(
        id=new_id("batch_", now_ns),
        endpoint=body.endpoint,
        input_file_id=file.id,
        created_at=now,
        expires_at=now + DAY,
        metadata=body.metadata,
    )
    await in_thread(file_store.write_batch, key_id, batch)
    _wake(app)
    return Reply(200, msgspec.json.encode(batch))


async def list_batches(app: App, exchange: Exchange) -> Reply:
    """GET /v1/batches."""
    page = parse_page(parse_query(exchange), PAGE, PAGE_MAX)
    return Reply(200, await in_thread(encode_page, file_store_of(app).batches(exchange.tenant.key_id), page))


async def show_batch(app: App, exchange: Exchange) -> Reply:
    """GET /v1/batches/{id}."""
    batch = await in_thread(file_store_of(app).batch, exchange.tenant.key_id, exchange.rest)
    return Reply(200, msgspec.json.encode(batch))


async def cancel(app: App, exchange: Exchange) -> Reply:
    """POST /v1/batches/{id}/cancel."""
    batch_id, _, what = exchange.rest.partition("/")
    if what != "cancel":
        raise NotFound("What can be posted to a batch is /v1/batches/ID/cancel.")
    now = app.engine.clock.now_ns() // SECOND
    batch = await in_thread(file_store_of(app).cancel, exchange.tenant.key_id, batch_id, now)
    _wake(app)
    return Reply(200, msgspec.json.encode(batch))


def _wake(app: App) -> None:
    if app.batches is not None:
        app.batches.wake()
