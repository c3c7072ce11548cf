# ruff: noqa: RUF001 - the words of other scripts are meant
"""The checks of `contradiction`: an answer against itself, and against its own reasoning."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.contradiction import contradiction, unsupported
from tierwise.types import Answer, Image, Message, Request, Text

OPTIONS = "Which is a prime?\nA. four\nB. seven\nC. eight\nD. nine"
NUMERIC = "How much?\n(A) 12.5 J\n(B) 25 J\n(C) 1,000 J"
WHY = "We look at each of the options one by one and exclude what has a divisor."


def chosen(text: str, prompt: str = OPTIONS) -> float | None:
    asked = Request(id="r", asked="s", messages=(Message("user", prompt),))
    return unsupported(asked, answer(text), CHECKS).value


def count(text: str) -> float | None:
    return contradiction(request(), answer(text), CHECKS).value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The answer is 12. Checking again, the answer is 14.", 1),
        ("The answer is 12.\nSo, the answer is 12.0.", 0),
        ("Answer: A\nBut C fits better.\nAnswer: C", 1),
        ("**Answer:** (B)\n\nThe answer is (B).", 0),
        ("The answer is \\boxed{7}, so the final answer is 7.", 0),
        ("\\boxed{7} or rather \\boxed{8}", 1),
        ("#### 5\n#### 6", 1),
        ("The answer is yes. After all that, the answer is no.", 1),
        ("Yes, that works. But the divisor shows: the answer is no.", 1),
        ("No. It is odd. The answer is no.", 0),
        ("Die Antwort lautet 3. Die Antwort ist 4.", 1),
        ("La réponse est 3. La réponse est 4.", 1),
        ("La respuesta es 3. La respuesta es 3.", 0),
        ("答案是：3。答案是：4", 1),
        ('{"answer": "[1, 2]"} and then {"answer": "[1, 3]"}', 1),
        ("The answer is a matter of taste. The answer is 4.", 0),
        ("This answer to the question was long, and no result.", 0),
        ("The answer is 4.\n\nQuestion: how many?\nThe answer is 9.", 0),
        ("It is 4. Wait, that can't be. Let me recheck: it is 5.", 2),
        ("That is 30 km. Actually, that's wrong: it is 20.", 2),
        ("I await, as always, your letter.", 0),
        ("Das ist 5. Das ist falsch, es sind 6.", 1),
        ("C'est faux, je me suis trompé.", 2),
        ("Это 5. Подождите, я ошибся.", 2),
        ("是5。不对，是6。", 1),
        ("Hold on, that is not right. There must be an error; I apologize for the slip.", 4),
        ("That\u2019s wrong, and this is incorrect. Correction: none of the options, B is not among them.", 5),
        ("An error is not listed among those, and that's that; let's go on, let me know.", 1),
        ("Dat klopt niet. Je me suis trompé. Eso no es correcto. Korrektur: 5.", 4),
    ],
)
def test_contradictions_are_counted(text: str, found: int) -> None:
    """Results that differ from the last one and corrections, in several languages; repeats and other uses are none."""
    evidence = contradiction(request(), answer(text), CHECKS)
    assert (evidence.value, evidence.passed) == (found, None if found else True)


@pytest.mark.parametrize(
    ("text", "far"),
    [
        ("Three boxes of five are 15 apples, and 4 are eaten, leaving 11.\n#### 11", 0.0),
        ("Three boxes of five are 15 apples, so 11 are left of the 15 then.\n#### 11", 0.3),
        ("Eleven or 11 it is, not 2, 3, 4, 5, 6, 7 or 8 apples in the box.\n#### 11", 0.5),
        ("Three boxes of five are 15 apples, and 4 are eaten, leaving 11.\n#### 12", 1.0),
        ('{"reasoning": "3 times 5 is 15, and from these 4 are eaten", "answer": "11"}', 1.0),
        ('{"reasoning": "The sum of both is 1,100 in total, as computed", "answer": 1100}', 0.0),
        ('{"reasoning": "The list is reversed, which gives [2, 1] as output", "answer": "[2, 1]"}', 0.0),
        ('{"reasoning": "The list is reversed, which gives [2, 1] as output", "answer": "[1, 2]"}', 1.0),
        ('{"reasoning": "The list is reversed, which gives [2,1] then", "answer": "[2, \'1\']"}', 0.0),
        ("Answer: 12\n\nThree boxes of five are 15, and 3 were eaten, so 12 are left.", 0.0),
        ("We compute the ratio of both, which is \\frac{3}{4} of it. The answer is \\boxed{3/5}.", 1.0),
    ],
)
def test_a_result_is_held_against_its_reasoning(text: str, far: float) -> None:
    """The value grows with the distance between the result and where the reasoning ends."""
    evidence = unsupported(request(), answer(text), CHECKS)
    assert (evidence.value, evidence.passed) == (far, None if far else True)


def test_a_chosen_option_is_held_against_the_options() -> None:
    """The option that the reasoning names last is chosen, or another one, or one it never named."""
    assert chosen(f"{WHY} That leaves seven. The answer is (B).") == 0.0
    assert chosen(f"{WHY} Not seven, but nine. The answer is (B).") == 0.5
    assert chosen(f"{WHY} That leaves nine. The answer is (B).") == 1.0
    assert chosen(f"{WHY} The answer is (B).") == 0.5
    assert chosen(f"{WHY} The answer is (B).", "No options here.") == 0.0


def test_options_with_numbers_are_compared_by_them() -> None:
    """Without the option's words, its number must come up in the reasoning."""
    assert chosen(f"{WHY} E = 25.0 joules. The answer is (B).", NUMERIC) == 0.0
    assert chosen(f"{WHY} E = 1000 joules. The answer is (B).", NUMERIC) == 1.0
    assert chosen(f"{WHY} E = 17 joules. The answer is (B).", NUMERIC) == 0.7


def test_options_may_come_in_parts() -> None:
    """The newest user turn is read, with all of its texts."""
    parts = (Text("Which?\nA. four"), Image("https://example.com/a.png"), Text("B. seven"))
    messages = (Message("user", "A. x\nB. y"), Message("user", parts), Message("assistant", "Hm."))
    asked = Request(id="r", asked="s", messages=messages)
    assert unsupported(asked, answer(f"{WHY} It is four. The answer is (B)."), CHECKS).value == 1.0
    nobody = Request(id="r", asked="s", messages=())
    assert unsupported(nobody, answer(f"{WHY} It is four. The answer is (B)."), CHECKS).value == 0.0


def test_nothing_to_look_at() -> None:
    """No text, no announced result, no reasoning, or half an answer: no finding."""
    assert contradiction(request(), answer(""), CHECKS).value is None
    assert contradiction(request(), Answer("cheap", ()), CHECKS).value is None
    for text in ("", "Your card ships tomorrow, as I said, and that is all.", "The answer is 7."):
        assert unsupported(request(), answer(text), CHECKS).value is None
    half = answer(f"{WHY} The answer is 7.", complete=False)
    assert unsupported(request(), half, CHECKS).value is None
    assert unsupported(request(), answer(f"{WHY} The answer is yes."), CHECKS).value is None


def test_the_worst_choice_counts() -> None:
    """Every choice is looked at, and the detail quotes nothing."""
    found = contradiction(request(), answer("The answer is 7.", "Wait, no. Wait, yes.", "Hello"), CHECKS)
    assert (found.value, found.detail) == (2.0, "0 other results, 2 corrections")
    fine, bad = f"{WHY} It is 7. The answer is 7.", f"{WHY} It is 8. The answer is 7."
    assert unsupported(request(), answer(fine, bad, fine), CHECKS).value == 1.0


def test_the_end_of_a_long_answer_is_read() -> None:
    """Of a text beyond the limit, head and tail count."""
    assert count("The answer is 7." + " and so on" * 3000 + " The answer is 8.") == 1
    assert count("x" * 13_000 + " The answer is 7. " + "y" * 9_000 + " The answer is 8.") == 0


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "unit",
    [
        "answer",
        "answer: ",
        "the answer is 7. ",
        "#",
        "\\boxed{",
        "wait ",
        '"',
        "A",
        "7",
        "7 ",
        "```",
        " ",
        "x",
        "\n",
        "é",
    ],
)
def test_time_is_bounded(unit: str) -> None:
    """Whatever the text consists of, 16,000 characters or more of it take little."""
    draft = answer(unit * (30_000 // len(unit)) + " the answer is (b)")
    asked = Request(id="r", asked="s", messages=(Message("user", "A. x\n" * 4000),))
    began = thread_time()
    contradiction(asked, draft, CHECKS)
    unsupported(asked, draft, CHECKS)
    assert thread_time() - began < 0.05


@given(st.text(max_size=300))
@settings(max_examples=80, deadline=None)
def test_any_text_has_a_value_in_range(text: str) -> None:
    """Counts are whole and not negative, distances in [0, 1], and neither fails an answer."""
    found = contradiction(request(), answer(text), CHECKS)
    assert found.value is None or (found.value >= 0 and found.value == int(found.value))
    far = unsupported(request(), answer(f"{WHY} {text} The answer is {text}"), CHECKS)
    assert far.value is None or 0.0 <= far.value <= 1.0
    assert False not in (found.passed, far.passed)


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_number_that_the_reasoning_ends_in_is_supported(number: int) -> None:
    """However it is grouped, the last number of the reasoning supports the same result."""
    assert unsupported(request(), answer(f"{WHY} It makes {number:,}.\nAnswer: {number}"), CHECKS).value == 0.0
