"""The free check `repeated`: a model caught in a loop.

Three signs, each found in linear time: a run of one character, the same line again and again, and a text whose
end is one group of words over and over. Thresholds are set so that tables, lists, code, zero-filled data and a
poem's refrain pass. A loop in the middle that the model left again is seen only where it goes by lines or by one
character.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from operator import eq

from tierwise.types import Answer, Checks, Evidence, Request

HEAD, TAIL = 12_000, 4_000  # characters that are looked at, of a longer text
RUN = 100  # equal characters; found on a grid of RUN // 2, so from 149 on at the latest
RULE_RUN = 400  # the same for what rules, leaders and blanks are drawn with
_RULES = frozenset("-=_*#~.·─━═ \n\t0")
WORDS = 24  # a looped end is at least this many words long ...
CHARS = 60  # ... or characters, in scripts that put no spaces between words
TOKENS = 640  # words (or characters) of the end that are looked at
MUTE = 100  # a line or group without two letters in it (numbers, brackets) may be repeated this many times as often


def repeated(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """No choice loops: a unit comes at most `checks.max_repeats` times in a row."""
    looked = False
    for choice in answer.choices:
        text = choice.text
        if not text:
            continue
        looked = True
        if len(text) > HEAD + TAIL:
            text = f"{text[:HEAD]}\n{text[-TAIL:]}"
        found = _char_run(text) or _line_run(text, checks.max_repeats) or _looped_end(text[-TAIL:], checks.max_repeats)
        if found:
            return Evidence("repeated", False, found)
    return Evidence("repeated", True if looked else None)


def _char_run(text: str) -> str:
    step = RUN // 2
    if not any(map(eq, text[::step], text[step - 1 :: step])):  # nearly every text is done with here
        return ""
    run, last = 0, ""
    for start in range(0, len(text) - step + 1, step):
        char = text[start]
        if text[start + step - 1] != char or text[start : start + step] != char * step:
            run, last = 0, ""
            continue
        run = run + step if char == last else step
        last = char
        # One full cell of the grid may be all that a run of RUN - 1 fills; two are a run of at least RUN.
        if run >= (RULE_RUN if char in _RULES else RUN):
            return f"one character {run} times and more"
    return ""


def _line_run(text: str, most: int) -> str:
    if text.count("\n") < most:
        return ""
    # Blank lines between looped lines don't end the loop.
    lines = list(filter(None, map(str.rstrip, text.split("\n"))))
    if sum(map(eq, lines, islice(lines, 1, None))) < most:  # nearly every text is done with here
        return ""
    run, last, limit = 1, "", most
    for line in lines:
        run = run + 1 if line == last else 1
        last = line
        if run == most + 1:
            limit = most * (1 if _speaks(line) else MUTE)
        if run > most and run > limit:
            return f"one line {run} times and more"
    return ""


def _looped_end(text: str, most: int) -> str:
    """The text ends in one group of words (or characters) more than `most` times in a row, and long enough."""
    if not _comes_again(text):
        return ""
    words: Sequence[str] = text.rsplit(None, TOKENS)
    least = WORDS
    if len(words) * 20 < len(text):  # no spaces between words, or hardly any
        words, least = text, CHARS
    words = words[-TOKENS:-1]  # without the last: it may be cut, or have got the full stop
    if len(words) < least or words.count(words[-1]) <= most:
        return ""
    before, last = words[-2:]
    ends = [at for at, word in enumerate(words) if word == last]
    if sum([words[at - 1] == before for at in ends if at]) < most:  # the end of every round, but for a round of one
        return ""
    backwards = words[::-1]
    for period, match in enumerate(_z(backwards, len(words) // (most + 1))):
        times = match // period + 1 if period else 0
        if times <= most or match + period < least:
            continue
        if times > most * MUTE or _speaks("".join(backwards[:period])):
            return f"the end repeats {period} words {times} times"
    return ""


def _comes_again(text: str) -> bool:
    """Whether the two words before the last one stand together elsewhere too. Nearly every text is done with here.

    In a loop they do, once a round; the last word itself may be cut, or have got the full stop.
    """
    parts = text.rsplit(None, 3)
    if len(parts) < 4:
        return True  # hardly any spaces: there are no words to go by
    pair = text[len(parts[0]) :].rstrip()[: -len(parts[3])].strip()
    return text.count(pair) > 1


def _speaks(unit: str) -> bool:
    """Whether it holds two letters side by side: words, not numbers, brackets or a table's rules."""
    before = False
    for char in unit:
        letter = char.isalpha()
        if letter and before:
            return True
        before = letter
    return False


def _z(items: Sequence[str], last: int) -> list[int]:
    """The Z function: for each position to `last`, how many items from there equal the beginning. Linear time."""
    size = len(items)
    z = [0] * min(last + 1, size)
    left = right = 0
    for i in range(1, len(z)):
        k = min(right - i, z[i - left]) if i < right else 0
        while i + k < size and items[k] == items[i + k]:
            k += 1
        z[i] = k
        if i + k > right:
            left, right = i, i + k
    return z
