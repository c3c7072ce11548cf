"""The free checks `numbers_grounded`, `quotes_grounded`, `entities_grounded`, `arguments_grounded` and `numbers_used`.

Each of the first four measures which share of what an answer names stands in what it was asked with: all messages of
the request, documents and tool results among them. Spaces, case, quote style, thousands separators and leading or
trailing zeros don't count. The value is that share, in [0, 1], of the worst choice; None where the answer names
nothing of the kind, or the request is longer than CONTEXT. Right answers often hold what no prompt did (results, world
knowledge), so a low share is told and fails nothing: what it is worth, a verifier learns from the route's own outcomes.
`numbers_used` looks the other way: an answer that leaves out numbers of its question has often left out a condition, or
a call.

Knows nothing of meaning: a right number in a wrong sentence is grounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from itertools import islice
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

import msgspec

from tierwise.scorers.language import language_of
from tierwise.scorers.numerals import canonical, numbers
from tierwise.scorers.reading import HEAD, TAIL, clipped
from tierwise.types import Answer, Checks, Choice, Evidence, Message, Request, Text, Tool, ToolCall

HELD = 100  # numbers of an answer, in which those of the question are looked for: about the first ones
CONTEXT = 48_000  # characters of the request; in a longer one, what is not found may stand where nobody looked
MOST = 128  # different numbers of a question, and calls, that are looked at
MOST_NAMED = 64  # different quotes, and different names, of one choice that are looked up ...
MOST_NUMBERS = 32  # ... and numbers,
FIRST = 100  # which are looked for among about so many, before all are read
QUOTE_WORDS = 3  # a shorter quote is a term, not a quotation
SMALL = 10  # whole numbers below are numbering and counting ("1.", "3 steps"), which no prompt needs to hold
SEQUENCES = 150  # of capitalised words that are looked at, most of them at the beginning of a sentence
LONG = 40  # characters; what is longer is data, not a number
LEAVES = 256  # values of tool arguments

_DIGITS = re.compile("[0-9]+")
_QUOTE = re.compile(
    r'(?<!\w)"(?=\S)([^"\n]{8,300})"|\u201c([^\u201c\u201d\n]{8,300})\u201d|\u00ab([^\u00ab\u00bb\n]{8,300})\u00bb'
    r"|\u201e([^\u201e\u201c\u201d\n]{8,300})[\u201c\u201d]"
)
_QUOTES = ('"', "\u201c", "\u00ab", "\u201e")
_STRAIGHT = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
_CAPITALISED = re.compile(r"[A-Z][\w\u2019'-]{1,40}(?: [A-Z][\w\u2019'-]{1,40}){0,5}")
# The same in bytes of which only the class is left, where a capital is "A": in these it is found at once.
_CAPITALISED_CLASSES = re.compile(rb"A[Aa]{1,40}(?: A[Aa]{1,40}){0,5}")
_CLASSES = bytes.maketrans(f"{ascii_uppercase}{ascii_lowercase}{digits}_'-".encode(), b"A" * 26 + b"a" * 39)
_INSIDE = frozenset(" *\"`'(")  # what may stand before a name inside a sentence
_ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'`]{4,200}")
_SNAKE = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")
_WORD = re.compile(r"[^\W_]+")
_APART = bytes(code if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)  # for texts in ASCII
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
# Small numbers that prompts spell out; the position is the number.
_SPELLED = (
    ("zero",), ("one", "ein", "un"), ("two", "twice", "zwei", "deux", "dos"), ("three", "drei", "trois", "tres"),
    ("four", "vier", "quatre", "cuatro"), ("five", "f\u00fcnf", "cinq", "cinco"), ("six", "sechs", "seis"),
    ("seven", "sieben", "sept", "siete"), ("eight", "acht", "huit", "ocho"), ("nine", "neun", "neuf", "nueve"),
    ("ten", "zehn", "dix", "diez"), ("eleven", "elf", "onze", "once"),
    ("twelve", "dozen", "zw\u00f6lf", "douze", "doce"),
)  # fmt: skip

Share = tuple[float, int]
"""(how much was found, how many were looked up)."""


def numbers_grounded(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Share of the answer's numbers (from SMALL on, or with a fraction) that the request holds."""
    return _least("numbers_grounded", request, answer, _numbers_share)


def quotes_grounded(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Share of the answer's quotations (QUOTE_WORDS words and more) that the request holds word for word."""
    return _least("quotes_grounded", request, answer, _quotes_share)


def entities_grounded(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Share of the answer's names, addresses and identifiers whose words the request holds.

    Capitals name things inside a sentence only, and not in German, which writes every noun with one.
    """
    return _least("entities_grounded", request, answer, _entities_share)


def arguments_grounded(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Mean share of the words of each value in tool arguments that the request holds, or the tool's schema offers.

    Booleans and null don't count. Numbers may be spelled ("three"), or a percentage of the request's (0.07 of 7 %).
    """
    return _least("arguments_grounded", request, answer, _arguments_share)


def numbers_used(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Share of the numbers of the newest user turn that the answer or its tool calls hold, spelled ones among them.

    None where that turn has no number or is longer than HEAD + TAIL, or the answer is not complete.
    """
    turns = [message for message in request.messages if message.role == "user"]
    text = said(turns[-1]) if turns and answer.complete else ""
    asked = _written(text)[:MOST] if len(text) <= HEAD + TAIL else ()
    if not asked or not answer.choices:
        return Evidence("numbers_used", None)
    held = []
    for choice in answer.choices:
        calls = [call.arguments[: HEAD + TAIL] for call in choice.tool_calls[:MOST]]
        context = _Context("\n".join([_read(choice), *calls]), (), HELD)
        held.append(sum([context.holds(number) or context.spells(number) for number in asked]))
    least = min(held)
    passed = True if least == len(asked) else None
    return Evidence("numbers_used", passed, f"{least} of {len(asked)}", least / len(asked))


def said(message: Message) -> str:
    """The text of a message, all its parts, and the arguments of its tool calls."""
    texts = [message.content] if isinstance(message.content, str) else [
        part.text for part in message.content if isinstance(part, Text)
    ]  # fmt: skip
    return "\n".join([*texts, *(call.arguments for call in message.tool_calls)])


class _Context:
    """What a text holds, read only as far as a check asks."""

    def __init__(self, text: str, tools: tuple[Tool, ...], most: int | None = None) -> None:
        self.text = text
        self._tools = tools
        self._most = most

    @cached_property
    def lower(self) -> str:
        return self.text.lower()

    @cached_property
    def flat(self) -> str:
        return _flat(self.text)

    @cached_property
    def numbers(self) -> frozenset[str]:
        return _held(self.text, self._most)

    @cached_property
    def words(self) -> frozenset[str]:
        return _words(self.text)

    def offered(self, name: str) -> frozenset[str]:
        """What the schema of a tool itself offers as values, as text in lower case."""
        for tool in self._tools:
            if tool.name == name and tool.parameters:
                properties = tool.parameters.get("properties")
                rules = list(properties.values())[:LEAVES] if isinstance(properties, dict) else []
                return frozenset([str(value).lower() for rule in rules for value in _offers(rule)])
        return frozenset()

    def holds(self, number: str) -> bool:
        """As it is, as another part of a hundred, or, where it has separators, piece by piece."""
        if number in self.numbers:  # it is its own form
            return True
        if number.isdigit():
            form = canonical(number)[0]
            return form in self.numbers or (len(form) <= 3 and _hundredth(form) in self.numbers)
        if any(form in self.numbers or _percent(form) in self.numbers for form in canonical(number)):
            return True
        return all(canonical(piece)[0] in self.numbers for piece in _DIGITS.findall(number))

    def spells(self, number: str) -> bool:
        words = _spelled(int(number)) if number.isdigit() and len(number) < 3 else ()
        return any(word in self.words for word in words if word in self.lower)


# What several checks ask of the same text: the request, or the answer.


@lru_cache(maxsize=4)
def _words(text: str) -> frozenset[str]:
    """The runs of letters and digits in a text, in lower case."""
    lower = text.lower()
    return frozenset(lower.encode().translate(_APART).decode().split() if lower.isascii() else _WORD.findall(lower))


@lru_cache(maxsize=4)
def _written(text: str, most: int | None = None) -> tuple[str, ...]:
    """The different numbers in a text, as they are written; of about the first `most`, where that is given."""
    return tuple([number for number in dict.fromkeys(numbers(text, most)) if len(number) < LONG])


@lru_cache(maxsize=4)
def _held(text: str, most: int | None) -> frozenset[str]:
    """The forms of every number in a text. "(3,4)" may be one number or two: it holds 3.4, 3 and 4."""
    written = _written(text, most)
    other = [number for number in written if number[0] == "0" or not number.isdigit()]  # most are their own form
    return frozenset(written).difference(other).union([form for number in other for form in _forms(number)])


@lru_cache(maxsize=1024)
def _forms(number: str) -> tuple[str, ...]:
    """The forms of a number, and those of its pieces."""
    return (*canonical(number), *[piece.lstrip("0") or "0" for piece in _DIGITS.findall(number)])


@lru_cache(maxsize=1024)
def _hundredth(form: str) -> str:
    """ "7" -> "0.07"."""
    return canonical(f"{int(form) / 100}")[0]


def _offers(rule: Any) -> list[Any]:
    if not isinstance(rule, dict):
        return []
    listed = rule.get("enum")
    values = list(listed[:LEAVES]) if isinstance(listed, list) else []
    return values + [rule[key] for key in ("default", "const") if key in rule]


def _spelled(number: int) -> tuple[str, ...]:
    return _SPELLED[number] if number < len(_SPELLED) else ()


def _percent(form: str) -> str:
    """ "0.07" -> "7"; anything else stays as it is."""
    if not form.startswith("0.") or len(form) > 10:
        return form
    return f"{float(form) * 100:.6f}".rstrip("0").rstrip(".")


def _flat(text: str) -> str:
    if not text.isascii():
        for mark, plain in _STRAIGHT.items():
            text = text.replace(mark, plain)
    return " ".join(text.lower().split())


def _read(choice: Choice) -> str:
    return clipped(choice.text)


def _prose(choice: Choice) -> str:
    """The text without its code blocks; nothing where it is JSON, whose strings are no quotations."""
    text = _read(choice)
    if text[:64].lstrip()[:1] in {"{", "["}:
        return ""
    return "\n".join(text.split("```")[::2]) if "```" in text else text


def _least(check: str, request: Request, answer: Answer, share: Callable[[_Context, Choice], Share]) -> Evidence:
    """The least share among the choices; it passes where everything was found."""
    text = "\n".join([said(message) for message in request.messages])
    context, worst = _Context(text, request.tools), (1.0, 0)
    for choice in answer.choices:
        found, looked = share(context, choice)
        if looked and (not worst[1] or found / looked < worst[0] / worst[1]):
            worst = found, looked
    found, looked = worst
    if not looked:
        return Evidence(check, None)
    if len(context.text) > CONTEXT:
        return Evidence(check, None, "the request is too long to search")
    return Evidence(check, True if found >= looked else None, f"{found:.3g} of {looked}", min(found / looked, 1.0))


def _numbers_share(context: _Context, choice: Choice) -> Share:
    text = _read(choice)
    named = list(islice(filter(_tells, _written(text, FIRST)), MOST_NUMBERS))
    if len(named) < MOST_NUMBERS:
        named = list(islice(filter(_tells, _written(text)), MOST_NUMBERS))
    if not named or len(context.text) > CONTEXT:
        return 0.0, len(named)
    return float(sum([context.holds(number) for number in named])), len(named)


def _tells(number: str) -> bool:
    return len(number) > 1 and (number[0] != "0" or not number.isdigit() or int(number) >= SMALL)


def _quotes_share(context: _Context, choice: Choice) -> Share:
    text = _prose(choice)
    if not any(mark in text for mark in _QUOTES):
        return 0.0, 0
    flat = _flat("\0".join(map("".join, _QUOTE.findall(text)[: 2 * MOST_NAMED])))  # all of them in one go
    quotes = [quote.strip(".,;:!? ") for quote in flat.split("\0")]
    looked = [quote for quote in quotes if quote.count(" ") >= QUOTE_WORDS - 1][:MOST_NAMED]
    if not looked or len(context.text) > CONTEXT:
        return 0.0, len(looked)
    return float(sum(map(context.flat.__contains__, looked))), len(looked)


def _entities_share(context: _Context, choice: Choice) -> Share:
    named = list(dict.fromkeys(islice(_names(_prose(choice)), 4 * MOST_NAMED)))[:MOST_NAMED]
    if not named or len(context.text) > CONTEXT:
        return 0.0, len(named)
    return float(sum([_stands(name.lower(), context.words) for name in named])), len(named)


def _stands(name: str, words: frozenset[str]) -> bool:
    if name.isalnum():  # one word, as most names are
        return name in words
    return words.issuperset([word for word in _WORD.findall(name) if len(word) > 1])


def _names(text: str) -> Iterator[str]:
    if "http" in text:
        yield from _ADDRESS.findall(text)[:MOST_NAMED]
    if "_" in text:
        yield from _SNAKE.findall(text)[:MOST_NAMED]
    german: bool | None = None
    for match in islice(_sequences(text), SEQUENCES):
        start = match.start()
        if text[start - 1 : start] not in _INSIDE:  # a line's or the text's beginning, most often
            continue
        before = text[max(start - 5, 0) : start].rstrip("*\"`'(")
        if before[-1:] == " " and (before[-2:-1].islower() or before[-2:-1] in ",;"):
            if german is None:
                german = language_of(text[:1000])[0] == "de"
            if not german:
                yield text[start : match.end()]


def _sequences(text: str) -> Iterator[re.Match[str] | re.Match[bytes]]:
    """Capitalised words, the beginnings of sentences among them; a match tells only where."""
    if text.isascii():
        return _CAPITALISED_CLASSES.finditer(text.encode().translate(_CLASSES))
    return _CAPITALISED.finditer(text)


def _arguments_share(context: _Context, choice: Choice) -> Share:
    found, looked = 0.0, 0
    for call in choice.tool_calls[:MOST]:
        offered = context.offered(call.name)
        for value in _leaves(call):
            if looked == LEAVES or len(context.text) > CONTEXT:
                return found, max(looked, 1)
            looked += 1
            found += 1.0 if str(value).lower() in offered else _value_share(context, value)
    return found, looked


def _leaves(call: ToolCall) -> Iterator[str | int | float]:
    """The strings and numbers of a call's arguments; nothing where they are no JSON or longer than is read."""
    if len(call.arguments) > HEAD + TAIL:
        return
    try:
        stack = [msgspec.json.decode(call.arguments)]
    except (ValueError, RecursionError):
        return
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            yield value


def _value_share(context: _Context, value: str | int | float) -> float:
    if not isinstance(value, str):
        number = f"{abs(value):.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(abs(value))
        return float(context.holds(number) or context.spells(number))
    lower = value[:300].lower()
    if lower in context.lower:
        return 1.0
    words = _WORD.findall(_DATE.sub(r"\1 \3", lower))  # months are written in letters as often as not
    held = [word in context.words or _inflected(context, word) or _numeral(context, word) for word in words]
    return sum(held) / len(held) if held else 0.0


def _inflected(context: _Context, word: str) -> bool:
    return len(word) > 3 and (f"{word}s" in context.words or word[:-1] in context.words)


def _numeral(context: _Context, word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < LONG and (context.holds(word) or context.spells(word))
