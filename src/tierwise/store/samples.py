"""Samples, their labels and texts as rows and back.

Ids are in order of writing over all processes: a reader that remembers the last id it saw gets every later row exactly
once. On SQLite a new row gets the highest id and one more, and the transaction has had the one lock for writing from
its start; on PostgreSQL a trigger takes a lock before an INSERT into these tables gets its ids. Either is given back
with the commit. So whoever gets a higher id began after the lower one was committed, and nobody ever sees an id while a
lower one is still to come. No id comes twice, because these rows are never deleted.

Knows tables; nothing of transactions, threads, or what a sample proves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from tierwise.errors import RowRefused
from tierwise.proof import Label, Sample, Texts
from tierwise.store.database import Database

Kept = Sample | Label | Texts
Place = tuple[int, int]
"""Of texts in their order: (at_ns, id)."""

FIRST: Place = (-(2**63), 0)

_json = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Texts)


# Columns are named as the fields are; `id`, the last of them, is the store's to give.
_SAMPLE, _LABEL = Sample.__struct_fields__, Label.__struct_fields__


def _into(table: str, fields: Iterable[str]) -> str:
    return f"INSERT INTO {table}({_columns(fields)}) VALUES "  # noqa: S608 - names of our own


def _from(table: str, fields: Iterable[str]) -> str:
    return f"SELECT {_columns(fields)} FROM {table} WHERE route = ? AND id > ? ORDER BY id LIMIT ?"  # noqa: S608


def _columns(fields: Iterable[str]) -> str:
    return ", ".join(f'"{field}"' for field in fields)


_SAMPLES, _SAMPLES_OF = _into("samples", _SAMPLE[:-1]), _from("samples", _SAMPLE)
_LABELS, _LABELS_OF = _into("labels", _LABEL[:-1]), _from("labels", _LABEL)
_TEXTS = "INSERT INTO texts(request_id, route, at_ns, content) VALUES "
_TEXTS_OF = "SELECT at_ns, id, content FROM texts WHERE route = ? AND (at_ns, id) > (?, ?) ORDER BY at_ns, id LIMIT ?"
_TEXT_OF = "SELECT content FROM texts WHERE request_id = ?"
_FORGET = "DELETE FROM texts WHERE id IN (SELECT id FROM texts WHERE route = ? AND at_ns < ? LIMIT ?)"


def row(item: Kept) -> tuple[str, tuple[Any, ...]]:
    """An INSERT up to its VALUES, and these. Raises RowRefused or ValueError for what could not be given back."""
    if isinstance(item, Texts):
        _numbers(said.seconds for said in item.said)
        return _TEXTS, (item.request_id, item.route, item.at_ns, _json.encode(item))
    values = msgspec.structs.astuple(item)[:-1]
    _numbers(values)
    return (_SAMPLES if isinstance(item, Sample) else _LABELS), values


def _numbers(values: Iterable[object]) -> None:
    """SQLite would keep what is not a number as NULL, and JSON would too."""
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise RowRefused("the ledger refused a row: a number in it is none, or is infinite")


def samples(db: Database, route: str, after: int, most: int) -> list[Sample]:
    rows = db.execute(_SAMPLES_OF, (route, after, most))
    return [Sample(**dict(zip(_SAMPLE, values, strict=True))) for values in rows]


def labels(db: Database, route: str, after: int, most: int) -> list[Label]:
    rows = db.execute(_LABELS_OF, (route, after, most))
    return [Label(**dict(zip(_LABEL, values, strict=True))) for values in rows]


def texts(db: Database, route: str, after: Place, most: int) -> list[tuple[Place, Texts]]:
    """With the place of each, to go on from."""
    rows = db.execute(_TEXTS_OF, (route, *after, most))
    return [((at_ns, number), _decoder.decode(content)) for at_ns, number, content in rows]


def text(db: Database, request_id: str) -> Texts | None:
    found = db.execute(_TEXT_OF, (request_id,))
    return _decoder.decode(found[0][0]) if found else None


def forget(db: Database, route: str, before_ns: int, most: int) -> int:
    """Delete at most as many texts; how many there were. The samples and labels stay."""
    return db.change(_FORGET, (route, before_ns, most))
