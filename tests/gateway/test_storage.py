"""From the config's `[store]` table to an open store."""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.store import reservation
from tierwise.errors import ConfigError
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.settings import Config, load, read_environment
from tierwise.gateway.storage import address, storage


def config(folder: Path, store: str) -> Config:
    path = folder / "tierwise.toml"
    path.write_text(f"[store]\n{store}")
    return load(path, {})


async def test_journals_lie_where_the_config_says(tmp_path: Path) -> None:
    """From its folder; else beside the file."""
    for store, folder in (('spool = "local/spool"', "local/spool"), ("", "tierwise.db.spool")):
        opened = await storage(config(tmp_path, store), read_environment({}), SystemClock())
        await opened.reserve(reservation("r1" + folder))
        assert len(list((tmp_path / folder).glob("*.journal"))) == 1
        await opened.close()
    assert (tmp_path / "tierwise.db").exists()


async def test_the_limits_are_the_config_s(tmp_path: Path) -> None:
    """How much may wait."""
    opened = await storage(config(tmp_path, "spool_mb = 1"), read_environment({}), SystemClock())
    opened._writer.inbox.rung = True  # the thread is told of nothing
    asked = [opened.reserve(reservation(f"r{number}")) for number in range(20_000)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert "1 MiB" in str(outcomes[-1])
    await opened.close()


def test_an_address_that_holds_a_password_comes_from_the_environment(tmp_path: Path) -> None:
    """Never shown where it is wrong."""
    secret = "postgresql://tw:canary@db/tierwise"
    found = config(tmp_path, 'url_env = "LEDGER"')
    assert address(found, read_environment({"LEDGER": secret})) == secret
    for wrong in ("", "canary", "postgresql://tw:canary@db", "sqlite:///canary.db"):
        with pytest.raises(ConfigError, match="LEDGER does not hold") as caught:
            address(found, read_environment({"LEDGER": wrong}))
        assert "canary" not in str(caught.value)
    plain = config(tmp_path, 'url = "postgresql://db/tierwise"')
    assert address(plain, read_environment({})) == "postgresql://db/tierwise"


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ('url_env = "a b"', "store.url_env: is the name of an environment variable"),
        ('url = "sqlite:///x.db"\nurl_env = "X"', "store.url: is said in `url_env` already"),
        ("spool_mb = 0", "store.spool_mb"),
        ('when_down = "panic"', "store.when_down"),
    ],
)
def test_what_can_be_wrong(tmp_path: Path, store: str, said: str) -> None:
    """Told with its line."""
    with pytest.raises(ConfigError, match=said):
        config(tmp_path, store)


def test_what_belongs_to_a_server_s_ledger_lies_beside_the_config(tmp_path: Path) -> None:
    """There is no file to lie beside."""
    for store in ('url = "postgresql://db/tw"', 'url_env = "X"'):
        found = config(tmp_path, store)
        assert (found.store_path.parent, found.store.embedded) == (tmp_path, False)
