"""The presets against the paper's table of evaluation settings."""

import pytest

from preceptor.evaluation.lm_eval.presets import PRESETS

# Tülu 1, arXiv 2306.04751, evaluation appendix: shots and items a task (None: all); the response's longest
# length in tokens is open-instruct's eval/{gsm,bbh,tydiqa}/run_eval.py. IFEval: arXiv 2311.07911.
SETTINGS = {
    "mmlu": (0, None, None),
    "mmlu_5shot": (5, None, None),
    "gsm8k": (8, 200, 512),
    "bbh": (3, 40, 512),
    "tydiqa": (1, 100, 50),
    "ifeval": (0, None, None),
}


def test_the_presets_have_the_papers_shots_and_limits():
    found = {p.name: (p.shots, p.limit, p.response_tokens) for p in PRESETS.values()}
    assert found == SETTINGS


@pytest.mark.parametrize(
    ("name", "tasks"),
    # Hendrycks et al. 2021: 57 subjects; Suzgun et al. 2022: 27 files (23 tasks, two of them in three sizes);
    # Clark et al. 2020: gold passages in 9 of 11 languages.
    [("mmlu", 57), ("mmlu_5shot", 57), ("gsm8k", 1), ("bbh", 27), ("tydiqa", 9), ("ifeval", 1)],
)
def test_a_preset_has_every_task_of_its_benchmark_once(name, tasks):
    assert len({task.name for task in PRESETS[name].tasks}) == len(PRESETS[name].tasks) == tasks


def test_bbh_and_tydiqa_are_means_of_tasks_and_the_others_of_items():
    over = {name for name, preset in PRESETS.items() if preset.mean_over == "tasks"}
    assert over == {"bbh", "tydiqa"}  # open-instruct's run_eval.py of each
