"""`eval_results`: each tuned model on each benchmark."""

from typing import Any

import dagster as dg

from assets import checks
from assets.failures import told
from assets.metadata import distribution, first_rows, materialized
from assets.study import STUDY, dimensions, run_and_benchmark
from assets.tuned_checkpoint import tuned_checkpoint
from preceptor.lake.schemas import EVAL_RESULTS, RAW_INSTRUCTIONS, TUNED_CHECKPOINT
from preceptor.report.words import measured
from resources.evaluation import EvaluationResource
from resources.lake import LakeResource


@dg.asset(
    partitions_def=run_and_benchmark,
    deps=[tuned_checkpoint],
    group_name="evaluate",
    kinds={"deltalake", "pytorch"},
    pool="gpu",
    check_specs=[
        checks.spec("eval_results", "accounting", "judged + failed + filtered = expected", blocking=True),
        checks.spec("eval_results", "unique_keys", "One row per answer", blocking=True),
        checks.spec("eval_results", "failure_rate", "Few answers are without an outcome"),
        checks.spec("eval_results", "unseen_items", "No item is among the study's instructions"),
    ],
)
@told
def eval_results(
    context: dg.AssetExecutionContext, lake: LakeResource, evaluation: EvaluationResource
) -> dg.MaterializeResult:
    """What every tuned model answers on every benchmark, how well, and the scores with their intervals.

    A row is one answer; the tables beside it hold the metrics of each partition (`eval_scores`) and every
    question to a judge with its verdict (`judgments`).
    """
    key = dimensions(context)
    benchmark = STUDY.evaluation(key["benchmark"])
    declared = benchmark.model_dump(mode="json", exclude_none=True)
    versions = lake.open().versions(TUNED_CHECKPOINT)
    store = lake.open().made_from(versions, declared)
    found = evaluation.evaluate(store, key["run"], STUDY.base(STUDY.run(key["run"]).base), benchmark)
    scores = found.scores.rows
    return materialized(
        store,
        found.items,
        read=versions,
        checks=[
            checks.accounting(found.account),
            checks.unique_keys(EVAL_RESULTS, found.items.rows),
            checks.failure_rate(found.items.rows, STUDY.limits),
            checks.unseen_items(found.items.rows, store.read(RAW_INSTRUCTIONS, columns=["prompt_hash"])),
        ],
        scores=lambda: first_rows(scores, limit=scores.height),
        plot=lambda: distribution(found.items.rows["outcome"], "outcome of an item"),
        **{scores["metric"][0]: scores["value"][0]},
        score=_sentence(scores.row(0, named=True)),
        **(found.judgments.facts if found.judgments else {}),
        benchmark=declared,
    )


def _sentence(score: dict[str, Any]) -> str:
    """The main metric with its interval and the number of items."""
    if score["value"] is None:
        return f"no {score['metric']}: {score['error']}"
    value, low, high = (measured(score[end], score["unit"]) for end in ("value", "low", "high"))
    interval = f" [{low}, {high}]" if score["low"] is not None else ", no interval"
    return f"{score['metric']} {value}{interval}, n = {score['n']:,}"
