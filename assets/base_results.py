"""`base_results`: each untuned base on each benchmark, the baseline for its students' results."""

import dagster as dg

from assets.evaluated import evaluated, specs
from assets.failures import told
from assets.study import STUDY, base_and_benchmark, dimensions
from preceptor.fingerprint import model_identity
from resources.evaluation import EvaluationResource
from resources.lake import LakeResource


@dg.asset(
    partitions_def=base_and_benchmark,
    group_name="evaluate",
    kinds={"deltalake", "pytorch"},
    pool="gpu",
    check_specs=specs("base_results"),
)
@told
def base_results(
    context: dg.AssetExecutionContext, lake: LakeResource, evaluation: EvaluationResource
) -> dg.MaterializeResult:
    """Each base model's answers on every benchmark before tuning, prompted as its students are.

    A row is one answer, stored in the table `eval_results` under the run name `untuned-<base>`. A student
    that scores no better than its base has learned nothing that the benchmark measures.
    """
    key = dimensions(context)
    base, benchmark = STUDY.base(key["base"]), STUDY.evaluation(key["benchmark"])
    declared = benchmark.model_dump(mode="json", exclude_none=True)
    identity = model_identity(base.model, base.revision)
    store = lake.open().made_from({}, {**declared, "untuned": identity})
    found = evaluation.evaluate_untuned(store, base, benchmark)
    no_columns = {"dagster/column_lineage": dg.TableColumnLineage({})}  # computed from no other asset
    return evaluated(store, found, {}, [], benchmark=declared, untuned=identity, **no_columns)
