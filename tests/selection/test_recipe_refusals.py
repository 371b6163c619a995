"""What a recipe says when it finds nothing, and when its rows must be chosen anew."""

from dataclasses import replace

import pytest

from preceptor.lake.store import NotMaterializedError
from preceptor.selection.recipes import EmptySelectionError, selection_fingerprint, selection_reads
from tests.selection.lakes import (
    BASES,
    BEST,
    DRAWN,
    PICKED,
    TOP,
    Row,
    empty_lake,
    everything,
    fill,
    loss,
    select,
    study,
    trap_rows,
)

FULL = Row("full", "i00", "c++", reward=1.0, losses=dict.fromkeys(BASES, loss(1)))
WITHOUT_LOSS = Row("x", "i01", "c++", reward=1.0, losses={"base-b": loss(1)})
WITHOUT_REWARD = Row("x", "i01", "c++", losses={"base-a": loss(1)})

# the recipe, the rows, the ranks, and how many responses there were to choose from
EMPTY = {
    "no ranked teacher": (BEST, [FULL], {"base-a": {"c++": None}, "base-b": {"c++": 1}}, 1),
    "the first teacher has no rows": (BEST, [FULL], {"base-a": {"007": 1, "c++": 2}}, 1),
    "no loss": (TOP, [WITHOUT_LOSS], {"base-a": {"c++": 1}}, 1),
    "no reward": (PICKED, [WITHOUT_REWARD], {"base-a": {"c++": 1}}, 1),
    "no row of its teachers": ({**DRAWN, "teachers": ["007"]}, [FULL], {"base-a": {"c++": 1}}, 0),
    "no row of its teacher": ({**PICKED, "teacher": "007"}, [FULL], {"base-a": {"c++": 1}}, 0),
    "no good row": (DRAWN, trap_rows("an error"), {"base-a": {"c++": 1}}, 0),
}


@pytest.mark.parametrize(("recipe", "rows", "ranks", "usable"), EMPTY.values(), ids=EMPTY)
def test_a_recipe_that_chooses_nothing_says_what_it_looked_for(tmp_path, recipe, rows, ranks, usable):
    lake = fill(empty_lake(tmp_path), rows, ranks)
    with pytest.raises(EmptySelectionError, match=rf"recipe 'it' .* of {usable} usable responses") as caught:
        select(lake, recipe)
    words = [recipe["kind"], *(str(recipe[key]) for key in ("base", "teacher", "column") if key in recipe)]
    assert [word for word in [*words, *recipe.get("teachers", [])] if word not in str(caught.value)] == []


def test_an_empty_lake_says_what_to_materialize(tmp_path):
    with pytest.raises(NotMaterializedError, match=r"raw_instructions.*materialize it first"):
        select(empty_lake(tmp_path), DRAWN)


@pytest.mark.parametrize("recipe", [BEST, DRAWN, TOP, PICKED], ids=lambda recipe: recipe["kind"])
def test_only_the_best_teacher_is_read_from_the_car_table(recipe):
    names = {table.name for table in selection_reads(study(recipe), "it")}
    assert names - {"car_table"} == {"raw_instructions", "responses", "rewards", "base_losses"}
    assert ("car_table" in names) == (recipe is BEST)


def test_the_fingerprint_stays_with_the_same_recipe_and_versions():
    before = stamp(study(DRAWN), {"responses": 1, "rewards": 2})
    assert stamp(study(DRAWN), {"rewards": 2, "responses": 1}) == before
    assert stamp(study(DRAWN, {**TOP, "name": "another"}), {"responses": 1, "rewards": 2}) == before


@pytest.mark.parametrize(
    ("changed", "versions"),
    [
        (study({**TOP, "rows": 8}), {"responses": 1}),
        (study({**TOP, "order": "highest"}), {"responses": 1}),
        (study({**TOP, "base": "base-b"}), {"responses": 1}),
        (study({**TOP, "teachers": ["c++"]}), {"responses": 1}),
        (study({**DRAWN, "rows": 9}), {"responses": 1}),
        (study(TOP, teachers=("c++", "007")), {"responses": 1}),
        (study(TOP), {"responses": 2}),
        (study(TOP), {"responses": 1, "rewards": 1}),
    ],
    ids=["rows", "order", "base", "teachers", "kind", "teacher gone", "version", "table"],
)
def test_the_fingerprint_changes_with_whatever_can_change_the_rows(changed, versions):
    assert stamp(changed, versions) != stamp(study(TOP), {"responses": 1})


@pytest.mark.parametrize("recipe", [{**TOP, "column": "reward"}, PICKED, TOP])
def test_another_reward_model_changes_recipes_by_reward_alone(recipe):
    changed = stamp(study(recipe, reward_model="other"), {}) != stamp(study(recipe), {})
    assert changed == (recipe != TOP)


def test_the_fingerprint_changes_with_the_settings_that_rows_must_have_been_made_under():
    newer = replace(everything(study(TOP)), losses={"base-a": "g", "base-b": "f"})
    assert stamp(study(TOP), {}) != selection_fingerprint(study(TOP), "it", newer, {})


def stamp(declared, versions):
    return selection_fingerprint(declared, "it", everything(declared), versions)
