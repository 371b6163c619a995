"""lm-eval's GSM8K and BBH on the real files: the answers they take, the prompts they show, whole runs."""

import json
from dataclasses import replace

import pytest

from tests.conftest import CHATML, REAL_DATA, save_language_model

pytest.importorskip("lm_eval", reason="the extra 'benchmarks' is not installed")

from preceptor.evaluation.lm_eval.package import quiet
from preceptor.evaluation.lm_eval.presets import BBH, GSM8K, Preset
from preceptor.evaluation.lm_eval.run import evaluate_model
from preceptor.evaluation.lm_eval.scores import aggregate
from preceptor.evaluation.lm_eval.tasks import load_tasks
from tests.evaluation.lm_eval.answering import Answering, model_run

GSM8K_DATA, BBH_DATA = REAL_DATA / "gsm8k", REAL_DATA / "bbh/bbh"
STORIES = REAL_DATA.parent / "models/stories260k"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GSM8K_DATA.is_dir(), reason=f"no real data at {REAL_DATA}"),
]
STRICT, FLEXIBLE = "exact_match/strict-match", "exact_match/flexible-extract"
THREE = tuple(task for task in BBH.tasks if task.rows in ("navigate", "snarks", "word_sorting"))


def answers(preset: Preset, data, respond):
    """All items, without the worked examples, which take most of the time and no part in what is right."""
    preset = replace(preset, apply_chat_template=False, limit=None, shots=0)
    return evaluate_model(preset, load_tasks(preset, data, 0), Answering(respond), 0)


def right(items, measure: str) -> int:
    return sum(item.measures[measure] == 1.0 for item in items)


def test_gsm8ks_references_said_as_the_examples_say_them_are_right_by_both_filters():
    def said(row):
        solution, number = row["answer"].split("\n#### ")
        return f"{solution} The answer is {number}."

    found = answers(GSM8K, GSM8K_DATA, said)
    assert (len(found), right(found, STRICT), right(found, FLEXIBLE)) == (1319, 1319, 1319)


def test_gsm8ks_raw_references_are_right_by_the_flexible_filter_alone():
    found = answers(GSM8K, GSM8K_DATA, lambda row: row["answer"])
    assert (len(found), right(found, STRICT), right(found, FLEXIBLE)) == (1319, 0, 1319)


def test_gsm8ks_references_off_by_one_are_all_wrong():
    def off(row):
        return f"The answer is {int(row['answer'].split('#### ')[1].replace(',', '')) + 1}."

    found = answers(GSM8K, GSM8K_DATA, off)
    assert (right(found, STRICT), right(found, FLEXIBLE)) == (0, 0)


def test_bbhs_targets_said_as_the_examples_say_them_are_right():
    found = answers(BBH, BBH_DATA, lambda row: f"So the answer is {row['target']}.")
    assert (len(found), right(found, BBH.main_measure)) == (6511, 6511)
    assert aggregate(BBH, found).value == 1.0


def test_bbhs_prompts_are_the_published_ones_but_for_a_line_break():
    tasks = load_tasks(BBH, BBH_DATA, 0)
    different = {task.rows for task in BBH.tasks if shown(tasks[task.name]) != published(task.rows)}
    assert different == {"sports_understanding"}
    # The published examples of this task go on in the line of "Let's think step by step.".
    joined = shown(tasks["bbh_cot_fewshot_sports_understanding"]).replace("step by step.\n", "step by step. ")
    assert joined == published("sports_understanding").replace("step by step.\n", "step by step. ")


def shown(task) -> str:
    with quiet():
        return task.fewshot_context(task.eval_docs[0], BBH.shots)


def published(name: str) -> str:
    """The published prompt file below its canary, and the first item in the form of its examples."""
    examples = (REAL_DATA / f"bbh/cot-prompts/{name}.txt").read_text().split("-----\n", 1)[1].strip()
    [task] = [task for task in BBH.tasks if task.rows == name]
    [item, *_] = load_tasks(replace(BBH, tasks=(task,)), BBH_DATA, 0)[task.name].eval_docs
    return f"{examples}\n\nQ: {item['input']}\nA: Let's think step by step.\n"


@pytest.mark.parametrize(
    ("preset", "data", "count"),
    [(replace(GSM8K, limit=8), GSM8K_DATA, 8), (replace(BBH, tasks=THREE, limit=8), BBH_DATA, 24)],
    ids=["gsm8k", "bbh"],
)
def test_a_tiny_model_answers_real_items_offline(tmp_path, preset, data, count):
    folder = save_language_model(tmp_path / "model", context=16_384, template=CHATML)
    found = model_run(replace(preset, response_tokens=16), data, folder, 4)
    assert len({item.item_id for item in found}) == count
    assert {item.error for item in found} == {None}
    assert {item.outcome for item in found} == {0.0}  # its weights are random
    assert aggregate(preset, found).high > 0
    assert json.dumps([item.measures for item in found])


@pytest.mark.skipif(not STORIES.is_dir(), reason=f"no real model at {STORIES}")
def test_worked_examples_that_overflow_a_real_models_context_are_told_for_every_item():
    preset = replace(GSM8K, limit=8, response_tokens=16, apply_chat_template=False)
    found = model_run(preset, GSM8K_DATA, str(STORIES), 4)
    assert all("room for 496 beside the response" in item.error for item in found)
    without = model_run(replace(preset, shots=0), GSM8K_DATA, str(STORIES), 4)
    assert [item.outcome for item in without if item.error is None]
    assert all(item.response.strip() for item in without)
