"""Rows of `eval_scores`: what the outcomes of a benchmark's items add up to, and by which formula."""

import polars as pl

from preceptor.evaluation.estimates import Estimate, accuracy, discrete_win_rate, win_rate
from preceptor.evaluation.length_control import length_controlled
from preceptor.evaluation.results import TURN_BREAK
from preceptor.fingerprint import fingerprint, model_identity
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.study.evaluation import Checkers, Pairwise

VERSION = 1
METHODS = {
    "accuracy": "right answers / items with an outcome; Wilson's interval",
    "lc_win_rate": (
        "alpaca-eval's length-controlled GLM, minimal formula np.tanh(std_delta_len) +"
        " not_gamed_baseline.astype(float) - 1 (without instruction difficulty and gamed baselines), at equal"
        " lengths; interval: 1.96 robust (Huber-White) standard errors of the logit"
    ),
    "win_rate": "mean of σ(score - reference score), alpaca-eval's get_winrate; 1.96 standard errors",
    "discrete_win_rate": "wins + draws / 2, alpaca-eval's get_winrate; 1.96 standard errors",
}


def score_rows(evaluation: Checkers | Pairwise, results: pl.DataFrame) -> pl.DataFrame:
    """One row a metric, the main one first; items without outcome are left out and counted as failed."""
    counted = results.filter(pl.col("outcome").is_not_null())
    facts = {
        "n": counted.height,
        "failed": results.height - counted.height,
        **_named(evaluation),
    }
    rows = [
        {"metric": metric, **vars(estimate), "method": METHODS[metric], **facts}
        for metric, estimate in _estimates(evaluation, counted).items()
    ]
    return pl.DataFrame(rows, schema=EVAL_SCORES.row_schema)


def scores_fingerprint(evaluation: Checkers | Pairwise, results_fingerprint: str) -> str:
    """Changes with the results, and with the names that stand beside the scores."""
    return fingerprint(
        "eval_scores", VERSION, results=results_fingerprint, main=evaluation.metric, **_named(evaluation)
    )


def _named(evaluation: Checkers | Pairwise) -> dict[str, str | None]:
    """The judge's name and the exact model that it is, and whose responses it compares with."""
    if isinstance(evaluation, Checkers):
        return {"judge": None, "reference": None}
    judge = evaluation.judge
    identity = model_identity(judge.model, judge.revision)
    return {"judge": f"{judge.name} ({identity})", "reference": evaluation.reference}


def _estimates(evaluation: Checkers | Pairwise, counted: pl.DataFrame) -> dict[str, Estimate]:
    outcomes = counted["outcome"].to_list()
    match evaluation:
        case Checkers():
            return {"accuracy": accuracy(outcomes)}
        case Pairwise():
            found = {
                "lc_win_rate": length_controlled(_duels(counted)),
                "win_rate": win_rate(outcomes),
                "discrete_win_rate": discrete_win_rate(outcomes),
            }
            return {evaluation.metric: found.pop(evaluation.metric), **found}


def _duels(counted: pl.DataFrame) -> pl.DataFrame:
    """Outcomes beside lengths in characters, as alpaca-eval measures them."""
    return counted.select(
        "outcome",
        characters=pl.col("response").list.join(TURN_BREAK).str.len_chars().cast(pl.Int64),
        reference_characters=pl.col("reference").str.len_chars().cast(pl.Int64),
    )
