"""`eval_results`: each tuned model on each benchmark."""

import dagster as dg

from assets import checks
from assets.evaluated import evaluated, specs
from assets.failures import told
from assets.study import STUDY, dimensions, run_and_benchmark
from assets.tuned_checkpoint import tuned_checkpoint
from preceptor.lake.schemas import RAW_INSTRUCTIONS, TUNED_CHECKPOINT
from resources.evaluation import EvaluationResource
from resources.lake import LakeResource


@dg.asset(
    partitions_def=run_and_benchmark,
    deps=[tuned_checkpoint],
    group_name="evaluate",
    kinds={"deltalake", "pytorch"},
    pool="gpu",
    check_specs=[
        *specs("eval_results"),
        checks.spec("eval_results", "unseen_items", "No item is also an instruction of the study"),
    ],
)
@told
def eval_results(
    context: dg.AssetExecutionContext, lake: LakeResource, evaluation: EvaluationResource
) -> dg.MaterializeResult:
    """Each tuned model's answers on every benchmark, with scores and intervals.

    A row is one answer. `eval_scores` holds the metrics of each partition; `judgments` holds every question
    to a judge and its verdict. The asset `base_results` has the answers of the untuned bases.
    """
    key = dimensions(context)
    benchmark = STUDY.evaluation(key["benchmark"])
    declared = benchmark.model_dump(mode="json", exclude_none=True)
    versions = lake.open().versions(TUNED_CHECKPOINT)
    store = lake.open().made_from(versions, declared)
    found = evaluation.evaluate(store, key["run"], STUDY.base(STUDY.run(key["run"]).base), benchmark)
    unseen = checks.unseen_items(found.items.rows, store.read(RAW_INSTRUCTIONS, columns=["prompt_hash"]))
    return evaluated(store, found, versions, [unseen], benchmark=declared)
