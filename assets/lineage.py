"""Column lineage for Dagster's UI: the columns that each column is computed from."""

from collections.abc import Mapping

import dagster as dg

from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS
from preceptor.suitability.metrics import METRICS

Columns = tuple[tuple[str, str], ...]  # (table, column)

ASKED: Columns = (("raw_instructions", "system"), ("raw_instructions", "turns"))
ANSWERED: Columns = (*ASKED, ("responses", "turns"))
REWARD: Columns = (("rewards", "reward"),)
LOSS: Columns = (("base_losses", "nll_sum"), ("base_losses", "tokens"))
CAR: Columns = (*REWARD, *LOSS)
SCORED: Columns = tuple((name, "response_id") for name in ("responses", "rewards", "base_losses"))
SUITED: Columns = (
    *REWARD,
    *(
        ("base_losses", name)
        for name in dict.fromkeys(name for metric in METRICS.values() for name in metric.reads)
        if name in BASE_LOSSES.row_schema
    ),
)
CHOSEN_BY: Columns = (*SUITED, ("car_table", "car"))
TUNED_ON: Columns = (("selected_subset", "response_id"), *ANSWERED)
STUDENT: Columns = (("tuned_checkpoint", "uri"),)


def _each(names: str, origins: Columns) -> dict[str, Columns]:
    return dict.fromkeys(names.split(), origins)


def _same(table: str, names: str) -> dict[str, Columns]:
    return {name: ((table, name),) for name in names.split()}


LINEAGE: Mapping[str, Mapping[str, Columns]] = {
    "raw_instructions": {},
    "responses": {
        **_same("raw_instructions", "instruction_id prompt_hash"),
        "source_id": (("raw_instructions", "source_ids"),),
        "response_id": (("raw_instructions", "prompt_hash"), *ASKED),
        **_each("turns finish_reason prompt_tokens response_tokens error characters blank", ASKED),
    },
    "rewards": {
        **_same("responses", "teacher response_id instruction_id sample"),
        **_each("reward error", ANSWERED),
    },
    "base_losses": {
        **dict.fromkeys(BASE_LOSSES.columns, ANSWERED),
        **_same("responses", "teacher response_id instruction_id sample"),
    },
    "car_table": {
        **_same("base_losses", "base"),
        **_same("responses", "teacher"),
        **_same("rewards", "reward_model"),
        **_each("rank rank_low rank_high car car_low car_high instructions available", CAR),
        "mean_reward": REWARD,
        "mean_loss": LOSS,
        "expected": (("raw_instructions", "instruction_id"),),
        "without_response": (("raw_instructions", "instruction_id"), ("responses", "error")),
        "without_reward": (("responses", "response_id"), *REWARD),
        "without_loss": (("responses", "response_id"), *LOSS),
        "tokens_scored": (("base_losses", "tokens"), ("base_losses", "response_tokens")),
        "missing": (*SCORED, *CAR),
    },
    "suitability": {
        **_same("base_losses", "base"),
        **_same("responses", "teacher"),
        **_each("value low high rank rank_low rank_high instructions missing", SUITED),
    },
    "car_beta_sweep": {
        **_same("base_losses", "base"),
        **_same("responses", "teacher"),
        **_each("rank rank_low rank_high car car_low car_high", CAR),
    },
    "selected_subset": {
        **_same("responses", "response_id instruction_id teacher sample"),
        "value": CHOSEN_BY,
        "why": (*CHOSEN_BY, ("car_table", "rank_high")),
        "cut_left_out": (("responses", "finish_reason"),),
        "above_one_left_out": CHOSEN_BY,
    },
    "tuned_checkpoint": {
        **_same("selected_subset", "recipe"),
        "rows": (("selected_subset", "response_id"),),
        **_each(
            "truncated_rows failed_rows tokens steps final_loss loss_steps losses uri manifest", TUNED_ON
        ),
    },
    "eval_results": {
        **_same("tuned_checkpoint", "run"),
        **_each("response outcome score measures why response_tokens filtered error", STUDENT),
    },
}
# Columns that come from no other asset, but from the study, its files or the code.
ORIGINS: Mapping[str, str] = {
    "raw_instructions": " ".join(RAW_INSTRUCTIONS.stored),
    "responses": "teacher sample fingerprint",
    "rewards": "reward_model fingerprint",
    "base_losses": "base fingerprint",
    "car_table": "beta form fingerprint",
    "suitability": "metric better beta fingerprint",
    "car_beta_sweep": "beta fingerprint",
    "selected_subset": "recipe fingerprint",
    "tuned_checkpoint": "run base tuning seed fingerprint",
    "eval_results": "benchmark item_id sample instruction task reference reference_score fingerprint",
}


def column_lineage(table: str) -> dict[str, dg.TableColumnLineage]:
    """The column lineage of a table as metadata; empty for a table that reads no other asset."""
    if not LINEAGE[table]:
        return {}
    columns = {
        column: [dg.TableColumnDep(dg.AssetKey(origin), name) for origin, name in origins]
        for column, origins in LINEAGE[table].items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(columns)}
