"""Where keys and the ledger are kept, as the operator writes it, and what can be wrong with it beyond its types."""

from __future__ import annotations

from tierwise.gateway.route_table import Table
from tierwise.gateway.toml_check import Problems


class StoreTable(Table, frozen=True):
    url: str = "sqlite:///tierwise.db"  # three slashes: from the config's folder; four: an absolute path


def check_store(store: StoreTable, problems: Problems) -> None:
    scheme, colon, rest = store.url.partition(":")
    if scheme in ("postgres", "postgresql"):
        problems.add(("store", "url"), 'PostgreSQL is not in this version yet; use "sqlite:///tierwise.db"')
    elif scheme != "sqlite" or not colon:
        problems.add(("store", "url"), 'expected an address like "sqlite:///tierwise.db"')
    elif not rest.startswith("///") or not rest.strip("/") or rest == "///:memory:":
        problems.add(
            ("store", "url"), 'expected a file, like "sqlite:///tierwise.db"; a ledger must outlive the process'
        )
