"""Which number of a benchmark is the main one: the study's metric, where its rows can bear it."""

import polars as pl

from preceptor.evaluation.arena_hard.categories import main_category
from preceptor.evaluation.length_control import FULL, METRICS
from preceptor.study.evaluation import AnyEvaluation, ArenaHard, Pairwise
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_runs

Main = tuple[str, str]  # a metric and a category; the category of all items is empty


def main_metrics(scores: pl.DataFrame, study: Study) -> dict[str, Main]:
    """Each benchmark's main number, one for all runs. `scores` are rows of `eval_scores`.

    Length control without the difficulty of the instructions is biased (length_control.py): where no run has
    the full one, the plain win rate is the main metric. Where Arena-Hard's categories are not pooled, one of
    them is. The study's own runs decide, not the untuned bases beside them.
    """
    found = {}
    scores = scores.filter(~pl.col("run").is_in(list(untuned_runs(study))))
    for evaluation in study.evaluations:
        metrics = scores.filter(benchmark=evaluation.name).select("metric", "category").unique()
        found[evaluation.name] = _main(evaluation, metrics)
    return found


def _main(evaluation: AnyEvaluation, metrics: pl.DataFrame) -> Main:
    if isinstance(evaluation, Pairwise) and evaluation.metric == METRICS[FULL]:
        there = metrics.is_empty() or METRICS[FULL] in metrics["metric"]
        return (METRICS[FULL] if there else "win_rate"), ""
    if isinstance(evaluation, ArenaHard):
        categories = metrics.filter(metric=evaluation.metric)["category"].to_list()
        return evaluation.metric, main_category(categories)
    return evaluation.metric, ""
