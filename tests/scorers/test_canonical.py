"""The canonical form of one result, and what a prompt asks for."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.canonical import Asked, canonical, plain, question
from tierwise.scorers.dates import iso_date
from tierwise.scorers.formula import formula, number
from tierwise.scorers.literal import LIMIT, canonical_value, literal, structured


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1,234.50", "2469/2"),
        ("50%", "50"),
        ("50 \\%", "50"),
        ("3/4", "3/4"),
        ("0.75", "3/4"),
        ("\\frac{3}{4}", "3/4"),
        ("\\dfrac34", "3/4"),
        ("-\\frac{6}{8}", "-3/4"),
        ("2\\frac{1}{2}", "5/2"),
        ("2 1/2", "5/2"),
        ("5 hours", "5"),
        ("5 square feet per day", "5"),
        ("45^\\circ", "45"),
        ("45 degrees", "45"),
        ("12\\text{ cm}", "12"),
        ("7kg", "7"),
        ("2 million", "2000000"),
        ("x = 5", "5"),
        ("$x=\\frac{1}{2}$", "1/2"),
        ("3 \\times 10^{4}", "30000"),
        ("1.5e3", "1500"),
        ("\u22127", "-7"),
        ("twelve", "12"),
        ("10.0", "10"),
        ("0", "0"),
        ("1.7999999999999998", "9/5"),
        ("\\left(5\\right)", None),
        ("4\\sqrt{2}", None),
        ("2a^2", None),
        ("10 AM", None),
        ("5 or 6", None),
        ("5 or more", None),
        ("1/0", None),
        ("1" * 60, None),
        ("1e99", None),
        ("two apples", None),
        ("", None),
    ],
)  # fmt: skip
def test_numbers_are_exact(text: str, value: str | None) -> None:
    """Money, percentages, fractions, units and powers of ten; never a float."""
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Jordan changes 5 diapers per day.", "5"),
        ("(3 + 4) / 7 = 7 / 7 = 1", "1"),
        ("He ate 24 oranges, so the total is 24 * $10 = $240.", "240"),
        ("There are 10 such numbers below 103, so it is 10.", "10"),
        ("2 hours and 45 minutes", None),
        ("The sides are 30 cm (width) and 45 cm (length).", None),
        ("It cannot be determined from 5 values.", None),
        ("6*(3 + sqrt(54))", None),
    ],
)
def test_a_sentence_has_one_number_or_asserts_its_last(text: str, value: str | None) -> None:
    """Of several numbers only one that something is said to be counts."""
    assert number(text, sentence=True) == value


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("4√2", "4\\sqrt{2}"),
        ("5 + sqrt(33)", "5+\\sqrt{33}"),
        ("\\left( 1, 2 \\right]", "(1,2]"),
        ("25\\pi", "25 π"),
        ("f(x) = x^2", "x^{2}"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
        ("\\!x^2 \\, y", "$x^2y$"),
    ],
)
def test_formulas_without_their_typesetting(left: str, right: str) -> None:
    """Spaces, sizes of brackets and spellings of roots do not count."""
    assert formula(left) is not None
    assert formula(left) == formula(right)


@pytest.mark.parametrize("text", ["more likely", "see page 5 of the manual", "Paris", ""])
def test_prose_is_no_formula(text: str) -> None:
    """Words stay words, with or without a number."""
    assert formula(text) is None


@pytest.mark.parametrize(
    ("text", "day_first", "day"),
    [
        ("2021-05-01", None, "2021-05-01"),
        ("2021-05-01T00:00:00Z", None, "2021-05-01"),
        ("May 1st, 2021", None, "2021-05-01"),
        ("Sat, 1 May 2021", None, "2021-05-01"),
        ("1st of May 2021", None, "2021-05-01"),
        ("05/01/2021", False, "2021-05-01"),
        ("01.05.2021", True, "2021-05-01"),
        ("05/01/2021", None, "05/01/2021"),
        ("5/1/2021", None, "05/01/2021"),
        ("31/01/2021", None, "2021-01-31"),
        ("03/03/1966", None, "1966-03-03"),
        ("13/13/2021", False, None),
        ("2021-02-30", None, None),
        ("may be 2021", None, None),
        ("16/17", None, None),
    ],
)
def test_dates(text: str, day_first: bool | None, day: str | None) -> None:
    """ISO days; what could be two days is told as it stands."""
    assert iso_date(text, day_first) == day


def test_a_prompt_says_what_it_asks_for() -> None:
    """Numbers, options, code, yes or no, and the order of a date."""
    assert question("") == Asked()
    assert question("How much is it?").numeric
    assert question("Calculate 3 + 4.").numeric
    assert not question("Where is my card?").numeric
    assert question("Pick one:\n(A) red\n(B) The Blue").options == (("A", "red"), ("B", "blue"))
    assert question("How many of these are true?\n(a) x is odd\n(b) x is even").options == ()
    assert question("A. lonely").options == ()
    assert question("```python\nprint(1)\n```\nWhat is printed?").code
    assert not question('Answer as ```json\n{"answer": 1}\n```').code
    assert question("Is it so? Answer 'yes' or 'no'.").boolean
    assert (question("as DD/MM/YYYY").day_first, question("as MM/DD/YYYY").day_first) == (True, False)


def test_an_option_told_in_words() -> None:
    """A result that is the text of exactly one option is that option."""
    asked = question("Pick one:\nA. red\nB. blue\nC. Blue")
    red, blue = canonical("Red.", asked), canonical("blue", asked)
    assert red is not None
    assert (red.kind, red.key) == ("choice", "A")
    assert blue is None


def test_what_is_too_long_is_no_result() -> None:
    """A result has an end."""
    assert canonical("word " * 1000, Asked()) is None
    assert canonical("word " * 80, Asked()) is None
    assert canonical("", Asked()) is None


def test_values_have_one_text() -> None:
    """JSON's and Python's spellings, order of keys, and forms of numbers."""
    assert canonical_value({"b": [1, 2.0], "a": None}) == canonical_value({"a": None, "b": [1.0, 2]})
    assert canonical_value(True) != canonical_value(1)
    assert canonical_value((1,)) != canonical_value([1])
    assert canonical_value({3, 1}) == "{1,3}"
    assert "..." in canonical_value(eval("[" * 30 + "]" * 30))  # noqa: S307 - a literal
    assert canonical_value(float("inf")) == "inf"
    assert structured("[1, 2") is None
    assert structured("[" * LIMIT) is None
    assert structured("5") is None
    assert literal("'it''s'") == "its"
    assert literal('"it\'s"') == literal("'it\\'s'") == "it's"
    assert literal("b'x'") == "b'x'"
    assert literal("'a\nb'") == literal("'a\\nb'")
    assert literal("'\\d'") == "\\d"


@given(st.fractions(max_denominator=999))
@settings(max_examples=100, deadline=None)
def test_a_fraction_is_itself(value: Fraction) -> None:
    """In plain and in LaTeX form."""
    assert number(str(value)) == str(value)
    sign = "-" if value < 0 else ""
    assert number(f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}") == str(value)


@given(st.text(max_size=80), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_text_raises(text: str, sentence: bool) -> None:
    """Every form takes any text."""
    number(text, sentence=sentence)
    formula(text)
    iso_date(text, sentence)
    assert isinstance(literal(text), str)
    assert plain(plain(text)) == plain(text)


WARNS = re.compile(r"[0-9](?:and|or|if|in|is|else|for|not)\b")
VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_a_value_written_as_python_is_read_back(value: object) -> None:
    """The canonical text of a literal is that of its value, but where a digit runs into a word that Python warns of."""
    if isinstance(value, (list, dict)) and len(repr(value)) < LIMIT and not WARNS.search(repr(value)):
        assert literal(repr(value)) == canonical_value(value)
