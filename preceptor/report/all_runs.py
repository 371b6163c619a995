"""A benchmark's stored rows of all runs, and the scores that need all runs together."""

import polars as pl

from preceptor.evaluation.item_values import StoredRuns
from preceptor.evaluation.kind import kind_of
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, JUDGMENTS
from preceptor.lake.warehouse import Warehouse
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.schema import Study
from preceptor.study.untuned import evaluated_runs, untuned_runs


def stored_runs(warehouse: Warehouse, study: Study, evaluation: AnyEvaluation) -> StoredRuns[AnyEvaluation]:
    """The stored rows of the study's runs and untuned bases on a benchmark."""
    wanted = pl.col("run").is_in(list(evaluated_runs(study))) & (pl.col("benchmark") == evaluation.name)
    results, judgments = (warehouse.rows(table.name).filter(wanted) for table in (EVAL_RESULTS, JUDGMENTS))
    return StoredRuns(warehouse.lake, evaluation, results, judgments, untuned_runs(study))


def score_together(warehouse: Warehouse, study: Study) -> None:
    """Replace scores in the warehouse's `eval_scores` that depend on other runs; the lake does not change."""
    scores = warehouse.rows(EVAL_SCORES.name).select(list(EVAL_SCORES.schema))
    for evaluation in study.evaluations:
        own = pl.col("benchmark") == evaluation.name
        runs = stored_runs(warehouse, study, evaluation)
        found = kind_of(evaluation).together(runs, scores.filter(own))
        scores = pl.concat([scores.filter(~own), found])
    warehouse.register(EVAL_SCORES.name, scores)
