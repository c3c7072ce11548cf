"""How much of a text is read, and which texts are dense."""

from __future__ import annotations

import pytest

from tierwise.scorers.reading import DENSE, DIFFERENT, FOREIGN, HEAD, MARKS, NOISE, TAIL, clipped, dense

PLAIN = ("some plain words " * 1_000)[: HEAD + TAIL]


@pytest.mark.parametrize("mark", ["1", ".", "\n", "_", "\x00", "\u00e9"])
def test_many_marks_make_a_text_dense(mark: str) -> None:
    """Digits, marks, line ends: up to MARKS are not too many, wherever they stand; of letters beyond ASCII, FOREIGN."""
    most = MARKS if mark.isascii() else FOREIGN
    for text in (PLAIN[most + 1 :] + mark * most, mark * most + PLAIN[most + 1 :]):
        assert dense(text) is False
        assert dense(text + mark) is True


def test_a_text_of_so_many_characters_is_not_dense() -> None:
    """All of it would be read in any case; and what stands beyond HEAD + TAIL does not count."""
    assert dense("\u0434" * DENSE + "a") is False
    assert dense("\u0434" * DENSE + "ab") is True
    assert dense(PLAIN + "1" * (MARKS + 1)) is False
    assert clipped(PLAIN + "1" * (MARKS + 1))[HEAD + 1 :] == "1" * TAIL


def test_a_text_is_read_by_its_head_and_tail() -> None:
    """Of plain text up to HEAD + TAIL characters all is read, of a longer one the two."""
    assert clipped(PLAIN) == PLAIN
    assert clipped(f"{PLAIN}xy") == f"{PLAIN[:HEAD]}\n{f'{PLAIN}xy'[-TAIL:]}"


@pytest.mark.parametrize("text", [PLAIN, PLAIN * 2, "1," * HEAD, "\u0434" * HEAD, PLAIN[2:] + "\u00e9" * FOREIGN * 2])
def test_what_was_clipped_stays_as_it_is(text: str) -> None:
    """Several clip the same text, and none knows of the others."""
    assert clipped(clipped(text)) == clipped(text)


def test_of_noise_hardly_anything_is_read() -> None:
    """No text has more than DIFFERENT different characters, Chinese not excepted."""
    some = "".join(map(chr, range(0x4E00, 0x4E00 + DIFFERENT - 1)))  # and a line's end
    assert len(clipped(some * 5)) == DENSE + 1
    assert clipped(f"{some}\u3002" * 5) == some[:NOISE]


def test_of_a_dense_text_less_is_read() -> None:
    """Its first and last characters, DENSE together, however long it is."""
    for size in (DENSE + 1_500, HEAD + TAIL, 50_000):
        text = "".join(f"{number}," for number in range(size))[:size]
        assert clipped(text) == f"{text[: DENSE * 3 // 4]}\n{text[-DENSE // 4 :]}"
    text = ("1," * DENSE)[:DENSE]
    assert clipped(text) == text
