"""A recipe's rows and its fingerprint hang on the partitions that it names, and on no other."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preceptor.lake.schemas import BASE_LOSSES, CAR_TABLE, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.selection.recipes import selection_fingerprint, selection_places, selection_reads
from tests.selection.lakes import (
    BASES,
    BEST,
    DRAWN,
    GOOD,
    ONE,
    PICKED,
    SQL,
    TEACHERS,
    TOP,
    Row,
    empty_lake,
    everything,
    fill,
    loss,
    select,
    study,
)

RECIPES = {
    "one teacher": ONE,
    "best teacher": BEST,
    "at random": DRAWN,
    "at random of two": {**DRAWN, "teachers": ["007", "c++"]},
    "by loss": TOP,
    "by reward": {**TOP, "column": "reward"},
    "by loss of one": {**TOP, "teachers": ["c++"]},
    "best of n": PICKED,
}
EVERY = [
    (RAW_INSTRUCTIONS, {}),
    (CAR_TABLE, {}),
    *((RESPONSES, {"teacher": teacher}) for teacher in TEACHERS),
    *((REWARDS, {"reward_model": n, "teacher": t}) for n in ("judge", "other") for t in TEACHERS),
    *((BASE_LOSSES, {"base": base, "teacher": teacher}) for base in BASES for teacher in TEACHERS),
]
CHANGES = {  # none of which a recipe that reads the table could overlook
    "raw_instructions": pl.lit("elsewhere").alias("place"),
    "car_table": pl.col("rank").reverse(),
    "responses": pl.lit("gone").alias("error"),
    "rewards": (pl.col("reward") * -3).alias("reward"),
    "base_losses": pl.col("nll_sum").reverse(),
}


def fingerprint_of(lake, recipe, **changes):
    warehouse, declared = Warehouse(lake, SQL), study(recipe, **changes)
    warehouse.attach(*selection_reads(declared, "it"))
    read = warehouse.files_of(selection_places(declared, "it"))
    return selection_fingerprint(declared, "it", everything(declared), read)


def change(lake, table, partition):
    rows = lake.read(table, partition, list(table.row_schema)).with_columns(CHANGES[table.name])
    lake.publish(table, rows, partition, "f")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_other_partitions_change_neither_its_rows_nor_its_mark(tmp_path, recipe):
    lake = fill(empty_lake(tmp_path), GOOD)
    chosen, fingerprint, places = (
        select(lake, recipe),
        fingerprint_of(lake, recipe),
        selection_places(study(recipe), "it"),
    )
    for table, partition in EVERY:
        if (table, partition) not in places:
            change(lake, table, partition)
    assert_frame_equal(select(lake, recipe), chosen)
    assert fingerprint_of(lake, recipe) == fingerprint
    for table, partition in places:
        change(lake, table, partition)
        assert fingerprint_of(lake, recipe) != fingerprint, (table.name, partition)
        fingerprint = fingerprint_of(lake, recipe)


@pytest.mark.parametrize("name", RECIPES)
def test_another_teacher_is_chosen_from_only_by_recipes_over_all(tmp_path, name):
    lake, recipe = fill(empty_lake(tmp_path), GOOD), RECIPES[name]
    fingerprint = fingerprint_of(lake, recipe)
    came = [Row("new", "i00", "new", reward=9.0, losses=dict.fromkeys(BASES, loss(1)))]
    for table, partition in (
        (RESPONSES, {"teacher": "new"}),
        (REWARDS, {"reward_model": "judge", "teacher": "new"}),
        *((BASE_LOSSES, {"base": base, "teacher": "new"}) for base in BASES),
    ):
        columns = [row.__dict__ for row in came]
        known = pl.DataFrame(
            [{k: v for k, v in row.items() if k in table.row_schema} for row in columns],
            schema=table.row_schema,
        )
        lake.publish(table, known, partition, "f")
    over_all = name in ("best teacher", "at random", "by loss", "by reward")
    assert (fingerprint_of(lake, recipe, teachers=(*TEACHERS, "new")) != fingerprint) == over_all
