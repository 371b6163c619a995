"""Agreement of two judges of the same answers; judges of other answers are not compared."""

import pytest

from preceptor.lake.schemas import EVAL_RESULTS
from preceptor.report.judge_agreement import judge_agreements
from preceptor.report.listings import judge_listing
from preceptor.report.predicted import register_study_runs
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import PromptedJudge
from tests.report.lakes import BASES, empty_warehouse, put, small_study


def duels(name: str) -> Pairwise:
    judge = PromptedJudge(name=f"judge-of-{name}", engine="openai", model="m", base_url="http://localhost/v1")
    return Pairwise(name=name, kind="pairwise", dataset="d", judge=judge)


def results(run: str, benchmark: str, outcomes, response="r", reference="other") -> list[dict]:
    place = {"run": run, "benchmark": benchmark, "sample": 0, "response": [response], "reference": reference}
    return [{**place, "item_id": f"i{n}", "outcome": outcome} for n, outcome in enumerate(outcomes)]


def found(tmp_path, rows, names=("strict", "mild")):
    study, warehouse = small_study(("a", "b"), (BASES[0],), True), empty_warehouse(tmp_path)
    study = study.model_copy(update={"evaluations": (study.evaluations[0], *map(duels, names))})
    put(warehouse, EVAL_RESULTS, rows)
    register_study_runs(warehouse, study)
    return judge_agreements(warehouse, study)


def test_agreement_is_tie_discounted_and_averaged_by_item(tmp_path):
    rows = results("notes-a", "strict", [1.0, 0.5, 0.0, None]) + results("notes-b", "strict", [1.0])
    rows += results("notes-a", "mild", [0.8, 0.9, 0.9, 1.0]) + results("notes-b", "mild", [0.2])
    (row,) = found(tmp_path, rows).to_dicts()
    # i0: the same in one run, opposite in the other; i1: one tie; i2: opposite; i3: only one of them judged.
    assert (row["agreement"], row["plain"]) == (pytest.approx((0.5 + 0.5 + 0) / 3), pytest.approx(0.5 / 3))
    assert (row["items"], row["answers"]) == (3, 4)
    assert row["low"] < row["agreement"] < row["high"]
    assert (row["judge"], row["other_judge"]) == ("judge-of-strict", "judge-of-mild")


@pytest.mark.parametrize("change", [{"response": "another"}, {"reference": "another"}])
def test_other_answers_or_references_are_not_compared(tmp_path, change):
    rows = results("notes-a", "strict", [1.0]) + results("notes-a", "mild", [1.0], **change)
    assert found(tmp_path, rows).is_empty()


def test_checked_answers_are_not_compared(tmp_path):
    rows = results("notes-a", "strict", [1.0]) + results("notes-a", "tasks-exam", [1.0])
    assert found(tmp_path, rows).is_empty()


def test_the_page_names_both_judges_and_their_benchmarks(tmp_path):
    rows = results("notes-a", "strict", [1.0, 0.0]) + results("notes-a", "mild", [1.0, 0.0])
    (line,) = judge_listing(found(tmp_path, rows)).rows
    assert line[:3] == ("judge-of-strict (strict)", "judge-of-mild (mild)", "100.0 %")
    assert line[4:] == ("100.0 %", "2", "2")
