"""The check `arithmetic`: which written sums are wrong, and which are left alone."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.arithmetic import FEW_MISSES, MISSES, arithmetic, counted
from tierwise.scorers.equations import EQUATIONS, LESS, LINKS, TOKENS, equations
from tierwise.scorers.reading import HEAD

RIGHT = [
    "3 + 4 = 7.",
    "She pays 3 boxes * $4/box = $12 in all.",
    "Greg needs 30 kids * 4 cups/kid = <<30*4=120>>120 cups.",
    "3*4 = 12 = 10+2.",
    "1,000 + 500 = 1,500.",
    "20% of 50 = 10.",
    "20% * 50 = 10.",
    "20/100 = 20%.",
    "100% - 20% = 80%.",
    "12 (lions) + 6 (cubs) = 18.",
    r"So \(3 \times 4 = 12\).",
    r"\[\frac{3462.20}{35} = 98.92\]",
    r"4 + \dfrac{6}{3} = 6.",
    r"We get $2^{10} = 1024$.",
    r"3 + 4 \\" + "\n" + r"&= 7.",
    "2(3+4) = 14.",
    "100/3 = 33.33.",
    "100/3 = 33, rounded.",
    "33.33*3 = 100.",
    "1.06/1.05 = 1.0095238095238095.",
    "100/3 ≈ 35.",
    "Day 1 - 3 + 4 = 7.",
    "- 3 + 4 = 7.",
    "1. 3 + 4 = 7",
    "-3 + 5 = 2.",
    "5 -2 = 3.",
    "3 + 4 = **7**.",
    "2**3 + 1 = 9.",
    "4*2 = 8 * 3 = 24.",
    "3 + 4 * 2 = 14.",
    "7.5 / 1/2 = 15.",
    "12 / 2(3) = 2.",
    "3 times 4 equals 12.",
    "12 divided by 4 equals 3.",
    "3 x $4 = $12, and 5×3=15.",  # noqa: RUF001
    "1/2 of 10 = 5.",
    '{"reasoning": "First, 3 + 4 = 7.\\nThen 7 \\\\times 2 = 14.", "answer": "14"}',
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_sums_pass(text: str) -> None:
    """Sums that are right, as people and models write them, are checked and pass."""
    found = arithmetic(request(), answer(text), CHECKS)
    assert (found.passed, found.value) == (True, 0.0)


WRONG = [
    "3 + 4 = 8.",
    "3 boxes * $4/box = $13 in all.",
    "30 kids * 4 cups/kid = <<30*4=110>>110 cups.",
    "1,000 + 500 = 1,600.",
    r"So \(3 \times 4 = 13\).",
    "12 (lions) + 6 (cubs) = 19.",
    "2x + 3 = 4 + 5 = 8.",
    "16 - (3 + 4) = 10.",
    "12/5 = 4.",
    "It is 3 times 4 equals 13.",
    '{"reasoning": "First, 3 + 4 = 8.\\nThen", "answer": "8"}',
]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_sums_of_whole_numbers_fail(text: str) -> None:
    """A sum of whole numbers with a wrong result counts against the answer."""
    assert arithmetic(request(), answer(text), CHECKS).passed is False


@pytest.mark.parametrize("text", ["12.50 * 3 = 37.60.", "50 * 20% = 12.", "2^3 = 9.", "3 * 4 = 10 + 3."])
def test_other_wrong_sums_are_only_told(text: str) -> None:
    """With decimals, percents, powers or two sums a wrong equation is measured, not judged."""
    found = arithmetic(request(), answer(text), CHECKS)
    assert (found.passed, found.detail, found.value) == (None, "1 of 1 equations wrong", 1.0)


ALONE = [
    "",
    "no sums, 3 of 4",
    "x + 3 = 8.",
    "3x + 4 = 8.",
    "f(3) + 2 = 9.",
    "a[3+4] = 8.",
    "16 - 3 + 4) = 9.",
    "Profit - 3 + 4 = 9.",
    "half of 10 + 2 = 7.",
    "9 / (2 - x) = 4 and 25/9 = 1/(1 - y).",
    "Cost of day 3 = 2 + 5.",
    "sticks_2x4 = 4",
    "1/2bh = 5, (1/2)bh = 5.",
    "17 / 5 = 3 R 2.",
    "2^10 = 3 (mod 7).",
    "3:30 + 2 = 5.",
    "2 1/2 + 1 = 4.",
    r"2 \frac{1}{2} + 1 = 4.",
    r"2\frac{1}{2} + 1 = 4.",
    "3 and 1/3 x 3 = 12.",
    "4! / 2 = 13.",
    r"\lfloor 7/2 \rfloor + 1 = 9.",
    "05/09/2017 + 40 days = 06/18/2017.",
    "1+1 = 3?",
    "1+1 = 3 is wrong.",
    "1+1 = 3 ≠ 2.",
    "60 minutes * 2 = 2 hours.",
    "3 quarters * 25 = 1 dollar.",
    "3 * 25 = 1 cent.",
    "3/4 = 75.",
    "864 - 900 = 36.",
    "1.250 * 3 = 3.751.",
    "100/3 ≈ 40.",
    "1200 + 350 equals 1",
    "2,5 + 3 = 6,5.",
    "3 == 4, 3 + 1 == 5, 3 + 1 <= 3, x = 3 + 1",
    "10 / 0 = 1.",
    "2^99999 = 5.",
    "9" * 31 + " + 1 = 5.",
    "1 + 2 = 4 (mod 5)",
]


@pytest.mark.parametrize("text", ALONE)
def test_what_is_no_plain_sum_is_left_alone(text: str) -> None:
    """Variables, functions, remainders, clock times, conversions and questions are not judged."""
    found = arithmetic(request(), answer(text), CHECKS)
    assert (found.passed, found.value) == (None, None)


def test_the_share_of_wrong_equations_is_told() -> None:
    """`detail` and `value` count the equations that could be checked."""
    found = arithmetic(request(), answer("1+1 = 2. 2+2 = 4. 3+3 = 7. 4+4 = x."), CHECKS)
    assert (found.passed, found.detail) == (False, "1 of 3 equations wrong")
    assert found.value == pytest.approx(1 / 3)


def test_what_rounding_explains_is_right() -> None:
    """A result may be off by its last place or by those of rounded numbers; more is wrong."""
    assert counted("2/3 = 0.67. 66.67% * 3 = 200%. 0.33 * 3 = 1. 2.5% of 33.33 = 0.83. 100/7 ≈ 14.") == (5, 0, 0)
    assert counted("2/3 = 0.69. 2.5% of 33.33 = 0.85. 0.25 * 3 = 1.9. 100/7 = 17. 0.33 * 3 = 1.2. Then") == (5, 4, 1)
    assert counted("3 - 5 = -2. 1/(2 - 4) = -0.5. 2^(1-2) = 0.5. 2^(1/2) = 1.") == (3, 0, 0)


def test_every_choice_is_looked_at() -> None:
    """The worst of several choices counts, wherever it stands."""
    assert arithmetic(request(), answer("1+1 = 2.", "", "1+1 = 3."), CHECKS).value == 1.0
    assert arithmetic(request(), answer("1+1 = 3.", "1+1 = 2."), CHECKS).passed is False


def test_a_window_is_looked_at_too() -> None:
    """What has come so far of an answer is judged, but not a number that may go on."""
    assert arithmetic(request(), answer("1+1 = 3. Then", complete=False), CHECKS).passed is False
    assert arithmetic(request(), answer("6*6 = 3", complete=False), CHECKS).passed is None


def test_long_texts_are_read_at_both_ends() -> None:
    """Of a long text the head and the tail are read, and a sum that the cut goes through is not."""
    middle = "word " * 4000
    assert arithmetic(request(), answer("1+1 = 3. " + middle), CHECKS).passed is False
    assert arithmetic(request(), answer(middle + ". So 1+1 = 3."), CHECKS).passed is False
    assert arithmetic(request(), answer("So we get to the sum of 1+1 = 2, " * 600), CHECKS).passed is True
    assert counted("12345 + 67890 = 80235, " * 700).wrong == 0


def test_what_a_model_asks_itself_next_is_not_the_answer() -> None:
    """Some models go on with questions of their own; the answer ends where they begin."""
    assert counted("3 + 4 = 7.\n\nQ: What is 5 + 5?\nA: 5 + 5 = 11.") == (1, 0, 0)


def test_of_a_packed_text_not_enough_is_read_to_pass() -> None:
    """What is not read may be wrong; and FEW_MISSES misses are enough."""
    assert arithmetic(request(), answer("1+1 = 2, " * 3000), CHECKS).passed is None
    assert arithmetic(request(), answer("1+1 = 2, 1+1 = 3, " * 3000), CHECKS).passed is False
    assert counted("1+1 = 3, " * 3000).wrong == FEW_MISSES
    assert counted("So we get 1+1 = 3, " * 100).wrong == MISSES


def test_equations_are_bounded() -> None:
    """No more than a fixed number of equations is given."""
    assert len(list(equations("1+1 = 2. " * 500))) == EQUATIONS
    assert len(list(equations("1+1 = 2. " * 1_500))) == EQUATIONS // LESS


def test_tokens_are_bounded() -> None:
    """A sum in which the last one that is read would be cut is not read at all."""
    assert len(list(equations("1+" * (TOKENS // 2 - 2) + "1=2"))) == 1
    assert not list(equations("1+" * (TOKENS // 2 - 1) + "1=2"))
    assert len(list(equations("1+2=3; " + "1+" * (TOKENS // 2 - 4) + "1=2; 1+3=4"))) == 2


@given(
    st.lists(st.integers(-999, 9999), min_size=2, max_size=6),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_any_sum_with_its_own_result_holds(numbers: list[int], data: st.DataObject) -> None:
    """Whatever is added, subtracted and multiplied: the exact result passes, with separators too; another fails."""
    operators = [data.draw(st.sampled_from("+-*")) for _ in numbers[1:]]
    text, total, term = f"{abs(numbers[0]):,}", Fraction(0), Fraction(abs(numbers[0]))
    for operator, number in zip(operators, numbers[1:], strict=True):
        text += f" {operator} {abs(number):,}"
        if operator == "*":
            term *= abs(number)
        else:
            total, term = total + term, Fraction(abs(number) if operator == "+" else -abs(number))
    total += term
    shown = f"{total}" if total >= 0 else f"-{-total}"
    assert counted(f"We get {text} = {shown}.") == (1, 0, 0)


@given(st.text(alphabet="0123456789+-*/=().,%$x ^\\{}<>a\n", max_size=120))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_it(text: str) -> None:
    """Any soup of the signs that sums are made of gives a count, and no error."""
    found = counted(text)
    assert 0 <= found.plain <= found.wrong <= found.checked


PATHOLOGICAL = {
    "1+": "1+" * 8_000,
    "((((": "(" * 16_000,
    "```": "```" * 5_333,
    "a": "a" * 16_000,
    "digits": "9" * 16_000,
    "1=": "1=" * 8_000,
    "sums": "1+1=3 " * 2_600,
    "backslashes": "\\" * 16_000,
    "blanks": " " * 16_000,
    "lines": "\n" * 16_000,
    "marks": "<<1+1=3>>" * 1_700,
    "fractions": "\\frac{1}" * 2_000,
    "decimals": "3.1*2.2-1.7/3.3*4.4^2 = 99.123; " * 500,
    "powers": "2^64*2^64+3.33/7.77=5;" * 700,
    "commas": "1," * 8_000,
    "plain": "1=1\n" * 4_000,
    "terms": ("1+" * 480 + "1=2; ") * 16,
    "rounded": "1/7/7/7/7*3 = 0.00124; " * 700,
    "words": "1 equals x, " * 1_300,
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_hostile_texts_take_bounded_time(name: str) -> None:
    """16,000 characters made to be slow stay near 2 ms on one core; ten times that fails here."""
    for text in (PATHOLOGICAL[name], PATHOLOGICAL[name][:HEAD], "1 = 2 " + PATHOLOGICAL[name][:900]):
        best = 1e9
        for _ in range(3):
            start = time.thread_time()
            counted(text)
            best = min(best, time.thread_time() - start)
        assert best < 0.02


def test_of_a_dense_text_less_is_read() -> None:
    """Fewer equations, and nothing of its middle; of a text of words the middle counts."""
    assert counted("7 + 5 = 12. " * 200).checked == EQUATIONS
    assert counted("7 + 5 = 12. " * 900).checked == EQUATIONS // LESS
    for filler, checked in (("!", 0), ("a", 1)):
        assert counted(f"{filler * 4_000}. So 1 + 1 = 3. {filler * 1_900}").checked == checked


def test_so_many_sides_of_a_chain_are_read() -> None:
    """What stands behind LINKS equals signs is not."""
    assert counted("1=" * (LINKS - 1) + "1+1.").checked == 1
    assert counted("1=" * LINKS + "1+1.").checked == 0
