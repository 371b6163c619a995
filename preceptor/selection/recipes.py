"""Chooses the rows that a base is tuned on, by recipe; each row has the reason for its choice."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from preceptor.current import ROW_TABLES, Current, register_current
from preceptor.fingerprint import fingerprint
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_TABLE,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    SELECTED_SUBSET,
    Table,
)
from preceptor.lake.store import Partition
from preceptor.lake.warehouse import Warehouse
from preceptor.study.recipes import AbstractRecipe
from preceptor.study.schema import Study
from preceptor.suitability.metrics import row_columns

VERSION = 2
Place = tuple[Table, Partition]


class EmptySelectionError(ValueError):
    """A recipe chooses no row; the message gives its settings."""


def select_rows(warehouse: Warehouse, study: Study, name: str, current: Current) -> pl.DataFrame:
    """Rows of `selected_subset` for one recipe, from a warehouse with `selection_reads` attached.

    Raises EmptySelectionError.
    """
    recipe, teachers = study.recipe(name), _teachers(study, name)
    register_current(warehouse, study, current)
    warehouse.keep("usable_sums", "selection/usable", base=recipe.losses_of, teachers=teachers)
    columns = {name: column.sql for name, column in row_columns().items() if name not in column.reads}
    warehouse.add_columns("usable", "usable_sums", columns | {"value": recipe.value})
    warehouse.keep("candidates", "selection/candidates", cut_responses=recipe.cut_responses)
    chosen = warehouse.query(f"selection/{recipe.kind}", **recipe.parameters)
    drawn_from = chosen["teacher"].unique().to_list() if recipe.BY_RANKING else teachers
    cut, above_one = _left_out(warehouse, recipe, drawn_from)
    if chosen.is_empty():
        raise EmptySelectionError(
            f"recipe {name!r} ({recipe.model_dump(exclude_none=True)}) chooses nothing: of"
            f" {warehouse.rows('candidates').height} usable responses none has what it asks for"
            f"{_in_words(cut, above_one)}"
        )
    counted = chosen.with_columns(cut_left_out=pl.lit(cut), above_one_left_out=pl.lit(above_one))
    return SELECTED_SUBSET.conform(counted)


def selection_reads(study: Study, name: str) -> tuple[Table, ...]:
    """The tables that a recipe reads; its rows depend on the partitions in `selection_places`."""
    return (*ROW_TABLES, CAR_TABLE) if study.recipe(name).BY_RANKING else ROW_TABLES


def selection_places(study: Study, name: str) -> list[Place]:
    """The partitions that a recipe's rows depend on. New rows of other teachers do not change them."""
    recipe = study.recipe(name)
    places: list[Place] = [(RAW_INSTRUCTIONS, {})]
    for teacher in _teachers(study, name):
        places.append((RESPONSES, {"teacher": teacher}))
        if recipe.by_reward:
            places.append((REWARDS, {"reward_model": study.car_reward_model, "teacher": teacher}))
        if recipe.losses_of:
            places.append((BASE_LOSSES, {"base": recipe.losses_of, "teacher": teacher}))
    return [*places, (CAR_TABLE, {})] if recipe.BY_RANKING else places


def selection_fingerprint(study: Study, name: str, current: Current, read: Mapping[str, Any]) -> str:
    """Changes with the recipe, the current rows, and the files of `selection_places` that it read."""
    recipe, teachers = study.recipe(name), _teachers(study, name)
    settings: dict[str, Any] = {
        "recipe": recipe.model_dump(),
        "responses": {teacher: current.responses.get(teacher) for teacher in teachers},
    }
    if recipe.by_reward:
        settings["reward_model"] = study.car_reward_model
        settings["rewards"] = {teacher: current.rewards.get(teacher) for teacher in teachers}
    if recipe.losses_of:
        settings["losses"] = {recipe.losses_of: current.losses.get(recipe.losses_of)}
    return fingerprint("selected_subset", VERSION, read=read, **settings)


def shortfall(recipe: AbstractRecipe, chosen: int, cut: int, above_one: int) -> str:
    """How many rows a recipe asked for and got, and why; empty if it got all of them.

    `cut` and `above_one` are the numbers of responses left out for these reasons, from `selected_subset`.
    Students tuned on different numbers of rows are hard to compare, so checks and report show this sentence.
    """
    if recipe.rows is None or chosen >= recipe.rows:
        return ""
    why = f"{recipe.exhausted}, and all of them are taken"
    if cut:
        why += f"; {cut:,} more were left out since they were cut at the limit of tokens (cut_responses: keep"
        why += " takes them)"
    if above_one:
        why += f"; {above_one:,} more were left out since they are above 1"
    return (
        f"recipe {recipe.name} asks for {recipe.rows:,} rows and got {chosen:,},"
        f" {recipe.rows - chosen:,} fewer: {why}"
    )


def _teachers(study: Study, name: str) -> list[str]:
    """The teachers whose responses the recipe chooses from."""
    return study.recipe(name).drawn_from(teacher.name for teacher in study.teachers)


def _left_out(warehouse: Warehouse, recipe: AbstractRecipe, teachers: list[str]) -> tuple[int, int]:
    counts = warehouse.query(
        "selection/left_out",
        cut_responses=recipe.cut_responses,
        at_most=recipe.at_most,
        teachers=teachers,
    )
    cut, above_one = counts.row(0)
    return cut, above_one


def _in_words(cut: int, above_one: int) -> str:
    told = [f"; {cut} more were cut at the limit of tokens (cut_responses: keep takes them)"] if cut else []
    told += [f"; {above_one} are above 1, which no recipe chooses"] if above_one else []
    return "".join(told)
