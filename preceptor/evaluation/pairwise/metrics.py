"""The metrics of pairwise comparisons: win rates, wins, ties and losses, and the judge's reliability."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from preceptor.evaluation.agreement.labels import LABELS, label_of
from preceptor.evaluation.estimates import discrete_win_rate, win_rate
from preceptor.evaluation.items import Item, read_items
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.judging.annotator import Annotator
from preceptor.evaluation.judging.human_labels import read_labels
from preceptor.evaluation.judging.judge import protocol_of
from preceptor.evaluation.judging.reliability import agreement_with_people, reliability
from preceptor.evaluation.pairwise.difficulty import (
    NO_FILES,
    OTHER_INSTRUCTIONS,
    Difficulty,
    are_alpaca_evals,
    difficulty_of,
    given_folder,
    why_unknown,
)
from preceptor.evaluation.pairwise.length_control import (
    FULL,
    METHODS,
    METRICS,
    MINIMAL,
    formula,
    length_controlled,
)
from preceptor.evaluation.results import TURN_BREAK
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import file_identity
from preceptor.records import records_identity
from preceptor.statistics.proportions import mean_share
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import AnnotatorJudge, ClassifierJudge, PromptedJudge

PROMPT = "duel"  # the built-in prompt file
OF_A_CLASSIFIER = "mean of σ(score - reference score)"
OF_VERDICTS = "mean of the judge's preferences (0 to 1; where both orders were asked, their mean)"
INSTEAD = "the main metric in place of lc_win_rate, because {}"
WITHOUT = "not the published formula, because {}"
DISCRETE = "wins + draws / 2, alpaca-eval's get_winrate; 1.96 standard errors"


def check(evaluation: Pairwise) -> None:
    """Read all local files: references, the judge's prompt, labels, files of length control.

    Raises BenchmarkError or RecordsError for an unusable file.
    """
    items = None if evaluation.path is None else read_items(evaluation)
    if isinstance(evaluation.judge, AnnotatorJudge):
        Annotator(evaluation.judge).check()
    elif isinstance(evaluation.judge, PromptedJudge):
        protocol_of(evaluation.judge, PROMPT)
    elif evaluation.human_labels is not None:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: 'human_labels' are compared with verdicts, but a classifier"
            " gives scores: remove them, or use a judge"
        )
    if evaluation.human_labels is not None:
        read_labels(evaluation, evaluation.human_labels, items)
    if evaluation.length_control is not None:
        given_folder(evaluation)
        if items is not None and not are_alpaca_evals(items):
            raise BenchmarkError(
                f"evaluation {evaluation.name!r}, length_control: {OTHER_INSTRUCTIONS}, and"
                f" {evaluation.origin} has others: use AlpacaEval's file unchanged, or remove"
                " 'length_control'"
            )


def metrics(job: EvaluationJob[Pairwise], scored: ScoredItems) -> list[Metric]:
    """The win rates, the main one first; for a prompted judge LIMA's three shares; then judge reliability."""
    evaluation, results = job.evaluation, scored.results.rows
    items = read_items(evaluation)
    difficulty = difficulty_of(job.lake, evaluation, items)
    found = win_rates(evaluation, in_file_order(results.drop_nulls("outcome"), items), difficulty)
    if difficulty is None:
        found = _explained(evaluation, found, why_unknown(items))
    if isinstance(evaluation.judge, PromptedJudge):
        found += wins_ties_losses(results)
    if scored.judgments is not None:
        judgments = scored.judgments.rows
        found += reliability(judgments)
        if evaluation.human_labels is not None:
            labels = read_labels(evaluation, evaluation.human_labels, items).filter(run=job.run)
            found += agreement_with_people(judgments, labels)
    return found


def files(evaluation: Pairwise) -> dict[str, Any]:
    """Other inputs of the metrics: people's labels, and the files of length control."""
    labels, folder = evaluation.human_labels, evaluation.length_control
    return {
        "human_labels": None
        if labels is None
        else {
            **records_identity(labels),
            **labels.model_dump(include={"run", "instruction", "system", "label"}),
        },
        "length_control": None if folder is None else file_identity(folder),
    }


def lacks_files(scores: pl.DataFrame) -> bool:
    """Whether these scores were made without the files of length control, because they were missing."""
    return bool(scores["method"].str.contains(NO_FILES, literal=True).any())


def in_file_order(results: pl.DataFrame, items: Sequence[Item]) -> pl.DataFrame:
    """The rows in the order of the benchmark's file, which determines alpaca-eval's folds."""
    places = {item.item_id: place for place, item in enumerate(items)}
    return results.sort(pl.col("item_id").replace_strict(places, return_dtype=pl.Int64), "sample")


def win_rates(evaluation: Pairwise, counted: pl.DataFrame, difficulty: Difficulty | None) -> list[Metric]:
    """Plain, length-controlled and discrete win rate of rows with an outcome, in the file's order.

    The main one is first: the study's metric, or the plain one where the difficulty is unknown.
    """
    outcomes = counted["outcome"].to_list()
    mean = OF_A_CLASSIFIER if isinstance(evaluation.judge, ClassifierJudge) else OF_VERDICTS
    metric, known = partial(Metric, n=counted.height), formula(difficulty)
    found = [
        metric("win_rate", win_rate(outcomes), f"{mean}, alpaca-eval's get_winrate; 1.96 standard errors"),
        metric(METRICS[known], length_controlled(lengths(counted), difficulty), METHODS[known]),
        metric("discrete_win_rate", discrete_win_rate(outcomes), DISCRETE),
    ]
    return sorted(found, key=lambda metric: metric.name != evaluation.metric)


def _explained(evaluation: Pairwise, rates: Sequence[Metric], why: str) -> list[Metric]:
    """The rates with notes in their methods on missing length control and a replaced main metric."""
    notes = {METRICS[MINIMAL]: WITHOUT.format(why)}
    if evaluation.metric == METRICS[FULL]:
        notes["win_rate"] = INSTEAD.format(why)
    return [
        replace(rate, method=f"{rate.method}; {notes[rate.name]}") if rate.name in notes else rate
        for rate in rates
    ]


def wins_ties_losses(results: pl.DataFrame) -> list[Metric]:
    """LIMA's three shares. An item is won if its mean over both orders is above 0.5."""
    labels = results.drop_nulls("outcome").select(label_of(pl.col("outcome"))).to_series()
    method = "items on this side of 0.5, in the mean over orders and draws / items judged; Wilson's interval"
    return [
        Metric(
            f"{label}_share", mean_share((labels == label).cast(pl.Float64).to_list()), method, len(labels)
        )
        for label in LABELS
    ]


def lengths(counted: pl.DataFrame) -> pl.DataFrame:
    """Outcomes with lengths in characters, as alpaca-eval measures them."""
    return counted.select(
        "item_id",
        "outcome",
        characters=pl.col("response").list.join(TURN_BREAK).str.len_chars().cast(pl.Int64),
        reference_characters=pl.col("reference").str.len_chars().cast(pl.Int64),
    )
