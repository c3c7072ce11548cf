"""What local models take of this machine's memory: measured while they run, estimated before. For `tierwise doctor`.

Reads state files, /proc and the header of a GGUF file; starts and stops nothing.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import IO

import msgspec

from tierwise.errors import WeightsError
from tierwise.providers.llama import CACHE_MIB, running

WORKING_BYTES = 150 << 20  # llama.cpp's buffers and the interpreter: 50 to 150 MiB for models of 0.1 to 1.5 billion
STRING, ARRAY = 8, 9
SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
LENGTH_MAX = 1 << 16  # of a header's string or list: the tokenizer's longer ones come last, and are not read
KEYS_MAX = 4096


class Running(msgspec.Struct, frozen=True):
    """`rss` in bytes; None where the system has no /proc."""

    weights: str
    pid: int
    rss: int | None


def memory(cache: Path) -> tuple[Running, ...]:
    """Every local model that runs now, whoever started it."""
    children = [running(state) for state in sorted((cache / "run").glob("*.json"))]
    return tuple(Running(child.weights, child.pid, _rss(child.pid)) for child in children if child is not None)


def estimate(weights: Path, context: int) -> tuple[int, int]:
    """Bytes that a model will take: at the start, and at most, when the cache of prompts is full. An estimate.

    The file, which is mapped into memory, + keys and values of `context` tokens at 16 bits + working buffers.
    Raises WeightsError for what is no GGUF file.
    """
    least = weights.stat().st_size + context * _token_bytes(weights) + WORKING_BYTES
    return least, least + (CACHE_MIB << 20)


def _rss(pid: int) -> int | None:
    try:
        found = re.search(
            r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii", "replace"), re.MULTILINE
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(found[1]) * 1024 if found else None


# ------------------------------------------------------------------ the header of a GGUF file


def _token_bytes(weights: Path) -> int:
    """Bytes of one token's keys and values over all layers."""
    try:
        with weights.open("rb") as file:
            said = _header(file)
        kind = said["general.architecture"]
        layers, heads = _whole(said[f"{kind}.block_count"]), _whole(said[f"{kind}.attention.head_count"])
        width = _whole(said[f"{kind}.embedding_length"]) // heads
        key, value = (_whole(said.get(f"{kind}.attention.{what}_length", width)) for what in ("key", "value"))
        shared = said.get(f"{kind}.attention.head_count_kv", heads)  # a list where layers differ
        total = sum(map(_whole, shared)) if isinstance(shared, list) else layers * _whole(shared)
    except (KeyError, ValueError, TypeError, ZeroDivisionError, struct.error) as error:
        raise WeightsError(f"{weights.name} is not a GGUF file of a language model: {error!r}") from None
    return total * (key + value) * 2


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} for a whole number")
    return value


def _header(file: IO[bytes]) -> dict[str, object]:
    if file.read(4) != b"GGUF":
        raise ValueError("other first bytes")
    _, _, count = _read(file, "IQQ")
    said: dict[str, object] = {}
    for _ in range(min(count, KEYS_MAX)):
        name = str(_value(file, STRING))
        if name.startswith("tokenizer."):
            break
        said[name] = _value(file, _read(file, "I")[0])
    return said


def _value(file: IO[bytes], kind: int) -> object:
    if kind == ARRAY:
        of, length = _read(file, "IQ")
        if of == ARRAY:
            raise ValueError("a list of lists")
        return [_value(file, of) for _ in range(_short(length))]
    if kind == STRING:
        return file.read(_short(_read(file, "Q")[0])).decode("utf-8", "replace")
    return _read(file, SIZES[kind])[0]


def _read(file: IO[bytes], what: str) -> tuple[int, ...]:
    return struct.unpack("<" + what, file.read(struct.calcsize("<" + what)))


def _short(length: int) -> int:
    if length > LENGTH_MAX:
        raise ValueError(f"a length of {length}")
    return length
