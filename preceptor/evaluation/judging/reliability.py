"""Metrics of a judge's reliability: position bias, consistency, agreement with people."""

import polars as pl

from preceptor.evaluation.agreement.labels import agreement_by_item, agreement_of_pairs
from preceptor.evaluation.agreement.reliability import (
    drawn_position_bias,
    human_agreement,
    position_bias,
    self_consistency,
)
from preceptor.evaluation.job import Metric
from preceptor.evaluation.judging.judge import SAME
from preceptor.statistics.proportions import mean_share

SEED = 0
PLAIN = "items on which the judge's mean verdict is people's label / items with both; 95 % over items"
KAPPA = "Cohen's kappa of the judge's mean verdict and people's label; bootstrap over items"
BIAS = (
    "mean of outcome with the response first - outcome with the reference first; 0 is none, 1 always the"
    " first; 95 % interval over items"
)
DRAWN_BIAS = (
    "mean outcome of items with the response first - of the other items, each judged in one order at random;"
    " 0 is none, 1 always the first; Newcombe's 95 % interval"
)
FLIPS = "answers won in one order and lost in the other / answers judged in both orders; 95 % over items"
CONSISTENCY = "pairs of draws of one question on the same side of 0.5 / pairs of draws; 95 % over items"
GRADED = "pairs of draws of one question with the same grade / pairs of draws; 95 % over items"
AGREEMENT = (
    "agreement of the judge's mean verdict with people's labels: 1 where equal, 0.5 where exactly one says"
    " tie (LIMA, section 4); 95 % over items"
)


def reliability(judgments: pl.DataFrame) -> list[Metric]:
    """Position bias, flips (if answers were judged in both orders), self-consistency (if draws repeat)."""
    found = []
    verdicts = _verdicts(judgments)
    if (verdicts.group_by("item_id", "sample").agg(pl.col("order").n_unique())["order"] > 1).any():
        bias = position_bias(verdicts)
        found += [
            Metric("position_bias", bias.estimate, BIAS, bias.n, unit="bias"),
            Metric("verdict_flips", bias.flips, FLIPS, bias.n),
        ]
    elif verdicts["order"].n_unique() > 1:
        drawn, items = drawn_position_bias(verdicts)
        found.append(Metric("position_bias", drawn, DRAWN_BIAS, items, unit="bias"))
    if (verdicts["draw"] > 0).any():
        consistency = self_consistency(verdicts)
        found.append(Metric("self_consistency", consistency.estimate, CONSISTENCY, consistency.n))
    return found


def grading_reliability(judgments: pl.DataFrame) -> list[Metric]:
    """Self-consistency of a grading judge: draws agree if they give the same grade."""
    if not (judgments["draw"] > 0).any():
        return []
    labels = judgments.drop_nulls("verdict").select("item_id", "sample", label=pl.col("verdict"))
    items = agreement_by_item(agreement_of_pairs(labels, ("item_id", "sample")))
    return [Metric("self_consistency", mean_share(items), GRADED, len(items))]


def agreement_with_people(judgments: pl.DataFrame, labels: pl.DataFrame) -> list[Metric]:
    """Tie-discounted agreement with labels (item_id, label), and the number of unmatched items."""
    found = human_agreement(_verdicts(judgments), labels, SEED)
    left_out = f"; {found.left_out} items have only one of the two"
    return [
        Metric("human_agreement", found.tie_discounted, AGREEMENT + left_out, found.n),
        Metric("human_agreement_plain", found.plain, PLAIN + left_out, found.n),
        Metric("human_kappa", found.kappa, KAPPA + left_out, found.n, unit="bias"),
    ]


def _verdicts(judgments: pl.DataFrame) -> pl.DataFrame:
    """The judge's verdicts, without ties between equal texts, for which it was not asked."""
    asked = judgments.filter(pl.col("verdict").ne_missing(SAME.verdict))
    return asked.select("item_id", "sample", "draw", "outcome", order=pl.col("shown"))
