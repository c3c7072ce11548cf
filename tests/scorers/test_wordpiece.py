"""Cutting text into the pieces of a vocabulary."""

from __future__ import annotations

import random
import string
import time
import tracemalloc
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.wordpiece import (
    ALPHABET,
    CUT,
    DENSE,
    FEWER_WORDS,
    IDEOGRAPHS,
    LESS_CUT,
    LIMIT,
    MARKS,
    WORDS,
    WordPiece,
    split,
)

VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "where", "is", "my", "card", "##s", "un", "##aff", "##able", "'", ".", ","),
    *(
        "don",
        "t",
        "cafe",
        "\u4e2d",
        "\u6587",
        "5",
        "##\u20ac",
        "$",
        "a",
        "##a",
        "[",
        "]",
        "pad",
        "##ss",
        "stras",
        "##e",
    ),
)
PIECES = WordPiece(VOCABULARY)
# Letters whose two cases fold to each other; some others (the German sharp s) become two letters in upper case.
LETTERS = string.ascii_letters + "éÉñÑüÜøØжЖωΩ"
TEXTS = st.text(st.sampled_from(LETTERS + string.digits + string.punctuation + " \n\t中文€"), max_size=200)


def pieces(text: str) -> list[str]:
    return [VOCABULARY[number] for number in PIECES.ids(text)]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("  \n\t ", []),
        ("Where is my card?", ["where", "is", "my", "card", "[UNK]"]),
        ("CARDS", ["card", "##s"]),
        ("unaffable", ["un", "##aff", "##able"]),
        ("unaffablex", ["[UNK]"]),
        ("Don\u2019t", ["don", "'", "t"]),
        ('\u00abcard\u00bb, "card"', ["'", "card", "'", ",", "'", "card", "'"]),
        ("Café cafe\u0301", ["cafe", "cafe"]),
        ("\u4e2d\u6587card", ["\u4e2d", "\u6587", "card"]),
        ("5\u20ac $5", ["5", "##\u20ac", "$", "5"]),
        ("[PAD]", ["[", "pad", "]"]),
        ("##s", ["[UNK]", "[UNK]", "[UNK]"]),
        ("ca\u00adrd ca\x00rd ca\u200brd", ["card", "card", "card"]),
        ("my\u00a0card\u3000is\x0cmy\u2028card", ["my", "card", "is", "my", "card"]),
        ("\ud800\udfff\ufffd", []),
        ("a" * 100, ["a", *["##a"] * 99]),
        ("a" * 101, ["[UNK]"]),
    ],
)
def test_text_is_cut_as_bert_does(text: str, cut: list[str]) -> None:
    """Lower case, no accents, marks and ideographs alone, the longest piece first, unknown words whole."""
    assert pieces(text) == cut


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_case_does_not_matter(text: str) -> None:
    """Capitals, small letters and swapped ones are cut alike."""
    assert split(text) == split(text.upper()) == split(text.swapcase())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from(LETTERS + "'!?"), min_size=1, max_size=8), max_size=20), st.randoms())
def test_spacing_does_not_matter(words: list[str], chance: random.Random) -> None:
    """How much white space there is, and of which kind, changes nothing."""
    spaced = "".join(word + chance.choice([" ", "  ", "\n", "\t \r\n", "\u00a0", "\u3000"]) for word in words)
    assert split(f" {spaced}") == split(" ".join(words))


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from('"\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u02bc\u2032\uff02\uff07'))
def test_the_style_of_quotes_does_not_matter(text: str, quote: str) -> None:
    """Any quotation mark or apostrophe counts as the plain one."""
    assert split(text.replace("'", quote)) == split(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_cut(text: str) -> None:
    """Whatever the characters, lone surrogates included, every number is one of the vocabulary, the same each time."""
    numbers = PIECES.ids(text)
    assert all(0 <= number < len(VOCABULARY) for number in numbers)
    assert numbers == WordPiece(VOCABULARY).ids(text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("Where is my card's \u00c9\x80\ud7ff\ud800\u4e2d.\n"), max_size=30),
        min_size=1,
        max_size=8,
    )
)
def test_several_texts_are_cut_as_each_is(texts: list[str]) -> None:
    """Empty ones, and what parts them inside, among them."""
    assert each(texts) == [PIECES.ids(text) for text in texts]


@pytest.mark.parametrize(
    "texts", [["card"], ["", ""], ["is", " ".join(map(str, range(CUT))), "my"], ["caf\u00e9", "\x80", "5\u20ac"]]
)
def test_a_long_text_among_others(texts: list[str]) -> None:
    """And one, and none that has any pieces."""
    assert each(texts) == [PIECES.ids(text) for text in texts]


def each(texts: list[str]) -> list[list[int]]:
    numbers, ends = PIECES.arrays(texts)
    return [numbers[start:end].tolist() for start, end in pairwise((0, *ends))]


def test_only_the_first_characters_are_read() -> None:
    """What stands after the limit changes nothing, and white space does not use the limit up."""
    read = "card " * (LIMIT // 5)
    assert PIECES.ids(read + "where") == PIECES.ids(read)
    assert len(PIECES.ids(read)) == LIMIT // 5
    assert PIECES.ids(read.replace(" ", "\n  ") + "where") == PIECES.ids(read)


@pytest.mark.parametrize("vocabulary", [(), ("a", "b"), ("[UNK]", *map(str, range(0xD800)))])
def test_what_is_no_vocabulary_is_refused(vocabulary: tuple[str, ...]) -> None:
    """A vocabulary needs a piece for the unknown, and numbers that fit."""
    with pytest.raises(ValueError, match="a vocabulary has"):
        WordPiece(vocabulary)


NOISE = "".join(random.Random(1).choices(string.ascii_lowercase, k=1_000_000))  # noqa: S311 - noise, no secret


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        " " * 1_000_000,
        "!?" * 500_000,
        "\ud800" * 1_000_000,
        "\u0301" * 1_000_000,
        "".join(map(chr, range(0x4E00, 0x9FFF))),
        " ".join(NOISE[at : at + 99] for at in range(0, 1_000_000, 99)),
        " ".join("a" * length for length in range(1, 101)) * 100,
    ],
    ids=["word", "space", "marks", "surrogates", "accents", "ideographs", "noise", "pieces"],
)
def test_hostile_text_takes_little_time(text: str) -> None:
    """However long or odd a text is, it costs milliseconds; the bound is generous, for machines that are busy."""
    start = time.process_time()
    PIECES.ids(text)
    assert time.process_time() - start < 1


def test_what_is_remembered_is_bounded() -> None:
    """However many different words have been cut, memory does not grow with them."""
    pieces = WordPiece(VOCABULARY)

    def grown(rounds: int) -> int:
        tracemalloc.start()
        for start in range(0, rounds * 1000, 100):
            assert len(pieces.array(" ".join(f"a{number}" for number in range(start, start + 100)))) == 100
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    assert grown(40) < 1_500_000


# ------------------------------------------------------------------ how far a text is read


def test_a_text_is_read_for_so_many_words() -> None:
    """Marks are words too; what comes after them does not count."""
    assert pieces("a " * (WORDS - 1) + "is my") == ["a"] * (WORDS - 1) + ["is"]


def test_a_text_is_read_until_so_much_was_cut() -> None:
    """Each different word that has no row costs its characters once; words that have one cost nothing."""
    words = ["a" * size for size in range(2, 99)]
    read = pieces(" ".join(["card", *words, "is"]))
    assert CUT - 99 < len(read) <= CUT + 1
    assert "is" not in read
    assert pieces("aaa " * 900 + "is")[-1] == "is"
    assert pieces("card where " * 900 + "is")[-1] == "is"


def test_of_an_answer_less_is_read() -> None:
    """Fewer words, and where it is long fewer that must be cut; of all others nothing is left out."""
    array, beginning = PIECES.array, PIECES.beginning
    long = "card " * (FEWER_WORDS + 1)
    assert len(beginning(long)) == FEWER_WORDS
    cut = " ".join("a" * size for size in range(2, 60))
    assert len(cut) > CUT
    assert LESS_CUT - 60 < len(beginning(cut)) <= LESS_CUT < len(array(cut))
    for text in (cut[:CUT], "card where " * (FEWER_WORDS // 2)):
        assert beginning(text).tolist() == array(text).tolist()


def test_of_a_dense_text_less_is_read() -> None:
    """Where there are more than MARKS digits and marks, the first characters count."""
    assert len(pieces("5." * (MARKS // 2))) == MARKS
    assert len(pieces("5 5 " * MARKS)) == DENSE // 2


def test_a_text_without_an_alphabet_is_read_for_so_many_characters() -> None:
    """No text has so many different characters, Chinese and Korean ones aside, of which there may be more."""
    odd = "".join(map(chr, range(0xA000, 0xA000 + 2 * ALPHABET)))
    assert split(odd) == [odd[:ALPHABET]]
    chinese = "".join(map(chr, range(0x4E00, 0x4E00 + 2 * IDEOGRAPHS)))
    assert split(chinese) == list(chinese[:IDEOGRAPHS])
    assert split(chinese[:IDEOGRAPHS] * 2) == list(chinese[:IDEOGRAPHS] * 2)


@given(st.text(st.sampled_from("aéñ각한글뷁中ßЖ\u0301 .\u1100\u1161"), max_size=60))
@settings(max_examples=100, deadline=None)
def test_korean_is_read_letter_by_letter(text: str) -> None:
    """A syllable is its letters, whatever stands around it, and accents are none beside it either."""
    assert split(f"{text} 한") == split(f"{unicodedata.normalize('NFD', text)} 한")
    assert split(f"{text} 한")[: len(split(text))] == split(text)
    assert split("각") == ["\u1100\u1161\u11a8"]


@given(st.text(st.sampled_from("aé\u0130ßЖй中\uf900한\u201c\u00ad\ud800\u2003 .\tA\u0301\u0660"), max_size=60))
@settings(max_examples=200, deadline=None)
def test_few_or_many_odd_characters_make_no_difference(text: str) -> None:
    """However characters are replaced, which depends on how many different ones there are, words are the same."""
    many = "".join(map(chr, range(0x391, 0x3A0))) + "".join(map(chr, range(0x410, 0x42F)))
    assert split(f"{text} {many}") == split(text) + split(many)
