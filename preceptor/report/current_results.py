"""Which tuned models and scores count: those of today's settings and rows, as for responses and losses.

A run that was changed and then failed keeps its old model and scores in the lake; the report leaves them out.
"""

from functools import cache

import polars as pl

from preceptor.evaluation.results import results_fingerprint
from preceptor.evaluation.scores import scores_fingerprint
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, TUNED_CHECKPOINT, Table
from preceptor.lake.store import NotMaterializedError
from preceptor.lake.warehouse import Warehouse
from preceptor.selection.conversations import OutdatedSelectionError, chosen_conversations
from preceptor.study.schema import Study
from preceptor.tuning.task import Task

Marks = set[tuple[str, ...]]


def keep_current_results(warehouse: Warehouse, study: Study) -> None:
    """Leave in the warehouse's result tables only what today's study would make; the lake is not touched."""
    checkpoints = current_checkpoints(warehouse, study)
    results, scores = Marks(), Marks()
    for run, checkpoint in checkpoints.items():
        for evaluation in study.evaluations:
            made_of = results_fingerprint(evaluation, checkpoint)
            results.add((run, evaluation.name, made_of))
            scores.add((run, evaluation.name, scores_fingerprint(evaluation, made_of)))
    _keep(warehouse, TUNED_CHECKPOINT, set(checkpoints.items()))
    _keep(warehouse, EVAL_RESULTS, results)
    _keep(warehouse, EVAL_SCORES, scores)


def current_checkpoints(warehouse: Warehouse, study: Study) -> dict[str, str]:
    """The fingerprint that each run's tuned model would have today; none where its rows are not chosen."""
    rows_of = cache(lambda recipe: chosen_conversations(warehouse, recipe))
    found = {}
    for run in study.runs:
        try:
            found[run.name] = Task.of(study, run.name, rows_of(run.recipe)).fingerprint
        except (NotMaterializedError, OutdatedSelectionError):
            continue
    return found


def _keep(warehouse: Warehouse, table: Table, marks: Marks) -> None:
    keys = [*table.partition_by, "fingerprint"]
    wanted = pl.DataFrame(sorted(marks), schema=dict.fromkeys(keys, pl.String), orient="row")
    rows = warehouse.rows(table.name).join(wanted, on=keys, how="semi")
    warehouse.register(table.name, rows.select(list(table.schema)))
