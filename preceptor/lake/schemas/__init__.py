"""The lake's tables, in the order in which a study writes them.

To add a table, declare it in `rows.py`, `ranking.py` or `evaluation.py` and list it here.
"""

from preceptor.lake.schemas.evaluation import (
    EVAL_DIFFERENCES,
    EVAL_RESULTS,
    EVAL_SCORES,
    JUDGMENTS,
    MEASURES,
    PREDICTED_ACTUAL,
    STUDENT_RESPONSES,
)
from preceptor.lake.schemas.ranking import (
    CAR_BETA_SWEEP,
    CAR_TABLE,
    SELECTED_SUBSET,
    SUITABILITY,
    TUNED_CHECKPOINT,
)
from preceptor.lake.schemas.rows import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.schemas.table import TEXTS, Derived, Table, Type, UndeclaredColumnError

__all__ = [
    "BASE_LOSSES",
    "CAR_BETA_SWEEP",
    "CAR_TABLE",
    "EVAL_DIFFERENCES",
    "EVAL_RESULTS",
    "EVAL_SCORES",
    "JUDGMENTS",
    "MEASURES",
    "PREDICTED_ACTUAL",
    "RAW_INSTRUCTIONS",
    "RESPONSES",
    "REWARDS",
    "SELECTED_SUBSET",
    "STUDENT_RESPONSES",
    "SUITABILITY",
    "TABLES",
    "TEXTS",
    "TUNED_CHECKPOINT",
    "Derived",
    "Table",
    "Type",
    "UndeclaredColumnError",
]

TABLES = {
    table.name: table
    for table in (
        RAW_INSTRUCTIONS,
        RESPONSES,
        REWARDS,
        BASE_LOSSES,
        SUITABILITY,
        CAR_TABLE,
        CAR_BETA_SWEEP,
        SELECTED_SUBSET,
        TUNED_CHECKPOINT,
        STUDENT_RESPONSES,
        JUDGMENTS,
        EVAL_RESULTS,
        EVAL_SCORES,
        EVAL_DIFFERENCES,
        PREDICTED_ACTUAL,
    )
}
