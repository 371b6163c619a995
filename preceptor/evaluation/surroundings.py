"""Detects context that makes a number invalid: a part of a larger expression, a list, or only a bound.

The patterns are English words and mathematical signs in three places: before the last number of a sentence,
after it, and between it and the number before.
"""

import re

from preceptor.evaluation.undressed import SUPERSCRIPTS

NEARBY = 80  # characters before a number that are searched
DIGITS = "two|three|four|five|six|seven|eight|nine|ten"
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
POWERS = "hundred|thousand|million|billion|trillion"
PARTS = "half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twelfth"
# LaTeX commands that only format or introduce a number. Any other command computes with it.
LAYOUT = (
    r"text\w*|math(?:rm|bf|sf|it)|[fm]?box(?:ed)?|underline|left|right|[bB]igg?[lr]?|q?quad|displaystyle|bf"
    r"|large|color|approx|cong|therefore|implies|[rR]ightarrow|to|circ|degree|end|tag|colon|space|enspace"
)
FUNCTIONS = "log|ln|lg|sin|cos|tan|cot|sec|csc|exp|sqrt|cbrt|abs|floor|ceil"
BEHIND = re.compile(
    rf"""
    [_:∶]\w | x\s*[\d.] | [^\W\d_]+[014-9] | [^\W\d_]+[23]\w      # 1_000, 3:x, 3x4, 0x1F, 2h30; but 25m2
    | (?-i:[nxyz])(?!\w) | \s*[πθ√] | \s?\\(?!(?:{LAYOUT})\b)[a-z]+  # 3x, 2π, 2\pi
    | \s+e\s?[-+]?\d | \s+(?:(?-i:k)|mil)\b | \s+times\s+(?:{DIGITS})\b | \u0305
    | \s*\)*\s*\^ | [⁺⁻{SUPERSCRIPTS}₀-₉] | \+ | \s+(?:squared|cubed|factorial|plus)\b
    | (?:\s+[^\W\d_]+)?\s+(?:and|&)\s+(?:an?|one|two|three)[\s-](?:{PARTS})s?\b
    | \s+(?:halves|(?:third|fourth|fifth|sixth|seventh|eighth|ninth)s)\b
    | \s+(?:tenth|hundredth|thousandth|millionth)s?\b
    | (?:\s+[^\W\d_]+)?,?\s+(?:or|and)\s+(?:more|less|fewer|above|below|over|under|up|beyond|higher|lower
        |greater)\b
    | (?:\s+[^\W\d_]+)?,?\s+(?:at\s+(?:the\s+)?(?:most|least|minimum|maximum)|minimum|maximum|tops)\b
    | (?:\s+[^\W\d_]+)?\s+below\s+(?:zero|freezing|sea)\b
    | (?:\s+[^\W\d_]+)?\s+(?:is|was|are|were)\s+(?:wrong|incorrect|false|impossible)\b
    | \s+(?:(?:is|was)(?:\s+not|\s+too|n['’]t)\b|can(?:not|['’]t)\b)
    """,
    re.IGNORECASE | re.VERBOSE,
)
AFTER_POWER = re.compile(rf"\s+(?:and\s+)?(?:one|{DIGITS}|{TENS}|{POWERS})\b", re.IGNORECASE)
BEFORE = re.compile(
    rf"""(?:(?<!<)<=? | (?<![-=>])>=? | [≤≥≠±√] | \+/- | [!/]= | <> | (?:^|=)\s*-
    | \\(?!(?:{LAYOUT})\b)[a-z]+(?:\[[^\]]*\])?(?:\{{[^{{}}]*\}})*\s*\{{?         # \sqrt[3]{{8, \frac{{x}}{{2
    | (?:(?<![^\W_])(?:[^\W\d_]|pi)|[π)\]}}])(?:\*|\s+\*\s|\s*[/+×·÷])                # x + 3, π/3, (a)/3
    | (?<![^\W_])[^\W\d_]\s+-
    | (?<![^\W_])(?:{FUNCTIONS}|mod|modulo) | (?<![^\W_])[^\W\d_]\((?=\(?$)            # log 5, f(5
    | \b(?:(?:not|never|hardly|cannot|than|least|most|below|above|under|over|beyond|nor|up\s+to|past
              |instead\s+of|opposed\s+to|upwards\s+of|excess\s+of|exceed(?:s|ed|ing)?
              |divisible\s+by|(?:root|multiple|factor|divisor|square|cube|reciprocal|{PARTS})s?\s+of
              |half|twice|double|triple|(?:{DIGITS})\s+times)
          |\w+n['’]t)(?:\s+(?:or\s+equal|to|be|equal|an?|the))*
    | \b(?:(?:{TENS})[\s-]|(?:{POWERS})\s(?:and)?)
    )\s*[($"'*]*$""",
    re.IGNORECASE | re.VERBOSE,
)
NEGATED = re.compile(r"\b(?:minus|negative)\s*$", re.IGNORECASE)
UNIT = (
    r"(?:%|°[CF]?|['’′\"”″]|(?:[mcdk]?m[23²³]?|[mk]?g|m?l|s|h|hrs?|ft|yd|mi|lbs?|oz|in|[CF]"
    r"|hours?|min(?:ute)?s?|sec(?:ond)?s?|days?|weeks?|months?|years?|foot|feet|inch(?:es)?|yards?|miles?"
    r"|pounds?|ounces?|dollars?|euros?|cents?|pence|percent|degrees?|(?:kilo|centi|milli)?(?:gram|meter|metre)s?"
    rf"|lit(?:er|re)s?|(?:{POWERS})s?|lakh|crore)\b\.?)"
)
MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*"
# Text between two numbers that form a list, a range, a sum or a compound.
BETWEEN = re.compile(
    rf"""(?:\s*{UNIT})?
    (?: [\s,;:∶/|()\[\]\-–—…~.?+*x×·÷±&{{}}^]
      | \b(?:or|and|to|of|out|in|by|per|plus|minus|less|times|over|through|until|vs|versus|against|then
        |divided|the|power|raised|e|r|rem|remainder|mod|modulo|with|a|maybe|perhaps|possibly|probably
        |{MONTHS})\b
    )*
    | .*\b(?:else|otherwise|alternatively)\W*""",
    re.IGNORECASE | re.VERBOSE,
)
EITHER = re.compile(r"(?:\s*[^\W\d_]++){0,3}\s+or\s+(?:[^\W\d_]++\s+){0,4}\W{0,2}|\s+[^\W\d_]+\s+to\s+", re.I)


def is_no_number(before: str, behind: str) -> bool:
    """Whether the text before or after a number makes it invalid, or a part of a larger number."""
    return bool(BEHIND.match(behind) or BEFORE.search(before[-NEARBY:]))


def joins(between: str) -> bool:
    """Whether two numbers with this text between them form a list, range, sum or compound."""
    return bool(BETWEEN.fullmatch(between) or EITHER.fullmatch(between))
