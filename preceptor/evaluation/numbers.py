"""The number that an answer ends with, as a value: None where there is none, or it is not clear which.

A benchmark's own answer is one plain number. A response may dress its number up: a currency, a unit
("25 m^2", "7 kg/m3"), a percent sign, thousands separators. What makes another value of it ("5 million",
"3e5", "7²", "1/2", "minus 5") is computed; what is no single number ("5:30", "3 to 5", "2 hours 30
minutes", "1.2.3") or only bounds one ("at least 5", "5+") is none. Units are not compared.
"""

import re
import unicodedata
from fractions import Fraction

from preceptor.evaluation.undressed import SUPERSCRIPTS, one_minus, raised, undressed
from preceptor.text import fold

LONGEST = 100  # characters of a number, and the most that a power may raise to
VULGAR = "[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"
MAGNITUDES = {
    **{"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12},
    **{"dozen": 12, "lakh": 10**5, "crore": 10**7, "mio": 10**6, "mn": 10**6, "bn": 10**9, "tn": 10**12},
}
LETTERS = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}  # with no blank before: "5 K" are kelvins
DECIMAL = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+)"
SCIENTIFIC = rf"{DECIMAL}(?:[eE][-+]?\d{{1,3}}(?!\w))?"
PLAIN = re.compile(rf"[-+]?{SCIENTIFIC}")
QUANTITY = re.compile(
    rf"""
    (?<!\w)(?<![^\W\d_]-)             # not within a word: m3, COVID-19
    (?P<sign>[-+])?
    (?:(?P<alone>{VULGAR})
    |(?P<number>{SCIENTIFIC})
     (?:\s*/\s*(?P<below>{DECIMAL}) | \s*(?P<vulgar>{VULGAR}) | \s+(?P<part>\d+\s*/\s*\d+)(?!\s*/|\w))?
     (?:\s*(?:[xX×·⋅*]|\\times|\\cdot)\s*(?P<ten>10)(?=\s*\^|[⁺⁻{SUPERSCRIPTS}]))?
     (?:\s*\^\s*[{{(]?\s*(?P<power>[-+]?\d+)[}})]? | (?P<high>[⁺⁻]?[{SUPERSCRIPTS}]+))?
    )""",
    re.VERBOSE,
)
MAGNITUDE = re.compile(rf"\s*-?\s*(?i:(?P<word>{'|'.join(MAGNITUDES)})s?)\b|(?P<letter>[kKMB])\b(?!/)")
GOES_ON = re.compile(  # behind a number: it is not all, or only a bound
    rf"""
    [_:]\w | x\s*[\d.] | [^\W\d_]+[014-9] | [^\W\d_]+[23]\w      # 1_000, 3:x, 3x4, 0x1F, 2h30; but 25m2
    | \s*\)*\s*\^ | [⁺⁻{SUPERSCRIPTS}₀-₉] | \+(?!\s*\w) | \s+(?:squared|cubed|factorial)\b
    | \s+(?:and|&)\s+(?:an?|one|two|three)[\s-](?:half|third|quarter|fourth|fifth|tenth)s?\b
    | \s+(?:tenth|hundredth|thousandth|millionth)s?\b
    | (?:\s+[^\W\d_]+)?\s+or\s+(?:more|less|fewer)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
NOT_IT = re.compile(  # before a number: a bound, a denial, or a part of an expression
    r"""(?:(?<!<)<=? | (?<![-=>])>=? | [≤≥≠±√] | \+/- | != | \\(?:[lg]eq?|pm|sqrt\s*\{) | (?:^|=)\s*-
    | (?:\b(?:not|never|than|least|most|below|above|under|over|nor|up\s+to|past|root\s+of|half|half\s+of|twice
            |double|triple)|n't)(?:\s+(?:to|be|equal\s+to|an?))?
    )\s*[($"'*]*$""",
    re.IGNORECASE | re.VERBOSE,
)
NEGATED = re.compile(r"\b(?:minus|negative)\s*$", re.IGNORECASE)
UNIT = (
    r"(?:%|°[CF]?|'|\"|(?:[mcdk]?m[23²³]?|[mk]?g|m?l|s|h|hrs?|ft|yd|mi|lbs?|oz|in|[CF]"
    r"|hours?|min(?:ute)?s?|sec(?:ond)?s?|days?|weeks?|months?|years?|foot|feet|inch(?:es)?|yards?|miles?"
    r"|pounds?|ounces?|dollars?|euros?|cents?|pence|percent|degrees?|(?:kilo|centi|milli)?(?:gram|meter|metre)s?"
    r"|lit(?:er|re)s?)\b\.?)"
)
# Between two numbers: a list, a range, a sum or a compound, not what one of them leads to.
JOINED = re.compile(
    rf"""(?:\s*{UNIT})?
    (?: [\s,;:/|()\-–—…~.+*x×·÷±&{{}}^]
      | \b(?:or|and|to|of|out|in|by|per|plus|minus|times|over|through|until|vs|versus
        |divided|the|power|raised)\b
    )*""",
    re.IGNORECASE | re.VERBOSE,
)
EITHER = re.compile(r"(?:\s*[^\W\d_]++){0,3}\s+or\s+(?:[^\W\d_]++\s+){0,2}\W{0,2}|\s+[^\W\d_]+\s+to\s+", re.I)


def plain_number(text: str) -> Fraction | None:
    """The value of a text that is one number and nothing else: "-1,234.5", "1e-05"; None for any other."""
    bare = one_minus(fold(text.strip()))
    return _decimal(bare) if PLAIN.fullmatch(bare) else None


def last_number(text: str) -> Fraction | None:
    """The value of the last number of a sentence, None where it is unclear or stands beside another."""
    text = undressed(text)
    found = list(QUANTITY.finditer(text))
    if not found:
        return None
    last, end = found[-1], found[-1].end()
    before, value = text[: last.start()], _value(last)
    while value is not None and (more := MAGNITUDE.match(text, end)):
        value *= MAGNITUDES[more["word"].lower()] if more["word"] else LETTERS[more["letter"]]
        end = more.end()
    if value is None or GOES_ON.match(text, end) or NOT_IT.search(before[-40:]):
        return None
    if len(found) > 1 and _joined(text[found[-2].end() : last.start()]):
        return None
    return -value if NEGATED.search(before[-40:]) else value


def _joined(between: str) -> bool:
    return bool(JOINED.fullmatch(between) or EITHER.fullmatch(between))


def _value(found: re.Match[str]) -> Fraction | None:
    """What one match of QUANTITY is worth."""
    value = _ratio(found["alone"]) if found["alone"] else _decimal(found["number"])
    power = found["power"] or raised(found["high"] or "")
    part = found["vulgar"] or found["part"]
    if part:
        value = _mixed(value, _ratio(part))
    if found["below"]:
        value = None if power else _over(value, _decimal(found["below"]))
    value = _times(value, _to_the(Fraction(10), power)) if found["ten"] else _to_the(value, power)
    return _times(value, Fraction(-1)) if found["sign"] == "-" else value


def _decimal(written: str) -> Fraction | None:
    return Fraction(written.replace(",", "")) if len(written) <= LONGEST else None


def _ratio(written: str) -> Fraction | None:
    """Of "1/2" or one of Unicode's fractions."""
    above, below = unicodedata.normalize("NFKC", written).replace("\N{FRACTION SLASH}", "/").split("/")
    return _over(_decimal(above.strip()), _decimal(below.strip()))


def _mixed(whole: Fraction | None, part: Fraction | None) -> Fraction | None:
    """2 and 1/2 are 2.5; 2 and 5/2 are two numbers."""
    mixed = whole is not None and part is not None and whole.denominator == 1 and part < 1
    return whole + part if mixed and whole is not None and part is not None else None


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
