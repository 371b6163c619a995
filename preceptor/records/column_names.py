"""What a column's name says of its text: part of a prompt, answer, label, or what only a program reads."""

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
# Words that make a label of no other: task_type is one, output_format is none.
QUALIFIERS = frozenset("coarse fine first high low main meta primary second secondary sub top".split())
OPERANDS = frozenset("num number numbers operand operands value values".split())
ANSWERS = frozenset(
    "answer answers chosen completion completions gold output outputs rejected replies reply response"
    " responses target targets truth".split()
)
# How an answer came about: whoever reads it has the answer.
EXPLANATIONS = frozenset(
    "cot explanation explanations rationale rationales reasoning solution solutions thinking thought"
    " thoughts".split()
)
# The last word of a column's name that says: this was shown to whoever answered.
PROMPTS = frozenset(
    "article background choices content context contexts conversation conversations dialog dialogue document"
    " documents history hypothesis input inputs instruction instructions messages options paragraph passage"
    " passages persona prefix premise preamble prompt prompts query question questions sentence sentences"
    " story system text texts turns".split()
)
# Of those, what holds material: a short answer is found in it and does not make it a copy of the answer.
MATERIAL = PROMPTS - frozenset(
    "conversation conversations dialog dialogue history instruction instructions messages prompt prompts"
    " turns".split()
)
# Words in the names of columns that differ between two copies of one question too.
APART = frozenset(
    "annotator at confidence cost created generator guid hash id idx ids index link md5 model path preference"
    " price rater rating reward sample score seed sha temperature time timestamp tstamp uid updated url uuid"
    " worker".split()
)


@lru_cache(maxsize=4096)
def words_of(column: str) -> tuple[str, ...]:
    """The words of a column's name, whether written model_input or modelInput."""
    return tuple(word.lower() for word in WORD.findall(column)) or (column.lower(),)


def is_label(column: str) -> bool:
    """Whether a column is called like a label, and not like a part of a question (`target_language`)."""
    return words_of(column)[-1] in LABELS and {*words_of(column)} <= LABELS | QUALIFIERS


def is_operand(column: str) -> bool:
    """Whether a number in this column is one to reckon with: `a`, `number_1`."""
    return len(column) == 1 or last_word(column) in OPERANDS


@lru_cache(maxsize=4096)
def last_word(column: str) -> str:
    """The last word of a column's name, which says what it is (`output_2` and `answer_text` too)."""
    words = list(words_of(column))
    while len(words) > 1 and (words[-1].isdigit() or len(words[-1]) == 1):
        words.pop()
    return words[-2] if words[-1] == "text" and {*words[-2:-1]} & ANSWERS else words[-1]
