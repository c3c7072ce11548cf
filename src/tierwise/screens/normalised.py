"""A text as its writer meant it to be read: disguises taken off before anything is scored.

Case, accents, look-alike letters, invisible characters, digits for letters, letters pulled apart or drawn out, and
words packed in base64. English is what the rules were made for; a text in another alphabet stays readable by its own
n-grams, but its look-alike letters become Latin ones. Knows nothing of categories or scores. Linear in the length.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from functools import lru_cache

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
_DRAWN = re.compile(r"(.)\1{2,}")
_SPACE = re.compile(r"\s+")
_PACKED = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/]{16,4000}={0,2}(?![\w+/=])")


@lru_cache(maxsize=8)  # several screens ask for the same one in turn
def normalised(text: str) -> str:
    """Lower case, one space between words, and all the disguises above undone. May be longer than `text`: base64."""
    text = unpacked(text)
    if not text.isascii():
        text = _ascii(text)
    text = _SPACE.sub(" ", text.lower()).strip()
    text = _APART.sub(lambda found: _GAPS.sub("", found[0]), text)
    text = _LEET.sub(lambda found: found[0].translate(_DIGITS), text)
    return _DRAWN.sub(r"\1\1", text)


def unpacked(text: str) -> str:
    """The text, and after it what its base64 words say, where they say something in letters."""
    said = [decoded for found in _PACKED.finditer(text) if (decoded := _decoded(found[0]))]
    return " ".join([text, *said])


def _decoded(word: str) -> str:
    try:
        decoded = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded if decoded.isprintable() and " " in decoded else ""


def _ascii(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text).casefold()
    shown = [letter for letter in apart if unicodedata.category(letter) not in ("Mn", "Cf", "Me")]
    return "".join(shown).translate(_LATIN)
