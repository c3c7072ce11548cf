"""What a request and an answer look like, as numbers for a model that learns: lengths, marks, forms.

Every function gives one number for each of its NAMES, NaN where there is nothing to measure (the model has an
indicator for that). Task-neutral: counts of things that any text may have. Linear time; of a long text the head and
the tail are read. Knows no benchmark, no label, and not what any number is worth.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import log1p, nan
from typing import NamedTuple

from tierwise.types import Answer, Choice, Image, Request

HEAD, TAIL = 12_000, 4_000  # characters that are read, of a longer text

TEXT_NAMES = (
    "chars", "words", "lines", "sentences", "word_length", "sentence_length", "distinct_words", "digits", "numbers",
    "upper", "operators", "equals", "questions", "exclaims", "commas", "brackets", "quotes", "latex", "code", "tables",
    "bullets", "bold", "negations", "foreign",
)  # fmt: skip
REQUEST_NAMES = (
    *(f"prompt_{name}" for name in TEXT_NAMES),
    "turns", "system_chars", "tools", "schema", "images", "options", "option_length", "options_numeric", "task_first",
)  # fmt: skip
ANSWER_NAMES = (
    *(f"answer_{name}" for name in TEXT_NAMES),
    "answer_to_prompt", "answer_last_line", "answer_first_line", "answer_json", "answer_empty", "answer_finish",
    "answer_overlap", "calls", "call_arguments", "call_argument_chars", "reasoning_chars",
)  # fmt: skip

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(rb"\d+(?:[.,]\d+)*")
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
# Patterns that begin with a set, or a mark of their own, are searched several times as fast.
_SENTENCE = re.compile(r"[.!?。！？\n](?:(?<=[.!?])[\s\"')\]]|(?<=[。！？\n])\s*)")  # noqa: RUF001 - full-width marks are meant
_BULLET = re.compile(r"\n[ \t]{0,8}(?:[-*•]|\d{1,2}[.)])[ \t]")
_OPTION = re.compile(r"\n\(?[a-z][.):] ?(\S[^\n]*)")  # in a canonical prompt
_QUOTES = str.maketrans("“”„‟«»″‘’‚‛′`", '"""""""' + "'" * 6)  # noqa: RUF001 - typographic quotes are meant
_NEGATIONS = frozenset(["not", "no", "never", "none", "nor", "except", "without", "false", "incorrect", "least"])
_NEGATION = re.compile(rf"\b(?:{'|'.join(sorted(_NEGATIONS))}|n't)\b", re.IGNORECASE)
_SHORT_NOT = re.compile(rb"n't(?<!\wn't)\b")
_OPERATORS, _SIGNS = b"+-*/^<>=%", frozenset("×÷±√∑∫≤≥≠")  # noqa: RUF001 - the signs are meant
_VERB = re.compile(r"^\W{0,4}(?:what|which|who|when|where|why|how|is|are|do|does|can|if)\b", re.IGNORECASE)
_BEYOND = re.compile(r"[^\x00-\x7f]")
# Tables and deletions for texts as ASCII bytes.
_ASCII = bytes(range(128))
_LETTERS = bytes(byte for byte in _ASCII if chr(byte).isalpha())
_DIGITS, _UPPERS = b"0123456789", bytes(byte for byte in _LETTERS if chr(byte).isupper())
_BY_LETTERS = bytes(byte if byte in _LETTERS else 32 for byte in range(256))
_BY_WORDS = bytes(ord(chr(byte).lower()) if byte in _LETTERS + _DIGITS + b"_" else 32 for byte in range(256))

PROMPTS = 128  # whose features are remembered: a router's request is its verifier's a moment later


def request_features(request: Request) -> list[float]:
    """One number for each of REQUEST_NAMES. Lengths and counts are logarithms of 1 + n, shares lie in [0, 1]."""
    of_text, of_options, verb = _of_prompt(prompt_of(request))
    system = sum(len(message.text) for message in request.messages if message.role in {"system", "developer"})
    images = sum(
        isinstance(part, Image)
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
    )
    return [
        *of_text,
        log1p(sum(message.role in {"user", "assistant"} for message in request.messages)),
        log1p(system),
        log1p(len(request.tools)),
        float(request.json_answer or request.schema is not None),
        log1p(images),
        *of_options,
        verb,
    ]


@lru_cache(maxsize=PROMPTS)
def _of_prompt(prompt: str) -> tuple[tuple[float, ...], tuple[float, float, float], float]:
    """What the prompt's text alone tells: TEXT_NAMES, its options, whether it begins with a question."""
    prompt = canonical(prompt)
    options: list[str] = _OPTION.findall(f"\n{prompt}")
    count = len(options)
    numeric = sum([option[-1:].isdigit() or option[:1].isdigit() for option in options])
    return (
        tuple(text_features(prompt)),
        (log1p(count), log1p(sum(map(len, options)) / count) if count else nan, numeric / count if count else nan),
        float(_VERB.match(prompt) is not None),
    )


def canonical(prompt: str) -> str:
    """The prompt without what must not change where it is sent: case, spacing, and the style of quotes."""
    lines = [" ".join(line.split()) for line in prompt.translate(_QUOTES).lower().split("\n")]
    return "\n".join([line for line in lines if line])


def answer_features(request: Request, answer: Answer) -> list[float]:
    """One number for each of ANSWER_NAMES, of the answer's first choice."""
    choice = answer.choices[0] if answer.choices else Choice()
    text, prompt = clipped(said_by(answer)), prompt_of(request)
    lines = text.strip().split("\n")
    start = text[:64].lstrip()
    arguments = [call.arguments for call in choice.tool_calls]
    return [
        *text_features(text),
        log1p(len(text)) - log1p(len(prompt)),
        log1p(len(lines[-1])),
        log1p(len(lines[0])),
        float(start[:1] in {"{", "["} or start.startswith("```json")),
        float(not text.strip()),
        nan if choice.finish is None else float(choice.finish == "length"),
        _overlap(prompt, text),
        log1p(len(choice.tool_calls)),
        log1p(sum(text.count('":') for text in arguments)) if arguments else nan,
        log1p(sum(map(len, arguments))) if arguments else nan,
        log1p(len(choice.reasoning)),
    ]


def text_features(text: str) -> list[float]:
    """One number for each of TEXT_NAMES; counts of marks are a hundred characters' worth, in logarithms."""
    text = clipped(text)
    chars = len(text)
    words = words_of(text)
    lines, count = text.count("\n"), words.number
    sentences = len(_SENTENCE.findall(text)) + 1
    share = 100 / (chars + 20)
    raw, beyond = text.encode("ascii", "replace"), words.beyond
    digits = _marks(raw, _DIGITS) + sum(map(str.isdecimal, beyond))
    operators = _marks(raw, _OPERATORS) + sum([sign in _SIGNS for sign in beyond])
    numbers = (len(_NUMBER.findall(raw)) if words.plain else len(_NUMBERS.findall(text))) if digits else 0
    return [
        log1p(chars),
        log1p(count),
        log1p(lines),
        log1p(sentences),
        words.letters / count if count else nan,
        log1p(count / sentences),
        words.distinct / count if count else nan,
        log1p(share * digits),
        log1p(numbers),
        log1p(share * _marks(raw, _UPPERS)),
        log1p(share * operators),
        log1p(raw.count(b"=")),
        log1p(raw.count(b"?") - len(beyond)),
        log1p(raw.count(b"!")),
        log1p(share * raw.count(b",")),
        log1p(share * _marks(raw, b"([{")),
        log1p(share * (raw.count(b'"') + beyond.count("“"))),
        log1p(_marks(raw, b"\\$")),
        log1p(raw.count(b"`")),
        log1p(raw.count(b"|")),
        log1p(len(_BULLET.findall(f"\n{text}"))),
        log1p(text.count("**")),
        log1p(words.negations),
        log1p(share * len(beyond)),
    ]


class Words(NamedTuple):
    """The runs of letters in a text, counted. `lower`: the different ones; `beyond`: what is no ASCII."""

    number: int
    letters: int
    distinct: int
    negations: int
    lower: frozenset[str]
    beyond: str
    plain: bool  # none of which is a letter or a digit


@lru_cache(maxsize=4)
def words_of(text: str) -> Words:
    """Remembered for as long as several look at one text."""
    beyond = "" if text.isascii() else "".join(_BEYOND.findall(text))
    if any(map(str.isalnum, beyond)):
        found = _WORD.findall(text)
        lower = frozenset(_WORD.findall(text.lower()))
        return Words(
            len(found), sum(map(len, found)), len(set(found)), len(_NEGATION.findall(text)), lower, beyond, False
        )
    raw = text.encode("ascii", "replace")
    letters = raw.translate(_BY_LETTERS).decode()
    found = letters.split()
    different = set(found)
    lower = frozenset(map(str.lower, different))
    negations = len(_SHORT_NOT.findall(raw.lower()))
    if not _NEGATIONS.isdisjoint(lower):
        tokens = b" " + raw.translate(_BY_WORDS).replace(b" ", b"  ") + b" "
        negations += sum([tokens.count(f" {word} ".encode()) for word in _NEGATIONS & lower])
    return Words(len(found), len(letters) - letters.count(" "), len(different), negations, lower, beyond, True)


def _marks(raw: bytes, marks: bytes) -> int:
    """How many of `marks` there are."""
    return len(raw) - len(raw.translate(None, marks))


def prompt_of(request: Request) -> str:
    """What the client asks: the words of its user, the newest last; head and tail of a longer text."""
    users = [message.text for message in request.messages if message.role == "user"]
    return clipped(users[0] if len(users) == 1 else "\n".join(users))


def said_by(answer: Answer) -> str:
    """The text of an answer's first choice, its calls written out."""
    if not answer.choices:
        return ""
    calls = [f"{call.name}({call.arguments})" for call in answer.choices[0].tool_calls]
    return "\n".join([answer.text, *calls]) if calls else answer.text


def clipped(text: str) -> str:
    """The head and the tail of a text longer than HEAD + TAIL characters."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _overlap(prompt: str, text: str) -> float:
    """Share of the answer's distinct longer words that the prompt has too."""
    said = {word for word in words_of(text).lower if len(word) > 3}
    if not said:
        return nan
    return len(said & words_of(prompt).lower) / len(said)
