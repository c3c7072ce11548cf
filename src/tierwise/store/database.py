"""One connection to a database, as the ledger's SQL needs it: the seam between SQLite and PostgreSQL.

SQL is written once, in what both understand: `?` for parameters, `INSERT ... ON CONFLICT ... DO UPDATE`, `count(*)
FILTER`, `CAST(sum(x) AS BIGINT)`. Knows what a driver must give, and no driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Database(Protocol):
    """Belongs to one thread. Every method raises StoreError, and nothing else, for what the database does.

    RowRefused is for what a row's own content is to blame for; every other StoreError says that the database could
    not be written to, and that the same write may be tried again.
    """

    lock: str
    """Behind a SELECT of rows that this transaction is going to change: " FOR UPDATE", or nothing where it has the only
    lock for writing from its start."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a SELECT or of RETURNING; else none."""
        ...

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """How many rows an UPDATE, DELETE or INSERT touched."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing; not nested. On SQLite it begins with the lock for writing."""
        ...

    def scrub(self) -> None:
        """What was deleted is gone from the files too, as far as that can be had without waiting for anybody."""
        ...

    def migrate(self) -> None:
        """Bring the schema to the newest version; safe where several processes start at once."""
        ...

    def close(self) -> None: ...
