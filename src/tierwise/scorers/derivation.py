"""How an answer's numbers come about: taken from the prompt, worked out from one another, or out of nowhere.

Sums that are right one by one can still be the wrong ones to do. What gives that away without solving the task:
a number that enters a sum although nobody mentioned it, a number of the prompt or a result on the way that is
never used, and a final number that no sum led to. Measurements for a verifier that learns, never a check.

Knows how numbers are written in text, in English also as words; nothing of what a task is about. Linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import log

from tierwise.scorers.equations import Side, found
from tierwise.scorers.features import PROMPTS, prompt_words, words_of
from tierwise.scorers.formula import WORDS
from tierwise.scorers.reading import DENSE, HEAD, TAIL, clipped, dense

LIMIT = HEAD + TAIL + 1  # characters of a prompt: as many as are left of a longer one
TERMS = 24  # numbers of one side of an equation
SMALL = 10  # whole numbers below are numbering and counting ("1.", "3 steps"), which no prompt needs to hold
NAMES = (
    "sums",
    "sums_underived",  # share of the numbers in sums that neither the prompt nor an earlier sum has given
    "sums_unused",  # share of the results on the way that nothing uses
    "sums_repeated",  # share of the results that come again
    "sums_to_end",  # whether the last number is the last sum's result
    "sums_per_given",
    "given",  # numbers of the prompt
    "given_missing",  # share of them that the answer never mentions
    "given_in_sums",  # share of them that enter a sum
    "numbers_new",  # share of the answer's numbers that come out of nowhere
    "numbers_given",  # share of those that count nothing (SMALL) that stand in the prompt
    "end_given",  # whether the last number stands in the prompt already
    "end_size",
    "end_growth",  # its size against the largest of the prompt
    "end_whole",  # whether it is a whole number
)

# Begins with a digit, so that the search skips all that is none; no word and no point comes before it.
_NUMBER = re.compile(r"\d(?<![\w.]\d)\d{0,14}(?:,\d{3}){0,4}(?:\.\d{1,15})?")
_ASCII_NUMBER = re.compile(_NUMBER.pattern, re.ASCII)  # which is found faster
_PERCENT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?(?:%|percent)")
_SPELLED: dict[str, tuple[float, ...]] = {
    **{word: (float(number),) for number, word in enumerate(WORDS)},
    "thirty": (30.0,), "forty": (40.0,), "fifty": (50.0,), "sixty": (60.0,), "hundred": (100.0,), "thousand": (1000.0,),
    "half": (2.0, 0.5), "halves": (2.0, 0.5), "third": (3.0,), "thirds": (3.0,), "quarter": (4.0, 0.25),
    "quarters": (4.0, 0.25), "fourth": (4.0, 0.25), "fifth": (5.0, 0.2), "tenth": (10.0, 0.1), "twice": (2.0,),
    "double": (2.0,), "doubled": (2.0,), "triple": (3.0,), "tripled": (3.0,), "thrice": (3.0,), "dozen": (12.0,),
    "dozens": (12.0,), "pair": (2.0,), "pairs": (2.0,), "couple": (2.0,), "both": (2.0,), "score": (20.0,),
}  # fmt: skip
_SPELLED_WORDS = frozenset(_SPELLED)
# What everybody knows without being told: small numbers, and how units of time, length and money are divided.
_COMMON = frozenset(map(float, (0, 1, 2, 3, 4, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000)))


def derivation(prompt: str, answer: str) -> list[float]:
    """One number for each of NAMES; shares lie in [0, 1], sizes are natural logarithms, NaN where there is nothing."""
    given, known = _given(prompt)
    flow = _Flow(known)
    if "=" in answer or "equals" in answer:
        for equation in found(answer):
            flow.add(equation.left, equation.right)
    said = _numbers(answer[-DENSE // 2 :] if dense(answer) else clipped(answer))
    mentioned = set(said)
    telling = {number for number in mentioned if number >= SMALL or not number.is_integer()}
    end = said[-1] if said else None
    results = flow.results
    nothing = float("nan")
    return [
        float(len(results)),
        _share(flow.underived, flow.entered),
        _share(len([1 for result in results[:-1] if result not in flow.used and result != end]), len(results) - 1),
        _share(len(results) - len(set(results)), len(results)),
        float(results[-1] == end) if results and end is not None else nothing,
        len(results) - len(given) if results else nothing,
        float(len(given)),
        _share(len(given - mentioned), len(given)),
        _share(len(given & flow.used), len(given)) if results else nothing,
        _share(len(mentioned - flow.known), len(mentioned)),
        _share(len(telling & given), len(telling)),
        float(end in known) if end is not None else nothing,
        log(end + 1) if end is not None else nothing,
        log((end + 1) / (max(given) + 1)) if end is not None and given else nothing,
        float(end.is_integer()) if end is not None else nothing,
    ]


@lru_cache(maxsize=PROMPTS)
def _given(prompt: str) -> tuple[frozenset[float], frozenset[float]]:
    """A prompt's numbers, and all that are known beside it: remembered from one draft to the next."""
    words = prompt_words(prompt) if len(prompt) <= LIMIT else words_of(prompt[:LIMIT]).lower
    given = frozenset(_numbers(prompt[:LIMIT]))
    return given, given | _implied(prompt[:LIMIT], words) | _COMMON


class _Flow:
    """The numbers as the sums go along."""

    def __init__(self, known: frozenset[float]) -> None:
        self.known = set(known)
        self.used: set[float] = set()
        self.results: list[float] = []
        self.entered = 0
        self.underived = 0

    def add(self, left: Side, right: Side) -> None:
        entering, leaving = _of_side(left), _of_side(right)
        if len(entering) == 1 and len(leaving) != 1:
            entering, leaving = leaving, entering
        self.entered += len(entering)
        self.underived += len([1 for number in entering if number not in self.known])
        self.used.update(entering)
        if len(leaving) == 1:
            self.results += leaving
        self.known.update(leaving)


def _of_side(side: Side) -> list[float]:
    return [float(text.replace(",", "")) for kind, text in side.tokens[: 2 * TERMS] if kind == "n"]


def _numbers(text: str) -> list[float]:
    found = (_ASCII_NUMBER if text.isascii() else _NUMBER).findall(text)
    return list(map(float, " ".join(found).replace(",", "").split() if "," in text else found))


def _implied(prompt: str, words: frozenset[str]) -> set[float]:
    """Numbers that a prompt gives in words, or as percents."""
    implied: set[float] = set()
    for word in words & _SPELLED_WORDS:
        implied.update(_SPELLED[word])
    percents = _PERCENT.findall(prompt) if "%" in prompt or "percent" in prompt else []
    for percent in map(float, percents):
        implied.update((percent / 100, 100 - percent, 1 - percent / 100, 100 + percent, 1 + percent / 100))
    return implied


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else float("nan")
