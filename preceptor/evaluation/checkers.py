"""Programs that decide whether a response gives the right answer: one function a kind, listed in CHECKS."""

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal

MARKER = re.compile(r"\banswer(?:\s+is:?|:)\s*", re.IGNORECASE)
SENTENCE_END = re.compile(r"\.(?=\s|$)|\n")  # neither a decimal point nor the dots of "e.g" end a sentence
QUOTES = " \t\"'`“”‘’«»"
NUMBER = re.compile(
    r"(?:(?<!\w)[-+])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?:(?<!\w)[-+])?(?<!\d)\.\d+"
)
SIDE_BY_SIDE = re.compile(r"(?:[\s,;/|–—-]|\bor\b|\band\b)*", re.IGNORECASE)


def final_answer(response: str) -> str:
    """The part of a response that counts.

    What stands behind the last "answer is" or "answer:", else the last line that is not empty; of either
    only the first sentence.
    """
    text = _folded(response)
    markers = list(MARKER.finditer(text))
    if markers:
        text = text[markers[-1].end() :]
    else:
        text = next((line for line in reversed(text.split("\n")) if line.strip()), "")
    return SENTENCE_END.split(text.strip(), maxsplit=1)[0].strip()


def exact(response: str, answer: str) -> bool:
    """Whether the final answer is the answer: same words in the same case, whatever the blanks and quotes."""
    return _bare(final_answer(response)) == _bare(_folded(answer))


def number(response: str, answer: str) -> bool:
    """Whether the last number of the final answer is the answer's.

    Numbers side by side ("3, 4 or 5") are a list of guesses: such an answer is refused whichever comes last.
    """
    right = last_number(_folded(answer))
    return right is not None and last_number(final_answer(response)) == right


def contains(response: str, answer: str) -> bool:
    """Whether every keyword of the answer, "umbrella|rain", is in the final answer as whole words."""
    text = " ".join(final_answer(response).casefold().split())
    keywords = [" ".join(word.casefold().split()) for word in _folded(answer).split("|")]
    return all(word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in keywords)


def last_number(text: str) -> Decimal | None:
    """The last number of a text, None where there is none or another one stands beside it."""
    found = list(NUMBER.finditer(text))
    if not found:
        return None
    if len(found) > 1 and SIDE_BY_SIDE.fullmatch(text, found[-2].end(), found[-1].start()):
        return None
    return Decimal(found[-1].group().replace(",", ""))


def _folded(text: str) -> str:
    """NFKC, which knows no minus sign among the hyphens."""
    return unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")


def _bare(text: str) -> str:
    unquoted = " ".join(text.split()).strip(QUOTES)
    return unquoted.removesuffix(".").strip(QUOTES)


CHECKS: dict[str, Callable[[str, str], bool]] = {"exact": exact, "number": number, "contains": contains}
