"""What holds for every test: the conformance suites tell what was wrong as a test's own file does.

One PostgreSQL server serves the whole session, each test that asks gets an empty schema of its own; a second one is
for tests that stop it.

Coverage looks away from what hypothesis draws, which is luck, and from tests marked `unmeasured`: to
count lines thousands of times takes longer than to run them.
"""

import os
from collections.abc import Generator, Iterator

import pytest
from coverage import Coverage

from tests.support import postgres as servers

pytest.register_assert_rewrite(
    "tests.conformance.store", "tests.conformance.proof", "tests.conformance.ledger", "tests.store.audit"
)

# Before anything loads numpy. Processes of the tests share the cores, and threads that wait for one of them spin.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Without coverage, where it is to look away."""
    measuring = Coverage.current()
    if measuring is None or not any(map(item.get_closest_marker, ("hypothesis", "unmeasured"))):
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Server]:
    with servers.serve() as started:
        yield started


@pytest.fixture
async def database(postgres: servers.Server) -> str:
    """The address of an empty one on the session's server."""
    return await postgres.database()


@pytest.fixture(scope="session")
def _second() -> Iterator[servers.Server]:
    with servers.serve(autovacuum_naptime="1s") as started:
        yield started


@pytest.fixture
def fragile(_second: servers.Server) -> Iterator[servers.Server]:
    """A server that a test may stop; it runs again for the next."""
    yield _second
    _second.start()
