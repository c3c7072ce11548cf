"""PostgreSQL as a database: what comes back, what is refused and in which words, what a lost connection costs."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import postgres as servers
from tierwise.errors import RowRefused, StoreError
from tierwise.store.postgres_database import ESCAPE, PostgresDatabase

NOTE = "INSERT INTO meta VALUES (?, ?)"
NOTES = "SELECT name, value FROM meta WHERE name LIKE 'a%' ORDER BY name"
LABEL = (
    'INSERT INTO labels(request_id, route, model, source, "by", draft, premium, propensity, at_ns, comment)'
    " VALUES ('r', ?, 'm', 'human', '', 1, NULL, 1, ?, ?)"
)


@pytest.fixture
def db(database: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(database)) as opened:
        opened.migrate()
        yield opened


@pytest.fixture(scope="module")
def anything(postgres: servers.Server) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(postgres.url("postgres"))) as opened:
        yield opened


@given(
    text=st.text(st.characters(codec="utf-8") | st.sampled_from(["\0", ESCAPE, "0", "1", "?", "日"]), max_size=12),
    number=st.integers(-(2**63), 2**63 - 1),
    share=st.floats(allow_nan=False, allow_infinity=False),
    content=st.binary(max_size=12),
)
@example(text=f"{ESCAPE}0{ESCAPE}1\0{ESCAPE}{ESCAPE}", number=0, share=-0.0, content=b"\0")
@settings(max_examples=100, deadline=None)
def test_whatever_is_sent_comes_back(
    anything: PostgresDatabase, text: str, number: int, share: float, content: bytes
) -> None:
    """Bit for bit, of the same type; NUL and what stands for it too; and as a text that it is equal to."""
    sql = (
        "SELECT CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS DOUBLE PRECISION), CAST(? AS BYTEA), CAST(? AS TEXT) = ?"
    )
    values = (text, number, share, content)
    (row,) = anything.execute(sql, (*values, text, text))
    assert row == (*values, True)
    assert repr(row) == repr((*values, True))


def test_changes_are_counted(db: PostgresDatabase) -> None:
    """Of every kind; a statement that changes nothing has changed 0."""
    assert db.change("INSERT INTO meta VALUES (?, ?), (?, ?)", ("a1", 1, "a2", 2)) == 2
    assert db.change("UPDATE meta SET value = value + ? WHERE name = ?", (5, "a1")) == 1
    assert db.change("INSERT INTO meta VALUES ('a1', 1) ON CONFLICT DO NOTHING") == 0
    assert db.execute("DELETE FROM meta WHERE name = 'a2' RETURNING value") == [(2,)]
    assert db.execute(NOTES) == [("a1", 6)]
    assert db.change("SET TIME ZONE 'UTC'") == 0


@pytest.mark.parametrize("value", [2**63, "a secret", "half a pair: \ud800", b"x"])
def test_a_value_that_no_column_holds_is_refused(db: PostgresDatabase, value: object) -> None:
    """For good, without a word of it; the connection stays."""
    db.change("SET application_name = 'mine'")
    with pytest.raises(RowRefused) as caught:
        db.change(NOTE, ("a1", value))
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None
    assert db.execute("SHOW application_name") == [("mine",)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(db: PostgresDatabase, value: float) -> None:
    """PostgreSQL would keep it, and one of them spoils every sum that it goes into."""
    with pytest.raises(RowRefused, match="a number in it is none"):
        db.execute("SELECT CAST(? AS DOUBLE PRECISION)", (value,))


def test_a_refused_row_names_its_rule(db: PostgresDatabase) -> None:
    """And no value."""
    db.change(NOTE, ("a secret", 1))
    for sql, values, rule in (
        (NOTE, ("a secret", 2), "meta_pkey"),
        (LABEL, (None, 1, "a secret"), "route"),
        ("INSERT INTO instances VALUES ('a secret', '', 1, 1, 1, NULL)", (), "mark"),
        ("INSERT INTO leases VALUES ('a secret', '', -1, 0)", (), "leases_nanos_check"),
        ("DELETE FROM labels", (), "labels is append-only"),
        (NOTE, ("ab" * 10_000 + str(list(range(10_000))), 1), "ProgramLimitExceededError"),
    ):
        with pytest.raises(RowRefused) as caught:
            db.change(sql, values)
        assert caught.value.message == f"the ledger refused a row: {rule}"


def test_a_transaction_is_all_or_nothing(db: PostgresDatabase) -> None:
    """Undone by whatever is raised in it, and gone from the connection then."""
    with db.transaction():
        db.change(NOTE, ("a1", 1))
    with pytest.raises(KeyError), db.transaction():  # noqa: PT012
        db.change(NOTE, ("a2", 1))
        raise KeyError
    with pytest.raises(RowRefused), db.transaction():  # noqa: PT012
        db.change(NOTE, ("a3", 1))
        db.change(NOTE, ("a1", 1))
    db.change(NOTE, ("a4", 1))
    assert db.execute(NOTES) == [("a1", 1), ("a4", 1)]


def test_a_transaction_whose_error_was_swallowed_does_not_pass_for_committed(db: PostgresDatabase) -> None:
    """PostgreSQL undoes it without an error of its own."""
    with pytest.raises(StoreError, match="undone"), db.transaction():  # noqa: PT012
        db.change(NOTE, ("a1", 1))
        with pytest.raises(RowRefused):
            db.change(NOTE, ("a1", 1))
    assert db.execute(NOTES) == []


def cut(db: PostgresDatabase, url: str) -> None:
    """End the connection from the server's side, and wait until it has."""
    ((number,),) = db.execute("SELECT pg_backend_pid()")
    with closing(PostgresDatabase(url)) as other:
        assert other.execute("SELECT pg_terminate_backend(?, 5000)", (number,)) == [(True,)]


def test_a_lost_connection_is_an_error_and_then_another(db: PostgresDatabase, database: str) -> None:
    """The call that finds it out fails; the next is served by a new one."""
    cut(db, database)
    with pytest.raises(StoreError) as caught:
        db.change(NOTE, ("a1", 1))
    assert not isinstance(caught.value, RowRefused)
    db.change(NOTE, ("a2", 1))
    assert db.execute(NOTES) == [("a2", 1)]


def test_nothing_of_a_transaction_is_written_over_another_connection(db: PostgresDatabase, database: str) -> None:
    """Where the first was lost in its midst: what would follow fails too, and the commit."""
    for swallowed in range(3):
        with pytest.raises(StoreError, match=r"lost|stopped"), db.transaction():  # noqa: PT012
            db.change(NOTE, ("a1", 1))
            cut(db, database)
            for _ in range(swallowed):
                with pytest.raises(StoreError):
                    db.change(NOTE, ("a2", 1))
    assert db.execute(NOTES) == []


async def test_a_server_that_is_stopped_and_started_again(fragile: servers.Server) -> None:
    """In order and by a crash: calls fail while it is away, and go on where what was committed is."""
    url = await fragile.database()

    def live() -> None:
        with closing(PostgresDatabase(url)) as db:
            db.migrate()
            for number, signal in enumerate(("INT", "QUIT"), 1):
                db.change(NOTE, (f"a{number}", number))
                fragile.stop(signal)
                for _ in range(3):
                    with pytest.raises(StoreError, match=f"127.0.0.1:{fragile.port}") as caught:
                        db.execute(NOTES)
                    assert not isinstance(caught.value, RowRefused)
                with pytest.raises(StoreError, match="can't be reached"), db.transaction():
                    pass
                fragile.start()
                assert db.execute(NOTES) == [("a1", 1), ("a2", 2)][:number]

    await asyncio.to_thread(live)


def test_a_lock_that_is_kept_is_an_error_and_passes(db: PostgresDatabase, database: str) -> None:
    """A row's, from the moment it is read for writing."""
    db.change(NOTE, ("a1", 1))
    sql = "SELECT value FROM meta WHERE name = 'a1'" + db.lock  # noqa: S608
    with closing(PostgresDatabase(database, busy_ms=50)) as other:
        with db.transaction():
            assert db.execute(sql) == [(1,)]
            with pytest.raises(StoreError, match="locked"):
                other.execute(sql)
        assert other.execute(sql) == [(1,)]


def test_an_answer_that_never_comes_is_a_lost_connection(database: str) -> None:
    """The server works on, or hangs; the next call does not wait for it."""
    with closing(PostgresDatabase(database, reply_s=0.1)) as db:
        with pytest.raises(StoreError, match="no answer in time"):
            db.execute("SELECT pg_sleep(30)")
        assert db.execute("SELECT 1") == [(1,)]


def test_a_server_that_does_not_answer_is_given_up(postgres: servers.Server) -> None:
    """Something accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me:secret@127.0.0.1:{silent.getsockname()[1]}/d"
        with (
            closing(PostgresDatabase(url, busy_ms=100)) as db,
            pytest.raises(StoreError, match="no answer in time"),
        ):
            db.execute("SELECT 1")


def test_a_process_that_falls_silent_in_a_transaction_frees_what_it_locked(db: PostgresDatabase) -> None:
    """The server sees to it: the setting is the connection's own."""
    assert db.execute("SHOW idle_in_transaction_session_timeout") == [("10s",)]
    assert db.execute("SHOW lock_timeout") == [("5s",)]


PROBLEMS: dict[str, tuple[Callable[[servers.Server], str], str]] = {
    "password": (lambda server: server.url("postgres", "secret"), "refuses the user or the password: see the store's"),
    "user": (lambda server: server.url("postgres", "secret").replace("tierwise", "secret", 1), "refuses the user or"),
    "database": (lambda server: server.url("ledger"), "has no database ledger: make it with `createdb ledger`"),
    "read-only": (lambda server: server.url("postgres") + "?default_transaction_read_only=on", "takes no writes"),
    "port": (lambda _: "postgresql://me:secret@127.0.0.1:1/d", "127.0.0.1:1 can't be reached"),
    "host": (lambda _: "postgresql://me:secret@nowhere.invalid/d", "nowhere.invalid can't be reached"),
    "no port": (lambda _: "postgresql://me:secret@127.0.0.1:x/d", "write postgresql://USER:PASSWORD@HOST"),
    "no address": (lambda _: "postgresql://me:secret@[::1/d", "write postgresql://USER:PASSWORD@HOST"),
    "#": (lambda _: "postgresql://me:se#secret@127.0.0.1/d", "write postgresql://USER:PASSWORD@HOST"),
    "/": (lambda _: "postgresql://me:secret@x/secret@127.0.0.1/d", "write postgresql://USER:PASSWORD@HOST"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_wrong_is_said_and_no_secret_with_it(postgres: servers.Server, problem: str) -> None:
    """Where, and what to do; neither the user nor the password."""
    make, words = PROBLEMS[problem]
    with pytest.raises(StoreError) as caught, closing(PostgresDatabase(make(postgres))) as db:
        db.change("CREATE TABLE t()")
    assert words in caught.value.message
    assert "secret" not in caught.value.message
    assert not isinstance(caught.value, RowRefused)
    assert caught.value.__cause__ is None


def test_without_the_driver_it_says_what_to_install() -> None:
    """The package is an extra."""
    told = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, timeout=20, check=True)
    assert told.stdout == 'PostgreSQL needs the package asyncpg: pip install "tierwise[postgres]"\n'


_WITHOUT = """
import sys
from tierwise.errors import StoreError
from tierwise.store.postgres_database import PostgresDatabase
assert "asyncpg" not in sys.modules
sys.modules["asyncpg"] = None
try:
    PostgresDatabase("postgresql://h/d")
except StoreError as error:
    print(error)
"""


def test_closing_twice_and_unused_is_fine(database: str, fragile: servers.Server) -> None:
    """Never connected; connected; connected to a server that is gone."""
    unused, used, gone = (
        PostgresDatabase(database),
        PostgresDatabase(database),
        PostgresDatabase(fragile.url("postgres")),
    )
    used.execute("SELECT 1")
    gone.execute("SELECT 1")
    fragile.stop("QUIT")
    for db in (unused, used, gone):
        db.close()
        db.close()
