"""Which tuned models and scores count: those made under the current settings and from the current rows.

If a run's settings changed and the run then failed, its old model and scores stay in the lake. The report
leaves them out.
"""

import logging
from functools import cache

import polars as pl

from preceptor.evaluation.evaluate import evaluation_fingerprints
from preceptor.evaluation.lm_eval.package import MissingPackageError
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import UnknownModelError
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, TUNED_CHECKPOINT, Table
from preceptor.lake.store import NotMaterializedError
from preceptor.lake.warehouse import Warehouse
from preceptor.selection.conversations import OutdatedSelectionError, chosen_conversations
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_runs
from preceptor.tuning.objectives import OBJECTIVES
from preceptor.tuning.task import rows_digest, task_fingerprint
from preceptor.tuning.untuned import untuned_fingerprint

log = logging.getLogger(__name__)
Keys = set[tuple[str, ...]]  # partition values, followed by the fingerprint


def keep_current_results(warehouse: Warehouse, study: Study) -> None:
    """Keep only current rows in the warehouse's result tables. The lake is not changed.

    An evaluation whose fingerprint cannot be computed (a damaged prompt file, lm-eval not installed) keeps no
    rows. The log says why, and the report lists its runs as without a score.
    """
    checkpoints = current_checkpoints(warehouse, study)
    evaluated = checkpoints | current_untuned(study)
    results, scores = Keys(), Keys()
    for evaluation in study.evaluations:
        try:
            for run, checkpoint in evaluated.items():
                of_results, of_scores = evaluation_fingerprints(evaluation, checkpoint)
                results.add((run, evaluation.name, of_results))
                scores.add((run, evaluation.name, of_scores))
        except (BenchmarkError, MissingPackageError, UnknownModelError) as error:
            log.warning("the report leaves out all results on %s: %s", evaluation.name, error)
    _keep(warehouse, TUNED_CHECKPOINT, set(checkpoints.items()))
    _keep(warehouse, EVAL_RESULTS, results)
    _keep(warehouse, EVAL_SCORES, scores)


def current_checkpoints(warehouse: Warehouse, study: Study) -> dict[str, str]:
    """The current fingerprint of each run's tuned model. Runs whose rows are not selected are left out."""
    digest_of = cache(lambda recipe, columns: _digest(warehouse, recipe, columns))
    found = {}
    for run in study.runs:
        tuning = study.tuning(run.tuning)
        rows = digest_of(run.recipe, OBJECTIVES[tuning.objective.kind].columns)
        if rows is None:
            continue
        try:
            found[run.name] = task_fingerprint(study.base(run.base), tuning, run.seed, rows)
        except UnknownModelError as error:  # the run's base is missing; other runs are reported
            log.warning("the report leaves out run %s: %s", run.name, error)
    return found


def _digest(warehouse: Warehouse, recipe: str, columns: tuple[str, ...]) -> str | None:
    """The hash of a recipe's rows, or None if they are not selected. Loads one recipe's text at a time."""
    try:
        return rows_digest(chosen_conversations(warehouse, recipe), columns)
    except (NotMaterializedError, OutdatedSelectionError):
        return None


def current_untuned(study: Study) -> dict[str, str]:
    """The current fingerprint of each untuned base."""
    found = {}
    for run, base in untuned_runs(study).items():
        try:
            found[run] = untuned_fingerprint(study.base(base))
        except UnknownModelError as error:
            log.warning("the report leaves out %s: %s", run, error)
    return found


def _keep(warehouse: Warehouse, table: Table, current: Keys) -> None:
    keys = [*table.partition_by, "fingerprint"]
    wanted = pl.DataFrame(sorted(current), schema=dict.fromkeys(keys, pl.String), orient="row")
    rows = warehouse.rows(table.name).join(wanted, on=keys, how="semi")
    warehouse.register(table.name, rows.select(list(table.schema)))
