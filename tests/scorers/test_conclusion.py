"""The final result that a reader would take from an answer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.conclusion import Conclusion, conclusion

COUNT = "How many apples are left?"
OPTIONS = "Which planet is largest?\nA. Mars\nB. Jupiter\nC. Venus"
CODE = "Complete the assertion.\n[PYTHON]\ndef f(x):\n    return x\nassert f(1) == ??\n[/PYTHON]"
DATE = "What is the date tomorrow in MM/DD/YYYY?"


@pytest.mark.parametrize(
    "text",
    [
        '{"reasoning": "40 + 2", "answer": "42"}',
        '```json\n{"reasoning": "...", "answer": 42}\n```\nThat is all.',
        '{"answer": "$42.00", "reasoning": "as said"}',
        '{\n "reasoning": "\\frac{84}{2} and \\( x \\)",\n "answer": "\\boxed{42}"\n}',
        '{"reasoning": "she said "no" here", "answer": "42"}',
        "{'reasoning': 'x', 'answer': 42}",
        '{"reasoning": "cut", "answer": "42',
        '"reasoning": "x",\n"answer": "42".\n}',
        "So there are 42.\nThe answer is 42.",
        "**Answer:** 42 apples",
        "Final answer: $42$",
        "40 + 2 = <<40+2=42>>42\n#### 42",
        "Answer: First, 40 and 2 make 42.\nans = 42",
        "Thus $x = \\boxed{42}$.",
        "A: 42",
        "The answer is:\n\n42",
        "Die Antwort ist 42.",
        "答案是42。".replace("。", ""),
        "She has 40 and gets 2, so there are 42 apples",
        "apples = 40\nans = apples + 2",
        "```python\ndef solution():\n    return 6 * 7\n```",
        "42",
        "There are 42 apples left.",
    ],
)
def test_the_same_result_in_every_form(text: str) -> None:
    """JSON whole and broken, LaTeX, programs, and words that announce a result."""
    assert conclusion(text, COUNT) == Conclusion("number", "42")


@pytest.mark.parametrize(
    "text",
    [
        "The answer is (B).",
        "B",
        "(B) Jupiter",
        "B. Jupiter",
        "Answer: B",
        "It is the gas giant. Option B is right because it is large.",
        "**B**",
        '{"answer": "B"}',
        "The answer is Jupiter.",
        "Mars is small, so it can't be (A). It must be (B)",
        "\\boxed{\\text{B}}",
    ],
)
def test_a_choice_is_its_letter(text: str) -> None:
    """However a choice is told, also by the option's own words."""
    assert conclusion(text, OPTIONS) == Conclusion("choice", "B")


def test_several_choices_are_no_single_one() -> None:
    """An answer that hedges between options comes to both of them."""
    assert conclusion("The answer is (A) or (B).", OPTIONS) == Conclusion("choice", "A,B")
    assert conclusion("The answer is (B) and (A).", OPTIONS) == Conclusion("choice", "A,B")
    assert conclusion("I do not know any planets.", OPTIONS) is None


LARGE = "is by far the largest of the eight planets, by mass and by volume alike."


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (A).\nWait, Mars is small. The answer is (B).", "B"),
        ("The answer is (A)\nThe answer is (C)\nThe answer is (B)", "B"),
        (f"Jupiter {LARGE} The answer is (B).\n\nNow, combining all the answers:\nThe answer is (C).", "B"),
        (f"Mars {LARGE} The answer is (A).\n\nActually, that is wrong. The answer is (B).", "B"),
        (f"Mars {LARGE} The answer is (A).\n\n{LARGE * 2} The answer is (B).", "B"),
        ("The answer is (B).\n\nQuestion: Which is smallest?\nThe answer is (A).", "B"),
    ],
)
def test_the_last_result_counts_unless_the_model_runs_on(text: str, letter: str) -> None:
    """A correction replaces what was said before; more questions, or a list of results, do not."""
    assert conclusion(text, OPTIONS) == Conclusion("choice", letter)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('{"answer": "\'abc\'"}', '{"answer": "abc"}'),
        ('{"answer": "\\"abc\\""}', '{"answer": "\'abc\'"}'),
        ('{"answer": "[1,2, \'x\']"}', '{"answer": [1, 2, "x"]}'),
        ("{\"answer\": \"{'b': 1, 'a': None}\"}", '{"answer": {"a": null, "b": 1.0}}'),
        ('{"answer": "(1, 2)"}', '{"answer": "( 1,2 )"}'),
        ('{"answer": "a\\\\nb"}', '{"answer": "\'a\\\\nb\'"}'),
        ('{"answer": "assert f(1) == [7]"}', '{"answer": "[7]"}'),
        ('{"answer": "True"}', '{"answer": true}'),
    ],
)
def test_literals_of_code_are_compared_by_value(left: str, right: str) -> None:
    """Quotes, spacing and key order do not count."""
    found = conclusion(left, CODE)
    assert found is not None
    assert found == conclusion(right, CODE)


@pytest.mark.parametrize(
    ("left", "right"),
    [("'Abc'", "'abc'"), ("'a '", "'a'"), ("[1, 2]", "(1, 2)"), ("[1, 2]", "[2, 1]"), ("'007'", "7"), ("1", "True")],
)
def test_what_code_tells_apart_stays_apart(left: str, right: str) -> None:
    """Case, spaces in a text, kinds and order count where code was asked for."""
    assert conclusion(f"The answer is {left}", CODE) != conclusion(f"The answer is {right}", CODE)


def test_json_is_its_values_without_its_reasons() -> None:
    """Key order, number forms, case and explanations do not count; other values do."""
    first = conclusion('{"label": "Spam", "score": 1.0, "explanation": "links"}')
    second = conclusion('```json\n{"score": 1, "label": "spam", "reasoning": "urgent tone"}\n```')
    assert first == second == Conclusion("json", "{'label':'spam','score':1}")
    assert conclusion('{"label": "ham", "score": 1}') != first
    assert conclusion('{"reasoning": "a long story"}') is None
    assert conclusion('{"answer": null}') is None
    assert conclusion("{}") == Conclusion("json", "{}")
    assert conclusion('{"category": "billing"}') == conclusion("Billing")


def test_dates_are_days() -> None:
    """In the order that the prompt names; without one only what can be read in one way."""
    assert conclusion("A: 05/01/2021", DATE) == conclusion("Tomorrow is May 1, 2021.\nAnswer: 2021-05-01", DATE)
    assert conclusion("So the date tomorrow is 05/01/2021.", DATE) == Conclusion("text", "2021-05-01")
    assert conclusion("05/01/2021") != conclusion("2021-05-01")
    assert conclusion("31/01/2021") == conclusion("2021-01-31")


def test_yes_and_no() -> None:
    """As the whole result, or as the first word where the prompt asks for one of them."""
    assert conclusion("Answer: yes") == conclusion("True") == Conclusion("boolean", "true")
    long = "No, the steps do not lead back to where they began.\nThe path ends three steps further north."
    assert conclusion(long, "Is it a round trip? Answer yes or no.") == Conclusion("boolean", "false")
    assert conclusion("Yes, you can send it back within thirty days.\nKeep the receipt.", "Can I return it?") is None


def test_short_texts_and_open_ones() -> None:
    """A short answer is a result in plain words; an open text has none."""
    assert conclusion("The Eiffel Tower.") == conclusion("eiffel tower") == Conclusion("text", "eiffel tower")
    assert conclusion("Therefore it is so.\nAnswer: more likely") == Conclusion("text", "more likely")
    assert conclusion("You can return it within thirty days.\n\nWe need the receipt, and the box it came in.") is None
    assert conclusion("") is None
    assert conclusion("  \n ") is None


def test_a_program_that_cannot_be_worked_out_has_no_result() -> None:
    """What it assigns is not what it comes to."""
    assert conclusion("from sympy import solve\nx = symbols('x')\nans = solve(x - 5, x)[0] + 3", COUNT) is None


def test_the_end_of_a_long_answer_is_read() -> None:
    """A result after very much text is found."""
    assert conclusion("word " * 20_000 + "\nThe answer is 7.", COUNT) == Conclusion("number", "7")


PIECES = [
    "answer",
    ":",
    '"',
    "{",
    "}",
    "\\boxed{",
    "(B)",
    "1,000",
    "\\frac{",
    "```json\n",
    "\n",
    " ",
    "ans = ",
    "[",
    "/",
]


@given(
    st.text(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.sampled_from(["", COUNT, OPTIONS, CODE, DATE]),
)
@settings(max_examples=200, deadline=None)
def test_no_text_raises(text: str, hint: str) -> None:
    """Any answer to any prompt has a conclusion or none, and the same one each time."""
    assert conclusion(text, hint) == conclusion(text, hint)


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(["The answer is {}.", '{{"answer": "{}"}}', "\\boxed{{{}}}", "ans = {}"]),
)
@settings(max_examples=100, deadline=None)
def test_numbers_survive_their_form(value: int, form: str) -> None:
    """A number with or without separators has one key in every form."""
    assert conclusion(form.format(f"{value:,}"), COUNT) == Conclusion("number", str(value))
    assert conclusion(form.format(value), COUNT) == Conclusion("number", str(value))


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "unit",
    [
        "the answer is ",
        '"answer": "',
        "\\n",
        "\n",
        " \n",
        "{",
        "[",
        "\\boxed{",
        "ans = (",
        "answer **",
        "Question 1:\n",
        "9,",
    ],
)
def test_time_is_linear(unit: str) -> None:
    """No text of 16,000 characters takes long, whatever it repeats."""
    text = ('{"answer": "' if unit == "\\n" else "") + unit * (16_000 // len(unit))
    start = time.thread_time()
    for hint in (COUNT, OPTIONS, text):
        conclusion(text, hint)
    assert time.thread_time() - start < 0.3
