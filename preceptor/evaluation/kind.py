"""The interface of a kind of evaluation.

To add a kind, write a schema class in preceptor/study (with a line in the union of study/evaluation.py) and a
module or folder here with its KIND (with a line in kinds.py). docs/architecture.md lists the steps.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Generic

import polars as pl

from preceptor.evaluation.item_values import ItemValues, StoredRuns, mean_values
from preceptor.evaluation.job import Declared, EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.scores import Named
from preceptor.lake.store import Lake
from preceptor.study.evaluation import AnyEvaluation


def _nobody(_: AnyEvaluation) -> Named:
    return Named()


def _no_files(_: AnyEvaluation) -> dict[str, Any]:
    return {}


def _all_items(_: Collection[str]) -> str:
    return ""


def _as_they_are(_: StoredRuns[Any], scores: pl.DataFrame) -> pl.DataFrame:
    return scores


def _never(_: object) -> bool:
    return False


@dataclass(frozen=True)
class Kind(Generic[Declared]):
    """The functions of a kind of evaluation.

    For one run:
    - `check` raises BenchmarkError, or the error of a missing program, before any model runs.
    - `fingerprint_of` (evaluation, checkpoint's fingerprint) gives the fingerprint of the results.
    - `score_items` makes the results.
    - `metrics` computes the metrics, the main one first.
    - `named` gives the judge and the reference.
    - `files` lists other inputs of the metrics.
    - `fetched` tells whether the lake has the files that metrics download once, and `lacks_files` whether
      scores were made without them.

    For all runs:
    - `values` (runs, metric, category) gives the values per item of a metric.
    - `main_category` chooses the category of the main scores, "" for all items together.
    - `together` adjusts the benchmark's scores when all runs are known.
    """

    check: Callable[[Declared], None]
    fingerprint_of: Callable[[Declared, str], str]
    score_items: Callable[[EvaluationJob[Declared]], ScoredItems]
    metrics: Callable[[EvaluationJob[Declared], ScoredItems], list[Metric]]
    named: Callable[[Declared], Named] = _nobody
    files: Callable[[Declared], dict[str, Any]] = _no_files
    fetched: Callable[[Lake], bool] = _never
    lacks_files: Callable[[pl.DataFrame], bool] = _never
    values: Callable[[StoredRuns[Declared], str, str], ItemValues] = mean_values
    main_category: Callable[[Collection[str]], str] = _all_items
    together: Callable[[StoredRuns[Declared], pl.DataFrame], pl.DataFrame] = _as_they_are


def kind_of(evaluation: AnyEvaluation) -> Kind[Any]:
    """The kind of an evaluation that a study declares."""
    from preceptor.evaluation.kinds import KINDS  # a tenth of what the definitions take to load

    return KINDS[evaluation.kind]
