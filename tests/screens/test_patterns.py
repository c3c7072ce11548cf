"""What has a form is found where it holds, and look-alikes are let be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.screens.patterns import apart, formed, luhn, mod97
from tierwise.screens.screen import Span

KEY = "sk-" + "proj-" + "A1b2C3d4E5f6G7h8I9j0"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow+/IBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
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
    ("card", "", "4111111111111111", ""),
    ("card", "", "5500-0000-0000-0004", ""),
    ("card", "", "3782 822463 10005", ""),
    ("card", "", "30569309025904", ""),
    ("card", "", "6011000990139424", ""),
    ("card", "", "3530111333300000", ""),
    ("iban", "", "FR14 2004 1010 0505 0001 3M02 606", ""),
    ("iban", "", "NL91ABNA0417164300", "."),
    ("ip", "", "fe80::1", ""),
    ("ip", "(", "2001:db8::8a2e:370:7334", ")"),
    ("national_id", "SSN: ", "514690360", ""),
    ("national_id", "", "Y1234567X", ""),
    ("national_id", "", "X-1234567-L", ""),
    ("national_id", "", "86 095 742 719", ""),
    ("national_id", "IdNr. ", "65929970489", ""),
    ("national_id", "", "1 84 12 76 451 089 46", ""),
    ("national_id", "", "255081416802538", "."),
    ("national_id", "", "RSSMRA85T10A562S", ""),
    ("national_id", "BSN ", "111222333", ""),
    ("national_id", "my burgerservicenummer is ", "123 456 782", ""),
    ("national_id", "PESEL: ", "44051401359", ""),
    ("national_id", "aadhaar ", "2341 2341 2346", ""),
    ("national_id", "Aadhar no ", "499118665246", ""),
    ("national_id", "", "529.982.247-25", ""),
    ("national_id", "CPF ", "52998224725", ""),
    ("phone", "", "+49 30 901820", ""),
    ("phone", "", "0049 30 901820", ""),
    ("phone", "", "030/901820-15", ""),
    ("phone", "", "+33 1 23 45 67 89", ""),
    ("phone", "", "01 23 45 67 89", ""),
    ("phone", "", "020 7946 0958", ""),
    ("phone", "", "+44 (0)20 7946 0958", ""),
    ("phone", "", "+91 98765 43210", ""),
    ("phone", "", "+55 11 98765-4321", ""),
    ("phone", "", "(11) 98765-4321", ""),
    ("phone", "", "+81 3-1234-5678", ""),
    ("phone", "", "+8613800138000", ""),
    ("phone", "", "(555) 234-5678", ""),
    ("phone", "", "555.234.5678", ""),
    ("phone", "", "1-555-234-5678 ext. 12", ""),
    ("phone", "tel ", "5552345678", ""),
    ("secret", "", "ghp_" + "a1B2" * 9, ""),
    ("secret", "", "github_pat_" + "a1B2" * 9, ""),
    ("secret", "", "AKIA" + "IOSFODNN7EXAMPLE", ""),
    ("secret", "", "ASIA" + "IOSFODNN7EXAMPLE", ""),
    ("secret", "", "AIza" + "Sy" + "a1B2c" * 6 + "xyz", ""),
    ("secret", "", "xoxb-" + "123456789012-abcdefABCDEF", ""),
    ("secret", "", "glpat-" + "a1B2" * 5, ""),
    ("secret", "", "hf_" + "aBcDe1" * 6, ""),
    ("secret", "", "sk_" + "live_" + "a1B2" * 6, ""),
    ("secret", "", "whsec_" + "a1B2" * 8, ""),
    ("secret", "", "npm_" + "a1B2" * 9, ""),
    ("secret", "", "pypi-" + "AgEIcHlwaS5vcmc" * 3, ""),
    ("secret", "", "gsk_" + "a1B2" * 13, ""),
    ("secret", "", "SG." + "a1B2c3D4e5F6g7H8i9J0kl" + "." + "a1B2" * 10, ""),
    ("secret", "bot ", "6922832127:" + "AA" + "Em2DMKEBRO2GNeRhLONJqe4__Roc-QfiA", ""),
    ("secret", "", "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N", ""),
    ("secret", "", PEM, "\nthat was it"),
    ("secret", "", PEM.replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,1A\n\n", 1), ""),
    ("secret", "", PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"), ""),
    ("secret", "", PEM.partition("-----END")[0], ""),
    ("secret", "DB_PASSWORD=", "s3cr3t!pass", ""),
    ("secret", '{"password": "', "hunter2hunter", '"}'),
    ("secret", "my password is ", "Tr0ub4dor&3", ""),
    ("secret", "aws_secret_access_key = ", "wJalrXUtnFEMI/" + "K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
    ("secret", "Authorization: Bearer ", "a1b2c3d4e5f6g7h8", ""),
    ("secret", "postgres://admin:", "hunter2", "@db:5432/x"),
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
    "order 1234-5678-9012",
    "00 12 34 56 78 90",
    "0001234567 89",
    "5552345678 units",
    "\u212aSSMRA85T10A562S",  # a sign that is a letter only for some
    "order 6771798021000009",  # Luhn fits, and no network has such numbers
    "event 456712345678901237",
    "at 1700000000003 ms",
    "01101000 01100101 01101100 01101100",  # in base 2
    "64 20 69 6e 20 41 49",  # in base 16
    "1000-450-300=250",
    "from 2002-2009 by phone in 2002-2009",
    "the number 12345.6789",
    "2024-01-15 10:30:00",
    "15.01.2024 10:30",
    "40.7128, -74.0060",
    "viewBox 0 0 980 820",
    "11 12 13 14 15 16 17",
    "0.967/0.947/0.925",
    "1 234 567 890 inhabitants",
    "550e8400-e29b-41d4-a716-446655440000",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Chrome/120.0.0.0 and section 3.2.1.4",
    "release 10.0.1.2",
    "std::vector, a::b, Ab::Cd and 12:34:56",
    "logo@2x.png",
    "pkg@1.2.3",
    "DE89370400440532013001",
    "514690360 parts",  # nine digits, and no word
    "order 111222333",  # the sum of eleven fits, and no word
    "order 44051401359",
    "order 234123412346",
    "order 52998224725",
    "529.982.247-26",
    "86095742718",
    "11111111111",
    "01234567890",
    "184127645108947",
    "RSSMRA85T10A562T",
    "Y1234567L",
    "AO 12 34 56 C",
    "invoice 555 234 5678",
    "password: required",
    "token: authentication",
    "password = getpass(prompt1)",
    "password=${DB_PASS1}",
    "api_key = <your key 1>",
    "api_key=<key1234567>",
    "token = tokens[12345678]",
    "bearer securities",
    "sk-learn is a library, sk-estimators",
    "AKIA is a prefix",
    "eyJ.a.b",
    "https:",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
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


@pytest.mark.unmeasured
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
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "-----BEGIN RSA " + "PRIVATE KEY-----" + "-",
        "://a:",
        "token is ",
        "1 11 ",
        "01-",
    ],
)
def test_time_is_linear(unit: str) -> None:
    """A window of text that is made for it takes a fraction of a second."""
    text = unit * (16_000 // len(unit))
    formed(unit * 2)  # patterns are compiled when they are first needed, which takes long where every line is counted
    start = time.process_time()
    formed(text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "PASSWORD: hunter2!!",
        "pa\u017f\u017fword: hunter2!!",
        "to\u212aen: hunter2!!",
        "CREDENT\u0130ALS: hunter2!!",
        "api_key is: hunter2!!",
        "PWD=hunter2!!",
    ],
)
def test_a_secret_is_one_in_whatever_case(text: str) -> None:
    """Long s, Kelvin's sign and the dotted I too, and it stands where it stood."""
    at = text.index("hunter2!!")
    assert formed(text) == [Span("secret", at, at + 9)]
    assert formed("x" + text) == ([] if text.startswith("PWD") else [Span("secret", at + 1, at + 10)])


def test_addresses_far_from_each_other() -> None:
    """Each is found, as long as its box has no more than 64 characters; an @ alone ends nothing."""
    far = "word " * 40
    boxes = f"joe@example.org {far}{'x' * 64}@example.com, {'y' * 65}@example.net"
    for text in (boxes, f"a@b {far}{boxes}", f"{boxes} @"):
        found = [text[span.start : span.end] for span in formed(text)]
        assert found == ["joe@example.org", "x" * 64 + "@example.com"]


@pytest.mark.parametrize("digits", ["0123456789", "".join(map(chr, range(0xFF10, 0xFF1A)))])
def test_digits_of_every_script_count(digits: str) -> None:
    """Whether or not all else is ASCII, and with what stands between them."""
    number = "+44 (20) 7946-0958".translate(str.maketrans("0123456789", digits))
    assert [span.type for span in formed(f"Call {number}.")] == ["phone"]
    assert [span.type for span in formed(f"Call {number} \u2019.")] == ["phone"]


@given(st.text(alphabet="0123456789 .-+()ABCxyz/:@_\u212a\u0661\u00b2\u00e9\n", max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    """Whatever counts as a digit or a letter somewhere; spans are in order, and apart."""
    spans = formed(text)
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(span.start < span.end <= len(text) for span in spans)


def test_where_two_overlap_the_first_stays() -> None:
    """Rank goes before place; the result is in the order of the text."""
    spans = [Span("a", 5, 9), Span("b", 0, 6), Span("c", 9, 12), Span("d", 1, 3)]
    assert apart(spans) == [Span("d", 1, 3), Span("a", 5, 9), Span("c", 9, 12)]
