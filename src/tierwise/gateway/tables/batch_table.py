"""The config's `[batches]` table: where uploaded files and batches are kept, for how long, and how fast batches go.

Knows nothing of what is in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from tierwise.gateway.tables.route_table import Table


class BatchesTable(Table, frozen=True):
    folder: str = ""  # from the config's folder; "": `batches` next to the store
    max_file_mb: Annotated[int, msgspec.Meta(ge=1, le=10_240)] = 100  # of one upload, MiB
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8  # lines that are asked at once, of all batches
    off_peak: bool = True  # lines wait for cheaper hours of their models, where a batch's window leaves the time
    keep_days: Annotated[int, msgspec.Meta(ge=2, le=3650)] = 30  # files, and batches that have ended

    def path(self, base: Path, store: Path) -> Path:
        """The folder. `base`: the config's; `store`: the store's file."""
        return base / Path(self.folder).expanduser() if self.folder else store.parent / "batches"
