"""`base_losses`: each base model's loss on each response."""

import dagster as dg

from assets import checks
from assets.automation import when_data_changed
from assets.failures import told
from assets.metadata import distribution, materialized
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.study import STUDY, dimensions, teacher_and_base
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES
from preceptor.responses.rows import refuse_failing
from resources.lake import LakeResource
from resources.loss import LossResource


@dg.asset(
    partitions_def=teacher_and_base,
    deps=[raw_instructions, responses],
    group_name="score",
    kinds={"deltalake", "pytorch"},
    pool="gpu",
    automation_condition=when_data_changed(),
    check_specs=[
        checks.spec("base_losses", "unique_keys", "One row per response", blocking=True),
        checks.spec("base_losses", "failure_rate", "Few responses failed to be scored"),
        checks.spec("base_losses", "finite", "No sum is NaN or infinite", blocking=True),
        checks.spec("base_losses", "tokens_scored", "Most response tokens fit into the base's context"),
    ],
)
@told
def base_losses(
    context: dg.AssetExecutionContext, lake: LakeResource, loss: LossResource
) -> dg.MaterializeResult:
    """Each untuned base model's loss on every response, from one forward pass given the instruction.

    A row is one response: sums over its scored tokens of surprisal, probability, rank, entropy and more.
    """
    key = dimensions(context)
    base = STUDY.base(key["base"])
    declared = base.model_dump(mode="json", exclude_none=True)
    versions = lake.open().versions(RAW_INSTRUCTIONS, RESPONSES)
    store = lake.open().made_from(versions, declared)
    instructions = store.read(RAW_INSTRUCTIONS, version=versions["raw_instructions"])
    answers = store.read(RESPONSES, {"teacher": key["teacher"]}, version=versions["responses"])
    refuse_failing(key["teacher"], answers, STUDY.limits.failed_rows)
    outcome = loss.score(store, base, key["teacher"], answers, instructions)
    return materialized(
        store,
        outcome,
        read=versions,
        checks=[
            checks.unique_keys(BASE_LOSSES, outcome.rows),
            checks.failure_rate(outcome.rows, STUDY.limits),
            checks.finite(outcome.rows),
            checks.tokens_scored(outcome.rows, STUDY.limits),
        ],
        plot=lambda: distribution(
            outcome.rows["nll_sum"] / outcome.rows["tokens"], "mean NLL, nats per token"
        ),
        mean_loss=(outcome.rows["nll_sum"] / outcome.rows["tokens"]).mean(),
        tokens=int(outcome.rows["tokens"].sum()),
        base=declared,
    )
