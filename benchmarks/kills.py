"""kill -9 of a gateway at random moments under load, many times: what the ledger says afterwards.

    python -m benchmarks.kills [--kills 200]

Eight clients ask a gateway that books in SQLite, for a key with a budget. For every request whose end a client saw
there must be an entry, at its price or marked as an upper bound; else this fails.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.gateway.test_durable import killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen, recovered = asyncio.run(killed(Path(folder), options.kills))
    print(f"{options.kills} kills: {seen:,} requests were seen to end, all are booked; {recovered} at an upper bound")


if __name__ == "__main__":
    main()
