"""PostgreSQL as a store: the suites of ledger, store and proof; many stores on one database; a server that goes."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.ledger import LedgerConformance
from tests.conformance.proof import DeskConformance, ProofConformance
from tests.conformance.store import DOLLAR, StoreConformance, entry, key, record, reservation, timed
from tests.store.audit import check
from tests.store.clock import ManualClock
from tests.support.postgres import Server, run
from tierwise.errors import BudgetExceeded, StoreError
from tierwise.store.database import Database
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.open_store import open_store
from tierwise.store.postgres import open_postgres, spool_in
from tierwise.store.postgres_database import PostgresDatabase

ROOT = Path(__file__).parents[2]
WRITTEN = "SELECT count(*) FROM requests"


@pytest.fixture
async def store(database: str, tmp_path: Path, clock: ManualClock) -> AsyncGenerator[LedgerStore]:
    opened = await open_postgres(database, spool=tmp_path / "spool", clock=clock, instance="i1")
    yield opened
    await opened.close()


@pytest.fixture
async def other(store: LedgerStore, database: str, tmp_path: Path, clock: ManualClock) -> AsyncGenerator[LedgerStore]:
    """A second instance on the same database, as if on another machine: its journals are elsewhere."""
    opened = await open_postgres(database, spool=tmp_path / "other", clock=clock, instance="i2")
    yield opened
    await opened.close()


class TestPostgres(StoreConformance):
    """The suite of every store."""


class TestPostgresDesk(DeskConformance):
    """The suite of every desk, on a server."""


class TestPostgresProof(ProofConformance):
    """The suite of every proof."""


class TestPostgresLedger(LedgerConformance):
    """The suite of every database."""

    @pytest.fixture
    def make(self, database: str) -> Iterator[Callable[[], Database]]:
        opened: list[PostgresDatabase] = []

        def make() -> Database:
            db = PostgresDatabase(database)
            db.migrate()
            if threading.current_thread() is threading.main_thread():  # others close their own
                opened.append(db)
            return db

        yield make
        for db in opened:
            db.close()


async def assert_sound(url: str) -> None:
    def look() -> None:
        with closing(PostgresDatabase(url)) as db:
            check(db.execute)

    await asyncio.to_thread(look)


async def test_a_budget_holds_over_many_stores(database: str, tmp_path: Path, clock: ManualClock) -> None:
    """Four, 60 requests each at once, of two cents on a dollar: 50 get in, and what is spent is a dollar."""
    stores = [
        await open_postgres(database, spool=tmp_path / f"spool{number}", clock=clock, instance=f"i{number}")
        for number in range(4)
    ]

    async def one(number: int) -> bool:
        asked = stores[number % 4]
        try:
            await asked.reserve(timed(f"r{number}", DOLLAR // 50))
        except BudgetExceeded:
            return False
        await asked.post(record(f"r{number}", entry(DOLLAR // 50)))
        return True

    served = await asyncio.gather(*map(one, range(240)))
    assert sum(served) == 50
    for each in stores:
        assert await each.spent("k1:month:2026-09") == (DOLLAR, 0)
    await asyncio.gather(*(each.close() for each in stores))
    assert await run(database, "SELECT count(*) FROM leases") == [(0,)]
    assert await run(database, "SELECT count(*) FROM instances") == [(0,)]
    await assert_sound(database)


async def test_a_key_made_in_one_store_is_seen_in_another(store: LedgerStore, other: LedgerStore) -> None:
    """With its terms; and its money too."""
    await store.add_key(key("k1"))
    assert await other.keys() == await store.keys()
    await store.reserve(reservation("r1", 5))
    await store.post(record("r1", entry(3)))
    assert await other.spent("k1") == (3, 0)


async def test_many_stores_may_make_the_ledger_at_once(database: str, tmp_path: Path, clock: ManualClock) -> None:
    """All find it whole."""
    stores = await asyncio.gather(
        *(
            open_postgres(database, spool=tmp_path / f"spool{number}", clock=clock, instance=f"i{number}")
            for number in range(6)
        )
    )
    await asyncio.gather(*(each.post(record(f"r{number}", entry(1))) for number, each in enumerate(stores)))
    assert await stores[0].spent("k1") == (6, 0)
    await asyncio.gather(*(each.close() for each in stores))


async def test_a_connection_that_is_cut_loses_nothing(store: LedgerStore, database: str) -> None:
    """Again and again, under load: every end is written, once."""
    cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'tierwise'"
    for turn in range(5):
        ends = []
        for number in range(200):
            name = f"r{turn}-{number}"
            await store.reserve(reservation(name, 5))
            ends.append(store.post(record(name, entry(3))))
        await run(database, cut)
        await asyncio.gather(*ends)
    assert await run(database, WRITTEN) == [(1_000,)]
    assert await store.spent("k1") == (3_000, 0)
    assert store.counts.failures == store.counts.duplicates == 0
    await assert_sound(database)


@pytest.mark.parametrize("signal", ["INT", "QUIT"])
async def test_requests_go_on_while_the_server_is_away(
    fragile: Server, tmp_path: Path, clock: ManualClock, signal: str
) -> None:
    """Stopped or crashed: what needs no new lease is served, what needs one is refused; then all is written."""
    url = await fragile.database()
    store = await open_postgres(url, spool=tmp_path / "spool", clock=clock, instance="i1")
    await store.reserve(reservation("before", 5))
    fragile.stop(signal)
    ends = [store.post(record("before", entry(3)))]
    for number in range(100):
        await store.reserve(reservation(f"r{number}", 5))
        ends.append(store.post(record(f"r{number}", entry(3))))
    with pytest.raises(StoreError):
        await store.reserve(reservation("limited", 5, budget=DOLLAR))
    fragile.start()
    await asyncio.gather(*ends)
    assert await run(url, WRITTEN) == [(101,)]
    assert await store.spent("k1") == (303, 0)
    await store.reserve(reservation("limited", 5, budget=DOLLAR))
    await store.close()
    await assert_sound(url)


async def test_what_was_served_while_it_was_away_outlives_the_process(
    fragile: Server, tmp_path: Path, clock: ManualClock
) -> None:
    """Closed without a server to write to: the next start finds the journal, and the money is right."""
    url = await fragile.database()
    store = await open_postgres(url, spool=tmp_path / "spool", clock=clock, instance="i1")
    await store.reserve(reservation("r0", 5))
    assert await store.spent("k1") == (0, 5)
    fragile.stop()
    store.post(record("r0", entry(3)))
    await store.reserve(reservation("r1", 5))
    store.post(record("r1", entry(4)))
    await store.reserve(reservation("r2", 50))
    await asyncio.wait_for(store.close(), 10)
    fragile.start()
    again = await open_postgres(url, spool=tmp_path / "spool", clock=clock, instance="i2")
    assert await again.record("r0") == record("r0", entry(3))
    assert await again.record("r1") == record("r1", entry(4))
    assert await again.spent("k1") == (57, 0)  # what never ended counts at its bound
    await again.close()
    await assert_sound(url)


async def test_nothing_promised_is_lost_over_ten_kills(database: str, tmp_path: Path, clock: ManualClock) -> None:
    """Each reservation and each end that was told before kill -9 is in the ledger, once, and the money adds up."""
    spool = tmp_path / "spool"
    command = (sys.executable, "-m", "tests.store.postgres_child", database, str(spool), "10")
    told = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    lines = [line.split() for line in told.stdout.splitlines()]
    reserved = {name for verb, name in lines if verb == "reserved"}
    posted = {name for verb, name in lines if verb == "posted"}
    store = await open_postgres(database, spool=spool, clock=clock, instance="after")
    ends = {str(name): by for name, by in await run(database, "SELECT request_id, settled_by FROM requests")}
    assert len(posted) > 20
    assert reserved <= set(ends)
    assert all(ends[name] == "gateway" for name in posted)
    lost = sum(by == "recovery" for by in ends.values())
    assert lost > 0
    assert await store.spent("k1") == (7 * (len(ends) - lost) + 10 * lost, 0)
    await store.close()
    await assert_sound(database)


async def test_a_ledger_that_can_not_be_opened_says_why(postgres: Server, tmp_path: Path, clock: ManualClock) -> None:
    """Without the password; and nothing is left running or lying about."""
    for url, words in (
        (postgres.url("postgres", "a-secret"), "refuses the user or the password"),
        (postgres.url("nowhere"), "make it with `createdb nowhere`"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            await open_postgres(url, spool=tmp_path / "spool", clock=clock, instance="i1")
        assert "secret" not in caught.value.message


async def test_a_store_is_opened_by_its_address(database: str, tmp_path: Path, clock: ManualClock) -> None:
    """A file beside the config, or a server; journals lie beside the file, or in the config's folder, or where said."""
    said = tmp_path / "said"
    for url, spool, lies in (
        ("sqlite:///ledger.db", None, tmp_path / "ledger.db.spool"),
        (database, None, spool_in(tmp_path, database)),
        (database.replace("postgresql://", "postgres://"), said, spool_in(said, database)),
    ):
        store = await open_store(url, tmp_path, clock=clock, instance="i1", spool=spool)
        await store.post(record("r1", entry(3)))
        assert await store.spent("k1") == (3, 0)
        assert lies.is_dir()
        await store.close()
    with pytest.raises(StoreError, match="begins neither with sqlite:/// nor with postgresql://"):
        await open_store("mysql://me:a-secret@h/d", tmp_path, clock=clock, instance="i1")


def test_journals_are_kept_apart_by_database() -> None:
    """By server and name; a new password finds those of the old one."""
    names = [
        spool_in(Path("conf"), f"postgresql://{url}").name
        for url in ("me:a@h/d", "you:b@h/d", "h/d", "me:a@h:5433/d", "me:a@h/e", "me:a@g/d", "me:a@h/d?search_path=s")
    ]
    assert len(set(names)) == 5
    assert names[0] == names[1] == names[2] == "tierwise-ae7069f3.spool"
