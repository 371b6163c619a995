"""The chosen rows with their texts, for tuning."""

import polars as pl

from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET
from preceptor.lake.store import NotMaterializedError
from preceptor.lake.warehouse import Warehouse

CONVERSATION_TABLES = (RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET)


class OutdatedSelectionError(RuntimeError):
    """A selection contains responses that no longer exist."""


def chosen_conversations(warehouse: Warehouse, recipe: str) -> pl.DataFrame:
    """A row per response that the recipe chose: ids, teacher, system, user turns, turns, finish_reason.

    `cut_left_out` is the number of responses that the whole recipe left out because they were cut.

    Raises NotMaterializedError if nothing is chosen yet, OutdatedSelectionError if responses were replaced
    after they were chosen.
    """
    chosen, teachers = warehouse.query("selection/chosen_count", recipe=recipe).row(0)
    if not chosen:
        raise NotMaterializedError(
            f"recipe {recipe!r} chose nothing yet: materialize `selected_subset` for it"
        )
    rows = warehouse.query("selection/chosen_conversations", recipe=recipe, teachers=teachers)
    if rows.height != chosen:
        raise OutdatedSelectionError(
            f"recipe {recipe!r}: of {chosen} chosen responses {chosen - rows.height} are gone, or their"
            " instructions are: materialize `selected_subset` for it again"
        )
    return rows
