"""What local models take of memory, estimated from a file's header. The measured side stands in `test_local.py`."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tierwise.errors import WeightsError
from tierwise.providers.footprint import WORKING_BYTES, estimate, memory
from tierwise.providers.llama import CACHE_MIB


def string(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(**values: int | str | list[int]) -> bytes:
    """The head of a GGUF file: `block_count` and the like of an architecture called `toy`, then a tokenizer."""
    pairs = [string("general.architecture") + struct.pack("<I", 8) + string("toy")]
    for name, value in values.items():
        key = string("toy." + name.replace("__", "."))
        if isinstance(value, str):
            pairs.append(key + struct.pack("<I", 8) + string(value))
        elif isinstance(value, list):
            pairs.append(key + struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value))
        else:
            pairs.append(key + struct.pack("<II", 4, value))
    pairs.append(string("tokenizer.ggml.model") + b"whatever this is")
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


TOY: dict[str, int | str | list[int]] = {"block_count": 2, "attention__head_count": 4, "embedding_length": 64}


@pytest.mark.parametrize(
    ("extra", "token"),
    [
        ({}, 2 * 4 * (16 + 16) * 2),
        ({"attention__head_count_kv": 1}, 2 * 1 * (16 + 16) * 2),
        ({"attention__head_count_kv": [1, 2]}, 3 * (16 + 16) * 2),
        ({"attention__key_length": 8, "attention__value_length": 32}, 2 * 4 * (8 + 32) * 2),
    ],
)
def test_keys_and_values_are_counted(tmp_path: Path, extra: dict[str, int | str | list[int]], token: int) -> None:
    """File + context tokens of keys and values + working memory; the cache of prompts comes on top."""
    path = tmp_path / "toy.gguf"
    path.write_bytes(header(**TOY, **extra))
    least, most = estimate(path, 1000)
    assert least == path.stat().st_size + 1000 * token + WORKING_BYTES
    assert most == least + (CACHE_MIB << 20)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"GGUF\x03",
        header(block_count=2),
        header(**{**TOY, "attention__head_count": 0}),
        header(**{**TOY, "block_count": "two"}),
        header(**TOY)[:60] + b"\xff" * 60,
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("a") + struct.pack("<IIQ", 9, 9, 1),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("a") + struct.pack("<I", 99),
    ],
)
def test_what_is_no_model_is_told(tmp_path: Path, content: bytes) -> None:
    """A cut, wrong or hostile header is an error in the house's words."""
    path = tmp_path / "toy.gguf"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"toy\.gguf is not a GGUF file"):
        estimate(path, 1000)


def test_a_dead_process_takes_no_memory(tmp_path: Path) -> None:
    """A state file that nobody holds is not a running model."""
    assert memory(tmp_path) == ()
    (tmp_path / "run").mkdir()
    state = tmp_path / "run" / "x.json"
    state.write_bytes(b'{"port":1,"token":"","pid":%d,"weights":""}' % os.getpid())
    assert memory(tmp_path) == ()
