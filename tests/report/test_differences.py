"""Differences between runs of one base by item, and the answer's sentences about them."""

import pytest
from scipy.stats import binomtest

from preceptor.lake.schemas import EVAL_RESULTS
from preceptor.report.listings import difference_listings
from preceptor.report.predicted import register_study_runs
from preceptor.report.untuned import untuned_sentence
from preceptor.study.held_out import HeldOutLoss
from tests.report.lakes import BASES, compare_runs, empty_warehouse, put, small_study


def outcomes(run: str, values, benchmark="tasks-exam") -> list[dict]:
    return [
        {"run": run, "benchmark": benchmark, "item_id": f"i{n}", "sample": 0, "outcome": value}
        for n, value in enumerate(values)
    ]


def compared(tmp_path, rows):
    study, warehouse = small_study(("a", "b", "c"), BASES, True), empty_warehouse(tmp_path)
    put(warehouse, EVAL_RESULTS, rows)
    return study, warehouse, compare_runs(warehouse, study)


def test_runs_of_one_base_are_compared_by_item_with_mcnemars_p(tmp_path):
    one, other = [1.0] * 14 + [0.0] * 6, [1.0] * 5 + [0.0] * 9 + [1.0, 1.0] + [0.0] * 4
    rows = outcomes(f"{BASES[0]}".removesuffix("-base") + "-a", one)
    prefix = BASES[0].removesuffix("-base")
    rows = (
        outcomes(f"{prefix}-a", one) + outcomes(f"{prefix}-b", other) + outcomes(f"{prefix}-c", [None] * 20)
    )
    _, _, found = compared(tmp_path, rows)
    row = found.filter(second_run=f"{prefix}-b").row(0, named=True)
    assert (row["difference"], row["n"], row["base"]) == (pytest.approx(7 / 20), 20, BASES[0])
    assert row["p_value"] == pytest.approx(binomtest(9, 11).pvalue)  # 9 items for one, 2 for the other
    assert row["p_adjusted"] == row["p_value"]  # the only test that there is
    empty = found.filter(second_run=f"{prefix}-c")
    assert empty["difference"].to_list() == [None, None]
    assert set(empty["error"]) == {
        f"not tested, since there is no accuracy of {prefix}-c: no item has an outcome"
    }


def test_runs_of_two_bases_are_never_compared(tmp_path):
    prefixes = [base.removesuffix("-base") for base in BASES]
    rows = [row for prefix in prefixes for row in outcomes(f"{prefix}-a", [1.0, 0.0])]
    assert compared(tmp_path, rows)[2].is_empty()


def test_holm_is_over_the_pairs_of_a_base_on_a_benchmark(tmp_path):
    prefix = BASES[0].removesuffix("-base")
    rows = outcomes(f"{prefix}-a", [1.0] * 10) + outcomes(f"{prefix}-b", [0.0] * 10)
    rows += outcomes(f"{prefix}-c", [0.0] * 9 + [1.0])
    found = compared(tmp_path, rows)[2]
    by_pair = {(r["first_run"][-1], r["second_run"][-1]): r for r in found.to_dicts()}
    assert by_pair["a", "b"]["p_value"] == pytest.approx(2 / 2**10)
    assert by_pair["a", "b"]["p_adjusted"] == pytest.approx(3 * 2 / 2**10)
    assert by_pair["a", "c"]["p_adjusted"] == pytest.approx(2 * 2 / 2**9)
    assert by_pair["b", "c"]["p_adjusted"] == 1.0


def test_the_smaller_loss_is_ahead(tmp_path):
    prefix = BASES[0].removesuffix("-base")
    study = small_study(("a", "b"), BASES, True)
    loss = HeldOutLoss(name="loss", kind="held_out_loss", dataset="d")
    study, warehouse = study.model_copy(update={"evaluations": (loss,)}), empty_warehouse(tmp_path)
    values = [1.0 + n / 100 for n in range(10)]
    rows = outcomes(f"{prefix}-a", [v + 0.5 + n / 50 for n, v in enumerate(values)], "loss")
    put(warehouse, EVAL_RESULTS, rows + outcomes(f"{prefix}-b", values, "loss"))
    register_study_runs(warehouse, study)
    compare_runs(warehouse, study)
    (line,) = difference_listings(warehouse.query("report/differences"))[0].rows
    assert line[:3] == (f"{prefix}-b", f"{prefix}-a", "0.590")  # 0.5 and the mean of 0 to 0.18
    low, high = (float(end) for end in line[3].split(" to "))
    assert 0 < low < 0.59 < high
    flipped = [{**row, "run": row["run"][:-1] + "ba"["ab".index(row["run"][-1])]} for row in rows]
    put(warehouse, EVAL_RESULTS, flipped + outcomes(f"{prefix}-a", values, "loss"))
    compare_runs(warehouse, study)
    turned = difference_listings(warehouse.query("report/differences"))[0].rows[0]
    assert turned[:4] == (f"{prefix}-a", f"{prefix}-b", *line[2:4])


def test_the_page_lists_the_smallest_p_first_and_the_better_run_first(tmp_path):
    prefix = BASES[0].removesuffix("-base")
    rows = outcomes(f"{prefix}-a", [0.0] * 10) + outcomes(f"{prefix}-b", [1.0] * 10)
    rows += outcomes(f"{prefix}-c", [0.0] * 9 + [1.0])
    study, warehouse, _ = compared(tmp_path, rows)
    register_study_runs(warehouse, study)
    listings = difference_listings(warehouse.query("report/differences"))
    first = listings[0].rows[0]
    assert first[:3] == (f"{prefix}-b", f"{prefix}-a", "1.000")
    assert listings[0].columns[4:6] == ("p", "p adjusted")


def test_tests_against_the_untuned_base_are_a_separate_family(tmp_path):
    prefix, untuned = BASES[0].removesuffix("-base"), f"untuned-{BASES[0]}"
    students = outcomes(f"{prefix}-a", [1.0] * 10) + outcomes(f"{prefix}-b", [0.0] * 10)
    students += outcomes(f"{prefix}-c", [0.0] * 9 + [1.0])
    alone = compared(tmp_path, students)[2]
    study, warehouse, found = compared(tmp_path, students + outcomes(untuned, [0.0] * 10))
    assert found.filter(~found["untuned"]).equals(alone)  # as if there were no untuned base
    by_run = {row["first_run"][-1]: row for row in found.filter("untuned").to_dicts()}
    assert {row["second_run"] for row in by_run.values()} == {untuned}
    assert by_run["a"]["difference"] == 1.0
    assert by_run["a"]["p_value"] == pytest.approx(2 / 2**10)
    assert by_run["a"]["p_adjusted"] == pytest.approx(3 * 2 / 2**10)  # three runs, hence three tests
    assert by_run["b"]["p_adjusted"] == 1.0
    assert str(untuned_sentence(found, True)).startswith("1 of 3 students differs")
    register_study_runs(warehouse, study)
    titles = [listing.title for listing in difference_listings(warehouse.query("report/differences"))]
    assert titles == [
        f"{BASES[0]} on tasks-exam",
        f"{BASES[0]} on tasks-exam, each run and the untuned base",
    ]


def test_one_student_alone_is_compared_with_its_untuned_base(tmp_path):
    prefix = BASES[0].removesuffix("-base")
    rows = outcomes(f"{prefix}-a", [0.0] * 10) + outcomes(f"untuned-{BASES[0]}", [0.0] * 10)
    found = compared(tmp_path, rows)[2]
    assert found.select("first_run", "untuned", "p_value").rows() == [(f"{prefix}-a", True, 1.0)]
    assert str(untuned_sentence(found, True)).startswith("! none of 1 student differs")


def test_a_student_with_a_smaller_loss_is_better_than_its_untuned_base(tmp_path):
    prefix = BASES[0].removesuffix("-base")
    loss = HeldOutLoss(name="loss", kind="held_out_loss", dataset="d")
    study = small_study(("a", "b"), BASES, True).model_copy(update={"evaluations": (loss,)})
    warehouse, values = empty_warehouse(tmp_path), [1.0 + n / 100 for n in range(14)]
    rows = outcomes(f"{prefix}-a", [v - 0.5 for v in values], "loss")
    put(warehouse, EVAL_RESULTS, rows + outcomes(f"untuned-{BASES[0]}", values, "loss"))
    found = compare_runs(warehouse, study)
    assert found["difference"].to_list() == [pytest.approx(-0.5)]
    sentence = str(untuned_sentence(found, higher_is_better=False))
    assert sentence.startswith("1 of 1 student differs") and "worse" not in sentence
