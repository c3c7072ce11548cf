"""The free check `hedging`: how often an answer says that it is not sure, or takes half of it back.

Words and phrases as data, by language. On questions with one right answer, hedged answers are wrong more often than
others; in open-ended chat they are not, and there the value says little. So it is told and fails nothing.

Knows nothing of whether the doubt is justified, nor of questions that ask for an estimate.
"""

from __future__ import annotations

import re

from tierwise.scorers.features import words_of
from tierwise.scorers.reading import clipped
from tierwise.types import Answer, Checks, Evidence, Request

PER = 100.0  # words
LEAST = 20  # words that a shorter answer counts as, so that one "probably" alone is not all of it
MOST = 256  # places of one text that may be hedges, that are looked at
UNSPACED = 2.0  # characters of Chinese or Japanese that count as a word

# Phrases of whole words, separated by "|". Doubt, estimates, assumptions, giving up; then reservations ("however").
_PHRASES = {
    "en": (
        "might|maybe|perhaps|probably|possibly|presumably|seemingly|i think|i believe|i guess|i assume|i'm not sure|"
        "i am not sure|not certain|not entirely clear|not clear|unclear|uncertain|unsure|it seems|seems to be|"
        "appears to be|approximately|roughly|around|more or less|estimate|assuming|assume|if we assume|it depends|"
        "difficult to say|hard to say|cannot be determined|can't be determined|cannot determine|can't determine|"
        "impossible to determine|not enough information|insufficient information|more information|not provided|"
        "not specified|not given|not possible|closest to|the closest|none of the|"
        "not among|not match|educated guess|best guess|most likely|typo|ambiguous|however|unfortunately|although"
    ),
    "de": (
        "vielleicht|wahrscheinlich|möglicherweise|vermutlich|eventuell|ich denke|ich glaube|ich vermute|nicht sicher|"
        "unsicher|unklar|ungefähr|etwa|schätzungsweise|angenommen|es scheint|scheint zu|schwer zu sagen|hängt davon|"
        "nicht genug informationen|weitere informationen|nicht angegeben|keine der|am nächsten|allerdings|jedoch|"
        "leider"
    ),
    "fr": (
        "peut-être|probablement|sans doute|éventuellement|je pense|je crois|je suppose|pas sûr|pas certain|incertain|"
        "environ|approximativement|à peu près|supposons|en supposant|il semble|semble être|difficile à dire|"
        "cela dépend|pas assez d'informations|plus d'informations|aucune des|le plus proche|cependant|toutefois|"
        "malheureusement"
    ),
    "es": (
        "quizás|quizá|tal vez|probablemente|posiblemente|creo que|pienso que|supongo|no estoy seguro|no estoy segura|"
        "incierto|aproximadamente|alrededor de|más o menos|suponiendo|asumiendo|parece que|difícil de decir|"
        "depende de|más información|información suficiente|ninguna de las|más cercana|más cercano|sin embargo|"
        "lamentablemente"
    ),
    "it": (
        "forse|probabilmente|possibilmente|penso che|credo che|suppongo|non sono sicuro|non sono sicura|incerto|"
        "circa|approssimativamente|più o meno|supponendo|assumendo|sembra che|difficile dire|dipende da|"
        "maggiori informazioni|informazioni sufficienti|nessuna delle|più vicino|più vicina|tuttavia|purtroppo"
    ),
    "pt": (
        "talvez|provavelmente|possivelmente|acho que|acredito que|suponho|não tenho certeza|incerto|aproximadamente|"
        "cerca de|mais ou menos|supondo|assumindo|parece que|difícil dizer|depende de|mais informações|"
        "informações suficientes|nenhuma das|mais próximo|mais próxima|no entanto|porém|infelizmente"
    ),
    "nl": (
        "misschien|waarschijnlijk|mogelijk|wellicht|vermoedelijk|ik denk|ik geloof|niet zeker|onzeker|onduidelijk|"
        "ongeveer|circa|aannemende|het lijkt|moeilijk te zeggen|hangt af|meer informatie|geen van de|echter|helaas"
    ),
    "pl": (
        "może|prawdopodobnie|chyba|być może|myślę że|sądzę że|nie jestem pewien|niejasne|około|mniej więcej|"
        "zakładając|wydaje się|trudno powiedzieć|zależy od|więcej informacji|żadna z|jednak|niestety"
    ),
    "ru": (
        "возможно|вероятно|наверное|может быть|скорее всего|думаю|полагаю|не уверен|не уверена|неясно|примерно|"
        "приблизительно|около|предположим|кажется|трудно сказать|зависит от|больше информации|ни один из|однако|"
        "к сожалению"
    ),
}
_UNSPACED = (
    "可能", "也许", "或许", "大概", "大约", "我认为", "我觉得", "不确定", "不清楚", "假设", "似乎", "难以确定",
    "无法确定", "然而", "かもしれません", "かもしれない", "おそらく", "多分", "たぶん", "と思います", "わかりません",
    "およそ", "しかし", "ようです",
    "아마", "수도 있습니다", "것 같습니다", "확실하지", "대략", "하지만",
)  # fmt: skip
_UNSPACED_SCRIPT = re.compile("[\u3040-\ud7ff]")  # kana, Chinese, Korean
_EDGES = '.,;:!?()[]{}"*_…'
# Tables for texts as ASCII bytes: spaces at the edges of words, and an x for all else.
_SPACED = bytes(32 if chr(byte).isspace() or chr(byte) in _EDGES else byte for byte in range(256))
_OUTLINE = bytes(32 if byte == 32 else ord("x") for byte in _SPACED)
_STARTS: dict[str, tuple[tuple[str, ...], ...]] = {}
# The longest run of letters in a phrase -> all runs of such phrases, and their first words.
_RUNS: dict[str, tuple[tuple[frozenset[str], str], ...]] = {}
for _phrases in _PHRASES.values():
    for _phrase in _phrases.split("|"):
        _first, *_rest = _phrase.split()
        _STARTS[_first] = (*_STARTS.get(_first, ()), tuple(_rest))
        _runs = re.findall(r"[^\W\d_]+", _phrase)
        _longest = max(_runs, key=len)
        _RUNS[_longest] = (*_RUNS.get(_longest, ()), (frozenset(_runs), _first))
_LONGEST = frozenset(_RUNS)


def hedging(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """The value is the number of hedges per PER words (at least LEAST), in the worst choice; None without text.

    0 and more; real answers stay below 10.
    """
    worst, detail = -1.0, ""
    for choice in answer.choices:
        if not choice.text or choice.text.isspace():
            continue
        hedges, words = _counted(choice.text)
        density = PER * hedges / max(words, LEAST)
        if density > worst:
            worst, detail = density, f"{hedges} in {words} words"
    if worst < 0:
        return Evidence("hedging", None)
    return Evidence("hedging", True if worst == 0 else None, detail, worst)


def _counted(text: str) -> tuple[int, int]:
    """(hedges, words)."""
    text = clipped(text)
    known = words_of(text)
    firsts = {first for run in _LONGEST & known.lower for runs, first in _RUNS[run] if runs <= known.lower}
    text = text.replace("\u2019", "'")
    if firsts or not known.plain:
        text = text.lower()
    if text.isascii():
        if not firsts:
            return 0, (b" " + text.encode().translate(_OUTLINE)).count(b" x")
        words = text.encode().translate(_SPACED).decode().split()
        return _hedges(words, firsts), len(words)
    words = [word.strip(_EDGES) for word in text.split()] if firsts else text.split()
    hedges = _hedges(words, firsts)
    if _UNSPACED_SCRIPT.search(text):
        hedges += sum(map(text.count, _UNSPACED))
    spaced = len(words) * 20 >= len(text)
    return hedges, len(words) if spaced else int(len(text) / UNSPACED)


def _hedges(words: list[str], firsts: set[str]) -> int:
    """How many phrases there are that begin with one of `firsts`."""
    hedges = 0
    for at in [at for at, word in enumerate(words) if word in firsts][:MOST]:
        rests = _STARTS[words[at]]
        hedges += () in rests or any(tuple(words[at + 1 : at + 1 + len(rest)]) == rest for rest in rests)
    return hedges
