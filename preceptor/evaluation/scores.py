"""Rows of `eval_scores`: what items add up to, by which formula, over how many, judged by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from preceptor.evaluation.job import Metric
from preceptor.fingerprint import fingerprint
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.study.evaluation import AnyEvaluation

VERSION = 4


@dataclass(frozen=True)
class Account:
    """What became of the answers that a benchmark asks for."""

    expected: int
    judged: int
    failed: int
    filtered: int

    @classmethod
    def of(cls, results: pl.DataFrame, expected: int) -> "Account":
        """Count the rows of `eval_results` against how many there should be."""
        filtered = results["filtered"].count()
        judged = results["outcome"].count()
        failed = results.filter(pl.col("error").is_not_null(), pl.col("filtered").is_null()).height
        return cls(expected, judged, failed, filtered)

    @property
    def balanced(self) -> bool:
        """Whether every answer is accounted for, once."""
        return self.judged + self.failed + self.filtered == self.expected

    def __str__(self) -> str:
        """The account as a sum."""
        return (
            f"{self.judged:,} judged + {self.failed:,} failed + {self.filtered:,} filtered ="
            f" {self.judged + self.failed + self.filtered:,}, expected {self.expected:,}"
        )


@dataclass(frozen=True)
class Named:
    """The identity of the judge, and whose responses a score compares with; None where there are none."""

    judge: str | None = None
    reference: str | None = None


def score_rows(metrics: Sequence[Metric], account: Account, named: Named) -> pl.DataFrame:
    """One row a metric, in their order, the main one first."""
    rows = [
        {
            "metric": metric.name,
            "category": metric.category,
            **asdict(metric.estimate),
            "unit": metric.unit,
            "n": metric.n,
            **asdict(account),
            "method": metric.method,
            **asdict(named),
            **({} if metric.reference is None else {"reference": metric.reference}),
        }
        for metric in metrics
    ]
    return pl.DataFrame(rows, schema=EVAL_SCORES.row_schema)


def scores_fingerprint(
    evaluation: AnyEvaluation, results_fingerprint: str, named: Named, files: Mapping[str, Any]
) -> str:
    """Changes with the results, what is asked of them, the names beside the scores, and files read for them.

    Paths only say where a file lies on this machine: the results' fingerprint and `files` cover what is in
    it.
    """
    asked = evaluation.model_dump(mode="json", exclude={"name", "sampling", "judge", *evaluation.file_fields})
    return fingerprint(
        "eval_scores",
        VERSION,
        results=results_fingerprint,
        asked=asked,
        main=evaluation.metric,
        files=files,
        **asdict(named),
    )
