"""Functions that decide whether a response gives the right answer. CHECKS lists them by name."""

import re
from collections.abc import Callable

from preceptor.evaluation.numbers import last_number, plain_number
from preceptor.text import fold

MARKER = re.compile(r"\banswer(?:\s+is\b(?!n't):?|:)(?:\*\*(?=\s))?\s*", re.IGNORECASE)
SENTENCE_END = re.compile(r"\.(?=\s|$)|\n")  # a decimal point or the dots of "e.g" do not end a sentence
# The start of a sentence that corrects the one before it.
CORRECTION = re.compile(
    r"(?:(?:(?:oh|hmm+|ah)\W+)?(?:no\W+(?:wait|actually|sorry)|wait(?:\W+no)?|no(?=[,:;!])|correction|oops"
    r"|scratch\s+that|on\s+second\s+thought)\b[\s,:;.!…—-]*)+",
    re.IGNORECASE,
)
BOLD = re.compile(r"(?<![\w*])\*\*(?=\S)([^*]+)(?<=\S)\*\*(?![\w*])")
BOXED = re.compile(r"\$*\s*\\boxed\s*\{(.*)\}\s*\$*")
OPENING = "\"'`“‘«"
CLOSING = "\"'`”’»"


def final_answer(response: str) -> str:
    """The part of a response that is checked.

    This is the text after the last "answer is" or "answer:", or else the last line that is not empty. Of that
    text, only the first sentence counts, or the sentence that corrects it ("5. No, wait: 12.").
    """
    text = fold(response)
    markers = list(MARKER.finditer(text))
    if markers:
        text = text[markers[-1].end() :]
    else:
        text = next((line for line in reversed(text.split("\n")) if line.strip(" \t\r`")), "")
    first, rest = _sentence(text)
    while (taken_back := CORRECTION.match(rest)) and rest[taken_back.end() :]:
        first, rest = _sentence(rest[taken_back.end() :])
    return first


def _sentence(text: str) -> tuple[str, str]:
    """The first sentence without its full stop, and the rest."""
    first, _, rest = SENTENCE_END.sub("\0", text.strip(), count=1).partition("\0")
    return first.strip(), rest.strip()


def exact(response: str, answer: str) -> bool:
    """Whether the final answer equals the answer.

    Words and letter case must match. Blanks, quotes around the answer, a last full stop, bold and a LaTeX box
    are ignored. Characters that only look different are equal (ﬁ and fi). Characters with another meaning are
    not (5² and 52, f' and f).
    """
    final = final_answer(response)
    return _bare(answer) in (_bare(final), _bare(_unmarked(final)))


def number(response: str, answer: str) -> bool:
    """Whether the last number of the final answer has the answer's value; see preceptor.evaluation.numbers.

    Numbers side by side ("3, 4 or 5") are a list of guesses. Such an answer is wrong, whichever comes last.
    """
    right = plain_number(answer)
    return right is not None and last_number(final_answer(response)) == right


def contains(response: str, answer: str) -> bool:
    """Whether every keyword of the answer, "umbrella|rain", is in the final answer as a whole word."""
    text = _words(final_answer(response))
    return all(_within(_words(keyword), text) for keyword in answer.split("|"))


CHECKS: dict[str, Callable[[str, str], bool]] = {"exact": exact, "number": number, "contains": contains}


def refusal(check: str, answer: str) -> str | None:
    """Why a benchmark's answer cannot be used with a check, with the remedy; None where it can."""
    if check not in CHECKS:
        return f"the check {check!r} does not exist: use one of {', '.join(CHECKS)}"
    if check == "number" and plain_number(answer) is None:
        return (
            f"the answer {answer!r} of check 'number' is not one plain number, such as -1,234.5: write the"
            " number alone, without a unit, or use the check 'exact'"
        )
    if not CHECKS[check](answer, answer):
        return f"the answer {answer!r} does not pass its own check {check!r}: correct the answer or the check"
    return None


def _unmarked(text: str) -> str:
    boxed = BOXED.fullmatch(BOLD.sub(r"\1", text).strip())
    return BOLD.sub(r"\1", text) if boxed is None else boxed[1]


def _bare(text: str) -> str:
    """The text without quotes around it and a last full stop, and with normalised blanks and code points.

    A text of only such characters is kept, so that the answer "." differs from an empty one.
    """
    text = " ".join(fold(text).replace("\N{MINUS SIGN}", "-").split())
    stopped = text.removesuffix(".")
    for bare in (text, stopped):
        if len(bare) > 1 and bare[0] in OPENING and CLOSING[OPENING.index(bare[0])] == bare[-1]:
            return _bare(bare[1:-1]) or bare
    return stopped.strip() or text


def _words(text: str) -> str:
    return " ".join(fold(text).replace("\N{MINUS SIGN}", "-").casefold().split())


def _within(keyword: str, text: str) -> bool:
    """Whether the text contains the keyword as a whole word or number."""
    if not keyword:
        return False
    before, after = r"(?<!\w)", r"(?!\w|['’]t\b|\+\+|#)"  # "can" is not in "can't", nor C in C++
    if keyword[0].isdigit():
        before = r"(?<!\w)(?<!\d[.,:/^'-])(?<![-+.^±√])"
    if keyword[-1].isdigit():
        after = r"(?!\w)(?![.,:/^'-]\d)(?!\^)(?! \d{3}(?!\d))"
    if re.match(r"\d{3}(?!\d)", keyword):
        before += r"(?<!\d )"
    return re.search(before + re.escape(keyword) + after, text) is not None
