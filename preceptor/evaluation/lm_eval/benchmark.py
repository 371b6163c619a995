"""lm-eval's tasks as a benchmark, kind `lm_eval`. Each finished task is committed at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.compute.chat_template import PROMPT_DATE
from preceptor.evaluation.item_values import (
    LINEAR,
    Floats,
    ItemValues,
    StoredRuns,
    by_run,
    mean_values,
)
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.lm_eval.identity import benchmark_identity
from preceptor.evaluation.lm_eval.presets import PRESETS, Preset, Task
from preceptor.evaluation.lm_eval.responses import ItemResult
from preceptor.evaluation.lm_eval.scores import aggregate, method
from preceptor.evaluation.lm_eval.session import Benchmark
from preceptor.evaluation.responses import sample_keys
from preceptor.evaluation.results import Decision, complete_results, decision_columns, results_fingerprint
from preceptor.lake.resume import Outcome, Rows
from preceptor.study.benchmarks import LmEval


def check(evaluation: LmEval) -> None:
    """Load the tasks with their rows. Raises MissingPackageError or BenchmarkError."""
    Benchmark(preset_of(evaluation), Path(evaluation.data), evaluation.seed).item_ids()


def fingerprint_of(evaluation: LmEval, checkpoint: str) -> str:
    """Changes with the tuned model, the rows, the tasks' definitions, and all settings."""
    identity = benchmark_identity(preset_of(evaluation), Path(evaluation.data), evaluation.seed)
    return results_fingerprint(evaluation, checkpoint, {"benchmark": identity})


def preset_of(evaluation: LmEval) -> Preset:
    """The preset, or the study's own task as a preset, with the study's settings."""
    if evaluation.preset is not None:
        preset = PRESETS[evaluation.preset]
    else:
        preset = Preset(
            name=str(evaluation.task),
            tasks=(Task(str(evaluation.task), evaluation.rows),),
            definitions=Path(str(evaluation.tasks)),
            splits=evaluation.splits,
            shots=0,
            main_measure=str(evaluation.measure),
        )
    wanted: dict[str, Any] = {
        "shots": evaluation.shots,
        "limit": evaluation.limit,
        "main_measure": evaluation.measure,
        "apply_chat_template": evaluation.chat_template,
    }
    return replace(preset, **{name: value for name, value in wanted.items() if value is not None})


def score_items(job: EvaluationJob[LmEval]) -> ScoredItems:
    """Run the model in lm-eval. Raises MissingPackageError without lm-eval, BenchmarkError for bad files."""
    evaluation, engines = job.evaluation, job.engines
    benchmark = Benchmark(preset_of(evaluation), Path(evaluation.data), evaluation.seed)
    made_of = fingerprint_of(evaluation, job.checkpoint.fingerprint)

    def compute(missing: pl.DataFrame) -> Rows:
        folder, lacking = job.checkpoint.folder(), set(missing["item_id"])
        engines.make_room()
        day = job.checkpoint.base.prompt_date or PROMPT_DATE
        for results in benchmark.run(folder, engines.device, engines.batch_size, lacking, day):
            yield from map(_row, results)

    item_ids = benchmark.item_ids()
    results: Outcome = complete_results(job, made_of, sample_keys(item_ids, 1), compute)
    return ScoredItems(results, expected=len(item_ids))


def metrics(job: EvaluationJob[LmEval], scored: ScoredItems) -> list[Metric]:
    """The benchmark's mean, and each task's mean if there are several tasks."""
    preset = preset_of(job.evaluation)
    items = [_result(row) for row in scored.results.rows.iter_rows(named=True)]
    found = [_metric(preset, items, "")]
    if len(preset.tasks) > 1:
        for task in preset.tasks:
            of_task = [item for item in items if item.task == task.name]
            found.append(_metric(replace(preset, tasks=(task,), mean_over="items"), of_task, task.name))
    return found


def values(runs: StoredRuns[LmEval], metric: str, category: str) -> ItemValues:
    """The values per item of the mean over items, or of the mean over tasks."""
    if preset_of(runs.evaluation).mean_over == "items":
        return mean_values(runs, metric, category)
    return ItemValues(by_run(runs.outcomes(category), _mean_of_tasks), LINEAR)


def _mean_of_tasks(rows: pl.DataFrame) -> tuple[list[str], Floats]:
    """The mean over tasks plus the weighted distance of each item from its task's mean."""
    tasks = rows["task"].unique()
    mean = rows.group_by("task").agg(pl.col("outcome").mean())["outcome"].mean()
    apart = pl.col("outcome") - pl.col("outcome").mean().over("task")
    weight = rows.height / (len(tasks) * pl.len().over("task"))
    return rows["item_id"].to_list(), rows.select(mean + weight * apart).to_series().to_numpy()


def _metric(preset: Preset, items: Sequence[ItemResult], category: str) -> Metric:
    described = f"{method(preset, items)}; {preset.shots}-shot"
    measured = sum(item.outcome is not None for item in items)
    return Metric("benchmark_score", aggregate(preset, items), described, measured, category=category)


def _row(result: ItemResult) -> dict[str, Any]:
    decision = Decision(result.outcome, measures=result.measures, error=result.error)
    return {
        "item_id": result.item_id,
        "sample": 0,
        "instruction": result.prompt,
        "task": result.task,
        "response": [result.response],
        "reference": result.target,
        **decision_columns(decision),
    }


def _result(row: dict[str, Any]) -> ItemResult:
    measures = {measure["name"]: measure["value"] for measure in row["measures"]}
    prompt, response = tuple(row["instruction"]), "".join(row["response"])
    return ItemResult(
        row["item_id"],
        row["task"],
        prompt,
        response,
        row["reference"],
        measures,
        row["outcome"],
        row["error"],
    )


KIND = Kind(check, fingerprint_of, score_items, metrics, values=values)
