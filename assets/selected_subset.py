"""`selected_subset`: the responses that each recipe selects for tuning."""

import dagster as dg

from assets import checks
from assets.car_table import ROWS, car_table
from assets.failures import told
from assets.metadata import distribution, materialized, narrow_table
from assets.study import STUDY, recipes
from preceptor.current import current_fingerprints
from preceptor.lake.resume import derive
from preceptor.lake.schemas import SELECTED_SUBSET
from preceptor.selection.recipes import (
    select_rows,
    selection_fingerprint,
    selection_places,
    selection_reads,
    shortfall,
)
from resources.lake import LakeResource
from resources.warehouse import WarehouseResource


@dg.asset(
    partitions_def=recipes,
    deps=[car_table, *ROWS],
    group_name="select",
    kinds={"deltalake", "duckdb", "sql"},
    check_specs=[
        checks.spec("selected_subset", "unique_keys", "No response is selected twice", blocking=True),
        checks.spec("selected_subset", "completeness", "As many rows as the recipe asks for"),
    ],
)
@told
def selected_subset(
    context: dg.AssetExecutionContext, lake: LakeResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:
    """The responses that each recipe selects for tuning.

    A row is one selected response: its teacher, the value it was selected by, and the reason in words.
    """
    name = context.partition_key
    session = warehouse.open(*selection_reads(STUDY, name))
    store = lake.open().made_from(session.versions, STUDY.recipe(name).model_dump(mode="json"))
    current = current_fingerprints(STUDY)
    read = session.files_of(selection_places(STUDY, name))
    fingerprint = selection_fingerprint(STUDY, name, current, read)
    outcome = derive(
        store,
        SELECTED_SUBSET,
        {"recipe": name},
        fingerprint,
        lambda: select_rows(session, STUDY, name, current),
    )
    rows = outcome.rows
    recipe = STUDY.recipe(name)
    left_out = {name: int(rows[name][0] or 0) for name in ("cut_left_out", "above_one_left_out")}
    teachers = rows["teacher"].value_counts(sort=True)
    return materialized(
        store,
        outcome,
        read=session.versions,
        checks=[
            checks.unique_keys(SELECTED_SUBSET, rows),
            checks.as_many_as_asked(
                recipe.rows, rows.height, shortfall(recipe, rows.height, *left_out.values())
            ),
        ],
        plot=lambda: distribution(rows["value"], "value selected by"),
        rows_per_teacher=lambda: narrow_table(teachers),
        **left_out,
    )
