"""Checks on each partition as it is written. A check blocks only where downstream results would mislead.

Checks run inside the asset's step: a separate step would start a process for each of hundreds of partitions.
"""

from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg
import polars as pl

from preceptor.evaluation.scores import Account
from preceptor.lake.schemas import Table
from preceptor.lake.store import Lake, LakeError, Partition
from preceptor.reasons import reasons
from preceptor.records.missing_column import shortened
from preceptor.rewards.drift import RECENT, drift_since_last_week
from preceptor.study.schema import Limits, RewardMap
from preceptor.suitability.reward_map import reward_expression

WARN = dg.AssetCheckSeverity.WARN
MOST_BELOW_ZERO = 0.05  # share of the mapped rewards
SIGMOID = "For log-odds, which most classifiers return, write 'car: {reward_map: {kind: sigmoid}}'"


def spec(asset: str, name: str, description: str, blocking: bool = False) -> dg.AssetCheckSpec:
    """Declare a check of an asset."""
    return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking)


def accounting(account: Account) -> dg.AssetCheckResult:
    """Whether every expected answer of a benchmark was judged, failed or was filtered, exactly once."""
    return dg.AssetCheckResult(
        check_name="accounting",
        passed=account.balanced,
        description=str(account),
        metadata=asdict(account),
    )


def completeness(
    expected: int, found: int, missing: list[str], limits: Limits, why: str = ""
) -> dg.AssetCheckResult:
    """Whether nearly all expected rows exist. The description names the first missing one and `why`."""
    share = (expected - found) / expected if expected else 0.0
    return dg.AssetCheckResult(
        check_name="completeness",
        passed=share <= limits.missing_rows,
        severity=WARN,
        description=f"{found:,} of {expected:,} expected rows exist"
        + (f"; first missing: {missing[0]}" if missing else "")
        + (f"; {why}" if why and missing else ""),
        metadata={"expected": expected, "found": found, "missing": ", ".join(missing[:20])},
    )


def as_many_as_asked(asked: int | None, found: int, shortfall: str) -> dg.AssetCheckResult:
    """Whether a recipe got every row that it asks for. Students tuned on fewer rows are not comparable."""
    return dg.AssetCheckResult(
        check_name="completeness",
        passed=not shortfall,
        severity=WARN,
        description=shortfall or f"{found:,} rows" + ("" if asked is None else ", as many as requested"),
        metadata={"expected": found if asked is None else asked, "found": found},
    )


def read_whole(losses: list[str], remarks: Sequence[str] = ()) -> dg.AssetCheckResult:
    """Whether every row of a file was read. Losses listed here are within 'limits.lost_rows'.

    `remarks` name what was left out on purpose.
    """
    return dg.AssetCheckResult(
        check_name="read_whole",
        passed=not losses,
        severity=WARN,
        description="; ".join([*(losses or ["every row was read in full"]), *remarks]),
    )


def unique_keys(table: Table, rows: pl.DataFrame) -> dg.AssetCheckResult:
    """Whether the table's key is unique. A repeated row would count twice in every mean."""
    repeated = rows.height - rows.n_unique(list(table.key))
    return dg.AssetCheckResult(
        check_name="unique_keys",
        passed=repeated == 0,
        description=f"{repeated} rows repeat ({', '.join(table.key)})",
        metadata={"repeated": repeated},
    )


def failure_rate(rows: pl.DataFrame, limits: Limits) -> dg.AssetCheckResult:
    """Whether few rows failed; the metadata counts the reasons."""
    found = reasons(rows["error"])
    failed = sum(count for _, count in found)
    share = failed / rows.height if rows.height else 0.0
    return dg.AssetCheckResult(
        check_name="failure_rate",
        passed=share <= limits.failed_rows,
        severity=WARN,
        description=f"{failed:,} of {rows.height:,} rows failed ({share:.1%})"
        + (f"; most frequent reason: {shortened(found[0][0], 200)}" if found else ""),
        metadata={
            "failed": failed,
            "reasons": "; ".join(f"{count} × {reason}" for reason, count in found[:10]),
        },
    )


def finite(rows: pl.DataFrame) -> dg.AssetCheckResult:
    """Whether every number is finite. One NaN would make every mean over it NaN."""
    floats = [name for name, dtype in rows.schema.items() if dtype == pl.Float64]
    bad = [name for name in floats if not rows[name].drop_nulls().is_finite().all()]
    return dg.AssetCheckResult(
        check_name="finite",
        passed=not bad,
        description=f"not finite: {', '.join(bad)}" if bad else "every number is finite",
        metadata={"columns": ", ".join(bad)},
    )


def truncated(rows: pl.DataFrame, limits: Limits) -> dg.AssetCheckResult:
    """Whether few responses were cut at the token limit. Responses without a finish reason do not count."""
    answers = rows.filter(pl.col("error").is_null())
    told = answers["finish_reason"].drop_nulls()
    cut = int((told == "length").sum())
    share = cut / len(told) if len(told) else 0.0
    untold = answers.height - len(told)
    says = f"{cut:,} of {len(told):,} responses were cut at the token limit ({share:.1%})"
    return dg.AssetCheckResult(
        check_name="truncated",
        passed=share <= limits.truncated_rows,
        severity=WARN,
        description=says + (f"; {untold:,} have no finish reason" if untold else ""),
        metadata={"cut": cut, "share": share, "not_said": untold},
    )


def tokens_scored(rows: pl.DataFrame, limits: Limits) -> dg.AssetCheckResult:
    """Whether most response tokens fit into the base's context."""
    total = int(rows["response_tokens"].sum() or 0)
    share = float(rows["tokens"].sum() or 0) / total if total else 0.0
    return dg.AssetCheckResult(
        check_name="tokens_scored",
        passed=share >= limits.tokens_scored,
        severity=WARN,
        description=f"{share:.1%} of {total:,} response tokens fit into the context and were scored",
        metadata={"share": share},
    )


def positive_mean_reward(rows: pl.DataFrame, reward_map: RewardMap) -> dg.AssetCheckResult:
    """Whether the mapped rewards suit CAR: a positive mean, and few rewards below 0."""
    values = rows.select(r=pl.sql_expr(reward_expression(reward_map)))["r"].drop_nulls()
    mean, below = values.mean(), int((values < 0).sum())
    if mean is None:
        passed, says = True, "no reward"
    else:
        says = f"the mean mapped reward is {mean:.4g}"
        passed = values.sum() > 0 and below <= MOST_BELOW_ZERO * len(values)
    if values.len() and values.sum() <= 0:
        says += f": the CAR table will refuse to rank. {SIGMOID}"
    elif not passed:
        says += (
            f", and {below:,} of {len(values):,} are below 0: CAR divides the mean reward r, so a mean near 0"
            f" makes the ranking depend on where the score's zero is. {SIGMOID}"
        )
    return dg.AssetCheckResult(
        check_name="positive_mean_reward", passed=passed, severity=WARN, description=says
    )


def reward_drift(lake: Lake, partition: Partition, rows: pl.DataFrame, limits: Limits) -> dg.AssetCheckResult:
    """Whether rewards stayed close to those of a week ago. Fails if the earlier rewards cannot be read."""
    passed, says, metadata = True, f"no response was scored again in the last {RECENT.days} days", {}
    try:
        if (drift := drift_since_last_week(lake, partition, rows)) is not None:
            passed, says = drift.within(limits.reward_drift), str(drift)
            metadata = {"earlier_version": drift.version, "responses": drift.pairs, "shift": drift.shift}
    except LakeError as error:
        passed, says = False, str(error)
    return dg.AssetCheckResult(
        check_name="reward_drift", passed=passed, severity=WARN, description=says, metadata=metadata
    )


def learned(doubt: str | None) -> dg.AssetCheckResult:
    """Whether a run took enough steps and its training loss fell. If not, the student resembles its base."""
    return dg.AssetCheckResult(
        check_name="learned",
        passed=doubt is None,
        severity=WARN,
        description=doubt or "the training loss fell, over enough steps",
    )


def unseen_items(items: pl.DataFrame, instructions: pl.DataFrame) -> dg.AssetCheckResult:
    """Whether no benchmark item is also, word for word, an instruction that students may be tuned on."""
    seen = items.join(instructions, left_on="item_id", right_on="prompt_hash", how="semi").height
    return dg.AssetCheckResult(
        check_name="unseen_items",
        passed=seen == 0,
        severity=WARN,
        description=f"{seen:,} of {items.height:,} items are also instructions of the study",
        metadata={"seen": seen},
    )
