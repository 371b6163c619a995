"""`tuned_checkpoint`: each run's base model, tuned on the rows that its recipe selected."""

import dagster as dg

from assets import checks
from assets.failures import told
from assets.metadata import first_rows, materialized, picture
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.selected_subset import selected_subset
from assets.study import STUDY, runs
from preceptor.selection.conversations import CONVERSATION_TABLES, chosen_conversations
from preceptor.tuning.learning import doubt, loss_curve_plot
from resources.lake import LakeResource
from resources.training import TrainingResource
from resources.warehouse import WarehouseResource

# Explicit: by default Dagster would map each recipe to the run of the same name.
RECIPE_TO_RUNS = dg.StaticPartitionMapping(
    {recipe.name: [run.name for run in STUDY.runs if run.recipe == recipe.name] for recipe in STUDY.recipes}
)


@dg.asset(
    partitions_def=runs,
    deps=[
        dg.AssetDep(selected_subset, partition_mapping=RECIPE_TO_RUNS),
        dg.AssetDep(responses, partition_mapping=dg.AllPartitionMapping()),
        raw_instructions,
    ],
    group_name="tune",
    kinds={"deltalake", "pytorch", "huggingface"},
    pool="gpu",
    check_specs=[
        checks.spec(
            "tuned_checkpoint", "learned", "The run took enough optimizer steps and its training loss fell"
        )
    ],
)
@told
def tuned_checkpoint(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    warehouse: WarehouseResource,
    training: TrainingResource,
) -> dg.MaterializeResult:
    """Base models tuned on the rows of a recipe: safetensors, tokenizer and a manifest of all inputs.

    A row is one run: the path of its checkpoint, its inputs, and its loss curve.
    """
    run = STUDY.run(context.partition_key)
    objective = STUDY.tuning(run.tuning).objective
    session = warehouse.open(*CONVERSATION_TABLES)
    rows = chosen_conversations(session, run.recipe)
    store = lake.open().made_from(session.versions, run.model_dump(mode="json"))
    outcome = training.tune(store, STUDY, run.name, rows, session.versions)
    tuned = outcome.rows.row(0, named=True)
    return materialized(
        store,
        outcome,
        read=session.versions,
        checks=[checks.learned(doubt(run.name, tuned["steps"], tuned["losses"]))],
        plot=lambda: picture(loss_curve_plot(tuned["loss_steps"], tuned["losses"]), "training loss"),
        preview=lambda: first_rows(outcome.rows.drop("loss_steps", "losses", "manifest")),
        checkpoint=dg.MetadataValue.path(tuned["uri"]),
        manifest=dg.MetadataValue.json(training.manifest(outcome)),
        final_loss=tuned["final_loss"],
        run=run.model_dump(mode="json"),
        objective=objective.model_dump(mode="json"),
    )
