"""Parses the number at the end of an answer. The result is None where there is none or it is ambiguous.

A benchmark's own answer is one plain number. A response may add a currency, a unit ("25 m^2", "7 kg/m3"), a
percent sign or thousands separators. Forms that change the value ("5 million", "3e5", "7²", "1/2", "minus 5")
are computed. Texts that are not a single number ("5:30", "3 to 5", "2 hours 30 minutes", "1.2.3") or only a
bound ("at least 5", "5+") give None. Units are not compared.
"""

import re
import unicodedata
from fractions import Fraction

from preceptor.evaluation.surroundings import AFTER_POWER, NEARBY, NEGATED, is_no_number, joins
from preceptor.evaluation.undressed import SUPERSCRIPTS, one_minus, raised, undressed
from preceptor.text import fold

LONGEST = 100  # the most characters of a number, and the largest exponent
VULGAR = "[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"
MAGNITUDES = {
    **{"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12},
    **{"dozen": 12, "lakh": 10**5, "crore": 10**7, "mio": 10**6, "mn": 10**6, "bn": 10**9, "tn": 10**12},
}
LETTERS = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}  # without a blank before: "5 K" means kelvin
DECIMAL = r"(?:(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+)"
SCIENTIFIC = rf"{DECIMAL}(?:[eE][-+]?\d{{1,3}}(?!\w))?"
PLAIN = re.compile(rf"[-+]?{SCIENTIFIC}")
QUANTITY = re.compile(
    rf"""
    (?<!\w)(?<![^\W\d_]-)             # not within a word: m3, COVID-19
    (?P<sign>[-+])?
    (?:(?P<alone>{VULGAR})
    |(?P<number>{SCIENTIFIC})
     (?:\s*/\s*(?P<below>{DECIMAL}) | \s*(?P<vulgar>{VULGAR}) | \s+(?P<part>\d+\s*/\s*\d+)(?!\s*/|\w))?
     (?:\s*(?:[xX×·⋅*]|\\times|\\cdot|times)\s*(?P<ten>10)(?=\s*\^|[⁺⁻{SUPERSCRIPTS}]))?
     (?:\s*\^\s*[{{(]?\s*(?P<power>[-+]?\d+)[}})]? | (?P<high>[⁺⁻]?[{SUPERSCRIPTS}]+))?
    )""",
    re.VERBOSE,
)
MAGNITUDE = re.compile(rf"\s*-?\s*(?i:(?P<word>{'|'.join(MAGNITUDES)})s?)\b|(?P<letter>[kKMB])\b(?!/)")


def plain_number(text: str) -> Fraction | None:
    """The value of a text that is exactly one number ("-1,234.5", "1e-05"), else None."""
    bare = one_minus(fold(text.strip()))
    return _decimal(bare) if PLAIN.fullmatch(bare) else None


def last_number(text: str) -> Fraction | None:
    """The value of a sentence's last number, None where it is unclear or next to another number."""
    text = undressed(text)
    found = list(QUANTITY.finditer(text))
    if not found:
        return None
    last, end = found[-1], found[-1].end()
    before, value = text[: last.start()], _value(last)
    while value is not None and (more := MAGNITUDE.match(text, end)):
        value *= MAGNITUDES[more["word"].lower()] if more["word"] else LETTERS[more["letter"]]
        end = more.end()
    if value is None or is_no_number(before, text[end:]):
        return None
    if end > last.end() and AFTER_POWER.match(text, end):
        return None
    if len(found) > 1 and joins(text[found[-2].end() : last.start()]):
        return None
    return -value if NEGATED.search(before[-NEARBY:]) else value


def _value(found: re.Match[str]) -> Fraction | None:
    """The value of one match of QUANTITY."""
    value = _ratio(found["alone"]) if found["alone"] else _decimal(found["number"])
    power = found["power"] or raised(found["high"] or "")
    part = found["vulgar"] or found["part"]
    if part:
        value = _mixed(value, _ratio(part))
    if found["below"]:
        value = None if power else _fraction(value, _decimal(found["below"]))
    value = _times(value, _to_the(Fraction(10), power)) if found["ten"] else _to_the(value, power)
    return _times(value, Fraction(-1)) if found["sign"] == "-" else value


def _decimal(written: str) -> Fraction | None:
    return Fraction(written.replace(",", "")) if len(written) <= LONGEST else None


def _ratio(written: str) -> Fraction | None:
    """The value of "1/2" or of a Unicode fraction."""
    above, below = unicodedata.normalize("NFKC", written).replace("\N{FRACTION SLASH}", "/").split("/")
    return _over(_decimal(above.strip()), _decimal(below.strip()))


def _mixed(whole: Fraction | None, part: Fraction | None) -> Fraction | None:
    """2 and 1/2 are 2.5; 2 and 5/2 are two numbers."""
    mixed = whole is not None and part is not None and whole.denominator == 1 and part < 1
    return whole + part if mixed and whole is not None and part is not None else None


def _fraction(above: Fraction | None, below: Fraction | None) -> Fraction | None:
    """The value of a/b, but None for 5/1 and 4/2, which could be lists of guesses that contain the value."""
    value = _over(above, below)
    return None if value in (above, below) else value


def _over(above: Fraction | None, below: Fraction | None) -> Fraction | None:
    return above / below if above is not None and below else None


def _times(value: Fraction | None, factor: Fraction | None) -> Fraction | None:
    return None if value is None or factor is None else value * factor


def _to_the(value: Fraction | None, power: str) -> Fraction | None:
    if value is None or not power:
        return value
    exponent = int(power) if len(power) <= LONGEST else LONGEST + 1
    within = abs(exponent) <= LONGEST and (value or exponent >= 0)
    return Fraction(value**exponent) if within else None
