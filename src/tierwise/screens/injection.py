"""Prompt injection and jailbreaks: text that tells a model to drop its instructions, or to give away its secrets.

A trained head, and a few phrases that hardly ever mean anything else. An order may be hidden in data that somebody asks
about: in a quote, a comment, a table's cell, a sentence of a mail. So the head reads the text as a whole, and each part
of it alone. Knows nothing of who wrote the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tierwise.screens.normalised import readings, unpacked
from tierwise.screens.reader import Reader
from tierwise.screens.screen import Finding, windows
from tierwise.screens.sentences import EDGES

HEAD = "injection"
LEAST, MOST = 30, 300  # characters of a part; a shorter one says too little: "explain your answer"
WORDS = 5  # of a part, at least
_CERTAIN = 0.99
# Where a part ends: at a tag, a comment's mark, a quote, a line, a sentence.
_ENDS = re.compile(  # the set that it begins with lets `re` pass over the rest, in a fifth of the time
    r"[-<*/#\n\"'`.!?;:](?:"
    r"(?<=<)(?:!--|/?\w[^<>]{0,200}>)|(?<=-)->|(?<=/)[*/]|(?<=\*)/|(?<=#)#*|(?<=\n)|"
    r"(?<=[\"'`])(?:(?=\s|$)|(?<=[\s=(].))|(?<=[.!?;:])(?:\s|$))"
)
_ORDERS = r"(?:instructions?|prompts?|rules|guidelines|directions|directives|programming)"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|system|your)"
_PHRASES = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,30}"
    rf"\b(?:{_EARLIER}\b.{{0,20}}\b{_ORDERS}|{_ORDERS} (?:above|before))\b"
    r"|\b(?:reveal|show|print|repeat|output|display|tell me|leak)\b.{0,30}\b(?:system|initial|hidden|original) "
    r"(?:prompt|instructions?|message)\b"
    r"|\b(?:developer|debug|god|dan|jailbreak|unrestricted) mode\b.{0,20}\b(?:enabled|activated|on|engaged)\b"
    r"|\byou are (?:now )?(?:dan\b|do anything now|an? (?:unrestricted|uncensored|unfiltered|amoral))"
    r"|<\|im_start\|>|<\|system\|>|\[/?inst\]|<<sys>>"
)

_HINTS = (  # one of them stands in whatever _PHRASES finds: to look for them takes a twentieth of the time
    "instruction", "prompt", "rules", "guideline", "directi", "programming", "message", " mode", "you are", "<|",
    "inst]", "<<sys>>",
)  # fmt: skip


def parts(text: str) -> Iterator[str]:
    """What stands in a text by itself: sentences, quotes, comments, cells. Nothing where the text is one of them."""
    found = [part.strip(EDGES) for part in _ENDS.split(text)]
    told = [part for part in found if len(part) >= LEAST and len(part.split()) >= WORDS]
    if len(told) > 1 or (told and len(told[0]) < 0.8 * len(text)):
        for part in told:
            yield from (part[at : at + MOST] for at in range(0, len(part), MOST))


class Injection:
    """One class, "injection"."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._at = reader.heads.index(HEAD)

    def screen(self, text: str) -> Finding:
        shares, told = self._reader.both(text, lambda part: [*parts(unpacked(part))])
        score = max(shares[HEAD], float(told[:, self._at].max(initial=0)))
        if score < _CERTAIN and any(_ordered(plain) for _, part in windows(text) for plain in readings(part)):
            score = _CERTAIN
        return Finding({HEAD: score}, (HEAD,) if score >= self._reader.thresholds[HEAD] else ())


def _ordered(plain: str) -> bool:
    return any(hint in plain for hint in _HINTS) and _PHRASES.search(plain) is not None
