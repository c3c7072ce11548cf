# ruff: noqa: RUF001 - the words of other scripts are meant
"""The check `refusal`: what declines, in twelve languages, and what only sounds like it."""

from __future__ import annotations

import pytest

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.refusal import refusal

REFUSES = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with this request.",
    "Sorry, I cannot provide medical advice.",
    "As an AI language model, I don't have access to your account.",
    "As a large language model, I am not able to browse the internet.",
    "I apologize, but I am unable to fulfill that request.",
    "Unfortunately, I don't have enough information to answer that.",
    "Thank you for asking! However, I must respectfully decline to do so.",
    "I'm just an AI, it's not within my programming to do this.",
    "**I cannot** is wrong here. I'm not able to share that.",
    "Hello,\n\nthank you. I won't be able to answer; we do not have any information about it. I can't discuss it.",
    "It is not appropriate or ethical to share somebody's address.",
    "This request goes against the rules.",
    "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten. Dabei kann ich nicht helfen.",
    "Als KI-Modell habe ich keine eigene Meinung.",
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Désolée, je ne suis pas en mesure de répondre à cette question.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "No tengo acceso a esa información.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Non ho accesso a queste informazioni.",
    "Desculpe, mas não posso ajudar com isso.",
    "Não tenho acesso a essa informação.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
    "Als AI-taalmodel heb ik geen mening.",
    "Przepraszam, ale nie mogę pomóc w tej sprawie.",
    "Niestety nie mam dostępu do tych informacji.",
    "Извините, но я не могу помочь с этим запросом.",
    "К сожалению, у меня нет доступа к этой информации.",
    "很抱歉，我无法提供这方面的信息。",
    "作为一个人工智能语言模型，我不能回答这个问题。",
    "申し訳ありませんが、そのご質問にはお答えできません。",
    "申し訳ございませんが、お手伝いすることはできません。",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "죄송합니다. 해당 정보를 제공할 수 없습니다.",
]
ANSWERS = [
    "Sorry for the wait! Your card ships tomorrow.",
    "I can't recommend it enough: the soup is wonderful.",
    "I'm sorry to hear that your card was lost. Open the app and choose Cards, then Block.",
    "I can't wait to see you on Sunday!",
    "As an AI engineer, you should learn statistics first.",
    "As an AI assistant, I'd be happy to plan your trip. Day one: the old town.",
    "You cannot withdraw more than 500 EUR a day.",
    "It is not possible to cancel a transfer once it has been sent.",
    "No, the shop is closed on Mondays.",
    "We don't charge for that.",
    "Dear Ms. Lopez,\n\nI am sorry, but I cannot offer you the position.\n\nKind regards",
    "Hi Sam,\nI can't help you move on Saturday. Can we do Sunday?",
    "The function does not return a value, so `x` is None.",
    "card_arrival",
    '{"intent": "card_not_working"}',
    "Ihre Karte wird morgen verschickt. Sie müssen nichts weiter tun.",
    "Tut mir leid, dass Sie warten mussten! Die Karte kommt morgen.",
    "Votre carte n'est pas encore arrivée. Vous pouvez en commander une autre.",
    "No se puede retirar más de 500 EUR al día.",
    "Lo siento por la espera. Tu tarjeta llega mañana.",
    "Non è necessario fare altro: la carta arriva domani.",
    "Você não precisa fazer nada. O cartão chega amanhã.",
    "De kaart wordt morgen verstuurd. Je hoeft niets te doen.",
    "Karta zostanie wysłana jutro. Nie musisz nic robić.",
    "Карта будет отправлена завтра. Ничего делать не нужно.",
    "抱歉让您久等了，您的卡明天寄出。",
    "お待たせして申し訳ありません。カードは明日発送されます。",
    "기다리게 해서 죄송합니다. 카드는 내일 발송됩니다.",
]


@pytest.mark.parametrize("text", REFUSES)
def test_a_refusal_is_seen(text: str) -> None:
    """An opening that declines or deflects fails, also while only its window has come."""
    assert refusal(request(), answer(text), CHECKS).passed is False
    assert refusal(request(), answer(text, complete=False, finish=None), CHECKS).passed is False


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_no_refusal(text: str) -> None:
    """Apologies, limits told to a customer and letters are answers."""
    assert refusal(request(), answer(text), CHECKS).passed is True


def test_the_models_own_refusal_counts() -> None:
    """A filled refusal field is one, whatever the text says."""
    assert refusal(request(), answer("", refusal="No."), CHECKS).passed is False


def test_one_choice_that_refuses_fails_the_answer() -> None:
    """All choices must answer; the detail says which did not, and quotes nothing."""
    found = refusal(request(n=2), answer("Tomorrow.", "I can't help with that."), CHECKS)
    assert (found.passed, found.detail) == (False, "choice 2 opens with one")


def test_nothing_to_look_at() -> None:
    """A tool call without text, or blanks, neither pass nor fail."""
    assert refusal(request(), answer(" "), CHECKS).passed is None


def test_only_the_opening_counts() -> None:
    """A reservation far inside an answer is part of the answer."""
    text = "The card is on its way. " * 20 + "I can't help with the parcel service's own site."
    assert refusal(request(), answer(text), CHECKS).passed is True
