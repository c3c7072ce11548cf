"""The long run: `python -m tests.fuzz 1000000`. Inputs are chosen by which of our lines they reach (atheris).

What breaks something is left in `.fuzz`, to become a test. Where atheris is not to be had, inputs are chosen by chance.
"""

from __future__ import annotations

import random
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec

from tests.fuzz.seeds import inputs, seeds, spoilt

FOLDER = Path(".fuzz")


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Half of the time a value inside the JSON is spoilt, where there is any; else bytes are, as libFuzzer does it."""
    import atheris

    draw = random.Random(seed)  # noqa: S311  chance, no secret
    if draw.random() < 0.5:
        found: bytes = atheris.Mutate(data, max_size)
        return found
    try:
        body = msgspec.json.decode(data[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    good = body if isinstance(body, dict) and body else data[1:]
    return (data[:1] + spoilt(good, draw))[:max_size]


def guided(runs: int) -> None:
    """Ends the process: with an error where an input broke something."""
    import atheris

    with atheris.instrument_imports(include=["tierwise"]):
        from tests.fuzz.doors import feed
    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for target, good in seeds():
        data = good if isinstance(good, bytes) else msgspec.json.encode(good)
        (corpus / f"seed-{target}").write_bytes(bytes([target]) + data)
    options = (f"-runs={runs}", "-max_len=20000", "-timeout=20", f"-artifact_prefix={FOLDER}/", "-verbosity=0")
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(corpus)], feed, custom_mutator=mutate)
    atheris.Fuzz()


def by_chance(runs: int) -> None:
    from tests.fuzz.doors import feed

    for data in inputs(runs, seed=2):
        feed(data)
    print(f"{runs} inputs, chosen by chance: nothing broke")


if __name__ == "__main__":
    (guided if find_spec("atheris") else by_chance)(int(sys.argv[1]))
