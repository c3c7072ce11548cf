"""The free check `arithmetic`: the sums that an answer writes out are right.

Every equation between numbers is worked out again, exactly (integers and fractions; nothing is executed). A result
may be rounded as it is displayed, and an equation is wrong only if no usual reading of it holds: percents as parts
or as points, operators by precedence or from left to right, `3 + 4 = 7 * 2 = 14` as two steps, a dash as a dash.

It knows sums, not whether they were the ones to do: an answer without a wrong sum may well be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from tierwise.scorers.equations import Equation, Side, Token, found
from tierwise.types import Answer, Checks, Evidence, Request

TERMS = 32  # numbers of one side, at most
BITS = 400  # no result that takes more is worked out
MISSES = 5  # equations that don't hold as they stand, after which no more are looked at
FINE = Fraction(1, 10**8)  # results displayed more finely come from floating point ...
FLOAT = 16  # ... and may be off by this many of their last places
ABOUT = Fraction(1, 20)  # how far off a result after "about equal" may be

Number = int | Fraction

_PRECEDENCE: dict[str, float] = {"+": 1, "-": 1, "*": 2, "/": 2, "negate": 3, "^": 4}
_FLAT = {**_PRECEDENCE, "*": 1, "/": 1, "^": 1}  # from left to right, like a pocket calculator
_FRACTIONS = {**_PRECEDENCE, "/": 2.5}  # "4 / 1/6" divides by a sixth
_PRODUCTS = {**_PRECEDENCE, "*": 2.5}  # "1/2(3)(4)" divides by the product
_COINS = frozenset(["cent", "cents", "penny", "pennies", "nickel", "nickels", "dime", "dimes", "quarter", "quarters"])
_DOT_FOR_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")  # how much of the world writes 1,250
_MODULAR = re.compile(r"\(mod|\\p?mod|≡|\\equiv|\bmodulo\b")
_DENIED = re.compile(
    r"\s*(?:\?|≠|\.\.|…)|[^.]{0,40}?(?:\b(?:not|false|incorrect|wrong|contradict\w*|impossible)\b|n't\b)"
)


class _Odd(Exception):
    """The sum can't be worked out; never leaves this file."""


class Count(NamedTuple):
    """Equations of a text. `plain`: how many of the wrong ones are sums of whole numbers with one number as result."""

    checked: int
    wrong: int
    plain: int


def arithmetic(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """No sum of whole numbers, in any choice, has a wrong result.

    `value` is the share of wrong equations among those checked, in [0, 1], of the worst choice; None where none
    could be checked. Wrong ones with decimals, powers, percents or two sums in them leave `passed` at None: rounding
    and shorthand explain too many of them. What is told as False is a wrong sum, which an answer may survive (a
    multiple choice that it reaches all the same): benchmarks/checks.py says how often.
    """
    counts = [count for count in (counted(choice.text) for choice in answer.choices) if count.checked]
    if not counts:
        return Evidence("arithmetic", None)
    worst = max(counts, key=lambda count: (count.plain > 0, count.wrong / count.checked))
    share = max(count.wrong / count.checked for count in counts)
    passed = False if worst.plain else (None if worst.wrong else True)
    return Evidence("arithmetic", passed, f"{worst.wrong} of {worst.checked} equations wrong", share)


def counted(text: str) -> Count:
    """The count of a text, up to the MISSES-th equation that doesn't hold as it stands."""
    right = wrong = plain = misses = 0
    for equation in found(text):
        verdict = judged(equation)
        right += verdict is True
        misses += verdict is not True
        if verdict is False:
            wrong += 1
            plain += _plain(equation)
        if misses == MISSES:
            break
    if wrong and _MODULAR.search(text):
        return Count(right, 0, 0)
    return Count(right + wrong, wrong, plain)


def _plain(equation: Equation) -> bool:
    left, right, _, _ = equation
    odd = any(text == "^" or kind == "p" or "." in text for kind, text in (*left.tokens, *right.tokens))
    return right.plain and not odd


def judged(equation: Equation) -> bool | None:
    """Whether the equation holds; None where that can't be said."""
    left, right, about, _ = equation
    try:
        if _value(left.tokens) == _value(right.tokens):
            return True
        lefts, rights = list(_readings(left, before=True)), list(_readings(right, before=False))
        if not {value for value, _ in lefts}.isdisjoint([value for value, _ in rights]):
            return True
        doubt = _doubt(equation)
        # What the likeliest two mean (with percents in parts, and in points) may also be rounded.
        if any(_close(a, b, doubt, ABOUT if about else Fraction(0)) for a in lefts[:2] for b in rights[:2]):
            return True
        return None if _excused(equation) else False
    except (_Odd, ZeroDivisionError):
        return None


def _excused(equation: Equation) -> bool:
    """Whether there is a reason to leave an equation alone that does not hold as it stands."""
    left, right, about, after = equation
    if about or _converts(left.measures, right.measures) or _DENIED.match(after):
        return True
    numbers = [text for kind, text in (*left.tokens, *right.tokens) if kind == "n"]
    if any(_DOT_FOR_THOUSANDS.fullmatch(text) for text in numbers):
        return True
    meant, said = _value(left.tokens), _value(right.tokens)
    if meant == 100 * said or 100 * meant == said:  # cents and percents that nobody names
        return True
    if meant == -said and meant < 0 and {text for kind, text in left.tokens if kind == "o"} == {"-"}:  # a difference
        return True
    return not after and f"{float(meant):.6f}".startswith(numbers[-1].replace(",", ""))  # cut off in the number


def _converts(left: frozenset[str], right: frozenset[str]) -> bool:
    """Whether the sides are told in different units, so that their numbers may differ."""
    if left and right and left != right:
        return True
    return len(left) > 1 or (left != right and not _COINS.isdisjoint(left | right))


Reading = tuple[Number, Fraction | None]
"""A value, and the place to which it is displayed where it is one number (1/100 for "3.14")."""


def _readings(side: Side, *, before: bool) -> Iterator[Reading]:
    """What a side may mean, the likeliest first. `before`: it stands left of the equals sign."""
    tokens = side.tokens
    percents = any(kind == "p" for kind, _ in tokens)
    place = _place(tokens) if side.plain else None
    yield _value(tokens), place and (place / 100 if percents else place)
    if percents:
        tokens = [token for token in tokens if token[0] != "p"]
        yield _value(tokens), place
    operators = [text for kind, text in tokens if kind == "o"]
    yield from [(_value(tokens, precedence), None) for precedence in _otherwise(operators)]
    if not before and operators:  # "3 + 4 = 7 * 2": the next step begins with this one's result
        first = tokens[: 1 + next(at for at, (kind, _) in enumerate(tokens) if kind == "n")]
        if first[0][0] in "ng":
            yield _value(first), _place(first)
    if before and "-" in operators[:1] and len(operators) > 1:  # "Day 1 - 3 + 4 = 7"
        dash = tokens.index(("o", "-"))
        if tokens[0][0] == "n" and dash == 1:
            yield _value(tokens[2:]), None


def _otherwise(operators: list[str]) -> Iterator[dict[str, float]]:
    """The precedences by which these operators may have been meant to bind."""
    if not {"+", "-"}.isdisjoint(operators) and not {"*", "/", "^"}.isdisjoint(operators):
        yield _FLAT
    if operators.count("/") > 1:
        yield _FRACTIONS
    if "/" in operators and "*" in operators[operators.index("/") :]:
        yield _PRODUCTS


def _place(tokens: list[Token]) -> Fraction:
    number = next(text for kind, text in tokens if kind == "n")
    return Fraction(1, 10 ** len(number.partition(".")[2]))


Doubt = tuple[Fraction, Fraction]
"""How far rounded numbers may have moved a result: at least, and in proportion to its size."""


def _close(left: Reading, right: Reading, doubt: Doubt, about: Fraction) -> bool:
    """Equal but for what rounding can explain: to the displayed place, or of the numbers that went in."""
    a, b = Fraction(left[0]), Fraction(right[0])
    place_a, place_b = left[1], right[1]
    gap, size = abs(a - b), max(abs(a), abs(b))
    slack = max(doubt[0], doubt[1] * size, about * size)
    place = place_b or place_a
    exact, shown = (a, b) if place_b else (b, a)
    if place and (exact / place).denominator > 1 and (shown / place).denominator == 1:
        slack += place * (FLOAT if place < FINE else 1)
    return gap < slack


def _doubt(equation: Equation) -> Doubt:
    """Of the numbers that look rounded: 0.33 and 66.7 do, 0.25 and 1.5 don't."""
    least = share = Fraction(0)
    for kind, text in (*equation.left.tokens, *equation.right.tokens):
        if kind != "n" or "." not in text:
            continue
        number = _number(text)
        digits = text.lstrip("0.").replace(".", "")
        if len(digits) >= 2 and digits[-1] not in "05":
            half = Fraction(1, 2 * 10 ** len(text.partition(".")[2]))
            least = max(least, half)
            share += 2 * half / number
    return least, share


def _number(text: str) -> Number:
    whole, _, decimals = text.replace(",", "").partition(".")
    return Fraction(int(whole + decimals), 10 ** len(decimals)) if decimals else int(whole)


def _value(tokens: list[Token], precedence: dict[str, float] = _PRECEDENCE) -> Number:
    """The value of a sum, by two stacks."""
    values: list[Number] = []
    operators: list[str] = []
    for kind, text in tokens:
        if kind == "n":
            values.append(_number(text))
        elif kind == "p":
            values.append(Fraction(values.pop()) / 100)
        elif kind == "r":
            _unwind(values, operators, precedence, 0)
            operators.pop()
        else:
            if kind == "o":
                # Division that binds more strongly than its neighbours also begins from the right.
                _unwind(values, operators, precedence, precedence[text] + (precedence[text] == 2.5 and text == "/"))
            operators.append(text)
        if len(values) > TERMS:
            raise _Odd
    _unwind(values, operators, precedence, 0)
    if len(values) != 1:
        raise _Odd
    return values[0]


def _unwind(values: list[Number], operators: list[str], precedence: dict[str, float], least: float) -> None:
    """Apply what stands on the stack and binds at least that strongly, down to a bracket."""
    while operators and operators[-1] != "(" and precedence[operators[-1]] >= least:
        operator, right = operators.pop(), values.pop()
        if operator == "negate":
            values.append(-right)
            continue
        if not values:
            raise _Odd
        result = _applied(operator, values.pop(), right)
        if result.numerator.bit_length() + result.denominator.bit_length() > BITS:
            raise _Odd
        values.append(result)


def _applied(operator: str, left: Number, right: Number) -> Number:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return Fraction(left) / right
    bits = left.numerator.bit_length() + left.denominator.bit_length()
    if right.denominator != 1 or bits * abs(right.numerator) > BITS:
        raise _Odd
    return Fraction(left) ** int(right)
