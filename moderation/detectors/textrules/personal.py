"""Personal data: ways to reach, find or charge a real person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from moderation.detectors.textrules.fold import Clean, clean
from moderation.detectors.textrules.links import SUFFIXES
from moderation.detectors.textrules.match import Match

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29,
    "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26,
    "UA": 29, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT's IBAN registry)."""
RESERVED = re.compile(
    r"@(?:[\w.-]*\.)?(?:example\.(?:com|net|org)|[\w-]+\.(?:test|invalid|example|localhost))$", re.IGNORECASE
)
"""Domains that belong to nobody (RFC 2606)."""
CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[068]|6(?:011|4[4-9]|5)|35")
"""Visa, Mastercard, American Express, Diners, Discover, JCB."""
HOME_REGIONS = ("US", "GB")
"""Where a number without a country code is looked up; the others need a word that says it is a phone."""
OTHER_REGIONS = ("DE", "FR", "ES", "IT", "NL", "PL", "IN", "AU", "BR", "MX", "JP", "PT", "RU", "TR")
NUMBER_WORDS = {
    word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine".split())
} | {"oh": "0", "null": "0"}

_SUFFIX = "|".join(sorted(SUFFIXES, key=len, reverse=True))
_AT = r"(?:\s*[\[({]\s*at\s*[\])}]\s*|\s+at\s+|\s?@\s?)"
_DOT = r"(?:\s*[\[({]\s*(?:dot|\.)\s*[\])}]\s*|\s+(?:dot|punkt|punto|point)\s+|\s?\.\s?)"
EMAIL = re.compile(r"\b[a-z0-9][\w.+-]{0,63}@(?:[a-z0-9-]+\.)+[a-z]{2,24}\b", re.IGNORECASE)
SPOKEN_EMAIL = re.compile(
    rf"(?<![\w+-])[a-z0-9][\w+-]{{0,63}}(?:{_DOT}[\w+-]{{1,63}}){{0,3}}{_AT}"
    rf"[a-z0-9-]{{2,63}}(?:{_DOT}[a-z0-9-]{{1,63}})??{_DOT}(?:{_SUFFIX})\b",
    re.IGNORECASE,
)
DIGITS = re.compile(r"(?<![\w.+])\d(?:[ -]?\d){12,18}(?![\w.])")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b")
SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
PHONE_WORD = re.compile(
    r"\b(?:(?:call|text|ring|reach|dial|message) (?:me|us|him|her|my|at|now|\+?\d)|(?:my|new|the) number"
    r"|call (?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
    r"|number is|phone|tel|telephone|mobile|cell|sms|fax|whats ?app|ruf\w*|handy|handynummer|nummer"
    r"|telefon\w*|appelle\w*|numero|portable|llama\w*|movil|celular|ligue|liga\w*|telemovel|chiama\w*|cellulare|komorka"
    r"|komorkowy|zadzwon\w*|dzwon\w*|mobiel\w*|bel me|ara\w*|cep"
    + clean(r"|телефон\w*|номер\w*|звони\w*)\b").text,
    re.IGNORECASE,
)
PHONE_LIKE = re.compile(r"(?<![\w#@.])\+?\(?\d(?:[ ().-]{0,2}\d){6,14}(?![\w@])")
"""Seven to fifteen digits in groups."""
SPOKEN_NUMBER = re.compile(
    rf"\b(?:{'|'.join(NUMBER_WORDS)})(?:[\s,-]+(?:{'|'.join(NUMBER_WORDS)})){{6,14}}\b", re.IGNORECASE
)
_STREET = (
    r"street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl|terrace|way|crescent|close"
    r"|square|sq|highway|hwy|parkway|pkwy"
)
ADDRESS = re.compile(
    rf"\b(?P<number>\d{{1,5}}[a-z]?) (?P<name>(?:[A-Z][\w'.-]*|\d+(?:st|nd|rd|th)) (?:[A-Z][\w'.-]* ){{0,3}})"
    rf"(?P<kind>(?i:{_STREET}))\b\.?(?P<rest>[^.!?\n]{{0,60}})"
)
GERMAN_ADDRESS = re.compile(
    r"\b[A-Z][\w-]+(?:strasse|str\.|weg|allee|platz|gasse) \d{1,4}\s?[a-z]?\b(?P<rest>[^.!?\n]{0,60})"
)
_CAPITAL = "[A-ZБ-Я]"
_ROADS = clean(
    r"calle|avenida|avda\.?|paseo|plaza|rua|travessa|praça|via|viale|piazza|corso|vicolo|ul\.|al\.|ulica"
    r"|ulicy|aleja|alei|улица|улице|ул\.|проспект|проспекте|пр\.|переулок|переулке"
).text
_TURKISH_ROADS = clean(r"caddesi|cad\.|sokak|sokağı|sok\.|bulvarı|mahallesi").text
_NO = clean(r"(?:n[.º°o]* ?|д\. ?|дом |no\.? ?|nr\.? ?)?").text
_REST = r"\b(?P<rest>[^.!?\n]{0,60})"
FRENCH_ADDRESS = re.compile(
    r"\b\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|allee|impasse|chemin|quai|place)"
    rf" (?:de |du |des |la |le |l')*[A-Z]\w+(?: [A-Z]\w+)*{_REST}"
)
NUMBER_LAST = re.compile(
    rf"\b(?i:{_ROADS}) (?:(?:de|da|do|das|dos|del|della|la|las|los) )*{_CAPITAL}\w+(?: {_CAPITAL}\w+){{0,3}}"
    rf"[, ]+{_NO}\d{{1,4}}[a-z]?{_REST}"
)
"""Spanish, Portuguese, Italian, Polish and Russian addresses."""
DUTCH_ADDRESS = re.compile(rf"\b[A-Z]\w+(?:straat|laan|weg|plein|gracht|kade|dijk) \d{{1,4}}[a-z]?{_REST}")
TURKISH_ADDRESS = re.compile(
    rf"\b[A-Z]\w+(?: [A-Z]\w+)* (?i:{_TURKISH_ROADS}) ?(?:[Nn]o ?[:.]? ?)?\d{{1,4}}{_REST}"
)
ADDRESSES = (ADDRESS, GERMAN_ADDRESS, FRENCH_ADDRESS, NUMBER_LAST, DUTCH_ADDRESS, TURKISH_ADDRESS)
POSTCODE = re.compile(
    r"\b(?:[A-Z]{2},? \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d"
    r"|\d{5} [A-Z][a-z]+|\d{2}-\d{3} [A-Z]\w+|\d{4} ?[A-Z]{2} [A-Z]\w+|\d{4}-\d{3}|\d{6})\b"
)
CITY = re.compile(r"^[, ]+(?:[A-Z][a-z]{3,})")
"""A name after the number of a house."""
LIVES = re.compile(
    r"\b(?:lives?|living|home is|house is|address(?: is)?|moved to|stays?|find (?:me|him|her)|wohn\w+"
    r"|vive\w*|vivo|mora|moro|habite\w*|abita\w*|abito|mieszka\w*|woon\w*|oturuyor\w*|evi|evim|adresi?\w*"
    r"|indirizzo|direccion|endereco" + clean(r"|живет|живёт|живу|адрес\w*|проживает)\b").text,
    re.IGNORECASE,
)


def find_personal(source: Clean) -> list[Match]:
    """Personal data of the text; the same span may be found more than once."""
    text = source.text
    matches = [*_emails(text), *_addresses(text), *_spoken_numbers(text)]
    if sum(map(str.isdigit, text)) >= 7:
        matches += [*_cards(text), *_ibans(text), *_ssns(text)]
        taken = [(m.start, m.end) for m in matches]
        matches += [m for m in _phones(text) if not any(m.start < b and a < m.end for a, b in taken)]
    return matches


def luhn(digits: str) -> bool:
    """Whether a card number's check digit is right (ISO/IEC 7812-1)."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def iban_is_valid(iban: str) -> bool:
    """Whether an IBAN without spaces has its country's length and leaves 1 modulo 97 (ISO 13616)."""
    if IBAN_LENGTHS.get(iban[:2]) != len(iban):
        return False
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _emails(text: str) -> Iterator[Match]:
    for match in EMAIL.finditer(text):
        yield Match("personal_data", 0.2 if RESERVED.search(match[0]) else 0.95, *match.span())
    for match in SPOKEN_EMAIL.finditer(text):
        if "@" in match[0] or re.search(r"(?i:dot|punkt)|[\[({]|\sAT\s", match[0]):
            yield Match("personal_data", 0.2 if RESERVED.search(match[0]) else 0.85, *match.span())


def _cards(text: str) -> Iterator[Match]:
    for match in DIGITS.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if CARD_PREFIX.match(digits) and luhn(digits) and len(set(digits)) > 1:
            grouped = len(match[0]) > len(digits)
            yield Match("personal_data", 0.95 if grouped else 0.85, *match.span())


def _ibans(text: str) -> Iterator[Match]:
    for match in IBAN.finditer(text):
        compact = re.sub(r"[ -]", "", match[0])
        length = IBAN_LENGTHS.get(compact[:2], 0)
        if 0 < length <= len(compact) and iban_is_valid(compact[:length]):
            yield Match("personal_data", 0.95, *match.span())


def _ssns(text: str) -> Iterator[Match]:
    said = re.search(r"\bssn\b|social security", text, re.IGNORECASE)
    for match in SSN.finditer(text):
        yield Match("personal_data", 0.9 if said else 0.6, *match.span())


def _phones(text: str) -> Iterator[Match]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    said = PHONE_WORD.search(text) is not None
    for region in (*HOME_REGIONS, *(OTHER_REGIONS if said else ())):
        for found in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
            raw = found.raw_string
            doubtful = raw.isdigit() or raw.startswith("00")
            score = 0.9 if said or raw.startswith("+") else 0.3 if doubtful else 0.65
            yield Match("personal_data", score, found.start, found.end)
    if "+" in text:
        for found in PhoneNumberMatcher(text, None, leniency=Leniency.POSSIBLE):
            yield Match("personal_data", 0.85 if said else 0.7, found.start, found.end)


def _spoken_numbers(text: str) -> Iterator[Match]:
    """Seven or more digits in words; counting one, two, three is no number."""
    for match in SPOKEN_NUMBER.finditer(text):
        digits = [int(NUMBER_WORDS[word]) for word in re.findall(r"[a-z]+", match[0].lower())]
        counting = sum(b - a == 1 for a, b in pairwise(digits)) >= len(digits) - 2
        if not counting:
            yield Match("personal_data", 0.85 if PHONE_WORD.search(text) else 0.5, *match.span())


def _addresses(text: str) -> Iterator[Match]:
    for regex in ADDRESSES:
        for match in regex.finditer(text):
            placed = bool(POSTCODE.search(match["rest"]) or CITY.search(match["rest"]))
            score = 0.4 + 0.3 * placed + 0.25 * bool(LIVES.search(text[: match.start()]))
            yield Match("personal_data", score, match.start(), match.end("rest"))
