"""A text as its writer meant it to be read: disguises taken off before anything is scored.

Case, accents, look-alike letters, invisible characters, digits and stars for letters, letters pulled apart or drawn
out, words run together or misspelt throughout, and words packed in base64 or hexadecimal; and texts written backwards
or in rot13, which are read both ways. English is what the rules were made for; a text in another alphabet stays
readable by its own n-grams, but its look-alike letters become Latin ones. Knows nothing of categories or scores. Linear
in the length.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tierwise.screens.spelling import LONG, cut, filled, known, place, respelt, strange, unknown

# Cyrillic, Greek and other letters that look like Latin ones; compatibility forms are NFKC's business.
_LATIN = str.maketrans(
    "абсԁеɡһіјкӏмпорԛѕтуѵԝхѡзвнгαβεηικνορτυχωγδσμɑıⅼ" + "\u00f8\u0111\u0142\u0131\u0127",
    "abcdeghijklmnopqstyvwxw3bhrabenikvoptuxwydomail" + "odlih",
)
_DIGITS = str.maketrans("01345789@$!|", "oieastbgasil")
_DIGITS_L = str.maketrans("01345789@$!|", "oleastbgasll")
_MIXED = re.compile(r"(?<![\w@$.])(?=[a-z]*+[0-9@$!|])[a-z0-9@$!|]{2,32}+(?![\w@$]|[.]\w)")
# A sign between letters, or before enough of them: mp3, 4th and addresses are none of it.
_LEET = re.compile(r"(?:[a-z]++[0134578@$!|]++(?=[a-z])|[@$]++(?=[a-z]{3})|[013457](?=[a-z]{4}))[a-z0134578@$]*+")
COMMONEST = 100  # words that digits may stand for where there is next to no letter
_STARRED = re.compile(r"(?<![\w*])[a-z]{1,16}+(?:\*{1,2}+[a-z]{1,16}+)++(?![\w*])")
_RUN = re.compile(r"(?<![\w@])[a-z]{16,300}+(?![\w@])")  # LEAST letters
RUNS, LONGEST_RUN, STARS = 8, 300, 200  # what is looked at of a text: runs, their letters, starred words
_APART = re.compile(r"(?<![^\W_])[^\W_](?:[ .\-_*+~/]{1,2}[^\W_](?![^\W_])){3,}")
_GAPS = re.compile(r"[\W_]+")
_DRAWN = re.compile(r"([abcdfgijkmnpquvwxyzhr])\1{2,}")  # hardly ever doubled in English, or where a double says little
_DOUBLED = re.compile(r"(.)\1{2,}")
_TRIPLED = re.compile(r"(.)\1\1", re.DOTALL)
BRIEF = 250  # characters, below which a pattern is faster than arrays
_SIGN = re.compile(r"[0134578@$!|]")
_GLUED = re.compile(  # letters, digits and signs side by side, as in whatever `_MIXED` finds that is not left as it is
    r"[0-9@$!|](?:(?<=[a-z@$!|][0-9@$])|(?<=[0-9])[a-z@$]|(?<=[@$!|])[a-z0-9@$]|(?<=[@$])[!|])"
)
_KINDS = bytes(  # of characters: "a" may be one of letters that are pulled apart, " " may part them
    32 if chr(code) in " .-_*+~/" else 97 if chr(code).isalnum() or chr(code) == "?" else 120 for code in range(128)
) + bytes(128)
_HIDDEN = ("Mn", "Cf", "Me")
_REPLACED = 20  # different characters of a text, up to which each is replaced in all of it, which is faster
LEAST = 16  # characters of a word that may be packed
_SOLID = bytes(32 if chr(code).isspace() else 120 for code in range(128)) + bytes(128)
_WORD = b"x" * LEAST
_PACKED = re.compile(rf"(?<![\w+/=])[A-Za-z0-9+/]{{{LEAST},4000}}={{0,2}}(?![\w+/=])")
_HEX = re.compile(r"(?<!\w)(?:[0-9a-f]{2} ?){8,2000}(?!\w)", re.IGNORECASE)
FEW = 8  # unknown words of several texts, up to which those without any need not be looked at one by one
MISSPELT, FOREIGN = 0.25, 0.5  # shares of unknown words from which on a text may be misspelt, or no English as it is


def normalised(text: str) -> str:
    """Lower case, one space between words, and the disguises above undone, but for those that `readings` knows."""
    return _spelt(text)[0]


def normalised_each(texts: Sequence[str]) -> list[str]:
    """The same of several short texts at once: in which none is disguised is found out in a part of the time."""
    if not texts:
        return []
    plain = [" ".join(text.lower().split()) for text in texts]
    joined = "\n".join([text for text in plain if text.isascii()])
    signs = [sign for sign in (_long, _starred, _thrice, _maybe_apart, _hexed, _mixed) if sign(joined)]
    plain = [
        text if text.isascii() and not (signs and any(sign(text) for sign in signs)) else _undisguised(given)
        for text, given in zip(plain, texts, strict=True)
    ]
    joined = "\n".join(plain)
    odd = unknown(joined)
    few = len(odd) <= FEW
    return [_meant(text)[0] if not few or any(word in text for word in odd) else text for text in plain]


@lru_cache(maxsize=8)  # several screens ask for the same one in turn
def _spelt(text: str) -> tuple[str, float]:
    """`normalised`, and the share of its longer words that are unknown."""
    return _meant(_undisguised(text))


def _meant(plain: str) -> tuple[str, float]:
    """What its misspelt words were meant to be, where that explains most of the unknown ones, whose share is left."""
    odd = strange(plain)
    if odd >= MISSPELT:
        other = respelt(plain)
        if other is not None and (left := strange(other)) <= odd / 2:
            return other, left
    return plain, odd


def _undisguised(text: str) -> str:
    text = unpacked(text)
    if not text.isascii():
        text = _ascii(text)
    text = " ".join(text.lower().split())
    if _long(text):
        text = _RUN.sub(lambda found: _together(found[0]), text, count=RUNS)
    if _maybe_apart(text):
        text = _APART.sub(lambda found: _together(_GAPS.sub("", found[0])), text)
    if _mixed(text):
        text = _MIXED.sub(_in_letters, text)
    if "*" in text:
        text = _STARRED.sub(lambda found: filled(found[0]) or found[0], text, count=STARS)
    if _thrice(text):
        text = _DOUBLED.sub(r"\1\1", _DRAWN.sub(r"\1", text))
    return text


def _together(run: str) -> str:
    """Words that were run together; as it is where it is one, or none."""
    return run if len(run) > LONGEST_RUN or known(run) else cut(run) or run


def _in_letters(found: re.Match[str]) -> str:
    word = found[0].rstrip("!|")
    if word.isalpha() or word.isdigit():
        return found[0]
    least = 3 if word[:1].isalpha() else LONG  # characters, but for the commonest words
    for signs in (_DIGITS, _DIGITS_L):
        meant = word.translate(signs)
        if place(meant) <= COMMONEST or (len(word) >= least and known(meant)):
            return meant + found[0][len(word) :]
    return found[0].translate(_DIGITS) if _LEET.fullmatch(found[0]) else found[0]


def _long(text: str) -> bool:
    """Whether there is a word of LEAST characters."""
    if text.isascii():  # a fifth of what it takes to look at each word
        return _WORD in text.encode().translate(_SOLID)
    return max(map(len, text.split()), default=0) >= LEAST


def _starred(text: str) -> bool:
    return "*" in text


def _hexed(text: str) -> bool:
    return "20" in text and _HEX.search(text) is not None


def _mixed(text: str) -> bool:
    """Whether digits or signs may stand for letters: a tenth of what it takes to look at each word."""
    return _SIGN.search(text) is not None and _GLUED.search(text) is not None


def _maybe_apart(text: str) -> bool:
    """Whether two single characters stand side by side, as in whatever `_APART` finds: a tenth of what that takes."""
    kinds = text.encode("ascii", "replace").translate(_KINDS)  # what is not ASCII is taken for a letter
    return b" a a " in b" %b " % kinds.replace(b"  ", b" ")


def _thrice(text: str) -> bool:
    """Whether a character stands three times in a row: in a long text a tenth of what a pattern takes."""
    if len(text) < BRIEF:
        return _TRIPLED.search(text) is not None
    wide = text.encode("utf-32-le", "replace") if not text.isascii() else text.encode()
    codes = np.frombuffer(wide, np.uint8 if text.isascii() else np.uint32)
    equal = codes[1:] == codes[:-1]
    return bool((equal[1:] & equal[:-1]).any())


def readings(text: str) -> tuple[str, ...]:
    """`normalised`; and where most of its longer words are unknown, what it says backwards or in rot13, if it is more
    English so."""
    plain, odd = _spelt(text)
    if odd < FOREIGN:
        return (plain,)
    others = map(_spelt, (plain[::-1], codecs.encode(plain, "rot13")))
    return plain, *(other for other, left in others if left <= odd / 2)


def unpacked(text: str) -> str:
    """The text with what its base64 and hexadecimal words say in their place, where they say something in letters."""
    if _long(text):
        text = _PACKED.sub(_from_base64, text)
    return _HEX.sub(_from_hex, text) if "20" in text else text  # a sentence has a blank


def _from_base64(found: re.Match[str]) -> str:
    word = found[0].rstrip("=")
    try:
        return _said(base64.b64decode(word + "=" * (-len(word) % 4), validate=True), found[0])
    except binascii.Error:
        return found[0]


def _from_hex(found: re.Match[str]) -> str:
    return _said(bytes.fromhex(found[0]), found[0])


def _said(decoded: bytes, word: str) -> str:
    """What the bytes say, or the word itself where that is no sentence."""
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return word
    return f" {text} " if text.isprintable() and " " in text else word


def _ascii(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text).casefold()
    plain = {letter: _plain(letter) for letter in set(apart) if letter > "\x7f"}
    if len(plain) > _REPLACED:
        return apart.translate({ord(letter): other for letter, other in plain.items()})
    for letter, other in plain.items():
        if letter != other:
            apart = apart.replace(letter, other)
    return apart


def _plain(letter: str) -> str:
    return "" if unicodedata.category(letter) in _HIDDEN else letter.translate(_LATIN)
