"""What text becomes before it is stored, compared or hashed."""

import hashlib
import re
import unicodedata

SURROGATE = re.compile("[\ud800-\udfff]")


def repair(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 file can hold, by U+FFFD; all else stays, U+2028 too."""
    return SURROGATE.sub("\ufffd", text)


def normalise(text: str) -> str:
    """The form in which two instructions count as the same: NFKC, case folded, blanks collapsed."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def digest(*parts: str) -> str:
    """16 hexadecimal digits (64 bits) of SHA-256 over length-prefixed parts: a row's identity."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode()
        sha.update(len(data).to_bytes(8, "big"))
        sha.update(data)
    return sha.hexdigest()[:16]
