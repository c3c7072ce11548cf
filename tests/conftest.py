"""What holds for every test: the conformance suites tell what was wrong as a test's own file does.

One PostgreSQL server serves the whole session, each test that asks gets an empty schema of its own; a second one is
for tests that stop it.
"""

from collections.abc import Iterator

import pytest

from tests.support import postgres as servers

pytest.register_assert_rewrite(
    "tests.conformance.store", "tests.conformance.proof", "tests.conformance.ledger", "tests.store.audit"
)


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
