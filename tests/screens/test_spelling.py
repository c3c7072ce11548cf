"""A hidden word is found again where there is a known one a step away, and everything else stays as it is."""

from __future__ import annotations

import time

import pytest

from tierwise.screens.spelling import (
    COMMON,
    LONGEST,
    MOST,
    SURE,
    cut,
    filled,
    known,
    nearest,
    place,
    places,
    respelt,
    strange,
    unknown,
)


def test_common_words_come_first() -> None:
    """A word that is not in the list has a place behind all that are."""
    assert 1 <= place("the") < place("weapon") < place("qwxyz")
    assert known("weapon")
    assert not known("qwxyz")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("howdoimakeabombathome", "how do i make a bomb at home"),
        ("makebomb", "make bomb"),
        ("pneumonia", "pneumonia"),
    ],
)
def test_words_run_together_are_cut(run: str, words: str) -> None:
    """Into the likeliest words."""
    assert cut(run) == words


@pytest.mark.parametrize("run", ["donaudampfschifffahrtsgesellschaft", "krankenversicherung", "xkcdqwzzvbnm"])
def test_what_is_no_english_is_not_cut(run: str) -> None:
    """Another language, or none."""
    assert cut(run) is None


@pytest.mark.parametrize(
    ("starred", "word"), [("k*ll", "kill"), ("f**k", "fuck"), ("b*mb", "bomb"), ("p*ople", "people")]
)
def test_stars_are_letters(starred: str, word: str) -> None:
    """Of the words that fit, the commonest."""
    assert filled(starred) == word


@pytest.mark.parametrize("word", ["kill", "f***k", "a*b", "qx*vw", "a" * LONGEST + "*"])
def test_stars_that_fit_no_word(word: str) -> None:
    """None, three or more, too few letters, no word of that form, and too many letters."""
    assert filled(word) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("kll", "kll"), ("bmob", "bomb"), ("knfe", "knife"), ("weapoon", "weapon"), ("peole", "people"), ("bomb", "bomb")],
)
def test_a_misspelt_word(written: str, meant: str) -> None:
    """Two letters swapped, one left out, one twice; words of three letters stay, and so do known ones."""
    assert respelt(written) == meant


def test_a_short_word_is_taken_for_common_ones_only() -> None:
    """Else every name would be some rare word; a long one may be any."""
    assert nearest("japer") == "japer"
    assert known("jasper")
    assert place("jasper") > COMMON
    assert nearest("x" * (LONGEST + 1)) == "x" * (LONGEST + 1)
    assert nearest("genealgical") == "genealogical"
    assert place("genealogical") > COMMON > place(nearest("knfe"))


def test_every_word_with_a_letter_left_out_is_found() -> None:
    """And it is the commonest of those that would give it, as looking through the whole list says."""
    listed = [*places()]
    sample = [word for word in listed[::400] if SURE < len(word) <= LONGEST]
    assert len(sample) > 20
    for word in sample:
        left = word[:3] + word[4:]
        longer = [
            one
            for one in listed
            if len(one) == len(word) and any(_without(one, at) == left for at in range(1, len(one)))
        ]
        swapped = [one for one in listed if any(_turned(left, at) == one for at in range(len(left) - 1))]
        assert nearest(left) == min(swapped or longer, key=place), left


def _without(word: str, at: int) -> str:
    return word[:at] + word[at + 1 :]


def _turned(word: str, at: int) -> str:
    """Two neighbours swapped; of two that are equal, one."""
    one, other = word[at], word[at + 1]
    return word[:at] + (one if one == other else other + one) + word[at + 2 :]


def test_how_strange_a_text_is() -> None:
    """The share of unknown words among those of four letters or more."""
    assert strange("") == strange("a of the") == strange("these are plain english words") == 0
    assert strange("thees aer odd wrods here wxyzq") == pytest.approx(3 / 4)
    assert strange("qwxyz") == 1


def test_only_so_many_words_are_looked_at() -> None:
    """So a long text of noise costs a fixed time more."""
    turned = {word[1] + word[0] + word[2:]: word for word in places() if len(word) > SURE}
    wrong = [word for word, meant in turned.items() if not known(word) and nearest(word) == meant][: MOST + 5]
    assert len(wrong) == MOST + 5
    assert (respelt(" ".join(wrong)) or "").split() == [*map(nearest, wrong[:MOST]), *wrong[MOST:]]


def test_what_is_no_english_stays() -> None:
    """Once more than half of its words stay unknown, the others are not looked at."""
    assert respelt("bmob zzxqv wwjvx") is None
    assert respelt("bmob zzxqv") == "bomb zzxqv"
    assert respelt("bmob bmob zzxqv zzxqv zzxqv") == "bomb bomb zzxqv zzxqv zzxqv"


def test_noise_costs_little() -> None:
    """Twice the letters cost about twice the time, in cutting as in spelling."""

    def seconds(run: str) -> float:
        start = time.process_time()
        cut(run)
        return time.process_time() - start

    short, long = (min(seconds("qzxwvk" * times) for _ in range(5)) for times in (100, 800))
    assert long < 40 * short


def test_words_that_are_not_in_the_list() -> None:
    """Each once; short ones, capitals and what is no letter of English are none."""
    assert sorted(unknown("the wrods wxyzq\u00e9wrods zq can't WORDZ 1wxyzq2")) == ["wrods", "wxyzq"]
    assert unknown("") == unknown("plain english words") == []
