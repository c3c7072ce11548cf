"""What texts, requests and answers look like as numbers: how many, which may be missing, and how long it takes."""

from __future__ import annotations

import re
from math import isfinite, isnan, log1p
from time import thread_time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conformance import scorer as conformance
from tierwise.scorers.features import (
    ANSWER_NAMES,
    REQUEST_NAMES,
    TEXT_NAMES,
    answer_features,
    canonical,
    prompt_of,
    prompt_words,
    request_features,
    said_by,
    text_features,
    words_of,
)
from tierwise.scorers.reading import HEAD, TAIL, clipped
from tierwise.types import Answer, Choice, Image, Message, Request, Text, Tool, ToolCall

MAX_SECONDS = 0.02  # of CPU for a text of any length; ten times what is promised
WITHOUT_WORDS = {"word_length", "distinct_words"}
WITHOUT_OPTIONS = {"option_length", "options_numeric"}
WITHOUT_OTHERS = {"options_alike", "options_begin"}  # one option is like no other
WITHOUT_ANSWER = {"answer_finish", "answer_overlap", "call_arguments", "call_argument_chars"}
MIXED = st.text(st.sampled_from("abcXYZ notné²½٣中 \n\t.,!?:;'\"()[]{}+-*/=<>%$\\`|#_019“”√•"), max_size=300)


def asked(*contents: str, **fields: Any) -> Request:
    return Request(id="r", asked="s", messages=tuple(Message("user", text) for text in contents), **fields)


def said(text: str = "", **fields: Any) -> Answer:
    return Answer("cheap", (Choice(text, **fields),))


def text_named(text: str) -> dict[str, float]:
    return dict(zip(TEXT_NAMES, text_features(text), strict=True))


def request_named(request: Request) -> dict[str, float]:
    return dict(zip(REQUEST_NAMES, request_features(request), strict=True))


def answer_named(request: Request, answer: Answer) -> dict[str, float]:
    return dict(zip(ANSWER_NAMES, answer_features(request, answer), strict=True))


def missing(named: dict[str, float]) -> set[str]:
    return {name for name, value in named.items() if isnan(value)}


# ------------------------------------------------------------------ how many numbers, and which may be missing


def test_names_are_told_apart() -> None:
    """No name twice, of a request and its answer together."""
    names = (*REQUEST_NAMES, *ANSWER_NAMES)
    assert len(set(names)) == len(names)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | MIXED)
def test_any_text_has_a_number_for_each_name(text: str) -> None:
    """Finite ones; missing are only those of words, where there are none."""
    named = text_named(text)
    assert missing(named) == (set() if re.search(r"[^\W\d_]", text) else WITHOUT_WORDS)
    assert all(isfinite(value) and value >= 0 for value in named.values() if not isnan(value))


@settings(max_examples=100, deadline=None)
@given(conformance.REQUESTS, conformance.ANSWERS)
def test_any_request_and_answer_has_a_number_for_each_name(request: Request, answer: Answer) -> None:
    """Missing are only those of words, options, calls and finish reasons that are not there."""
    of_request, of_answer = request_named(request), answer_named(request, answer)
    assert missing(of_request) <= {f"prompt_{name}" for name in WITHOUT_WORDS} | WITHOUT_OPTIONS | WITHOUT_OTHERS
    assert missing(of_answer) <= {f"answer_{name}" for name in WITHOUT_WORDS} | WITHOUT_ANSWER
    assert all(map(isfinite, (value for value in of_answer.values() if not isnan(value))))


def test_an_answer_without_a_choice_is_an_empty_one() -> None:
    """All that is left are lengths of nothing."""
    named = answer_named(asked("What?"), Answer("cheap", ()))
    assert named["answer_empty"] == 1.0
    assert missing(named) == {f"answer_{name}" for name in WITHOUT_WORDS} | WITHOUT_ANSWER


# ------------------------------------------------------------------ what they count


def test_counts_of_a_text() -> None:
    """Marks are a hundred characters' worth, counts are logarithms of 1 + n."""
    text = "Is it 3 + 4 = 7?\n- Not 1,234.5; no!\n- **Yes** (`x`), \\frac | “so”"
    named = text_named(text)
    often = 100 / (len(text) + 20)
    assert named["chars"] == log1p(len(text))
    assert named["words"] == log1p(len(["Is", "it", "Not", "no", "Yes", "x", "frac", "so"]))
    assert named["lines"] == named["negations"] == named["bullets"] == named["bold"] == log1p(2)
    assert named["numbers"] == log1p(4)
    assert named["digits"] == log1p(often * 8)
    assert named["upper"] == log1p(often * 3)
    assert named["operators"] == log1p(often * (2 + 2 + 4))  # the marks of lists and bold type are operators too
    assert named["equals"] == named["questions"] == named["exclaims"] == named["latex"] == named["tables"] == log1p(1)
    assert named["brackets"] == log1p(often)
    assert named["quotes"] == log1p(often)
    assert named["foreign"] == log1p(often * 2)
    assert named["code"] == log1p(2)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | MIXED)
def test_words_are_runs_of_letters(text: str) -> None:
    """However a text is read, its words are those that a pattern finds, and so are its negations."""
    found = re.findall(r"[^\W\d_]+", text)
    words = words_of(text)
    assert (words.number, words.letters, words.distinct) == (len(found), sum(map(len, found)), len(set(found)))
    assert words.lower == set(re.findall(r"[^\W\d_]+", text.lower()))
    negation = r"\b(?:not|no|never|none|nor|except|without|false|incorrect|least|n't)\b"
    assert words.negations == len(re.findall(negation, text, re.IGNORECASE))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("not not not", 3),
        ("Not not, no no no; nothing, not_ not1", 5),
        ("do n't, don't", 1),
        ("caf\u00e9: not not", 2),
        ("caf\u00e9 has none", 1),
        ("caf\u00e9 do n't, DO N'T", 2),
        ("caf\u00e9", 0),
        ("fal\u017fe, \u0131ncorrect", 2),
    ],
)
def test_negations_stand_alone(text: str, count: int) -> None:
    """One after the other too, and in whatever letters."""
    assert words_of(text).negations == count


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | MIXED)
@example("\u039f\u0394\u039f\u03a3'\u0391 \u0130I")
@example("A\u2014B `c`\u2019s")
def test_a_prompt_has_its_words(text: str) -> None:
    """What is remembered of its canonical form is what the prompt itself has."""
    assert prompt_words(text) == words_of(text).lower


SENTENCE = r"[.!?\u3002\uff01\uff1f\n](?:(?<=[.!?])[\s\"')\]]|(?<=[\u3002\uff01\uff1f\n])\s*)"


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1..!?\n\n \t\r\x1c)],\"'3\u0663"), max_size=60) | MIXED)
@example("a.\n \nb. \n\n")
def test_sentences_and_numbers_are_what_patterns_find(text: str) -> None:
    """A mark and what closes it, or a line, ends a sentence; digits that a point or a comma joins are one number."""
    named = text_named(text)
    assert named["sentences"] == log1p(len(re.findall(SENTENCE, text)) + 1)
    assert named["numbers"] == log1p(len(re.findall(r"\d+(?:[.,]\d+)*", text)))


@pytest.mark.parametrize(
    ("prompt", "count", "numeric"),
    [
        ("Which?\nA) 3\nB) four\n(C) 5 km\nD. six", 4, 0.5),
        ("A. only", 1, 0.0),
        ("Which?\nA 3\nB four\nab) c", 0, None),
    ],
    ids=["lettered", "one", "none"],
)
def test_options_are_lettered_lines(prompt: str, count: int, numeric: float | None) -> None:
    """How many there are, and which share begins or ends with a digit."""
    named = request_named(asked(prompt))
    assert named["options"] == log1p(count)
    assert missing(named) & WITHOUT_OPTIONS == (WITHOUT_OPTIONS if numeric is None else set())
    assert missing(named) & WITHOUT_OTHERS == (WITHOUT_OTHERS if count < 2 else set())
    if numeric is not None:
        assert named["options_numeric"] == numeric


@pytest.mark.parametrize(
    ("options", "alike", "begin"),
    [
        (("red", "blue", "green"), 0.0, 1.0),
        (("Red", "red", "RED"), 1.0, 1 / 3),
        (("the red fox", "the red hen", "a cow"), 4 / 8 / 2, 2 / 3),
    ],
    ids=["different", "the same", "partly"],
)
def test_options_that_are_alike(options: tuple[str, ...], alike: float, begin: float) -> None:
    """By the words that they share, and by those that they begin with; case does not count."""
    lines = [f"{letter}. {text}" for letter, text in zip("ABC", options, strict=True)]
    named = request_named(asked("\n".join(["Which?", *lines])))
    assert [named["options_alike"], named["options_begin"]] == pytest.approx([alike, begin])


@pytest.mark.parametrize(
    "variant",
    [
        "WHICH OF 'THESE' IS RED?\nA) BLOOD\nB) GRASS",
        "  Which  of 'these'\tis red? \r\n\n A)  Blood\n  B) Grass\n",
        "Which of \u2018these\u2019 is red?\nA) Blood\nB) Grass",
        "Which of `these` is red?\nA) Blood\nB) Grass",
    ],
    ids=["case", "spacing", "typographic quotes", "backticks"],
)
def test_what_must_not_change_where_a_prompt_is_sent(variant: str) -> None:
    """A request asks the same in capitals, with other white space and other quotes."""
    assert str(request_named(asked(variant))) == str(
        request_named(asked("Which of 'these' is red?\nA) Blood\nB) Grass"))
    )


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | MIXED)
def test_a_canonical_prompt_stays_as_it_is(text: str) -> None:
    """And has no white space but single spaces and line breaks between words."""
    once = canonical(text)
    assert canonical(once) == once
    assert not re.search(r"[^\S\n ]|\s\s|^\s|\s$", once)


def test_the_structure_of_a_request() -> None:
    """Turns, the system's words, tools, a form, pictures; and whether it begins with what it asks."""
    content = (Text("How is this?"), Image("https://a.example/b.png"), Image("https://a.example/c.png"))
    messages = (
        Message("system", "Be kind."),
        Message("user", "Hi"),
        Message("assistant", "Hi"),
        Message("user", content),
    )
    named = request_named(Request(id="r", asked="s", messages=messages, tools=(Tool("now"),), json_answer=True))
    assert named["turns"] == log1p(3)
    assert named["system_chars"] == log1p(len("Be kind."))
    assert named["tools"] == log1p(1)
    assert named["schema"] == 1.0
    assert named["images"] == log1p(2)
    assert named["task_first"] == 0.0
    assert request_named(asked("How is this?"))["task_first"] == 1.0


def test_the_prompt_is_what_users_say() -> None:
    """All their turns, the newest last, text parts only; a long one by its head and its tail."""
    messages = (
        Message("user", "a"),
        Message("assistant", "b"),
        Message("user", (Text("c"), Image("https://x.example"))),
    )
    assert prompt_of(Request(id="r", asked="s", messages=messages)) == "a\nc"
    long = "x" * HEAD + "y" * 10 + "z" * TAIL
    assert prompt_of(asked(long)) == clipped(long) == f"{'x' * HEAD}\n{'z' * TAIL}"
    assert prompt_of(asked("x" * (HEAD + TAIL))) == "x" * (HEAD + TAIL)


def test_calls_are_written_out() -> None:
    """What an answer says is its text and its calls, and how much they hold is counted."""
    calls = (ToolCall("1", "weather", '{"city": "Bonn", "day": 1}'), ToolCall("2", "now", "{}"))
    answer = said("So:", tool_calls=calls, finish="tool_calls", reasoning="Hm.")
    assert said_by(answer) == 'So:\nweather({"city": "Bonn", "day": 1})\nnow({})'
    named = answer_named(asked("Bonn?"), answer)
    assert named["calls"] == named["call_arguments"] == log1p(2)
    assert named["call_argument_chars"] == log1p(sum(len(call.arguments) for call in calls))
    assert named["reasoning_chars"] == log1p(3)
    assert named["answer_finish"] == 0.0


def test_an_answer_against_its_prompt() -> None:
    """Lengths in proportion, and which share of the answer's longer words the prompt has."""
    named = answer_named(asked("Where is my CARD now?"), said("Your card is late", finish="length"))
    assert named["answer_overlap"] == pytest.approx(1 / 3)  # card; your and late are not in it
    assert named["answer_to_prompt"] == log1p(17) - log1p(21)
    assert named["answer_finish"] == 1.0
    assert answer_named(asked("Hm"), said('{"a": 1}'))["answer_json"] == 1.0
    assert answer_named(asked("Hm"), said("```json\n{}\n```"))["answer_json"] == 1.0


def test_a_prompt_is_told_the_same_again() -> None:
    """What is remembered of a prompt is not changed by the request around it."""
    plain, formed = request_named(asked("Which one?")), request_named(asked("Which one?", json_answer=True))
    assert formed.pop("schema") == 1.0
    assert plain.pop("schema") == 0.0
    assert str(plain) == str(formed)


# ------------------------------------------------------------------ how long it takes

NASTY = ["not n't ", "- ", "\n", "A) 1\n", "1,1.", ". ", "é²", "“", "x" * 97 + " ", "1" * 31 + ",", "\\$`|", "中"]


@pytest.mark.unmeasured
@pytest.mark.parametrize("size", [16_000, 1_000_000])
@pytest.mark.parametrize("unit", NASTY)
def test_any_length_takes_bounded_time(unit: str, size: int) -> None:
    """Of a longer text the head and the tail are read, and nothing in them makes it slow."""
    text = unit * (size // len(unit))
    spent = []
    for turn in "abc":  # what was read a moment ago is remembered
        request, answer = asked(turn + text), said(turn + text)
        began = thread_time()
        request_features(request)
        answer_features(request, answer)
        spent.append(thread_time() - began)
    assert min(spent) <= MAX_SECONDS
