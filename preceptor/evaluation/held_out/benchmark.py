"""The loss on held-out responses as a benchmark, kind `held_out_loss`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from preceptor.evaluation.held_out.loss import (
    LARGEST_EXPONENT,
    METHODS,
    ItemLoss,
    item_losses,
    loss_estimates,
)
from preceptor.evaluation.held_out.pairs import Pair, conversations, read_pairs
from preceptor.evaluation.held_out.scoring import VERSION, tuned_losses
from preceptor.evaluation.item_values import (
    LINEAR,
    Floats,
    ItemValues,
    StoredRuns,
    by_run,
    measure_values,
)
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.responses import sample_keys
from preceptor.evaluation.results import (
    TURN_BREAK,
    Decision,
    complete_results,
    decision_columns,
    results_fingerprint,
)
from preceptor.evaluation.scores import Named
from preceptor.lake.resume import Rows
from preceptor.records import records_identity
from preceptor.responses.rows import chunks
from preceptor.statistics.clusters import ratio
from preceptor.study.held_out import HeldOutLoss

UNITS = {
    "held_out_loss": "nats per token",
    "token_weighted_loss": "nats per token",
    "perplexity": "perplexity",
}


def check(evaluation: HeldOutLoss) -> None:
    """Read a local file. Raises BenchmarkError or RecordsError for one that cannot be used."""
    if evaluation.path is not None:
        read_pairs(evaluation)


def fingerprint_of(evaluation: HeldOutLoss, checkpoint: str) -> str:
    """Changes with the tuned model, the file, and whether end tokens are scored."""
    scored = {"include_end_of_turn": evaluation.include_end_of_turn, **evaluation.reading}
    parts = {"scoring": VERSION, **scored, **records_identity(evaluation)}
    return results_fingerprint(evaluation, checkpoint, parts)


def named(_: HeldOutLoss) -> Named:
    """There is no judge and no reference."""
    return Named(reference="nothing: the loss of the tuned model alone")


def score_items(job: EvaluationJob[HeldOutLoss]) -> ScoredItems:
    """The tuned model's loss on each pair."""
    evaluation = job.evaluation
    pairs = {pair.item_id: pair for pair in read_pairs(evaluation)}

    def compute(missing: pl.DataFrame) -> Rows:
        for chunk in chunks(missing, job.rows_at_once):
            some = [pairs[item_id] for item_id in chunk["item_id"]]
            losses = item_losses(some, tuned_losses(job, conversations(some)))
            yield from map(result_row, some, map(_decision, losses))

    made_of = fingerprint_of(evaluation, job.checkpoint.fingerprint)
    return ScoredItems(
        complete_results(job, made_of, sample_keys(list(pairs), 1), compute), expected=len(pairs)
    )


def metrics(job: EvaluationJob[HeldOutLoss], scored: ScoredItems) -> list[Metric]:
    """Held-out loss, token-weighted loss and perplexity, the study's main one first."""
    found = loss_estimates(stored_losses(scored.results.rows))
    cut = f"; {found.truncated} responses were cut to the context" if found.truncated else ""
    listed = [
        Metric(name, estimate, METHODS[name] + cut, found.items, UNITS[name])
        for name, estimate in found.metrics.items()
    ]
    return sorted(listed, key=lambda metric: metric.name != job.evaluation.metric)


def values(runs: StoredRuns[HeldOutLoss], metric: str, category: str) -> ItemValues:
    """The values per item of the loss or the perplexity."""
    make = _perplexity_values if metric == "perplexity" else _loss_values
    return ItemValues(by_run(runs.outcomes(category), make), LINEAR)


def _loss_values(rows: pl.DataFrame) -> tuple[list[str], Floats]:
    return rows["item_id"].to_list(), rows["outcome"].to_numpy().astype(np.float64)


def _perplexity_values(rows: pl.DataFrame) -> tuple[list[str], Floats]:
    """Values for exp(loss per token): an item's influence is exp(loss) times its influence on the loss."""
    by_token = ratio(measure_values(rows, "nll_sum"), measure_values(rows, "tokens")).values
    loss = float(by_token.mean())
    if loss > LARGEST_EXPONENT:
        return [], np.array([])
    return rows["item_id"].to_list(), np.exp(loss) * (1 + by_token - loss)


def stored_losses(rows: pl.DataFrame) -> Sequence[ItemLoss]:
    """Rows of `eval_results` as ItemLoss."""
    return [
        ItemLoss(row["item_id"], measures_of(row), row["filtered"], row["error"])
        for row in rows.iter_rows(named=True)
    ]


def measures_of(row: dict[str, Any]) -> dict[str, float]:
    """A row's measures, by name."""
    return {measure["name"]: measure["value"] for measure in row["measures"] or []}


def result_row(pair: Pair, decision: Decision) -> dict[str, Any]:
    """The row of a pair. Its real response is the reference, and there is no model response."""
    return {
        "item_id": pair.item_id,
        "sample": 0,
        "instruction": pair.user,
        "reference": TURN_BREAK.join(pair.response),
        **decision_columns(decision),
    }


def _decision(loss: ItemLoss) -> Decision:
    outcome = loss.measures.get("mean_nll")
    return Decision(outcome, measures=loss.measures, filtered=loss.filtered, error=loss.error)


KIND = Kind(check, fingerprint_of, score_items, metrics, named, values=values)
