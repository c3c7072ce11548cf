"""How a batch ends: what was written becomes files of its key, then it says that it has ended, and by what."""

from __future__ import annotations

from msgspec.structs import replace

from tierwise.gateway.bulk import parcel
from tierwise.gateway.bulk.shelf import BatchObject, FileObject, Problem, Problems, Shelf, aside


def outputs(batch_id: str) -> tuple[str, str]:
    """The ids of the two files that a batch makes: of answers, and of errors."""
    name = batch_id.replace("batch_", "file-")
    return f"{name}-output", f"{name}-errors"


async def end(shelf: Shelf, key_id: str, batch: BatchObject, now: int, final: str, *problems: Problem) -> None:
    """`final`: its last status; `now` in Unix seconds. Raises FilesUnavailable."""
    marked = await aside(shelf.batch, key_id, batch.id)
    batch = replace(batch, status="finalizing", finalizing_at=now, cancelling_at=marked.cancelling_at, tierwise=None)
    await aside(shelf.write, key_id, batch)
    output, errors = [await _file(shelf, key_id, batch.id, name, now) for name in outputs(batch.id)]
    said = Problems(problems) if problems else None
    ended = {f"{final}_at": now}
    batch = replace(batch, status=final, output_file_id=output, error_file_id=errors, errors=said, **ended)
    await aside(shelf.write, key_id, batch)
    for path in await aside(parcel.left, shelf.folder / key_id, batch.id):
        await aside(path.unlink, missing_ok=True)


async def _file(shelf: Shelf, key_id: str, batch_id: str, name: str, now: int) -> str | None:
    """The id of a file that was made; None where nothing was written to it."""
    path = shelf.data(key_id, name)
    size = (await aside(path.stat)).st_size if await aside(path.exists) else 0
    if not size:
        await aside(path.unlink, missing_ok=True)
        return None
    shown = f"{batch_id}_{name.rpartition('-')[2]}.jsonl"
    until = now + shelf.keep
    file = FileObject(id=name, bytes=size, created_at=now, expires_at=until, filename=shown, purpose="batch_output")
    await aside(shelf.add, key_id, file)
    return name
