"""Prompt injection and jailbreaks: text that tells a model to drop its instructions, or to give away its secrets.

A trained head, and a few phrases that hardly ever mean anything else. Knows nothing of who wrote the text.
"""

from __future__ import annotations

import re

from tierwise.screens.normalised import readings
from tierwise.screens.reader import Reader
from tierwise.screens.screen import Finding, windows

HEAD = "injection"
_CERTAIN = 0.99
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


class Injection:
    """One class, "injection"."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def screen(self, text: str) -> Finding:
        score = self._reader.probabilities(text)[HEAD]
        if score < _CERTAIN and any(_PHRASES.search(plain) for _, part in windows(text) for plain in readings(part)):
            score = _CERTAIN
        return Finding({HEAD: score}, (HEAD,) if score >= self._reader.thresholds[HEAD] else ())
