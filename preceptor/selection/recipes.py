"""Recipes: which rows a base is tuned on, each row with why it was chosen."""

import math
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
from preceptor.study.recipes import AnyRecipe, BestOfN, BestTeacher, OneTeacher, Random, TopK
from preceptor.study.schema import Study
from preceptor.suitability.metrics import row_columns

VERSION = 2
EVERYTHING = 2**62
Place = tuple[Table, Partition]


class EmptySelectionError(ValueError):
    """A recipe that chooses no row; its text says what it looked for."""


def select_rows(warehouse: Warehouse, study: Study, name: str, current: Current) -> pl.DataFrame:
    """Rows of `selected_subset` for one recipe, from a warehouse with `selection_reads` attached.

    Raises EmptySelectionError.
    """
    recipe = study.recipe(name)
    register_current(warehouse, study, current)
    teachers = _candidates(warehouse, study, recipe)
    chosen = _chosen(warehouse, recipe)
    drawn_from = chosen["teacher"].unique().to_list() if isinstance(recipe, BestTeacher) else teachers
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
    """The tables that a recipe is chosen with; `selection_places` are what its rows depend on."""
    return (*ROW_TABLES, CAR_TABLE) if isinstance(study.recipe(name), BestTeacher) else ROW_TABLES


def selection_places(study: Study, name: str) -> list[Place]:
    """The partitions that a recipe's rows depend on: what comes for another teacher changes none of them."""
    recipe = study.recipe(name)
    places: list[Place] = [(RAW_INSTRUCTIONS, {})]
    for teacher in _teachers(study, recipe):
        places.append((RESPONSES, {"teacher": teacher}))
        if _by_reward(recipe):
            places.append((REWARDS, {"reward_model": study.car_reward_model, "teacher": teacher}))
        if base := _loss_base(recipe):
            places.append((BASE_LOSSES, {"base": base, "teacher": teacher}))
    return [*places, (CAR_TABLE, {})] if isinstance(recipe, BestTeacher) else places


def selection_fingerprint(study: Study, name: str, current: Current, read: Mapping[str, Any]) -> str:
    """Changes with the recipe, which rows count, and what it read: the files of `selection_places`."""
    recipe = study.recipe(name)
    teachers, base = _teachers(study, recipe), _loss_base(recipe)
    settings: dict[str, Any] = {
        "recipe": recipe.model_dump(),
        "responses": {teacher: current.responses.get(teacher) for teacher in teachers},
    }
    if _by_reward(recipe):
        settings["reward_model"] = study.car_reward_model
        settings["rewards"] = {teacher: current.rewards.get(teacher) for teacher in teachers}
    if base:
        settings["losses"] = {base: current.losses.get(base)}
    return fingerprint("selected_subset", VERSION, read=read, **settings)


def _teachers(study: Study, recipe: AnyRecipe) -> list[str]:
    """Whose responses the recipe chooses from."""
    if isinstance(recipe, OneTeacher | BestOfN):
        return [recipe.teacher]
    if isinstance(recipe, Random | TopK) and recipe.teachers:
        return list(recipe.teachers)
    return [teacher.name for teacher in study.teachers]


def _by_reward(recipe: AnyRecipe) -> bool:
    return isinstance(recipe, BestOfN) or (isinstance(recipe, TopK) and recipe.column == "reward")


def _loss_base(recipe: AnyRecipe) -> str:
    """The base whose losses decide; nothing where none do."""
    return recipe.base or "" if isinstance(recipe, TopK) and recipe.column != "reward" else ""


def _candidates(warehouse: Warehouse, study: Study, recipe: AnyRecipe) -> list[str]:
    """Keep the responses that the recipe chooses from as `candidates`; returns whose they may be."""
    teachers = _teachers(study, recipe)
    warehouse.keep("usable_sums", "selection/usable", base=_loss_base(recipe), teachers=teachers)
    value = row_columns()[recipe.column].sql if isinstance(recipe, TopK) else "NULL::DOUBLE"
    warehouse.add_columns("usable", "usable_sums", {"value": value})
    warehouse.keep("candidates", "selection/candidates", cut_responses=recipe.cut_responses)
    return teachers


def _left_out(warehouse: Warehouse, recipe: AnyRecipe, teachers: list[str]) -> tuple[int, int]:
    counts = warehouse.query(
        "selection/left_out", cut_responses=recipe.cut_responses, at_most=_at_most(recipe), teachers=teachers
    )
    cut, above_one = counts.row(0)
    return cut, above_one


def _at_most(recipe: AnyRecipe) -> float:
    """The value above which the recipe chooses no row."""
    most = row_columns()[recipe.column].at_most if isinstance(recipe, TopK) else None
    return math.inf if most is None else most


def _in_words(cut: int, above_one: int) -> str:
    told = [f"; {cut} more were cut at the limit of tokens (cut_responses: keep takes them)"] if cut else []
    told += [f"; {above_one} are above 1, which no recipe chooses"] if above_one else []
    return "".join(told)


def _chosen(warehouse: Warehouse, recipe: AnyRecipe) -> pl.DataFrame:
    statement = f"selection/{recipe.kind}"
    match recipe:
        case OneTeacher(rows=rows, seed=seed):
            return warehouse.query(statement, rows=rows or EVERYTHING, seed=str(seed))
        case BestTeacher(base=base, rows=rows, seed=seed):
            return warehouse.query(statement, base=base, rows=rows or EVERYTHING, seed=str(seed))
        case Random(rows=rows, seed=seed):
            return warehouse.query(statement, rows=rows, seed=str(seed))
        case TopK(rows=rows, column=column, order=order):
            at_most = _at_most(recipe)
            return warehouse.query(statement, rows=rows, column=column, order=order, at_most=at_most)
        case BestOfN(n=n, order=order):
            return warehouse.query(statement, n=n or EVERYTHING, order=order)
