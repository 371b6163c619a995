"""Guess from a column's name what it contains: part of a prompt, an answer, a label, or technical data."""

import re
from functools import lru_cache

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
LABELS = frozenset(
    "author authors benchmark category categories class cluster corpus country data dataset datasets"
    " difficulty domain field format gender generator group intent kind label labels lang language level"
    " licence license locale method name origin provenance role skill skills source split status style"
    " subcategory subject subset tag tags task theme title topic topics turn type url urls version"
    " winner".split()
)
# Words that may go with a label: main_topic is a label. Other words may not: output_format is no label.
QUALIFIERS = frozenset("coarse fine first high low main meta primary second secondary sub top".split())
OPERANDS = frozenset("num number numbers operand operands value values".split())
ANSWERS = frozenset(
    "answer answers chosen completion completions gold output outputs rejected replies reply response"
    " responses target targets truth".split()
)
# How an answer was found. Such a text reveals the answer.
EXPLANATIONS = frozenset(
    "cot explanation explanations rationale rationales reasoning solution solutions thinking thought"
    " thoughts".split()
)
# Last words of names of columns that were shown to the person or model that answered.
PROMPTS = frozenset(
    "article background choices content context contexts conversation conversations dialog dialogue document"
    " documents history hypothesis input inputs instruction instructions messages options paragraph passage"
    " passages persona prefix premise preamble prompt prompts query question questions sentence sentences"
    " story system text texts turns".split()
)
# Those with source material. A short answer may appear in it without making it a copy of the answer.
MATERIAL = PROMPTS - frozenset(
    "conversation conversations dialog dialogue history instruction instructions messages prompt prompts"
    " turns".split()
)
# Words in the names of columns that may differ between two copies of one question.
APART = frozenset(
    "annotator at confidence cost created generator guid hash id idx ids index link md5 model path preference"
    " price rater rating reward sample score seed sha temperature time timestamp tstamp uid updated url uuid"
    " worker".split()
)


@lru_cache(maxsize=4096)
def words_of(column: str) -> tuple[str, ...]:
    """The words of a column's name, such as model_input or modelInput."""
    return tuple(word.lower() for word in WORD.findall(column)) or (column.lower(),)


def is_label(column: str) -> bool:
    """Whether a column's name is a label's and not that of a part of a question (`target_language`)."""
    return words_of(column)[-1] in LABELS and {*words_of(column)} <= LABELS | QUALIFIERS


def is_operand(column: str) -> bool:
    """Whether numbers in this column are operands of a question: `a`, `number_1`."""
    return len(column) == 1 or last_word(column) in OPERANDS


@lru_cache(maxsize=4096)
def last_word(column: str) -> str:
    """The last meaningful word of a column's name: `output` in `output_2`, `answer` in `answer_text`."""
    words = list(words_of(column))
    while len(words) > 1 and (words[-1].isdigit() or len(words[-1]) == 1):
        words.pop()
    return words[-2] if words[-1] == "text" and {*words[-2:-1]} & ANSWERS else words[-1]
