"""The free check `truncated`: an answer that broke off although its finish reason says "stop".

Conservative: most good answers end in ways that no rule foresees (a label, a name, a line of code), so only
four signs count. What ended for another reason is the check `finish`'s business.
"""

from __future__ import annotations

import re

from tierwise.types import Answer, Checks, Choice, Evidence, Request

SHORT = 12  # characters; shorter answers are labels or symbols, where a mark at the end means nothing
LIMIT = 1_000_000  # characters of one choice in which fences are looked for
FENCES = 64  # of one choice; two of 306,899 recorded answers have more, and are not looked at
# Begins with the line's end before it, which a search finds fast; a text gets one in front.
_FENCE = re.compile(r"\n[ \t]{0,12}(`{3,})([^`\n]*)$", re.MULTILINE)
_JSON_FENCE = re.compile(r"```(?:json|JSON)?\s{0,20}([{\[])")
_DANGLING = ",:-–([{（「『、，：；"  # noqa: RUF001 - full-width marks are meant
_SMILEYS = (":(", ":-(", ":'(", ":[", ";(", "=(", ":-[", ":{", "--")
_CLOSER = {"{": "}", "[": "]"}


def truncated(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """No choice that says "stop" ends inside a code fence, inside JSON that was asked for, or after a comma."""
    if not answer.complete:
        return Evidence("truncated", None)
    looked = False
    for choice in answer.choices:
        if choice.finish != "stop" or choice.tool_calls or choice.text.count("```") > FENCES:
            continue
        looked = True
        sign = _sign(request, choice)
        if sign:
            return Evidence("truncated", False, sign)
    return Evidence("truncated", True if looked else None)


def _sign(request: Request, choice: Choice) -> str:
    text = choice.text
    end = text[-64:].rstrip()
    if "```" in text and _open_fence(text) and not _whole_json(text, end):
        return "open code fence"
    if not end:
        return ""
    if request.json_answer or request.schema is not None:
        opener = text[:64].lstrip()[:1]
        return "open JSON" if end[-1] != _CLOSER.get(opener, end[-1]) else ""
    if request.stop:  # the client's own stop sequence may cut anywhere
        return ""
    if len(text) >= SHORT and end[-1] in _DANGLING and not end.endswith(_SMILEYS):
        return "ends in the middle of a sentence"
    return ""


def _whole_json(text: str, end: str) -> bool:
    """Whether the open fence holds a document that came to its end: models forget the mark after it."""
    begin = _JSON_FENCE.match(text, text.rfind("```"))
    return begin is not None and end[-1:] == _CLOSER[begin[1]]


def _open_fence(text: str) -> bool:
    """Whether a ``` block is open at the end; as in CommonMark, only a bare and long enough fence closes one."""
    opened = 0
    for fence in _FENCE.finditer(f"\n{text[:LIMIT]}"):
        length = len(fence[1])
        if not opened:
            opened = length
        elif length >= opened and not fence[2].strip():
            opened = 0
    return opened > 0 and len(text) <= LIMIT
