"""The needs of a study's steps, and the report of skipped steps."""

import pytest
import yaml

from jobs.run_study import Tally, _failures, _sensible
from jobs.steps import Step, steps
from preceptor.study.advice import advice
from preceptor.study.load import load_study
from preceptor.study.schema import Study
from tests.studies import document, with_runs, write_benchmarks, write_study

SCORER = {"name": "rm", "engine": "sequence_classification", "model": "a/scorer"}
SIGMOID = {"reward_map": {"kind": "sigmoid"}}


def study(*teachers, car=None) -> Study:
    recorded = [{"name": name, "engine": "recorded", "dataset": f"a/{name}"} for name in teachers]
    return Study.model_validate(
        {
            "name": "small",
            "instructions": {"sources": [{"name": "asked", "dataset": "a/asked"}]},
            "teachers": recorded,
            "bases": [{"name": "base", "model": "a/base"}],
            "reward_models": [SCORER],
            "car": car or {},
        }
    )


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (
            {"raw_instructions"},
            ["responses a, responses b, rewards rm × a and 7 more: skipped, since raw_instructions failed"],
        ),
        (
            {"responses a"},
            ["rewards rm × a, base_losses base × a: skipped, since responses a failed"],
        ),
        (
            {"base_losses base × a", "base_losses base × b"},
            ["car_table, car_beta_sweep, suitability and 1 more: skipped, since all of base_losses failed"],
        ),
        ({"rewards rm × a", "base_losses base × b"}, []),
    ],
)
def test_steps_with_failed_needs_are_skipped_with_one_line_per_cause(failing, said):
    planned = list(steps(study("a", "b")))
    tally = Tally(len(planned))
    for step in planned:
        for sensible in _sensible([step], tally):
            if str(sensible) in failing:
                tally.failed.add(sensible.place)
    assert list(_failures(tally)) == said


def test_a_step_without_needs_lacks_nothing():
    assert Step("raw_instructions").lacking({("responses", "a")}) is None


def test_a_single_teacher_and_unmapped_scores_cause_advice():
    assert list(advice(study("a", "b", car=SIGMOID))) == []
    alone, unmapped = advice(study("a"))
    assert alone.startswith("a is ") and "only teacher" in alone
    assert "the scores of rm" in unmapped and "set 'car: {reward_map: {kind: sigmoid}}'" in unmapped
    assert list(advice(study("a", "b", car={"reward_map": {"kind": "identity"}}))) == []  # on purpose


def test_each_tuned_base_is_evaluated_on_every_benchmark_before_tuning(tmp_path):
    path = write_study(tmp_path)
    write_benchmarks(tmp_path)
    path.write_text(yaml.safe_dump(with_runs(document("small"))))
    study = load_study(path)
    planned = list(steps(study))
    untuned = [str(step) for step in planned if step.asset == "base_results"]
    tuned = {run.base for run in study.runs}
    assert untuned == [f"base_results {base} × {e.name}" for e in study.evaluations for base in sorted(tuned)]
    assert len(study.bases) > len(tuned)  # a base without runs is not evaluated
    assets = [step.asset for step in planned]
    assert assets.index("base_results") < assets.index("tuned_checkpoint")
    assert all(step.needs == () for step in planned if step.asset == "base_results")
