"""The shipped screens beside what a user might pick instead: word filters, and finders of personal data.

`benchmarks/screens.py` calls it, on the rows and with the folds of its own figures. These packages are not among our
requirements; beside ours, `pip install alt-profanity-check==1.9.1 better-profanity==0.7.0 glin-profanity==4.1.0
presidio-analyzer==2.2.366` brings them, and what is not installed is left out. Presidio finds names by a language model
of spaCy's, en_core_web_lg, which is no package of the index: without it, it finds what has a form. None of them goes to
the network here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from tierwise.screens.screen import Span

SOME = 700  # rows of a large set that all are measured on
FLAGGED = 0.5  # of a score
THRESHOLDS = (0.0, 0.35, 0.5)  # of Presidio's scores
MODEL = "en_core_web_lg"
Score = Callable[[Sequence[str]], Any]
"""Of texts (texts,), in [0, 1]."""
Find = Callable[[str], set[Span]]
PRESIDIO = {
    "CREDIT_CARD": "card", "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "URL": "url", "IBAN_CODE": "iban",
    "US_SSN": "national_id", "US_DRIVER_LICENSE": "national_id", "IP_ADDRESS": "ip",
}  # fmt: skip
GLIN = {"email": "email", "phone": "phone", "credit_card": "card", "ssn": "national_id", "iban": "iban", "ip": "ip"}
GLIN |= {"ip_address": "ip", "url": "url"}


@dataclass
class Beside:
    """One line: of each way (value, low, high), None where it can't do that."""

    what: str
    measure: str
    values: Mapping[str, tuple[float, float, float] | None]


def each(says: Callable[[str], float]) -> Score:
    """Of each text once, however often it is asked about: one of them takes a tenth of a second for a long one."""
    known = lru_cache(None)(says)
    return lambda texts: np.array([known(one) for one in texts])


def filters() -> dict[str, Score]:
    """Of bad language."""
    found: dict[str, Score] = {}
    if learnt := _module("profanity_check"):
        found["alt-profanity-check"] = lambda texts: learnt.predict_prob([*texts])
    if listed := _module("better_profanity"):
        listed.profanity.load_censor_words()
        found["better-profanity"] = each(lambda text: float(listed.profanity.contains_profanity(text)))
    if several := _module("glin_profanity"):
        words = several.Filter({"languages": ["english"], "detect_leetspeak": True})
        found["glin-profanity"] = each(lambda text: float(words.check_profanity(text)["contains_profanity"]))
    return found


def guards() -> dict[str, Score]:
    """Against injected orders."""
    several = _module("glin_profanity")
    if several is None:
        return {}
    return {"glin-profanity": each(lambda text: float(several.check_prompt_injection(text).score))}


def finders() -> dict[str, Find]:
    """Of personal data that has a form."""
    found: dict[str, Find] = {}
    if analyzer := _presidio():
        for least in THRESHOLDS:
            found[f"presidio from {least:g}"] = partial(_presidios, analyzer, least)
    if several := _module("glin_profanity"):
        found["glin-profanity"] = partial(_glins, several.PiiScanner())
    return found


def _module(name: str) -> Any:
    """None where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def _presidio() -> Any:
    """Without a language model where it is not installed, and without its look at a list in the network."""
    if _module("presidio_analyzer") is None:
        return None
    spacy, hosts = import_module("spacy"), import_module("tldextract")
    hosts.tldextract.TLD_EXTRACTOR = hosts.TLDExtract(suffix_list_urls=())
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    engines = import_module("presidio_analyzer.nlp_engine")
    engine = engines.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": MODEL}])
    if not spacy.util.is_package(MODEL):
        engine.nlp = {"en": spacy.blank("en")}
        engine.load = lambda: None
    return import_module("presidio_analyzer").AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def _glins(scanner: Any, text: str) -> set[Span]:
    return {
        Span(GLIN[one.category], one.start_index, one.end_index)
        for one in scanner.scan(text).matches
        if one.category in GLIN
    }


def _presidios(analyzer: Any, least: float, text: str) -> set[Span]:
    spans = {
        Span(PRESIDIO[one.entity_type], one.start, one.end)
        for one in analyzer.analyze(text, language="en", entities=[*PRESIDIO], score_threshold=least)
    }
    mails = [span for span in spans if span.type == "email"]  # the host of an address is no address of its own
    return {
        span for span in spans
        if span.type != "url" or not any(mail.start <= span.start and span.end <= mail.end for mail in mails)
    }  # fmt: skip


def rate(score: Score, texts: Sequence[str]) -> float:
    """Texts a second of CPU, the best of three parts of them: who remembers texts gains nothing."""
    times = []
    for part in (texts[0::3], texts[1::3], texts[2::3]):
        start = time.process_time()
        score(part)
        times.append((time.process_time() - start) / len(part))
    return 1 / min(times)


def shown(lines: Sequence[Beside]) -> Iterator[str]:
    """As a table; none where nothing else is installed."""
    ways = [*dict.fromkeys(way for line in lines for way in line.values)]
    if not lines:
        yield "None of alt-profanity-check, better-profanity, glin-profanity and presidio-analyzer is installed."
        return
    yield f"| what | measure | {' | '.join(ways)} |"
    yield f"|---|---|{'---|' * len(ways)}"
    for line in lines:
        cells = [_cell(line.values.get(way)) for way in ways]
        yield f"| {line.what} | {line.measure} | {' | '.join(cells)} |"


def _cell(value: tuple[float, float, float] | None) -> str:
    if value is None:
        return ""
    if value[0] > 1:  # a rate, which has no interval
        return f"{value[0]:,.0f}"
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"
