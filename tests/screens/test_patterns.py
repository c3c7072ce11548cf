"""What has a form is found where it holds, and look-alikes are let be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.screens.patterns import apart, formed, luhn, mod97
from tierwise.screens.screen import Span

KEY = "sk-" + "proj-" + "A1b2C3d4E5f6G7h8I9j0"
FOUND = [
    ("email", "write to ", "jane.o+x@mail.example.co.uk", ", please"),
    ("url", "see ", "https://example.com/a?b=c", "."),
    ("url", "see ", "www.example.org", ""),
    ("card", "card ", "4111 1111 1111 1111", " ok"),
    ("card", "my visa ", "4222222222222", "?"),
    ("card", "the card is ", "503802053770", ""),
    ("iban", "to ", "GB82WEST12345698765432", "!"),
    ("iban", "to ", "DE89 3704 0044 0532 0130 00", ""),
    ("ip", "from ", "192.168.10.254", ":8080"),
    ("ip", "from ", "2001:db8:0:0:1:0:0:1", " up"),
    ("ip", "from ", "fe80::1:2:3", ""),
    ("national_id", "ssn ", "514-69-0360", ""),
    ("national_id", "dni ", "12345678Z", ""),
    ("national_id", "nino ", "AB 12 34 56 C", ""),
    ("national_id", "my driver's license number is ", "F162823540116", ""),
    ("birth_date", "she was born on ", "2/19/1956", ""),
    ("birth_date", "DOB: ", "3 March 1980", ""),
    ("birth_date", "date of birth: ", "May 4th, 1991", ""),
    ("phone", "", "+1-984-182-0190", " works"),
    ("phone", "", "(99) 645-791-22", ""),
    ("phone", "call me on ", "781 1704", ""),
    ("phone", "", "467 3395", " office"),
    ("phone", "", "259.735.7502x459", ""),
    ("secret", "use ", KEY, ""),
    ("secret", "password: ", "hunter2hunter", " ok"),
    ("secret", "api_key=", "0123456789abcdef", ""),
]  # fmt: skip
NOTHING = [
    "order 4111111111111112 shipped",  # Luhn fails
    "0000000000000000",
    "parcel 503802053770",  # 12 digits that fit, and no word of a card
    "GB82WEST12345698765433",  # mod 97 fails
    "version 1.2.3.4 is out",
    "300.1.1.1",
    "000-12-3456",
    "12345678A",  # the letter does not fit
    "GB 12 34 56 C",
    "on 2020-06-20 14:11 we met",
    "founded on 2/19/1956",
    "1234567 units",
    "the ratio is 10:20:30:40",
    "order number 555 666 777 88",
    "a@b",
    "the password is good",
]


@pytest.mark.parametrize(("kind", "before", "value", "after"), FOUND)
def test_it_is_found_to_the_letter(kind: str, before: str, value: str, after: str) -> None:
    """The whole of it and nothing around it."""
    text = before + value + after
    assert formed(text) == [Span(kind, len(before), len(before) + len(value))]


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_it_is_let_be(text: str) -> None:
    """By check digits, ranges and the words before."""
    assert formed(text) == []


@given(st.integers(10**14, 10**15 - 1), st.integers(0, 9))
def test_one_digit_in_ten_fits_a_card(number: int, digit: int) -> None:
    """Luhn's sum leaves exactly one last digit, and no other digit in its place does."""
    fitting = [last for last in range(10) if luhn(f"{number}{last}")]
    assert len(fitting) == 1
    assert luhn(f"{number}{digit}") == (digit == fitting[0])


@given(st.integers(0, 96))
def test_one_pair_of_digits_fits_an_iban(pair: int) -> None:
    """Of 97 pairs."""
    assert mod97(f"GB{pair + 2:02}WEST12345698765432") == (pair + 2 == 82)


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1 ",
        "a",
        "a.",
        "a@",
        "a@a.",
        ":",
        "::1",
        "1.",
        "(1)",
        "http://",
        "-----BEGIN ",
        "eyJ",
        "A1-",
        "password: ",
        "+1 ",
        "GB82 ",
        "Jan 1 ",
    ],
)
def test_time_is_linear(unit: str) -> None:
    """A window of text that is made for it takes a fraction of a second."""
    text = unit * (16_000 // len(unit))
    start = time.process_time()
    formed(text)
    assert time.process_time() - start < 0.5


def test_where_two_overlap_the_first_stays() -> None:
    """Rank goes before place; the result is in the order of the text."""
    spans = [Span("a", 5, 9), Span("b", 0, 6), Span("c", 9, 12), Span("d", 1, 3)]
    assert apart(spans) == [Span("d", 1, 3), Span("a", 5, 9), Span("c", 9, 12)]
