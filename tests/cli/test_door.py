"""What the door of the command sets up for all behind it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_COUNTED = """
from tierwise.cli import app
app(["version"], standalone_mode=False)
import numpy
from threadpoolctl import threadpool_info
print(*(pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"))
"""


@pytest.mark.parametrize(
    ("said", "threads"),
    [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")],
)
def test_numpy_has_as_many_threads_as_it_is_told(said: dict[str, str], threads: str) -> None:
    """One, where nobody says otherwise: those that wait for each other spin."""
    env = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")} | said
    done = subprocess.run([sys.executable, "-c", _COUNTED], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == (threads if (os.cpu_count() or 1) > 1 else "1")
