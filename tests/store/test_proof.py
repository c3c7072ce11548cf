"""The proof in SQLite: what is refused, what is deleted for good, what a group costs."""

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.conformance.proof import EVENT, LABEL, SAMPLE, TEXTS, DeskConformance, ProofConformance, label, sample, texts
from tests.conformance.store import NOW, entry, record, reservation
from tests.store.audit import assert_sound, query
from tests.store.clock import ManualClock
from tierwise.proof import Label, Said, Sample
from tierwise.store.ledger import Item, Ledger
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.samples import Kept
from tierwise.store.sqlite import open_sqlite
from tierwise.store.sqlite_database import SqliteDatabase

WORDS = "a secret of somebody's, "


class TestSqliteDesk(DeskConformance):
    """The suite of every desk, on a file."""


class TestSqliteProof(ProofConformance):
    """The suite of every proof, on a file."""


text = st.text(max_size=20)
moments = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
shares = st.floats(0, 1)
chances = st.floats(0, 1, exclude_min=True)
drawn = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda pair: pair[0] < pair[1])


@st.composite
def any_sample(draw: st.DrawFn) -> Sample:
    uniform, propensity = draw(drawn)
    return Sample(
        request_id=draw(text),
        route=draw(st.sampled_from(["", "support", "ünï"])),
        at_ns=draw(moments),
        kind=draw(st.sampled_from(["audit", "observe"])),
        served=draw(text),
        uniform=uniform,
        propensity=propensity,
        certificate=draw(text),
        rung=draw(counts),
        score=draw(st.none() | shares),
        passed=draw(counts),
        escalated=draw(counts),
    )


any_label = st.builds(
    Label,
    request_id=text,
    route=st.sampled_from(["", "support", "ünï"]),
    model=text,
    source=...,
    by=text,
    draft=shares,
    premium=st.none() | shares,
    propensity=chances,
    at_ns=moments,
    comment=text,
    id=st.just(0),
)


@given(
    drawn=st.lists(any_sample(), max_size=12, unique_by=lambda row: row.request_id),
    said=st.lists(any_label, max_size=12),
)
@settings(max_examples=25, deadline=None)
def test_whatever_is_kept_comes_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Sample], said: list[Label]
) -> None:
    """Any sample and any label, bit for bit, in order."""
    path = tmp_path_factory.mktemp("kept") / "ledger.db"

    async def run() -> None:
        store = await open_sqlite(path, clock=ManualClock(), instance="i1")
        kept: list[Kept] = [*drawn, *said]
        await asyncio.gather(*map(store.proof.keep, kept))
        for route in ("", "support", "ünï"):
            rows = [replace(row, id=number) for number, row in enumerate(drawn, 1) if row.route == route]
            assert list(await store.proof.samples(route)) == rows
            lines = [replace(row, id=number) for number, row in enumerate(said, 1) if row.route == route]
            assert list(await store.proof.labels(route)) == lines
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("table", ["samples", "labels", "trail"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET at_ns = 0", "UPDATE {} SET id = 9"])
async def test_proof_is_append_only(store: LedgerStore, path: Path, table: str, verb: str) -> None:
    """Neither an update nor a delete passes, whoever tries."""
    await asyncio.gather(store.proof.keep(SAMPLE), store.proof.keep(LABEL), store.proof.note(EVENT))
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        query(path, verb.format(table))


def found_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if WORDS.encode() in file.read_bytes()]


async def test_forgotten_texts_stand_in_no_file(store: LedgerStore, path: Path) -> None:
    """Short ones and such as fill pages; not in the database, and not in its write-ahead log."""
    for number in range(40):
        said = (Said(model="cheap", response=WORDS * (1 + number * 20)),)
        await store.proof.keep(texts(f"r{number}", said=said))
    assert found_in(path.parent) != []
    assert await store.proof.forget("support", NOW + 1) == 40
    assert found_in(path.parent) == []
    await store.proof.keep(SAMPLE)
    assert_sound(path)


async def test_a_reader_delays_forgetting_and_does_not_stop_it(store: LedgerStore, path: Path) -> None:
    """What another process still reads is cleared away by the next time, even where that finds nothing to delete."""
    await store.proof.keep(texts("r1", said=(Said(model="cheap", response=WORDS * 400),)))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM texts").fetchall() == [(1,)]
        forgetting = store.proof.forget("support", NOW + 1)
        assert await asyncio.wait_for(forgetting, 2.5) == 1  # a write would wait for five seconds
        assert await store.proof.texts("support") == []
        reader.execute("ROLLBACK")
    assert await store.proof.forget("support", NOW + 1) == 0
    assert found_in(path.parent) == []


def test_clearing_the_log_keeps_the_patience_for_writes(path: Path) -> None:
    """It waits for readers only shortly; a write afterwards waits for other writers as long as ever."""
    with closing(SqliteDatabase(path, "process", 1_234)) as db:
        assert db.execute("PRAGMA secure_delete") == [(1,)]  # by default or not, as SQLite was built
        db.scrub()
        assert db.execute("PRAGMA busy_timeout") == [(1_234,)]


class Counted(SqliteDatabase):
    """Counts its transactions."""

    begun = 0

    @contextmanager
    def transaction(self) -> Generator[None]:
        self.begun += 1
        with super().transaction():
            yield


async def test_what_is_kept_shares_the_commit_of_the_ledger(store: LedgerStore, path: Path) -> None:
    """A reservation, a record, samples, labels and texts: one transaction."""
    items: list[Item] = [reservation("r1", 5), record("r1", entry(4)), SAMPLE, LABEL, TEXTS, sample("r2"), label("r2")]
    with closing(Counted(path)) as db:
        assert Ledger(db, "i2").write(items) == [None] * len(items)
        assert db.begun == 1
    assert [row.request_id for row in await store.proof.samples("support")] == ["r1", "r2"]
    assert (len(await store.proof.labels("support")), await store.spent("k1")) == (2, (4, 0))


PLANS = {
    "SELECT * FROM samples WHERE route = 'r' AND id > 5 ORDER BY id": "samples_route (route=? AND rowid>?)",
    "SELECT * FROM labels WHERE route = 'r' AND id > 5 ORDER BY id": "labels_route (route=? AND rowid>?)",
    "SELECT * FROM texts WHERE route = 'r' AND (at_ns, id) > (5, 5) ORDER BY at_ns, id": (
        "texts_route (route=? AND at_ns>?)"
    ),
}


@pytest.mark.parametrize("sql", PLANS)
async def test_one_route_is_read_by_its_index(store: LedgerStore, path: Path, sql: str) -> None:
    """From where the reader is on, without a look at other rows, and in order without sorting."""
    await store.spent("k1")
    ((*_, plan),) = query(path, f"EXPLAIN QUERY PLAN {sql}")
    assert str(plan).endswith(PLANS[sql])
