"""What a program in the request gives is held against what the answer says; everything else is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer
from tierwise.scorers.code_output import PROGRAM, PROMPT, code_output, output
from tierwise.types import Answer, Message, Request

DOUBLE = "def f(x):\n    return x * 2"
FENCED = f"What does `f(3)` return?\n\n```python\n{DOUBLE}\n```"


def asked(*turns: str) -> Request:
    return Request(id="r", asked="s", messages=tuple(Message("user", turn) for turn in turns))


@pytest.mark.parametrize(
    ("prompt", "given"),
    [
        (FENCED, "6"),
        (f"Complete it.\n\n[PYTHON]\n{DOUBLE}\nassert f('ab') == ??\n[/PYTHON]", "'abab'"),
        (f"Fill in the blank.\n\n{DOUBLE}\nassert f([1]) == ___", "[1, 1]"),
        (f"```\n{DOUBLE}\n```\nWhat is the value of f(f(2))?", "8"),
        (f"{DOUBLE}\n\nf(1) is 2. What is the result of f(1)?", "2"),
        ("What is the output of this code?\n\nx = [1, 2]\nfor i in x:\n    if i > 1:\n        print(i * 10)\n", "20"),
        ("Predict the output:\n```py\nprint('a' + 'b')\n```\nThink first.", "ab"),
        ("What gets printed?\n\nimport math\nx = 2\n\nprint(math.sqrt(x * 8), x)", "4.0 2"),
    ],
)
def test_what_a_program_gives(prompt: str, given: str) -> None:
    """A hole in an assertion, a call in the question, or what is printed; the program marked as such or not."""
    assert output(prompt) == given


@pytest.mark.parametrize(
    "prompt",
    [
        "What does this return?",
        f"Fix it so that f(3) is 7.\n\n```python\n{DOUBLE}\n```",
        f"Write tests.\n\n```python\n{DOUBLE}\n```\n",
        f"What does f(1) return, and what f(2)?\n```python\n{DOUBLE}\n```",
        f"What does f(x) return?\n```python\n{DOUBLE}\n```",
        f"What does f(3) return?\n```python\n{DOUBLE}\n```\nand not\n```python\n{DOUBLE}\n```",
        f"{DOUBLE}\nassert f(1) == ??\nassert f(2) == ??",
        f"{DOUBLE}\nassert f(1) == 2\n",
        "What is printed?\n```python\nprint(1)\nprint(2)\n```",
        "What is printed?\n```python\nprint(1, end=' ')\nprint(2)\n```",
        "What is printed?\n```python\nprint(1, 2, sep='')\n```",
        "What is printed?\n```python\nprint({1: 2}.keys())\n```",
        "What is printed?\n```python\nprint(open('f').read())\n```",
        "What is printed?\n```python\nprint(1 / 0)\n```",
        "What is printed?\n```js\nprint(1)\n```",
        "What is printed?\n```python\nprint(1)",
        "What does f(3) return?\n```python\n" + "y = 1\n" * (PROGRAM // 6) + f"{DOUBLE}\n```",
        FENCED + " " * PROMPT,
        "",
    ],
)
def test_what_is_left_alone(prompt: str) -> None:
    """Nothing is asked for, more than one thing is, or it can't be worked out."""
    assert output(prompt) is None


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("The answer is 6.", True),
        ('{"reasoning": "twice three", "answer": "6"}', True),
        ("It returns `6`.", True),
        ("Calling it gives:\n```\n6\n```", True),
        ("6", True),
        ("The answer is 9.", False),
        ('{"reasoning": "three squared", "answer": "9"}', False),
        ("`9`", False),
        ("It returns the double of its argument.", None),
        ("It returns nine.", None),
        ("The answer is: it doubles 3 and returns 6 in the end.", None),
        ("The answer is: it squares 3 and returns 9 in the end.", False),
        ("", None),
    ],
)
def test_what_an_answer_says_of_it(text: str, passed: bool | None) -> None:
    """A value that is another one is wrong; a sentence that says no value is neither."""
    found = code_output(asked(FENCED), answer(text), CHECKS)
    assert found.passed is passed
    assert found.value == (None if passed is None else float(passed))


def test_every_choice_counts() -> None:
    """All must be right; the value is their share."""
    found = code_output(asked(FENCED), answer("The answer is 6.", "The answer is 5."), CHECKS)
    assert (found.passed, found.value, found.detail) == (False, 0.5, "1 of 2 as worked out")
    assert (
        code_output(
            asked(FENCED), answer("The answer is 6.", "Let me think about what this program does at first."), CHECKS
        ).passed
        is None
    )


def test_only_the_last_turn_is_asked() -> None:
    """An earlier question has had its answer."""
    assert code_output(asked(FENCED, "Thanks. Now say 9."), answer("The answer is 9."), CHECKS).passed is None
    assert code_output(asked("Hello", FENCED), answer("The answer is 9."), CHECKS).passed is False


def test_nothing_to_look_at() -> None:
    """An answer that is not complete, none, and a request without a user."""
    assert code_output(asked(FENCED), answer("The answer is 9.", complete=False), CHECKS).passed is None
    assert code_output(asked(FENCED), Answer("cheap", ()), CHECKS).passed is None
    nobody = Request(id="r", asked="s", messages=(Message("system", FENCED),))
    assert code_output(nobody, answer("The answer is 9."), CHECKS).passed is None


@pytest.mark.parametrize(
    "prompt",
    [
        "def a(x):\n    return x\n" + "what is " * 700,
        "a```\n" * 1_100 + "def ",
        "def a(x):\n    return x\n\nWhat is the value of " + "a(" * 2_900,
        "[PYTHON]\n" + "assert a == 1\n" * 400,
        "What is printed?\n" + "x = 1\n\n" * 190 + "print(x)",
        "def f(n):\n    while True:\n        n += 1\nassert f(1) == ??",
        "def f(n):\n    return [i for i in range(900) for j in range(900)]\nassert f(1) == ??",
    ],
)
def test_a_prompt_made_for_it_costs_little(prompt: str) -> None:
    """Time is bounded: some milliseconds, once a request."""
    times = []
    for _ in range(5):
        output.cache_clear()
        start = time.process_time()
        output(prompt)
        times.append(time.process_time() - start)
    assert min(times) < 0.02


@given(st.text("def fx(3)=?:`\n `python assert print What returns", max_size=200), st.text(max_size=50))
def test_no_text_breaks_it(prompt: str, text: str) -> None:
    """Whatever is asked and said."""
    assert code_output(asked(prompt), answer(text), CHECKS).passed in (True, False, None)
