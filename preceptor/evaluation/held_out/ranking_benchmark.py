"""Response ranking as a benchmark, kind `response_ranking`: the tuned model compared with its base."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from preceptor.evaluation.held_out.benchmark import measures_of, result_row
from preceptor.evaluation.held_out.pairs import read_pairs
from preceptor.evaluation.held_out.ranking import (
    METHODS,
    TRUNCATED,
    RankedItem,
    RankingEstimate,
    compare,
    ranked,
    ranking_conversations,
    ranking_estimates,
    ranking_requests,
)
from preceptor.evaluation.held_out.scoring import VERSION, base_losses, tuned_losses
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
from preceptor.evaluation.results import Decision, complete_results, results_fingerprint
from preceptor.evaluation.scores import Named
from preceptor.lake.resume import Rows
from preceptor.records import records_identity
from preceptor.responses.rows import chunks
from preceptor.statistics.clusters import ratio
from preceptor.study.held_out import ResponseRanking

ITEMS_PER_LOAD = 1000  # each thousand loads the tuned model and then its base
BASE = "base_"  # prefix of the base's measures
DIFFERENCE = (
    "tuned - base, over the items that both ranked with as many pairs; 1.96 standard errors by item, where"
    " items do not vary the interval of Bonett and Price (2012)"
)


def check(evaluation: ResponseRanking) -> None:
    """Read a local file and draw the others. Raises BenchmarkError, or RecordsError for a damaged file."""
    if evaluation.path is not None:
        pairs = read_pairs(evaluation)
        ranking_requests(pairs, evaluation.others, evaluation.seed)


def fingerprint_of(evaluation: ResponseRanking, checkpoint: str) -> str:
    """Changes with the tuned model (and its base), the file, and the drawn others."""
    drawn = evaluation.model_dump(include={"others", "seed", "metric", "include_end_of_turn"})
    return results_fingerprint(
        evaluation,
        checkpoint,
        {"scoring": VERSION, **drawn, **evaluation.reading, **records_identity(evaluation)},
    )


def named(evaluation: ResponseRanking) -> Named:
    """There is no judge. The reference describes the random responses."""
    return Named(reference=f"{evaluation.others} random responses to other instructions")


def score_items(job: EvaluationJob[ResponseRanking]) -> ScoredItems:
    """The share of random responses that each real one beats, for the tuned model and its base."""
    evaluation = job.evaluation
    pairs = read_pairs(evaluation)
    asked = {r.item_id: r for r in ranking_requests(pairs, evaluation.others, evaluation.seed)}
    by_id = {pair.item_id: pair for pair in pairs}

    def compute(missing: pl.DataFrame) -> Rows:
        for chunk in chunks(missing, max(job.rows_at_once, ITEMS_PER_LOAD)):
            requests = [asked[item_id] for item_id in chunk["item_id"]]
            texts = ranking_conversations(requests)
            tuned = ranked(requests, tuned_losses(job, texts))
            untuned = job.checkpoint.untuned  # then both are the base
            base = tuned if untuned else ranked(requests, base_losses(job, texts))
            for t, b in zip(tuned, base, strict=True):
                yield result_row(by_id[t.item_id], ranking_decision(t, b, evaluation.metric))

    made_of = fingerprint_of(evaluation, job.checkpoint.fingerprint)
    keys = sample_keys([pair.item_id for pair in pairs], 1)
    return ScoredItems(complete_results(job, made_of, keys, compute), expected=len(pairs))


def metrics(job: EvaluationJob[ResponseRanking], scored: ScoredItems) -> list[Metric]:
    """For each measure, the study's main one first: the tuned model's share, its base's, the difference."""
    tuned, base = (stored_ranks(scored.results.rows, prefix) for prefix in ("", BASE))
    listed = []
    for measure in sorted(METHODS, key=lambda name: name != job.evaluation.metric):
        listed += [
            _metric(measure, METHODS[measure], ranking_estimates(tuned)[measure]),
            _metric(f"{BASE}{measure}", METHODS[measure], ranking_estimates(base)[measure]),
            replace(_metric(f"{measure}_gain", DIFFERENCE, compare(base, tuned)[measure]), unit="bias"),
        ]
    return listed


def values(runs: StoredRuns[ResponseRanking], metric: str, category: str) -> ItemValues:
    """The values per item of the share of won pairs."""

    def make(rows: pl.DataFrame) -> tuple[list[str], Floats]:
        pairs = measure_values(rows, f"{metric}_pairs")
        return rows["item_id"].to_list(), ratio(pairs * measure_values(rows, metric), pairs).values

    return ItemValues(by_run(runs.outcomes(category), make), LINEAR)


def stored_ranks(rows: pl.DataFrame, prefix: str) -> Sequence[RankedItem]:
    """Rows of `eval_results` as RankedItem, of the tuned model or the base (by `prefix`)."""
    found = []
    for row in rows.iter_rows(named=True):
        measures = {
            name.removeprefix(prefix): value
            for name, value in measures_of(row).items()
            if row["error"] is None and name.startswith(prefix) and (prefix or not name.startswith(BASE))
        }
        found.append(RankedItem(row["item_id"], measures, (), row["filtered"], row["error"]))
    return found


def _metric(name: str, method: str, found: RankingEstimate) -> Metric:
    described = f"{method}; {found.pairs:,} pairs"
    if found.left_out_items or found.left_out_pairs:
        described += f", without {found.left_out_items:,} items and {found.left_out_pairs:,} further pairs"
    return Metric(name, found.estimate, described, found.items)


def ranking_decision(tuned: RankedItem, base: RankedItem, main: str) -> Decision:
    """The decision on an item. The outcome is the tuned model's share, or an error if either model has none.

    Items are filtered if they have no response or several turns, or if all their pairs are truncated.
    """
    measures = {**tuned.measures, **{f"{BASE}{name}": value for name, value in base.measures.items()}}
    outcome = tuned.measures.get(main)
    error = tuned.error or (f"under the base: {base.error}" if base.error else None)
    filtered = tuned.filtered
    if outcome is None and error is None:
        error = "; ".join(dict.fromkeys(tuned.left_out)) or "no pair could be ranked"
        filtered = error if set(tuned.left_out) == {TRUNCATED} else None
    return Decision(
        None if error else outcome,
        score=tuned.measures.get(main),
        reference_score=base.measures.get(main),
        measures=measures,
        filtered=filtered,
        error=error,
    )


KIND = Kind(check, fingerprint_of, score_items, metrics, named, values=values)
