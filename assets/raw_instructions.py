"""`raw_instructions`: the deduplicated instructions from all sources of the study."""

import dagster as dg

from assets import checks
from assets.failures import told
from assets.metadata import distribution, listed, materialized
from assets.study import STUDY
from preceptor.instructions.account import SourceCount, refuse_lossy
from preceptor.instructions.collect import collect_instructions, instructions_fingerprint
from preceptor.lake.resume import put
from preceptor.lake.schemas import RAW_INSTRUCTIONS
from resources.lake import LakeResource


@dg.asset(
    group_name="collect",
    kinds={"deltalake", "polars"},
    check_specs=[
        checks.spec("raw_instructions", "unique_keys", "One row per instruction_id", blocking=True),
        checks.spec("raw_instructions", "read_whole", "Every row of every source was read in full"),
    ],
)
@told
def raw_instructions(lake: LakeResource) -> dg.MaterializeResult:
    """The study's instructions, read from every source, without exact and near duplicates.

    Start here: materialize this asset. Every asset up to the ranking and its report then runs automatically.
    Selection, tuning and evaluation do not: materialize `selected_subset`, `tuned_checkpoint`,
    `base_results` and `eval_results` yourself.

    A row is one instruction: system prompt, user turns, and an id that is a hash of its text.
    """
    rows, counts = collect_instructions(STUDY.instructions)
    refuse_lossy(counts, STUDY.limits.lost_rows)
    declared = STUDY.instructions.model_dump(mode="json", exclude_none=True)
    store = lake.open().made_from({}, declared)
    outcome = put(store, RAW_INSTRUCTIONS, {}, instructions_fingerprint(STUDY.instructions), rows)
    return materialized(
        store,
        outcome,
        read={},
        checks=[
            checks.unique_keys(RAW_INSTRUCTIONS, rows),
            checks.read_whole(
                [f"{c.source}: {s}" for c in counts for s in (*c.losses(), *c.alike(STUDY.limits.lost_rows))],
                [f"{c.source}: {remark}" for c in counts for remark in c.remarks()],
            ),
        ],
        plot=lambda: distribution(
            rows["turns"].list.join("").str.len_chars(), "characters of an instruction"
        ),
        sources=dg.MetadataValue.md(_account(counts)),
        dropped_examples=dg.MetadataValue.md(
            listed([f"{reason}: {place}" for c in counts for reason, place in c.examples.items()])
        ),
    )


def _account(counts: list[SourceCount]) -> str:
    lines = ["| source | read | kept | dropped | not read |", "| --- | --- | --- | --- | --- |"]
    for count in counts:
        dropped = "; ".join(f"{n} × {reason}" for reason, n in count.dropped.most_common())
        unread = ", ".join(sorted(count.seen - count.layout.read))
        lines.append(
            f"| {count.source} | {count.read} | {count.kept} | {dropped or 'none'} | {unread or 'none'} |"
        )
    return "\n".join(lines)
