"""Files that are there whole or not at all, whatever ends the process while they are written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(path: Path, content: bytes, name: str = "", mode: int = 0o600) -> Iterator[Path]:
    """The content on the disk, in a file beside `path`, to be put in its place within the block. Raises OSError.

    `name`: of that file, which nobody else has; it is gone after the block.
    """
    aside = path.with_name(name or f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
