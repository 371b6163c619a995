"""Tests of teachers with training seeds as the units, and the answer's sentences about them."""

import pytest
from scipy.stats import ttest_ind

from preceptor.lake.schemas import CAR_TABLE, EVAL_RESULTS, EVAL_SCORES
from preceptor.report.answer import answers
from preceptor.report.evidence import gather
from preceptor.report.seed_listing import seed_listings
from preceptor.report.seeds import NAME
from preceptor.study.schema import Study
from tests.report.lakes import BASES, compare_runs, empty_warehouse, put, small_study

ITEMS = 200
EXAM = {"benchmark": "tasks-exam", "metric": "accuracy", "category": "", "unit": "share", "n": ITEMS}


def seeded(seeds: dict[str, int], **changes) -> Study:
    """A study of one base in which each teacher has the given number of runs with different seeds."""
    study = small_study(tuple(seeds), (BASES[0],))
    document = study.model_dump()
    first = {run["recipe"]: run for run in document["runs"]}
    document["runs"] = [
        {**first[f"of-{name}"], "name": f"{name}-{seed}", "seed": seed, **changes.get(f"{name}{seed}", {})}
        for name, count in seeds.items()
        for seed in range(count)
    ]
    return Study.model_validate(document)


def filled(tmp_path, study, rights: dict[str, int]):
    """The first items of each run are right, as many as `rights` gives."""
    warehouse = empty_warehouse(tmp_path)
    rows = [
        {"run": run, "benchmark": "tasks-exam", "item_id": f"i{n}", "sample": 0, "outcome": float(n < right)}
        for run, right in rights.items()
        for n in range(ITEMS)
    ]
    scores = [
        {"run": run, "value": right / ITEMS, "low": 0, "high": 1, **EXAM} for run, right in rights.items()
    ]
    put(warehouse, EVAL_RESULTS, rows)
    put(warehouse, EVAL_SCORES, [{**row, "low": 0.0, "high": 1.0} for row in scores])
    ranked = [
        {"base": BASES[0], "teacher": t.name, "rank": n, "rank_low": 1, "rank_high": 2, "car": 1 / n}
        for n, t in enumerate(study.teachers, 1)
    ]
    put(warehouse, CAR_TABLE, ranked)
    compare_runs(warehouse, study)
    return warehouse


def said(tmp_path, study, rights) -> str:
    (answer,) = answers(study, gather(filled(tmp_path, study, rights), study))
    return answer.outcomes[0].sentence


def test_one_seed_each_tests_two_models_but_not_their_teachers(tmp_path):
    sentence = said(tmp_path, seeded({"a": 1, "b": 1}), {"a-0": 150, "b-0": 100})
    assert "significant (p < 0.0001" in sentence and "two trained models" in sentence
    assert "one training seed each" in sentence


def test_several_seeds_are_the_units_of_the_test(tmp_path):
    study = seeded({"a": 3, "b": 3})
    wide = {"a-0": 150, "a-1": 80, "a-2": 100, "b-0": 95, "b-1": 100, "b-2": 90}
    sentence = said(tmp_path, study, wide)
    assert "over 3 and 3 training seeds and over items, this is not significant" in sentence
    row = filled(tmp_path, study, wide).rows(NAME).row(0, named=True)
    scores = [[wide[f"{name}-{seed}"] / ITEMS for seed in range(3)] for name in "ab"]
    assert row["p_seeds"] == pytest.approx(ttest_ind(*scores, equal_var=False).pvalue)
    assert row["p_items"] < 0.05 and row["p_value"] == row["p_seeds"] == row["p_adjusted"]
    near = {"a-0": 150, "a-1": 152, "a-2": 149, "b-0": 95, "b-1": 96, "b-2": 94}
    assert "this is significant" in said(tmp_path, study, near)


@pytest.mark.parametrize(
    ("seeds", "changes", "why"),
    [
        ({"a": 2, "b": 1}, {}, "b has one training seed"),
        ({"a": 2, "b": 2}, {"b1": {"seed": 0}}, "b has one training seed"),  # the same model twice
        ({"a": 2, "b": 2}, {"a1": {"recipe": "of-b"}}, "a has one training seed"),
    ],
)
def test_an_untested_pair_has_a_reason(tmp_path, seeds, changes, why):
    study = seeded(seeds, **changes)
    rights = {run.name: 100 - 10 * n for n, run in enumerate(study.runs)}
    warehouse = filled(tmp_path, study, rights)
    (row,) = warehouse.rows(NAME).to_dicts()
    assert row["p_value"] is None and why in row["error"]


def test_seeds_with_equal_scores_are_not_tested(tmp_path):
    rights = {"a-0": 150, "a-1": 150, "b-0": 90, "b-1": 90}
    assert "not tested: all seeds of a teacher have the same score" in said(
        tmp_path, seeded({"a": 2, "b": 2}), rights
    )


def test_the_page_lists_every_pair_with_its_p_or_a_reason(tmp_path):
    study = seeded({"a": 3, "b": 3, "c": 1})
    rights = {"a-0": 150, "a-1": 152, "a-2": 149, "b-0": 95, "b-1": 96, "b-2": 94, "c-0": 50}
    (listing,) = seed_listings(filled(tmp_path, study, rights).rows(NAME))
    assert [row[0] for row in listing.rows] == ["a and b", "a and c", "b and c"]
    assert listing.rows[0][2] == "0.277" and listing.rows[0][-1] == "3 and 3"
    assert "c has one training seed" in listing.rows[1][1] and listing.rows[1][3] == "–"
