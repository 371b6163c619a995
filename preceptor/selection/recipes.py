"""Recipes: which rows a base is tuned on, each row with why it was chosen."""

import polars as pl

from preceptor.current import ROW_TABLES, Current, register_current
from preceptor.fingerprint import fingerprint
from preceptor.lake.schemas import CAR_TABLE, SELECTED_SUBSET, Table
from preceptor.lake.warehouse import Warehouse
from preceptor.study.recipes import BestOfN, BestTeacher, OneTeacher, Random, TopK
from preceptor.study.schema import Study

VERSION = 1
EVERYTHING = 2**62


class EmptySelectionError(ValueError):
    """A recipe that chooses no row; its text says what it looked for."""


def select_rows(warehouse: Warehouse, study: Study, name: str, current: Current) -> pl.DataFrame:
    """Rows of `selected_subset` for one recipe, from a warehouse with `selection_reads` attached.

    Raises EmptySelectionError.
    """
    recipe = study.recipe(name)
    register_current(warehouse, study, current)
    _candidates(warehouse, study, recipe)
    chosen = _chosen(warehouse, recipe)
    if chosen.is_empty():
        raise EmptySelectionError(
            f"recipe {name!r} ({recipe.model_dump(exclude_none=True)}) chooses nothing: of"
            f" {warehouse.rows('candidates').height} usable responses none has what it asks for"
        )
    return SELECTED_SUBSET.conform(chosen)


def selection_reads(study: Study, name: str) -> tuple[Table, ...]:
    """The tables that a recipe's rows depend on."""
    return (*ROW_TABLES, CAR_TABLE) if isinstance(study.recipe(name), BestTeacher) else ROW_TABLES


def selection_fingerprint(study: Study, name: str, current: Current, versions: dict[str, int]) -> str:
    """Changes with the recipe, which rows count, and the versions of the tables that it reads."""
    settings = {
        "recipe": study.recipe(name).model_dump(),
        "reward_model": study.car_reward_model,
        **current.parts(),
    }
    return fingerprint("selected_subset", VERSION, versions=versions, **settings)


def _candidates(
    warehouse: Warehouse, study: Study, recipe: OneTeacher | BestTeacher | Random | TopK | BestOfN
) -> None:
    teachers = [teacher.name for teacher in study.teachers]
    base = ""
    if isinstance(recipe, OneTeacher | BestOfN):
        teachers = [recipe.teacher]
    elif isinstance(recipe, Random | TopK) and recipe.teachers:
        teachers = list(recipe.teachers)
    if isinstance(recipe, BestTeacher | TopK):
        base = recipe.base or ""
    warehouse.keep("candidates", "selection/candidates", base=base, teachers=teachers)


def _chosen(warehouse: Warehouse, recipe: OneTeacher | BestTeacher | Random | TopK | BestOfN) -> pl.DataFrame:
    statement = f"selection/{recipe.kind}"
    match recipe:
        case OneTeacher(rows=rows, seed=seed):
            return warehouse.query(statement, rows=rows or EVERYTHING, seed=str(seed))
        case BestTeacher(base=base, rows=rows, seed=seed):
            return warehouse.query(statement, base=base, rows=rows or EVERYTHING, seed=str(seed))
        case Random(rows=rows, seed=seed):
            return warehouse.query(statement, rows=rows, seed=str(seed))
        case TopK(rows=rows, column=column, order=order):
            return warehouse.query(statement, rows=rows, column=column, order=order)
        case BestOfN(n=n, order=order):
            return warehouse.query(statement, n=n or EVERYTHING, order=order)
