# ruff: noqa: RUF001 - the words of other scripts are meant
"""The check `language`: which language a text is in, and answers in another one than was asked in."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer
from tierwise.scorers.language import language, language_of
from tierwise.types import Answer, Image, Message, Request, Text

TEXTS = {
    "en": "Your card will be sent tomorrow, and you should have it by the end of the week. You do not have to do "
    "anything else.",
    "de": "Ihre Karte wird morgen verschickt, und Sie werden sie bis zum Ende der Woche haben. Sie müssen nichts "
    "weiter tun, wenn das nicht der Fall ist.",
    "fr": "Votre carte est envoyée demain et elle sera chez vous avant la fin de la semaine. Vous ne devez rien faire "
    "de plus dans ce cas.",
    "es": "La tarjeta se envía mañana y la tendrá en casa antes del fin de semana. No es necesario hacer nada más "
    "para que llegue, pero puede preguntar por ella.",
    "it": "La carta viene spedita domani e sarà a casa prima della fine della settimana. Non è necessario fare altro, "
    "ma può chiedere quando vuole.",
    "pt": "O cartão será enviado amanhã e você não precisa fazer mais nada. Se ele não chegar até o fim da semana, "
    "também pode pedir uma segunda via.",
    "nl": "De kaart wordt morgen verstuurd en je hebt hem voor het einde van de week. Je hoeft niets te doen, "
    "maar je kan ook altijd bellen als dat niet zo is.",
    "pl": "Karta zostanie wysłana jutro i nie trzeba nic robić. Jeśli jednak jej nie ma do końca tygodnia, to można "
    "się do nas zgłosić, a także zadzwonić.",
    "sv": "Kortet skickas i morgon och du har det innan veckan är slut. Du behöver inte göra något, men du kan också "
    "ringa till oss om det inte kommer.",
    "tr": "Kart yarın gönderilecek ve hafta sonuna kadar elinizde olacak. Bir şey yapmanız gerekmiyor, ama daha sonra "
    "da bize sorabilirsiniz, çok kolay bir yol var.",
    "cs": "Karta se posílá zítra a je u vás do konce týdne. Není třeba nic dělat, ale pokud by to tak nebylo, která "
    "cesta je lepší, to je jen na vás, jako vždy.",
    "ro": "Cardul este trimis mâine și nu trebuie să faceți nimic. Dacă nu ajunge până la sfârșitul săptămânii, este "
    "mai bine să ne scrieți pentru un card nou.",
    "id": "Kartu akan dikirim besok dan tidak ada yang perlu dilakukan. Jika kartu itu belum sampai pada akhir minggu, "
    "anda dapat menghubungi kami untuk kartu baru.",
    "vi": "Thẻ sẽ được gửi vào ngày mai và bạn không cần làm gì thêm. Nếu thẻ không đến trong tuần này thì bạn có thể "
    "liên hệ với một người của chúng tôi.",
    "ru": "Карта будет отправлена завтра, и вам ничего не нужно делать. Если она не придет до конца недели, вы можете "
    "также написать нам, что это так.",
    "uk": "Картку буде надіслано завтра, і вам нічого не треба робити. Якщо вона не прийде до кінця тижня, ви також "
    "може написати нам, що це так.",
    "ar": "سيتم إرسال البطاقة غدا ولا يلزم أي شيء من قبلك. يمكن أن تصل في هذا الأسبوع إلى المنزل مع البريد.",
    "fa": "کارت فردا فرستاده می شود و شما نیازی به هیچ کاری ندارید. این کارت تا آخر هفته به دست شما می رسد که خوب است.",
    "el": "Η κάρτα θα σταλεί αύριο και δεν χρειάζεται να κάνετε τίποτα άλλο.",
    "he": "הכרטיס יישלח מחר ואין צורך לעשות שום דבר נוסף.",
    "hi": "कार्ड कल भेजा जाएगा और आपको कुछ और करने की आवश्यकता नहीं है।",
    "bn": "কার্ডটি আগামীকাল পাঠানো হবে এবং আপনাকে আর কিছু করতে হবে না।",
    "th": "บัตรจะถูกส่งในวันพรุ่งนี้และคุณไม่ต้องทำอะไรเพิ่มเติมอีกแล้ว",
    "ko": "카드는 내일 발송되며 더 이상 하실 일이 없습니다. 이번 주말까지 받으실 수 있습니다.",
    "ja": "カードは明日発送されますので、これ以上のお手続きは必要ありません。週末までに届きます。",
    "zh": "您的卡将于明天寄出，您不需要再做任何事情。如果本周末之前没有收到，请与我们联系，我们会补发一张新卡给您。",
}


def check(prompt: str, *texts: str, system: str = "") -> tuple[bool | None, float | None]:
    messages = (*((Message("system", system),) if system else ()), Message("user", prompt))
    found = language(Request(id="r", asked="s", messages=messages), answer(*texts), CHECKS)
    return found.passed, found.value


@pytest.mark.parametrize("code", TEXTS)
def test_languages_are_told_apart(code: str) -> None:
    """Two sentences are enough, whole and in capitals."""
    told, share = language_of(TEXTS[code])
    assert told == code
    assert share > 0.6
    assert language_of(TEXTS[code].upper())[0] == code


def test_a_question_is_enough() -> None:
    """Short ones too, also where most short words are in two languages."""
    assert language_of("What is that?") == ("en", 1.0)
    assert language_of("Спосіб для роботи?")[0] == "uk"
    assert language_of("Какой способ для работы?")[0] == "ru"


@pytest.mark.parametrize(
    "text", ["", "7", "x = y + 1", "Kubernetes", "the", "\u2014 \u2022", "\ud800", "🎉🎉", "Wäre oder"]
)
def test_no_words_no_language(text: str) -> None:
    """Numbers, formulas, a name and signs have none."""
    assert language_of(text) == ("", 0.0)


@pytest.mark.parametrize("code", ["de", "fr", "es", "nl", "pl", "tr", "ru", "zh", "ja", "ko", "ar", "th", "hi"])
def test_another_language_fails(code: str) -> None:
    """An English question with an answer in another language, and the other way round."""
    question = "I did not get my card, and I would like to know when it will be here. What should I do?"
    passed, value = check(question, TEXTS[code])
    assert passed is False
    assert (value or 0) >= 0.9
    assert check(TEXTS[code], TEXTS["en"])[0] is False
    assert check(TEXTS[code], TEXTS[code]) == (True, 0.0)


def test_capitals_throughout_are_no_names() -> None:
    """An answer in nothing but capitals fails as any other does."""
    assert check(TEXTS["en"], TEXTS["fr"].upper())[0] is False


def test_a_prompt_that_speaks_of_languages_is_not_judged() -> None:
    """Translations, and wishes for a language, in any of the messages."""
    assert check(f"Translate: {TEXTS['en']}", TEXTS["de"]) == (None, None)
    assert check(f"{TEXTS['en']} Please reply in German.", TEXTS["de"]) == (None, None)
    assert check(f"Übersetze bitte: {TEXTS['de']}", TEXTS["fr"]) == (None, None)
    assert check(f"翻译：{TEXTS['zh']}", TEXTS["en"]) == (None, None)
    assert check(TEXTS["en"], TEXTS["de"], system="Always answer in German.") == (None, None)


def test_the_operators_own_language_does_not_fail() -> None:
    """An answer in the language of the instructions is told, not failed."""
    passed, value = check(TEXTS["en"], TEXTS["de"], system=TEXTS["de"])
    assert passed is None
    assert (value or 0) > 0.9


def test_short_or_mixed_texts_don_t_fail() -> None:
    """A label, a name, a list of names, or half of each is not clear enough."""
    assert check(TEXTS["en"], "Das ist es.")[0] is None
    assert check("Was ist das?", TEXTS["en"])[0] is None
    assert check(TEXTS["en"], "card_arrival") == (None, None)
    assert (
        check(TEXTS["en"], "La Paz, El Paso, Los Angeles, Las Vegas, La Jolla, Le Havre, La Rochelle")[0] is not False
    )
    assert check(f"{TEXTS['en']}\n{TEXTS['de']}", TEXTS["de"])[0] is not False


def test_code_and_json_are_not_judged() -> None:
    """What is in a code block, or JSON, speaks for no language."""
    code = "```python\nfor the_card in all_of_the_cards: print('this is not the one that you are with')\n```"
    assert check(TEXTS["de"], code) == (None, None)
    assert check(TEXTS["de"], f"{code}\n{TEXTS['de']}") == (True, 0.0)
    assert check(TEXTS["de"], f'{{"text": "{TEXTS["en"]}"}}') == (None, None)


def test_the_worst_choice_and_the_newest_turn_count() -> None:
    """Every choice is looked at; of the request, the user's last turn, with all of its texts."""
    assert check(TEXTS["en"], TEXTS["en"], TEXTS["de"], TEXTS["en"])[0] is False
    parts = (Text(TEXTS["de"]), Image("https://example.com/a.png"))
    messages = (Message("user", TEXTS["en"]), Message("user", parts), Message("assistant", TEXTS["fr"]))
    found = language(Request(id="r", asked="s", messages=messages), answer(TEXTS["de"]), CHECKS)
    assert (found.passed, found.detail) == (True, "de")
    other = language(Request(id="r", asked="s", messages=messages), answer(TEXTS["en"]), CHECKS)
    assert (other.passed, other.detail) == (False, "en, asked in de")


def test_nothing_to_look_at() -> None:
    """No user turn, no choice: no finding."""
    nobody = Request(id="r", asked="s", messages=(Message("system", TEXTS["en"]),))
    assert language(nobody, answer(TEXTS["de"]), CHECKS).value is None
    asked = Request(id="r", asked="s", messages=(Message("user", TEXTS["en"]),))
    assert language(asked, Answer("cheap", ()), CHECKS).value is None


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "unit", ["the ", "wait ", "A", "7", '"', "x", " ", "字", "か", "слово и ", "é ", "\ud800", "```"]
)
def test_time_is_bounded(unit: str) -> None:
    """Whatever the texts consist of, 16,000 characters or more of them take little."""
    text = unit * (30_000 // len(unit))
    asked = Request(id="r", asked="s", messages=(Message("system", text),) * 9 + (Message("user", TEXTS["de"]),))
    began = thread_time()
    language(asked, answer(text), CHECKS)
    assert thread_time() - began < 0.05


WORDS = [
    "the",
    "and",
    "that",
    "you",
    "in",
    "per",
    "s",
    "von",
    "der",
    "é",
    "на",
    "字",
    "か",
    "card",
    "\u212a",
    "```",
    "?",
]


@given(st.lists(st.sampled_from(WORDS), max_size=60), st.sampled_from([" ", "\n", "\u00a0", ", ", "? ", "'"]))
@settings(max_examples=200, deadline=None)
def test_what_is_plainly_english_is_english(words: list[str], mark: str) -> None:
    """However a text's words are mixed, an answer's language is the one that `language_of` tells of the same text."""
    text = " ".join(words) + mark + mark.join(words)
    code, _ = language_of("\n".join(text.split("```")[::2]))
    request = Request(id="r", asked="s", messages=(Message("user", TEXTS["en"]),))
    found = language(request, answer(text), CHECKS)
    assert found.detail.split(",")[0] == code
    assert (found.value == 0.0) == (code == "en")


@pytest.mark.parametrize(
    "text",
    [
        "so the x the x the x the x the x the x in in in in in in in in",
        "the x the was so an am was so an am was so an am und ist nicht der das ein",
        "and the x the x in in",
    ],
)
def test_english_words_are_not_all_that_counts(text: str) -> None:
    """Neighbours of another language, and words that English shares with it; in a question as in an answer."""
    code = language_of(text)[0]
    ask = Request(id="r", asked="s", messages=(Message("user", TEXTS["en"]),))
    assert language(ask, answer(text), CHECKS).detail.split(",")[0] == code
    back = Request(id="r", asked="s", messages=(Message("user", text),))
    assert language(back, answer(text), CHECKS).detail == code


def test_a_word_that_the_limit_cuts_speaks_for_nobody_else() -> None:
    """Also where English leads by a word only."""
    text = "and in in\n" * 299
    for start in range(12):
        cut = f"{'x' * start} {text} the the interest"
        code = language_of(cut)[0]
        request = Request(id="r", asked="s", messages=(Message("user", TEXTS["en"]),))
        assert language(request, answer(cut), CHECKS).detail.split(",")[0] == code


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_has_a_share(prompt: str, text: str) -> None:
    """In [0, 1], and 0 exactly where the language is unknown; a mismatch likewise."""
    code, share = language_of(text)
    assert (code == "") == (share == 0.0)
    assert 0.0 <= share <= 1.0
    value = check(prompt, text)[1]
    assert value is None or 0.0 <= value <= 1.0
