"""A text as its writer meant it to be read: disguises taken off before anything is scored.

Case, accents, look-alike letters, invisible characters, digits for letters, letters pulled apart or drawn out, words
packed in base64 or hexadecimal; and texts written backwards or in rot13, which are read both ways. English is what the
rules were made for; a text in another alphabet stays readable by its own n-grams, but its look-alike letters become
Latin ones. Knows nothing of categories or scores. Linear in the length.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from functools import lru_cache

import numpy as np

# Cyrillic, Greek and other letters that look like Latin ones; compatibility forms are NFKC's business.
_LATIN = str.maketrans(
    "абсԁеɡһіјкӏмпорԛѕтуѵԝхѡзвнгαβεηικνορτυχωγδσμɑıⅼ" + "\u00f8\u0111\u0142\u0131\u0127",
    "abcdeghijklmnopqstuvwxw3bhrabenikvoptuxwydomail" + "odlih",
)
_DIGITS = str.maketrans("0134578@$!|", "oieastbasil")
# A sign between letters, or before enough of them: mp3, 4th and addresses are none of it. Possessive, so linear.
_LEET = re.compile(
    r"(?<![\w@$.])(?:[a-z]++[0134578@$!|]++(?=[a-z])|[@$]++(?=[a-z]{3})|[013457](?=[a-z]{4}))[a-z0134578@$]*+"
    r"(?![\w@$]|[.]\w)"
)
_APART = re.compile(r"(?<![^\W_])[^\W_](?:[ .\-_*+~/]{1,2}[^\W_](?![^\W_])){3,}")
_GAPS = re.compile(r"[\W_]+")
_DRAWN = re.compile(r"([abcdfgijkmnpquvwxyzhr])\1{2,}")  # hardly ever doubled in English, or where a double says little
_DOUBLED = re.compile(r"(.)\1{2,}")
_SIGN = re.compile(r"[0134578@$!|]")
LEAST = 16  # characters of a word that may be packed
_PACKED = re.compile(rf"(?<![\w+/=])[A-Za-z0-9+/]{{{LEAST},4000}}={{0,2}}(?![\w+/=])")
_HEX = re.compile(r"(?<!\w)(?:[0-9a-f]{2} ?){8,2000}(?!\w)", re.IGNORECASE)
# Small words as they look backwards and in rot13: two of them, and a text is read so too.
_BACKWARDS = frozenset(["eht", "dna", "uoy", "siht", "taht", "rof", "evah", "ton", "htiw", "ruoy", "yeht", "lla"])
_ROTATED = frozenset(["gur", "naq", "lbh", "guvf", "gung", "sbe", "unir", "abg", "jvgu", "lbhe", "gurl", "nyy"])


@lru_cache(maxsize=8)  # several screens ask for the same one in turn
def normalised(text: str) -> str:
    """Lower case, one space between words, and the disguises above undone, but for those that `readings` knows."""
    text = unpacked(text)
    if not text.isascii():
        text = _ascii(text)
    text = " ".join(text.lower().split())
    text = _APART.sub(lambda found: _GAPS.sub("", found[0]), text)
    if _SIGN.search(text):
        text = _LEET.sub(lambda found: found[0].translate(_DIGITS), text)
    return _DOUBLED.sub(r"\1\1", _DRAWN.sub(r"\1", text)) if _thrice(text) else text


def _thrice(text: str) -> bool:
    """Whether a character stands three times in a row: a tenth of what it takes to look for it by a pattern."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return bool(((codes[2:] == codes[1:-1]) & (codes[1:-1] == codes[:-2])).any())


def readings(text: str) -> tuple[str, ...]:
    """`normalised`, and what it says backwards or in rot13 where it looks as if it were written so."""
    plain = normalised(text)
    read, words = [plain], set(plain.split())
    if len(words & _BACKWARDS) > 1:
        read.append(normalised(plain[::-1]))
    if len(words & _ROTATED) > 1:
        read.append(normalised(codecs.encode(plain, "rot13")))
    return tuple(read)


def unpacked(text: str) -> str:
    """The text with what its base64 and hexadecimal words say in their place, where they say something in letters."""
    if max(map(len, text.split()), default=0) >= LEAST:
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
    shown = [letter for letter in apart if unicodedata.category(letter) not in ("Mn", "Cf", "Me")]
    return "".join(shown).translate(_LATIN)
