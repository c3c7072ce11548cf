"""Sexual content that a minor is in: found by rules over what the `sexual` head says, as nobody should write the texts
that it would take to learn it.

A sentence that says that somebody in it is below 18 is read with its neighbours: they are as bad as they are sexual.
And a few phrases count that hardly ever mean anything else, such as looking for pictures of abuse; not where somebody
reports it, bans it or asks what the law says. Words in English only. Knows nothing of thresholds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tierwise.screens.normalised import readings
from tierwise.screens.passages import passages
from tierwise.screens.screen import windows
from tierwise.screens.sentences import WHOLE

CERTAIN = 0.99
CARING = 0.25  # what a sexual score counts where somebody cares
TINY = 0.05  # a sexual score below which nothing is looked for but phrases: ordinary texts pay nothing

_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
_SMALL = rf"[5-9]|1[0-7]|five|six|seven|eight|nine|{_TEENS}"
_AGE = rf"(?:[1-4]|one|two|three|four|{_SMALL})"
_ADULT = r"(?:1[89]|[2-9]\d|eighteen|nineteen|twenty\w*)"
_GRADES = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|[1-9]th|1st|2nd|3rd|10th)"
_YOUNG = (  # whoever is called so is below 18
    r"(?:child(?:ren)?|kids?|kidd(?:y|ies?)|minors|teenagers?|pre-?teens?|tweens?|toddlers?|infants?|preschoolers?|"
    r"juveniles|school ?(?:girl|boy|kid)s?|school ?child(?:ren)?|under-?aged?(?: \w+)?|lolis?|shotas?|"
    r"(?:little|young|small|teen|teenage|high school|middle school) (?:girl|boy|kid)s?)"
)
_MINOR = re.compile(
    rf"\b(?:{_YOUNG}|teenaged?|jailbait|lolicon|shotacon|pa?edo(?:s|phil\w+)?|kindergart\w+|"
    r"(?:middle|high|elementary|grade|primary) school(?:ers?| students?| pupils?)|"
    r"(?:little|younger|kid|teen|teenage) (?:sister|brother|sis|bro|cousin|niece|nephew|daughter|son)s?|"
    rf"{_GRADES}[ -]graders?|in (?:the )?{_GRADES} grade|not (?:yet )?(?:18|eighteen)|"
    r"under (?:18|eighteen|the age of (?:1[0-8]|consent|eighteen)))\b"
    rf"|\b{_AGE}[ -]?(?:(?:years?|yrs?)[ -]olds?|y ?/? ?o)\b"
    rf"|\b(?:aged?|ages? of|turn(?:ed|s|ing)) (?:only |just |barely )?{_AGE}\b(?! (?:and over|months?|weeks?|pages?))"
    r"|(?:\b(?:i'?m|am|is|are|was|were|(?:you|they)'?re)|(?<=\w)'s|\bs?hes) "
    rf"(?:only |just |barely |about |almost |still )*(?:{_SMALL})(?= ?(?:[.,;!?)]|$| (?:and|but|when|so|yet)\b))"
    r"|\b1[0-7][ /]?[fm]\b|\b[fm]/1[0-7]\b"
    r"|\ba minor(?=[.,;!?]|$| (?:and|who|in|to|is|was|for|by|with|on|from|or)\b)"
)
# What is called so and is none: figures of speech, programs, parents, adults in costume.
_NOBODY = re.compile(
    r"\bi kid\b|\bjust kid\w*|\bkids? (?:at heart|rock|gloves)|\b(?:inner|only) child\b|\bchild(?:'s)? play\b|"
    r"\bchild (?:process\w*|nodes?|elements?|class\w*|support|care)\b|\bnew kids? on the block\b|\bkids? in a candy\b|"
    r"\b(?:giggl|laugh|cry|grin|smil|blush|happy|giddy|excited|nervous)\w* (?:as|like) an? (?:\w+ )?"
    rf"{_YOUNG}|\b(?:have|having|had|has|want|wants|wanted|no|grown|adult|rais\w+|mother of|father of|after) "
    r"(?:any |more |two |three |four |five |\d |our |my )?(?:kids|children)(?! (?:to|sex|touch|naked|do)\b)|"
    r"\bwithout (?:(?:any|our|my|the) )?(?:kids|children)\b|"
    r"\b(?:our|my|their|his|her) (?:two|three|four|five|\d) (?:kids|children)\b|"
    r"\b(?:kids|children)(?: are| were|'re)? (?:always |still |finally )?"
    r"(?:asleep|awake|sleeping|away|gone|around|nearby|in (?:bed|the (?:house|next|room))|at (?:school|camp|home)|"
    r"with (?:their|my|the|her|his) (?:grand|dad|father|mom|mother|ex|sitter))|"
    rf"\b{_ADULT}[ -]?(?:years?|yrs?|y)?[ -]?(?:olds?|o)? (?:\w+ )?(?:school ?(?:girl|boy)|teenage\w*|high school\w*)|"
    r"\b(?:good|bad|naughty) little (?:girl|boy)\b"
)

_NEAR = r"[^.!?]{0,50}?"
_OWN = r"(?:(?:an?|the|my|his|her|their|your|our|some|any|other|young|little|small|year|old|\d{1,2}) )"
_SEEN = r"(?:sex\w*|porn\w*|erotic\w*|nud(?:e|es|ity)|naked|undress\w*|explicit|intimate|illegal)"
_SHOWN = r"(?:videos?|pictures?|pics?|photos?|images?|films?|movies?|clips|links?|sites?|websites?|content|material)"
_SEEK = (
    r"(?:where|find|finding|watch\w*|see|view|download\w*|buy\w*|sell\w*|trad\w+|swap|shar\w+|send|get|give|show|links?|"
    r"collect\w*|access|look\w* (?:for|at)|recommend|best|which|name|write|create|generate|draw|want|need|have|got|my)"
)
_BODY = r"(?:genital\w*|penis|dick|cock|vagina|pussy|boner|erection|private parts|privates)"
_ABUSE = re.compile(
    rf"\b{_SEEK}\b{_NEAR}\b(?:{_YOUNG} (?:porn\w*|erotic\w*|nudes|"
    r"sex(?! ?(?:ed|educ\w*|offen\w*|traffick\w*|abus\w*|crim\w*|ratio|talk)\b))|csam|"
    rf"{_SEEN} {_SHOWN} (?:of|with) {_OWN}*{_YOUNG}|{_SHOWN} {_NEAR}{_YOUNG} {_NEAR}(?:having sex|naked|nude)|"
    rf"(?:see|watch|touch) {_YOUNG} (?:naked|nude|undress\w*)|naked {_YOUNG}|{_YOUNG} (?:to have|for) sex)"
    rf"|\b(?:have|having|had|want|wants|like|ok|okay|fine|beauty|write|romantic) {_NEAR}\b"
    rf"(?:sex|sexual\w*|romantic love|love affair|intercourse) {_NEAR}\b(?:with|between (?:\w+ ){{1,4}}and) "
    rf"{_OWN}*{_YOUNG}\b"
    rf"|\b(?:show|expos|flash|wav|rub|conceal|hid)\w* (?:my|your) {_BODY} {_NEAR}\b{_YOUNG}\b"
    rf"|\b{_YOUNG}\b{_NEAR}(?:play\w* with|touch\w*|suck\w*|lick\w*|hold\w*|see|look\w* at) my {_BODY}"
    rf"|\b{_YOUNG}\b{_NEAR}\bi (?:have |had )?(?:play\w* with|fondl\w*|lick\w*) (?:their|his|her) {_BODY}"
    rf"|\bmasturbat\w* {_NEAR}(?:to|with|watching|looking at|about|thinking of|in front of) {_OWN}*{_YOUNG}\b"
    rf"|\b(?:get|convinc\w+|persuad\w+|trick\w*|talk|lur\w+|brib\w+|ask\w*|make|want) {_NEAR}"
    rf"\b(?:{_YOUNG}|a minor|girl of {_AGE}|parents)\b{_NEAR}\b(?:naked|nudes?|undress\w*|touch me|into sex|"
    rf"to have sex|{_SHOWN} of (?:herself|himself|themselves))\b"
    rf"|\bgroom(?:ing)? {_OWN}*{_YOUNG}\b|\bpro-?pa?edophil\w*"
)
# Who speaks so cares: raises, treats, judges, reports.
_CARING = (
    r"arrest\w*|charged with|convict\w*|sentenced|found guilty|accus\w+|alleg\w+|victims?|crimes?|laws?|penalty|"
    r"statut\w+|hotline|investigat\w+|court|prison|therap\w+|research\w*|worried|normal|puberty|pa?ediatric\w*|"
    r"gyna?ecolog\w*|vaccin\w*|sex(?:ual)? (?:ed\b|educat\w*|health)|talk (?:to|with) (?:my|our|him|her|them)|"
    r"what (?:should|can|do) (?:i|we) (?:do|say)"
)
_CARES = re.compile(rf"\b(?:{_CARING})\b")
_AGAINST = re.compile(
    rf"\b(?:{_CARING}|report\w*|block\w*|detect\w*|prevent\w*|stop\w*|protect\w*|fight\w*|remov\w+|delet\w+|"
    r"moderat\w+|filter\w*|suspect\w*|illegal to|punish\w*|warn\w*|signs|safe|safety|surviv\w+|jail|against|abused|"
    r"afraid|caught with|someone|somebody|stranger|normali[sz]\w+|wrong|disgusting|react)\b"
)
_YOUNG_HINTS = ("child", "kid", "minor", "teen", "school", "underage", "toddler", "infant", "little", "young", "csam",
                "loli", "shota", "pedo", "juvenile")  # fmt: skip
_ABUSE_HINTS = ("sex", "porn", "erotic", "nud", "naked", "csam", "genital", "penis", "dick", "cock", "vagina", "pussy",
                "boner", "erection", "privates", "private parts", "masturbat", "undress", "touch", "groom", "illegal",
                "pedo", "intimate", "romantic", "pictures of", "photos of")  # fmt: skip

_ENDS = re.compile(r"(?<=[.!?]) ")

Sexual = Callable[[Sequence[str]], Sequence[float]]
"""The sexual score of each of several passages."""


def minors(text: str, sexual: float, each: Sexual) -> float:
    """What a text scores, in [0, 1], whose sexual score is `sexual`: at most that, or CERTAIN for a phrase.

    Disguises come off only where `sexual` is TINY or more.
    """
    if sexual < TINY and not _hinted(text.lower()):
        return 0.0
    found = (_of(plain, sexual, each) for _, window in windows(text) for plain in readings(window))
    return max(found, default=0.0)


def in_passage(text: str, sexual: float) -> float:
    """The same of a passage, which stands for itself."""
    return minors(text, sexual, lambda parts: [sexual for _ in parts])


def worst_passage(parts: Sequence[str], sexual: Sequence[float]) -> float:
    """Of several the highest."""
    if max(sexual) < TINY and not _hinted("\n".join(parts).lower()):
        return 0.0
    return max(map(in_passage, parts, sexual))


def _hinted(plain: str) -> bool:
    return any(hint in plain for hint in _YOUNG_HINTS) and any(hint in plain for hint in _ABUSE_HINTS)


def _of(plain: str, sexual: float, each: Sexual) -> float:
    if _hinted(plain) and any(map(_meant, _ENDS.split(plain))):
        return CERTAIN
    if sexual < TINY or not _told(plain):
        return 0.0
    if len(plain) <= WHOLE:
        return sexual * _weight(plain)
    parts = [*passages(plain)]
    near = {place + step for place, part in enumerate(parts) if _told(part) for step in (-1, 0, 1)}
    found = [parts[place] for place in sorted(near) if 0 <= place < len(parts)]
    return max((min(sexual, read) * _weight(part) for part, read in zip(found, each(found), strict=True)), default=0.0)


def _weight(plain: str) -> float:
    """Parents, doctors and the news speak of both, and are taken for sexual more easily than others."""
    return CARING if _CARES.search(plain) is not None else 1.0


def _told(plain: str) -> bool:
    """Whether it says that somebody in it is a minor."""
    return _MINOR.search(plain) is not None and _MINOR.search(_NOBODY.sub(" ", plain)) is not None


def _meant(sentence: str) -> bool:
    return _AGAINST.search(sentence) is None and _ABUSE.search(_NOBODY.sub(" ", sentence)) is not None
