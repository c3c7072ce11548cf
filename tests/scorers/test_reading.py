"""How much of a text is read, and which texts are dense."""

from __future__ import annotations

import pytest

from tierwise.scorers.reading import DENSE, FOREIGN, HEAD, MARKS, TAIL, clipped, dense

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
    assert dense("\u0434" * DENSE) is False
    assert dense("\u0434" * DENSE + "a") is True
    assert dense(PLAIN + "1" * (MARKS + 1)) is False
    assert clipped(PLAIN + "1" * (MARKS + 1))[HEAD + 1 :] == "1" * TAIL


def test_a_text_is_read_by_its_head_and_tail() -> None:
    """Of plain text up to HEAD + TAIL characters all is read, of a longer one the two."""
    assert clipped(PLAIN) == PLAIN
    assert clipped(f"{PLAIN}x") == f"{PLAIN[:HEAD]}\n{f'{PLAIN}x'[-TAIL:]}"


def test_of_a_dense_text_less_is_read() -> None:
    """Its first and last characters, DENSE together, however long it is."""
    for size in (DENSE + 1_500, HEAD + TAIL, 50_000):
        text = "".join(f"{number}," for number in range(size))[:size]
        assert clipped(text) == f"{text[: DENSE * 3 // 4]}\n{text[-DENSE // 4 :]}"
    text = ("1," * DENSE)[:DENSE]
    assert clipped(text) == text
