"""OpenAI's Files: upload a form, list, look at, fetch and delete what was uploaded, and what batches have made.

An upload goes to the disk as it comes, so its size costs no memory. It has to come unpacked.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import parse_qs

import msgspec

from tierwise.errors import BadRequest, NotFound, TierwiseError, TooLarge, Unsupported
from tierwise.gateway import said
from tierwise.gateway.batches.file_store import SECOND, BatchObject, FileObject, FileStore, in_thread, new_id
from tierwise.gateway.web import multipart
from tierwise.gateway.web.http import DRAIN_SECONDS, Reply

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

FORM = 64 << 10  # bytes of a form around its file
PIECE = 1 << 20  # bytes that are gathered before they are written
PURPOSE = "batch"  # the one that is taken; what batches make has `batch_output`
NAME = 255  # characters of a file name that are stored
LISTED = 10_000


class Form(msgspec.Struct, frozen=True):
    """What an upload has to hold: for the OpenAPI document."""

    file: Annotated[str, msgspec.Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})]
    purpose: Literal["batch"]


class Page(NamedTuple):
    """What of a list a client wants: so many, from behind that id on."""

    limit: int
    after: str


async def upload(app: App, exchange: Exchange) -> Reply:
    """POST /v1/files."""
    key_id = exchange.tenant.key_id
    try:
        file_store = file_store_of(app)
        boundary = _boundary(exchange)
        part = await in_thread(file_store.new_part, key_id)
    except TierwiseError:
        await _drain(exchange)
        raise
    try:
        await _receive(exchange, part, file_store.max_file)
        now_ns = app.engine.clock.now_ns()
        file = await in_thread(_store, file_store, key_id, part, boundary, now_ns)
    finally:
        await in_thread(part.unlink, missing_ok=True)
    return Reply(200, msgspec.json.encode(file))


async def list_files(app: App, exchange: Exchange) -> Reply:
    """GET /v1/files."""
    file_store, query = file_store_of(app), parse_query(exchange)
    purpose = query.get("purpose")
    page = parse_page(query, LISTED, LISTED)
    found = (file for file in file_store.files(exchange.tenant.key_id) if purpose in (None, file.purpose))
    return Reply(200, await in_thread(encode_page, found, page))


async def show_file(app: App, exchange: Exchange) -> Reply | None:
    """GET /v1/files/{id}, and /v1/files/{id}/content, which is sent from the disk."""
    file_store, key_id = file_store_of(app), exchange.tenant.key_id
    file_id, slash, what = exchange.rest.partition("/")
    if slash and what != "content":
        raise NotFound("A file has /v1/files/ID and /v1/files/ID/content.")
    file = await in_thread(file_store.file, key_id, file_id)
    if not slash:
        return Reply(200, msgspec.json.encode(file))
    path = file_store.content_path(key_id, file_id)
    if not await in_thread(path.exists):
        raise NotFound("The content of this file is gone.")
    headers = [("content-type", "application/octet-stream"), *said.identified(exchange.id)]
    exchange.proto.response_file(200, headers, str(path))
    return None


async def delete_file(app: App, exchange: Exchange) -> Reply:
    """DELETE /v1/files/{id}."""
    await in_thread(file_store_of(app).delete, exchange.tenant.key_id, exchange.rest)
    return Reply(200, msgspec.json.encode({"id": exchange.rest, "object": "file", "deleted": True}))


# ------------------------------------------------------------------ shared with batches


def file_store_of(app: App) -> FileStore:
    """Raises NotFound where a gateway keeps none."""
    if app.batches is None:
        raise NotFound("This gateway keeps no files and runs no batches.")
    return app.batches.file_store


def parse_query(exchange: Exchange) -> dict[str, str]:
    """The last value counts where a name comes twice."""
    try:
        found = parse_qs(exchange.scope.query_string, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise BadRequest("The query has too many fields.") from None
    return {name: values[-1] for name, values in found.items()}


def parse_page(query: dict[str, str], default: int, most: int) -> Page:
    """Raises BadRequest."""
    limit = query.get("limit", str(default))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= most):
        raise BadRequest(f"limit must be from 1 to {most:,}.", param="limit")
    return Page(int(limit[:9]), query.get("after", ""))


def encode_page(found: Iterator[FileObject] | Iterator[BatchObject], page: Page) -> bytes:
    """One page of a list, newest first."""
    rest = (item for item in found if not page.after or item.id < page.after)
    taken: list[Any] = list(islice(rest, page.limit + 1))
    shown = taken[: page.limit]
    ends = {"first_id": shown[0].id, "last_id": shown[-1].id} if shown else {"first_id": None, "last_id": None}
    return msgspec.json.encode({"object": "list", "data": shown, **ends, "has_more": len(taken) > page.limit})


# ------------------------------------------------------------------ uploads


def _boundary(exchange: Exchange) -> bytes:
    """The form's boundary. Raises Unsupported, BadRequest."""
    headers = exchange.scope.headers
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Unsupported("An upload has to come unpacked: without content-encoding.", param="content-encoding")
    return multipart.boundary(headers.get("content-type"))


async def _drain(exchange: Exchange) -> None:
    """Read a body that is refused on for a moment: who is cut off never reads why."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in exchange.proto:
                pass


async def _receive(exchange: Exchange, part: Path, limit: int) -> None:
    """Write the body as it comes. Raises TooLarge, BadRequest."""
    declared = exchange.scope.headers.get("content-length", "0")
    if not declared.isdigit():
        raise BadRequest("content-length must be a number.")
    too_large = int(declared) > limit + FORM
    size, waiting = 0, bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS if too_large else None) as patience:
            async for piece in exchange.proto:
                size += len(piece)
                if size > limit + FORM and not too_large:  # read on for a moment, as in `_drain`
                    too_large = True
                    patience.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)
                if too_large:
                    continue
                waiting += piece
                if len(waiting) >= PIECE:
                    await in_thread(_append, part, bytes(waiting))
                    waiting.clear()
    if too_large:
        raise _oversized(limit)
    await in_thread(_append, part, bytes(waiting))


def _append(part: Path, content: bytes) -> None:
    with part.open("ab") as file:
        file.write(content)


def _store(file_store: FileStore, key_id: str, part: Path, boundary: bytes, now_ns: int) -> FileObject:
    """The file that is in the form in `part`. Raises BadRequest, TooLarge."""
    if not part.stat().st_size:
        raise BadRequest("The form is empty.", code="invalid_form")
    with part.open("rb") as form, mmap.mmap(form.fileno(), 0, access=mmap.ACCESS_READ) as body:
        parts = multipart.parse(body, boundary)
        purpose, file = parts.get("purpose"), parts.get("file")
        if purpose is None or body[purpose.start : min(purpose.end, purpose.start + NAME)] != PURPOSE.encode():
            raise BadRequest('purpose must be "batch".', param="purpose")
        if file is None or file.filename is None or file.start == file.end:
            raise BadRequest("The form has no file, or an empty one.", param="file")
        size = file.end - file.start
        if size > file_store.max_file:
            raise _oversized(file_store.max_file)
        content = part.with_name(f"c{part.name}")
        try:
            _copy(body, file, content)
            now = now_ns // SECOND
            stored = FileObject(
                id=new_id("file-", now_ns),
                bytes=size,
                created_at=now,
                expires_at=now + file_store.keep,
                filename=_display_name(file.filename),
                purpose=PURPOSE,
            )
            file_store.add_file(key_id, stored, content)
        finally:
            content.unlink(missing_ok=True)
    return stored


def _copy(body: mmap.mmap, file: multipart.Part, content: Path) -> None:
    content.touch(mode=0o600, exist_ok=False)
    with content.open("wb") as target:
        for at in range(file.start, file.end, PIECE):
            target.write(body[at : min(at + PIECE, file.end)])


def _display_name(name: str) -> str:
    """A client's file name as it is shown to that client: no path, nothing that can't be printed."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[:NAME] or "upload"


def _oversized(limit: int) -> TooLarge:
    return TooLarge(f"The file is over the limit of {limit >> 20} MiB ([batches] max_file_mb).", param="file")
