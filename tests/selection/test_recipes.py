"""Recipes choose exactly the rows that their words say, the same ones each time, and say why."""

import math

import polars as pl
import pytest

from preceptor.lake.schemas import SELECTED_SUBSET
from preceptor.selection.recipes import EmptySelectionError
from tests.selection.lakes import (
    BASES,
    BEST,
    DRAWN,
    GOOD,
    INSTRUCTIONS,
    ONE,
    PICKED,
    RANKS,
    TEACHERS,
    TOP,
    TRAPS,
    Row,
    empty_lake,
    fill,
    loss,
    select,
    trap_rows,
)

COLUMNS = [
    "mean_nll",
    "perplexity",
    "ifd",
    "ifd_of_perplexities",
    "rank_surprisal_ratio",
    "response_tokens",
    "reward",
]
RECIPES = {
    "teacher": ONE,
    "some of a teacher": {**ONE, "rows": 7},
    "best_teacher": BEST,
    "some of best_teacher": {**BEST, "rows": 7},
    "random": DRAWN,
    "all random": {**DRAWN, "rows": 1000},
    "lowest": TOP,
    "highest": {**TOP, "order": "highest"},
    "highest reward": {**TOP, "column": "reward", "order": "highest"},
    "best_of_n": PICKED,
    "worst_of_n": {**PICKED, "order": "worst"},
}
each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Good rows only."""
    return fill(empty_lake(tmp_path_factory.mktemp("good")), GOOD)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory):
    """A function that gives a lake with the good rows and one kind of trap, made once."""
    made = {}

    def lake_with(name):
        if name not in made:
            made[name] = fill(empty_lake(tmp_path_factory.mktemp("trapped")), [*trap_rows(name), *GOOD])
        return made[name]

    return lake_with


def ids(rows):
    return rows["response_id"].to_list()


def chosen_by_hand(rows, value, lowest, limit=None):
    """At most one row per instruction, the first by value and then by id; then the first of those."""
    best = {}
    for row in sorted(rows, key=lambda row: (value(row) if lowest else -value(row), row.response_id)):
        best.setdefault(row.instruction_id, row)
    return list(best.values())[:limit]


@each_recipe
def test_rows_are_good_rows_in_the_schema_of_the_table_each_once_and_say_why(lake, recipe):
    rows = select(lake, recipe)
    assert rows.schema == pl.Schema(SELECTED_SUBSET.row_schema)
    assert rows["response_id"].n_unique() == rows.height > 0
    assert rows["why"].str.len_chars().min() > 10
    known = {(row.response_id, row.instruction_id, row.teacher, row.sample) for row in GOOD}
    assert set(rows.select("response_id", "instruction_id", "teacher", "sample").rows()) <= known


@each_recipe
@pytest.mark.parametrize("trap", TRAPS)
def test_what_cannot_be_used_changes_nothing(lake, trapped, recipe, trap):
    counts = ["cut_left_out", "above_one_left_out"]  # what is left out is counted
    assert select(trapped(trap), recipe).drop(counts).equals(select(lake, recipe).drop(counts))


@each_recipe
def test_cut_responses_are_counted_and_only_chosen_where_a_recipe_keeps_them(lake, trapped, recipe):
    cut = trapped("cut at the limit of tokens")
    whose = {"teacher": ["007"], "best_teacher": ["c++"], "best_of_n": ["c++"]}.get(recipe["kind"], TEACHERS)
    assert set(select(cut, recipe)["cut_left_out"]) == {2 * len(INSTRUCTIONS) * len(whose)}
    assert set(select(lake, recipe)["cut_left_out"]) == {0}
    everything = {**recipe, "rows": 1000} if "rows" in recipe else recipe
    kept = select(cut, {**everything, "cut_responses": "keep"})
    assert set(kept["cut_left_out"]) == {0}
    assert any(name.startswith("0-") for name in ids(kept))


def test_responses_of_which_nobody_knows_the_end_are_candidates_and_cut_ones_are_named(tmp_path):
    endings = {"stopped": "stop", "unknown": None, "cut": "length"}
    rows = [
        Row(name, f"i{n:02}", "c++", finish_reason=reason, losses={"base-a": loss(1)})
        for n, (name, reason) in enumerate(endings.items())
    ]
    lake = fill(empty_lake(tmp_path), rows)
    assert sorted(ids(select(lake, BEST))) == ["stopped", "unknown"]
    only = fill(empty_lake(tmp_path / "only"), [rows[2]])
    with pytest.raises(EmptySelectionError, match=r"0 usable .*; 1 more were cut .* \(cut_responses: keep"):
        select(only, {**DRAWN, "teachers": ["c++"]})


def test_ifd_is_its_authors_ratio_of_mean_losses_and_drops_what_is_above_one(tmp_path):
    # With the instruction, tokens and sum of NLL; without it, the same tokens and another sum.
    # Ratio of means; ratio of perplexities: a 0.5/1 = 0.5, e^-0.5; b 1.8/2 = 0.9, e^-0.2; c 1; d 3/2.9 > 1.
    # Of e, certain either way, the first has no value; the second is 1.
    sums = {"a": (1.0, 2.0), "b": (3.6, 4.0), "c": (5.0, 5.0), "d": (6.0, 5.8), "e": (0.0, 0.0)}
    rows = [
        Row(name, f"i{n:02}", "c++", losses={"base-a": loss(nll, 2, without)})
        for n, (name, (nll, without)) in enumerate(sums.items())
    ]
    lake = fill(empty_lake(tmp_path), rows)
    highest = {**TOP, "column": "ifd", "order": "highest"}
    rows = select(lake, highest)
    assert ids(rows) == ["c", "b", "a"] and rows["value"].to_list() == pytest.approx([1, 0.9, 0.5])
    assert set(rows["above_one_left_out"]) == {1}
    assert ids(select(lake, {**highest, "rows": 2})) == ["c", "b"]
    assert ids(select(lake, {**highest, "order": "lowest"})) == ["a", "b", "c"]
    other = select(lake, {**highest, "column": "ifd_of_perplexities"})
    assert other["value"].to_list() == pytest.approx([1, 1, math.exp(-0.2), math.exp(-0.5)])
    assert set(select(lake, {**TOP, "column": "perplexity"})["above_one_left_out"]) == {0}


def test_a_recipe_of_which_all_rows_are_above_one_says_so(tmp_path):
    lake = fill(empty_lake(tmp_path), [Row("d", "i00", "c++", losses={"base-a": loss(6, 2, 5)})])
    with pytest.raises(
        EmptySelectionError, match=r"of 1 usable responses .*; 1 are above 1, which no recipe"
    ):
        select(lake, {**TOP, "column": "ifd"})


@each_recipe
def test_the_choice_does_not_depend_on_the_order_of_stored_rows(lake, tmp_path, recipe):
    backwards = fill(empty_lake(tmp_path), GOOD[::-1], instructions=INSTRUCTIONS[::-1])
    assert select(backwards, recipe).equals(select(lake, recipe))


@pytest.mark.parametrize(("base", "teacher"), [("base-a", "c++"), ("base-b", "007")])
def test_best_teacher_takes_all_responses_of_rank_one_for_its_base(lake, base, teacher):
    rows = select(lake, {**BEST, "base": base})
    assert sorted(ids(rows)) == sorted(row.response_id for row in GOOD if row.teacher == teacher)
    assert set(rows["value"]) == {1.0}
    ranked = sum(rank is not None for rank in RANKS[base].values())
    assert set(rows["why"]) == {f"{teacher} is first of {ranked} teachers for {base} (CAR 1, rank 1 to 2)"}


def test_best_teacher_never_takes_one_that_left_the_study(tmp_path):
    ranks = {"base-a": {"gone": 1, "c++": 2}}
    lake = fill(empty_lake(tmp_path), [*trap_rows("a teacher that left the study"), *GOOD], ranks)
    with pytest.raises(EmptySelectionError):
        select(lake, BEST)


def test_best_teacher_breaks_a_tie_by_name(tmp_path):
    lake = fill(empty_lake(tmp_path), GOOD, {"base-a": {"c++": 1, "alpha-1.5": 1, "007": 1}})
    assert set(select(lake, BEST)["teacher"]) == {"007"}


@pytest.mark.parametrize("recipe", [ONE, BEST, DRAWN], ids=["teacher", "best_teacher", "random"])
def test_a_draw_is_the_same_for_the_same_seed_and_grows_with_its_size(lake, recipe):
    drawn = {seed: ids(select(lake, {**recipe, "rows": 6, "seed": seed})) for seed in range(5)}
    assert {len(names) for names in drawn.values()} == {6}
    assert len({frozenset(names) for names in drawn.values()}) == 5
    assert ids(select(lake, {**recipe, "rows": 6, "seed": 3})) == drawn[3]
    assert set(drawn[3]) < set(ids(select(lake, {**recipe, "rows": 9, "seed": 3})))


def test_random_takes_one_response_of_each_of_so_many_instructions(lake):
    rows = select(lake, DRAWN)
    assert (rows.height, rows["instruction_id"].n_unique()) == (10, 10)
    every = select(lake, {**DRAWN, "rows": 1000})
    assert sorted(every["instruction_id"]) == list(INSTRUCTIONS)
    assert set(every["teacher"]) == set(TEACHERS)
    assert set(rows["value"]) == {None}
    assert set(rows["why"]) == {"drawn at random with seed 0"}


@pytest.mark.slow
def test_random_gives_every_response_of_every_instruction_a_fair_chance(lake):
    # 16 instructions x 60 seeds are 960 draws among 9 responses, of which 1 is by 007: 107 are expected, and
    # 5 standard deviations of 9.7 lie either side of that; a draw among the three teachers would give 320.
    # That fewer than 4 of an instruction's 9 responses come up in 60 seeds has a probability below 1e-20.
    drawn = pl.concat(select(lake, {**DRAWN, "rows": 1000, "seed": seed}) for seed in range(60))
    assert 58 < (drawn["teacher"] == "007").sum() < 156
    assert drawn.group_by("instruction_id").n_unique()["response_id"].min() >= 4


def test_random_draws_other_instructions_for_another_seed(lake):
    drawn = [set(select(lake, {**DRAWN, "rows": 6, "seed": seed})["instruction_id"]) for seed in range(5)]
    assert len(set(map(frozenset, drawn))) == 5


@pytest.mark.parametrize("recipe", [DRAWN, TOP, {**TOP, "order": "highest"}])
@pytest.mark.parametrize("teachers", [["007"], ["alpha-1.5", "c++"]])
def test_teachers_restrict_a_recipe(lake, recipe, teachers):
    rows = select(lake, {**recipe, "teachers": teachers, "rows": 1000})
    assert set(rows["teacher"]) == set(teachers)


@pytest.mark.parametrize("limit", [1, 5, 1000])
@pytest.mark.parametrize("order", ["highest", "lowest"])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("column", COLUMNS)
def test_top_k_is_what_sorting_by_hand_gives(lake, column, base, order, limit):
    rows = select(lake, {**TOP, "column": column, "base": base, "order": order, "rows": limit})

    def value(row):
        found = row.value(column, base)
        return None if found is None else round(found, 9)  # so that equal values tie here too

    valued = [row for row in GOOD if value(row) is not None]
    expected = chosen_by_hand(valued, value, order == "lowest", limit)
    assert rows["value"].to_list() == pytest.approx([value(row) for row in expected], rel=1e-8)
    assert ids(rows) == [row.response_id for row in expected]
    assert rows["why"][0].startswith(f"number 1 by {order} {column} (")


def test_top_k_by_reward_needs_no_base(lake):
    recipe = {**TOP, "column": "reward", "order": "highest"}
    without = {key: value for key, value in recipe.items() if key != "base"}
    assert select(lake, without).equals(select(lake, recipe))


@pytest.mark.parametrize("order", ["highest", "lowest"])
def test_a_value_that_is_not_finite_is_never_chosen(tmp_path, order):
    # A base that is certain of every token gives a surprisal of 0 to divide by.
    rows = [Row(f"r{n}", f"i0{n}", "c++", losses={"base-a": loss(n, rank=2 * n)}) for n in (1, 2, 3)]
    certain = [Row("s0", "i04", "c++", losses={"base-a": loss(0, rank=2)})]
    certain += [Row("s1", "i05", "c++", losses={"base-a": loss(0, rank=0)})]
    lake = fill(empty_lake(tmp_path), [*certain, *rows])
    recipe = {**TOP, "column": "rank_surprisal_ratio", "order": order}
    assert ids(select(lake, recipe)) == ["r1", "r2", "r3"]


@pytest.mark.parametrize("n", [None, 1, 2, 4, 100])
@pytest.mark.parametrize("order", ["best", "worst"])
@pytest.mark.parametrize("teacher", TEACHERS)
def test_best_of_n_takes_the_extreme_reward_of_the_first_n_samples(lake, teacher, order, n):
    rows = select(lake, {**PICKED, "teacher": teacher, "order": order, "n": n})
    judged = [
        row for row in GOOD if row.teacher == teacher and row.sample < (n or 100) and row.reward is not None
    ]
    expected = sorted(
        chosen_by_hand(judged, lambda row: row.reward, order == "worst"), key=lambda r: r.instruction_id
    )
    assert ids(rows) == [row.response_id for row in expected]
    assert rows["value"].to_list() == [row.reward for row in expected]
    count = sum(row.instruction_id == expected[0].instruction_id for row in judged)
    assert rows["why"][0] == f"{order} reward of {count} samples ({expected[0].reward:.4g})"


def test_the_reward_is_that_of_the_model_that_car_uses(lake):
    recipe = {**PICKED, "order": "best"}
    rows = select(lake, recipe, reward_model="other")
    assert set(rows["value"]) <= {-1.0, -2.0, -3.0, -4.0, -9.0}
    assert ids(rows) != ids(select(lake, recipe))


def test_one_teacher_gives_all_its_good_rows_and_no_others(lake):
    assert set(ids(select(lake, ONE))) == {row.response_id for row in GOOD if row.teacher == "007"}


def test_teachers_with_the_same_seed_answer_the_same_instructions(lake):
    """Else a comparison of two teachers would compare instructions too."""
    order = [
        select(lake, {**ONE, "teacher": t})["instruction_id"].unique(maintain_order=True)
        for t in ("007", "c++")
    ]
    common = set(order[0]) & set(order[1])
    assert len(common) > 3
    assert [i for i in order[0] if i in common] == [i for i in order[1] if i in common]
