"""A kind of evaluation: the functions that score one run on a benchmark, and those that look at all runs.

To add a kind, write a schema class in preceptor/study (with a line in the union of study/evaluation.py) and a
module or folder here with its KIND (with a line in kinds.py). docs/architecture.md says it step by step.
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
    """What scores one run: `check` raises BenchmarkError, or what a missing program raises, before any model
    runs; `fingerprint_of` (evaluation, checkpoint's fingerprint) is that of the results; `score_items` makes
    them, and `metrics` adds them up, the main one first. `named` gives the judge and the reference; `files`
    is what else the metrics read. Metrics may use files that are fetched once: `fetched` says whether the
    lake has them, and `lacks_files` whether scores were made without them.

    What looks at all runs: `values` (runs, metric, category) gives what each item adds to a metric;
    `main_category` says which category's scores are the main ones, "" being all items together; `together`
    gives the benchmark's scores as they are once all runs are known.
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
