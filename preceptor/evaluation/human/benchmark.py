"""People's ratings as a benchmark, kind `human_ratings`. Items are rated outputs, and runs are models."""

from typing import Any

import polars as pl

from preceptor.evaluation.human.audits import (
    Share,
    acceptance_rate,
    grade_shares,
    pairwise_agreement,
    pairwise_shares,
    rater_agreement,
)
from preceptor.evaluation.human.ratings import RatingColumns, pairwise_labels, read_ratings
from preceptor.evaluation.item_values import ItemValues, StoredRuns, by_run, measure_values
from preceptor.evaluation.job import EvaluationJob, Metric, NotEvaluatedError, ScoredItems
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.results import Decision, decision_columns, publish_results, results_fingerprint
from preceptor.evaluation.scores import Named
from preceptor.records import records_identity
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.study.human_ratings import HumanRatings

WORTH = {
    "excellent": 1.0,
    "pass": 0.0,
    "fail": 0.0,
    "yes": 1.0,
    "no": 0.0,
    "win": 1.0,
    "tie": 0.5,
    "lose": 0.0,
}
METHOD = "mean over items of the share of their raters who say so; Wilson's interval"
SAID = {"excellent_share": "excellent", "acceptance_rate": "yes", "win_share": "win"}  # by metric
AGREEMENT = (
    "pairs of raters of one output of this run who say the same{}; mean over items, Wilson's interval;"
    " {} outputs have one rater"
)


def check(evaluation: HumanRatings) -> None:
    """Read a local file. Raises BenchmarkError or RecordsError for one that cannot be used."""
    if evaluation.path is not None:
        ratings_of(evaluation)


def fingerprint_of(evaluation: HumanRatings, checkpoint: str) -> str:
    """Changes with the file, how it is read, and the checkpoint, whose outputs people rated."""
    read = evaluation.model_dump(include={"scale", "reference", "columns"})
    return results_fingerprint(evaluation, checkpoint, {**read, **records_identity(evaluation)})


def named(evaluation: HumanRatings) -> Named:
    """People are the judge; the file names the raters."""
    return Named("people", evaluation.reference or "nothing: each output is rated alone")


def score_items(job: EvaluationJob[HumanRatings]) -> ScoredItems:
    """A row for each item of the file. An item without ratings for this run is an error.

    Raises NotEvaluatedError for an untuned base without any rating, because the file is not at fault.
    """
    evaluation = job.evaluation
    ratings = ratings_of(evaluation)
    items = ratings["item_id"].unique().sort().to_list()
    labels = _labels(evaluation, ratings, job.run)
    if job.checkpoint.untuned and labels.is_empty():
        raise NotEvaluatedError(
            f"people rated no output of the untuned base: {evaluation.origin} has no model {job.run!r}"
        )
    made_of = fingerprint_of(evaluation, job.checkpoint.fingerprint)
    results = publish_results(
        job, made_of, lambda: [_row(item, labels.filter(item_id=item)["label"]) for item in items]
    )
    return ScoredItems(results, expected=len(items))


def metrics(job: EvaluationJob[HumanRatings], _: ScoredItems) -> list[Metric]:
    """Shares of people's ratings, the main one first, and rater agreement."""
    evaluation, run = job.evaluation, job.run
    ratings = ratings_of(evaluation)
    if _labels(evaluation, ratings, run).is_empty():
        return [Metric(evaluation.metric, Estimate(error=f"{NOTHING}: no rating of {run!r}"), METHOD, 0)]
    shares = _shares(evaluation, ratings, run)
    agreement = (pairwise_agreement if evaluation.compares else rater_agreement)(
        _of_run(evaluation, ratings, run)
    )
    tied = " (0.5 where exactly one says tie)" if evaluation.compares else ""
    return [
        *(Metric(name, share.estimate, METHOD, share.n) for name, share in shares.items()),
        Metric(
            "rater_agreement", agreement.estimate, AGREEMENT.format(tied, agreement.left_out), agreement.n
        ),
    ]


def values(runs: StoredRuns[HumanRatings], metric: str, category: str) -> ItemValues:
    """For each item, the share of its raters with the rating that the metric counts."""
    word = SAID[metric]
    shares = by_run(
        runs.outcomes(category), lambda rows: (rows["item_id"].to_list(), measure_values(rows, word))
    )
    return ItemValues(shares, largest=1.0)


def ratings_of(evaluation: HumanRatings) -> pl.DataFrame:
    """The file's ratings. Raises BenchmarkError for an unusable row."""
    columns = evaluation.columns
    other = columns.other_model if evaluation.compares else None
    places = RatingColumns(columns.item, columns.model, columns.rater, columns.rating, other)
    return read_ratings(evaluation, evaluation.scale, places)


def _labels(evaluation: HumanRatings, ratings: pl.DataFrame, run: str) -> pl.DataFrame:
    if evaluation.reference is not None:
        return pairwise_labels(ratings, run, evaluation.reference)
    return ratings.filter(model=run).select("item_id", label="rating")


def _of_run(evaluation: HumanRatings, ratings: pl.DataFrame, run: str) -> pl.DataFrame:
    """The ratings of the run's outputs, or of its comparisons with the reference."""
    if evaluation.reference is None:
        return ratings.filter(model=run)
    both = [run, evaluation.reference]
    return ratings.filter(pl.col("model").is_in(both) & pl.col("other_model").is_in(both))


def _shares(evaluation: HumanRatings, ratings: pl.DataFrame, run: str) -> dict[str, Share]:
    if evaluation.reference is not None:
        found = pairwise_shares(ratings, run, evaluation.reference)
        return {f"{word}_share": share for word, share in found.items()}
    if evaluation.scale == "acceptance":
        return {evaluation.metric: acceptance_rate(ratings, run)}
    return {f"{word}_share": share for word, share in grade_shares(ratings, run).items()}


def _row(item: str, labels: pl.Series) -> dict[str, Any]:
    """An item's row. Its outcome is the mean over its raters."""
    worth = [WORTH[label] for label in labels]
    shares = {f"{word}": float((labels == word).mean() or 0.0) for word in labels.unique().sort()}
    decision = Decision(sum(worth) / len(worth), measures=shares) if worth else Decision(error="no rating")
    return {"item_id": item, "sample": 0, "instruction": [item], **decision_columns(decision)}


KIND = Kind(check, fingerprint_of, score_items, metrics, named, values=values)
