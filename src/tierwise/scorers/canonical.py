# ruff: noqa: RUF001 - typographic quotes and dashes are meant
"""The canonical form of a final result: results that a reader takes for equal have equal keys.

`question` reads from a prompt what kind of result it wants; `canonical` brings one result, already cut out of its
answer, into its form. In order: a choice among lettered options, a date, a literal of code, yes or no, an exact
number, a formula, a short text. Every form is conservative: two keys that differ only mean that nobody here can
tell that the results are equal. Knows nothing of where in an answer its result stands.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from tierwise.scorers.dates import iso_date
from tierwise.scorers.formula import decimal, formula, number, untypeset
from tierwise.scorers.literal import literal, structured
from tierwise.types import Value

Kind = Literal["number", "choice", "json", "boolean", "code", "calls", "text"]

PROMPT = 8_000  # characters of a prompt that are read, from its end
LONG = 2_000  # characters of a result; a longer text is no result
SHORT = 200  # characters of a result that is told in words


class Conclusion(Value, frozen=True):
    """What an answer comes to. `key` is canonical: equal results have equal keys, whatever form they came in."""

    kind: Kind
    key: str


class Asked(Value, frozen=True):
    """What a prompt wants: a number, one of its `options` (letter, canonical text), a literal of code, a day order."""

    known: bool = False  # there was a prompt
    numeric: bool = False
    code: bool = False
    boolean: bool = False
    dated: bool = False  # a day, in an order that is said
    day_first: bool | None = None  # None: no order is said
    options: tuple[tuple[str, str], ...] = ()


_QUANTITY = (
    r"(?:sum|difference|product|quotient|total|average|mean|median|value|number|amount|percent\w*|probability|"
    r"remainder|cost|price|area|perimeter|volume|distance|speed|range|mode|ratio|fraction|length|width|height|age|"
    r"rate|weight)"
)
_TASKS = ("calculate", "compute", "evaluate", "estimate", "find the", "determine the", "solve", "simplify")
# What asks for a number, by a piece that is looked for first: it costs less than a pattern, and most are not there.
_NUMERIC = {
    cue: re.compile(pattern)
    for cue, pattern in {
        "how ": r"\bhow (?:many|much|far|long|old|tall|fast|big|often)\b",
        "what": rf"\bwhat(?:'s| (?:is|was|are|will be|would be))? (?:\w+ ){{0,4}}{_QUANTITY}\b",
        **{cue: rf"\b{cue}\b" for cue in _TASKS},
        "as a": r"\bas an? (?:integer|number|decimal|fraction)\b",
        " only": r"\b(?:integer|numeric\w*|number) only\b",
        " answer": r"\b(?:integer|numeric\w*|number) answer\b",
        "cuánt": r"\bcuánt\w+", "combien": r"\bcombien\b", "viel": r"\bwie ?viele?\b", "quant": r"\bquant[ioae]\b",
        "сколько": "сколько", "多少": "多少",
    }.items()
}  # fmt: skip
_CODES = ("```", "[PYTHON]", "def ", "assert ", "print(", "function ", "console.log(")
_CODE = re.compile(
    r"```\w|\[PYTHON\]|^[ \t]{0,8}(?:def \w+\(|assert |print\(|function \w+\(|console\.log\()", re.MULTILINE
)
_BOOLEAN = re.compile(r"\b(?:yes|true)['\"]? ?(?:or|/|,) ?['\"]?(?:no|false)\b", re.IGNORECASE)
_OPTION = re.compile(r"\n[ \t]*(?:\(([A-Za-z])\)|([A-Z])[.):])[ \t]+(\S.*)")
_ENUMERATED = re.compile(r"\n[ \t]*\(a\)")
_MONTH_FIRST = re.compile(r"\bMM?[/.-]DD?[/.-]YY", re.IGNORECASE)
_IN_FORM = re.compile(r"\d\d[/.-]\d\d[/.-]\d{2,4}")
_DAY_FIRST = re.compile(r"\bDD?[/.-]MM?[/.-]YY", re.IGNORECASE)

_LETTER = re.compile(
    r"(?:(?:option|choice|answer)\s+)?(?:\(([A-Za-z])\)|([A-Z])(?![\w'-]))\s*(?:[.:),–-]|$|(?=\s*\())", re.IGNORECASE
)
_BARE = re.compile(r"\(([A-Za-z])\)\.?|([A-Z])[.)]?")
_SEVERAL = re.compile(r"\(?[A-Z]\)?(?:\s*(?:,|&|\band\b|\bor\b){1,2}\s*\(?[A-Z]\b\)?)+(?![\w'])")
_PADDED = re.compile(r"[-+]?0\d")  # a text of digits, as in "007"
_YES = {"yes": "true", "true": "true", "correct": "true", "no": "false", "false": "false", "incorrect": "false"}
_EDGES = " \t\r\n*_`"
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_ARTICLES = frozenset({"a", "an", "the"})


@lru_cache(maxsize=4)
def question(prompt: str) -> Asked:
    """What the prompt asks for; nothing known where it is empty. Reads its last PROMPT characters."""
    tail = prompt[-PROMPT:]
    low = tail.lower()
    if not low.strip():
        return Asked()
    options = _options(tail)
    if options and _ENUMERATED.search(f"\n{tail}") and _numeric(low):
        options = ()  # statements to count or to reckon with
    day_first = None
    if "yy" in low:
        day_first = True if _DAY_FIRST.search(tail) else False if _MONTH_FIRST.search(tail) else None
    code = tail.replace("```json", "") if not options and any(cue in tail for cue in _CODES) else ""
    return Asked(
        known=True,
        numeric=not options and _numeric(low),
        code=_CODE.search(code) is not None,
        boolean=("yes" in low or "true" in low) and _BOOLEAN.search(tail) is not None,
        dated=day_first is not None,
        day_first=day_first,
        options=options,
    )


def _numeric(low: str) -> bool:
    return any(cue in low and pattern.search(low) is not None for cue, pattern in _NUMERIC.items())


def _options(prompt: str) -> tuple[tuple[str, str], ...]:
    return tuple((letter, plain(text)) for letter, text in listed(prompt)[1])


def listed(prompt: str) -> tuple[int, list[tuple[str, str]]]:
    """The last run of lettered lines that begins with A and goes on with B: where it begins, (letter, text) of each."""
    found: list[tuple[str, str]] = []
    start = 0
    for match in _OPTION.finditer(f"\n{prompt}"):
        letter = (match[1] or match[2]).upper()
        if letter == "A":
            found, start = [], match.start()
        if ord(letter) == ord("A") + len(found):
            found.append((letter, match[3]))
    return (start, found) if len(found) > 1 else (0, [])


def canonical(result: str, asked: Asked) -> Conclusion | None:
    """The result's canonical form. None where there is nothing in it, or too much for a result."""
    bare = result.strip(_EDGES)
    if len(result) > LONG or not (bare or asked.code):
        return None
    if asked.options:
        return _choice(untypeset(bare) if "\\" in bare else bare, asked)
    if asked.code:
        return _code(result, bare)
    day = iso_date(bare, asked.day_first)
    if day is not None and not (asked.dated and not _IN_FORM.fullmatch(bare)):  # MM/DD was asked for, 3/9 is not it
        return Conclusion("text", day)
    return _value(bare, asked)


def _choice(bare: str, asked: Asked) -> Conclusion | None:
    letters = {letter for letter, _ in asked.options}
    several = _SEVERAL.match(bare)
    if several:
        return Conclusion("choice", ",".join(sorted(set(re.findall(r"[A-Z]", several[0])))))
    found = _LETTER.match(bare)
    if found and (found[1] or found[2]).upper() in letters:
        return Conclusion("choice", (found[1] or found[2]).upper())
    words = plain(bare)
    same = [letter for letter, text in asked.options if text == words and words]
    return Conclusion("choice", same[0]) if len(same) == 1 else None


def _code(result: str, bare: str) -> Conclusion | None:
    """As code compares them: texts to the letter, with or without quotes; other literals by value."""
    key = literal(result.strip("`") if result.strip() else result)
    exact = decimal(bare if decimal(bare) is not None else key)
    if exact is not None and not _PADDED.match(key.strip()):
        return Conclusion("number", str(exact))
    return Conclusion("json" if key.startswith(("[", "{", "(")) else "code", key)


def _value(bare: str, asked: Asked) -> Conclusion | None:
    found = structured(bare)
    if found is not None:
        return Conclusion("json", found)
    unquoted = bare.strip("\"'“”‘’").strip(_EDGES)
    if unquoted.rstrip(".!").lower() in _YES:
        return Conclusion("boolean", _YES[unquoted.rstrip(".!").lower()])
    exact = number(unquoted, sentence=asked.numeric or not asked.known)
    if exact is not None:
        return Conclusion("number", exact)
    letter = _BARE.fullmatch(unquoted)
    if letter:
        return Conclusion("choice", (letter[1] or letter[2]).upper())
    if len(unquoted) > SHORT:
        return None
    mathematical = formula(unquoted)
    if mathematical is not None:
        return Conclusion("text", mathematical)
    words = plain(unquoted)
    return Conclusion("text", words) if words else None


def plain(text: str) -> str:
    """A short text as words: case, articles, punctuation and spacing do not count."""
    words = [word for word in _WORD.findall(text.casefold()) if word not in _ARTICLES]
    return " ".join(words) if words else " ".join(text.casefold().split())
