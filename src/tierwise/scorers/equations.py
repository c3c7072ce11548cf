"""Finds the equations between numbers that a text writes out. Knows how sums are written, not whether they are right.

Text becomes tokens, tokens become a string of one-letter kinds, and an equation is a pattern over that string: so a
variable, a function or a clock time next to a sum takes it out of consideration, whatever it looks like. Linear
time: every pattern is possessive or bounded.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tierwise.scorers.reading import HEAD, TAIL, crowded

MARKS, SEEN = 3_000, 16_000  # a text with more than so many marks in so many characters is packed ...
DENSE = 3_000  # ... and so many characters of it are looked at
PIECE = 1_000  # a longer piece of a sentence is not read
TOKENS = 600  # in one text
EQUATIONS = 32  # in one text
LESS = 8  # of a packed text one part in so many of both is read
LINKS = 48  # sides of one chain
DIGITS = 30  # of one number

_NUMBER = rf"(?>(?>\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d{{1,{DIGITS}}})(?:\.\d{{1,{DIGITS}}})?|\.\d{{1,{DIGITS}}})"
_GLUED = r"(?:kg|mg|ml|cm|mm|km|lbs?|oz|ft|mph|hrs?|mins?|secs?)\b"
_LETTER = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0400-\u04ff"  # of units and names; Greek ones are variables
_BLANK = " \t$€£_"
_DATE = r"\d{1,4}/\d{1,2}/\d{2,4}"
# The first that matches counts; words, signs that begin nothing longer and whole numbers are the most. A token that
# ends in its own look-ahead keeps all of what it has taken (possessive). A group's name is the kind of its tokens.
_LEX = re.compile(
    rf"[{_BLANK}]*+(?:"
    rf"(?<!\))[{_LETTER}]{{1,30}}+(?:['’-][{_LETTER}]{{1,30}}+)?+(?:\(|\^\d)?+"  # noqa: RUF001
    r"|[=+](?![=>~])|\*(?![*=])|[%)\",]"
    rf"|(?P<n>(?=[\d.])(?:(?<![\w.])|(?<=\d[xX]))"
    rf"(?:\d{{1,{DIGITS}}}+(?![\w.,:/])|(?!{_DATE}){_NUMBER}(?:(?![\w]|[.,:]\d)|(?={_GLUED}|[xX×]\d))))"  # noqa: RUF001
    rf"|(?P<x>{_DATE}|//|[=!<>:+*/-]=|=[=>~]|[=-]>|\\[a-zA-Z]{{1,30}}+|[{_LETTER}])"
    r"|\d[\w.,:]{0,60}+"  # what is no number after all
    rf"|(?P<w>\([{_LETTER}][^()\d=+*/^]{{0,40}}\)|/ ?(?:an? )?[{_LETTER}]{{2,30}}+(?:\^\d)?+)"
    r"|(?P<i>(?<=[\d)])\()"
    r"|(?P<g>(?<![^ (=*/+^])[-−](?=[$€£]?[\d(]))"  # noqa: RUF001
    r"|\*\*|\S)"
)
# Kinds: n number, x no number, o operator, d dash, g negation, e equals, a about equal, l and r brackets, i times
# (before a bracket), p percent, f "of", c "and", w unit or name, b break: what comes after is another matter.
_CHARS = {
    **dict.fromkeys("+*/÷×·⋅∗^", "o"), "**": "o", **dict.fromkeys("-−–—", "d"), **dict.fromkeys("≈≃≅", "a"), "=": "e",  # noqa: RUF001
    "(": "l", ")": "r", "%": "p", **dict.fromkeys(".,:;!?\"`…<>\n", "b"),
}  # fmt: skip
# Words by which a number beside them is not what it seems, or that turn a sum into another one.
_ODD = """half third quarter twice thrice double triple square cube root sqrt log ln sin cos tan exp mod modulo
remainder floor ceil factorial choose base dozen dozens hundred hundreds thousand thousands million
millions billion billions trillion trillions bn percent squared cubed"""
# Words that end one sum and lead to the next thing.
_LINKS = """so then thus hence or which while where if but is are give gives therefore with since because we get have
has had i"""
_WORDS = {
    "minus": "d",
    "equals": "e",
    "of": "f",
    "and": "c",
    "a": "w",
    **dict.fromkeys(_ODD.split(), "x"),
    **dict.fromkeys(_LINKS.split(), "b"),
    **dict.fromkeys(["times", "x", "plus"], "o"),
}
_OPERATORS = {
    "÷": "/",
    "plus": "+",
    "**": "^",
    **dict.fromkeys(["times", "x", "of", "×", "·", "⋅", "∗"], "*"),  # noqa: RUF001
}
# What lies between marks that end a sum is a piece; only one with a digit and a result after it is read further.
_IN_PIECE = r"[.,:](?=\S)"
_PIECE = re.compile(rf"(?:[^.,;:\n]++|{_IN_PIECE})++")
_UP_TO_DIGIT = rf"(?:[^.,;:\n\d]++|{_IN_PIECE})*+\d"
_UP_TO_EQUALS = rf"(?:[^.,;:\n=≈≃≅]++|{_IN_PIECE})*+"
# Pieces without an equals sign, and the first with one: a group where it has the digit and the result.
_SUMS = re.compile(
    rf"(?:{_UP_TO_EQUALS}[.,;:\n])*+"
    rf"(?:({_UP_TO_DIGIT}{_UP_TO_EQUALS}(?:[=≈≃≅](?!(?:[^\w=.,;:\n]|{_IN_PIECE}){{0,8}}\d){_UP_TO_EQUALS})*+[=≈≃≅]"
    rf"{_PIECE.pattern})|{_PIECE.pattern})?"
)
_DIGIT = re.compile(r"\d")
_EQUALS = frozenset("≈≃≅")
_RESULT = re.compile(r"(?:[=≈≃≅]|equals)[^\w=]{0,8}\d")
_ASKS = re.compile(r"\n[ \t]{0,4}(?:Q|Question)(?: \d{1,3})?:")  # a model that goes on with questions of its own
_BULLET = re.compile(r"[ \t]*(?:[-*•+–]|\d{1,2}[.)])[ \t]")  # noqa: RUF001
# Sums joined by equals signs, neither end of which belongs to something that is no number. A sum is `[lg]*+n` and the
# rest; the first begins with a set, which a search finds fast.
_REST = r"[prw]*+(?:(?:[od][lg]*+|(?<=p)f|(?<=on)f|(?<!w)g[lg]*+|i[lg]*+)n[prw]*+)*+"
_EQUATION = re.compile(
    r"[lgn](?<![xodgnpr].)(?<![nx][fc].)(?<![nx]wf.)(?<![xf]fw.)(?<![od]w.)(?<![od]ww.)(?<!nwl)(?<!nwwl)(?!(?<=wl)nr)"
    rf"(?:(?<=n)|(?<!n)[lg]*+n){_REST}(?:[ea][lg]*+n{_REST})++(?![xoif]|lx|cn)"
)

_MARK = re.compile(r"<<([^<>\n]{3,100})>>((?:[$€£]?\d[\d,]{0,30}(?:\.\d{1,30})?)?)")
_FRACTION = re.compile(r"\\[dt]?frac ?\{([^{}\n]{1,60})\} ?\{([^{}\n]{1,60})\}")
_WRAPPED = re.compile(r"\\(?:boxed|text|textbf|mathrm|mathbf|textrm) ?\{([^{}\n]{0,60})\}")
_EXPONENT = re.compile(r"\^\{([^{}\n]{1,20})\}")
_CONTINUES = re.compile(r"\n[ ]{0,8}+&?+ ?+=(?![=>])")
_CONTINUED = re.compile(rf"(?:\\\\)?+[ ]{{0,4}}+{_CONTINUES.pattern}")
_LATEX = re.compile(
    r"\\(?:times|cdot|ast|div|approx|left|right|quad|qquad)(?![a-zA-Z])|\\[,;!:%$ ()\[\]*]|&(?==)|\{,\}|\\\\"
)
_BOLD = re.compile(r"\*\*(?:(?! ?[\d(-])|(?<![\d)]\*\*)(?<![\d)] \*\*))")  # what is left is a power
_LATEX_MEANS = {
    "\\times": "*", "\\cdot": "*", "\\ast": "*", "\\*": "*", "\\div": "/", "\\approx": "≈", "\\%": "%", "{,}": ",",
    "\\(": "\n", "\\)": "\n", "\\[": "\n", "\\]": "\n", "\\\\": "\n", "\\left": "", "\\right": "", "&": "", "\\,": "",
}  # fmt: skip
# What units measure the same thing by: between them a sum converts, and its numbers may differ.
_UNITS = """second seconds sec secs minute minutes min mins hour hours hr hrs day days week weeks month months year
years decade decades cent cents penny pennies nickel nickels dime dimes quarter quarters dollar dollars
inch inches foot feet yard yards mile miles mm cm m km meter meters metre metres centimeters kilometers
mg g kg gram grams kilogram kilograms ounce ounces oz pound pounds lb lbs ton tons ml liter liters litre
litres cup cups pint pints quart quarts gallon gallons pair pairs couple couples degrees radians points"""
MEASURES = frozenset(_UNITS.split())
_NO_MEASURES: frozenset[str] = frozenset()
_WORD = re.compile(r"[a-z]+")

Token = tuple[str, str]
"""(kind, text): n a number, o one of + - * / ^, g "negate", p a percent sign, l "(", r ")"."""
_SIGNS: dict[str, Token] = {
    "d": ("o", "-"), "g": ("g", "negate"), "p": ("p", "%"), "l": ("l", "("), "r": ("r", ")"),
}  # fmt: skip
_BRACKETS = frozenset("lri")
_JOINS = frozenset("odfgi")


class Side(NamedTuple):
    """One side of an equation, without its units; `measures` holds those of them that can be converted.

    `plain`: it is one number, not a sum.
    `closes`: a bracket that it doesn't open, so what stands left of an equals sign is not all of it; `opens`: one that
    it doesn't close, the same on the right.
    """

    tokens: list[Token]
    measures: frozenset[str]
    plain: bool
    closes: bool = False
    opens: bool = False


class Equation(NamedTuple):
    """`about`: it says "about equal". `after`: at most 60 characters that follow, none at the end of a text."""

    left: Side
    right: Side
    about: bool
    after: str


@functools.lru_cache(maxsize=4)
def found(text: str) -> tuple[Equation, ...]:
    """`equations` as a tuple, remembered for as long as several look at one answer."""
    return tuple(equations(text)) if _equates(text) or "\\approx" in text else ()


def _equates(text: str) -> bool:
    return "=" in text or "equals" in text or (not text.isascii() and any(map(text.__contains__, _EQUALS)))


@functools.lru_cache(maxsize=4)
def packed(text: str) -> bool:
    """Whether there is so much to read in a text that little of it is read."""
    return len(text) > DENSE and crowded(text[:SEEN], MARKS)


def equations(text: str) -> Iterator[Equation]:
    """The equations of a text, at most EQUATIONS (or one in LESS of them), in order; a chain `a = b = c` gives two."""
    full = packed(text)
    head, tail = (DENSE - DENSE // 4, DENSE // 4) if full else (HEAD, TAIL)
    if len(text) > head + tail:
        # A sum that the cut goes through is not read: it ends as a question does, or begins with a variable.
        text = f"{text[:head]} ?\nx{text[-tail:]}"
    text = _rewritten(text)
    asks = _ASKS.search(text, 1) if "Q" in text else None
    if asks is not None:
        text = text[: asks.start()]
    equations_left, tokens_left = (EQUATIONS // LESS, TOKENS // LESS) if full else (EQUATIONS, TOKENS)
    for start, end in _pieces(text):
        found = list(islice(_LEX.finditer(text, _start(text, start), end), tokens_left + 1))
        tokens_left -= len(found)
        if tokens_left < 0:  # there may be more of this piece
            return
        kinds = "".join([match.lastgroup or _kind(match[0]) for match in found])
        chains = () if _JOINS.isdisjoint(kinds) else _EQUATION.finditer(kinds)  # two plain numbers say nothing
        for chain in chains:
            matches = found[chain.start() : chain.end()]
            after = matches[-1].end()
            for equation in _links(chain[0], matches, text[after : after + 60]):
                yield equation
                equations_left -= 1
                if not equations_left:
                    return


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where the pieces are that have a digit and a result after it."""
    if "equals" not in text:
        for found in _SUMS.finditer(text):
            start, end = found.span(1)
            if 0 < end - start <= PIECE:
                yield start, end
        return
    for piece in _PIECE.finditer(text):
        start, end = piece.span()
        digit = _DIGIT.search(text, start, end) if end - start <= PIECE else None
        if digit is not None and _RESULT.search(text, digit.end(), end):
            yield start, end


def _start(text: str, start: int) -> int:
    """Where a piece begins to say something: after the mark of a list."""
    bullet = _BULLET.match(text, start) if not start or text[start - 1] == "\n" else None
    return bullet.end() if bullet else start


@functools.lru_cache(maxsize=4096)
def _kind(text: str) -> str:
    """The kind of a token of no group, which may have blanks before it; few tokens are not met again."""
    text = text.lstrip(_BLANK)
    kind = _CHARS.get(text)
    if kind is None:
        if text[0].isdecimal() or text[-1] == "(":
            return "x"
        kind = _WORDS.get(text.lower(), "w" if len(text) > 1 and text[1] != "^" else "x")
    return kind


def _rewritten(text: str) -> str:
    """The text with LaTeX, JSON escapes and calculator marks turned into plain characters."""
    if text[:64].lstrip()[:1] == "{":  # a document whose strings hold the prose
        text = text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
    if "<<" in text:
        text = _MARK.sub(r"\2 ; \1 ; ", text)
    if "\\" in text:
        if _CONTINUES.search(text):
            text = _CONTINUED.sub(" =", text)
        if "frac" in text:
            text = _divided(text)
        text = _WRAPPED.sub(lambda found: f" {found[1]} ", text)
        text = _LATEX.sub(lambda found: _LATEX_MEANS.get(found[0], " "), text)
    if "^{" in text:
        text = _EXPONENT.sub(r"^(\1)", text)
    if " by " in text:
        text = text.replace("multiplied by", "*").replace("divided by", "/")
    return _BOLD.sub("", text) if "**" in text else text


def _divided(text: str) -> str:
    """LaTeX's fractions as divisions; one that a digit stands before is a mixed number, which is no sum."""
    parts = _FRACTION.split(text)
    for at in range(0, len(parts) - 1, 3):
        before = parts[at].removesuffix(" ")
        parts[at] = f"{before}@((" if before[-1:].isdecimal() else f"{before}(("
        parts[at + 1] += ")/("
        parts[at + 2] += "))"
    return "".join(parts)


def _links(kinds: str, matches: list[re.Match[str]], after: str) -> Iterator[Equation]:
    """A chain's equations, neighbour by neighbour; two plain numbers say nothing."""
    parts = kinds.replace("a", "e").split("e")[:LINKS]
    left: Side | None = None
    start = 0
    for at, part in enumerate(parts):
        end = start + len(part)
        right = _side(part, matches[start:end])
        # A number at the beginning may be the end of a name ("Cost of day 2 = 3 * 4").
        if left and not (left.closes or right.opens or (left.plain and (at == 1 or right.plain))):
            yield Equation(left, right, kinds[start - 1] == "a", after)
        left, start = right, end + 1


def _side(kinds: str, matches: list[re.Match[str]]) -> Side:
    """`matches` of the side's tokens: a number is the first group's."""
    if kinds == "n":
        return Side([("n", matches[0][1])], _NO_MEASURES, True)
    if kinds == "non":  # most sums
        left, operator, right = matches
        return Side([("n", left[1]), _operator(operator[0]), ("n", right[1])], _NO_MEASURES, False)
    tokens: list[Token] = []
    measures = _NO_MEASURES
    for kind, match in zip(kinds, matches, strict=True):
        text = match[match.lastindex or 0]
        if kind == "n":
            tokens.append(("n", text))
        elif kind == "w":
            measures |= _measures(text)
        elif kind in "of":
            tokens.append(_operator(text))
        elif kind == "i":
            tokens += (("o", "*"), ("l", "("))
        elif kind == "g" and tokens and tokens[-1][0] in "npr":
            tokens.append(("o", "-"))
        else:
            tokens.append(_SIGNS[kind])
    if _BRACKETS.isdisjoint(kinds):
        return Side(tokens, measures, kinds.count("n") == 1)
    return _balanced(tokens, measures)


@functools.lru_cache(maxsize=4096)
def _measures(unit: str) -> frozenset[str]:
    return MEASURES.intersection(_WORD.findall(unit.lower()))


@functools.lru_cache(maxsize=256)
def _operator(text: str) -> Token:
    text = text.lstrip(_BLANK)
    return "o", _OPERATORS.get(text.lower(), text)


def _balanced(tokens: list[Token], measures: frozenset[str]) -> Side:
    """The part whose brackets match: a remark that begins with "(3 + 4 = 7" loses its bracket."""
    opened: list[int] = []
    closes = False
    for at, (kind, _) in enumerate(tokens):
        if kind == "l":
            opened.append(at)
        elif kind == "r":
            if not opened:
                tokens, closes = tokens[:at], True
                break
            opened.pop()
    if opened:
        tokens = tokens[opened[-1] + 1 :]
    return Side(tokens, measures, [kind for kind, _ in tokens].count("n") == 1, closes, bool(opened))
