# ruff: noqa: RUF001 - the words of other scripts are meant
"""The free checks `contradiction` and `unsupported`: an answer against itself.

`contradiction` counts final results that differ from the last one, and places where the text takes something back.
`unsupported` asks whether the final result is what the text before it arrives at: a number that never comes up in
its own reasoning, or a chosen option of which the reasoning says nothing while it speaks of another, is wrong
several times as often as others. Neither is sure enough to fail an answer alone: right answers correct themselves too.

Knows nothing of arithmetic or of what is true; only results that are announced as such are compared.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from tierwise.scorers.features import words_of
from tierwise.scorers.numerals import canonical, numbers
from tierwise.scorers.reading import clipped
from tierwise.types import Answer, Checks, Evidence, Request, Text

MANY = 2_000  # characters of a long text
MOST = 12  # announcements of one kind that are read, from the end
REASONING = 40  # characters of text beside the result from which on it can be held against it
OPENING = 8  # characters within which a repeated question is not yet another one
SHORT = 24  # characters of a result that is no number, option or word, and stands without quotes
ENDING = 100  # characters of the reasoning in which the result is looked for first: there it is, most often
NEAR = 6  # numbers before the result among which it is still nearly the last
PROMPT_TAIL = 6_000  # characters of the newest user turn in which options are looked for

# What announces a result. The first are found anywhere, the second only with a verb or a mark after them.
_MARKS = ("####", "\\boxed{")
_CUES = (
    "answer", "antwort", "ergebnis", "réponse", "respuesta", "risposta", "resposta", "antwoord", "odpowiedź", "ответ",
    "答案", "答え", "정답",
)  # fmt: skip
_ANNOUNCED = re.compile(
    r"[\"'*_)\s]{0,4}(?:(?:is|was|must be|should be|would be|lautet|ist|est|es|è|é|jest|to)\b|是|为|は|은|는|[:=：])"
    r"(?:[\s:：*_\"'$({=]|\\[\[(]){0,8}(?:\\?(?:boxed|text|mathbf|textbf)\{)?"
)
_VALUE = re.compile(
    r"(?:[$€£({\"'*_\s]|\\[\[(]){0,6}(?:(?P<number>-?[0-9]+(?:[.,][0-9]+)*)|(?P<letter>[a-j])\b|"
    r"(?P<word>yes|no|true|false|ja|nein|oui|non|sí|да|нет)\b|"
    r"(?P<text>\S[^\n]{0,79}))"
)
_END = re.compile(r"[\"\n。]|\.\s|\.?$")  # of a value that is more than a number
_MORE = frozenset("0123456789\\^/*+=[]{}():,")  # after a number: it is the beginning of something longer
_NOISE = " \t\n\"'`$\\{}."
# The model asks itself the next thing: what marks it, behind a part that all of them have.
_GOES_ON = {
    "\nq": ("\nquestion:", "\nq:", "\n\nquestion"), "\nuser:": ("\nuser:",), "\nhuman:": ("\nhuman:",), "|": ("<|",),
}  # fmt: skip
# What takes something back, behind a part that all of the phrases have: most texts have none.
_TAKEN_BACK: dict[str, tuple[str, ...]] = {
    "a mistake": ("made a mistake", "there was a mistake", "seems to be a mistake"),
    "actually, ": ("actually, that", "actually, no"),
    "one of the": ("not one of the", "none of the options", "none of the given"),
    "orre": ("that is incorrect", "this is incorrect", "correction:", "correction :", "korrektur", "correzione",
             "corrección", "correção", "correctie"),
    **{phrase: (phrase,) for phrase in (
        "that is wrong", "scratch that", "contradict", "inconsisten", "not listed", "moment,", "attendez", "espera,",
        "me equivoqué", "aspetta,", "espere,", "me enganei", "wacht,", "подождите", "исправление", "я ошиб", "等等",
        "更正", "我算错", "不对", "訂正", "間違え", "잠깐", "정정",
    )},
}  # fmt: skip
# Of each part the letters that are looked for first, in the text's different words: they are much shorter than it.
_CORES = [(max(re.findall(r"[^\W\d_]+", part), key=len, default=""), part) for part in _TAKEN_BACK]
_PLAIN_CORES = [(core, part) for core, part in _CORES if part.isascii()]
# The same where all of the phrases have a word with spaces or marks on both sides: what words a text has is known.
_TAKEN_BACK_WITH: dict[str, dict[str, tuple[str, ...]]] = {
    "wait": {"wait": (" wait,", "\nwait,", " wait.", " wait -", " wait\u2014")},
    "me": {"let me ": ("let me re-", "let me recheck", "let me recalculate", "let me reconsider", "let me redo",
                       "let me correct", "let me try again")},
    "s": {"let's ": ("let's re-", "let's recheck", "let's recalculate", "let's reconsider", "let's reevaluate",
                     "let's reexamine", "let's redo", "let's correct", "let's try again"),
          "that's ": ("that's not right", "that's wrong")},
    "an": {"an error": ("made an error", "there was an error", "must be an error", "seems to be an error")},
    **{word: {phrase: (phrase,)} for word, phrase in (
        ("not", "that is not right"), ("among", "is not among the"), ("on", "hold on,"), ("for", "apologize for the"),
        ("ist", "das ist falsch"), ("stimmt", "das stimmt nicht"), ("mich", "habe mich verrechnet"),
        ("suis", "je me suis tromp"), ("est", "c'est faux"), ("es", "eso no es correcto"),
        ("sono", "mi sono sbagliat"), ("un", "commesso un errore"), ("um", "cometi um erro"),
        ("klopt", "dat klopt niet"),
    )},
}  # fmt: skip
_WORDS = frozenset(_TAKEN_BACK_WITH)
_PLAIN_CUES = [cue for cue in _CUES if cue.isascii()]
_OPTION = re.compile(r"\n[ \t]{0,8}\(?([A-J])[).:][ \t]{1,4}(\S[^\n]{0,300})(?=\n|\Z)")


class _Final(NamedTuple):
    start: int
    end: int
    value: str  # a number's canonical form, an option's letter, a word, or a text without NOISE
    kind: str


def contradiction(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """The value is the number of announced results that differ from the last, and of things taken back.

    0, 1, ... of the worst choice; None where no choice has text. A yes that becomes a no counts as one.
    """
    worst, detail = -1, ""
    for choice in answer.choices:
        if not choice.text:
            continue
        low, line, finals = _announcing(choice.text)
        others = _others(finals, low)
        taken_back = _taken_back(low, words_of(clipped(choice.text)).lower, line)
        if others + taken_back > worst:
            worst, detail = others + taken_back, f"{others} other results, {taken_back} corrections"
    if worst < 0:
        return Evidence("contradiction", None)
    return Evidence("contradiction", True if worst == 0 else None, detail, float(worst))


def unsupported(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """The value says how far the result is from where its reasoning ends, in [0, 1], in the worst choice.

    A number: 0 the last of the reasoning, 0.3 among the last NEAR, 0.5 anywhere, 1 nowhere. A chosen option: 0 the
    last that the reasoning names (by its text, else by its number), 0.5 where it names another later or none can be
    told, 0.7 where it holds no option's number, 1 where it names another and not this. A text: 0 somewhere, 1 nowhere.
    None where there is no result, no reasoning, or the answer is not complete.
    """
    worst = -1.0
    for choice in answer.choices:
        if not (answer.complete and choice.text):
            continue
        low, _, finals = _announcing(choice.text)
        reasoning = _reasoning(low, finals)
        if not reasoning:
            continue
        last = finals[-1]
        if last.kind == "number":
            worst = max(worst, _number_far(last.value, reasoning))
        elif last.kind == "letter":
            worst = max(worst, _option_far(last.value, reasoning, _options(request)))
        elif last.kind == "text":
            worst = max(worst, 0.0 if last.value in _quiet(reasoning) else 1.0)
    if worst < 0:
        return Evidence("unsupported", None)
    return Evidence("unsupported", True if worst == 0 else None, f"distance {worst:.1f}", worst)


@lru_cache(maxsize=4)
def _announcing(text: str) -> tuple[str, str, list[_Final]]:
    """The text in lower case, where words are looked for first, and announced results.

    Looked for first among the different words of a long text, which are far fewer. Remembered for as long as both
    checks look at it.
    """
    low = _lower(text)
    line = " ".join(words_of(clipped(text)).lower) if len(low) > MANY else low
    return low, line, _finals(low, line)


def _lower(text: str) -> str:
    low = clipped(text).lower().replace("\u2019", "'").replace("\u2212", "-")
    return f" {low}"  # so that a first word has a space too


def _finals(low: str, line: str) -> list[_Final]:
    """The announced results of a text in lower case, in order, at most MOST of a kind; `line` holds all its words."""
    found: dict[int, _Final] = {}
    end = _own_end(low)
    marks = [mark for mark in _MARKS if mark[0] in low]
    for cue in [*marks, *[cue for cue in (_PLAIN_CUES if low.isascii() else _CUES) if cue in line]]:
        at = low.rfind(cue, 0, end)
        for _ in range(MOST):
            if at < 0:
                break
            final = _announced(low, at, at + len(cue), cue in _MARKS)
            if final is not None:
                found.setdefault(final.end, final)  # "answer: \boxed{7}" is announced twice, and is one
            at = low.rfind(cue, 0, at)
    return sorted(found.values())


def _own_end(low: str) -> int:
    """Where the answer to what was asked ends, if the model goes on with questions of its own."""
    marks = [mark for part, marks in _GOES_ON.items() if part in low for mark in marks]
    ends = [at for mark in marks if (at := low.find(mark, OPENING)) >= 0]
    return min(ends, default=len(low))


def _announced(low: str, start: int, end: int, marked: bool) -> _Final | None:
    if not marked:
        verb = _ANNOUNCED.match(low, end)
        if verb is None:
            return None
        end = verb.end()
    match = _VALUE.match(low, end)
    if match is None:
        return None
    kind = match.lastgroup or ""
    if kind == "letter" and not _stands_alone(low, match.end(), match[0]):
        return None
    if kind == "number":
        rest = low[match.end() : match.end() + 40]
        stop = _END.search(rest)
        alone = rest[:1] in {"", "}", '"'} or _MORE.isdisjoint(rest[: stop.start() if stop else 40].rstrip(")]*$\\ "))
        if alone:
            return _Final(start, match.end(kind), canonical(match[kind].lstrip("-"))[0], kind)
        kind = "text"
    if kind == "text":
        at = match.start(match.lastgroup or "")
        stop = _END.search(low, at, at + 80)
        whole = low[at : stop.start() if stop else at + 80]
        result = marked or low[at - 1] in '"`' or len(whole) <= SHORT  # what is longer is a sentence
        value = _quiet(whole)
        return _Final(start, at + len(whole), value, kind) if value and result else None
    return _Final(start, match.end(kind), match[kind], kind)


def _stands_alone(low: str, end: int, matched: str) -> bool:
    """An option's letter, not the article "a" of a longer answer: a mark or the end of the line comes after it."""
    return low[end : end + 1] in {"", "\n", ")", ".", ",", ":", '"', "*", "}", "]"} and "\\" not in matched


def _taken_back(low: str, words: frozenset[str], line: str) -> int:
    """How often a text in lower case takes something back. `words` are its different words; `line` holds them all."""
    cores = _PLAIN_CORES if low.isascii() else _CORES
    phrases = [phrase for core, part in cores if core in line and part in low for phrase in _TAKEN_BACK[part]]
    for word in _WORDS & words:
        for part, behind in _TAKEN_BACK_WITH[word].items():
            if part in low:
                phrases += behind
    return sum(map(low.count, phrases))


def _others(finals: list[_Final], low: str) -> int:
    """How many results differ from the last; where the last is a word, an opening "yes" or "no" is one too."""
    if not finals:
        return 0
    last = finals[-1]
    others = {final.value for final in finals if final.kind == last.kind and final.value != last.value}
    if last.kind == "word" and (opening := re.match(r"[\W_]{0,4}(yes|no)\b", low)):
        others |= {opening[1]} - {last.value}
    return len(others)


def _reasoning(low: str, finals: list[_Final]) -> str:
    """The text before the last result, or after it where the answer comes first; "" where there is hardly any."""
    if not finals:
        return ""
    last = finals[-1]
    before, after = low[: last.start].strip(), low[last.end :].strip()
    if len(before) >= REASONING:
        return before
    return after if len(after) >= REASONING else ""


def _quiet(text: str) -> str:
    """Without NOISE: mark by mark, which takes a tenth of the time of a table where not all is ASCII."""
    for mark in _NOISE:
        text = text.replace(mark, "")
    return text


def _number_far(value: str, reasoning: str) -> float:
    ending = numbers(reasoning[-ENDING:])[1:]  # the first may be half of one
    if ending and value in canonical(ending[-1]):
        return 0.0
    seen = numbers(reasoning)
    if any(value in canonical(number) for number in seen[-1:]):
        return 0.0
    if any(value in canonical(number) for number in seen[-NEAR:]):
        return 0.3
    return 0.5 if any(value in canonical(number) for number in set(seen)) else 1.0


def _options(request: Request) -> dict[str, str]:
    """The options of the newest user turn, as the letter and the text, both in lower case."""
    for message in reversed(request.messages):
        if message.role == "user":
            parts = [message.content] if isinstance(message.content, str) else [
                part.text for part in message.content if isinstance(part, Text)
            ]  # fmt: skip
            listed = _OPTION.findall("\n" + "\n".join(parts)[-PROMPT_TAIL:])
            return {letter.lower(): " ".join(text.lower().split()).rstrip(". ") for letter, text in listed}
    return {}


def _option_far(chosen: str, reasoning: str, options: dict[str, str]) -> float:
    if len(options) < 2 or chosen not in options:
        return 0.0
    places = {letter: reasoning.rfind(text) + len(text) for letter, text in options.items() if text in reasoning}
    if not places:
        return _nearest_far(chosen, reasoning, options)
    if chosen not in places:
        return 1.0
    return 0.0 if places[chosen] == max(places.values()) else 0.5


def _nearest_far(chosen: str, reasoning: str, options: dict[str, str]) -> float:
    """Where options hold one number each, and their texts don't come up: is the chosen one's number there?"""
    named = {}
    for letter, text in options.items():
        found = numbers(text)
        if len(found) != 1:
            return 0.5
        named[letter] = canonical(found[0])
    seen = {form for number in set(numbers(reasoning)) for form in canonical(number)}
    held = {letter for letter, forms in named.items() if not seen.isdisjoint(forms)}
    if chosen in held:
        return 0.0
    return 1.0 if held else 0.7
