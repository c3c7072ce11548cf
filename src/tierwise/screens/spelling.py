"""Which words there are, and which one a writer meant who hid it: run together, starred, misspelt, in digits.

`data/screens/words.txt` has English words, common ones first (`benchmarks/screen_words.py` made it). A word that is
not in it stays as it is, unless one step leads to a word that is; of several, to the commonest. Knows nothing of what a
word means. Linear in the length; unknown words cost some 10 microseconds each, and 40 where they lack a letter of a
known one, up to MOST of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources
from itertools import islice, product
from math import log
from zlib import crc32

_FILE = "data/screens/words.txt"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 16  # letters of a word of the list
LONG = 4  # letters from which on a word is looked at: shorter ones are too near each other
_LONG = re.compile(rf"[a-z]{{{LONG},}}")
_LETTERED = bytes(code if chr(code) in _LETTERS else 32 for code in range(256))
COMMON = 9_000  # words: a short one may only have been meant to be one of these; SURE letters may be any
SURE = 7
_MADE_UP = 14.0  # what a letter of no word costs in `cut`; a word costs the logarithm of its place
_DEAR = 2.4  # a letter on average: no English text is as dear, and most of another language are
MOST = 400  # different unknown words of a text that are looked at
_PLACES = 21  # bits of a place in the table of shortened words, of which one in twelve is taken: 2 MB
KEPT = 1 << 15  # words that are remembered: slang and names come again


@cache
def places() -> Mapping[str, int]:
    """Each word's place, from 1 on: the higher, the rarer."""
    words = resources.files("tierwise").joinpath(_FILE).read_text(encoding="ascii").split()
    return {word: place for place, word in enumerate(words, 1)}


def place(word: str) -> int:
    """1 for the commonest; 1,000,000 for a word that is not in the list."""
    return places().get(word, 1_000_000)


@cache
def _listed() -> frozenset[str]:
    return frozenset(places())


@cache
def _shortened() -> bytes:
    """1 at the place of each word of the list that lacks a letter: most words that nobody knows are none of these."""
    table = bytearray(1 << _PLACES)
    for word in places():
        for at in range(len(word)):
            table[_marked(word[:at] + word[at + 1 :])] = 1
    return bytes(table)


def _marked(word: str) -> int:
    return crc32(word.encode()) >> (32 - _PLACES)


def load() -> None:
    """Reads the list, for a tenth of a second, so that no text has to wait for it."""
    _listed()
    _shortened()


def known(word: str) -> bool:
    return word in _listed()


def strange(text: str) -> float:
    """The share of a lower-case text's words of LONG letters or more that are not in the list; 0 where it has none."""
    words = _worded(text)
    odd = len(_odd(words))
    return odd / sum([len(word) >= LONG for word in words]) if odd else 0.0


def unknown(text: str) -> list[str]:
    """Those words."""
    return _odd(_worded(text))


def _worded(text: str) -> set[str]:
    """What there is in letters: in a third of the time that it takes to look for _LONG."""
    return set(text.encode("ascii", "replace").translate(_LETTERED).decode().split())


def _odd(words: set[str]) -> list[str]:
    return [word for word in words - _listed() if len(word) >= LONG]


def cut(run: str) -> str | None:
    """Letters without spaces as words; None where they are hardly English words."""
    worth = places()
    best: list[tuple[float, int]] = [(0.0, 0)]  # up to each letter: what it costs, where the last word begins
    for end in range(1, len(run) + 1):
        choices = [(best[end - 1][0] + _MADE_UP, end - 1)]
        for start in range(max(0, end - LONGEST), end):
            place = worth.get(run[start:end])
            if place:
                choices.append((best[start][0] + 2 + log(place), start))
        best.append(min(choices))
    if best[-1][0] > _DEAR * len(run):
        return None
    words: list[str] = []
    end = len(run)
    while end:
        start = best[end][1]
        words.append(run[start:end])
        end = start
    return " ".join(reversed(words))


@lru_cache(maxsize=4096)
def filled(word: str) -> str | None:
    """The commonest word with letters in place of one or two stars; None where there is none."""
    stars = word.count("*")
    if not 0 < stars < 3 or not LONG <= len(word) <= LONGEST:
        return None
    form = word.replace("*", "{}")
    fillings = (form.format(*letters) for letters in product(_LETTERS, repeat=stars))
    return _commonest(fillings, len(places()))


def respelt(text: str) -> str | None:
    """A lower-case text with its unknown words as they were meant, as far as there is a common word one step away.

    None where there is none for more than half of the different ones: that is no misspelt English.
    """
    listed = places()
    unknown = dict.fromkeys(word for word in _LONG.findall(text) if word not in listed)
    meant: dict[str, str] = {}
    lost = 0
    for word in islice(unknown, MOST):
        meant[word] = nearest(word)
        lost += meant[word] == word
        if lost > len(unknown) / 2:
            return None
    return _LONG.sub(lambda found: meant.get(found[0], found[0]), text)


@lru_cache(maxsize=KEPT)
def nearest(word: str) -> str:
    """The commonest word that gives this one when two neighbours swap, or a letter is left out, doubled or another."""
    if len(word) > LONGEST:
        return word
    most = COMMON if len(word) < SURE else len(places())
    swapped = _commonest(_swapped(word), most)
    if swapped or not _shortened()[_marked(word)]:
        return swapped or word
    return _commonest(_longer(word), most) or word


def _swapped(word: str) -> list[str]:
    """Two neighbours in the other order; where they are equal, one of them."""
    pairs = [(word[:at], word[at], word[at + 1], word[at + 2 :]) for at in range(len(word) - 1)]
    return [head + (one if one == other else other + one) + tail for head, one, other, tail in pairs]


def _longer(word: str) -> list[str]:
    cuts = [(word[:at], word[at:]) for at in range(1, len(word) + 1)]
    return [head + letter + tail for head, tail in cuts for letter in _LETTERS]


def _commonest(words: Iterable[str], most: int) -> str | None:
    best = min(_listed().intersection(words), key=place, default="")
    return best if place(best) <= most else None
