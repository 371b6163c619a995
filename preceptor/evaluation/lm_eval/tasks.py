"""lm-eval's tasks with local rows as their dataset. All other settings come from their YAML files."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from preceptor.evaluation.lm_eval.package import definitions_folder, quiet, require
from preceptor.evaluation.lm_eval.presets import Preset
from preceptor.evaluation.lm_eval.rows import read_rows, split_files
from preceptor.evaluation.whole_file import BenchmarkError

ASKED = ("generate_until", "multiple_choice")  # output types with a response or a choice to show


def load_tasks(preset: Preset, data: Path, seed: int) -> dict[str, Any]:
    """lm-eval's Task objects by name, in the preset's order, on the rows in `data`.

    Raises MissingPackageError if a package is missing. Raises BenchmarkError for missing or malformed files,
    an undefined task, and more shots than worked examples.
    """
    require(preset)
    from lm_eval.tasks import TaskManager

    datasets = _datasets(preset, data)
    folder = definitions_folder(preset)
    with quiet():
        manager = TaskManager(include_path=folder, include_defaults=False)  # loading all tasks takes 14 s
        _check_names(preset, manager.all_subtasks, folder)
        names = [task.name for task in preset.tasks]
        return {name: _task(preset, manager, name, datasets[name], seed) for name in names}


def _check_names(preset: Preset, defined: list[str], folder: Path) -> None:
    for task in preset.tasks:
        if task.name not in defined:
            raise BenchmarkError(
                f"benchmark {preset.name!r}: {folder} defines no task {task.name!r} (it defines"
                f" {', '.join(map(str, defined[:8])) or 'none'}): correct its YAML file or the name"
            )


def _datasets(preset: Preset, data: Path) -> dict[str, Callable[..., Any]]:
    read = cache(lambda files: read_rows(preset, files))  # TydiQA's languages share their files
    found = {}
    for task in preset.tasks:
        files = split_files(preset, task, data)
        found[task.name] = _dataset({split: read(paths) for split, paths in files.items()})
    return found


def _dataset(rows: dict[str, list[dict[str, Any]]]) -> Callable[..., Any]:
    """A function that lm-eval calls instead of `load_dataset`. It ignores the task's metadata."""

    def load(**_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        return DatasetDict({split: Dataset.from_list(found) for split, found in rows.items()})

    return load


def _task(preset: Preset, manager: Any, name: str, dataset: Callable[..., Any], seed: int) -> Any:
    replaced = {"custom_dataset": dataset, "dataset_kwargs": None, "num_fewshot": preset.shots}
    group = {"group": f"preceptor_{name}", "task": [{"task": name, **replaced}]}
    try:
        task = manager.load(group)["tasks"][name]
    except Exception as error:
        raise BenchmarkError(
            f"benchmark {preset.name!r}: lm-eval cannot build task {name!r} on these rows:"
            f" {type(error).__name__}: {error}"
        ) from error
    _check(preset, name, task)
    if preset.response_tokens is not None and task.OUTPUT_TYPE == "generate_until":
        task.set_config("generation_kwargs", {"max_gen_toks": preset.response_tokens}, update=True)
    task.set_fewshot_seed(seed)
    return task


def _check(preset: Preset, name: str, task: Any) -> None:
    if task.OUTPUT_TYPE not in ASKED:
        raise BenchmarkError(
            f"benchmark {preset.name!r}: task {name!r} is of output_type {task.OUTPUT_TYPE!r}, which has"
            f" neither responses nor choices: use a task of {' or '.join(ASKED)}"
        )
    examples = len(task.fewshot_docs() or ()) if preset.shots else 0
    if examples < preset.shots:
        raise BenchmarkError(
            f"benchmark {preset.name!r}: task {name!r} has {examples} worked examples for {preset.shots}"
            " shots: lower 'shots'"
        )
