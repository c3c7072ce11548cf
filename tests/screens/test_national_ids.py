"""Check digits of national ids: the right ones pass, and next to them hardly anything does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.screens import national_ids as ids

Check = Callable[[str], bool]
# Specimens of the issuers, or made by their rules; none is a person's.
VALID: list[tuple[Check, str]] = [
    (ids.ssn, "514-69-0360"),
    (ids.nino, "AB 12 34 56 C"),
    (ids.dni, "12345678Z"),
    (ids.dni, "X1234567L"),
    (ids.dni, "Y-1234567-X"),
    (ids.dni, "z1234567r"),
    (ids.steuer_id, "86095742719"),
    (ids.steuer_id, "65 929 970 489"),
    (ids.steuer_id, "47036892816"),
    (ids.nir, "1 84 12 76 451 089 46"),
    (ids.nir, "255081416802538"),
    (ids.codice_fiscale, "RSSMRA85T10A562S"),
    (ids.codice_fiscale, "mrtmtt91d08f205j"),
    (ids.bsn, "111222333"),
    (ids.bsn, "123 456 782"),
    (ids.pesel, "44051401359"),
    (ids.pesel, "02070803628"),
    (ids.aadhaar, "2341 2341 2346"),
    (ids.aadhaar, "499118665246"),
    (ids.cpf, "111.444.777-35"),
    (ids.cpf, "52998224725"),
]
INVALID: list[tuple[Check, str]] = [
    (ids.ssn, "000-12-3456"),
    (ids.ssn, "666-12-3456"),
    (ids.ssn, "514-00-0360"),
    (ids.ssn, "514-69-0000"),
    (ids.ssn, "514-69-036"),
    (ids.nino, "GB 12 34 56 C"),
    (ids.nino, "AO 12 34 56 C"),
    (ids.dni, "Y1234567L"),  # as if Y were no digit
    (ids.steuer_id, "01234567890"),  # begins with a zero
    (ids.steuer_id, "12345678903"),  # no digit of the first ten twice
    (ids.steuer_id, "11223456789"),  # two of them twice
    (ids.steuer_id, "1111234567"),
    (ids.nir, "1 84 12 76 451 089 4"),
    (ids.bsn, "000000000"),
    (ids.bsn, "11122233"),
    (ids.pesel, "44131401350"),  # month 13
    (ids.pesel, "44053201350"),  # day 32
    (ids.pesel, "4405140135"),
    (ids.aadhaar, "1341 2341 2346"),
    (ids.aadhaar, "2341 2341 234"),
    (ids.cpf, "111.111.111-11"),
    (ids.cpf, "111.444.777-3"),
]


@pytest.mark.parametrize(("check", "text"), VALID)
def test_it_passes(check: Check, text: str) -> None:
    """With and without blanks and signs."""
    assert check(text)


@pytest.mark.parametrize(("check", "text"), INVALID)
def test_it_does_not_pass(check: Check, text: str) -> None:
    """By a rule of its own."""
    assert not check(text)


@pytest.mark.parametrize(("check", "text"), [pair for pair in VALID if pair[0] not in (ids.ssn, ids.nino)])
def test_one_wrong_digit_is_noticed(check: Check, text: str) -> None:
    """Wherever it stands, and whichever it is."""
    for place, sign in enumerate(text):
        for other in "0123456789" if sign.isdigit() else "":
            if other != sign:
                assert not check(text[:place] + other + text[place + 1 :])


@given(st.integers(0, 2**40))
def test_corsica_counts_as_19_and_18(number: int) -> None:
    """Letters within a French number."""
    for letters, digits in (("2A", "19"), ("2B", "18")):
        head, tail = f"1{number % 100:02}05", f"{number // 100 % 1000000:06}"
        key = 97 - int(head + digits + tail) % 97
        assert ids.nir(f"{head}{letters}{tail}{key:02}")
        assert not ids.nir(f"{head}{letters}{tail}{key % 97 + 1:02}")


@given(st.integers(0, 10**11 - 1))
def test_exactly_one_last_digit_fits(number: int) -> None:
    """Of sums that are made to have one, over any number."""
    text = f"{number:011}"
    if text[0] > "1":
        assert sum(ids.aadhaar(f"{text}{digit}") for digit in range(10)) == 1
    pairs = [f"{text[:9]}{pair:02}" for pair in range(100)]
    assert sum(map(ids.cpf, pairs)) == (len(set(text[:9])) > 1)
