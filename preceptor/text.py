"""What text becomes before it is stored, compared or hashed."""

import hashlib
import math
import re
import unicodedata
from decimal import Decimal
from functools import lru_cache

MEANINGFUL = ("<super>", "<sub>", "<fraction>", "<circle>", "<square>")  # Unicode's kinds of compatible forms
SURROGATE = re.compile("[\ud800-\udfff]")
LINE_END = re.compile("\r\n|[\r\x85\u2028\u2029]")
SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")  # Unicode's spaces besides " "
# Joiners stay, since they shape letters and pictures; so do overrides of the direction of writing.
INVISIBLE = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff]")
TRAILING = re.compile("[ \t\x0b\x0c]+$", re.MULTILINE)


def repair(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 file can hold, by U+FFFD; all else stays, U+2028 too."""
    try:
        text.encode()  # nearly every text, and ten times as fast as to search it
    except UnicodeEncodeError:
        return SURROGATE.sub("\ufffd", text)
    return text


def fold(text: str) -> str:
    """One form for characters that a reader takes for the same: ﬁ is fi, full-width １２ is 12, é one code.

    NFKC but for what would change the meaning: 5² stays apart from 52, H₂ from H2, 2½ from 21/2, ② from 2.
    Blanks stay as they are; what cannot be seen goes.
    """
    return unicodedata.normalize("NFC", "".join(map(_same_character, INVISIBLE.sub("", text))))


@lru_cache(maxsize=4096)
def _same_character(character: str) -> str:
    kind = unicodedata.decomposition(character).partition(" ")[0]
    if kind in MEANINGFUL or character.isspace():
        return character
    return unicodedata.normalize("NFKC", character)


def written(value: object) -> str:
    """A cell's value as a person writes it: 0.00001 where Python writes 1e-05."""
    if isinstance(value, float) and math.isfinite(value):
        return repair(format(Decimal(repr(value)), "f"))
    return repair(str(value))


def normalise(text: str) -> str:
    """The form in which two texts are the same to a reader: what cannot be seen is evened out, no more.

    Accents are composed (NFC), line ends are one, blanks look alike, those behind a line or around the text
    go, and so do invisible characters. Case, powers, fractions and indentation stay: 5² is not 52, Polish is
    not polish, and a line of Python belongs where it stands.
    """
    if text.isascii() and "\r" not in text:  # the same at a tenth of the time
        return (TRAILING.sub("", text) if "\n" in text else text).strip()
    seen = SPACE.sub(" ", INVISIBLE.sub("", LINE_END.sub("\n", unicodedata.normalize("NFC", text))))
    return unicodedata.normalize("NFC", TRAILING.sub("", seen).strip())


def in_one_line(text: str) -> str:
    """The normal form with every run of blanks and line ends as one blank."""
    return " ".join(normalise(text).split())


def folded(text: str) -> str:
    """NFKC, case folded, blanks collapsed: what stored ids are made of. It merges what differs: 5² and 52."""
    once = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", once).split())


def digest(*parts: str) -> str:
    """16 hexadecimal digits (64 bits) of SHA-256 over length-prefixed parts: a row's identity."""
    encoded = [part.encode() for part in parts]
    sized = b"".join([piece for data in encoded for piece in (len(data).to_bytes(8, "big"), data)])
    return hashlib.sha256(sized).hexdigest()[:16]
