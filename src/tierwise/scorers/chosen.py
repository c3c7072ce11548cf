"""The option that a draft chose, beside the others: where it stands, how long it is, and how large its number.

Whoever writes options of a test starts from the right answer, and that leaves traces which need no knowledge of the
matter: wrong numbers lie on both sides of the right one, right texts are longer, wrong ones echo the question
("test-wiseness": Millman, Bishop and Ebel, 1965). A model that doesn't know falls for the others more often. Which way
it goes on a route is learnt from its own traffic. Measurements for a verifier, never a check. Knows no task.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import isnan, log1p, nan

from tierwise.scorers.canonical import PROMPT, listed, question
from tierwise.scorers.conclusion import LIMIT, conclude
from tierwise.scorers.features import lists

NAMES = (
    "chosen_place",  # from 0, the first, to 1, the last
    "chosen_first",
    "chosen_last",
    "chosen_length",  # the logarithm of its characters, above the mean of all
    "chosen_longest",
    "chosen_shortest",
    "chosen_asked",  # share of its words that the question has too, above the mean
    "chosen_rank",  # share of the other numbers below its own
    "chosen_aside",  # how far that is from one half
    "chosen_extreme",  # whether its number is the smallest or the largest
    "chosen_digits",  # of its text, above the mean
    "chosen_negative",  # whether its number is, above the mean
    "chosen_whole",
)
NUMERIC = 6  # of NAMES, the last, are about numbers
NUMBERS = 3  # options with a number, of which there is a smallest, a largest and one between
NEAR = 60  # characters at the end of an answer: what it says there is what it comes to
READ = 200  # characters of an option in which its number is looked for
_NOTHING = [nan] * len(NAMES)

_GAP = r"[\s${}\\,~]{0,8}"
_NUMBER = re.compile(
    rf"([-\u2212\u2013]?\d{{1,15}}(?:,\d{{3}}){{0,4}}(?:\.\d{{1,15}})?)"
    rf"(?:{_GAP}(?:\\times|\\cdot|[x\u00d7*]){_GAP}10[\s${{}}]{{0,4}}\^[\s${{}}]{{0,4}}([-\u2212\u2013]?\d{{1,2}}))?"
)
_SAID = re.compile(r"answer is:? ?\*{0,2}\(?([A-Z])\)?\.?\*{0,2}\.?\s*$")  # most of them say it so
_MARKS = str.maketrans(dict.fromkeys(".,;:!?()[]{}\"'`$*", " "))
_DIGIT = re.compile(r"\d")
_SIGNS = str.maketrans("\u2212\u2013", "--", ",")


def chosen(prompt: str, text: str) -> list[float]:
    """One number for each of NAMES; NaN where the prompt lists no options, or the text chooses none or several."""
    tail = prompt[-PROMPT:]
    start, options = listed(tail) if lists(prompt) else (0, [])
    if not options or ("(a)" in tail and not question(prompt).options):  # statements to count
        return _NOTHING
    letter = _letter(prompt, text)
    place = ord(letter) - ord("A") if len(letter) == 1 else len(options)
    if place >= len(options):
        return _NOTHING
    texts = [option for _, option in options]
    return [*_beside(texts, place, tail[:start]), *_numbers(texts, place)]


def _letter(prompt: str, text: str) -> str:
    """Of the option; several letters where it chooses several, "" for none."""
    said = _SAID.search(text, max(len(text) - NEAR, 0))
    if said is not None:
        return said[1]
    found = conclude(text[-LIMIT:].strip(), question(prompt))
    return "" if found is None or found.kind != "choice" else found.key


def _beside(texts: Sequence[str], place: int, asked: str) -> list[float]:
    """Where one stands, how long it is, and how much of it the question says."""
    last, lengths = len(texts) - 1, [log1p(len(text)) for text in texts]
    length = lengths[place]
    known = _words(asked)
    echoed = [len(own & known) / max(len(own), 1) for own in map(_words, texts)]
    return [
        place / last,
        float(place == 0),
        float(place == last),
        length - sum(lengths) / len(lengths),
        float(length == max(lengths)),
        float(length == min(lengths)),
        echoed[place] - sum(echoed) / len(echoed),
    ]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().translate(_MARKS).split())


def _numbers(texts: Sequence[str], place: int) -> list[float]:
    """What the number of one tells; NaN where more than one option has none, or its own is missing."""
    values = [_value(text) for text in texts]
    known = sorted([value for value in values if not isnan(value)])
    value = values[place]
    if isnan(value) or len(known) < max(len(texts) - 1, NUMBERS):
        return _NOTHING[-NUMERIC:]
    digits = [len(_DIGIT.findall(text)) for text in texts]
    rank = (bisect_left(known, value) + bisect_right(known, value) - 1) / 2 / (len(known) - 1)
    return [
        rank,
        abs(rank - 0.5),
        float(rank in (0, 1)),
        digits[place] - sum(digits) / len(digits),
        (value < 0) - bisect_left(known, 0) / len(known),
        value.is_integer() - sum(map(float.is_integer, known)) / len(known),
    ]


def _value(text: str) -> float:
    """The first number of an option; NaN for none."""
    found = _NUMBER.search(text[:READ])
    if found is None:
        return nan
    return float(f"{found[1]}e{found[2] or 0}".translate(_SIGNS))
