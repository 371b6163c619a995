"""Metrics of people's ratings: shares of grades, accepted outputs, won comparisons, and rater agreement.

An item's share is the mean over its raters, and a model's share is the mean over items. So each item counts
once, whatever its number of raters. Intervals are those of `mean_share`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from preceptor.evaluation.agreement.labels import (
    LABELS,
    TIE,
    agreement_by_item,
    agreement_of_pairs,
)
from preceptor.evaluation.human.ratings import ACCEPTANCE, GRADES, pairwise_labels, preference_labels
from preceptor.statistics.estimates import Estimate
from preceptor.statistics.proportions import mean_share

YES = ACCEPTANCE[0]
OUTPUT = ("item_id", "model", "other_model")


@dataclass(frozen=True)
class Share:
    """The share of one rating, over n items with `ratings` ratings."""

    estimate: Estimate
    n: int
    ratings: int


@dataclass(frozen=True)
class RaterAgreement:
    """How often two raters of the same output agree, over n items and `pairs` pairs of ratings.

    `left_out` counts outputs with one rater.
    """

    estimate: Estimate
    n: int
    pairs: int
    left_out: int


def grade_shares(ratings: pl.DataFrame, model: str) -> dict[str, Share]:
    """Shares of excellent, pass and fail among a model's outputs (LIMA, arXiv 2305.11206, section 4).

    `ratings` as `read_ratings` gives them. Raises ValueError for ratings other than grades.
    """
    return _shares(_labels(ratings, model, GRADES), GRADES)


def acceptance_rate(ratings: pl.DataFrame, model: str) -> Share:
    """Share of a model's outputs that people accept (Tülu 1, arXiv 2306.04751, human evaluation).

    `ratings` as `read_ratings` gives them. Raises ValueError for ratings other than yes and no.
    """
    return _shares(_labels(ratings, model, ACCEPTANCE), ACCEPTANCE)[YES]


def pairwise_shares(ratings: pl.DataFrame, model: str, other_model: str) -> dict[str, Share]:
    """Shares of win, tie and lose of a model against another, whichever was shown as A.

    `ratings` as `read_ratings` gives them, of preferences or verdicts. Raises ValueError for others.
    """
    return _shares(pairwise_labels(ratings, model, other_model), LABELS)


def rater_agreement(ratings: pl.DataFrame) -> RaterAgreement:
    """Share of equal ratings, grades or yes and no, among all pairs of raters of an output.

    The mean over an item's pairs, then over items. Raises ValueError for ratings of two outputs.
    """
    if ratings["other_model"].is_not_null().any():
        raise ValueError("these ratings compare two outputs: use pairwise_agreement")
    return _agreement(ratings.with_columns(label="rating"), half=None)


def pairwise_agreement(ratings: pl.DataFrame) -> RaterAgreement:
    """Tie-discounted agreement (LIMA, arXiv 2305.11206, section 4) among all pairs of raters of two outputs.

    Clearly and slightly better count as the same, and the order of A and B does not matter. The mean over an
    item's pairs, then over items. Raises ValueError for ratings of one output.
    """
    return _agreement(preference_labels(ratings), half=TIE)


def _labels(ratings: pl.DataFrame, model: str, words: Sequence[str]) -> pl.DataFrame:
    of_model = ratings.filter(pl.col("model") == model)
    wrong = of_model.filter(~pl.col("rating").is_in(words))
    if wrong.height:
        raise ValueError(f"ratings of {model} have {wrong['rating'][0]!r}: use {', '.join(words)}")
    return of_model.select("item_id", label="rating")


def _shares(labels: pl.DataFrame, words: Sequence[str]) -> dict[str, Share]:
    items = labels.group_by("item_id").agg((pl.col("label") == word).mean().alias(word) for word in words)
    return {word: Share(mean_share(items[word]), items.height, labels.height) for word in words}


def _agreement(labels: pl.DataFrame, half: str | None) -> RaterAgreement:
    outputs = agreement_of_pairs(labels, OUTPUT, half)
    items = agreement_by_item(outputs)
    left_out = labels.select(OUTPUT).n_unique() - outputs.height
    return RaterAgreement(mean_share(items), len(items), int(outputs["pairs"].sum()), left_out)
