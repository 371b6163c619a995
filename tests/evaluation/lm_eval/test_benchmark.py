"""lm-eval's tasks in the lake: a commit per task, resumed by task, nothing asked twice."""

import json

import pytest

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.slow

from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.job import EvaluationJob
from preceptor.evaluation.kinds import KINDS
from preceptor.evaluation.lm_eval import session
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.benchmarks import LmEval
from preceptor.study.schema import Base
from resources.evaluation import EvaluationResource
from tests.conftest import CHATML, save_language_model
from tests.evaluation.benchmarks import NOTHING_LOADED, Student, checkpoint, engines
from tests.tuning.samples import save_base

YAML = """\
task: {name}
dataset_path: json
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["yes", "no"]
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc}}]
metadata: {{version: 1}}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return save_language_model(tmp_path_factory.mktemp("model"), context=256, template=CHATML)


def own_task(tmp_path, rows=6, **settings) -> LmEval:
    (tmp_path / "tasks").mkdir(exist_ok=True)
    (tmp_path / "tasks" / "parity.yaml").write_text(YAML.format(name="parity"))
    (tmp_path / "data").mkdir(exist_ok=True)
    lines = [json.dumps({"question": f"Is {n} even?", "answer": n % 2}) for n in range(rows)]
    (tmp_path / "data" / "test.jsonl").write_text("\n".join(lines))
    return LmEval(
        **{
            "name": "own",
            "kind": "lm_eval",
            "task": "parity",
            "tasks": str(tmp_path / "tasks"),
            "data": str(tmp_path / "data"),
            "measure": "acc",
            "chat_template": False,
            **settings,
        }
    )


def evaluated(lake, evaluation, model, using=None):
    place = checkpoint("tuned", folder=model)
    return evaluate(EvaluationJob(lake, "run", evaluation, place, using or engines(Student(str)), 8))


def test_an_own_task_is_measured_item_by_item(lake, tmp_path, model):
    found = evaluated(lake, own_task(tmp_path), model)
    assert str(found.account) == "6 judged + 0 failed + 0 filtered = 6, expected 6"
    row = found.scores.rows.row(0, named=True)
    assert (row["metric"], row["value"]) == ("benchmark_score", found.items.rows["outcome"].mean())
    assert "lm-eval's acc over items" in row["method"] and "0-shot" in row["method"]
    assert set(found.items.rows["reference"]) == {"yes", "no"}
    assert found.items.rows["measures"][0].to_list()[0]["name"] == "acc"


def test_a_second_call_loads_no_model(lake, tmp_path, model, monkeypatch):
    first = evaluated(lake, own_task(tmp_path), model)
    monkeypatch.setattr(session, "load_model", None)
    again = evaluated(lake, own_task(tmp_path), model, NOTHING_LOADED)
    assert again.items.computed == 0 and again.scores.rows.equals(first.scores.rows)


def test_other_rows_or_another_limit_are_measured_anew(lake, tmp_path, model):
    evaluated(lake, own_task(tmp_path), model)
    assert evaluated(lake, own_task(tmp_path, rows=7), model).items.computed == 7
    assert evaluated(lake, own_task(tmp_path, rows=7, limit=3), model).account.expected == 3


def test_missing_files_are_told_before_any_model_runs(tmp_path):
    evaluation = own_task(tmp_path)
    (tmp_path / "data" / "test.jsonl").unlink()
    with pytest.raises(BenchmarkError, match="test"):
        KINDS["lm_eval"].check(evaluation)


def test_a_kill_between_tasks_loses_one_task_at_most(lake, tmp_path, model, monkeypatch):
    folder = tmp_path / "bbh"
    folder.mkdir()
    for name in ("boolean_expressions", "navigate"):
        rows = [{"input": f"{name} {n}?", "target": "True"} for n in range(3)]
        (folder / f"{name}.json").write_text(json.dumps({"examples": rows}))
    from dataclasses import replace

    from preceptor.evaluation.lm_eval import benchmark as module
    from preceptor.evaluation.lm_eval.presets import BBH

    tasks = tuple(task for task in BBH.tasks if task.rows in ("boolean_expressions", "navigate"))
    small = replace(BBH, tasks=tasks, response_tokens=8, shots=0)
    monkeypatch.setattr(module, "PRESETS", {"bbh": small})
    evaluation = LmEval(
        name="bbh", kind="lm_eval", preset="bbh", data=str(folder), chat_template=False, limit=2
    )
    ask, asked = session.evaluate_model, []

    def dies(preset, tasks, model, seed):
        asked.append(list(tasks))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return ask(preset, tasks, model, seed)

    monkeypatch.setattr(session, "evaluate_model", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluated(lake, evaluation, model)
    found = evaluated(lake, evaluation, model)
    assert (found.items.reused, found.items.computed) == (2, 2)
    assert asked[2] == asked[1]
    categories = found.scores.rows["category"].to_list()
    assert categories == ["", "bbh_cot_fewshot_boolean_expressions", "bbh_cot_fewshot_navigate"]


def test_an_untuned_base_is_shown_its_students_chat_template(lake, tmp_path):
    base = Base(name="base", model=save_base(tmp_path / "base", context=256))  # it has no template of its own
    found = EvaluationResource(device="cpu").evaluate_untuned(
        lake, base, own_task(tmp_path, chat_template=True)
    )
    assert (found.account.judged, found.account.failed) == (6, 0)
    assert all("<|user|>" in prompt for (prompt,) in found.items.rows["instruction"].to_list())
    assert found.scores.rows["value"].is_not_null().all()
