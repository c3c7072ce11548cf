"""What a request and an answer look like, as numbers for a model that learns: lengths, marks, forms.

Every function gives one number for each of its NAMES, NaN where there is nothing to measure (the model has an
indicator for that). Task-neutral: counts of things that any text may have. Linear time; of a long text the head and
the tail are read (`reading.py`). Knows no benchmark, no label, and not what any number is worth.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from math import log1p, nan
from typing import NamedTuple

from tierwise.scorers.reading import characters, clipped
from tierwise.types import Answer, Choice, Image, Request

TEXT_NAMES = (
    "chars", "words", "lines", "sentences", "word_length", "sentence_length", "distinct_words", "digits", "numbers",
    "upper", "operators", "equals", "questions", "exclaims", "commas", "brackets", "quotes", "latex", "code", "tables",
    "bullets", "bold", "negations", "foreign",
)  # fmt: skip
REQUEST_NAMES = (
    *(f"prompt_{name}" for name in TEXT_NAMES),
    "turns", "system_chars", "tools", "schema", "images", "options", "option_length", "options_numeric", "task_first",
    "options_alike", "options_begin",
)  # fmt: skip
ANSWER_NAMES = (
    *(f"answer_{name}" for name in TEXT_NAMES),
    "answer_to_prompt", "answer_last_line", "answer_first_line", "answer_json", "answer_empty", "answer_finish",
    "answer_overlap", "calls", "call_arguments", "call_argument_chars", "reasoning_chars",
)  # fmt: skip

_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
# Patterns that begin with a set, or a mark of their own, are searched several times as fast.
_SENTENCE = re.compile(r"[.!?。！？\n](?:(?<=[.!?])[\s\"')\]]|(?<=[。！？\n])\s*)")  # noqa: RUF001 - full-width marks are meant
_LINE_END = re.compile(r"\n(?<![.!?]\n)\s*")  # that has no mark before it which has ended the sentence already
_BULLET = re.compile(r"\n[ \t]{0,8}(?:[-*•]|\d{1,2}[.)])[ \t]")
_OPTION = re.compile(r"\n\(?[a-z][.):] ?(\S[^\n]*)")  # in a canonical prompt
_QUOTES = str.maketrans("“”„‟«»″‘’‚‛′`", '"""""""' + "'" * 6)  # noqa: RUF001 - typographic quotes are meant
_NEGATIONS = frozenset(["not", "no", "never", "none", "nor", "except", "without", "false", "incorrect", "least"])
_NEGATION = re.compile(rf"\b(?:{'|'.join(sorted(_NEGATIONS))}|n't)\b", re.IGNORECASE)
_SHORT_NOT = re.compile(rb"n't(?<!\wn't)\b")
_SIGNS = "×÷±√∑∫≤≥≠"  # noqa: RUF001 - the signs are meant
_VERB = re.compile(r"^\W{0,4}(?:what|which|who|when|where|why|how|is|are|do|does|can|if)\b", re.IGNORECASE)
_BEYOND = re.compile(r"[^\x00-\x7f]+")
_ODD_SPACES = "\t\r\v\f\x1c\x1d\x1e\x1f"
# Letters that an IGNORECASE pattern and lower() read differently, or lower() itself by what stands around them.
_ODD_CASES = "ſıİΣ"
_ALIKE = str.maketrans("ſıİ", "sii")  # what IGNORECASE takes them for
# Tables and deletions for texts as ASCII bytes.
_ASCII = bytes(range(128))
_LETTERS = bytes(byte for byte in _ASCII if chr(byte).isalpha())
_LOWERS = bytes(byte for byte in _LETTERS if chr(byte).islower())
_DIGITS, _UPPERS = b"0123456789", bytes(byte for byte in _LETTERS if chr(byte).isupper())
_LOWERS_AND_SPACE = _LOWERS + b" "
# Digits, capitals, operators but * and =, opening brackets, marks of LaTeX: one byte for each kind.
_MARKS = bytes.maketrans(_DIGITS + _UPPERS + b"-/^<>%" + b"[{" + b"\\", b"0" * 10 + b"A" * 26 + b"+" * 6 + b"((" + b"$")
_BY_LETTERS = bytes(byte if byte in _LETTERS else 32 for byte in range(256))
_BY_WORDS = bytes(ord(chr(byte).lower()) if byte in _LETTERS + _DIGITS + b"_" else 32 for byte in range(256))
_BY_NUMBERS = bytes(ord("0" if byte in _DIGITS else "." if byte in b".," else " ") for byte in range(256))
_BY_ENDS = bytes(
    ord("." if chr(byte) in ".!?" else " " if chr(byte).isspace() or chr(byte) in "\"')]" else "x") for byte in _ASCII
).ljust(256, b"x")

ALPHABET = 300  # different characters of a text, up to which it is looked which of them are no letters
MARKS = 96  # different characters of a text that are no letters, up to which they are taken out one by one
PROMPTS = 128  # whose features are remembered: a router's request is its verifier's a moment later


def request_features(request: Request) -> list[float]:
    """One number for each of REQUEST_NAMES. Lengths and counts are logarithms of 1 + n, shares lie in [0, 1]."""
    prompt = _of_prompt(prompt_of(request))
    turns = system = images = 0
    for message in request.messages:
        if message.role in {"user", "assistant"}:
            turns += 1
        elif message.role in {"system", "developer"}:
            system += len(message.text)
        if not isinstance(message.content, str):
            images += sum([isinstance(part, Image) for part in message.content])
    return [
        *prompt.features,
        log1p(turns),
        log1p(system),
        log1p(len(request.tools)),
        float(request.json_answer or request.schema is not None),
        log1p(images),
        *prompt.options,
        prompt.asks,
        *prompt.alike,
    ]


class _Prompt(NamedTuple):
    """What a prompt's text alone tells. `asks`: whether it begins with a question; `alike`: of its options."""

    features: tuple[float, ...]
    options: tuple[float, float, float]
    asks: float
    alike: tuple[float, float]
    words: frozenset[str] | None  # None: those of the canonical prompt may not be the prompt's


@lru_cache(maxsize=PROMPTS)
def _of_prompt(prompt: str) -> _Prompt:
    prompt = canonical(prompt)
    options: list[str] = _OPTION.findall(f"\n{prompt}")
    count = len(options)
    numeric = sum([option[-1:].isdigit() or option[:1].isdigit() for option in options])
    features = tuple(text_features(prompt))
    words = words_of(prompt)
    return _Prompt(
        features,
        (log1p(count), log1p(sum(map(len, options)) / count) if count else nan, numeric / count if count else nan),
        float(_VERB.match(prompt) is not None),
        _alike(options),
        words.lower if words.plain else None,
    )


def _alike(options: Sequence[str]) -> tuple[float, float]:
    """How many of the others have a word of an option too, the mean share; and the share of different first words.

    Options that repeat one another ask for a distinction, others for a thing that one knows.
    """
    others = len(options) - 1
    if others < 1:
        return nan, nan
    texts = [option.split() for option in options]
    times = Counter(chain.from_iterable(map(frozenset, texts))).values()
    shared = sum([count * (count - 1) for count in times]) / others
    return shared / sum(times), len({words[0] for words in texts}) / len(options)


def lists(prompt: str) -> bool:
    """Whether it may list lettered options, remembered for as long as its features are."""
    return _of_prompt(prompt).options[0] > 0


def prompt_words(prompt: str) -> frozenset[str]:
    """`words_of(prompt).lower`, remembered for as long as the prompt's features are."""
    words = _of_prompt(prompt).words
    return words_of(prompt).lower if words is None else words


def canonical(prompt: str) -> str:
    """The prompt without what must not change where it is sent: case, spacing, and the style of quotes."""
    plain = prompt.isascii() and not any(map(prompt.__contains__, _ODD_SPACES))
    lines = (prompt.replace("`", "'") if plain else prompt.translate(_QUOTES)).lower().split("\n")
    lines = [line.strip() if plain and "  " not in line else " ".join(line.split()) for line in lines]
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
    share = 100 / (chars + 20)
    raw, beyond = text.encode("ascii", "replace"), words.beyond
    sentences = _sentences(text, raw) + 1
    # Few bytes, in which all that is counted is soon found; kinds of marks that count as one are one byte.
    marks = raw.translate(_MARKS, _LOWERS_AND_SPACE)
    digits, stars, equals = marks.count(b"0"), marks.count(b"*"), marks.count(b"=")
    operators, foreign_digits = marks.count(b"+") + stars + equals, 0
    questions, quotes = marks.count(b"?"), marks.count(b'"')
    if beyond:
        foreign_digits = 0 if beyond.isalpha() else len(_DIGIT.findall(beyond))
        operators += sum(map(beyond.count, _SIGNS))
        questions -= len(beyond)
        quotes += beyond.count("\u201c")
    numbers = 0
    if foreign_digits:
        numbers = len(_NUMBERS.findall(text))
    elif digits:
        numbers = _numbers(raw.translate(_BY_NUMBERS))
    return [
        log1p(chars),
        log1p(count),
        log1p(lines),
        log1p(sentences),
        words.letters / count if count else nan,
        log1p(count / sentences),
        words.distinct / count if count else nan,
        log1p(share * (digits + foreign_digits)),
        log1p(numbers),
        log1p(share * marks.count(b"A")),
        log1p(share * operators),
        log1p(equals),
        log1p(questions),
        log1p(marks.count(b"!")),
        log1p(share * marks.count(b",")),
        log1p(share * marks.count(b"(")),
        log1p(share * quotes),
        log1p(marks.count(b"$")),
        log1p(marks.count(b"`")),
        log1p(marks.count(b"|")),
        log1p(len(_BULLET.findall(f"\n{text}" if lines else f"\n{text[:16]}"))),
        log1p(text.count("**") if stars > 1 else 0),
        log1p(words.negations),
        log1p(share * len(beyond)),
    ]


def _sentences(text: str, raw: bytes) -> int:
    """How often _SENTENCE matches; `raw` is the text as ASCII."""
    if not text.isascii():
        return len(_SENTENCE.findall(text))
    ended = raw.translate(_BY_ENDS).count(b". ")
    return ended + len(_LINE_END.findall(text)) if "\n" in text else ended


def _numbers(kinds: bytes) -> int:
    """How many numbers there are, of digits that one point or comma may join; `kinds` is `0` for a digit, `.`, ` `."""
    runs = (b" " + kinds.replace(b".", b" ")).count(b" 0")
    return runs - kinds.replace(b"0", b"00").count(b"0.0")  # twice, so that two joints share no digit


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
        return _foreign_words(text, beyond)
    raw = text.encode("ascii", "replace")
    letters = raw.translate(_BY_LETTERS).decode()
    found = letters.split()
    different = frozenset(found)
    lower = different if letters.islower() else frozenset(map(str.lower, different))
    negations = len(_SHORT_NOT.findall(raw.lower())) if b"'" in raw else 0
    if not _NEGATIONS.isdisjoint(lower):
        negations += _negations(raw, _NEGATIONS & lower)
    return Words(len(found), len(letters) - letters.count(" "), len(different), negations, lower, beyond, True)


def _foreign_words(text: str, beyond: str) -> Words:
    """The words of a text of which not all letters and digits are ASCII."""
    found = _letter_runs(text)
    different = frozenset(found)
    odd = any(map(beyond.__contains__, _ODD_CASES))
    low = text.lower()
    lower = frozenset(_letter_runs(low) if odd else map(str.lower, different)) if low != text else different
    alike = frozenset([word.translate(_ALIKE).lower() for word in different]) if odd else lower
    may_deny = "'t" in text or "'T" in text or not _NEGATIONS.isdisjoint(alike)
    negations = len(_NEGATION.findall(text)) if may_deny else 0
    return Words(len(found), sum(map(len, found)), len(different), negations, lower, beyond, False)


def _letter_runs(text: str) -> list[str]:
    """What _WORD finds; where few characters are no letters, a pattern would take several times as long."""
    different = characters(text)
    others = [] if len(different) > ALPHABET else [char for char in different if not char.isalnum() or char.isdecimal()]
    if not 0 < len(others) <= MARKS:
        return _WORD.findall(text)
    for char in others:
        text = text.replace(char, " ")
    return text.split()


def _negations(raw: bytes, words: frozenset[str]) -> int:
    """How often one of `words` stands alone in an ASCII text."""
    tokens = b" " + raw.translate(_BY_WORDS) + b" "
    count = 0
    for word in words:
        alone = f" {word} ".encode()
        twice = alone + alone[1:]  # two share a space, and are counted as one
        count += (tokens.replace(b" ", b"  ") if twice in tokens else tokens).count(alone)
    return count


def prompt_of(request: Request) -> str:
    """What the client asks: the words of its user, the newest last; head and tail of a longer text."""
    users = [message.text for message in request.messages if message.role == "user"]
    return clipped(users[0] if len(users) == 1 else "\n".join(users))


def last_asked(request: Request) -> str:
    """The words of the user's last turn, all of them."""
    return next((message.text for message in reversed(request.messages) if message.role == "user"), "")


def said_by(answer: Answer) -> str:
    """The text of an answer's first choice, its calls written out."""
    if not answer.choices:
        return ""
    calls = [f"{call.name}({call.arguments})" for call in answer.choices[0].tool_calls]
    return "\n".join([answer.text, *calls]) if calls else answer.text


def _overlap(prompt: str, text: str) -> float:
    """Share of the answer's distinct longer words that the prompt has too."""
    words = words_of(text).lower
    said = len([1 for word in words if len(word) > 3])
    both = prompt_words(prompt) & words
    return len([1 for word in both if len(word) > 3]) / said if said else nan
