"""Removes formatting around numbers: LaTeX, bold, currencies, exponents of units."""

import re

from preceptor.text import fold

SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
RAISED = str.maketrans(f"{SUPERSCRIPTS}⁺⁻", "0123456789+-")
MINUS = re.compile("[\N{MINUS SIGN}\N{EN DASH}\N{FIGURE DASH}\N{NON-BREAKING HYPHEN}\N{HYPHEN}]")
CURRENCY = "[$€£¥₹₩₽¢]"
AMOUNT = rf"({CURRENCY}\s?\d[\d.,]*)\s?"
STEPS = [
    (r"(?<=\d)(?:[\u00a0\u202f\u2009]|\{,\}|\\,)(?=\d{3}(?!\d))", ","),  # blanks that group thousands
    (r"~~[^~]{0,80}~~|<(del|s)>[^<]{0,80}</\1>", ""),  # struck out
    (r"<sup>\s*([-+]?\d+)\s*</sup>", r"^\1"),
    (r"</?[a-z][^<>]*>", ""),
    *((rf"{AMOUNT}[{letter}{letter.lower()}]\b", rf"\1{letter}") for letter in "KMB"),  # of money: $2.5 m
    (r"(?<=\d)\s*\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}", r" \1/\2"),
    (r"\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}", r"\1/\2"),
    (r"\^\s*\{?\\circ\}?", "°"),
    (r"\\(?:text|mathrm|mathbf|boxed)\s*\{([^{}]*)\}", r"\1"),
    (r"\\([%,$])", r"\1"),
    (r"(?<=\w)\*\*(?=[-+(]?\d)|(?<=\d) \*\* (?=[-+(]?\d)", "^"),  # Python's power; all else is bold
    (r"\*\*|__|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)", ""),
    (rf"(?<=[-+]){CURRENCY}\s?", ""),
    (CURRENCY, " "),
    (r"(?<=[^\W\d_])\s?\^\s?[{(]?[-+]?\d+[})]?", ""),  # m^2
]
COMPILED = [(re.compile(pattern), replacement) for pattern, replacement in STEPS]


def undressed(text: str) -> str:
    """The sentence as last_number reads it."""
    grouped, replacement = COMPILED[0]
    text = one_minus(fold(" ".join(grouped.sub(replacement, text).split())))
    for pattern, replacement in COMPILED[1:]:
        text = pattern.sub(replacement, text)
    return text.replace("\N{FRACTION SLASH}", "/").replace("\N{DIVISION SLASH}", "/")


def one_minus(text: str) -> str:
    """Replace every dash that can be a minus by "-"."""
    return MINUS.sub("-", text)


def raised(superscript: str) -> str:
    """Replace superscript digits by normal ones."""
    return superscript.translate(RAISED)
