"""Which columns each column is computed from, for the lineage that Dagster's UI draws."""

from collections.abc import Mapping

import dagster as dg

from preceptor.lake.schemas import BASE_LOSSES
from preceptor.suitability.metrics import METRICS

Columns = tuple[tuple[str, str], ...]  # (table, column)

ASKED: Columns = (("raw_instructions", "system"), ("raw_instructions", "turns"))
ANSWERED: Columns = (*ASKED, ("responses", "turns"))
REWARD: Columns = (("rewards", "reward"),)
LOSS: Columns = (("base_losses", "nll_sum"), ("base_losses", "tokens"))
CAR: Columns = (*REWARD, *LOSS)
SUMS = (
    "response_tokens tokens nll_sum probability_sum rank_sum rank50_sum rank100_sum rank500_sum entropy_sum"
    " squared_probability_sum prompt_tokens prompt_nll_sum steps head1_tokens head1_nll_sum head2_tokens"
    " head2_nll_sum unconditional_tokens unconditional_nll_sum"
).split()
SUITED: Columns = tuple(
    ("base_losses", name)
    for name in dict.fromkeys(name for metric in METRICS.values() for name in metric.reads)
    if name in BASE_LOSSES.row_schema
)
ESTIMATED = ("value", "low", "high", "rank", "rank_low", "rank_high", "instructions", "missing")
RANKED = ("rank", "rank_low", "rank_high", "car", "car_low", "car_high")

LINEAGE: Mapping[str, Mapping[str, Columns]] = {
    "responses": {
        "instruction_id": (("raw_instructions", "instruction_id"),),
        "prompt_hash": (("raw_instructions", "prompt_hash"),),
        "response_id": (("raw_instructions", "prompt_hash"), *ASKED),
        "turns": ASKED,
    },
    "rewards": {
        "response_id": (("responses", "response_id"),),
        "instruction_id": (("responses", "instruction_id"),),
        "sample": (("responses", "sample"),),
        "reward": ANSWERED,
    },
    "base_losses": {
        "response_id": (("responses", "response_id"),),
        "instruction_id": (("responses", "instruction_id"),),
        "sample": (("responses", "sample"),),
        **dict.fromkeys(SUMS, ANSWERED),
    },
    "car_table": {
        **dict.fromkeys(RANKED, CAR),
        "mean_reward": REWARD,
        "mean_loss": LOSS,
        "instructions": CAR,
        "available": CAR,
        "expected": (("raw_instructions", "instruction_id"),),
        "without_response": (("raw_instructions", "instruction_id"), ("responses", "error")),
        "without_reward": (("responses", "response_id"), *REWARD),
        "without_loss": (("responses", "response_id"), *LOSS),
        "tokens_scored": (("base_losses", "tokens"), ("base_losses", "response_tokens")),
    },
    "car_beta_sweep": dict.fromkeys(RANKED, CAR),
    "suitability": dict.fromkeys(ESTIMATED, (*REWARD, *SUITED)),
    "selected_subset": {
        "response_id": (("responses", "response_id"),),
        "instruction_id": (("responses", "instruction_id"),),
        "teacher": (("responses", "teacher"),),
        "sample": (("responses", "sample"),),
        "value": CAR,
        "cut_left_out": (("responses", "finish_reason"),),
        "above_one_left_out": CAR,
    },
    "tuned_checkpoint": {
        "uri": (("selected_subset", "response_id"), *ANSWERED),
        "losses": (("selected_subset", "response_id"), *ANSWERED),
        "rows": (("selected_subset", "response_id"),),
    },
    "eval_results": {
        "response": (("tuned_checkpoint", "uri"),),
        "outcome": (("tuned_checkpoint", "uri"),),
        "score": (("tuned_checkpoint", "uri"),),
    },
}


def column_lineage(table: str) -> dict[str, dg.TableColumnLineage]:
    """The metadata entry of an asset whose columns come from others'; nothing for sources."""
    if table not in LINEAGE:
        return {}
    columns = {
        column: [dg.TableColumnDep(dg.AssetKey(origin), name) for origin, name in origins]
        for column, origins in LINEAGE[table].items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(columns)}
