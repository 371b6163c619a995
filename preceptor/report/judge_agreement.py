"""Agreement of two judges that compared the same answers with the same references."""

import polars as pl

from preceptor.evaluation.agreement.labels import TIE, agreement_by_item, agreement_of_pairs, label_of
from preceptor.lake.warehouse import Warehouse
from preceptor.statistics.proportions import mean_share
from preceptor.study.schema import Study

ANSWER = ("run", "item_id", "sample")
SCHEMA = {
    **dict.fromkeys(("benchmark", "judge", "other_benchmark", "other_judge"), pl.String),
    **dict.fromkeys(("agreement", "low", "high", "plain"), pl.Float64),
    **dict.fromkeys(("items", "answers"), pl.Int64),
}


def judge_agreements(warehouse: Warehouse, study: Study) -> pl.DataFrame:
    """A row per pair of pairwise benchmarks that share answers, with the columns of SCHEMA.

    `agreement` is tie-discounted (LIMA, arXiv 2305.11206, section 4): 1 for the same verdict (win, tie or
    lose), 0.5 if exactly one judge says tie, else 0. `plain` counts only equal verdicts. Both are means over
    items of the means over each item's answers, because answers to one item are not independent. The
    interval is Wilson's over items.
    """
    judges = {e.name: e.pairwise_judge for e in study.evaluations if e.pairwise_judge is not None}
    shared = warehouse.query("report/judged_twice", compared=list(judges))
    rows = [
        {"benchmark": one, "judge": judges[one], "other_benchmark": other, "other_judge": judges[other]}
        | _agreement(answers)
        for (one, other), answers in shared.group_by("benchmark", "other_benchmark", maintain_order=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def _agreement(answers: pl.DataFrame) -> dict[str, float | int | None]:
    verdicts = [
        answers.select(*ANSWER, label=label_of(pl.col(name))) for name in ("outcome", "other_outcome")
    ]
    labels = pl.concat(verdicts)
    agreement = mean_share(agreement_by_item(agreement_of_pairs(labels, ANSWER, half=TIE)))
    plain = mean_share(items := agreement_by_item(agreement_of_pairs(labels, ANSWER)))
    found = {"agreement": agreement.value, "low": agreement.low, "high": agreement.high, "plain": plain.value}
    return {**found, "items": len(items), "answers": answers.height}
