# ruff: noqa: RUF001 - look-alikes are meant
"""The texts of `hostile.py`: what may be slow to look at, SIZE characters of each kind.

A text is a function of a turn. Its unit is repeated, or differs each time by a number that goes on from turn to turn,
so that nothing which was seen, and may be remembered, comes again.
"""

from __future__ import annotations

from collections.abc import Callable

SIZE = 16_000  # characters
MOST = 8_000  # units of a text, at most

Text = Callable[[int], str]
"""The text of a turn, from 0 on."""


def repeated(unit: str) -> Text:
    text = (unit * (SIZE // len(unit) + 1))[: SIZE - 6]
    return lambda turn: f"{text}\n{turn}"


def counted(unit: Callable[[int], str], before: str = "", after: str = "") -> Text:
    """Units that differ by a number, between two fixed parts."""

    def text(turn: int) -> str:
        parts, length, number = [before], len(before) + len(after), turn * MOST
        while length < SIZE:
            parts.append(unit(number))
            length += len(parts[-1])
            number += 1
        return "".join(parts)[: SIZE - len(after)] + after

    return text


def word(number: int, letters: str = "etaoinshrdlucmfw", size: int = 7) -> str:
    """Letters that look like a word, another for each number."""
    mixed = (number + 1) * 2_654_435_761 % 2**32
    return "".join([letters[mixed * (place + 3) // 97 % len(letters)] for place in range(size)])


def fenced(language: str, unit: str, size: int) -> Text:
    """As many blocks of code as there is room for, each of about `size` characters; `_` is a name, ever another one."""
    lines = max(size // (len(unit) + 6), 1)

    def block(number: int) -> str:
        names = [unit.replace("_", word(number * lines + line)) for line in range(lines)]
        return f"```{language}\n{''.join(names)}\n```\n"

    return counted(block)


_CODE = {
    "python": "def _(a, b=1):\n    return [x**2 for x in range(a) if x % b == 0]\n",
    "json": '{"_": [1, 2.5, {"b": null}], "c": "d"}\n',
    "sql": "SELECT _, count(*) FROM t JOIN u ON t.a = u.b WHERE c > 1 GROUP BY a;\n",
    "javascript": "const _ = (a, b) => a.map(x => ({...x, [b]: `t${x}`}));\n",
    "typescript": "function _<T extends {a: number}>(x: T[]): Map<string, T> { return new Map(); }\n",
    "java": "class _ { static List<String> f(Map<String, List<Integer>> m) { return null; } }\n",
    "c": "static int _(int *a, size_t n) { for (int i = 0; i < n; i++) a[i] += (int)n; return a[0]; }\n",
    "cpp": "template <typename T> auto _(std::vector<T>& v) -> decltype(v[0]) { return v[0]; }\n",
    "go": "func _(a []int, b map[string]int) (int, error) { return a[0], nil }\n",
    "rust": "fn _<'a, T: Clone>(x: &'a [T]) -> Option<&'a T> { x.iter().next() }\n",
    "bash": 'for _ in $(ls *.txt | grep -v "a b"); do echo "${f%.txt}" >> out; done\n',
}
_BROKEN = {
    "python": "def _(a, b=(1:\n    return [x for x in\n",
    "json": '{"_": [1, 2.5, {"b": nul}], "c: "d"}\n',
    "sql": "SELECT _, FROM JOIN (SELECT IF t WHERE (a GROUP (BY;\n",
    "javascript": "a ? b : { _ => ( d [ e < f > `g${ h\n",
    "typescript": "a<b<c<_>(e: f<g => {h: i<j ? k\n",
    "java": "List<Map<String, < _ ( b [ c { d ? e\n",
    "c": "(a)(b)(_)*(d)(e) ( f [ g { h ;\n",
    "cpp": "a<b<c<d<_>(f)<g>::h<i ( j [ k { l\n",
    "go": "func _(a [] b map[ c { d ( e := f <- \n",
    "rust": "fn _<'a, T: <x: &'a [T -> Option<&' { x. ( |y| \n",
    "bash": 'for _ in $(ls `a $(b "c ${d do if [ e ; case f\n',
}

TEXTS: dict[str, Text] = {
    # numbers and sums
    "decimals": counted(lambda n: f"{n}.{n * 7 % 1000:03d} "),
    "decimals-close": counted(lambda n: f"{n % 97}.{n % 89},"),
    "decimals-lines": counted(lambda n: f"{n}.{n * n % 9973}\n"),
    "integers": counted(lambda n: f"{n * 7919 % 99991} "),
    "integers-same": repeated("12 "),
    "zeros": counted(lambda n: f"00{n} "),
    "thousands": counted(lambda n: f"{n % 9 + 1},{n % 900 + 100},{n * 7 % 900 + 100}.{n % 90 + 10} "),
    "separators": counted(lambda n: f"{n}.{n % 7}.{n % 5}.{n % 3} "),
    "digits": repeated("9"),
    "digits-31": repeated("1" * 31 + ","),
    "digit-lists": repeated("1,"),
    "digit-points": repeated("1."),
    "units": counted(lambda n: f"{n} kg at {n * 3 % 101} km/h for {n % 60} min, "),
    "money": counted(lambda n: f"${n}.{n % 90 + 10} and €{n * 3},{n % 900 + 100} "),
    "percents": counted(lambda n: f"{n * 0.37:.2f}% of {n} is {n * 0.0037 * n:.3f}; "),
    "dates": counted(lambda n: f"{1900 + n % 150}-{n % 12 + 1:02d}-{n % 28 + 1:02d} "),
    "dates-slashed": counted(lambda n: f"{n % 12 + 1}/{n % 28 + 1}/{1900 + n % 150}, "),
    "times": counted(lambda n: f"{n % 24}:{n % 60:02d}:{n * 7 % 60:02d} "),
    "fractions": counted(lambda n: f"{n}/{n + 7} "),
    "science": counted(lambda n: f"{n % 10}.{n}e-{n % 30} "),
    "spelled": repeated("one hundred and twenty three, half of a dozen, "),
    "operators": repeated("+-*/=^%<>"),
    "equals": repeated("= "),
    "ones": repeated("1="),
    "plus": repeated("1+"),
    "sums": counted(lambda n: f"{n} + {n * 3} = {n * 4}. "),
    "sums-wrong": counted(lambda n: f"{n} + {n * 3} = {n * 4 + 1}\n"),
    "sums-decimal": counted(lambda n: f"{n}.{n % 90 + 10} * 2.2 - 1.7 / 3.3 * 4.4^2 = {n}.12; "),
    "chains": counted(lambda n: f"{n}+1={n + 1}*2={2 * n + 2}-"),
    "terms": repeated("1+" * 480 + "1=2; "),
    "rounded": counted(lambda n: f"{n}/7/7/7/7*3 = 0.0{n}; "),
    "powers": repeated("2^64*2^64+3.33/7.77=5;"),
    "remainders": counted(lambda n: f"({n} - ({n} / (3 + 4))) * -2 = {n} mod 7, "),
    "words-equal": counted(lambda n: f"{n} equals x, "),
    "variables": counted(lambda n: f"x_{n} = y_{n} + {n}, "),
    "assignments": counted(lambda n: f"total_{n} = price_{n} * {n % 100} = {n}\n"),
    "calculator": counted(lambda n: f"<<{n}*3={3 * n}>>{3 * n} "),
    "latex": counted(lambda n: f"\\frac{{{n}}}{{{n + 1}}} \\times \\boxed{{{n}}} = \\sqrt{{{n}}} \\\\ "),
    "latex-fractions": repeated("\\frac{1}"),
    "program": repeated("\na = 3 * 4\nprint(a + 2)\nfor i in range(9):\n    a += i ** 2\n"),
    # brackets and marks
    "round-open": repeated("("),
    "nested": repeated("([{<" * 500 + ">}])" * 500),
    "pairs": repeated("()[]{}"),
    "marks": repeated(".,;:!?"),
    "dots": repeated(". "),
    "quotes": counted(lambda n: f'"{word(n)} {word(n + 1)} {word(n + 2)} said" '),
    "quotes-open": repeated('"a b c d '),
    "quotes-typographic": counted(lambda n: f"“{word(n)} {word(n + 1)} {word(n + 2)} x” „{word(n)} a b c“ "),
    "quotes-only": repeated('"'),
    "apostrophes": repeated("n't "),
    "backslashes": repeated("\\"),
    "backticks": repeated("`"),
    "fences": repeated("```\n"),
    "fences-named": repeated("```python\nx\n```\n"),
    "pipes": repeated("|"),
    # words
    "one-word": repeated("a"),
    "word-97": counted(lambda n: word(n, size=97) + " "),
    "word-101": counted(lambda n: word(n, size=101) + " "),
    "words": counted(lambda n: word(n) + " "),
    "words-short": counted(lambda n: word(n, size=2) + " "),
    "letters": repeated("a b c d e f g h i j "),
    "camel": counted(lambda n: f"{word(n).capitalize()}{word(n + 1).capitalize()} "),
    "names": counted(lambda n: f"the {word(n).capitalize()} {word(n + 1).capitalize()} and "),
    "capitals": counted(lambda n: word(n).capitalize() + " "),
    "upper": counted(lambda n: word(n).upper() + " "),
    "snake": counted(lambda n: f"{word(n)}_{word(n + 1)}_{n} "),
    "addresses": counted(lambda n: f"https://{word(n)}.example/{n}?q={word(n + 1)} "),
    "stop-words": repeated("the of and der die und le la les el los que il che di o os em het een van i w na "),
    "negations": repeated("not no never n't without false "),
    "hedges": repeated("maybe perhaps it seems i think that it depends, however around "),
    "refusals": repeated("I cannot say, but I can't, however I am not, sorry, "),
    "answers": counted(lambda n: f"The answer is {n}. "),
    "answers-text": counted(lambda n: f"The final answer is: {word(n)} {word(n + 1)}\n"),
    "corrections": repeated("Wait, let me recheck. Actually, that is wrong. "),
    "options": counted(lambda n: f"({'ABCDEFGHIJ'[n % 10]}) {word(n)} {n}\n"),
    "questions": counted(lambda n: f"Q: what is {n}?\nA: {n + 1}\n"),
    "prose": repeated("The committee met on Monday to discuss the plan, and it was agreed that more time was needed. "),
    "german": repeated("Die Zahl der Anträge ist im März über das Maß gestiegen, wie der Rat für Städte sagt. "),
    "french": repeated("L’été dernier, les élèves ont été reçus à la mairie où l’on a fêté leur succès. "),
    # other scripts
    "han": counted(lambda n: chr(0x4E00 + n * 7919 % 20_000)),
    "han-prose": repeated("他说，这个问题的答案是三十五。我们可能需要更多的时间！"),
    "japanese": repeated("この問題の答えは三十五です。もう少し時間が必要かもしれません。"),
    "korean": repeated("이 문제의 답은 서른다섯입니다. 시간이 더 필요할 수도 있습니다. "),
    "korean-mixed": counted(lambda n: chr(0xAC00 + n * 7919 % 11_000) + " " * (n % 3 == 0)),
    "cyrillic": repeated("Ответ на этот вопрос, возможно, тридцать пять, но я не уверен. "),
    "cyrillic-words": counted(lambda n: word(n, "оеаинтсрвлкмдпуя") + " "),
    "greek": repeated("Η απάντηση σε αυτή την ερώτηση είναι τριάντα πέντε. "),
    "arabic": repeated("الجواب على هذا السؤال هو خمسة وثلاثون، وهذا كل شيء. "),
    "hindi": repeated("इस प्रश्न का उत्तर पैंतीस है। "),
    "thai": repeated("คำตอบของคำถามนี้คือสามสิบห้า"),
    "combining": counted(lambda n: "aeiou"[n % 5] + chr(0x300 + n % 112)),
    "zalgo": counted(lambda n: word(n, size=1) + "".join([chr(0x300 + (n + k) % 112) for k in range(9)])),
    "vietnamese": repeated("Câu trả lời cho câu hỏi này là ba mươi lăm, và của những người được hỏi. "),
    "turkish": repeated("İstanbul'da bu sorunun cevabı otuz beştir, ıssız bir gece değil. "),
    "emoji": repeated("👩‍👩‍👧‍👦 ✅ 🇩🇪 1️⃣ "),
    "digits-foreign": counted(lambda n: "٠١٢٣٤٥٦٧٨٩"[n % 10] + "²½३ "[n % 4]),
    "letters-fancy": counted(lambda n: chr(0x1D400 + n % 600)),
    "characters": counted(lambda n: chr(0xA1 + n % 0xD000)),
    "invisible": repeated("\u200b\u200d\ufeff\u00ad"),
    "controls": counted(lambda n: chr(n % 32)),
    # layout, data, code
    "blanks": repeated(" "),
    "tabs": repeated("\t \t"),
    "line-ends": repeated("\n"),
    "line-ends-blank": repeated(" \n"),
    "lines-same": repeated("All work and no play makes a dull boy.\n"),
    "lines": counted(lambda n: f"{word(n)}\n"),
    "looped-end": repeated("and then he said to her that "),
    "bullets": counted(lambda n: f"- {word(n)} {n}\n"),
    "numbered": counted(lambda n: f"{n % 100}. **{word(n)}**: {n}\n"),
    "bold": repeated("**a** "),
    "markdown": counted(lambda n: f"## {word(n)}\n\n- **{word(n)}**: `{n}` [{word(n)}](https://a.example/{n})\n> x\n"),
    "table": counted(lambda n: f"| {word(n)} | {n} | {n * 3}.{n % 10} | {n % 100}% |\n"),
    "csv": counted(lambda n: f"{n},{word(n)},{n * 7}.{n % 100},{1900 + n % 150}-01-{n % 28 + 1:02d}\n"),
    "log": counted(lambda n: f"2024-01-{n % 28 + 1:02d}T10:{n % 60:02d}:00Z INFO {word(n)}={n} took {n * 7 % 997}ms\n"),
    "html": counted(lambda n: f'<div class="{word(n)}"><a href="#{n}">{n}</a></div>'),
    "hex": counted(lambda n: f"{n * 2_654_435_761 % 2**32:08x}"),
    "base64": counted(lambda n: word(n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 9)),
    "minified": counted(lambda n: f"var a{n}=function(b){{return b?c[{n}]:d({n},'x')&&e}};"),
    "json-deep": lambda turn: "[" * 7_990 + f"{turn}" + "]" * 7_990,
    "json-objects": repeated('{"a":'),
    "json-wide": counted(lambda n: f'"{word(n)}": {n}, ', "{", "}"),
    "json-prose": counted(lambda n: f"{n} + 1 = {n + 1}.\\n", '{"reasoning": "', '", "answer": 7}'),
    "json-escapes": counted(lambda n: "\\u00e9\\n\\\"", '{"answer": "', '"}'),
    **{f"{name}-small": fenced(name, code, 300) for name, code in _CODE.items()},
    **{f"{name}-large": fenced(name, code, 1_900) for name, code in _CODE.items()},
    **{f"{name}-broken": fenced(name, code, 300) for name, code in _BROKEN.items()},
    **{f"{name}-broken-large": fenced(name, code, 1_900) for name, code in _BROKEN.items()},
    **{f"{name}-brackets": fenced(name, "(" * 8 + "_" + ")" * 8 + ";\n", 1_900) for name in _CODE},
}  # fmt: skip

DOCUMENT = (
    "Answer from this report.\n\n"
    + "The depot at Leeds shipped 1,250 parcels on 3 March 2024, 37.5 of them per driver, and 12 were late. "
    "Ms Okafor wrote: “The late ones were all held at customs for two days.” "
    * 12
    + "\n\nHow many parcels were on time, and what share is that?"
)
_CARD = (
    "A customer asks where her new bank card is. Write her a short and friendly reply that explains what happens next, "
    "please."
)
_REPLY = (
    "Thank you for getting in touch. Your new card was ordered on Monday and is on its way to you by post. Most cards "
    "arrive within five working days, so please allow until the end of next week. If it has not come by then, let us "
    "know in the app under Cards, and we will cancel it and send another one at no cost to you. Until it is with you, "
    "you can keep paying with your phone: open the app, choose your account, and add the card to your wallet. It works "
    "in shops and online as the plastic one does. We are sorry for the wait, and we are here if you have any other "
    "questions."
)
_CLIPS = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. Each clip cost $3, "
    "and she gave 10% of what she earned to charity. How much did she keep?"
)
_KEPT = (
    "Let's work through this step by step.\n\n1. In April she sold 48 clips.\n2. In May she sold half as many: "
    "48 / 2 = 24 clips.\n3. Altogether she sold 48 + 24 = 72 clips.\n4. At $3 each she earned 72 * 3 = $216.\n"
    "5. She gave away 10% of that, which is 216 * 0.10 = $21.60.\n6. So she kept $216 - $21.60 = $194.40.\n\n"
    "The answer is $194.40."
)
_CELL = (
    "Which of the following best describes the primary role of the mitochondria in a cell?\nA. Storing genetic "
    "information\nB. Producing most of the cell's chemical energy\nC. Breaking down waste\nD. Building proteins"
)
_CHOSEN = (
    "The nucleus stores genetic information, lysosomes break down waste, and ribosomes build proteins. Mitochondria "
    "carry out aerobic respiration, which turns the energy of nutrients into ATP, so they produce most of the cell's "
    "chemical energy.\n\nThe answer is (B)."
)
_WRITE = "Write a Python function that returns the n-th Fibonacci number, with a short explanation."
_WRITTEN = (
    "Here is a function that works in linear time:\n\n```python\ndef fibonacci(n: int) -> int:\n    a, b = 0, 1\n"
    "    for _ in range(n):\n        a, b = b, a + b\n    return a\n```\n\nIt keeps the last two numbers and adds them "
    "`n` times, so it needs no list and no recursion."
)
ORDINARY = {
    "prose": (_CARD, _REPLY),
    "sums": (_CLIPS, _KEPT),
    "choice": (_CELL, _CHOSEN),
    "code": (_WRITE, _WRITTEN),
}
