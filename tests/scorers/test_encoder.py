"""The packaged encoder: what its vectors are, what changes nothing, and what happens when its file is damaged."""

from __future__ import annotations

import hashlib
import io
import time
import tracemalloc
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tierwise.errors import ConfigError
from tierwise.scorers.encoder import DIMENSIONS, SHA256, Encoder, load_encoder, read
from tierwise.scorers.grams import grams

PACKED = resources.files("tierwise").joinpath("data/encoder/minilm-256.npz")
PROMPT = "A train leaves Geneva at 9:40 and arrives in Zurich at 12:25; how long does the journey take? " * 12
WORDS = st.lists(st.text(st.sampled_from("aeinorst'A.,?7é中"), min_size=1, max_size=9), max_size=12)


def packed(**arrays: NDArray[np.generic]) -> bytes:
    """An .npz file of these arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes a flag by name too
    return file.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def small() -> dict[str, NDArray[np.generic]]:
    """The arrays of a table of three pieces."""
    return {
        "vocabulary": np.frombuffer(b"[UNK]\nyes\nne", np.uint8),
        "table": np.eye(3, DIMENSIONS, dtype=np.int8),
        "scales": np.array([0, 1, 2], np.float16),
    }


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400))
def test_a_vector_has_length_one_or_is_zero(text: str) -> None:
    """Whatever the text: 256 finite floats, of length 1 unless no token is known."""
    vector = load_encoder().encode(text)
    assert vector.shape == (DIMENSIONS,)
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5) or not vector.any()


@pytest.mark.parametrize("text", ["", " \n\t", "\x00", "\ud800\udc00"])
def test_an_empty_text_is_zero(text: str) -> None:
    """A text without tokens has no direction."""
    assert not load_encoder().encode(text).any()


@settings(max_examples=60, deadline=None)
@given(WORDS, st.sampled_from([" ", "  ", "\n", "\t", "\u00a0"]), st.sampled_from('"\u2019\u201c\u201d\u00ab\u02bc'))
def test_form_does_not_matter(words: list[str], space: str, quote: str) -> None:
    """Case, white space and the style of quotes leave every number as it is."""
    plain = load_encoder().encode(" ".join(words))
    formed = f"{space}{space.join(words)}\n".upper().replace("'", quote)
    assert np.array_equal(load_encoder().encode(formed), plain)


def test_near_meanings_are_near() -> None:
    """A question is nearer to its paraphrase than to another topic."""
    asked, again, other = load_encoder().encode_many(
        [
            "My card has not arrived yet, where is it?",
            "I am still waiting for the new bank card to be delivered.",
            "Prove that the sum of two even integers is even.",
        ]
    )
    assert float(asked @ again) > float(asked @ other) + 0.2


def test_many_are_as_one_by_one() -> None:
    """A row of `encode_many` is what `encode` gives; of no texts there are no rows."""
    encoder = load_encoder()
    texts = [PROMPT, "", "yes"]
    assert np.array_equal(encoder.encode_many(texts), [encoder.encode(text) for text in texts])
    assert encoder.encode_many([]).shape == (0, DIMENSIONS)


def test_the_file_is_the_one_that_was_published() -> None:
    """The SHA-256 in the code is the file's, and the file is at most 8 MB."""
    data = PACKED.read_bytes()
    assert digest(data) == SHA256
    assert len(data) <= 8_000_000
    assert read(data, SHA256).encode(PROMPT) == pytest.approx(load_encoder().encode(PROMPT))


def test_a_damaged_file_is_told() -> None:
    """One changed byte is found before anything is read from the file."""
    data = bytearray(PACKED.read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ConfigError, match="damaged"):
        read(bytes(data), SHA256)


def test_the_mean_is_weighted() -> None:
    """A token counts as much as its row's scale says."""
    data = packed(**small())
    vector = read(data, digest(data)).encode("Yes ne\u0301 unheard")
    assert vector[:3] == pytest.approx(np.array([0, 1, 2]) / 5**0.5)


@pytest.mark.parametrize(
    "broken",
    [
        {"vocabulary": np.frombuffer(b"yes\nno\n?", np.uint8)},
        {"vocabulary": np.frombuffer(b"[UNK]\n\xff\nyes", np.uint8)},
        {"table": np.eye(3, 64, dtype=np.int8)},
        {"scales": np.ones(2, np.float16)},
        {"vocabulary": np.array([{}], dtype=object)},
    ],
    ids=["no unknown", "no text", "too narrow", "too few", "an object"],
)
def test_a_file_that_is_no_table_is_told(broken: dict[str, NDArray[np.generic]]) -> None:
    """What does not fit together is an error of configuration; objects are not unpickled."""
    data = packed(**small() | broken)
    with pytest.raises(ConfigError, match="is not one"):
        read(data, digest(data))


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", packed(table=np.zeros(1))], ids=["empty", "cut", "arrays missing"]
)
def test_a_file_that_is_no_archive_is_told(data: bytes) -> None:
    """Neither is a file that holds something else."""
    with pytest.raises(ConfigError, match="is not one"):
        read(data, digest(data))


def test_an_encoder_is_what_its_table_is() -> None:
    """A table needs as many rows as the vocabulary has pieces."""
    with pytest.raises(ValueError, match="a row of 256"):
        Encoder(["[UNK]"], np.zeros((2, DIMENSIONS), np.int8), np.ones(2, np.float32))


@pytest.mark.unmeasured
def test_a_prompt_takes_little_time() -> None:
    """300 tokens take well under a millisecond of CPU; the bound is ten times what is promised, for busy machines."""
    encoder = load_encoder()
    encoder.encode(PROMPT)
    start = time.process_time()
    for _ in range(50):
        encoder.encode(PROMPT)
    assert (time.process_time() - start) / 50 < 0.0015


@pytest.mark.unmeasured
@pytest.mark.parametrize("text", ["x" * 1_000_000, "!" * 1_000_000, "\udc00 " * 500_000], ids=["word", "marks", "odd"])
def test_hostile_text_takes_little_time(text: str) -> None:
    """A megabyte costs no more than the part of it that is read."""
    start = time.process_time()
    load_encoder().encode(text)
    assert time.process_time() - start < 1


@pytest.mark.unmeasured
def test_loading_is_quick() -> None:
    """The table is read in a fraction of a second; the bound is generous, for busy machines."""
    start = time.process_time()
    read(PACKED.read_bytes(), SHA256)
    assert time.process_time() - start < 1.5


def test_an_encoder_is_small() -> None:
    """What stays in memory is far less than the table as floats would be."""
    tracemalloc.start()
    try:
        encoder = read(PACKED.read_bytes(), SHA256)
        assert tracemalloc.get_traced_memory()[0] < 20e6
    finally:
        tracemalloc.stop()
    assert encoder.encode("kept until here").any()


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_reading_is_encoding_and_counting(text: str) -> None:
    """The words of a text and its meaning, from one count, are those of two."""
    encoder = load_encoder()
    (buckets, values), meaning = encoder.read(text)
    wanted = grams(encoder.pieces.array(text))
    assert buckets.tolist() == wanted[0].tolist()
    assert values.tolist() == wanted[1].tolist()
    assert np.abs(meaning - encoder.encode(text)).max() <= 1e-6
