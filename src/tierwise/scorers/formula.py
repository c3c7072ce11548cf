# ruff: noqa: RUF001 - look-alikes of minus and times are meant
"""Numbers and formulas in results. A number is exact: a fraction, never a float.

`number` reads what stands for one number ($1,234.50; 50 %; \\frac{3}{4}; x = 5; 5 hours; two; 3 x 10^4), and, where it
may, the one number of a sentence. `formula` gives a mathematical expression without its typesetting. Units do not
count: who answers "5 hours" and who answers "5" say the same. Source of the LaTeX forms: the amsmath user's guide.
"""

from __future__ import annotations

import re
from fractions import Fraction

DIGITS = 40  # of a number; a longer one is a text
PLACES = 10  # after the point; what comes after them is the noise of binary arithmetic
POWER = 30  # of ten
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_COUNT = {word: count for count, word in enumerate(WORDS)}
_SCALE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_GLYPHS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "⁄": "/",
        "×": "*",
        "·": "*",
        "÷": "/",
        "°": "",
        "€": "",
        "£": "",
        "¥": "",
        "²": "^2",
        "³": "^3",
    }
)
# Typesetting that says nothing, then forms that are written in several ways.
_DROP = re.compile(
    r"(?<!\\)\\[,;:! ]|\\(?:left|right|displaystyle|big|Big|bigl|bigr|quad|qquad|limits|mathstrut)(?![a-zA-Z])|\\?\$|"
    r"\\[()\[\]]|\^\{?\\circ\}?|\\?%|\\degree|\{(?=,\})|(?<=,)\}"
)
_TEXT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]{0,80})\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]{1,60})\}|(\d))\s*(?:\{([^{}]{1,60})\}|(\d))")
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]{1,60})\}|(\w))|\bsqrt\s*\(([^()]{1,60})\)|√\s*(?:\(([^()]{1,60})\)|(\d+|\w))")
_SIMPLE = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?")
_RATIO = re.compile(r"\(?([-+]?[\d.,]{1,50})\)?/\(?([-+]?[\d.,]{1,50})\)?")
_MIXED = re.compile(r"([-+]?)(\d{1,40})(?: +| *\+ *)(\d{1,40})/(\d{1,40})")
_SCIENCE = re.compile(r"([-+]?[\d.,]{1,40})(?: ?\*? ?10(?:\^|\*\*)\{?\(?([-+]?\d{1,3})\)?\}?|[eE]([-+]?\d{1,3}))")
_UNIT = re.compile(
    r"([-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?) ?-?([^\W\d_][^\W\d_]*(?:[ /^.-]{1,2}[^\W\d_]+){0,5}[\^2-3]{0,2})\.?"
)
_GLUED = frozenset(
    re.findall(r"\w+", "kg g mg km m cm mm ft in lb lbs oz h hr hrs s sec min ml l mph kmh kph usd eur k c f")
)
_CHANGES = frozenset({"am", "pm", "a.m", "p.m", "bc", "ad", "bce", "ce", "or", "and", "to", "than", "less", "more"})
_ANY = re.compile(r"(?<![\w.^_])[-+]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?(?![\w^])")
_APART = re.compile(r"\d \d")
_EQUALS = re.compile(r"(?<![=<>!≤≥])(?:=|≈|\\approx)(?!=)")
_MATHS = re.compile(r"[\\^=+*/√π∞<>≤≥|]|\d")
_WORDS = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}|[^\W\d_]{2,}[^\w]{1,3}\d")
_ASSERTS = re.compile(
    r"[=≈:]|[.!?] |\b(?:is|are|was|were|be|has|have|had|equals?|gives?|makes?|leaves?|get|so|total|costs?)\b"
)
_DENIES = re.compile(
    r"\b(?:cannot|can't|can not|impossible|undefined|unknown|insufficient|not enough|no solution)\b", re.IGNORECASE
)


def number(text: str, *, sentence: bool = False) -> str | None:
    """The exact number that the text stands for, as "5" or "3/4"; None where it is none.

    With `sentence` also the number after its last "=", or the last one of a sentence that asserts something.
    """
    clean = untypeset(text)
    if len(clean) > 500 or not (any(map(str.isdigit, clean)) or clean.lower() in _COUNT):
        return None
    found = _exact(clean)
    if found is None:
        sides = _EQUALS.split(clean)
        if len(sides) > 1 and (sentence or len(sides[0]) <= 40):
            found = _exact(sides[-1].strip(" ."))
    if found is None and sentence:
        found = _in_sentence(clean)
    return None if found is None else str(found)


def untypeset(text: str) -> str:
    """The text without what LaTeX and typography only set: signs of money, units of angle, sizes, fraction bars."""
    clean = _TEXT.sub(r" \1 ", text.translate(_GLYPHS)) if "\\" in text else text.translate(_GLYPHS)
    clean = clean.replace("\\cdot", "*").replace("\\times", "*") if "\\" in clean else clean
    clean = _DROP.sub("", clean)
    if "frac" in clean:
        clean = _FRACTION.sub(_as_ratio, clean)
    return " ".join(clean.split()).strip(" .")


def _as_ratio(found: re.Match[str]) -> str:
    """a/b, with a space before it: 2\\frac{1}{2} is a mixed number."""
    above, below = (found[1] or found[2]).strip(), (found[3] or found[4]).strip()
    before = found.string[found.start() - 1 : found.start()]
    above, below = (part if part.isalnum() else f"({part})" for part in (above, below))
    return f"{' ' if before.isdigit() else ''}{above}/{below}"


def _exact(clean: str) -> Fraction | None:
    if clean.lower() in _COUNT:
        return Fraction(_COUNT[clean.lower()])
    if mixed := _MIXED.fullmatch(clean):
        part = _ratio(mixed[3], mixed[4])
        return None if part is None else (int(mixed[2]) + part) * (-1 if mixed[1] == "-" else 1)
    found = _plain(clean if _APART.search(clean) else clean.replace(" ", ""))
    return _with_unit(clean) if found is None else found


def _plain(clean: str) -> Fraction | None:
    """A decimal, a ratio, or a power of ten times one. Zero is a number too: it comes as a Fraction all the same."""
    if found := _RATIO.fullmatch(clean):
        return _ratio(found[1], found[2])
    if found := _SCIENCE.fullmatch(clean):
        base, power = decimal(found[1]), int(found[2] or found[3])
        return None if base is None or abs(power) > POWER else base * Fraction(10) ** power
    return decimal(clean)


def decimal(text: str) -> Fraction | None:
    """What is written as 1,234.50, and nothing else."""
    if len(text) > DIGITS or not _SIMPLE.fullmatch(text) or not any(map(str.isdecimal, text)):
        return None
    exact = Fraction(text.replace(",", "").rstrip(".").lstrip("+"))
    return round(exact, PLACES) if len(text.partition(".")[2]) > PLACES else exact


def _ratio(above: str, below: str) -> Fraction | None:
    top, bottom = decimal(above), decimal(below)
    return None if top is None or not bottom else top / bottom


def _with_unit(clean: str) -> Fraction | None:
    """A number and the words of its unit; "2 million" is what it says."""
    found = _UNIT.fullmatch(clean)
    if found is None:
        return None
    words = found[2].lower().rstrip("^23").split()
    glued = clean[found.end(1) : found.start(2)] == ""
    if _CHANGES.intersection(words) or (glued and words[0] not in _GLUED) or (len(words[0]) == 1 and not glued):
        return None
    exact = _plain(found[1])
    return exact * _SCALE.get(words[0], 1) if exact is not None else None


def _in_sentence(clean: str) -> Fraction | None:
    """The last number, if it is the only one, or asserted: "2 hours and 45 minutes" is neither 2 nor 45."""
    if not _WORDS.search(clean) or _DENIES.search(clean):
        return None
    found = list(_ANY.finditer(clean))
    if not found:
        return None
    if len({match[0] for match in found}) > 1 and not _ASSERTS.search(clean, found[-2].end(), found[-1].start()):
        return None
    return _plain(found[-1][0])


def formula(text: str) -> str | None:
    """A mathematical expression, an interval, a tuple: without typesetting, units and spaces. None for prose."""
    clean = (
        _ROOT.sub(lambda found: f"\\sqrt{{{next(filter(None, found.groups()))}}}", text)
        if "t" in text or "√" in text
        else text
    )
    clean = untypeset(clean.replace("\\pi", "π").replace("\\infty", "∞").replace("**", "^"))
    if not _MATHS.search(clean) or re.search(r"[^\W\d_]{3,} [^\W\d_]{2,}", clean):
        return None
    sides = _EQUALS.split(clean)
    if len(sides) == 2 and re.fullmatch(r"\s*[^\W\d](?:\([^\W\d]\))?\s*", sides[0]):
        clean = sides[1]
    return re.sub(r"[\s*]|_?\{(?=\w\})|(?<=\{\w)\}", "", clean).replace("{", "").replace("}", "") or None
