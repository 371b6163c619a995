"""What duels add up to: win rates, wins and ties and losses, and how far the judge can be relied on."""

from functools import partial
from typing import Any

import polars as pl

from preceptor.evaluation.agreement.labels import LABELS, label_of
from preceptor.evaluation.difficulty import Difficulty, difficulty_of, given_folder
from preceptor.evaluation.estimates import accuracy, discrete_win_rate, win_rate
from preceptor.evaluation.examination import Examination, Examined, Metric
from preceptor.evaluation.items import read_items
from preceptor.evaluation.judging.annotator import Annotator
from preceptor.evaluation.judging.human_labels import read_labels
from preceptor.evaluation.judging.judge import protocol_of
from preceptor.evaluation.judging.reliability import agreement_with_people, reliability
from preceptor.evaluation.length_control import length_control_method, length_controlled
from preceptor.evaluation.pairwise import PROMPT
from preceptor.evaluation.results import TURN_BREAK
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import file_identity
from preceptor.records import records_identity
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import AnnotatorJudge, ClassifierJudge, PromptedJudge

OF_A_CLASSIFIER = "mean of σ(score - reference score)"
OF_VERDICTS = "mean of the judge's preferences (0 to 1; where both orders were asked, their mean)"
DISCRETE = "wins + draws / 2, alpaca-eval's get_winrate; 1.96 standard errors"


def check(evaluation: Pairwise) -> None:
    """Read what is local: references, the judge's words, labels, the files of length control.

    Raises BenchmarkError or RecordsError for a file that cannot be used.
    """
    if evaluation.path is not None:
        read_items(evaluation)
    if isinstance(evaluation.judge, AnnotatorJudge):
        Annotator(evaluation.judge).check()
    elif isinstance(evaluation.judge, PromptedJudge):
        protocol_of(evaluation.judge, PROMPT)
    elif evaluation.human_labels is not None:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: 'human_labels' are held against verdicts, and a classifier"
            " gives scores: leave them out, or ask a judge"
        )
    if evaluation.human_labels is not None:
        read_labels(evaluation, evaluation.human_labels)
    if evaluation.length_control is not None:
        given_folder(evaluation)


def metrics(examination: Examination[Pairwise], examined: Examined) -> list[Metric]:
    """The win rates, the main one first; of a judge asked in words, LIMA's three shares; then the judge."""
    evaluation, results = examination.evaluation, examined.results.rows
    difficulty = difficulty_of(examination.lake, evaluation, read_items(evaluation))
    rates = win_rates(evaluation, results.drop_nulls("outcome"), difficulty)
    main = next(metric for metric in rates if metric.name == evaluation.metric)
    found = [main, *(metric for metric in rates if metric is not main)]
    if isinstance(evaluation.judge, PromptedJudge):
        found += wins_ties_losses(results)
    if examined.judgments is not None:
        judgments = examined.judgments.rows
        found += reliability(judgments)
        if evaluation.human_labels is not None:
            labels = read_labels(evaluation, evaluation.human_labels).filter(run=examination.run)
            found += agreement_with_people(judgments, labels)
    return found


def files(evaluation: Pairwise) -> dict[str, Any]:
    """What the metrics read besides the results: people's labels, and the files of length control."""
    labels, folder = evaluation.human_labels, evaluation.length_control
    return {
        "human_labels": None
        if labels is None
        else {**records_identity(labels), **labels.model_dump(include={"run", "instruction", "label"})},
        "length_control": None if folder is None else file_identity(folder),
    }


def win_rates(evaluation: Pairwise, counted: pl.DataFrame, difficulty: Difficulty | None) -> list[Metric]:
    """Length-controlled, plain and discrete win rate over the rows that have an outcome."""
    outcomes = counted["outcome"].to_list()
    mean = OF_A_CLASSIFIER if isinstance(evaluation.judge, ClassifierJudge) else OF_VERDICTS
    metric = partial(Metric, n=counted.height)
    return [
        metric(
            "lc_win_rate",
            length_controlled(_lengths(counted), difficulty),
            length_control_method(difficulty),
        ),
        metric("win_rate", win_rate(outcomes), f"{mean}, alpaca-eval's get_winrate; 1.96 standard errors"),
        metric("discrete_win_rate", discrete_win_rate(outcomes), DISCRETE),
    ]


def wins_ties_losses(results: pl.DataFrame) -> list[Metric]:
    """LIMA's three shares: an item is won where its mean over both orders is above a half."""
    labels = results.drop_nulls("outcome").select(label_of(pl.col("outcome"))).to_series()
    method = "items on this side of 0.5, in the mean over orders and draws / items judged; Wilson's interval"
    return [
        Metric(f"{label}_share", accuracy((labels == label).cast(pl.Float64).to_list()), method, len(labels))
        for label in LABELS
    ]


def _lengths(counted: pl.DataFrame) -> pl.DataFrame:
    """Outcomes beside lengths in characters, as alpaca-eval measures them."""
    return counted.select(
        "item_id",
        "outcome",
        characters=pl.col("response").list.join(TURN_BREAK).str.len_chars().cast(pl.Int64),
        reference_characters=pl.col("reference").str.len_chars().cast(pl.Int64),
    )
