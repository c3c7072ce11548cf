"""Text to token numbers by the rules of uncased BERT: the words that the encoder's table has rows for.

Goes its own way in four things. Quotation marks and apostrophes of every style count as one character, white space of
every kind separates, names of special tokens in a text are only text, and a text is read up to a limit. Knows nothing
of vectors, and keeps no text but the last few, and a bounded memory of words that had to be cut.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, filterfalse

import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.reading import characters, crowded

LIMIT = 16_000  # characters of a text that are read, runs of white space counted as one
DENSE, MARKS = 4_000, 4_000  # characters that are read of one that is crowded: with more than so many marks in it
WORDS = 4_500  # of a text that are read; marks are words of their own
FEWER_WORDS = 1_500  # of an answer; two in a thousand recorded ones have more
ALPHABET, IDEOGRAPHS = 250, 1_000  # different characters, the second if most are Chinese or Korean: a text has not more
CUT = 1_000  # characters of different words that must be cut, up to which a text is read
LESS_CUT = 500  # of an answer that is longer than CUT: some sixty words of a language that the table does not know
UNKNOWN = "[UNK]"
_LONGEST_WORD = 100  # characters; BERT calls longer words unknown
_REPLACED = 20  # different characters of a text, up to which each is replaced in all of it, which is faster
_CUT_WORDS = 4096  # remembered, until there are so many; most texts cut the same few
_TEXTS = 4  # remembered, for as long as several look at them
_BEGIN = 3  # characters of a piece that tell how long it may be: without them, noise is cut four times as slowly
_SHORT = tuple(range(_BEGIN - 1, 0, -1))
_SCAN = 4 * LIMIT  # characters of a longer text in which those to be read are looked for
_MOST = 0xD800  # pieces: their numbers are kept as characters, and from here on those are surrogates
_END, _LAST = "\x80", chr(_MOST - 1)  # where a text ends that others follow: a word of no text, and its number

_PUNCTUATION = "!'#$%&()*+,-./:;<=>?@[\\]^_`{|}~"  # of ASCII, where " is folded to '; `_fold` sets the rest apart
_APART = {mark: f" {mark} " for mark in _PUNCTUATION}
_QUOTES = frozenset(
    "\"'\u00b4\u02b9\u02bb\u02bc\u02bd\u201a\u201e\u2032\u2033\u2035\u2036\u301d\u301e\u301f\uff02\uff07"
)
_MANY = re.compile("[\u4e00-\u9fff\uac00-\ud7a3]+")  # Chinese and Korean, of which a text has many different ones
_HANGUL = re.compile("[\uac00-\ud7a3]")  # syllables, which are read letter by letter
_IDEOGRAPH = re.compile(  # what BERT reads one by one
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f]"
)


class WordPiece:
    """Cuts text into pieces of a vocabulary, the longest first. May be shared between threads."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """`vocabulary` in the order of its numbers, pieces from inside a word with "##" in front.

        Raises ValueError where it lacks `[UNK]` or has 55,296 pieces or more.
        """
        if UNKNOWN not in vocabulary or len(vocabulary) >= _MOST:
            raise ValueError(f"a vocabulary has {UNKNOWN} and fewer than {_MOST} pieces")
        self._words = _Words(vocabulary)
        self._remembered = lru_cache(_TEXTS)(self._array)

    def array(self, text: str) -> NDArray[np.uint16]:
        """The numbers of the pieces of `text`, in its order; nothing is put at its ends. Time is linear."""
        return self._remembered(text, WORDS, CUT)

    def beginning(self, text: str) -> NDArray[np.uint16]:
        """The same for an answer, of which fewer words are read: what they are is one measure of it among many."""
        return self._remembered(text, FEWER_WORDS, LESS_CUT) if len(text) > CUT else self.array(text)

    def _array(self, text: str, most: int, cut: int) -> NDArray[np.uint16]:
        # Joining characters in C is several times faster than a loop that extends a list of numbers.
        words = split(text)[:most]
        if len(text) > CUT:
            words = self._words.readable(words, cut)
        numbers = "".join(map(self._words.__getitem__, words))
        return np.frombuffer(numbers.encode("utf-16-le"), "<u2")

    def arrays(self, texts: Sequence[str]) -> tuple[NDArray[np.uint16], list[int]]:
        """`array` of one or more texts, one after the other, and where each one's ends. Short ones in half the time."""
        if max(map(len, texts)) > CUT:
            each = [self.array(text) for text in texts]
            return np.concatenate(each), np.cumsum([len(one) for one in each]).tolist()
        folded = [_ascii_folded(text) if text.isascii() else _folded(text) for text in texts]
        numbers = "".join(map(self._words.__getitem__, _split(f" {_END} ".join(folded)))).split(_LAST)
        ends = list(accumulate(map(len, numbers)))
        return np.frombuffer("".join(numbers).encode("utf-16-le"), "<u2"), ends

    def ids(self, text: str) -> list[int]:
        """`array` as a list."""
        numbers: list[int] = self.array(text).tolist()
        return numbers


class _Words(dict[str, str]):
    """Words of the vocabulary and, as a fallback, the cutting of others: word -> its numbers as characters."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        numbered = {piece: chr(number) for number, piece in enumerate(vocabulary)}
        self._whole = {piece: number for piece, number in numbered.items() if not piece.startswith("##")}
        super().__init__(self._whole)
        self[_END] = _LAST
        self._inner = {piece[2:]: number for piece, number in numbered.items() if piece.startswith("##")}
        self._unknown = numbered[UNKNOWN]
        self._kept: deque[str] = deque()
        self._sizes = _sizes(self._whole), _sizes(self._inner)

    def readable(self, words: list[str], cut: int) -> list[str]:
        """The words, as far as there are no more than `cut` characters in the different ones that must be cut."""
        seen: set[str] = set()
        for word in filterfalse(seen.__contains__, filterfalse(self._whole.__contains__, words)):
            seen.add(word)
            cut -= len(word)
            if cut < 0:
                return words[: words.index(word)]
        return words

    def __missing__(self, word: str) -> str:
        """Cut, and kept: a word that is found again asks for no call at all."""
        numbers = self._cut(word) if 1 < len(word) <= _LONGEST_WORD else self._unknown
        self._kept.append(word)
        if len(self._kept) > _CUT_WORDS:  # one by one: all at once would take as long as a verdict
            self.pop(self._kept.popleft(), None)
        self[word] = numbers
        return numbers

    def _cut(self, word: str) -> str:
        numbers, start, end = "", 0, len(word)
        known, sizes = self._whole, self._sizes[0]
        while start < end:
            for size in sizes.get(word[start : start + _BEGIN], _SHORT):
                number = known.get(word[start : start + size])
                if number is not None:
                    break
            else:
                return self._unknown
            numbers += number
            start += size
            known, sizes = self._inner, self._sizes[1]
        return numbers


def _sizes(pieces: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """How long the pieces are that begin with these _BEGIN characters, and those that have fewer, the longest first."""
    sizes: dict[str, set[int]] = {}
    for piece in pieces:
        if len(piece) >= _BEGIN:
            sizes.setdefault(piece[:_BEGIN], set()).add(len(piece))
    return {begin: (*sorted(found, reverse=True), *_SHORT) for begin, found in sizes.items()}


def split(text: str) -> list[str]:
    """The words of a text, up to `LIMIT`: folded as `_fold` says, punctuation marks as words of their own."""
    if len(text) > LIMIT:
        text = " ".join(text[:_SCAN].split())[:LIMIT]
    if len(text) > DENSE and crowded(text, MARKS):
        text = text[:DENSE]
    return _split(_ascii_folded(text) if text.isascii() else _folded(text))


def _ascii_folded(text: str) -> str:
    return text.encode().translate(_FOLDED, _NOTHING).decode()


def _split(text: str) -> list[str]:
    for mark in _PUNCTUATION:
        if mark in text:
            text = text.replace(mark, _APART[mark])
    return text.split()


def _folded(text: str) -> str:
    """A text that is not all ASCII, each character as `_fold` says; of one that would take long, the beginning."""
    different = characters(text)
    if len(different) > ALPHABET:
        most = ALPHABET if len(_MANY.sub("", "".join(different))) > ALPHABET else IDEOGRAPHS
        if len(different) > most:
            text = text[:most]
            different = characters(text)
    if _HANGUL.search("".join(different)):
        text = unicodedata.normalize("NFD", text)
        different = frozenset(unicodedata.normalize("NFD", "".join(different)))
    folded = {char: plain for char in different if char > "\x7f" and (plain := _fold(char)) != char}
    if len(folded) > _REPLACED:
        return text.translate(_ASCII_FOLDED | {ord(char): plain for char, plain in folded.items()})
    for char, plain in folded.items():
        text = text.replace(char, plain)
    return text.encode("utf-8", "replace").translate(_FOLDED, _NOTHING).decode()


@lru_cache(8192)
def _fold(char: str) -> str:
    """What a character counts as: lower case without accents, one quote for all, marks apart, nothing for controls."""
    if "\u4e00" <= char <= "\u9fff":  # Chinese
        return f" {char} "
    if char.isspace():
        return " "
    kind = unicodedata.category(char)
    if char in _QUOTES or kind in {"Pi", "Pf"}:
        return "'"
    if kind[0] == "C" or char == "\ufffd":
        return ""
    plain = unicodedata.normalize("NFD", char)
    if len(plain) > 1:
        plain = "".join([part for part in plain if unicodedata.category(part) != "Mn"])
    elif kind == "Mn":
        return ""
    plain = "".join(map(str.lower, plain))
    apart = (kind[0] == "P" and not char.isascii()) or (kind == "Lo" and _IDEOGRAPH.match(char))
    return f" {plain} " if apart else plain


_ASCII = [_fold(chr(code)) for code in range(128)]
_ASCII_FOLDED = dict(enumerate(_ASCII))
_FOLDED = bytes(ord(char or " ") for char in _ASCII) + bytes(range(128, 256))
_NOTHING = bytes(code for code, char in enumerate(_ASCII) if not char)
