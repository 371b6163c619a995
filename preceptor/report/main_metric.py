"""The main metric of each benchmark: the study's metric, if any run has a score by it."""

import polars as pl

from preceptor.evaluation.kind import kind_of
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_runs

Main = tuple[str, str]  # a metric and a category; the category of all items is empty


def main_metrics(scores: pl.DataFrame, study: Study) -> dict[str, Main]:
    """Each benchmark's main metric and category, the same for all runs. `scores` are rows of `eval_scores`.

    If no run has a score by the study's metric, the metric that needs no files replaces it: length control
    without the instructions' difficulty is biased (length_control.py). A kind of evaluation that does not
    pool its categories names the main one. The study's runs decide; untuned bases do not count.
    """
    found = {}
    scores = scores.filter(~pl.col("run").is_in(list(untuned_runs(study))))
    for evaluation in study.evaluations:
        metrics = scores.filter(benchmark=evaluation.name).select("metric", "category").unique()
        found[evaluation.name] = _main(evaluation, metrics)
    return found


def _main(evaluation: AnyEvaluation, there: pl.DataFrame) -> Main:
    metric, plain = evaluation.metric, evaluation.metric_without_files
    if plain is not None and not there.is_empty() and metric not in there["metric"]:
        metric = plain
    return metric, kind_of(evaluation).main_category(there.filter(metric=metric)["category"].to_list())
