"""Numbers that countries give to persons, by their check digits.

Each check takes what looks like one, with or without blanks and signs, and says whether it can be one. A sum that one
number in ten or so fits by chance (Aadhaar, BSN, PESEL, bare CPF) is no proof by itself: `patterns` wants the number's
usual spelling, or a word before it. Sources: the issuers' own descriptions; ISO 7064 for the Steuer-ID.
"""

from __future__ import annotations

import re
from collections import Counter

_CF_ODD = {
    **dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)),
    **dict(
        zip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
            strict=True,
        )
    ),
}
_DIHEDRAL = (  # products in the group of the pentagon's symmetries, as Verhoeff's sum needs them
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def _digits(text: str) -> list[int]:
    return [int(sign) for sign in text if sign.isdigit()]


def ssn(text: str) -> bool:
    """United States: no check digit; areas, groups and serials of zeros were never given out."""
    plain = re.sub(r"\D", "", text)
    return len(plain) == 9 and plain[:3] not in ("000", "666") and plain[3:5] != "00" and plain[5:] != "0000"


def nino(text: str) -> bool:
    """United Kingdom: no check digit; some prefixes were never given out."""
    return text[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"} and text[1].upper() != "O"


def dni(text: str) -> bool:
    """Spain, for citizens and foreigners (X, Y, Z): the letter is the number's remainder by 23."""
    number = re.sub(r"\D", "", text.upper().translate(str.maketrans("XYZ", "012")) if text[0].isalpha() else text)
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number[:8]) % 23] == text[-1].upper()


def steuer_id(text: str) -> bool:
    """Germany: one of the first ten digits comes twice or three times, the others once; ISO 7064 MOD 11,10."""
    numbers = _digits(text)
    counts = sorted(Counter(numbers[:10]).values())
    if len(numbers) != 11 or numbers[0] == 0 or counts[-1] not in (2, 3) or counts[-2] != 1:
        return False
    product = 10
    for number in numbers[:10]:
        product = ((number + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == numbers[10]


def nir(text: str) -> bool:
    """France: sex, year, month, department, and a key of two digits. Corsica's departments are 2A and 2B."""
    plain = re.sub(r"\W", "", text).upper()
    number = plain[:13].replace("2A", "19").replace("2B", "18")
    return len(plain) == 15 and number.isdigit() and 97 - int(number) % 97 == int(plain[13:])


def codice_fiscale(text: str) -> bool:
    """Italy: a letter at the end, by the values of odd and even places."""
    plain = text.upper()
    odd = sum(_CF_ODD[sign] for sign in plain[:15:2])
    even = sum(int(sign) if sign.isdigit() else ord(sign) - ord("A") for sign in plain[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == plain[15]


def bsn(text: str) -> bool:
    """Netherlands: the sum of eleven. One number in eleven fits."""
    numbers = _digits(text)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    fits = len(numbers) == 9 and any(numbers)
    return fits and sum(weight * number for weight, number in zip(weights, numbers, strict=True)) % 11 == 0


def pesel(text: str) -> bool:
    """Poland: a date of birth, its century added to the month, and a check digit."""
    numbers = _digits(text)
    if len(numbers) != 11:
        return False
    month, day = (numbers[2] * 10 + numbers[3]) % 20, numbers[4] * 10 + numbers[5]
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    total = sum(weight * number for weight, number in zip(weights, numbers, strict=True))
    return 1 <= month <= 12 and 1 <= day <= 31 and total % 10 == 0


def aadhaar(text: str) -> bool:
    """India: Verhoeff's sum over twelve digits, the first of them 2 or more."""
    numbers = _digits(text)
    if len(numbers) != 12 or numbers[0] < 2:
        return False
    check = 0
    for place, number in enumerate(reversed(numbers)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[place % 8][number])])
    return check == 0


def cpf(text: str) -> bool:
    """Brazil: two check digits over nine, which are not all equal."""
    numbers = _digits(text)
    if len(numbers) != 11 or len(set(numbers)) == 1:
        return False
    return all(
        sum((size + 1 - place) * numbers[place] for place in range(size)) * 10 % 11 % 10 == numbers[size]
        for size in (9, 10)
    )
