"""Small programs, worked out without running anything."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.arithmetic_program import LIMIT, run_arithmetic


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("ans = 2 + 3 * 4", "14"),
        ("# a comment\napples = 12\nans = apples // 5 % 2", "0"),
        ("total = 10\nans = total / 4", "2.5"),
        ("ans = 0.1 + 0.2", "0.3"),
        ("ans = 2 ** 10 - -1", "1025"),
        ("price = 3\nprice += 4\nprice", "7"),
        ("print(6 * 7)", "42"),
        ("def solution():\n    x = 5\n    return x * 2", "10"),
        ("def half(x, by=2):\n    return x / by\nans = half(9) + half(x=8, by=4)", "6.5"),
        ("ans = 0\nfor i in range(1, 11):\n    if i % 2:\n        continue\n    ans += i", "30"),
        ("n = 0\nwhile True:\n    n += 1\n    if n * n > 50:\n        break\nans = n", "8"),
        ("ans = sum(x * x for x in range(5) if x != 2)", "26"),
        ("a, b = 3, 4\nans = math.sqrt(a ** 2 + b ** 2)", "5"),
        ("import math\nans = math.ceil(7 / 2) + abs(min([3, -1])) + max(1, 2)", "7"),
        ("counts = {1: 2, 3: 4}\nans = 0\nfor k, v in counts.items():\n    ans += k * v", "14"),
        ("xs = [3, 1, 2]\nxs.append(9)\nxs.sort()\nans = xs[-1] - xs[0] + len(xs[1:3])", "10"),
        ("from collections import Counter\nans = Counter([1, 2, 2]).most_common(1)[0][0]", "2"),
        ("ans = 'yes' if 3 > 2 and not 1 == 2 else 'no'", "yes"),
        ("h, m = divmod(135, 60)\nans = f'{h}:{m:02d}'", "2:15"),
        ("ans = round(10 / 3, 2) + round(2.6) + math.lcm(4, 6)", "18.33"),
        ("x = 4.0\nans = int(x) if x.is_integer() else 0", "4"),
        ("a, b = [1, 2]\nxs = [0, 0]\nxs[1] = a\nxs[1] += b\nans = xs", "[0, 3]"),
        ("ans = {k: v * 2 for k, v in [(1, 2)]}[1]", "4"),
        ("ans = sum(x * y for x in [1, 2] for y in [3, 4])", "21"),
        ("ans = 0\nfor x in []:\n    pass\nelse:\n    ans = 1\nwhile False:\n    pass\nelse:\n    ans += 1", "2"),
        ("def f():\n    x = 1\nf()\nx = 3", "3"),
        ("def f(x):\n    return\nans = 2 if f(1) is None else 3", "2"),
        ("ans = math.pi > 3 and (0 or 5)", "5"),
        ("ans = math.comb(5, 2) + math.factorial(3) + math.prod([2, 3]) + math.gcd(4, 6)", "24"),
        ("ans = len({1, 1, 2}) + len((1,)) + list(zip([1], [2]))[0][1] + list(enumerate([7]))[0][1]", "12"),
        ("ans = [1] * 3 + [2]", "[1, 1, 1, 2]"),
        ("ans = 1 < 2 < 3 < 3", "False"),
        ("ans = f'{date(2020, 1, 2)} {date(2020, 1, 2):%d}'", "2020-01-02 02"),
        ("ans = 'a, B'.lower().count('a')", "1"),
        ("Here it is:\n```python\nans = 1 + 1\n```\nDone.", "2"),
    ],
)
def test_arithmetic_is_worked_out(code: str, result: str) -> None:
    """The value of `ans`, of `solution()`, or of what was printed or assigned last."""
    assert run_arithmetic(code) == result


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("today = date(2021, 4, 30)\nans = (today + timedelta(days=1)).strftime('%m/%d/%Y')", "05/01/2021"),
        ("from datetime import date\nans = date(2020, 2, 29) + relativedelta(years=1)", "2021-02-28"),
        ("ans = date(2001, 1, 31) + relativedelta(months=1)", "2001-02-28"),
        ("ans = date(2002, 1, 15) - relativedelta(months=1, days=5)", "2001-12-10"),
        ("ans = date(2012, 5, 9) + relativedelta(months=1, day=1)", "2012-06-01"),
        ("import datetime\nans = (datetime.date(2020, 3, 1) - datetime.date(2020, 2, 1)).days", "29"),
        ("from datetime import datetime\nans = datetime.strptime('02/03/2004', '%d/%m/%Y').month", "3"),
        ("d = date(2001, 11, 1)\nwhile d.weekday() != 3:\n    d += timedelta(days=1)\nans = d.day", "1"),
    ],
)
def test_dates_are_worked_out(code: str, result: str) -> None:
    """Days, weeks and months, a day beyond a month's end being its last."""
    assert run_arithmetic(code) == result


@pytest.mark.parametrize(
    "code",
    [
        "",
        "The answer is 5.",
        "ans = x + 1",
        "ans = 1 / 0",
        "ans = [1][5]",
        "ans = date.today()",
        "ans = solve(Eq(x, 2), x)",
        "ans = (1).__class__",
        "ans = [].__class__.__base__.__subclasses__()",
        "ans = open('/etc/passwd').read()",
        "ans = __import__('os').system('true')",
        "ans = eval('1')",
        "ans = getattr(1, 'real')",
        "ans = lambda: 1",
        "class A:\n    pass\nans = 1",
        "ans = '{:9}'.format(1)",
        "ans = '%999999d' % 1",
        "ans = f'{1:>99999999}'",
        "ans = date(2020, 1, 1).strftime('%9999d')",
        "ans = 9 ** 9 ** 9",
        "ans = 10 ** 400",
        "ans = (-8) ** 0.5",
        "ans = 1e308 * 10",
        "ans = 'a' * 10 ** 9",
        "ans = [0] * 10 ** 9",
        "ans = range(10 ** 9)",
        "ans = math.factorial(10 ** 6)",
        "ans = sum([[1] * 900] * 900, [])",
        "x = [[1] * 900] * 900\nans = str([x] * 900)",
        "ans = int('9' * 900)",
        "ans = 0\nwhile True:\n    ans += 1",
        "def f(n):\n    return f(n)\nans = f(1)",
        "ans = " + "(" * 5000,
        "ans = " + "1+" * 3900 + "1",
        "x = " + "1" * 5000,
        "ans = '\\d'",
        "ans = 1if 2 else 3",
        "a, b = [1]",
        "x.y = 1",
        "x.y += 1",
        "def f(*a):\n    return 1\nans = f()",
        "def f(a):\n    return 1\nans = f()",
        "ans = max(*[1, 2])",
        "ans = max(**{})",
        "ans = {**{}}",
        "ans = b'x'",
        "ans = 1 @ 2",
        "ans = (1)(2)",
        "ans = [1, [2, [3, [4]]]]",
        "ans = math.comb(10 ** 6, 5)",
        "ans = date(9999, 12, 31) + timedelta(days=9)",
        "ans = datetime.strptime('x' * 50, '%d')",
        "ans = round(5, -(10 ** 12))",
        f"ans = math.lcm({','.join(['7'] * 30)})",
        "ans = print",
        "ans = timedelta(days=1)",
        "ans = None",
        "def f():\n    yield 1\nans = f()",
        "return 5",
        "break",
        "ans = 1\0",
        "x = 1\n" * LIMIT,
    ],
)
def test_anything_else_has_no_result(code: str) -> None:
    """Unknown names and attributes, mistakes, and whatever could grow: no result, no exception, no warning."""
    assert run_arithmetic(code) is None


@pytest.mark.unmeasured
def test_loops_end_soon() -> None:
    """Steps are counted, so a program that never ends costs milliseconds."""
    start = time.thread_time()
    assert run_arithmetic("a = [1] * 900\nfor i in a:\n    for j in a:\n        a = sorted(a)") is None
    assert time.thread_time() - start < 0.5


@given(st.text(max_size=60) | st.text("ans=+-*/%()[]{}:'\"\n 0123456789forin.", max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_text_raises(text: str) -> None:
    """Any text is a program with a result, or has none."""
    found = run_arithmetic(text)
    assert found is None or isinstance(found, str)


@given(st.integers(-999, 999), st.integers(1, 99), st.integers(-99, 99))
@settings(max_examples=60, deadline=None)
def test_as_python_works_it_out(a: int, b: int, c: int) -> None:
    """Integer arithmetic is Python's own."""
    assert run_arithmetic(f"a = {a}\nb = {b}\nans = a // b + a % b * {c} - b") == str(a // b + a % b * c - b)
