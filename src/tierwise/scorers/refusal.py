# ruff: noqa: RUF001 - the words of other scripts are meant
"""The free check `refusal`: the model declined or deflected instead of answering.

A provider's own refusal field counts, and an opening that refuses, in twelve languages. Only the first
characters are read: a refusal begins with itself or after an apology, while the same words further on are
mostly a reservation inside an answer. The words are data, one row a language: what can stand at the beginning
of a clause. They know forms of words, not meaning: a model that lectures instead of answering, without saying
that it declines, is not seen.
"""

from __future__ import annotations

import re

from tierwise.types import Answer, Checks, Evidence, Request

OPENING = 300  # characters in which a refusal must begin

# English. A clause refuses with "I", a negation and a verb of helping; plain "I can't" is too common.
_EN_DO = (
    r"(?:help|assist|provide|comply|ful?fill|satisfy|answer|respond|engage in|participate|discuss|share|disclose|"
    r"reveal|offer|generate|create|produce|write|complete th|continue with|proceed|do (?:that|this|so)\b|tell you|"
    r"say (?:that|whether)|suggest|condone|encourage|promote|endorse|support|facilitate|recommend(?!.{0,40}\benough)|"
    r"access|browse|look up|verify|predict|diagnose|determine|comment|process|carry out|retrieve|be of help|"
    r"give (?:you|out|any|advice|specific|instructions|information|medical|legal|financial|personal)|"
    r"make (?:jokes|comments|assumptions|statements|judg)|in good conscience|"
    r"(?:see|view|open|hear|watch) (?:\w+ )?(?:image|picture|photo|file|attachment|link|url|video|audio|document)|"
    r"have (?:personal |any )*(?:opinion|feeling|emotion|belief|access|information|the ability))"
)
_EN = (
    # "I can't help with that", "I'm not able to provide", "we are unable to share"
    (
        r"(?:i|we) (?:really |simply |just |also |still |therefore )?"
        r"(?:can'?t|can ?not|could(?: not|n't)|will not|won't|(?:am|are) (?:not able|unable|not allowed|"
        r"not permitted) to|"
        r"(?:am|are) not (?:authori[sz]ed|programmed|designed|trained|comfortable) ?(?:to|with)?|do(?: not|"
        r"n't) (?=have)) "
        rf"(?:\w+ ){{0,2}}?{_EN_DO}"
    ),
    (
        rf"(?:i'm|we're) (?:currently |sorry )?(?:unable|not (?:able|allowed|permitted|"
        rf"comfortable)) (?:to )?(?:\w+ )?{_EN_DO}"
    ),
    r"(?:i|we) (?:must|have to|will have to|need to) (?:\w+ )?(?:decline|refuse)\b",
    r"i (?:do not|don't|cannot|can't) (?:condone|endorse|promote|encourage|feel comfortable|engage in|provide|assist)",
    (
        r"(?:i|we) (?:do not|don't) have (?:\w+ ){0,2}?(?:access|enough|sufficient|information|opinion|belief|feelings|"
        r"preferences|the ability|the capability|the capacity|real-time|any information|specific information)"
    ),
    r"(?:i|we) have no (?:access|information|knowledge|way of)",
    (
        r"(?:i|we) (?:could not|couldn't|was unable to|am unable to|cannot|can't) (?:find|locate) (?:any|the|that|"
        r"this|your|enough)"
    ),
    # "As an AI language model, I don't ...", "I'm just an AI, it's not within my programming ..."
    (
        r"as an? (?:[\w-]+ ){0,4}?(?:ai|llm|language model|chatbot|assistant)\b[^.!?]{0,80}?\bi(?:'m not|"
        r" am not| am unable| "
        r"can'?t| can ?not| do not| don't| must| have no| won't| will not| should not|'m unable)\b"
    ),
    (
        r"i(?:'m| am) (?:just |only |merely )?an? (?:[\w-]+ ){0,2}?(?:ai|language model)\b[^.!?]{0,40}?"
        r"(?:\bnot\b|n't\b|cannot|unable)"
    ),
    (
        r"(?:it is|it's|that is|that's|this is) not within my|"
        r"(?:that|this|it)(?:'s| is) (?:not something (?:that )?i|(?:outside|beyond) (?:of )?(?:my|what i))"
    ),
    # "It is not appropriate or ethical to ..."
    (
        r"it(?:'s| is) (?:not|never) (?:appropriate|ethical|acceptable|accurate|right|respectful|fair)"
        r"(?:(?:,[\w ,]{1,30})? (?:or|and|for me)\b| to (?:ask|discuss|provide|suggest|make (?:assumptions|"
        r"a statement)|speculate))"
    ),
    (
        r"i(?: do not|'m not| am not| don't) (?:think|believe|sure) (?:that )?(?:it's|it is) (?:appropriate|"
        r"ethical|respectful)"
    ),
    (
        r"(?:this|that|the|your) (?:request|question|prompt|topic|content) (?:goes against|violates|is inappropriate|"
        r"is not appropriate|is (?:outside|beyond)|falls outside|contains? (?:harmful|false|assumptions)|promotes)"
    ),
)
_DE = (
    (
        r"(?:ich|wir) (?:kann|k[öo]nnen|darf|d[üu]rfen|werde) (?:\w+ ){0,3}?(?:leider )?(?:nicht|"
        r"keine?n?)\b[^.!?]{0,60}?"
        r"(?:helfen|weiterhelfen|unterst[üu]tz|beantwort|bereitstell|geben|erstell|nachkommen|erf[üu]llen|"
        r"anbieten|zugreifen|"
        r"teilnehmen|schreiben|generier|mitteil|diskut|nennen|ausf[üu]hr)"
    ),
    (
        r"(?:dabei|das|damit|hierbei|diese (?:anfrage|frage)|bei dieser \w+|leider) (?:kann|"
        r"darf) ich (?:\w+ ){0,3}?nicht\b"
    ),
    (
        r"(?:leider )?(?:ich habe|habe ich) (?:\w+ )?(?:keine?n?) (?:\w+ )?(?:zugriff|zugang|information|meinung|"
        r"ausreichend|m[öo]glichkeit)"
    ),
    r"als (?:\w+ )?(?:ki|k[üu]nstliche intelligenz|sprachmodell|ki-\w+)\b[^.!?]{0,60}?(?:nicht|kein)",
)
_FR = (
    (
        r"je (?:ne|n') ?(?:peux|suis|dispose|poss[èe]de|ai|souhaite|saurais|pourrai)s? (?:\w+ )?(?:pas|"
        r"malheureusement pas)"
        r"(?: en mesure| pouvoir| capable| autoris[ée]e?)?(?: \w+'?| d'| [àa]){0,3}? ?"
        r"(?:aider|assister|fournir|r[ée]pondre|donner|partager|acc[èe]s|acc[ée]der|informations?|cr[ée]er|"
        r"g[ée]n[ée]rer|"
        r"satisfaire|[ée]crire|discuter|accomplir|continuer|opinion)"
    ),
    r"je ne peux pas (?:vous|t'|faire [çc]a|faire cela)",
    r"je (?:dois|suis (?:dans l'obligation|oblig[ée]e?)) (?:de )?(?:d[ée]cliner|refuser)",
    r"en tant qu(?:e |')(?:\w+ )?(?:ia|intelligence artificielle|mod[èe]le|assistant)\b[^.!?]{0,60}?(?:\bne\b|\bn')",
)
_ES = (
    (
        r"(?:yo )?no (?:te |le |les |os |me )?(?:puedo|podemos|podr[ée]|tengo permitido|estoy autorizad[oa] (?:a|para)|"
        r"me es posible|soy capaz de|es posible) (?:\w+ )?(?:ayud|asist|proporcion|respond|brind|ofrec|"
        r"compart|dar|cumpl|"
        r"gener|crear|escrib|acced|particip|facilit|hacer eso|contest|complet|continu)"
    ),
    r"no (?:tengo|dispongo de|cuento con) (?:\w+ ){0,2}?(?:acceso|informaci[óo]n|suficiente|opinion|opini[óo]n)",
    r"(?:debo|tengo que) (?:declinar|rechazar|negarme)",
    r"como (?:\w+ )?(?:ia|inteligencia artificial|modelo de lenguaje|asistente)\b[^.!?]{0,60}?\bno\b",
)
_IT = (
    (
        r"(?:io )?non (?:ti |le |vi )?(?:posso|possiamo|sono in grado di|sono autorizzat[oa] a|"
        r"mi [èe] possibile) (?:\w+ )?"
        r"(?:aiut|assist|forn|rispond|offr|condivid|dar|soddisf|gener|crear|scriv|acced|partecip|farlo|"
        r"fare questo|complet)"
    ),
    r"non (?:ho|dispongo di) (?:\w+ ){0,2}?(?:accesso|informazioni|abbastanza|opinion)",
    r"(?:devo|sono costrett[oa] a) (?:declinare|rifiutare)",
    r"(?:come|in quanto) (?:\w+ )?(?:ia|intelligenza artificiale|modello linguistico|assistente)\b[^.!?]{0,60}?\bnon\b",
)
_PT = (
    (
        r"(?:eu )?n[ãa]o (?:te |lhe |o |a )?(?:posso|podemos|consigo|sou capaz de|estou autorizad[oa] a|"
        r"me [ée] poss[íi]vel) "
        r"(?:\w+[ -])?(?:ajud|auxili|fornec|respond|oferec|compartilh|partilh|dar|atend|gerar|criar|escrev|"
        r"acess|particip|"
        r"fazer isso|complet|continu|lhe|te)"
    ),
    r"(?:eu )?n[ãa]o (?:tenho|disponho de|possuo) (?:\w+ ){0,2}?(?:acesso|informa[çc]|suficiente|opini)",
    r"(?:devo|tenho (?:de|que)) (?:declinar|recusar)",
    (
        r"como (?:um |uma )?(?:\w+ )?(?:ia|intelig[êe]ncia artificial|modelo de linguagem|"
        r"assistente)\b[^.!?]{0,60}?\bn[ãa]o\b"
    ),
)
_NL = (
    (
        r"(?:ik|we|wij) (?:kan|kunnen|mag|zal) (?:\w+ ){0,4}?(?:niet|geen)\b[^.!?]{0,60}?(?:help|assist|"
        r"verstrek|beantwoord|"
        r"geven|bied|voldoen|maken|schrijv|genereer|delen|toegang|uitvoer|deelnem|verder)"
    ),
    r"(?:daar|hier|daarmee|hiermee|dat|helaas) (?:kan|mag) ik (?:\w+ ){0,3}?niet\b",
    r"ik (?:heb|beschik) (?:\w+ )?(?:geen|niet) (?:\w+ ){0,2}?(?:toegang|informatie|genoeg|voldoende|mening)",
    r"als (?:een )?(?:ai|taalmodel|ai-\w+)\b[^.!?]{0,60}?(?:niet|geen)\b",
)
_PL = (
    (
        r"(?:ja )?nie (?:mog[ęe]|mo[żz]emy|jestem w stanie|wolno mi|"
        r"b[ęe]d[ęe] m[óo]g[łl]a?) (?:\w+ ){0,2}?(?:pom[óo]|pomaga|udziel|"
        r"odpowiedzie|dostarcz|poda|spe[łl]ni|wygenerowa|stworzy|napisa|udost[ęe]pni|uzyska|zrealizowa|wykona|"
        r"tego zrobi)"
    ),
    r"nie (?:mam|posiadam) (?:\w+ ){0,2}?(?:dost[ęe]pu|informacji|wystarczaj|opinii|mo[żz]liwo)",
    r"(?:musz[ęe]) (?:\w+ )?odm[óo]wi[ćc]",
    r"jako (?:\w+ )?(?:ai|si|sztuczna inteligencja|model j[ęe]zykowy|asystent)\b[^.!?]{0,60}?\bnie\b",
)
_RU = (
    (
        r"(?:я |мы )?(?:к сожалению,? )?(?:я )?не (?:могу|можем|смогу|в состоянии|имею возможности|"
        r"вправе) (?:\w+ ){0,3}?"
        r"(?:помо|ответ|предостав|дать|выполн|оказ|созда|напис|сгенер|поделит|обсужд|участв|получ|"
        r"сделать этого|это сделать)"
    ),
    r"у меня нет (?:\w+ ){0,2}?(?:доступа|информации|данных|возможности|мнения)",
    r"(?:я )?(?:вынужден\w*|должен|должна) (?:\w+ )?отказать",
    r"как (?:\w+ ){0,2}?(?:ии|языковая модель|искусственный интеллект|ассистент)\b[^.!?]{0,60}?\bне\b",
)
# No spaces, and the negation comes at the end of a clause in two of them: anywhere in the opening.
_ZH = (
    (
        r"(?:我|我们|本助手)(?:很抱歉|目前|暂时|也|并|确实|恐怕|还)?(?:无法|不能|没办法|不可以|不便|"
        r"没法)[^。！？!?\n]{0,12}?"
        r"(?:帮|提供|回答|协助|满足|完成|支持|给出|生成|访问|参与|讨论|执行|分享|答|写|做到)"
    ),
    r"(?:我|我们)(?:目前)?(?:没有|不具备)(?:[^。！？!?\n]{0,6}?)(?:权限|访问|足够|相关信息|个人观点|能力)",
    r"作为(?:一个|一名)?[^。！？!?\n]{0,8}?(?:人工智能|ai|语言模型|助手)[^。！？!?\n]{0,20}?(?:不能|无法|没有|不会)",
    r"(?:抱歉|对不起|很遗憾)[，,]?(?:但)?(?:无法|不能)",
)
_JA = (
    (
        r"(?:お手伝い|お答え|回答|提供|お応え|対応|ご提供|お教え|支援|サポート|生成|作成|アクセス)(?:を|"
        r"は)?(?:する)?(?:こと)?(?:は|が)?"
        r"(?:でき(?:ません|かねます|ない)|いたしかねます|しかねます|いたしません)"
    ),
    r"(?:情報|アクセス(?:権限)?|意見|権限)(?:は|が|を)(?:ありません|持っていません|ございません)",
    r"(?:aiとして|言語モデルとして|aiアシスタントとして)[^。\n]{0,40}?(?:ません|できない)",
)
_KO = (
    (
        r"(?:도와\s?드릴|도울|답변(?:해)?\s?드릴|답변할|제공(?:해)?\s?드릴|제공할|알려\s?드릴|응답할|지원할|"
        r"생성할|작성할|접근할|수행할|도움을 드릴)"
        r"\s?수(?:가|는)?\s?없"
    ),
    r"(?:정보|권한|접근|의견)(?:가|이|을|를)?\s?(?:없습니다|가지고 있지 않|부족합니다)",
    r"(?:ai|인공지능|언어 모델)(?:로서|이기 때문에|이므로)[^.!?\n]{0,40}?(?:없|않)",
)

# What may stand between the beginning of a clause and the words that refuse, at most four times.
_LEAD = (
    r"(?:(?:and|but|so|no|however|unfortunately|sadly|regrettably|sorry|apologies|hello|hi|thank you|"
    r"(?:i'm|i am|we're|we are) (?:\w+ )?(?:sorry|afraid)|i apologi[sz]e|my apologies|at this time|"
    r"aber|leider|entschuldigung|es tut mir leid|tut mir leid|mais|malheureusement|d[ée]sol[ée]e?|"
    r"je suis d[ée]sol[ée]e?|"
    r"pero|lamentablemente|lo siento|lo siento mucho|disculpa|desafortunadamente|ma|purtroppo|mi dispiace|mas|"
    r"infelizmente|desculpe?|sinto muito|lamento|maar|helaas|het spijt me|sorry|ale|niestety|przepraszam|przykro mi|"
    r"но|однако|к сожалению|извините|простите|мне жаль)"
    r"(?:,? (?:but|that|however|aber|mais|pero|ma|mas|maar|ale|но))?,? ){0,4}"
)
_CLAUSES = "|".join((*_EN, *_DE, *_FR, *_ES, *_IT, *_PT, *_NL, *_PL))
# Every refusal has one of these somewhere ...
_CUES = (
    *("n't", "not", "unable", "declin", "refus", "no ", "against", "outside", "beyond", "violates", "inappropriate"),
    *("promotes", "contain", "nicht", "kein", " pas", "n'", "rechaz", "negarme", "recus", "rifiut", "non ", "não"),
    *("nao ", "geen", "niet", "nie ", "odm", "ne "),
)
# ... and the clause that refuses begins with one of these, of which the first two characters are compared.
_FIRST = (
    *(
        "i ",
        "i'",
        "we",
        "as",
        "it",
        "that",
        "this",
        "the",
        "your",
        "and",
        "but",
        "so",
        "no",
        "however",
        "unfortunately",
    ),
    *("sadly", "regrettably", "sorry", "apologies", "hello", "hi", "at", "my", "ich", "wir", "dabei", "das", "damit"),
    *("hierbei", "diese", "bei", "leider", "als", "aber", "entschuldigung", "es", "tut", "je", "en", "mais"),
    *(
        "malheureusement",
        "désolé",
        "desole",
        "yo",
        "debo",
        "tengo",
        "como",
        "pero",
        "lamentablemente",
        "lo",
        "disculpa",
    ),
    *("desafortunadamente", "io", "non", "devo", "sono", "come", "in", "ma", "purtroppo", "mi", "eu", "não", "nao"),
    *("tenho", "mas", "infelizmente", "desculpe", "sinto", "lamento", "ik", "wij", "daar", "hier", "dat", "helaas"),
    *("maar", "het", "ja", "nie", "muszę", "jako", "ale", "niestety", "przepraszam", "przykro"),
)


def _guard(words: tuple[str, ...]) -> str:
    """A look-ahead for the first two characters of the words, grouped by the first: fast to turn down."""
    seconds: dict[str, set[str]] = {}
    for word in words:
        seconds.setdefault(word[0], set()).add(word[1])
    return "(?=" + "|".join(f"{first}[{''.join(sorted(second))}]" for first, second in sorted(seconds.items())) + ")"


_BEGIN = r"[\n.,;!?—]['\"*_ ]*"
_LATIN = re.compile(f"{_BEGIN}{_guard(_FIRST)}{_LEAD}(?:{_CLAUSES})")
_CYRILLIC = re.compile(f"{_BEGIN}{_LEAD}(?:{'|'.join(_RU)})")
_UNSPACED = re.compile("|".join((*_ZH, *_JA, *_KO)))
_OTHER_SCRIPT = re.compile("[\u0400-\u04ff\u3041-\ud7a3]")  # Cyrillic; kana, Chinese, Korean
# A letter that was asked for may decline in its writer's name.
_LETTER = re.compile(
    r"(?:subject:|dear |(?:hi|hello|hey) [\w .]{1,30},\n|betreff:|liebe|sehr geehrte|cher|ch[èe]re|objet ?:)"
)


def refusal(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """No choice carries a refusal or opens with one."""
    looked = False
    for number, choice in enumerate(answer.choices, 1):
        if choice.refusal:
            return Evidence("refusal", False, "the model's own refusal")
        if choice.text and not choice.text.isspace():
            looked = True
            if _refuses(choice.text):
                return Evidence("refusal", False, f"choice {number} opens with one")
    return Evidence("refusal", True if looked else None)


def _refuses(text: str) -> bool:
    opening = text[: OPENING * 2].lstrip()[:OPENING].lower().replace("\u2019", "'")
    flat = " ".join(opening.split()) if "\n" in opening or "  " in opening else opening
    if not flat.isascii() and _OTHER_SCRIPT.search(flat) and (_UNSPACED.search(flat) or _CYRILLIC.search(f"\n{flat}")):
        return True
    if _LATIN.search(f"\n{flat}") is None or _LETTER.match(opening):
        return False
    return any(cue in flat for cue in _CUES)
