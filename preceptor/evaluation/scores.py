"""Rows of `eval_scores`: metrics with their method, number of items, and judge."""

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
    """Counts of the answers that a benchmark expects, and of their states."""

    expected: int
    judged: int
    failed: int
    filtered: int

    @classmethod
    def of(cls, results: pl.DataFrame, expected: int) -> "Account":
        """Count the rows of `eval_results` by state."""
        filtered = results["filtered"].count()
        judged = results["outcome"].count()
        failed = results.filter(pl.col("error").is_not_null(), pl.col("filtered").is_null()).height
        return cls(expected, judged, failed, filtered)

    @property
    def balanced(self) -> bool:
        """Whether every expected answer is counted exactly once."""
        return self.judged + self.failed + self.filtered == self.expected

    def __str__(self) -> str:
        """The account as a sum."""
        return (
            f"{self.judged:,} judged + {self.failed:,} failed + {self.filtered:,} filtered ="
            f" {self.judged + self.failed + self.filtered:,}, expected {self.expected:,}"
        )


@dataclass(frozen=True)
class Named:
    """The identities of the judge and of the reference, None where there are none."""

    judge: str | None = None
    reference: str | None = None


def score_rows(metrics: Sequence[Metric], account: Account, named: Named) -> pl.DataFrame:
    """One row for each metric, in the given order (the main metric first)."""
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
    """Changes with the results, the evaluation's settings, the judge and reference, and other input files.

    Paths are excluded. The contents of files are covered by the results' fingerprint and `files`.
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
