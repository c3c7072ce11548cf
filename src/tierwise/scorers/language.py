# ruff: noqa: RUF001 - the words of other scripts are meant
"""Which language a text is in, and the free check `language`: the answer is in the language of the question.

No model: characters by their script, and for scripts that several languages share the words that every text of a
language has. Linear time, and only the first characters are read (READ). Code, formulas, names and a few words have
no language here; what is unknown is judged by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct

from tierwise.scorers.features import prompt_of, prompt_words, words_of
from tierwise.scorers.reading import clipped
from tierwise.types import Answer, Checks, Evidence, Request

READ = 2000  # characters; a language shows long before
MIN_LETTERS = 40  # on both sides, for an answer to fail
MIN_WORDS = 5  # different ones that tell the language, on both sides, in scripts of many languages ...
MIN_DENSITY = 0.15  # ... and their share of all words; prose has a third and more, lists of names next to none
CLEAR = 0.9  # share of the telling words (or letters) that one language has, on both sides, for an answer to fail

WIDE = 3  # letters that a character of Chinese or Japanese is worth; a Korean one is worth two
LOOK, TURNS = 4000, 8  # characters of each of the newest turns in which languages are spoken of

# High bytes of UTF-16 code units -> the class of script they are counted in.
_SCRIPTS = {
    "latin": (0x00, 0x01, 0x02, 0x1E),
    "greek": (0x03, 0x1F),
    "cyrillic": (0x04,),
    "hebrew": (0x05,),
    "arabic": (0x06, 0xFB, 0xFE),
    "indic": (0x09,),
    "thai": (0x0E,),
    "kana": (0x30,),
    "hangul": (0x11, *range(0xAC, 0xD8)),
    "han": tuple(range(0x34, 0xA0)),
}
_CLASS = bytes(
    next((number for number, highs in enumerate(_SCRIPTS.values(), 1) if high in highs), 0) for high in range(256)
)
# Scripts that only one of the languages told apart here is written in; kana and Han are weighed together.
_ALONE = {"greek": "el", "hebrew": "he", "thai": "th", "hangul": "ko", "indic": "hi"}
_BENGALI = "bn"  # shares its high byte with Devanagari

# The words that tell: frequent, short, and each in as few of these languages as can be.
_STOP_WORDS = {
    "en": (
        "the of and to is that it for was with as be this are have from or not but what all were when can there "
        "which their will would should how you your they has been if more about who these than then a an i do "
        "does we my me on at by so no he his she her us our its out up into over one two am go"
    ),
    "de": (
        "der die und das ist nicht ein eine mit auf für von zu den dem des sich auch wie aber oder wird werden "
        "sind bei aus nach kann ich sie wir es noch nur wenn über einen einer durch haben hat zum zur im am in an "
        "so als was wer man uns ihr ihre ihren dass diese dieser alle mehr sehr bis da dann hier muss müssen "
        "können sollte war waren würde wurde etwas nichts weiter"
    ),
    "fr": (
        "le la les des et est une dans pour que qui sur avec pas par plus ce cette sont il elle vous nous au aux "
        "du ne ou être leur mais comme ses avoir peut fait je votre ces été d'un d'une c'est de en un y a à se "
        "son sa on tout tous faire très sans si vos mes même bien"
    ),
    "es": (
        "el la los las y que en un una por con para es se del al como su más pero sus este esta lo son fue muy "
        "cuando hay también puede entre está todo sin sobre ser años ya desde cómo qué usted de a no me te le les "
        "si ni e o u donde cada nada antes"
    ),
    "it": (
        "il lo la gli e che di un una per con è non si del della dei delle nel nella come più ma sono anche "
        "questo questa da al alla essere ha dal suo loro quando tra può ogni cui sua dalla de a i o in ci se mi "
        "ti le uno alle agli sul sulla fare prima"
    ),
    "pt": (
        "o os as e que em um uma para com não é se do da dos das no na nos nas por mais como mas ao foi são seu "
        "sua também pode ser quando você ou isso está pelo pela há muito já entre até de a à às lhe nem sem fazer"
    ),
    "nl": (
        "de het een en van is dat niet op te zijn voor met die aan er ook als om maar bij naar kan wordt dan nog "
        "uit hun door over je wij heeft hebben worden deze dit geen meer veel wat hoe in of was ze we u uw mijn "
        "tot altijd al zo"
    ),
    "pl": (
        "i w na z do nie się to jest że o jak po co tak za od przez dla są czy ale był może ich oraz które który "
        "być tym jego tego jeśli można a u we ta te ten ci my wy ma mam nic tylko pod przed bez więc jednak"
    ),
    "sv": (
        "och att det som en på är av för med den till inte om ett har de från kan eller vi så men var när ska du "
        "hur också jag vid finns detta i han hon din mitt här där mer bara nu ut upp"
    ),
    "da": (
        "og at det er en til på som af for med den ikke de har et kan om eller vi men fra der når hvordan også "
        "skal være blev jeg ved hvis i du han hun din mit her mere bare nu ud op"
    ),
    "tr": (
        "ve bir bu için ile da de olarak çok daha en olan gibi ne kadar var ama mı değil ya sonra her veya bunu "
        "olduğunu şey nasıl ise olabilir o ben biz siz sen mi az olacak"
    ),
    "cs": (
        "a se na je že to v s z do o jako pro ale by si za jsou podle nebo který které být byl není také jeho "
        "může aby jsem ve i k u my vy ten ta tak jak jen už nic"
    ),
    "ro": (
        "și de la în cu pe care este nu o că un din pentru sunt mai sau ca fi au se prin dar ce fost acest poate "
        "această după a le ei eu el ea noi voi ne vă"
    ),
    "id": (
        "dan yang di untuk dengan dari ini itu pada adalah tidak dalam akan ke atau juga oleh sebagai dapat bisa "
        "anda lebih ada mereka saya kami karena kita jika maka lagi sudah belum"
    ),
    "vi": (
        "và của là có không cho các được trong một những với để này khi người đã từ như bạn về ra cũng thể đến "
        "thì nếu làm chúng tôi"
    ),
    "ru": (
        "и в не на что с по как это для из то от но или его за так же к у при был может если чтобы также вы мы "
        "она они было быть который которые я он её их ли бы там тут вот только уже нет да о во со ничего мне вас "
        "вам нам"
    ),
    "uk": (
        "і в не на що з як це для та від але або його за так же до при може якщо щоб також ви ми вона вони бути "
        "який які є у я він її їх чи б там тут тільки вже ні о нам вам вас нічого"
    ),
    "ar": (
        "في من على إلى أن هذا هذه التي الذي عن مع كان ما لا هو هي أو كل بعد قد يمكن بين كما ذلك إن ثم حتى عند أي "
        "ليس لم لن"
    ),
    "fa": (
        "و در به از که این را با است برای آن یک می تا هم ها شود بر خود یا های کند شما من او ما آنها هر نیز اگر کنید"
    ),
}
_TELLS: dict[str, tuple[str, ...]] = {}
for _language, _words in _STOP_WORDS.items():
    for _word in _words.split():
        _TELLS[_word] = (*_TELLS.get(_word, ()), _language)
# One number for each word: added up, its sixteen bits from the lowest on count the words that tell something, and the
# next ones, language by language, those that tell that one. A text that is read has too few words for a carry.
_CODES = list(_STOP_WORDS)
_SUMS = {word: 1 + sum([1 << 16 * (1 + _CODES.index(code)) for code in codes]) for word, codes in _TELLS.items()}
_COUNTS = Struct(f"<{1 + len(_CODES)}H2x")
_WORDS_OF = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
# Words of English alone, and how they stand in a text; and those of other languages alone.
_ENGLISH = {word: f" {word} " for word, codes in _TELLS.items() if codes == ("en",)}
_ENGLISH_WORDS = frozenset(_ENGLISH)
_STRAYS = frozenset([word for word in _TELLS if word.isascii()]) - _WORDS_OF["en"]

# A prompt that speaks of languages may want any of them: names of languages, and words for translating.
_LANGUAGES = (
    "english german french spanish italian portuguese dutch polish swedish danish turkish czech romanian "
    "indonesian vietnamese russian ukrainian arabic persian farsi greek hebrew hindi thai korean chinese mandarin "
    "cantonese japanese norwegian finnish hungarian latin bilingual multilingual language languages translate "
    "translated translation translator englisch deutsch französisch spanisch italienisch portugiesisch "
    "niederländisch polnisch russisch chinesisch japanisch sprache übersetze übersetzen übersetzung anglais "
    "allemand français espagnol italien portugais néerlandais russe chinois japonais langue traduis traduire "
    "traduction traduisez inglés ingles alemán francés español italiano portugués ruso chino japonés idioma "
    "traduce traducir traducción traduzca inglese tedesco francese spagnolo portoghese russo cinese giapponese "
    "lingua traduci tradurre traduzione inglês alemão francês espanhol língua traduza traduzir tradução engels "
    "duits frans spaans taal vertaal vertalen vertaling angielski polski niemiecki język przetłumacz tłumaczenie "
    "английский английском немецкий русский русском французский языке переведи перевести перевод"
)
_NAMES = frozenset(_LANGUAGES.split())
_NAMES_UNSPACED = (
    "英语",
    "英文",
    "中文",
    "汉语",
    "日语",
    "英語",
    "日本語",
    "中国語",
    "翻译",
    "翻訳",
    "영어",
    "한국어",
    "번역",
)
_MARKS = "\u3000\u3001\u3002\u300a\u300b\u300c\u300d\u300e\u300f\u3010\u3011"  # share their high byte with kana
_UKRAINIAN = "\u0456\u0457\u0454"  # letters that Russian does not have; most short words are in both
_NO_LETTERS = bytes(byte for byte in range(128) if not chr(byte).isalpha())
_SPACED = bytes(32 if chr(byte).isspace() or byte == ord("?") else byte for byte in range(256))


def language_of(text: str) -> tuple[str, float]:
    """(ISO 639-1 code, share in [0, 1]) of the language a text is mostly in; ("", 0.0) where that is unknown.

    The share is that of the letters where the script decides, of the telling words where they do.
    """
    return _heard(text[:READ])


def language(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Every choice is in the language of the newest user turn, unless the request speaks of languages itself.

    The value is how sure a mismatch is, in [0, 1], in the worst choice: 0 where the languages are the same, else the
    smaller of both shares; None where either is unknown. It fails where both are clear and long enough, and where
    the answer's is not that of the operator's own instructions either.
    """
    answered = [_answered_in(choice.text) for choice in answer.choices]
    if not any(answered):
        return Evidence("language", None)
    turns = [message.text for message in request.messages if message.role == "user"]
    asked = _asked_in(turns)
    if not asked:
        return Evidence("language", None)
    if {asked, ""}.issuperset(answered):
        return Evidence("language", True, asked, 0.0)
    if _speaks_of_languages(request):
        return Evidence("language", None)
    return _mismatch(request, answer, _prose(turns[-1]))


def _mismatch(request: Request, answer: Answer, question: str) -> Evidence:
    """What there is to tell where a choice is in another language than the question."""
    asked, share = language_of(question)
    worst, detail, failed = -1.0, "", False
    for choice in answer.choices:
        said = _prose(choice.text)
        answered, certainty = language_of(said)
        mismatch = min(share, certainty) if answered != asked else 0.0
        if answered and mismatch > worst:
            worst, detail = mismatch, asked if answered == asked else f"{answered}, asked in {asked}"
            clear = mismatch >= CLEAR and _enough(question, asked) and _enough(said, answered)
            failed = clear and not _instructed(request, answered)
    return Evidence("language", False if failed else None, detail, worst)


def _answered_in(text: str) -> str:
    """The language of the text's prose, in fewer steps where that is plainly English."""
    prose = _prose(text)
    words = words_of(clipped(text))
    return "en" if _plainly_english(prose, words.lower, len(words.beyond)) else language_of(prose)[0]


def _asked_in(turns: list[str]) -> str:
    """The language of the newest of a user's turns; fewer steps where it is the only one, whose words are known."""
    if not turns:
        return ""
    prose = _prose(turns[-1])
    known = len(turns) == 1 and turns[-1].isascii()
    plainly = known and _plainly_english(prose, prompt_words(clipped(turns[-1])), 0)
    return "en" if plainly else language_of(prose)[0]


def _plainly_english(prose: str, known: frozenset[str], beyond: int) -> bool:
    """Whether there are so many words of English alone that no other language, nor script, can have more.

    `known`, the words of the text in lower case, and how many characters there are beyond ASCII. False says nothing.
    What may speak for others is counted too high: by words in all of the text, a letter of another script as a word (it
    weighs at most WIDE), words among neighbours twice, and one that the end cut into being.
    """
    low = prose[:READ].lower()
    if " the " not in low:
        return False
    others = 1 + beyond
    strays = _STRAYS & known
    if strays:
        spaced = f" {low} ".encode("ascii", "replace").translate(_SPACED)
        others += sum([_at_most(spaced, f" {word} ".encode()) for word in strays])
    english = 0
    for word in _ENGLISH_WORDS & known:
        english += low.count(_ENGLISH[word])
        if english > others:
            return True
    return False


def _at_most(spaced: bytes, word: bytes) -> int:
    """How often a word with its spaces stands there; of neighbours, which share a space, only every other is found."""
    found = spaced.count(word)
    return 2 * found if word + word[1:] in spaced else found


@lru_cache(maxsize=4)
def _heard(text: str) -> tuple[str, float]:
    """`language_of` a text that is short enough, remembered for as long as several look at it."""
    if text.isascii():
        code, share, times = _by_words(text)
        return (code, share) if times > 1 else ("", 0.0)
    letters = _letters(text)
    total = sum(letters.values()) - letters.get("kana", 0)
    script = max(letters, key=letters.__getitem__)
    if not total or not letters[script]:
        return "", 0.0
    share = min(letters[script] / total, 1.0)
    if script in {"han", "kana"}:
        return "ja" if letters["kana"] * WIDE > 0.1 * letters["han"] else "zh", share
    if script in _ALONE:
        return _BENGALI if script == "indic" and any(mark in text for mark in "\u09be\u09b0") else _ALONE[script], share
    code, telling, times = _by_words(text)
    if times < 2 and script == "latin":
        return "", 0.0
    if code == "ru" and any(mark in text for mark in _UKRAINIAN):
        code = "uk"
    return code, min(share, telling)


@lru_cache(maxsize=4)
def _letters(text: str) -> Mapping[str, int]:
    """How many letters of each script; of Chinese and Japanese together, weighed by what a character is worth."""
    ascii_text = text.encode("ascii", "ignore")
    letters = {"latin": len(ascii_text.translate(None, _NO_LETTERS))}
    if len(ascii_text) < len(text):
        classes = text.encode("utf-16-le", "surrogatepass")[1::2].translate(_CLASS)
        counted = {script: classes.count(number) for number, script in enumerate(_SCRIPTS, 1)}
        letters["latin"] += counted.pop("latin") - len(ascii_text)
        letters |= counted
        letters["hangul"] *= 2
        letters["kana"] -= sum([text.count(mark) for mark in _MARKS]) if letters["kana"] else 0
        letters["han"] = WIDE * (letters["han"] + letters["kana"])  # written together, and a word in a character or two
    return letters


@lru_cache(maxsize=4)
def _by_words(text: str) -> tuple[str, float, int]:
    """(code, share of the telling words that the language has, how many those are)."""
    words = text.lower().split()
    sums = sum(filter(None, map(_SUMS.get, words)))
    telling, *points = _COUNTS.unpack(sums.to_bytes(_COUNTS.size, "little"))
    times = max(points)
    if not times:
        return "", 0.0, 0
    code = _CODES[points.index(times)]
    if points.count(times) > 1:  # the one that a word tells first
        codes = [code for code, count in zip(_CODES, points, strict=True) if count == times]
        code = next(code for word in words for code in _TELLS.get(word, ()) if code in codes)
    return code, times / telling, times


def _enough(text: str, code: str) -> bool:
    """Whether there is enough of the language in the text to go by."""
    text = text[:READ]
    if max(_letters(text).values()) < MIN_LETTERS:
        return False
    if code not in _WORDS_OF:  # its script tells it
        return True
    told, _, times = _by_words(text)
    words = (text.lower() if text.isupper() else text).split()  # with a capital it may be of a name: Las Vegas
    return len(_WORDS_OF[told].intersection(words)) >= MIN_WORDS and times >= MIN_DENSITY * len(words)


def _prose(text: str) -> str:
    """What is left to have a language: no code blocks, and no JSON, whose keys are in English."""
    text = text[: 2 * READ]
    if text[:64].lstrip()[:1] in {"{", "["}:
        return ""
    return "\n".join(text.split("```")[::2]) if "```" in text else text


def _instructed(request: Request, code: str) -> bool:
    told = [message.text for message in request.messages if message.role in {"system", "developer"}]
    return any(language_of(text)[0] == code for text in told)


def _speaks_of_languages(request: Request) -> bool:
    text = "\n".join([message.text[:LOOK] for message in request.messages[-TURNS:]])
    words = prompt_words(text) if text == prompt_of(request) else words_of(text.lower()).lower
    return not _NAMES.isdisjoint(words) or (not text.isascii() and any(map(text.__contains__, _NAMES_UNSPACED)))
